"""Choose the block of a store that is held out for validation when there is no second movie."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from anlage.axes import Box, Spacing

__all__ = ["FRACTION", "choose_block"]

FRACTION = 0.2
ENOUGH_FRAMES = 5
"""With so many annotated frames a block of time is kept, else a slab of space."""
MANY_FRAMES = 20
"""With so many annotated frames the block is measured by its nuclei, else by its frames."""
ENOUGH = 6
"""Nuclei below which a score says next to nothing: a slab with fewer, though it costs little, is hardly worth keeping."""

LEAST_LEFT = 0.5
"""Part of the nuclei that must be left to learn from; where the gap would leave fewer, a narrower one is taken."""


def choose_block(
    positions: npt.NDArray[np.float64],
    shape_tzyx: tuple[int, int, int, int],
    spacing: Spacing,
    diameter_um: float,
    fraction: float = FRACTION,
) -> Box | None:
    """The block at one end of time or space that holds about a fraction of the nuclei.

    At least one nucleus lies in it and at least one outside it; as few as possible lie so near (one diameter) that
    they can serve neither training nor validation.

    Parameters
    ----------
    positions
        (N, 4) true nuclei in voxels of the store.
    shape_tzyx
        Shape of the store.
    spacing
        Voxel size in µm.
    diameter_um
        Nucleus diameter in µm: the gap wanted in space.
    fraction
        Part of the nuclei to keep.

    Returns
    -------
    box
        In voxels of the store; None where the nuclei cannot be parted.
    """
    if len(positions) < 2:
        return None
    n_frames = len(np.unique(np.rint(positions[:, 0])))
    if n_frames >= ENOUGH_FRAMES:
        return _best(_in_time(positions, shape_tzyx, fraction))
    lengths = np.array(shape_tzyx[1:]) * spacing.um
    # the longer axis of the plane first, z last: the upper planes of a sample look unlike all others
    axes = [int(axis) + 1 for axis in sorted(range(3), key=lambda axis: (axis == 0, -lengths[axis]))]
    for part in (1.0, 0.5, 0.0):
        for axis in axes:
            gap = part * diameter_um / spacing.um[axis - 1]
            slabs = list(_in_space(positions, axis, shape_tzyx, gap, fraction))
            box = _best((penalty, slab) for penalty, left, slab in slabs if left >= LEAST_LEFT or part == 0)
            if box is not None:
                return box
    return _best(_in_time(positions, shape_tzyx, fraction)) if n_frames > 1 else None


def _best(candidates: Iterator[tuple[float, Box]]) -> Box | None:
    """The candidate with the lowest penalty, the first of equals."""
    return min(candidates, key=lambda one: one[0], default=(0.0, None))[1]


def _in_time(
    positions: npt.NDArray[np.float64], shape_tzyx: tuple[int, int, int, int], fraction: float
) -> Iterator[tuple[float, Box]]:
    """The last and the first annotated frames; penalty: how far their share of the nuclei is from the wanted.

    In a long film, in which the number of nuclei may grow many times, so many frames are taken as hold the wanted share.
    """
    at = np.rint(positions[:, 0]).astype(int)
    frames, counts = np.unique(at, return_counts=True)
    k = min(max(1, round(fraction * len(frames))), len(frames) - 1)
    last, first = k, k
    if len(frames) >= MANY_FRAMES:
        upto = np.cumsum(counts)[:-1] / len(at)
        first = int(np.argmin(np.abs(upto - fraction))) + 1
        last = len(frames) - 1 - int(np.argmin(np.abs(1 - upto - fraction)))
    for t in ((int(frames[-last]), shape_tzyx[0]), (0, int(frames[first - 1]) + 1)):
        share = float(np.mean((at >= t[0]) & (at < t[1])))
        yield abs(share - fraction), _slab(shape_tzyx, 0, t)


def _in_space(
    positions: npt.NDArray[np.float64],
    axis: int,
    shape_tzyx: tuple[int, int, int, int],
    gap: float,
    fraction: float,
) -> Iterator[tuple[float, float, Box]]:
    """Slabs at both ends of an axis, with the share left beyond the gap.

    Penalty: distance from the wanted share, the share lost in the gap, and too few nuclei.
    """
    length, n = shape_tzyx[axis], len(positions)
    enough = min(ENOUGH, n * fraction)
    for mirrored in (False, True):
        # measured from the far end, so that one piece of arithmetic serves both
        at = positions[:, axis] if mirrored else length - 1 - positions[:, axis]
        depth = np.unique(np.rint(at).astype(int))
        for last, following in pairwise(depth):
            # the wall stands half a gap beyond the last nucleus kept, or nearer where the next would fall into the gap
            room = int(following - last) - 1
            fits = room >= np.ceil(gap)
            wall = int(last) + 1 + int(min(gap / 2, room - np.ceil(gap) if fits else room / 2))
            inside = at < wall - 0.5
            beyond = at >= wall - 0.5 + np.ceil(gap)
            if inside.any() and beyond.any():
                off, lost = abs(float(inside.mean()) - fraction), float(n - inside.sum() - beyond.sum()) / n
                penalty = off + lost + max(0.0, 1 - float(inside.sum()) / enough)
                slab = _slab(shape_tzyx, axis, (0, wall) if mirrored else (length - wall, length))
                yield penalty, float(beyond.mean()), slab


def _slab(shape_tzyx: tuple[int, int, int, int], axis: int, along: tuple[int, int]) -> Box:
    start, stop = [0, 0, 0, 0], list(shape_tzyx)
    start[axis], stop[axis] = along
    return Box.of(start, stop)
