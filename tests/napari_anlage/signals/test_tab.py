"""The Signals tab: a file of signals is scored beside the image, kept, and trained on."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtCore import Qt

from anlage import AddNuclei, Annotations, Events, Run, Signals, read_events, write_signals
from anlage.project.models import Choice
from napari_anlage.session.session import Session
from napari_anlage.signals.scoring import EVENT, NO_EVENT
from napari_anlage.signals.tab import SignalsTab
from napari_anlage.train.tab import TrainTab
from napari_anlage.viewer import camera


@pytest.fixture
def tab(qtbot, blobs, odd, tmp_path):
    movie, centres = blobs
    viewer = ViewerModel()
    viewer.add_image(movie, **odd)
    session = Session.of(viewer)
    session.choose_image(viewer.layers[0])
    session.set_folder(tmp_path / "movie.anlage")
    made = SignalsTab(session)
    qtbot.addWidget(made)
    of_track = centres.reshape(3, 18, 4).transpose(1, 2, 0)  # (track, t z y x, frame)
    values = np.random.default_rng(0).normal(100, 5, (18, 1, 3))
    nuclei = 1 + np.arange(54).reshape(3, 18).T
    signals = Signals.of(values, ("mean_nuclei",), interval_s=60.0, places=of_track[:, 1:], nuclei=nuclei)
    path = tmp_path / "signals.csv"
    write_signals(path, signals)
    made.open(path)
    qtbot.waitUntil(lambda: made.scoring is not None, timeout=20000)
    return made, session, viewer


def frame_of(session) -> int:
    return camera.current_frame(session.viewer, session.grid(), 3)


def test_the_plot_the_slider_and_the_image_go_together(tab, blobs) -> None:
    made, session, viewer = tab
    made.panel.frame_wanted.emit(2)
    assert frame_of(session) == 2
    camera.go_to(viewer, session.grid(), (1, 4, 20, 20))
    assert made.panel.frame == 1
    made.scoring.go(1)
    z, y, x = blobs[1][18 + 1, 1:]  # the second track in frame 1
    np.testing.assert_allclose(viewer.scene.camera.center[-2:], session.grid().world((1, z, y, x))[-2:], atol=1e-3)
    ring = viewer.layers["track being scored"]
    assert len(ring.data) == 3
    made.follow(40)  # nucleus 40 is track 4 in the last frame
    assert made.scoring.row == 3


def test_a_nucleus_selected_in_the_viewer_shows_its_track(tab, blobs, qtbot) -> None:
    made, session, _ = tab
    session.need_document().apply(AddNuclei.of(Annotations.of(blobs[1])))
    session.editor.show_nuclei()
    qtbot.waitUntil(lambda: made._picks._selection is not None, timeout=20000)
    session.editor.nuclei.select([40])  # nucleus 40 is track 4 in the last frame
    assert made.scoring.row == 3
    session.editor.nuclei.select([2])
    assert made.scoring.row == 1


def test_a_finished_training_is_tried_at_once(tab, monkeypatch, tmp_path) -> None:
    made, session, _ = tab
    finder, found = made.finder, []
    model = tmp_path / "m.anlage"
    choice = Choice(str(model), "m", path=model)
    monkeypatch.setattr(finder, "_find", lambda: found.append(finder.model.choice.path))
    monkeypatch.setattr(finder, "refresh_models", lambda: (finder.model.combo.addItem("m", choice), finder.refresh()))
    finder._run = SimpleNamespace(state="running", model_path=model)
    session.run_changed.emit()
    assert not found
    finder._run.state = "finished"
    session.run_changed.emit()
    session.run_changed.emit()
    assert found == [model]


def test_keys_score_and_take_back(tab, qtbot) -> None:
    made, session, _ = tab
    made.show()
    made.activateWindow()
    qtbot.waitUntil(made.isActiveWindow, timeout=20000)
    made.panel.frame_wanted.emit(1)
    made.panel.plot.setFocus()
    qtbot.keyClick(made.panel.plot, Qt.Key.Key_E)
    assert (made.scoring.classes[0], made.scoring.times[0]) == (EVENT, 1.0)
    assert "event at frame 1 (1 min)" in made.panel.title.text()
    made.scoring.go(1)
    qtbot.keyClick(made.panel.plot, Qt.Key.Key_O)
    assert made.scoring.classes[1] == NO_EVENT
    assert made.scoring.row == 2  # on to the next
    kept = read_events(session.folder / "signals" / "signals-event.csv")
    assert kept.classes.tolist() == [EVENT, NO_EVENT]
    qtbot.keyClick(made.panel.plot, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert made.scoring.balance.no_event == 0


def test_another_event_has_answers_of_its_own(tab, qtbot) -> None:
    made, _, _ = tab
    made.panel.answer(NO_EVENT)
    made.source.event.setText("Death")
    made.source.event.editingFinished.emit()
    qtbot.waitUntil(lambda: made.scoring.path.name == "signals-death.csv", timeout=20000)
    assert made.scoring.balance.not_yet == 18


def test_what_cannot_be_trained_on_says_why(tab) -> None:
    made, _, _ = tab
    assert "Score at least 3 tracks with an event; there are none." in made.finder.train.reason.text()
    made.scoring.propose(range(6), [0, 0, 0, 1, 1, 1], [1, 1, 1, np.nan, np.nan, np.nan], "six")
    assert made.finder.train.button.isEnabled()


def test_the_button_opens_the_training_of_events_with_what_was_scored(tab, qtbot, monkeypatch) -> None:
    made, session, _ = tab
    train = TrainTab(session)
    qtbot.addWidget(train)
    made.train_wanted.connect(train.learn_from)
    made.scoring.propose(range(8), [0] * 4 + [1] * 4, [1] * 4 + [np.nan] * 4, "eight")
    made.finder.train.button.click()
    qtbot.waitUntil(lambda: train.events.sets.sets != [] and train.cards.known, timeout=20000)
    assert train.cards.kind == "events"
    assert train.events.event.currentText() == "event"
    assert train.events.sets.sets[0].n == (4, 4, 0)
    monkeypatch.setattr(Run, "start", lambda self: None)
    monkeypatch.setattr(Run, "state", "running")
    train.start.button.click()
    qtbot.waitUntil(lambda: made.finder._run is not None, timeout=20000)
    assert made.finder._run.path == session.run.path
    train.retire()


def test_found_events_are_drawn_where_and_when_they_happen(tab, blobs) -> None:
    made, session, viewer = tab
    found = Events(
        tracks=made.scoring.signals.ids, kind="once", classes=np.r_[0, np.ones(17, int)],
        frames=np.r_[1.2, np.full(17, np.nan)], probability=np.full(18, 0.9),
    )  # fmt: skip
    made.finder.found.emit(found)
    layer = viewer.layers["events: event"]
    np.testing.assert_allclose(
        layer.data_to_world(layer.data[0]), session.grid().world((1, *blobs[1][18, 1:])), atol=1e-3
    )


def test_signals_of_repeated_events_are_scored_as_windows(tab, qtbot, tmp_path) -> None:
    made, _, _ = tab
    path = tmp_path / "windows.h5"
    write_signals(path, Signals.of(np.zeros((4, 30)), kind="repeated", scores=[0, 1, 1, 0]))
    made.open(path)
    qtbot.waitUntil(lambda: made.windows.scores is not None, timeout=20000)
    assert made.source.where.text() == "windows.h5: 4 windows, 30 samples"
    assert made.scoring is None
    assert made.windows.isVisibleTo(made)
    assert not made.panel.isVisibleTo(made)
    assert "2 with an event, 2 without" in made.windows.balance.text()
    assert "Score at least 4 windows with an event; there are 2." in made.windows.train.button.toolTip()


@pytest.mark.parametrize("typed", ["../../x", "a/b\\c", "C:\\x"])
def test_an_events_name_leads_nowhere(tab, typed) -> None:
    made, session, _ = tab
    made.source.event.setText(typed)
    made.source.event.editingFinished.emit()
    assert made.source.event_name.replace("_", "").isalnum()
    assert made.scoring.path.parent == session.folder / "signals"


def test_a_name_that_no_file_can_have_is_said(tab) -> None:
    made, _, _ = tab
    for typed in ("é" * 300, "///"):
        made.source.event.setText(typed)
        made.source.event.editingFinished.emit()
        assert made.source.event.text() == made.source.event_name == "event"
        assert "becomes part of a file's name" in made.source.status.text()
