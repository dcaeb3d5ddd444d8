"""The Train tab: from the document's regions to a run, and the run as it goes, with a stand-in trainer."""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

from anlage import TASKS, USUAL, AddNuclei, AddRegion, Box, Region, Run, Store, Use, starter_path

pytestmark = pytest.mark.viewer
LEFT, RIGHT = Box((0, 3), (0, 12), (0, 48), (0, 32)), Box((0, 3), (0, 12), (0, 48), (32, 52))


@pytest.fixture
def train(make_napari_viewer_proxy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, odd, blobs):
    """The widget *Train networks* in a viewer with a movie."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    viewer = make_napari_viewer_proxy()
    viewer.add_image(blobs[0], name="movie", **odd)
    _, panel = viewer.window.add_plugin_dock_widget("anlage", "Train networks")
    panel.session.set_folder(tmp_path / "movie.anlage")
    yield panel.tab
    for run in panel.tab.view.running():
        run.request_stop()
    panel.tab.retire()
    panel.session.close()


def annotate(session, blobs, *regions: tuple[Box, Use, bool]) -> None:
    """Put the nuclei and regions into the project's document."""
    document = session.need_document()
    document.apply(
        AddNuclei(document.new_ids(len(blobs[1])), np.round(blobs[1] * [1, 1e3, 1e3, 1e3]) / [1, 1e3, 1e3, 1e3])
    )
    for box, use, complete in regions:
        number = document.new_region_id()
        document.apply(AddRegion(Region.around(number, f"region {number}", box, use=use, complete=complete)))


def card(train) -> str:
    return train.cards.cards["centres"].line.plain


def begin(train, blobs, qtbot) -> Run:
    """Train what there is, and wait for the first news."""
    annotate(train._session, blobs, (LEFT, Use.AUTO, True))
    train.count()
    train.start.button.click()
    qtbot.waitUntil(lambda: len(train.watcher.curve.train) > 2, timeout=60000)
    return train.watcher.run


def test_the_card_follows_every_edit_and_the_button_says_what_is_missing(train, blobs, qtbot) -> None:
    session = train._session
    qtbot.waitUntil(lambda: train.cards.known, timeout=5000)
    assert "No annotation yet" in train.start.reason.text()
    annotate(session, blobs)
    train.count()
    assert card(train) == "54 nuclei, no region yet."
    assert "put a box around them" in train.start.reason.text()
    assert train.status.plain == "Nothing was trained yet."
    annotate(session, (blobs[0], blobs[1][:0]), (LEFT, Use.AUTO, True), (RIGHT, Use.VALIDATION, True))
    train.count()
    assert card(train) == "36 nuclei in 1 region; 18 held out in 1 region; 50 are better."
    assert train.start.button.isEnabled()
    assert train.status.plain == "Ready to train."
    session.document.undo()
    session.document.undo()
    train.count()
    assert not train.start.button.isEnabled()
    annotate(session, (blobs[0], blobs[1][:0]), (LEFT, Use.VALIDATION, True))
    train.count()
    assert "Every region is for validation" in train.start.reason.text()


@pytest.mark.usefixtures("fake_anlage")
def test_a_training_learns_from_the_documents_regions_as_they_are_meant(train, blobs, qtbot, tmp_path) -> None:
    annotate(train._session, blobs, (LEFT, Use.TRAIN, False), (RIGHT, Use.VALIDATION, True))
    train.count()
    train.length.choose(0)
    train.device.choose("cpu")
    train.begin_with.choose(None)
    train.special.set_value("diameter_um", 5.0)
    train.start.button.click()
    assert train.start.reason.text() == "The training data are being written …"
    qtbot.waitUntil(lambda: train.watcher.run is not None, timeout=60000)
    run = train.watcher.run
    assert run.path.parent == tmp_path / "movie.anlage" / "runs"
    config = run.config
    training = config.training
    assert (training.steps, training.minutes, training.device, config.start_from) == (120, None, "cpu", None)
    assert config.settings["diameter_um"] == 5.0
    stores = [Store.open(store.path).meta for store in config.stores]
    assert [(str(meta.use), meta.sparse, meta.n_nuclei) for meta in stores] == [
        ("train", True, 36),
        ("validation", False, 18),
    ]
    assert "is being trained; stop it" in train.start.reason.text()


@pytest.mark.usefixtures("fake_anlage")
def test_it_shows_progress_stops_within_three_seconds_and_resumes(train, blobs, qtbot) -> None:
    run = begin(train, blobs, qtbot)
    assert "s left" in train.status.plain
    assert " of 40 · " in train.progress.format()
    assert train.setup.isHidden()  # the curves come first
    train.unfold.click()
    assert not train.setup.isHidden()
    began = time.monotonic()
    train.stop.button.click()
    assert train.status.plain == "Stopping; the best weights are kept …"
    qtbot.waitUntil(lambda: train.view.state == "stopped", timeout=20000)
    assert time.monotonic() - began < 3
    assert train.view.choice.currentText().endswith(" – stopped")
    assert not train.setup.isHidden()
    train.resume.button.click()
    qtbot.waitUntil(lambda: train.view.state == "finished", timeout=60000)
    assert train.watcher.run.path == run.path
    assert train.plot._train.xData.tolist() == list(range(1, 41))
    assert train.status.plain == "Finished. Preview it on the Predict tab."
    assert not train.resume.button.isEnabled()


@pytest.mark.usefixtures("fake_anlage")
def test_another_session_finds_the_run_again_and_shows_its_state(train, blobs, qtbot, make_napari_viewer_proxy) -> None:
    run = begin(train, blobs, qtbot)
    (run.path / "slow").touch()
    session = train._session
    train.retire()
    session.close()
    viewer = make_napari_viewer_proxy()
    _, panel = viewer.window.add_plugin_dock_widget("anlage", "Train networks")
    again = panel.tab
    panel.session.open_project(session.folder)
    assert again.watcher.run.path == run.path
    assert again.view.state == "running"
    assert "is being trained; stop it" in again.start.reason.text()
    (run.path / "slow").unlink()
    qtbot.waitUntil(lambda: again.view.state == "finished", timeout=60000)
    assert len(again.watcher.curve.train) == 40
    again.retire()
    panel.session.close()


@pytest.mark.usefixtures("fake_anlage")
def test_a_failure_that_was_seen_is_told_once_and_an_old_one_quietly(train, blobs, qtbot, monkeypatch) -> None:
    told = []
    monkeypatch.setattr("napari_anlage.widgets.basic.show_error", told.append)
    run = begin(train, blobs, qtbot)
    (run.path / "die").touch()
    qtbot.waitUntil(lambda: train.view.state == "failed", timeout=20000)
    assert len(told) == 1
    assert train.status.plain == told[0]
    assert "Resume" in told[0]
    assert "anlage resume" not in told[0]  # the dock has a button for that
    assert "CUDA out of memory" in train.view.details.text.toPlainText()
    assert train.resume.button.isEnabled()
    train.watch(None)
    train.watch(run)
    assert train.status.plain == told[0]
    assert len(told) == 1


def test_the_lengths_follow_what_is_learnt_and_what_it_starts_from(train) -> None:
    def shown() -> list[str]:
        return [button.text().partition("\n")[2] for button in train.length.group.buttons()]

    assert shown() == ["60 steps", "250 steps", "750 steps"]  # from the starter
    train.begin_with.choose(None)
    assert shown() == ["120 steps", "400 steps", "1200 steps"]
    train.begin_with.choose(USUAL)
    train.special.set_value("width", 16)  # which the starter has not
    assert shown() == ["120 steps", "400 steps", "1200 steps"]
    train.special.set_value("width", TASKS["nuclei"].config().width)
    train.cards.choose("outlines")
    assert shown() == ["140 steps", "700 steps", "2100 steps"]
    train.cards.choose("classes")
    assert shown() == ["120 steps", "300 steps", "900 steps"]
    train.cards.choose("events")
    assert shown() == ["80 steps", "400 steps", "1200 steps"]


def test_a_length_that_is_set_comes_before_the_buttons(train) -> None:
    train.length.choose(1)
    assert train.settings() == []  # the task's own
    train.length.choose(2)
    assert train.settings() == ["steps=750"]
    train.general.set_value("epochs", 3.0)
    assert train.settings() == ["epochs=3.0"]


def test_the_models_of_the_project_are_offered_to_start_from(train, tmp_path) -> None:
    models = tmp_path / "movie.anlage" / "models"
    models.mkdir(parents=True)
    (models / "2026-11-01-broken.anlage").write_bytes(b"")
    shutil.copy(starter_path(), models / "2026-11-01-mine.anlage")
    train.refresh_runs()
    assert train.begin_with.findText("mine") > 0
    assert train.begin_with.findText("broken") < 0
    train.cards.choose("outlines")
    assert train.begin_with.findText("mine") > 0, "what finds centres can learn outlines"
    train.cards.choose("divisions")
    assert train.begin_with.findText("mine") < 0, "it cannot start from a network of another kind"
