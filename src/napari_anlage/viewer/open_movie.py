"""Open a movie from disk as lazy image layers, one for each channel. Knows no Qt."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from anlage import Box, TimeLapse

__all__ = ["add_image", "layers_of"]

_COLOURS = ("green", "magenta", "cyan", "yellow", "red", "blue")
_WINDOW = 1024
"""Of a larger plane only the middle is read for the brightness, so many voxels wide."""


def add_image(viewer: Any, movie: TimeLapse, path: Path) -> Any:
    """Add a movie to the viewer; returns the layer of its first channel."""
    added = [viewer.add_image(pixels, **about) for pixels, about in layers_of(movie, path)]
    return added[0]


def layers_of(movie: TimeLapse, path: Path) -> list[tuple[Any, dict[str, Any]]]:
    """Pixels and arguments of an image layer for each channel of a movie, with its voxel size and time step.

    `path` is the file behind it; it stands in the layers' metadata.
    """
    import dask.array as da  # napari asks more of an array than its shape and pieces: size, arithmetic, …

    spacing = (1.0, 1.0, 1.0) if movie.spacing is None else movie.spacing.zyx
    length = "pixel" if movie.spacing is None else "µm"
    sizes = dict(zip("tzyx", (movie.interval_s or 1.0, *spacing), strict=True))
    units = dict(zip("tzyx", ("s" if movie.interval_s else "pixel", length, length, length), strict=True))
    axes, name, n = movie.axes.replace("c", ""), path.name.split(".")[0], movie.n_channels
    planes = tuple(k if axis in "yx" else 1 for axis, k in zip(movie.axes, movie.data.shape, strict=True))
    pixels = da.from_array(movie.data, chunks=planes, name=False, meta=np.empty(0, movie.dtype))
    found = []
    for c in range(n):
        style = {} if n == 1 else {"colormap": _COLOURS[c % len(_COLOURS)], "blending": "additive"}
        about = {
            "name": name if n == 1 else f"{name} {movie.channels[c]}", "scale": [sizes[axis] for axis in axes],
            "units": [units[axis] for axis in axes], "axis_labels": tuple(axes), "contrast_limits": _brightness(movie, c),
            "projection_mode": "none", "multiscale": False, "rgb": False, "metadata": {"anlage": {"path": str(path)}},
        }  # fmt: skip
        channel = pixels[tuple(c if axis == "c" else slice(None) for axis in movie.axes)]
        found.append((channel, {**about, **style}))
    return found


def _brightness(movie: TimeLapse, channel: int) -> tuple[float, float]:
    """Grey values of black and white, from the middle of the movie."""
    t, z, y, x = movie.shape_tzyx
    window = [(max(0, (n - _WINDOW) // 2), min(n, (n + _WINDOW) // 2)) for n in (y, x)]
    middle = Box((t // 2, t // 2 + 1), (z // 2, z // 2 + 1), *window)
    seen = movie.read(middle, [channel]).astype(np.float64)
    low, high = np.nanpercentile(seen, (0.5, 99.8)) if np.isfinite(seen).any() else (0.0, 1.0)
    return float(low), float(high) if high > low else float(low) + 1.0
