"""What is in view, in voxels of the image, whatever its scale and place."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel

from anlage import AnlageError, Box
from napari_anlage.viewer.grid import LayerGrid
from napari_anlage.viewer.view_box import seen_box

SHAPE = (3, 12, 48, 52)


def scene(odd, **more):
    viewer = ViewerModel()
    image = viewer.add_image(np.zeros(SHAPE), **{**odd, **more})
    viewer.canvas.size = (100, 200)  # height and width in pixels
    return viewer, image, LayerGrid.of(image, "tzyx")


def look_at(viewer, image, voxel, *, height_um: float) -> None:
    world = image.data_to_world(voxel)
    viewer.dims.set_point((0, 1), world[:2])
    viewer.scene.camera.center = (0, *world[2:])
    viewer.scene.camera.zoom = 100 / height_um


def test_the_rectangle_on_the_canvas_and_every_plane(odd) -> None:
    viewer, image, grid = scene(odd)
    look_at(viewer, image, (2, 4, 20, 25), height_um=5.3)  # ten voxels of 0.53 µm high, 10.6 µm wide
    box = seen_box(viewer, grid, SHAPE)
    assert (box.t, box.z) == ((2, 3), (0, 12))
    assert box.y == (15, 26)  # 14.5 … 25.5 is cut: voxels that are seen in part belong to it
    assert box.x[0] <= 25 - 10.6 / 0.47 / 2 + 1
    assert box.x[1] >= 25 + 10.6 / 0.47 / 2


def test_only_so_many_planes_around_the_slice(odd) -> None:
    viewer, image, grid = scene(odd)
    look_at(viewer, image, (1, 1, 20, 25), height_um=5.3)
    assert seen_box(viewer, grid, SHAPE, depth=3).z == (0, 5)


def test_zoomed_out_it_is_the_whole_frame(odd) -> None:
    viewer, image, grid = scene(odd)
    look_at(viewer, image, (1, 5, 20, 25), height_um=5000)
    assert seen_box(viewer, grid, SHAPE) == Box.of((1, 0, 0, 0), (2, 12, 48, 52))


def test_from_the_side_planes_take_the_place_of_rows(odd) -> None:
    viewer, image, grid = scene(odd)
    viewer.dims.order = (0, 2, 1, 3)  # z runs down the canvas
    world = image.data_to_world((1, 6, 20, 25))
    viewer.dims.set_point((0, 2), (world[0], world[2]))
    viewer.scene.camera.center = (0, world[1], world[3])
    viewer.scene.camera.zoom = 100 / 8  # 4 planes of 2 µm
    box = seen_box(viewer, grid, SHAPE, depth=2)
    assert box.z == (4, 9)
    assert box.y == (18, 23)


def test_in_3d_it_is_the_whole_frame(odd) -> None:
    viewer, image, grid = scene(odd)
    look_at(viewer, image, (2, 4, 20, 25), height_um=5.3)
    viewer.dims.ndisplay = 3
    assert seen_box(viewer, grid, SHAPE) == Box.of((2, 0, 0, 0), (3, 12, 48, 52))


def test_an_image_out_of_view_is_said(odd) -> None:
    viewer, image, grid = scene(odd)
    look_at(viewer, image, (2, 4, 2000, 25), height_um=5.3)
    with pytest.raises(AnlageError, match=r"No part of '.*' is in view; bring it back with the Home button"):
        seen_box(viewer, grid, SHAPE)
