"""What a network found is judged, drawn and listed; a click goes there; what is exported comes back."""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg
import pytest
from napari.components import ViewerModel
from qtpy.QtCore import QItemSelectionModel, Qt
from qtpy.QtGui import QColor, QPalette

from anlage import Events, Signals, open_signals, read_events, survival, write_events, write_signals
from napari_anlage.session.session import Session
from napari_anlage.signals.assessment import assess
from napari_anlage.signals.drawings import Matrix, confusion
from napari_anlage.signals.scoring import CENSORED, EVENT, NO_EVENT, Scoring
from napari_anlage.signals.tab import SignalsTab
from napari_anlage.viewer import camera
from napari_anlage.widgets.picture import Picture

TIMES = np.array([20.0, 33.0, 41.0, 26.0])
KINDS = ("Confusion matrix", "Times of events", "ROC", "Precision and recall", "Calibration")


def steps() -> Signals:
    """Four tracks that step at `TIMES` of their own frames, and four flat ones; the first begins late."""
    t = np.arange(60)
    values = [60 / (1 + np.exp(-(t - at) / 0.8)) for at in TIMES] + [np.zeros(60)] * 4
    array = 100 + np.array(values) + np.random.default_rng(4).normal(0, 2, (8, 60))
    array[0, :4] = np.nan
    return Signals.of(array, ("mean",), interval_s=120.0, first_frame=5)


def found_by_network(signals: Signals) -> Events:
    """Right but for track 2 (missed) and track 4 (three frames late); track 6 has an event too many."""
    classes = np.array([0, 1, 0, 0, 1, 0, 1, 1])
    frames = np.array([25.4, np.nan, 46.0, 34.0, np.nan, 50.0, np.nan, np.nan])
    sure = np.array([0.95, 0.7, 0.9, 0.8, 0.9, 0.6, 0.99, 0.99])
    chance = np.where(classes == 0, sure, 1 - sure)
    return Events(
        tracks=signals.ids, kind="once", classes=classes, frames=frames, probability=sure, interval_s=signals.interval_s,
        properties={"probability_event": chance},
    )  # fmt: skip


def scored() -> Signals:
    classes = np.array([EVENT] * 4 + [NO_EVENT] * 4)
    return steps().scored(classes, np.concatenate([TIMES + 5, np.full(4, np.nan)]))


def texts(picture: Picture) -> list[str]:
    return [item.toPlainText() for item in picture.plot.items if hasattr(item, "toPlainText")]


def test_the_worst_come_first_and_say_what_is_wrong() -> None:
    judged = assess(found_by_network(scored()), scored())
    assert judged.report.confusion == ((3, 1, 0), (1, 3, 0), (0, 0, 0))
    assert [one.track for one in judged.worst] == [2, 6, 4]
    assert judged.worst[0].sentence == "you: event · network: no event, 70 % sure"
    assert judged.worst[0].frame == 38.0
    assert judged.worst[2].sentence == "found 3.0 frames too late (6 min)"
    alone = assess(found_by_network(scored()), scored(), np.array([1, 3, 5]))
    assert (alone.report.n, alone.worst) == (3, ())


def test_a_matrix_is_drawn_as_counts_and_as_shares(qtbot) -> None:
    picture = Picture()
    qtbot.addWidget(picture)
    judged = assess(found_by_network(scored()), scored())
    picture.show_drawing(confusion(judged, Matrix.COUNTS))
    assert texts(picture) == ["3", "1", "0", "1", "3", "0", "0", "0", "0"]
    picture.show_drawing(confusion(judged, Matrix.OF_TRUE))
    assert texts(picture)[:2] == ["75 %", "25 %"]
    assert picture.plot.getAxis("left").labelText == "scored by you"
    palette = QPalette(picture.palette())
    palette.setColor(QPalette.ColorRole.WindowText, QColor("#f0f1f2"))
    picture.setPalette(palette)
    text = next(item for item in picture.plot.items if hasattr(item, "toPlainText"))
    assert text.color.name() == "#f0f1f2"


@pytest.fixture
def tab(qtbot, blobs, odd, tmp_path):
    movie, _ = blobs
    viewer = ViewerModel()
    viewer.add_image(np.repeat(movie[:1], 65, axis=0), **odd)
    session = Session.of(viewer)
    session.choose_image(viewer.layers[0])
    session.set_folder(tmp_path / "movie.anlage")
    made = SignalsTab(session)
    qtbot.addWidget(made)
    signals = scored()
    rng = np.random.default_rng(0)
    places = np.repeat(rng.uniform(2, 10, (8, 3, 1)), 60, axis=2)
    placed = Signals.of(
        signals.values, signals.names, interval_s=120.0, first_frame=5, scores=signals.scores, times=signals.times, places=places
    )  # fmt: skip
    path = tmp_path / "signals.csv"
    write_signals(path, placed)
    made.open(path)
    qtbot.waitUntil(lambda: made.scoring is not None, timeout=20000)
    made.finder.found.emit(found_by_network(placed))
    return made, viewer, session


def test_what_was_found_is_judged_listed_and_gone_to(tab) -> None:
    made, viewer, session = tab
    judging = made.judging
    assert "8 tracks: 75 % of the classes right (41 to 93 %), F1 " in judging.numbers.text()
    assert " events, 0." in judging.numbers.text()
    assert "It is not known which tracks this network learnt from" in judging.honest.text()
    for kind in KINDS:
        judging.kind.setCurrentText(kind)
        assert judging.picture.plot.items, kind
        assert judging.status.plain == ""
        for side in ("left", "bottom"):
            assert judging.picture.plot.getAxis(side).labelText, kind
    item = judging.worst.item(0)
    judging.worst.itemClicked.emit(item)
    assert made.scoring.signals.ids[made.scoring.row] == 2
    assert camera.current_frame(viewer, session.grid(), 65) == 38

    results = made.results
    assert results.source.currentText() == "found"
    results.table.sortByColumn(1, Qt.SortOrder.AscendingOrder)
    assert results.table.cells()[0] == ["1", "25.4", "50.8", "0.95"]
    results.table.clicked.emit(results.table.model().index(3, 0))
    assert made.scoring.signals.ids[made.scoring.row] == 6
    assert camera.current_frame(viewer, session.grid(), 65) == 50
    layer = viewer.layers["events: event"]
    assert layer.features["probability"].round(2).tolist() == [0.95, 0.9, 0.8, 0.6]
    assert len({tuple(colour) for colour in layer.border_color}) == 4


def test_tracks_scored_later_are_judged_alone(tab) -> None:
    made, *_ = tab
    told = made.scoring.predicted
    made.judging.show_events(told, made.scoring, None, np.array([1, 2]))
    assert made.judging.tracks.currentText() == "6 tracks scored after the training"
    assert "has not seen these tracks" in made.judging.honest.text()
    made.judging.show_events(told, made.scoring, None, np.arange(1, 9))
    assert "these pictures flatter it" in made.judging.honest.text()


def test_held_out_tracks_are_judged_by_what_was_said_without_having_learnt_from_them(tab) -> None:
    made, viewer, session = tab
    told = made.scoring.predicted
    held = told.select(np.isin(told.tracks, [3, 4, 6]))  # 3 is right, 4 late, 6 wrong
    made.judging.show_events(told, made.scoring, None, np.arange(1, 9), held)
    assert made.judging.tracks.currentText() == "3 tracks, each judged by a network that never saw it"
    assert made.judging.judgement.report.n == 3
    assert "judged by a network that never learnt from it" in made.judging.honest.text()
    assert [made.judging.worst.item(i).text().split(" · ")[0] for i in range(2)] == ["track 6", "track 4"]
    made.judging.worst.itemClicked.emit(made.judging.worst.item(1))
    assert made.scoring.signals.ids[made.scoring.row] == 4
    assert camera.current_frame(viewer, session.grid(), 65) == 31
    made.judging.tracks.setCurrentIndex(0)
    made.judging.tracks.activated.emit(0)
    assert made.judging.judgement.report.n == 8
    assert "these pictures flatter it" in made.judging.honest.text()


def test_many_events_are_moved_at_once_and_moved_back(tab) -> None:
    made, *_ = tab
    results = made.results
    assert not results.moving.isVisibleTo(results)  # what a network found stays
    results.source.setCurrentIndex(0)
    results.refresh()
    assert results.moving.isVisibleTo(results)
    before = made.scoring.times.copy()
    results.move_chosen.click()
    assert "No event is selected" in results.status.plain
    model = results.table.selectionModel()
    for row in (0, 2):
        model.select(
            results.table.model().index(row, 0),
            QItemSelectionModel.SelectionFlag.Select | QItemSelectionModel.SelectionFlag.Rows,
        )
    assert results.table.chosen_tracks == [1, 3]
    results.later.setValue(-2)
    results.move_chosen.click()
    assert (made.scoring.times - before)[:4].tolist() == [-2, 0, -2, 0]
    made.scoring.undo()
    assert np.array_equal(made.scoring.times, before, equal_nan=True)


def test_pictures_of_a_population(tab) -> None:
    made, *_ = tab
    results = made.results
    results.source.setCurrentIndex(0)
    results.view.setCurrentText("Survival")
    axis = results.picture.plot.getAxis("bottom")
    assert axis.labelText == "time since the track begins (min)"
    curve = results.picture.plot.listDataItems()[-1]
    band = [item for item in results.picture.plot.items if isinstance(item, pg.FillBetweenItem)]
    assert band[0].path().boundingRect().height() > 0.2
    expected = survival(results.events, made.scoring.signals)
    assert curve.yData.min() == pytest.approx(expected.share[-1]) == 0.5
    assert set((expected.times * 2).round(6)) <= set(curve.xData.round(6))
    results.view.setCurrentText("Mean signal")
    assert results.picture.plot.getAxis("left").labelText == "mean"
    mean = results.picture.plot.listDataItems()[-1]
    before, after = mean.yData[mean.xData < -6].mean(), mean.yData[mean.xData > 6].mean()
    assert (before, after) == (pytest.approx(100, abs=3), pytest.approx(160, abs=3))
    assert "per track and h (95 %" in results.summary.text()


def test_nuclei_are_coloured_before_and_after(tab) -> None:
    made, viewer, _ = tab
    made.results.colour.setChecked(True)
    layer = viewer.layers["before and after the event"]
    of_first = layer.features[layer.features["track"] == 1]
    assert (of_first["phase"] == "before").sum() == 17  # its signal begins in frame 9, and its event is at 25.4
    assert set(layer.features[layer.features["track"] == 5]["phase"]) == {"no event"}
    made.results.colour.setChecked(False)
    assert "before and after the event" not in viewer.layers


def test_the_ring_goes_with_the_track(tab) -> None:
    made, viewer, session = tab
    ring = viewer.layers["track being scored"]
    for row in (1, 0, 5):
        made.scoring.go_to(row)
        known = np.isfinite(made.scoring.signals.places[row]).all(axis=0)
        frame = np.flatnonzero(known)[0]
        z, y, x = made.scoring.signals.places[row, :, frame]
        assert viewer.layers["track being scored"] is ring
        assert len(ring.data) == len(ring.size) == known.sum()
        np.testing.assert_allclose(
            ring.data_to_world(ring.data[0]), session.grid().world((frame + 5, z, y, x)), atol=1e-3
        )
        assert len(set(ring.size)) == 1


def test_the_user_chooses_the_signal_at_the_top(tab, qtbot, tmp_path) -> None:
    made, *_ = tab
    values = np.random.default_rng(0).normal(size=(5, 6, 20))
    values[0, 4] = np.nan
    names = ("a", "b", "c", "d", "e", "speed_um_per_min")
    write_signals(tmp_path / "six.csv", Signals.of(values, names, interval_s=60.0))
    before = made.scoring
    made.open(tmp_path / "six.csv")
    qtbot.waitUntil(lambda: made.scoring is not before, timeout=20000)
    assert not made.panel.shown.isHidden()
    made.panel.shown.setCurrentText("e")
    titles = [item.titleLabel.text for item in made.panel.plot._plots]
    assert titles == ["e", "speed (µm/min)", "a", "b"]


def test_only_one_ring_and_one_layer_of_events_at_a_time(tab) -> None:
    made, viewer, _ = tab
    made.scoring.go(1)
    made.scoring.go(1)
    made.finder.found.emit(made.scoring.predicted)
    assert [layer.name for layer in viewer.layers[1:]] == ["track being scored", "events: event"]


def test_exported_events_come_back_as_they_were_corrected(tab, tmp_path) -> None:
    made, *_ = tab
    made.scoring.go_to(0)
    made.scoring.answer(CENSORED)
    made.scoring.go_to(4)
    made.scoring.answer(EVENT, 30.0)
    results = made.results
    results.source.setCurrentIndex(0)
    results.refresh()
    results.write(tmp_path / "mine.csv")
    again = read_events(tmp_path / "mine.csv")
    assert again.classes.tolist() == [2, 0, 0, 0, 0, 1, 1, 1]
    assert (again.frames[4], again.interval_s) == (30.0, 120.0)
    assert {"t", "z", "y", "x"} <= set(again.properties)
    write_events(tmp_path / "twice.csv", again)
    assert (tmp_path / "twice.csv").read_text() == (tmp_path / "mine.csv").read_text()
    kept = Scoring(made.scoring.signals, made.scoring.path)
    assert kept.classes.tolist() == again.classes.tolist()


@pytest.mark.parametrize("name", ["all.csv", "all.npy"])
def test_the_answers_for_all_events_are_exported_together(tab, tmp_path, name) -> None:
    made, _, session = tab
    death = Events(
        made.scoring.signals.ids[:2], "once", np.array([0, 1]), np.array([12.0, np.nan]), np.full(2, np.nan), 120.0
    )
    write_events(session.folder / "signals" / "signals-death.csv", death)
    made.results.write_all(tmp_path / name)
    assert "answers for event, death" in made.results.status.plain
    first, second = (open_signals(tmp_path / name, event=event) for event in ("event", "death"))
    assert first.scores.tolist() == made.scoring.classes.tolist()
    assert first.times == pytest.approx(made.scoring.times, nan_ok=True)
    assert second.scores.tolist() == [0, 1] + [-1] * 6
    assert second.times[0] == 12.0
    assert np.isnan(second.times[1:]).all()
