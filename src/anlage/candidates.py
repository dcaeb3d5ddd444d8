"""Candidate links: which nuclei of one frame may be the same as which of the next, from their positions alone.

Lengths are measured in the median distance between nearest neighbours of a frame. How far a nucleus may move before it is
mistaken for another depends on that distance, so a radius in this unit holds for another species, voxel size or age.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import KDTree

from anlage.neighbours import gaps_by_frame, rows_by_frame

__all__ = [
    "Candidates",
    "Motion",
    "find_candidates",
    "local_motion",
    "neighbour_distance_um",
    "neighbour_distances_um",
    "proposal_recall",
    "usual_radius_um",
]

Points = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]

_MOST_OVER_GAP = 3
"""Candidates of one nucleus two frames on: a gap is rare, and its other end is nearly always among the nearest."""

_NEIGHBOURS = 8
"""Number of neighbours whose movement predicts that of a nucleus."""

_FEWEST_FOR_FLOW = 4
"""Pairs below which nothing is said of a common movement."""

_ROUNDS = 3
"""Pairing and movement depend on each other, so they are found in turns."""

_USUAL_RADIUS = 1.5
"""Search radius without training, in nearest-neighbour distances: reaches the nuclei around a nucleus, not beyond."""

_USUAL_SPREADS = 6.0
"""… but at least so many times the median distance by which nuclei miss where they were expected."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """Links that may be.

    Parameters
    ----------
    pairs
        (E, 2) rows of the table of nuclei: the earlier, the later one. Sorted, each once.
    steps
        (E,) frames between them: 1, or 2 over one missing frame.
    """

    pairs: Whole
    steps: Whole

    def __len__(self) -> int:
        return len(self.steps)


@dataclass(frozen=True, slots=True)
class Motion:
    """Where nuclei are expected so many frames later, from the movement of those around them.

    Parameters
    ----------
    expected_um
        (N, 3) displacement (z, y, x) in µm; 0 where nothing is known.
    spread_um
        (N,) median distance in µm by which the nuclei of that frame miss where they were expected; NaN where unknown.
    """

    expected_um: Points
    spread_um: Points


def neighbour_distance_um(frames: npt.ArrayLike, points_um: npt.ArrayLike) -> dict[int, float]:
    """Median distance to the nearest neighbour, in µm, of each frame that holds at least two nuclei.

    Parameters
    ----------
    frames
        (N,) whole numbers.
    points_um
        (N, 3) positions (z, y, x) in µm.
    """
    t, p = _table(frames, points_um)
    return {frame: float(np.median(gaps)) for frame, gaps in gaps_by_frame(t, p).items()}


def neighbour_distances_um(frames: npt.ArrayLike, points_um: npt.ArrayLike) -> Points:
    """(N,) the median nearest-neighbour distance, in µm, of the frame of each nucleus.

    A frame with a single nucleus, or with two in one place, takes the value between those of the frames around it; if
    no frame has one, all are NaN.
    """
    t, p = _table(frames, points_um)
    known = {frame: distance for frame, distance in neighbour_distance_um(t, p).items() if distance > 0}
    if not known:
        return np.full(len(t), np.nan)
    return np.interp(t, list(known), list(known.values()))


def local_motion(
    frames: npt.ArrayLike, points_um: npt.ArrayLike, *, step: int = 1, once: Motion | None = None
) -> Motion:
    """Estimate the common movement of neighbouring nuclei between frames `step` apart.

    Nuclei that are each other's nearest are paired, and each nucleus is expected to move as the median of the eight
    paired nuclei around it does, itself left out; pairs and movement are found alternately. Where that predicts the movement of
    a pair no better than to expect none, none is expected.

    Parameters
    ----------
    frames
        (N,) whole numbers.
    points_um
        (N, 3) positions (z, y, x) in µm.
    step
        Frames ahead: 1; 2, where the search begins at what is expected of the two steps one after the other; or −1, back.
    once
        The movement over one frame, if it is known already; needed for two.
    """
    t, p = _table(frames, points_um)
    expected, spread = np.zeros_like(p), np.full(len(p), np.nan)
    groups = rows_by_frame(t)
    first = (once or local_motion(t, p)).expected_um if step == 2 else expected
    for frame, rows in groups.items():
        others, between = groups.get(frame + step), groups.get(frame + 1)
        if others is None:
            continue
        start = first[rows]
        if step == 2 and between is not None:
            start = start + first[between[_nearest(p[between], p[rows] + start, 1)[1][:, 0]]]
        further, spread[rows] = _movement(p[rows] + start, p[others])
        expected[rows] = start + further
    return Motion(expected, spread)


def usual_radius_um(frames: npt.ArrayLike, points_um: npt.ArrayLike, motion: Motion | None = None) -> Points:
    """(N,) how far around the expected place to look, in µm, where no training has said it.

    One and a half nearest-neighbour distances of the frame, more where nuclei move further than that.
    """
    t, p = _table(frames, points_um)
    spread = (motion or local_motion(t, p)).spread_um
    by_motion = _USUAL_SPREADS * np.nan_to_num(spread)
    return np.fmax(_USUAL_RADIUS * neighbour_distances_um(t, p), by_motion)


def find_candidates(
    frames: npt.ArrayLike,
    points_um: npt.ArrayLike,
    radius_um: float | npt.ArrayLike | None = None,
    *,
    most: int = 8,
    gaps: bool = True,
    motion: Motion | None = None,
    over: Motion | None = None,
) -> Candidates:
    """Candidates for links: for each nucleus the nearest ones to where it is expected, one and two frames on.

    Parameters
    ----------
    frames
        (N,) whole numbers.
    points_um
        (N, 3) positions (z, y, x) in µm.
    radius_um
        Greatest distance from the expected place in µm, itself allowed: one number, or (N,) one for each nucleus;
        `usual_radius_um` if None. Over a missing frame it is √2 times as large.
    most
        Candidates of one nucleus in the next frame; three at most two frames on.
    gaps
        Look also two frames on.
    motion, over
        Movement over one frame and over two, if they are known already; else `local_motion`.
    """
    t, p = _table(frames, points_um)
    ahead = motion or local_motion(t, p)
    radius = np.broadcast_to(
        np.asarray(usual_radius_um(t, p, ahead) if radius_um is None else radius_um, dtype=np.float64), (len(t),)
    )
    radius = np.nan_to_num(radius, nan=np.inf)  # nothing is known: a single nucleus in each frame
    parts = [_near(t, p, ahead.expected_um, radius, 1, most)]
    if gaps:
        parts.append(
            _near(
                t,
                p,
                (over or local_motion(t, p, step=2, once=ahead)).expected_um,
                radius * np.sqrt(2.0),
                2,
                min(most, _MOST_OVER_GAP),
            )
        )
    pairs = np.concatenate(parts)
    steps = np.repeat(np.arange(1, len(parts) + 1), [len(part) for part in parts])
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    return Candidates(pairs[order], steps[order])


def proposal_recall(candidates: Candidates, links: npt.ArrayLike) -> float:
    """Share of true links that are among the candidates; NaN without links.

    Parameters
    ----------
    candidates
        Of the table of nuclei.
    links
        (M, 2) true links as rows of that table: earlier, later.
    """
    wanted = np.asarray(links, dtype=np.int64).reshape(-1, 2)
    return float(is_among(wanted, candidates.pairs).mean()) if len(wanted) else float("nan")


def is_among(pairs: Whole, others: Whole) -> npt.NDArray[np.bool_]:
    """(E,) which of these pairs of rows (E, 2) are among others (M, 2)."""
    if not len(pairs) or not len(others):
        return np.zeros(len(pairs), dtype=bool)
    base = int(max(pairs.max(), others.max())) + 1
    return np.isin(pairs[:, 0] * base + pairs[:, 1], others[:, 0] * base + others[:, 1])


def _table(frames: npt.ArrayLike, points_um: npt.ArrayLike) -> tuple[Whole, Points]:
    return np.asarray(frames, dtype=np.int64).reshape(-1), np.asarray(points_um, dtype=np.float64).reshape(-1, 3)


def _nearest(of: Points, to: Points, k: int) -> tuple[Points, Whole]:
    """Distances (N, k) and rows (N, k) of the k points nearest to each of N."""
    distance, row = KDTree(of).query(to, k=k)
    return np.asarray(distance).reshape(len(to), k), np.asarray(row, dtype=np.int64).reshape(len(to), k)


def _movement(p: Points, q: Points) -> tuple[Points, float]:
    """Expected displacement (N, 3) of each point of p towards q, and by how much pairs miss it (median, µm)."""
    expected = np.zeros_like(p)
    spread = np.nan
    for _ in range(_ROUNDS):
        mutual, partner = _mutual(p + expected, q)
        if not len(mutual):
            return np.zeros_like(p), np.nan
        moved = q[partner] - p[mutual]
        still = float(np.median(np.linalg.norm(moved, axis=1)))
        if len(mutual) < _FEWEST_FOR_FLOW:
            return np.zeros_like(p), still
        found = _around(p, mutual, moved)
        missed = float(np.median(np.linalg.norm(moved - found[mutual], axis=1)))
        if missed >= still:
            return np.zeros_like(p), still
        expected, spread = found, missed
    return expected, spread


def _mutual(p: Points, q: Points) -> tuple[Whole, Whole]:
    """Rows of p and q that are each other's nearest."""
    to_q, to_p = _nearest(q, p, 1)[1][:, 0], _nearest(p, q, 1)[1][:, 0]
    mutual = np.flatnonzero(to_p[to_q] == np.arange(len(p)))
    return mutual, to_q[mutual]


def _around(p: Points, mutual: Whole, moved: Points) -> Points:
    """(N, 3) median movement of the paired nuclei around each, itself left out."""
    k = min(_NEIGHBOURS + 1, len(mutual))
    near = _nearest(p[mutual], p, k)[1]
    itself = mutual[near] == np.arange(len(p))[:, None]
    others = np.take_along_axis(near, np.argsort(itself, axis=1, kind="stable"), axis=1)[:, : k - 1]
    found: Points = np.median(moved[others], axis=1)
    return found


def _near(t: Whole, p: Points, expected: Points, radius: Points, step: int, most: int) -> Whole:
    """(E, 2) rows: for each nucleus the nearest ones `step` frames on around where it is expected."""
    groups = rows_by_frame(t)
    parts = [np.zeros((0, 2), dtype=np.int64)]
    for frame, rows in groups.items():
        others = groups.get(frame + step)
        if others is None:
            continue
        distance, near = _nearest(p[others], p[rows] + expected[rows], min(most, len(others)))
        which, place = np.nonzero(distance <= radius[rows, None])
        parts.append(np.column_stack([rows[which], others[near[which, place]]]))
    return np.concatenate(parts)
