"""The Predict tab in a real viewer: preview, sliders, verdicts, the whole movie, and the same on the command line."""

from __future__ import annotations

import shlex
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pytest
from qtpy.QtGui import QGuiApplication

from anlage import PredictionParts, State, open_annotations, starter_path, write_image
from anlage.project.predictions import results
from napari_anlage.viewer import camera, layer_roles

pytestmark = pytest.mark.viewer


@pytest.fixture
def docked(make_napari_viewer_proxy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, odd, blobs):
    """A viewer with a movie and the dock, at the Predict tab with the classical detector chosen."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    viewer = make_napari_viewer_proxy()
    viewer.add_image(blobs[0], name="movie", **odd)
    _, dock = viewer.window.add_plugin_dock_widget("anlage", "anlage")
    dock.go_to("predict")
    tab = dock.predict
    tab.models.combo.setCurrentIndex(tab.models.combo.count() - 1)
    assert tab.models.choice.argument == "classical"
    viewer.reset_view()
    yield viewer, dock
    tab.retire()
    dock.session.close()


def go_to_frame(viewer, odd, t: int) -> None:
    viewer.dims.set_point(0, odd["translate"][0] + t * odd["scale"][0])


def role(viewer, name: str):
    return next((layer for layer in viewer.layers if layer_roles.role_of(layer) == name), None)


def previewed(viewer, dock, odd, qtbot, t: int = 2) -> None:
    go_to_frame(viewer, odd, t)
    dock.predict.preview.button.click()
    assert dock.predict.preview.reason.text() == "Predicting …"
    qtbot.waitUntil(
        lambda: f"in frame {t}" in dock.predict.status.plain and not dock.predict.previewer.busy, timeout=60000
    )


@pytest.mark.usefixtures("fake_anlage")
def test_preview_tune_judge_and_go_on(docked, odd, blobs, qtbot, tmp_path) -> None:
    viewer, dock = docked
    tab, session = dock.predict, dock.session
    previewed(viewer, dock, odd, qtbot)
    assert tab.status.plain.startswith("1 proposal in frame 2 (")
    assert tab.notes.text() == "A sentence."
    assert not session.jobs.running
    centres, heat = role(viewer, "preview centres"), role(viewer, "preview heat-map")
    brightest = np.unravel_index(blobs[0][2].argmax(), blobs[0][2].shape)
    world = session.image_layer.data_to_world((2, *brightest))
    np.testing.assert_allclose(centres.data_to_world(centres.data[0]), world)
    hottest = np.unravel_index(np.asarray(heat.data).argmax(), heat.data.shape)
    np.testing.assert_allclose(heat.data_to_world(hottest), world)
    assert not list(tmp_path.glob("anlage-preview-*"))

    tab.heatmap.setChecked(False)
    assert not heat.visible
    assert tab.threshold.value() == 0.5  # the detector's own
    tab.threshold.spin.setValue(0.05)
    qtbot.waitUntil(lambda: centres.shown.tolist() == [True, True], timeout=1000)
    assert tab.judging.counts.text() == "2 proposed · 0 annotated · 0 rejected"
    tab.size.spin.setValue(10.0)  # 9 rows are 4.8 µm: half of 10 swallows the fainter
    qtbot.waitUntil(lambda: centres.shown.tolist() == [True, False], timeout=1000)
    tab.size.back.click()
    qtbot.waitUntil(lambda: centres.shown.all(), timeout=1000)

    viewer.dims.set_point(1, centres.data_to_world(centres.data[1])[1])
    viewer.cursor.position = tuple(centres.data_to_world(centres.data[1]))
    keys = {str(key): action for key, action in viewer.keymap.items()}
    keys["X"](viewer)
    tab.judging.scope.setCurrentText("in this frame")
    tab.judging.accept.button.click()
    assert tab.judging.counts.text() == "0 proposed · 1 annotated · 1 rejected"
    assert session.document.nuclei.state.tolist() == [State.REJECTED, State.ACCEPTED]
    assert "left above the threshold" in tab.judging.accept.button.toolTip()
    assert "2 judged nuclei outside every region" in tab.judging.status.plain
    tab.judging.region.button.click()
    (region,) = session.regions
    assert (region.box.t, region.complete) == ((2, 3), True)
    assert not tab.judging.region.isVisibleTo(tab)
    asked = []
    tab.train_again.connect(asked.append)
    tab.judging.again.button.click()
    assert asked == [None]  # the blob detector has no weights to start from
    assert dock.tabs.currentWidget().widget() is dock.train
    tab.train_again.emit(starter_path())
    assert dock.train.begin_with.model == starter_path()
    session.document.undo()
    session.document.undo()
    assert tab.judging.counts.text() == "1 proposed · 0 annotated · 1 rejected"


@pytest.mark.usefixtures("fake_anlage")
def test_only_what_is_in_view_is_predicted_and_places_are_proposed(docked, odd, qtbot) -> None:
    viewer, dock = docked
    tab, session = dock.predict, dock.session
    assert "Preview something" in tab.next.find.button.toolTip()
    world = session.image_layer.data_to_world((1, 3, 10, 11))
    viewer.dims.set_point((0, 1), world[:2])
    viewer.scene.camera.zoom = 20 * viewer.scene.camera.zoom
    viewer.scene.camera.center = (0, *world[2:])
    previewed(viewer, dock, odd, qtbot, t=1)
    (box,) = tab.acceptance.candidates.boxes
    assert box.shape[2] < 30
    assert box.y[0] <= 10 < box.y[1]

    tab.threshold.spin.setValue(0.2)
    tab.next.find.button.click()
    qtbot.waitUntil(lambda: "Looked at frame 1 only: " in tab.next.status.plain, timeout=60000)
    assert tab.next.more.button.text() == "Look at 2 more frames"
    tab.next.more.button.click()
    qtbot.waitUntil(lambda: tab.acceptance.candidates.frames == (0, 1, 2) and not tab.previewer.busy, timeout=60000)


@pytest.mark.usefixtures("fake_anlage")
def test_a_proposed_place_is_shown_and_becomes_a_sparse_region(docked, odd, qtbot) -> None:
    viewer, dock = docked
    tab, session = dock.predict, dock.session
    previewed(viewer, dock, odd, qtbot, t=0)
    candidates = tab.acceptance.candidates
    candidates.nuclei.probability[1] = 0.45  # near the threshold
    go_to_frame(viewer, odd, 2)
    tab.next.find.button.click()
    qtbot.waitUntil(lambda: tab.next.status.plain.startswith("Looked at"), timeout=60000)
    assert tab.next.status.plain == "Looked at frame 0 only: 1 place, least sure first."
    assert camera.current_frame(viewer, session.grid(), 3) == 0
    tab.next.here.button.click()
    (region,) = session.regions
    assert (region.box.t, region.complete) == ((0, 1), False)
    assert region.box.contains(candidates.nuclei.positions[1:]).all()


@pytest.mark.usefixtures("fake_anlage")
def test_a_failed_preview_is_one_sentence(docked, odd, qtbot, monkeypatch) -> None:
    _, dock = docked
    told = []
    monkeypatch.setattr("napari_anlage.widgets.basic.show_error", told.append)
    dock.session.set_diameter(999.0)
    dock.predict.preview.button.click()
    qtbot.waitUntil(lambda: bool(told), timeout=60000)
    assert told == ["The nucleus diameter 999 µm is larger than the image."]
    assert dock.predict.status.plain == told[0]
    assert dock.predict.preview.button.isEnabled()
    assert not dock.session.jobs.running


@pytest.mark.usefixtures("fake_anlage")
def test_a_preview_can_be_cancelled(docked, odd, qtbot) -> None:
    viewer, dock = docked
    tab = dock.predict
    go_to_frame(viewer, odd, 0)
    tab.preview.button.click()
    assert [job.title for job in dock.session.jobs.running] == ["Predicting frame 0"]
    tab.cancel.click()
    qtbot.waitUntil(lambda: tab.status.plain == "Cancelled." and tab.preview.button.isEnabled(), timeout=60000)
    assert not dock.session.jobs.running
    assert tab.acceptance.candidates is None


@pytest.mark.usefixtures("fake_anlage")
def test_run_all_stop_resume_and_show(docked, qtbot, monkeypatch) -> None:
    _, dock = docked
    whole, session = dock.predict.whole, dock.session
    assert (whole.first.value(), whole.last.value()) == (0, 2)
    monkeypatch.setenv("FAKE_FRAME_SECONDS", "1")
    whole.run.button.click()
    qtbot.waitUntil(lambda: "1 of 3 frames" in whole.status.plain, timeout=60000)
    (job,) = session.jobs.running
    assert job.title == "Predicting 3 frames"
    assert "A movie is being predicted" in whole.run.button.toolTip()
    job.stop()
    qtbot.waitUntil(lambda: not whole.busy, timeout=10000)
    assert whole.status.plain.startswith("Stopped; ")
    (result,) = results(session.folder)
    done = len(result.parts.done)
    assert result.state == "stopped"
    assert 1 <= done < 3
    assert f"stopped, {done} done" in whole.list.item(0).text()

    monkeypatch.setenv("FAKE_FRAME_SECONDS", "0")
    whole.resume.button.click()
    qtbot.waitUntil(lambda: "3 proposals in 3 frames" in whole.status.plain, timeout=60000)
    assert results(session.folder)[0].state == "finished"
    assert not PredictionParts.beside(result.path).folder.exists()
    assert dock.predict.acceptance.candidates.frames == (0, 1, 2)
    assert len(dock.predict.acceptance.candidates) == 6
    assert whole.resume.button.toolTip() == "It is finished."
    assert not session.jobs.running
    dock.predict.acceptance.clear()
    whole.show_button.button.click()
    qtbot.waitUntil(lambda: dock.predict.acceptance.candidates is not None, timeout=60000)


def test_the_command_line_works_in_a_shell_and_its_result_is_listed(
    make_napari_viewer_proxy, monkeypatch, tmp_path: Path, blobs, odd, qtbot
) -> None:
    """With the real program; the image lies in a file with a blank in its name."""
    from anlage import Spacing

    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    file = tmp_path / "my movie.ome.zarr"
    write_image(file, blobs[0][:, None], spacing=Spacing(2.0, 0.53, 0.47), interval_s=60.0)
    viewer = make_napari_viewer_proxy()
    layer = viewer.add_image(blobs[0], name="movie", **odd)
    layer.metadata["anlage"] = {"path": str(file)}
    _, dock = viewer.window.add_plugin_dock_widget("anlage", "anlage")
    tab = dock.predict
    tab.models.combo.setCurrentIndex(tab.models.combo.count() - 1)
    tab.whole.last.setValue(1)
    tab.whole.copy.button.click()
    qtbot.waitUntil(lambda: "Copied" in tab.whole.status.plain, timeout=60000)
    line = QGuiApplication.clipboard().text()
    assert str(file) in shlex.split(line)
    assert not tab.whole.list.isVisibleTo(tab)  # nothing began yet
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=240, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    tab.whole.refresh()
    (result,) = results(dock.session.folder)
    assert result.state == "finished"
    found = open_annotations(result.path)
    assert set(found.frames) == {0, 1}
    tab.whole.show_button.button.click()
    qtbot.waitUntil(lambda: tab.acceptance.candidates is not None, timeout=60000)
    near = np.abs(found.positions[:, None] - blobs[1][None]).max(axis=2).min(axis=0)
    assert (near[blobs[1][:, 0] < 2] < 1.5).mean() > 0.9
    tab.retire()
