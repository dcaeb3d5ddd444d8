"""Labels of plausible shape: a rule of this project's own, for mouse embryos (BBBC050) whose labels partly join, split or smear nuclei.

The shape alone decides, no detector: a label counts if it has at least 150 voxels, fills at least 0.72 of its convex hull, and
reaches over at most 2.5 times its width along z. The others are neither wanted nor wrong, nor is anything in or within 3 µm of
them. Without this rule every detector ends at an F1 of 0.91 to 0.93 within 5 µm, and what would lie above it imitates bad labels.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.spatial import ConvexHull

from anlage.matching import match

Points = npt.NDArray[np.float64]
Labels = npt.NDArray[np.integer]

LEAST_VOXELS = 150
LEAST_SOLIDITY = 0.72
"""Volume over that of the convex hull."""
MOST_DRAWN = 2.5
"""Extent along z over the diameter of the disc as large as the largest plane."""
NEAR_UM = 3.0


def implausible(labels: Labels, spacing_um: Points) -> npt.NDArray[np.bool_]:
    """Which labels (N,), in order of their numbers, have no shape of a nucleus."""
    objects = ndimage.find_objects(labels)
    return np.array(
        [_is_bad(labels[box] == value, spacing_um) for value, box in enumerate(objects, start=1) if box is not None]
    )


def _is_bad(inside: npt.NDArray[np.bool_], spacing_um: Points) -> bool:
    at = np.argwhere(inside)
    planes = inside.sum(axis=(1, 2))
    planes = planes[planes > 0]
    width = 2 * np.sqrt(planes.max() * spacing_um[1] * spacing_um[2] / np.pi)
    height = (np.ptp(at[:, 0]) + 1) * spacing_um[0]
    return bool(len(at) < LEAST_VOXELS or height / width > MOST_DRAWN or _solidity(at, spacing_um) < LEAST_SOLIDITY)


def _solidity(at: npt.NDArray[np.intp], spacing_um: Points) -> float:
    """Of voxels (N, 3) as boxes, not as points."""
    corners = np.array(list(np.ndindex(2, 2, 2))) - 0.5
    hull = ConvexHull(((at[:, None] + corners) * spacing_um).reshape(-1, 3))
    return float(len(at) * np.prod(spacing_um) / hull.volume)


def plausible_counts(
    found: Points, truth: Points, labels: Labels, spacing_um: Points, radii_um: tuple[float, ...]
) -> npt.NDArray[np.int64]:
    """Right, wrong and missed (R, 3) of one frame at each radius, bad labels set aside.

    Parameters
    ----------
    found, truth
        (N, 3) and (M, 3) voxels of the labels; the truth in order of the labels' numbers.
    labels
        (z, y, x)
    """
    bad = implausible(labels, spacing_um)
    area = np.isin(labels, np.unique(labels[labels > 0])[bad])
    excused = ndimage.distance_transform_edt(~area, sampling=spacing_um) <= NEAR_UM if bad.any() else area
    counts = []
    for radius in radii_um:
        pairs, _ = match(found * spacing_um, truth * spacing_um, radius)
        right = int((~bad[pairs[:, 1]]).sum())
        left = np.delete(found, pairs[:, 0], axis=0)
        at = np.clip(np.round(left).astype(int), 0, np.array(labels.shape) - 1)
        counts.append((right, int((~excused[tuple(at.T)]).sum()), int((~bad).sum()) - right))
    return np.array(counts)
