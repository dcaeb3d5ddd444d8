"""Where the image lies in the viewer, and how nuclei are drawn over it as spheres. Knows no Qt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from anlage import AnlageError
from napari_anlage.viewer import camera
from napari_anlage.viewer.grid import LayerGrid

__all__ = ["Place"]

_EVERY_CHANNEL = 1000.0


@dataclass(frozen=True, slots=True)
class Place:
    """The image in the viewer.

    Layers of nuclei are placed so that their own z, y and x are world coordinates: then a point's size is the ball's
    diameter along each axis, whatever the voxels' shape. Along a channel axis they have a single place that is so wide
    that every channel shows them.

    Parameters
    ----------
    grid
        Where the image's voxels lie.
    shape_tzyx
        The image's shape.
    um
        World units in one µm.
    n_channels
        Length of the image layer's channel axis; 1 without one.
    """

    grid: LayerGrid
    shape_tzyx: tuple[int, int, int, int]
    um: float = 1.0
    n_channels: int = 1

    def as_points(self) -> dict[str, Any]:
        """Placement of a layer whose z, y and x are world coordinates."""
        grid = self.grid
        at = grid.placed(grid.axes, {"c": (self.n_channels - 1) / 2}, {"c": _EVERY_CHANNEL * self.n_channels})
        for i, axis in enumerate(grid.axes):
            if axis in "zyx":
                at["scale"][i], at["translate"][i] = 1.0, 0.0
        return at

    def to_points(self, tzyx: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Voxel positions (…, 4: t z y x) → coordinates of such a layer."""
        data = np.zeros((*tzyx.shape[:-1], len(self.grid.axes)))
        for i, axis in enumerate(self.grid.axes):
            if axis != "c":
                scale, offset = (1.0, 0.0) if axis == "t" else (self.grid.scale[i], self.grid.offset[i])
                data[..., i] = offset + scale * tzyx[..., "tzyx".index(axis)]
        return data

    def from_points(self, data: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Coordinates of such a layer → voxel positions (…, 4: t z y x); frames are whole."""
        tzyx = np.zeros((*data.shape[:-1], 4))
        for i, axis in enumerate(self.grid.axes):
            if axis != "c":
                scale, offset = (1.0, 0.0) if axis == "t" else (self.grid.scale[i], self.grid.offset[i])
                tzyx[..., "tzyx".index(axis)] = (data[..., i] - offset) / scale
        tzyx[..., 0] = np.rint(tzyx[..., 0])
        return tzyx

    def frame(self, viewer: Any) -> int:
        """The frame that the viewer shows."""
        return camera.current_frame(viewer, self.grid, self.shape_tzyx[0])

    def show_frame(self, viewer: Any, t: int) -> None:
        """Let the viewer show another frame; the plane and the camera stay."""
        axis = self.grid.index("t")
        if axis is not None:
            unit = camera.world_unit(viewer, self.grid, axis)
            world = (self.grid.offset[axis] + self.grid.scale[axis] * t) / unit
            viewer.dims.set_point(viewer.dims.ndim - len(self.grid.axes) + axis, world)

    def cursor(self, viewer: Any) -> npt.NDArray[np.float64]:
        """The voxel (t, z, y, x) that the mouse points at, in the frame and plane that are shown.

        Raises
        ------
        AnlageError
            In the 3D view, where the mouse points at a line, or outside the image.
        """
        if viewer.dims.ndisplay != 2:
            raise AnlageError("In the 3D view a click has no depth; switch to the 2D view (Ctrl+Y) to mark nuclei.")
        n = len(self.grid.axes)
        world = np.array(viewer.cursor.position, dtype=float)[-n:]
        hidden = [i for i in range(n) if viewer.dims.ndim - n + i in viewer.dims.not_displayed]
        world[hidden] = np.array(viewer.dims.point, dtype=float)[-n:][hidden]  # the mouse may not have moved since
        voxel = np.zeros(4)
        for i, axis in enumerate(self.grid.axes):
            if axis != "c":
                unit = camera.world_unit(viewer, self.grid, i)
                voxel["tzyx".index(axis)] = (world[i] * unit - self.grid.offset[i]) / self.grid.scale[i]
        voxel[0] = round(voxel[0])
        if (voxel < -0.5).any() or (voxel > np.array(self.shape_tzyx) - 0.5).any():
            raise AnlageError("The mouse is outside the image; point at a nucleus in it.")
        return voxel
