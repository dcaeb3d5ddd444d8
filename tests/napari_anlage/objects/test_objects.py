"""Objects of a Labels layer: measured, linked to the viewer, shown as surfaces, saved; and labels that look wrong."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from napari.components import ViewerModel

from anlage import open_image, open_label_image
from napari_anlage.annotate.label_check import LabelCheck
from napari_anlage.objects.panel import ObjectsPanel
from napari_anlage.objects.table import title_of
from napari_anlage.session.session import Session


@pytest.fixture
def made(qtbot, odd, blobs, tmp_path):
    """A panel beside a viewer without a window: a movie, and labels (t, z, y, x) over it."""
    viewer = ViewerModel()
    viewer.add_image(blobs[0], name="movie", **odd)
    labels = np.zeros(blobs[0].shape, np.uint16)
    z, y, x = np.ogrid[: labels.shape[1], : labels.shape[2], : labels.shape[3]]
    for t in range(3):
        labels[t][((z - 6) * 2) ** 2 + ((y - 15) * 0.5) ** 2 + ((x - 14) * 0.5) ** 2 <= 25] = 3
        labels[t, 4:8, 30:40, 35 : 45 - t] = 9
    labels[2][labels[2] == 3] = 0
    layer = viewer.add_labels(labels, name="painted", **odd)
    session = Session.of(viewer)
    session.choose_image(viewer.layers["movie"])
    session.set_folder(tmp_path / "movie.anlage")
    panel = ObjectsPanel(session)
    qtbot.addWidget(panel)
    panel.resize(360, 700)
    panel.show()
    yield panel, viewer, layer, session
    panel.retire()
    session.close()


def measured(made, qtbot):
    panel = made[0]
    panel.measure.button.click()
    qtbot.waitUntil(lambda: not panel._thread.busy, timeout=60_000)
    assert panel.status.kind == "good", panel.status.plain
    return panel


def shown_row(panel) -> list[str]:
    """The selected row as the user reads it."""
    (index,) = {i.row() for i in panel.view.selectionModel().selectedIndexes()}
    model = panel.view.model()
    return [str(model.index(index, c).data()) for c in range(model.columnCount())]


def test_a_table_in_micrometres_with_the_images_brightness(made, qtbot) -> None:
    panel = measured(made, qtbot)
    assert panel.status.plain.startswith("5 objects, median ")
    assert "µm³" in panel.status.plain
    table = panel.view.table.columns
    assert table["label"].tolist() == [3, 9, 3, 9, 9]
    assert table["volume_um3"][1] == pytest.approx(4 * 10 * 10 * 2 * 0.53 * 0.47)
    assert table["movie_mean"][0] > 0
    titles = [panel.view.model().headerData(c, panel.view.horizontalHeader().orientation()) for c in range(4)]
    assert titles == ["object", "frame", "volume\nµm³", "diameter\nµm"]
    assert title_of("axis_major_um") == "axis major\nµm"


def test_a_click_on_a_row_goes_to_the_object_and_picks_its_label(made, qtbot, odd) -> None:
    panel = measured(made, qtbot)
    _, viewer, layer, _ = made
    panel.view.selectRow(4)  # label 9 in frame 2
    assert layer.selected_label == 9
    table = panel.view.table
    world = [o + s * v for o, s, v in zip(odd["translate"], odd["scale"], table.positions[4], strict=True)]
    np.testing.assert_allclose(viewer.dims.point[:2], [world[0], world[1]], atol=1.01)
    np.testing.assert_allclose(viewer.scene.camera.center[1:], world[2:])
    panel.alone.setChecked(True)
    assert layer.show_selected_label
    panel.alone.setChecked(False)
    assert not layer.show_selected_label


def test_a_label_that_is_picked_in_the_viewer_selects_its_row_in_this_frame(made, qtbot, odd) -> None:
    panel = measured(made, qtbot)
    _, viewer, layer, _ = made
    viewer.dims.set_point(0, odd["translate"][0] + odd["scale"][0])
    layer.selected_label = 3
    assert shown_row(panel)[:2] == ["3", "1"]
    before = viewer.dims.point
    layer.selected_label = 9
    assert shown_row(panel)[:2] == ["9", "1"]
    assert viewer.dims.point == before, "whoever picks a label is there already"
    layer.selected_label = 5
    assert not panel.view.selectionModel().selectedIndexes()


def test_sorting_keeps_rows_and_objects_together(made, qtbot) -> None:
    panel = measured(made, qtbot)
    panel.view.sortByColumn(2, panel.view.horizontalHeader().sortIndicatorOrder().DescendingOrder)
    volumes = panel.view.table.columns["volume_um3"][panel.view.rows()]
    assert (np.diff(volumes) <= 0).all()
    panel.view.selectRow(0)
    assert made[2].selected_label == panel.view.table.columns["label"][panel.view.rows()[0]]


def test_surfaces_and_points_lie_on_the_objects(made, qtbot) -> None:
    pytest.importorskip("trimesh")
    panel, viewer, layer, _ = made
    for button, kind in ((panel.surfaces, "surfaces"), (panel.points, "points")):
        button.click()
        qtbot.waitUntil(lambda: not panel._thread.busy, timeout=60_000)
        assert panel.status.kind == "good", panel.status.plain
        shown = viewer.layers[f"painted: {kind}"]
        extent = shown.extent.world
        painted = np.argwhere(np.asarray(layer.data[0]))
        low, high = painted.min(axis=0) - 1.6, painted.max(axis=0) + 1.6
        reached = [layer.data_to_world([0, *corner]) for corner in (low, high)]
        assert (extent[0, 1:] >= np.array(reached[0])[1:]).all()
        assert (extent[1, 1:] <= np.array(reached[1])[1:]).all()
        assert (extent[1] - extent[0])[1:].min() > 2
    assert viewer.layers["painted: surfaces"].vertex_colors.shape[1] == 4


def test_everything_can_be_saved_and_read_again(made, qtbot, tmp_path: Path) -> None:
    panel = measured(made, qtbot)
    layer = made[2]

    def save(kind: str, name: str) -> Path:
        panel.begin_saving(kind, tmp_path / name)
        qtbot.waitUntil(lambda: not panel._thread.busy, timeout=60_000)
        assert panel.status.plain == f"Saved as {tmp_path / name}."
        return tmp_path / name

    assert pd.read_csv(save("table", "objects.csv"))["label"].tolist() == [3, 9, 3, 9, 9]
    for name in ("labels.ome.zarr", "labels.ome.tif"):
        read = open_label_image(save("labels", name))
        assert read.spacing.zyx == pytest.approx((2.0, 0.53, 0.47))
        assert read.interval_s == pytest.approx(60)
        assert read.shape_tzyx == layer.data.shape
        np.testing.assert_array_equal(read.frame(2)[0], layer.data[2])
    assert open_image(tmp_path / "labels.ome.zarr").dtype == np.uint16
    assert save("points", "points.csv").read_text().startswith("t,label,x_um,y_um,z_um")


def test_it_says_why_nothing_can_be_measured(qtbot) -> None:
    viewer = ViewerModel()
    session = Session.of(viewer)
    panel = ObjectsPanel(session)
    qtbot.addWidget(panel)
    panel.show()
    assert panel.measure.reason.text() == "There is no Labels layer; paint objects, or predict labels."
    viewer.add_labels(np.ones((4, 8, 8), np.uint8), name="labels")
    assert panel.measure.reason.text() == "The voxel size is unknown; type it in µm on the Data tab."
    viewer.layers["labels"].units = ("µm",) * 3
    session.layers_changed.emit()
    assert panel.measure.button.isEnabled()
    viewer.layers.clear()
    assert not panel.measure.button.isEnabled()


def test_measuring_can_be_cancelled(made, qtbot, monkeypatch) -> None:
    panel = made[0]

    def endless(source, progress) -> None:
        while True:
            progress(1, 5)
            time.sleep(0.01)

    with monkeypatch.context() as patched:
        patched.setattr("napari_anlage.objects.panel.measure_layer", endless)
        panel.measure.button.click()
        assert panel.cancel.isVisible()
        assert not panel.measure.button.isEnabled()
        qtbot.waitUntil(lambda: panel.bar.maximum() == 5, timeout=10_000)
        panel.cancel.click()
        qtbot.waitUntil(lambda: not panel._thread.busy, timeout=10_000)
    assert panel.status.plain == "Cancelled."
    assert panel.cancel.isHidden()
    measured(made, qtbot)


def test_what_looks_wrong_in_labels_is_listed_and_a_click_goes_there(made, qtbot, odd) -> None:
    _, viewer, layer, session = made
    check = LabelCheck(session)
    qtbot.addWidget(check)
    data = layer.data.copy()
    data[0, 4:8, 2:6, 40:46] = 9
    layer.data = data
    check.check.button.click()
    qtbot.waitUntil(lambda: not check._thread.busy, timeout=60_000)
    assert "Label 9 is in 2 separate pieces in frame 0" in check.list.item(0).text()
    assert "1 × one number on several objects" in check.status.plain
    check.list.itemClicked.emit(check.list.item(0))
    assert layer.selected_label == 9
    world_y, world_x = viewer.scene.camera.center[1:]
    y, x = (world_y - odd["translate"][2]) / odd["scale"][2], (world_x - odd["translate"][3]) / odd["scale"][3]
    assert data[0, 5, round(y), round(x)] == 9
    viewer.layers.remove(layer)
    assert check.isHidden()
