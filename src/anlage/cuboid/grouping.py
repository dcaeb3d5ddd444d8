"""Group annotated nuclei into regions of space and blocks of consecutive frames.

Gaps are judged by the nuclei's own density and size, and a change of the annotated area by how unlikely it is that
the missing part was empty by chance.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from anlage.axes import Spacing
from anlage.neighbours import typical_gap_um

__all__ = ["find_regions"]

Rows = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

REACH = 3.0
"""A gap of more than so many typical distances to the second neighbour separates two regions ..."""
SPARSEST = 4.0
"""... a distance that counts at most as so many diameters: two lone nuclei far apart are two regions."""
PAUSE = 2.0
"""A pause of more than so many usual steps between annotated frames separates two blocks."""
WINDOW = 3
"""So many frames before and after decide together whether the annotated area has moved."""
OVERLAP = 0.6
"""An area that shares less than this part of the two (intersection over union) may have moved ..."""
SURPRISE = 9.0
"""... and has, if nuclei would miss the rest by chance less often than exp(−9), once in 8000."""


def find_regions(positions_tzyx: Floats, spacing: Spacing, diameter_um: float) -> list[Rows]:
    """Row numbers of each region; every nucleus is in exactly one.

    Parameters
    ----------
    positions_tzyx
        (N, 4) in voxels, N ≥ 1.
    spacing
        Voxel size in µm.
    diameter_um
        Typical diameter of a nucleus in µm.
    """
    frames = np.rint(positions_tzyx[:, 0]).astype(np.int64)
    points = positions_tzyx[:, 1:] * spacing.um
    typical = typical_gap_um(frames, points, neighbour=2) or diameter_um
    reach = REACH * max(diameter_um, min(typical, SPARSEST * diameter_um))
    todo, done = _runs(frames), []
    while todo:
        rows = todo.pop()
        parts = _connected(frames, points, rows, reach)
        parts = [block for part in parts for block in _blocks(frames, points, part, diameter_um)]
        if len(parts) == 1:
            done.append(parts[0])
        else:
            todo.extend(parts)
    return done


def _runs(frames: Rows) -> list[Rows]:
    """Rows of frames without an unusual pause in between."""
    present = np.unique(frames)
    steps = np.diff(present)
    if len(steps) == 0:
        return [np.arange(len(frames))]
    cuts = np.flatnonzero(steps > PAUSE * np.median(steps))
    return [np.flatnonzero(np.isin(frames, run)) for run in np.split(present, cuts + 1)]


def _connected(frames: Rows, points: Floats, rows: Rows, reach: float) -> list[Rows]:
    """Split where gaps are wide: nuclei within reach in the same or the next annotated frame belong together."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import cKDTree

    order = np.unique(frames[rows], return_inverse=True)[1]
    by_frame = [np.flatnonzero(order == i) for i in range(int(order.max()) + 1)]
    trees = [cKDTree(points[rows[members]]) for members in by_frame]
    edges = [
        members[tree.query_pairs(reach, output_type="ndarray")] for members, tree in zip(by_frame, trees, strict=True)
    ]
    for i in range(len(trees) - 1):
        for here, there in ((i, i + 1), (i + 1, i)):
            nearest = np.asarray(trees[there].query(points[rows[by_frame[here]]], distance_upper_bound=reach)[1])
            hit = nearest < len(by_frame[there])
            edges.append(np.stack([by_frame[here][hit], by_frame[there][nearest[hit]]], axis=1))
    links = np.concatenate(edges)
    graph = coo_array((np.ones(len(links)), (links[:, 0], links[:, 1])), shape=(len(rows), len(rows)))
    n, group = connected_components(graph, directed=False)
    return [rows[group == i] for i in range(n)]


def _blocks(frames: Rows, points: Floats, rows: Rows, diameter_um: float) -> list[Rows]:
    """Split in time where the annotated area moves."""
    rows = rows[np.argsort(frames[rows], kind="stable")]
    begin, count = np.unique(frames[rows], return_index=True, return_counts=True)[1:]
    low = np.minimum.reduceat(points[rows], begin, axis=0)
    high = np.maximum.reduceat(points[rows], begin, axis=0)
    return np.split(rows, begin[_cuts(low, high, count, diameter_um)])


def _cuts(low: Floats, high: Floats, count: Rows, diameter_um: float) -> list[int]:
    """Frames, counted from the first, at which a new block begins: the most surprising change, then within the parts.

    Parameters
    ----------
    low, high
        (T, 3) box around the nuclei of each annotated frame in µm.
    count
        (T,) nuclei in each.
    diameter_um
        Typical diameter of a nucleus in µm.
    """
    surprises = [_surprise(low, high, count, cut, diameter_um) for cut in range(1, len(count))]
    if max(surprises, default=0) <= SURPRISE:
        return []
    cut = 1 + int(np.argmax(surprises))
    earlier = _cuts(low[:cut], high[:cut], count[:cut], diameter_um)
    later = _cuts(low[cut:], high[cut:], count[cut:], diameter_um)
    return [*earlier, cut, *(cut + c for c in later)]


def _surprise(low: Floats, high: Floats, count: Rows, cut: int, diameter_um: float) -> float:
    """How surprising it is that the areas before and since a cut are the same.

    If one area had been annotated all along, each nucleus would have missed the part that its own side of the cut
    lacks with the probability of the part it has. The surprise is −log of that, over the nuclei of the frames next to
    the cut: the same nuclei in further frames are no further evidence. It is 0 where the areas overlap well, and
    infinite where they do not even touch.
    """
    first = _padded(low[:cut], high[:cut], count[:cut], diameter_um)
    second = _padded(low[cut:], high[cut:], count[cut:], diameter_um)
    inner = np.minimum(first[1], second[1]) - np.maximum(first[0], second[0])
    if (inner < 0).any():
        return math.inf
    a, b, shared = float(np.prod(first[1] - first[0])), float(np.prod(second[1] - second[0])), float(np.prod(inner))
    if shared >= OVERLAP * (a + b - shared):
        return 0
    union = float(np.prod(np.maximum(first[1], second[1]) - np.minimum(first[0], second[0])))
    before, since = int(count[max(0, cut - WINDOW) : cut].sum()), int(count[cut : cut + WINDOW].sum())
    return before * math.log(union / a) + since * math.log(union / b)


def _padded(low: Floats, high: Floats, count: Rows, diameter_um: float) -> tuple[Floats, Floats]:
    """Box around frames in µm, with the room that n points leave free at the walls by chance, a radius at least."""
    first, last = low.min(axis=0), high.max(axis=0)
    pad = np.maximum(diameter_um / 2, (last - first) / (int(count.sum()) + 1))
    return first - pad, last + pad
