"""Handles on the walls of the selected region: drag them with the mouse in the plane that is shown. Knows no Qt."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from psygnal import Signal

from anlage import AnlageError, Box
from napari_anlage.session.session import Session
from napari_anlage.viewer import camera, layer_roles

__all__ = ["BoxHandles", "core_for", "grabbed", "moved_box"]

_REACH_PX = 8.0
"""The mouse holds a wall from so many pixels away."""

Ends = tuple[tuple[int, int], ...]


class BoxHandles:
    """Edges, corners and the inside of the selected region's rectangle as handles."""

    moved = Signal(object)
    """The box while it is dragged."""
    change_finished = Signal(object)
    """The box when the mouse was released."""
    ended = Signal()
    """The handles were taken away, because something else was chosen in the viewer."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._layer: Any = None

    def switch(self, on: bool) -> None:  # noqa: FBT001  what a toggled button sends
        """Let the mouse move the walls, or no more."""
        if on and self._layer is None:
            self._begin()
        elif not on and self._layer is not None:
            self._end()

    def _begin(self) -> None:
        viewer = self._session.viewer
        layer = next((layer for layer in viewer.layers if layer_roles.role_of(layer) == layer_roles.REGIONS), None)
        if layer is None:
            return
        self._layer = layer
        layer.mouse_drag_callbacks.append(self._on_drag)
        layer.mouse_move_callbacks.append(self._on_move)
        viewer.layers.selection.active = layer
        viewer.layers.selection.events.active.connect(self._on_active)

    def _end(self) -> None:
        layer, self._layer = self._layer, None
        self._session.viewer.layers.selection.events.active.disconnect(self._on_active)
        layer.mouse_drag_callbacks.remove(self._on_drag)
        layer.mouse_move_callbacks.remove(self._on_move)
        layer.mouse_pan = True
        layer.cursor = "standard"
        self.ended.emit()

    def _on_active(self, event: Any) -> None:
        if event.value is not self._layer and self._layer is not None:
            self._end()

    # ---- the mouse ----

    def _on_move(self, layer: Any, event: Any) -> None:
        """Say by the cursor what would be moved; the camera stays where a wall can be held."""
        held = self._held(event) is not None
        layer.mouse_pan = not held
        layer.cursor = "pointing" if held else "standard"

    def _on_drag(self, layer: Any, event: Any) -> Iterator[None]:
        held = self._held(event)
        if held is None or event.button != 1:
            return
        box, axes, ends = held
        start = self._voxel(event, axes)
        layer.mouse_pan = False
        event.handled = True
        yield
        changed = box
        while event.type == "mouse_move":
            event.handled = True
            shift = np.rint(self._voxel(event, axes) - start).astype(int)
            changed = moved_box(box, axes, ends, shift, self._session.image().shape_tzyx)
            self.moved.emit(changed)
            yield
        layer.mouse_pan = True
        self.change_finished.emit(changed)

    def _held(self, event: Any) -> tuple[Box, str, Ends] | None:
        """The selected box, the axes on screen, and which of its ends the mouse holds along each; None: none."""
        session = self._session
        viewer = session.viewer
        region = next((region for region in session.regions if region.id == session.selected), None)
        if region is None or viewer.dims.ndisplay != 2:
            return None
        grid = session.grid()
        first = viewer.dims.ndim - len(grid.axes)
        axes = "".join(grid.axes[i - first] for i in viewer.dims.displayed if i >= first)
        if len(axes) != 2 or "c" in axes:
            return None
        ranges = dict(zip("tzyx", region.box.ranges, strict=True))
        for i, axis in enumerate(grid.axes):
            if axis not in axes and axis != "c":
                world = float(viewer.dims.point[first + i]) * camera.world_unit(viewer, grid, i)
                here = round((world - grid.offset[i]) / grid.scale[i])
                if not ranges[axis][0] <= here < ranges[axis][1]:
                    return None
        reach = [_REACH_PX / float(viewer.scene.camera.zoom) / self._world_per_voxel(axis) for axis in axes]
        ends = grabbed([ranges[axis] for axis in axes], self._voxel(event, axes), reach)
        return None if ends is None else (region.box, axes, ends)

    def _world_per_voxel(self, axis: str) -> float:
        grid, viewer = self._session.grid(), self._session.viewer
        i = grid.axes.index(axis)
        return abs(grid.scale[i]) / camera.world_unit(viewer, grid, i)

    def _voxel(self, event: Any, axes: str) -> npt.NDArray[np.float64]:
        """Where the mouse is along the axes on screen, in voxels."""
        grid, viewer = self._session.grid(), self._session.viewer
        world = np.array(event.position, dtype=float)[-len(grid.axes) :]
        at = []
        for axis in axes:
            i = grid.axes.index(axis)
            at.append((world[i] * camera.world_unit(viewer, grid, i) - grid.offset[i]) / grid.scale[i])
        return np.array(at)


def grabbed(ranges: list[tuple[int, int]], at: npt.NDArray[np.float64], reach: list[float]) -> Ends | None:
    """Which ends of a rectangle are held at a place: for each axis whether the first and the last end move (1) or not (0).

    Near an edge, that edge; near a corner, both edges; well inside, all four: the whole rectangle. None: outside.
    """
    inside, ends = [], []
    for (low, high), here, near in zip(ranges, at, reach, strict=True):
        near = min(near, (high - low) / 3)  # a narrow box keeps an inside
        first, last = abs(here - (low - 0.5)) <= max(near, 0.5), abs(here - (high - 0.5)) <= max(near, 0.5)
        if first and last:
            first, last = here < (low + high - 1) / 2, here >= (low + high - 1) / 2
        if not (low - 0.5 - near <= here <= high - 0.5 + near):
            return None
        ends.append((int(first), int(last)))
        inside.append(not first and not last)
    return ((1, 1), (1, 1)) if all(inside) else tuple(ends)


def moved_box(
    box: Box, axes: str, ends: Ends, shift: npt.NDArray[np.int64], shape_tzyx: tuple[int, int, int, int]
) -> Box:
    """A box whose held ends were moved by whole voxels, kept inside the image and at least one voxel wide."""
    start, stop = list(box.start), list(box.stop)
    for axis, (first, last), by in zip(axes, ends, shift.tolist(), strict=True):
        i = "tzyx".index(axis)
        n = shape_tzyx[i]
        if first and last:
            by = int(np.clip(by, -start[i], n - stop[i]))
            start[i], stop[i] = start[i] + by, stop[i] + by
        elif first:
            start[i] = int(np.clip(start[i] + by, 0, stop[i] - 1))
        elif last:
            stop[i] = int(np.clip(stop[i] + by, start[i] + 1, n))
    return Box.of(start, stop)


def core_for(before: Box, core: Box, box: Box) -> Box:
    """The core of a region whose box was changed.

    A wall that was moved is where the user says that annotation is complete, so the core reaches it; at a wall that
    stayed, the unknown margin stays.
    """
    start, stop = list(box.start), list(box.stop)
    for i in range(4):
        if box.start[i] == before.start[i]:
            start[i] = min(core.start[i], stop[i] - 1)
        if box.stop[i] == before.stop[i]:
            stop[i] = max(core.stop[i], start[i] + 1)
    inside = Box.of(start, stop).intersection(box)
    if inside is None:
        raise AnlageError(f"The box {box} leaves no room for a core.")
    return inside
