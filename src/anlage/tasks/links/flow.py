"""How the nuclei of a frame move together, read off links that are probable: turned and stretched as a whole, and locally.

An embryo turns, and is squeezed, as a whole; beyond that, neighbours go the same way. So each nucleus is expected to move
as the affine movement of its frame says, plus what its neighbours deviate from it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.spatial import KDTree

from anlage.candidates import Candidates, Motion
from anlage.neighbours import rows_by_frame

__all__ = ["common_motion"]

Numbers = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]

_FEWEST, _FEWEST_AFFINE = 4, 8
"""Nuclei below which nothing is said of a common movement, and below which it is a shift."""
_NEIGHBOURS = 10
_REACH = 1.5
"""Neighbours count the less the further away they are: standard deviation in nearest-neighbour distances."""
_SHRINK, _SHRINK_LOCAL, _SHRINK_SLOPE = 2.0, 0.2, 1.0
"""Nuclei that 'no movement' counts as much as, against what is seen: of the affine one, the local one, and its slope."""
_LEAST = 0.02
_ROBUST_TURNS = 3


def common_motion(
    frames: Rows, points_um: Numbers, candidates: Candidates, chance: Numbers, scale_um: Numbers, first: Motion
) -> Motion:
    """Where each nucleus is expected in the next frame, from the probable links of the others.

    Parameters
    ----------
    frames, points_um
        (N,) whole numbers, (N, 3) positions (z, y, x) in µm.
    candidates, chance
        Candidates and (E,) their probabilities; those over one frame are looked at.
    scale_um
        (N,) nearest-neighbour distance of the frame of each nucleus.
    first
        What was expected at first sight: what holds in frames whose probable links it agrees with better, as in sparse ones.
    """
    n = len(frames)
    once = candidates.steps == 1
    (earlier, later), weight = candidates.pairs[once].T, chance[once]
    mass = np.maximum(np.bincount(earlier, weight, n), 1e-9)
    step = (points_um[later] - points_um[earlier]) * weight[:, None]
    # of a nucleus that divides this is the movement to the middle between its daughters
    moved = np.column_stack([np.bincount(earlier, step[:, axis], n) for axis in range(3)]) / mass[:, None]
    sure = np.zeros(n)
    np.maximum.at(sure, earlier, weight)
    expected, spread = np.zeros((n, 3)), np.full(n, np.nan)
    for rows in rows_by_frame(frames).values():
        seen = rows[sure[rows] > _LEAST]
        if len(seen) >= _FEWEST:
            expected[rows] = _of_frame(points_um, rows, seen, moved, sure, float(scale_um[rows[0]]))
            every = [expected[seen], first.expected_um[seen], np.zeros((len(seen), 3))]
            missed = [float(np.median(np.linalg.norm(moved[seen] - one, axis=1))) for one in every]
            best = int(np.argmin(missed))
            if best:
                expected[rows] = first.expected_um[rows] if best == 1 else 0.0
            spread[rows] = missed[best]
    return Motion(expected, spread)


def _of_frame(p: Numbers, rows: Rows, seen: Rows, moved: Numbers, sure: Numbers, scale: float) -> Numbers:
    """(n, 3) movement of the nuclei of a frame: of the whole, and of those around each."""
    centre = np.average(p[seen], axis=0, weights=sure[seen])
    affine, weight = _affine((p[seen] - centre) / scale, moved[seen], sure[seen])
    left = moved[seen] - _with_one((p[seen] - centre) / scale) @ affine
    found: Numbers = _with_one((p[rows] - centre) / scale) @ affine + _local(p, rows, seen, left, weight, scale)
    return found


def _affine(x: Numbers, moved: Numbers, sure: Numbers) -> tuple[Numbers, Numbers]:
    """(4, 3) shift and slope, and the weights (n,) at the end: what moves otherwise than the rest counts less."""
    affine: Numbers = np.zeros((4, 3))
    if len(x) < _FEWEST_AFFINE:
        affine[0] = np.median(moved, axis=0)
        return affine, sure
    ones, weight = _with_one(x), sure
    for _ in range(_ROBUST_TURNS):
        weighted = (ones * weight[:, None]).T
        square = weighted @ ones + np.diag([0.0, *[_SHRINK] * 3])
        affine = np.linalg.solve(square, weighted @ moved).astype(np.float64, copy=False)
        off = np.linalg.norm(moved - ones @ affine, axis=1)
        weight = sure / (1 + (off / (2 * np.median(off) + 1e-9)) ** 2)
    return affine, weight


def _local(p: Numbers, rows: Rows, seen: Rows, left: Numbers, weight: Numbers, scale: float) -> Numbers:
    """(n, 3) what the neighbours of each nucleus, itself left out, deviate from the movement of the whole, at its place."""
    k = min(_NEIGHBOURS + 1, len(seen))
    distance, near = KDTree(p[seen]).query(p[rows], k=k)
    counts = weight[near] * np.exp(-((distance / (_REACH * scale)) ** 2) / 2) * (seen[near] != rows[:, None])
    ones = _with_one((p[seen][near] - p[rows][:, None]) / scale)
    weighted = ones * counts[:, :, None]
    square = np.swapaxes(ones, 1, 2) @ weighted
    slope = counts.sum(axis=1) * _SHRINK_SLOPE**2 + 1e-3
    square[:, range(4), range(4)] += np.column_stack([np.full(len(rows), _SHRINK_LOCAL), slope, slope, slope])
    found: Numbers = np.linalg.solve(square, np.swapaxes(weighted, 1, 2) @ left[near])[:, 0]
    return found


def _with_one(x: Numbers) -> Numbers:
    return np.concatenate([np.ones((*x.shape[:-1], 1)), x], axis=-1)
