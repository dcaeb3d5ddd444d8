"""The part of the image that is in view, as a box of voxels, for previews. Knows no Qt."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from anlage import AnlageError, Box
from napari_anlage.viewer import camera
from napari_anlage.viewer.grid import LayerGrid

__all__ = ["seen_box"]


def seen_box(viewer: Any, grid: LayerGrid, shape_tzyx: tuple[int, int, int, int], depth: float = math.inf) -> Box:
    """The voxels of one frame that are in view.

    In the 2D view that is the rectangle on the canvas, and `depth` voxels to both sides of the slice along the axis that is
    looked along; in the 3D view, the whole frame.

    Parameters
    ----------
    viewer
        The viewer.
    grid
        Where the image's voxels lie.
    shape_tzyx
        The image's shape.
    depth
        Voxels before and behind the slice that is shown.

    Raises
    ------
    AnlageError
        If no part of the image is in view.
    """
    t = camera.current_frame(viewer, grid, shape_tzyx[0])
    ranges = {axis: (0.0, float(n)) for axis, n in zip("tzyx", shape_tzyx, strict=True)} | {"t": (t, t + 1)}
    if viewer.dims.ndisplay == 2:
        for i, axis in enumerate(grid.axes):
            if axis in "zyx":
                ranges[axis] = _in_view(viewer, grid, i, depth)
    low, high = (np.array([ranges[axis][end] for axis in "tzyx"]) for end in (0, 1))
    start, stop = np.floor(np.maximum(low, 0)), np.ceil(np.minimum(high, shape_tzyx))
    if (stop <= start).any():
        raise AnlageError(f"No part of '{grid.name}' is in view; bring it back with the Home button of napari.")
    return Box.of(start, stop)


def _in_view(viewer: Any, grid: LayerGrid, i: int, depth: float) -> tuple[float, float]:
    """First and one-past-last voxel in view, along one axis of the image."""
    axis = viewer.dims.ndim - len(grid.axes) + i
    unit = camera.world_unit(viewer, grid, i)
    shown = list(viewer.dims.displayed)

    def voxel(world: float) -> float:
        return (world * unit - grid.offset[i]) / grid.scale[i]

    if axis not in shown:
        here = round(voxel(float(viewer.dims.point[axis])))
        return here - depth, here + depth + 1
    place = shown.index(axis)
    centre = float(viewer.scene.camera.center[place - len(shown)])
    half = float(viewer.canvas.size[place - len(shown)]) / float(viewer.scene.camera.zoom) / 2
    ends = sorted((voxel(centre - half), voxel(centre + half)))
    return ends[0] + 0.5, ends[1] + 0.5
