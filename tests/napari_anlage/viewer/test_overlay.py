"""What is drawn: at the right place and time, in any layer's scale, and without touching what the user had."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel

from anlage import Annotations, Box, DenseMap
from napari_anlage.viewer import camera, layer_roles, overlay
from napari_anlage.viewer.grid import LayerGrid
from napari_anlage.viewer.read import axes_of

PLACES = {
    "t z y x": {"shape": (3, 6, 20, 22), "scale": (60, 2, 0.5, 0.4), "translate": (120, -5, 30, 7), "axes": "tzyx"},
    "z y x": {"shape": (6, 20, 22), "scale": (2, 0.5, 0.4), "translate": (-5, 30, 7), "axes": "zyx"},
    "t y x": {"shape": (3, 20, 22), "scale": (60, 0.5, 0.4), "translate": (120, 30, 7), "axes": "tyx"},
    "t c z y x": {
        "shape": (3, 2, 6, 20, 22), "scale": (60, 1, 2, 0.5, 0.4), "translate": (120, 0, -5, 30, 7), "axes": "tczyx"
    },
}  # fmt: skip


def scene(place: str):
    about = dict(PLACES[place])
    axes, shape = about.pop("axes"), about.pop("shape")
    units = tuple({"t": "s", "c": "pixel"}.get(axis, "µm") for axis in axes)
    viewer = ViewerModel()
    layer = viewer.add_image(np.zeros(shape), axis_labels=tuple(axes), units=units, **about)
    lengths = dict(zip(axes, shape, strict=True))
    return viewer, layer, LayerGrid.of(layer, axes_of(layer)), lengths


@pytest.mark.parametrize("place", PLACES)
def test_centres_lie_at_the_nucleis_world_point_in_every_channel(place: str) -> None:
    viewer, image, grid, lengths = scene(place)
    t, z = (2 if "t" in lengths else 0), (4 if "z" in lengths else 0)
    n = lengths.get("c", 1)
    layer = overlay.show_centres(viewer, grid, Annotations.of([[t, z, 7.5, 9]], probability=0.8), 5.0, n, "m")
    for c in range(n):
        voxel = {"t": t, "c": c, "z": z, "y": 7.5, "x": 9}
        world = image.data_to_world([voxel[axis] for axis in grid.axes])
        np.testing.assert_allclose(layer.data_to_world(layer.data[c]), world)
    assert len(layer.data) == n
    assert layer.features["probability"].tolist() == [0.8] * n
    assert layer.name == "preview: centres (m)"


@pytest.mark.parametrize("place", PLACES)
def test_the_heat_map_lies_over_the_image_at_its_own_time_only(place: str) -> None:
    viewer, image, grid, lengths = scene(place)
    z = lengths.get("z", 1)
    data = np.zeros((z, 10, 11), np.float32)
    data[z - 1, 4, 3] = 1.0
    heatmap = DenseMap(data, (1.0, 2.0, 2.0), (0.0, 0.5, 0.5))
    frame = 1 if "t" in lengths else 0
    layer = overlay.show_heatmap(viewer, grid, frame, heatmap, lengths.get("c", 1), "m")
    for c in range(lengths.get("c", 1)):
        for t in range(lengths.get("t", 1)):
            voxel = {"t": t, "c": c, "z": z - 1, "y": 8.5, "x": 6.5}
            world = image.data_to_world([voxel[axis] for axis in grid.axes])
            viewer.dims.set_point(range(len(world)), world)
            assert layer.get_value(world, world=True) == (1.0 if t == frame else None)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("ndisplay", [2, 3])
def test_a_box_is_drawn_around_its_voxels_in_its_frames(place: str, ndisplay: int) -> None:
    viewer, image, grid, lengths = scene(place)
    z = (1, 4) if "z" in lengths else (0, 1)
    box = Box((1, 3), z, (5, 9), (2, 20)) if "t" in lengths else Box((0, 1), z, (5, 9), (2, 20))
    if lengths.get("z", 1) == 1 and "t" not in lengths:
        return
    viewer.dims.ndisplay = ndisplay
    overlay.show_boxes(viewer, grid, [box], 0, lengths.get("c", 1))
    layer = next(layer for layer in viewer.layers if layer_roles.role_of(layer) == "cuboid")
    ends = np.concatenate([layer.data[:, 0], layer.data.sum(axis=1)])
    column = {axis: ends[:, i] for i, axis in enumerate(grid.axes)}
    assert (column["y"].min(), column["y"].max()) == (4.5, 8.5)
    assert (column["x"].min(), column["x"].max()) == (1.5, 19.5)
    if "t" in lengths:
        assert set(column["t"]) == {1, 2}
    if "z" in lengths:
        assert (column["z"].min(), column["z"].max()) == ((1, 3) if ndisplay == 2 else (0.5, 3.5))
    np.testing.assert_allclose(layer.data_to_world([0.0] * layer.ndim), image.data_to_world([0.0] * layer.ndim))


def test_a_changed_box_moves_the_same_layer_and_leaves_the_selection() -> None:
    viewer, image, grid, _ = scene("t z y x")
    viewer.layers.selection.active = image
    overlay.show_boxes(viewer, grid, [Box.of((0, 0, 0, 0), (1, 2, 3, 4))], 0, 1)
    layer = viewer.layers[-1]
    overlay.show_boxes(viewer, grid, [Box.of((0, 0, 0, 0), (3, 6, 3, 4)), Box.of((1, 0, 0, 0), (2, 2, 9, 9))], 1, 1)
    assert viewer.layers[-1] is layer
    assert len(viewer.layers) == 2
    assert viewer.layers.selection.active is image
    assert len(layer.edge_color) == len(layer.data)
    overlay.show_boxes(viewer, grid, [], 0, 1)
    assert len(viewer.layers) == 1


def test_points_are_seen_over_their_depth_and_the_image_stays_sharp() -> None:
    viewer, image, grid, _ = scene("t z y x")
    viewer.dims.set_point((0, 1), (120, -5 + 2 * 3))
    for z, seen in ((3, True), (4, True), (5, False)):  # 2 µm planes, a ball of 5 µm
        layer = overlay.show_centres(viewer, grid, Annotations.of([[0, z, 7, 9]]), 5.0, 1, "m")
        shown = layer.get_value(
            image.data_to_world((0, 3, 7, 9)), view_direction=None, dims_displayed=[2, 3], world=True
        )
        assert (shown is not None) == seen
    assert str(image.projection_mode) == "none"


def test_going_somewhere_shows_its_frame_and_plane() -> None:
    viewer, image, grid, _ = scene("t z y x")
    camera.go_to(viewer, grid, (2, 4, 10, 11))
    assert viewer.dims.point[:2] == tuple(image.data_to_world((2, 4, 10, 11))[:2])
    np.testing.assert_allclose(viewer.scene.camera.center[1:], image.data_to_world((2, 4, 10, 11))[2:])
    assert camera.current_frame(viewer, grid, 3) == 2


def test_the_frame_is_found_when_another_layer_changes_the_viewers_units() -> None:
    viewer, image, grid, _ = scene("t z y x")
    viewer.add_points(np.zeros((1, 4)), units=("ms", "nm", "nm", "nm"))
    viewer.dims.set_point(0, 1000 * image.data_to_world((2, 0, 0, 0))[0])
    assert camera.current_frame(viewer, grid, 3) == 2
