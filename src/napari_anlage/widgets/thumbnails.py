"""Thumbnails of channels, from a few planes of the middle frame."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from anlage import Box, TimeLapse

__all__ = ["coarse_image", "thumbnail"]

SIDE = 40
"""Longest side of a thumbnail in pixels."""
_WINDOW = 1024
"""Of a larger plane only the middle is read, so many voxels wide."""
_PLANES = 3


def coarse_image(layer: Any, axes: str) -> TimeLapse:
    """A layer's image as coarse as a thumbnail allows: of a multiscale layer the smallest level that is large enough."""
    data = layer.data
    if getattr(layer, "multiscale", False):
        y, x = axes.index("y"), axes.index("x")
        fine = [level for level in data if max(level.shape[y], level.shape[x]) >= 2 * SIDE]
        data = fine[-1] if fine else data[0]
    return TimeLapse(data, axes + "c" * bool(getattr(layer, "rgb", False)), source=str(layer.name))


def thumbnail(image: TimeLapse, channel: int) -> npt.NDArray[np.uint8]:
    """The brightest of a few planes of the middle frame, (y, x), no side longer than `SIDE`, black to white."""
    t, z, y, x = image.shape_tzyx
    rows, columns = _middle(y), _middle(x)
    planes = sorted({(z * (2 * k + 1)) // (2 * _PLANES) for k in range(_PLANES)})
    seen = [image.read(Box((t // 2, t // 2 + 1), (k, k + 1), rows, columns), [channel])[0, 0, 0] for k in planes]
    plane = np.max([_shrunk(np.nan_to_num(piece.astype(np.float32))) for piece in seen], axis=0)
    low, high = np.percentile(plane, (2, 99.5))
    scaled = (plane - low) / max(float(high - low), 1e-12)
    grey: npt.NDArray[np.uint8] = (255 * np.clip(scaled, 0, 1)).astype(np.uint8)
    return grey


def _middle(length: int) -> tuple[int, int]:
    start = max(0, (length - _WINDOW) // 2)
    return start, min(length, start + _WINDOW)


def _shrunk(plane: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Means of square blocks."""
    step = -(-max(plane.shape) // SIDE)
    y, x = (max(1, n // step) for n in plane.shape)
    kept = plane[: y * step, : x * step]
    if min(plane.shape) < step:  # thinner than a block
        return plane[:: max(1, plane.shape[0] // y), :: max(1, plane.shape[1] // x)][:y, :x]
    small: npt.NDArray[np.float32] = kept.reshape(y, step, x, step).mean(axis=(1, 3))
    return small
