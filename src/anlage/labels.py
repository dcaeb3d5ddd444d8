"""Centre, size and extent of every label in a label image."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from anlage.axes import Spacing
from anlage.errors import AnlageError

__all__ = [
    "are_classes",
    "check_painted",
    "interpolated_voxels",
    "is_painted_plane",
    "measure_labels",
    "n_pieces",
    "radius",
]

_ENOUGH_VALUES = 10
"""Fewer values may be classes of voxels, which are many pieces by right."""
_MANY_PIECES = 5
"""A value in so many pieces is no object, however few values there are."""
_PIECES = 3
_CRUMB = 0.1
"""A piece smaller than this part of the largest is a slip of the brush."""
_EVEN = 0.7
"""Part of painted voxels whose neighbour has the same value, in labels at least; in an image noise sees to it."""
_RIMS = 0.2
"""Part of the voxels at edges that may lie between two other values."""
_RIM_PAIRS = 3
"""Pairs of a rim's value and its object's; thin classes have fewer."""
_MOST_COMPARED = 100_000
_MIDDLE = (32, 256, 256)
"""Voxels (z, y, x) of a frame that are enough to decide."""


def measure_labels(
    labels_ZYX: npt.NDArray[Any], source: str = "labels"
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Values (N,), voxel counts (N,) and centroids (N, 3) in voxels (z, y, x) of all labels of a frame, in one pass.

    Raises
    ------
    AnlageError
        If a value is negative, or 2⁶³ or more.
    """
    flat = np.ascontiguousarray(labels_ZYX).reshape(-1)
    inside = np.flatnonzero(flat)
    if flat.dtype == np.uint64 and flat.max(initial=0) > np.iinfo(np.int64).max:
        raise AnlageError(
            f"The labels '{source}' contain the value {flat.max()}; labels must be below 2⁶³: number the objects from 1."
        )
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


def check_painted(labels_ZYX: npt.NDArray[Any], t: int, source: str) -> None:
    """Refuse a frame that looks like the image: no background, or values strewn about instead of in pieces.

    Raises
    ------
    AnlageError
        If no voxel is 0, or most values have at least three pieces, where there are ten values or more.
    """
    if labels_ZYX.size and labels_ZYX.all():
        raise AnlageError(
            f"Frame {t} of the labels '{source}' has no background (0), only values from {labels_ZYX.min()} to "
            f"{labels_ZYX.max()}; is this the image instead of its labels?"
        )
    middle = labels_ZYX[
        tuple(slice(max(0, n - m) // 2, (n + m) // 2) for n, m in zip(labels_ZYX.shape, _MIDDLE, strict=True))
    ]
    values, index = _numbered(middle.reshape(-1).astype(np.int64, copy=False))
    counts = np.bincount(index, minlength=len(values))
    # voxels less the contacts among them: no value has fewer pieces than that
    number = index.reshape(middle.shape)
    pieces = counts.copy()
    for axis in range(number.ndim):
        length: int = number.shape[axis]
        first, second = number.take(range(length - 1), axis), number.take(range(1, length), axis)
        pieces -= np.bincount(first[first == second], minlength=len(values))
    judged = (values != 0) & (counts >= _PIECES)
    strewn = int((pieces[judged] >= _PIECES).sum())
    if judged.sum() >= _ENOUGH_VALUES and 2 * strewn > judged.sum():
        raise AnlageError(
            f"In frame {t} of the labels '{source}' {strewn} of {judged.sum()} values lie strewn in many pieces each; "
            "is this the image instead of its labels?"
        )


def n_pieces(labels_ZYX: npt.NDArray[Any]) -> int:
    """Into how many pieces that do not touch all that is painted falls, without crumbs."""
    from scipy import ndimage

    painted = labels_ZYX != 0
    if not painted.any():
        return 0
    (box,) = ndimage.find_objects(painted, max_label=1)
    pieces = np.asarray(ndimage.label(painted[box], structure=np.ones((3, 3, 3)))[0])
    sizes = np.bincount(pieces.reshape(-1))[1:]
    return int((sizes >= _CRUMB * sizes.max()).sum())


def are_classes(labels_ZYX: npt.NDArray[Any]) -> bool:
    """Whether the values of a frame look like classes of voxels: few, and most in several pieces, or one in many."""
    values = np.unique(labels_ZYX)
    values = values[values != 0]
    if not 0 < len(values) < _ENOUGH_VALUES or interpolated_voxels(labels_ZYX):
        return False
    pieces = [n_pieces(labels_ZYX == value) for value in values]
    return 2 * sum(n > 1 for n in pieces) > len(values) or max(pieces) >= _MANY_PIECES


def interpolated_voxels(labels_ZYX: npt.NDArray[Any]) -> int:
    """Voxels in rims of other values around objects, as a resize that interpolates leaves them; 0 where they are no such rims.

    Between an object and the background a rim's value lies between both. Of painted labels only a few voxels do, where an object
    is a single voxel thick; thin classes do everywhere, but are few.
    """
    rims = edges = 0
    pairs: set[tuple[int, int]] = set()
    for axis in range(labels_ZYX.ndim):
        if labels_ZYX.shape[axis] < 3:
            continue
        along = np.moveaxis(labels_ZYX, axis, 0)
        before, here, after = along[:-2], along[1:-1], along[2:]
        between = ((before < here) & (here < after)) | ((before > here) & (here > after))
        between &= here != 0
        rims += int(between.sum())
        edges += int(((here != 0) & ((before != here) | (after != here))).sum())
        top = np.maximum(before[between], after[between])
        pairs.update(zip(here[between][:_MOST_COMPARED].tolist(), top[:_MOST_COMPARED].tolist(), strict=True))
    return rims if rims > _RIMS * edges and len(pairs) >= _RIM_PAIRS else 0


def is_painted_plane(plane_YX: npt.NDArray[Any]) -> bool:
    """Whether a plane looks like labels: whole numbers (of any type) with background, where neighbours mostly have the same value."""
    if plane_YX.dtype.kind == "f" and not (plane_YX == np.rint(plane_YX)).all():
        return False
    if plane_YX.dtype.kind not in "buif" or plane_YX.all() or not plane_YX.any():
        return False
    painted = plane_YX[:, 1:] != 0
    same = (plane_YX[:, 1:] == plane_YX[:, :-1]) & painted
    return bool(same.sum() > _EVEN * painted.sum())


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
