"""Move the viewer: the current frame, and going to a position in the image. Knows no Qt."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_anlage.viewer.grid import LayerGrid

__all__ = ["current_frame", "go_to", "world_unit"]


def go_to(viewer: Any, grid: LayerGrid, position_tzyx: tuple[float, float, float, float]) -> None:
    """Show a place: its frame and plane, with the camera above it."""
    world = grid.world(position_tzyx)
    world = [value / world_unit(viewer, grid, i) for i, value in enumerate(world)]
    ndim = viewer.dims.ndim
    axes = range(ndim - len(world), ndim)
    kept = [i for i, axis in enumerate(grid.axes) if axis != "c"]
    viewer.dims.set_point([axes[i] for i in kept], [world[i] for i in kept])
    shown = [world[i] for i in range(len(world)) if axes[i] in viewer.dims.displayed]
    viewer.scene.camera.center = tuple([0.0] * (3 - len(shown)) + shown)


def _along(grid: LayerGrid, tzyx: npt.NDArray[np.float64], n_channels: int) -> npt.NDArray[np.float64]:
    """Positions (N, 4) or vectors (N, 2, 4) with a column for each of the layer's axes, repeated for each channel."""
    columns = [tzyx[..., "tzyx".index(axis)] if axis in "tzyx" else np.zeros(tzyx.shape[:-1]) for axis in grid.axes]
    data = np.stack(columns, axis=-1)
    if "c" not in grid.axes:
        return data
    every = np.concatenate([data] * n_channels)
    channel = np.repeat(np.arange(n_channels, dtype=float), len(data))
    starts = every if data.ndim == 2 else every[:, 0]
    starts[:, grid.axes.index("c")] = channel
    return every


def _transposed(zyx: npt.NDArray[Any], axes: str) -> npt.NDArray[Any]:
    order = [axis for axis in axes if axis in "zyx"]
    data = zyx if "z" in order else zyx[0]
    have = "zyx" if "z" in order else "yx"
    return data.transpose([have.index(axis) for axis in order])


def current_frame(viewer: Any, grid: LayerGrid, n_frames: int) -> int:
    """The frame that the viewer shows, of the image on this grid."""
    t = grid.index("t")
    if t is None:
        return 0
    axis = viewer.dims.ndim - len(grid.axes) + t
    world = float(viewer.dims.point[axis]) * world_unit(viewer, grid, t)
    return int(np.clip(round((world - grid.offset[t]) / grid.scale[t]), 0, n_frames - 1))


def world_unit(viewer: Any, grid: LayerGrid, i: int) -> float:
    """World units of the grid's layer in one of the viewer's, along one axis."""
    units = viewer.layers.units
    if units is None:
        return 1.0
    theirs = units[i - len(grid.axes)]
    if theirs.dimensionality != grid.units[i].dimensionality:
        return 1.0
    return float((1.0 * theirs).to(str(grid.units[i])).magnitude)
