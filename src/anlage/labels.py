"""Painted labels as numbers: where each label lies and how large it is."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from anlage.axes import Spacing
from anlage.errors import AnlageError

__all__ = ["measure", "radius"]


def measure(
    labels_ZYX: npt.NDArray[Any], source: str = "labels"
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Values (N,), voxel counts (N,) and centroids (N, 3) in voxels (z, y, x) of all labels of a frame, in one pass.

    Raises
    ------
    AnlageError
        If a value is negative.
    """
    flat = np.ascontiguousarray(labels_ZYX).reshape(-1)
    inside = np.flatnonzero(flat)
    found = flat[inside].astype(np.int64, copy=False)
    if found.size and found.min() < 0:
        raise AnlageError(
            f"The labels '{source}' contain the value {found.min()}; labels must be 0 (background) or larger. "
            "Is this the image instead of its labels?"
        )
    values, index = _numbered(found)
    counts = np.bincount(index, minlength=len(values))
    axes = np.unravel_index(inside, labels_ZYX.shape)
    sums = [np.bincount(index, weights=axis, minlength=len(values)) for axis in axes]
    centres: npt.NDArray[np.float64] = np.stack(sums, axis=1) / np.maximum(counts, 1)[:, None]
    return values, counts, centres


def radius(sizes: npt.NDArray[Any], spacing: Spacing, *, is_flat: bool) -> npt.NDArray[np.float64]:
    """Radii in µm of balls of so many voxels; of discs of so many pixels where the image is a single plane."""
    z, y, x = spacing.zyx
    radii: npt.NDArray[np.float64] = (
        np.sqrt(sizes * y * x / np.pi) if is_flat else np.cbrt(sizes * z * y * x * 3 / (4 * np.pi))
    )
    return radii


def _numbered(found: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Values in order, and for each voxel the number of its value."""
    if not found.size or found.max() > 4 * found.size + 65_536:
        values, index = np.unique(found, return_inverse=True)
        return values, index.reshape(-1)
    present = np.bincount(found) > 0  # a table is faster than sorting all voxels
    values = np.flatnonzero(present)
    return values, (np.cumsum(present) - 1)[found]
