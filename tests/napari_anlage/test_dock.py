"""The dock in a real viewer: the whole loop with a stand-in trainer, and everything that it says when it cannot."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from anlage import Box
from napari_anlage import overlay
from napari_anlage.dock import Dock

pytestmark = pytest.mark.viewer
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def docked(make_napari_viewer_proxy, home, qtbot):
    """A viewer with the dock in it, opened as napari does."""
    viewer = make_napari_viewer_proxy()
    _, widget = viewer.window.add_plugin_dock_widget("anlage", "anlage")
    yield viewer, widget
    widget.train.watcher.stop()
    widget.predict.stop()


def with_blobs(viewer, odd, blobs, **points):
    image = viewer.add_image(blobs[0], name="movie", **odd)
    world = np.array([image.data_to_world(c) for c in blobs[1]])
    return image, viewer.add_points(world, name="nuclei", units=odd["units"], axis_labels=odd["axis_labels"], **points)


def test_it_opens_from_the_manifest_narrow_and_says_what_to_do(docked) -> None:
    _, widget = docked
    assert isinstance(widget, Dock)
    assert [widget.tabs.tabText(i) for i in range(widget.tabs.count())] == ["Data", "Annotate", "Train", "Predict"]
    assert 320 <= widget.sizeHint().width() <= 380
    assert widget.maximumWidth() <= 380
    for i in range(4):  # nothing is wider than the dock, so nothing is cut
        assert widget.tabs.widget(i).widget().minimumSizeHint().width() <= 350
    assert "No image is chosen" in widget.data.status.plain
    for button in (widget.annotate.find, widget.train.start, widget.predict.preview):
        assert not button.button.isEnabled()
        assert "No image is chosen" in button.reason.text()


def test_it_follows_the_viewers_layers(docked, odd, blobs) -> None:
    viewer, widget = docked
    image, points = with_blobs(viewer, odd, blobs)
    assert widget.session.image_layer is not None
    assert widget.data.shape.text() == "T 3 · Z 12 · Y 48 · X 52"
    assert widget.data.axes.text() == "tzyx"
    assert "1 channel" in widget.data.status.plain
    assert widget.annotate.status.plain == "54 nuclei in frames 0–2."
    image.name = "renamed"
    assert widget.data.image.currentText() == "renamed"
    assert widget.train.start.reason.text() == "Find the cuboid first, on the Annotate tab."
    viewer.layers.remove(points)
    assert "No annotation yet" in widget.annotate.find.reason.text()


def test_an_unknown_voxel_size_is_asked_for(docked, blobs) -> None:
    viewer, widget = docked
    viewer.add_image(blobs[0], scale=(1, 2, 0.5, 0.5))
    fields = widget.data.scale._fields
    assert [field.value() for field in fields] == [2, 0.5, 0.5]  # the scale is offered, not assumed
    assert "voxel size" in widget.predict.preview.reason.text()
    fields[0].editingFinished.emit()
    assert widget.predict.preview.button.isEnabled()
    assert widget.session.image().spacing.zyx == (2, 0.5, 0.5)


def test_channels_can_be_ticked(docked, blobs) -> None:
    viewer, widget = docked
    viewer.add_image(blobs[0], name="a", units=("s", "µm", "µm", "µm"))
    viewer.add_image(blobs[0], name="b", units=("s", "µm", "µm", "µm"))
    assert [tick.text() for tick in widget.data.ticks] == ["a", "b"]
    assert not widget.data._combine.isVisibleTo(widget.data)
    widget.data.ticks[1].setChecked(True)
    assert widget.data._combine.isVisibleTo(widget.data)
    widget.data.summed.setChecked(True)
    assert widget.session.combine == "sum"
    assert widget.session.image().channels == ("a", "b")
    for tick in widget.data.ticks:
        tick.setChecked(False)
    assert "No channel is ticked" in widget.predict.preview.reason.text()


def test_a_rotated_layer_is_refused_with_the_reason(docked, blobs) -> None:
    viewer, widget = docked
    viewer.add_image(blobs[0], rotate=20, name="tilted")
    assert "'tilted' is rotated or sheared" in widget.data.status.plain
    assert "'tilted' is rotated or sheared" in widget.train.start.reason.text()


@pytest.mark.usefixtures("fake_anlage")
def test_the_whole_loop(docked, odd, blobs, qtbot, home) -> None:
    """Find the cuboid, change it, train, stop, resume, preview: every step from the buttons."""
    viewer, widget = docked
    image, _ = with_blobs(viewer, odd, blobs)
    annotate, train, predict = widget.annotate, widget.train, widget.predict

    annotate.find.button.click()
    qtbot.waitUntil(lambda: bool(widget.session.cuboids), timeout=20000)
    (cuboid,) = widget.session.cuboids
    assert cuboid.n_nuclei == 54
    assert "54 nuclei" in annotate.evidence.text()
    boxes = [layer for layer in viewer.layers if overlay.role_of(layer) == "cuboid"]
    assert len(boxes) == 1

    annotate.sliders.sliders["t"].setValue((0, 1))
    qtbot.waitUntil(lambda: widget.session.cuboids[0].n_nuclei == 36, timeout=3000)
    assert widget.session.cuboids[0].frames == (0, 1)
    assert widget.session.cuboids[0].core.z == cuboid.core.z  # walls that stayed keep their margin
    assert set(boxes[0].data[:, 0, 0]) == {0, 1}
    viewer.dims.ndisplay = 3
    assert len(boxes[0].data) == 2 * 12
    viewer.dims.ndisplay = 2

    train.special.set_value("diameter_um", 5.0)
    train.start.button.click()
    qtbot.waitUntil(lambda: len(train.watcher.curve.train) > 5, timeout=30000)
    run = widget.session.run
    assert run.path.parent == home / "anlage" / "movie.anlage" / "runs"
    assert run.config.settings["diameter_um"] == 5.0
    assert "s left" in train.status.plain
    assert "stop it to start another" in train.start.reason.text()
    train.stop.button.click()
    qtbot.waitUntil(lambda: train.watcher.state == "stopped", timeout=5000)
    assert train.resume.button.isEnabled()
    train.resume.button.click()
    qtbot.waitUntil(lambda: train.watcher.state == "finished", timeout=20000)
    assert train.status.plain == "Finished. Preview it on the Predict tab."
    assert len(train.plot._train.xData) == 40
    assert "finished" in widget.footer.text()
    assert run.name.endswith(predict.model.currentText())

    predict.model.setCurrentIndex(predict.model.findText("classical detector"))
    viewer.dims.set_point(0, image.data_to_world((2, 0, 0, 0))[0])
    predict.preview.button.click()
    qtbot.waitUntil(lambda: "1 proposal in frame 2" in predict.status.plain, timeout=30000)
    centres = next(layer for layer in viewer.layers if overlay.role_of(layer) == "preview centres")
    heat = next(layer for layer in viewer.layers if overlay.role_of(layer) == "preview heat-map")
    brightest = np.unravel_index(blobs[0][2].argmax(), blobs[0][2].shape)
    world = image.data_to_world((2, *brightest))
    np.testing.assert_allclose(centres.data_to_world(centres.data[0]), world)
    hottest = np.unravel_index(np.asarray(heat.data).argmax(), heat.data.shape)
    np.testing.assert_allclose(heat.data_to_world(hottest), world)
    assert not predict.cancel.isVisibleTo(predict)
    assert not list(Path(os.environ.get("TMPDIR", "/tmp")).glob("anlage-preview-*/found.csv"))


@pytest.mark.usefixtures("fake_anlage")
def test_a_failed_training_is_one_sentence_and_can_be_resumed(docked, run, qtbot, monkeypatch) -> None:
    _, widget = docked
    told = []
    monkeypatch.setattr("napari_anlage.parts.show_error", told.append)
    (run.path / "die").touch()
    run.start()
    widget.show_run(run)
    qtbot.waitUntil(lambda: bool(told), timeout=20000)
    assert told == ["torch.cuda.OutOfMemoryError: CUDA out of memory"]
    assert widget.train.resume.button.isEnabled()
    (run.path / "die").unlink()
    widget.train.resume.button.click()
    qtbot.waitUntil(lambda: widget.train.watcher.state == "finished", timeout=20000)


def test_it_can_be_closed_and_opened_again(docked, odd, blobs, run, qtbot) -> None:
    viewer, first = docked
    with_blobs(viewer, odd, blobs)
    first.show_run(run)
    viewer.window.remove_dock_widget(first)
    qtbot.wait(50)
    _, second = viewer.window.add_plugin_dock_widget("anlage", "anlage")
    assert second is not first
    viewer.add_image(blobs[0], name="another")
    assert second.train.watcher.run is run
    assert second.data.image.count() == 2
    second.train.watcher.stop()


def test_a_changed_annotation_makes_the_cuboid_stale(docked, odd, blobs, qtbot) -> None:
    viewer, widget = docked
    image, points = with_blobs(viewer, odd, blobs)
    widget.annotate.find_cuboid()
    qtbot.waitUntil(lambda: bool(widget.session.cuboids), timeout=20000)
    points.add(image.data_to_world((1, 5, 20, 20)))
    assert widget.annotate.status.plain == "The annotation changed since the cuboid was found; find it again."
    widget.annotate.sliders.sliders["z"].setValue((1, 11))
    qtbot.waitUntil(lambda: widget.session.cuboids[0].n_nuclei == 55, timeout=3000)


def test_a_doubt_leads_to_its_place(docked, odd, blobs, qtbot) -> None:
    viewer, widget = docked
    image, _ = with_blobs(viewer, odd, blobs)
    widget.annotate.find_cuboid()
    qtbot.waitUntil(lambda: bool(widget.session.cuboids), timeout=20000)
    from anlage import Doubt

    doubt = Doubt("A bright blob is not annotated.", (2.0, 8.0, 20.0, 30.0))
    import dataclasses

    widget.session.set_cuboids([dataclasses.replace(widget.session.cuboids[0], doubts=(doubt,))])
    item = widget.annotate.doubts.item(0)
    assert item.text() == "A bright blob is not annotated."
    widget.annotate.doubts.itemClicked.emit(item)
    assert viewer.dims.point[:2] == pytest.approx(image.data_to_world((2, 8, 20, 30))[:2])


def test_new_layers_are_made_over_the_image(docked, odd, blobs) -> None:
    viewer, widget = docked
    viewer.add_image(blobs[0], **odd)
    widget.annotate.new_points.click()
    points = widget.session.nuclei_layer
    assert "no nucleus yet" in widget.annotate.find.reason.text()
    points.add((0, 1.0, 40.0, 1010.0))
    assert widget.annotate.status.plain == "1 nucleus in frame 0."
    widget.annotate.new_labels.click()
    assert widget.session.nuclei_layer is not points
    assert len(viewer.layers) == 3


def test_menus_samples_and_manifest(make_napari_viewer_proxy, home, qtbot) -> None:
    import npe2

    manifest = npe2.PluginManifest.from_file(ROOT / "napari.yaml")
    assert manifest.name == "anlage"
    menus = manifest.contributions.menus
    assert {"napari/layers/annotate", "napari/layers/segment"} <= set(menus)
    viewer = make_napari_viewer_proxy()
    layers = viewer.open_sample("anlage", "embryo")
    assert [layer.name for layer in layers] == ["embryo", "embryo nuclei"]
    npe2.PluginManager.instance().commands.execute("anlage.open", args=(viewer,))
    (dock,) = viewer.window.dock_widgets.values()
    assert isinstance(dock, Dock)
    assert "nuclei in frames 0–2" in dock.annotate.status.plain
    spacing = dock.session.image().spacing
    assert spacing is not None
    assert spacing.zyx == (2.0, 0.5, 0.5)
    radius = dock.session.annotations().radius_um
    assert np.isfinite(radius).all()


def test_opening_the_dock_loads_no_torch() -> None:
    code = (
        "import sys, napari, numpy as np\n"
        "viewer = napari.Viewer(show=False)\n"
        "viewer.add_image(np.zeros((2, 4, 8, 8)), units=('s', 'µm', 'µm', 'µm'))\n"
        "viewer.window.add_plugin_dock_widget('anlage', 'anlage')\n"
        "print('LOADED', sorted(m for m in ('torch', 'matplotlib.pyplot') if m in sys.modules))\n"
        "viewer.close()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert "LOADED []" in done.stdout, done.stderr


def test_a_box_is_edited_only_where_it_was_moved() -> None:
    from anlage import Cuboid
    from napari_anlage.widgets.annotate import edited

    core, box = Box.of((0, 2, 5, 5), (3, 8, 20, 20)), Box.of((0, 1, 3, 3), (3, 9, 22, 22))
    cuboid = Cuboid(box=box, core=core, n_nuclei=4, frames=(0, 1, 2), cut_walls=(), doubts=())
    moved = edited(cuboid, Box.of((0, 1, 3, 3), (3, 9, 22, 16)), None)
    assert moved.core == Box.of((0, 2, 5, 5), (3, 8, 20, 16))
    assert edited(cuboid, box, None).core == core
