"""An image from the disk as a layer of napari: lazy, in its place, and with its brightness known from a few planes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from anlage import Box, TimeLapse

__all__ = ["layer_of"]

_WINDOW = 1024
"""Of a larger plane only the middle is read for the brightness, so many voxels wide."""


def layer_of(movie: TimeLapse, path: Path) -> tuple[Any, dict[str, Any]]:
    """Pixels and arguments of an image layer that shows a movie, with its voxel size and time step.

    `path` is the file behind it; it stands in the layer's metadata.
    """
    import dask.array as da

    spacing = (1.0, 1.0, 1.0) if movie.spacing is None else movie.spacing.zyx
    length = "pixel" if movie.spacing is None else "µm"
    sizes = dict(zip("tczyx", (movie.interval_s or 1.0, 1.0, *spacing), strict=True))
    units = dict(zip("tczyx", ("s" if movie.interval_s else "pixel", "pixel", length, length, length), strict=True))
    planes = tuple(n if axis in "yx" else 1 for axis, n in zip(movie.axes, movie.data.shape, strict=True))
    about = {
        "name": path.name.split(".")[0], "scale": [sizes[axis] for axis in movie.axes],
        "units": [units[axis] for axis in movie.axes], "axis_labels": tuple(movie.axes), "projection_mode": "none",
        "multiscale": False, "rgb": False, "contrast_limits": _brightness(movie), "metadata": {"anlage": {"path": str(path)}},
    }  # fmt: skip
    # napari asks more of an array than shape and pieces: its size, arithmetic, …
    return da.from_array(movie.data, chunks=planes, name=False, meta=np.empty(0, movie.dtype)), about


def _brightness(movie: TimeLapse) -> tuple[float, float]:
    """Grey values of black and white, from the middle of the movie."""
    t, z, y, x = movie.shape_tzyx
    window = [(max(0, (n - _WINDOW) // 2), min(n, (n + _WINDOW) // 2)) for n in (y, x)]
    seen = movie.read(Box((t // 2, t // 2 + 1), (z // 2, z // 2 + 1), *window)).astype(np.float64)
    low, high = np.nanpercentile(seen, (0.5, 99.8)) if np.isfinite(seen).any() else (0.0, 1.0)
    return float(low), float(high) if high > low else float(low) + 1.0
