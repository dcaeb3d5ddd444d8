"""Match two sets of points one-to-one within a radius."""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt

__all__ = ["MATCH_DIAMETERS", "MATCH_UM", "match", "match_in_order", "match_radius_um"]

MATCH_DIAMETERS = 0.35
"""A centre nearer to a true one than this part of a nucleus diameter is right."""
MATCH_UM = 5.0
"""The same in µm where no diameter is known: about half a nucleus, far enough for an uncertain centre, too near for a neighbour to
stand in."""

_DENSE_AT_MOST = 40_000
"""Entries of a cost matrix up to which the dense solver is the faster one."""


def match_radius_um(diameter_um: float | None, neighbour_um: float | None = None) -> float:
    """Distance in µm up to which a found centre stands for a true one, where nobody says another.

    Parameters
    ----------
    diameter_um
        Typical diameter of the nuclei in µm; None where it is unknown.
    neighbour_um
        Typical distance from a true nucleus to the next one in µm, None where it is unknown: a match never reaches further than
        half way, whatever the diameter is said to be.
    """
    radius_um = MATCH_UM if diameter_um is None else MATCH_DIAMETERS * diameter_um
    return radius_um if neighbour_um is None else min(radius_um, neighbour_um / 2)


def match(
    predicted_um: npt.ArrayLike, truth_um: npt.ArrayLike, radius_um: float
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Pair two sets of points one-to-one: as many pairs as possible and, among those ways, the least total distance.

    Only pairs within the radius exist, so the problem falls apart into small groups of neighbours that are solved
    exactly and on their own.

    Parameters
    ----------
    predicted_um, truth_um
        (N, 3) and (M, 3) positions (z, y, x) in µm.
    radius_um
        Greatest distance of a pair in µm, itself allowed.

    Returns
    -------
    pairs
        (K, 2) rows of `predicted_um` and `truth_um`, in order of the former.
    distances_um
        (K,) their distances in µm.
    """
    p, q = _points(predicted_um), _points(truth_um)
    rows, columns, distances = _candidates(p, q, radius_um)
    alone, groups = _groups(rows, columns, len(p), len(q))
    chosen = [alone, *(group[_assign(rows[group], columns[group], distances[group], radius_um)] for group in groups)]
    edges = np.concatenate(chosen)
    edges = edges[np.argsort(rows[edges], kind="stable")]
    return np.stack([rows[edges], columns[edges]], axis=1), distances[edges]


def match_in_order(predicted_um: npt.ArrayLike, truth_um: npt.ArrayLike, radius_um: float) -> npt.NDArray[np.bool_]:
    """Which predictions can be paired if the earlier ones go first, as a threshold would have it.

    However many of the first are looked at, as many of them are marked as `match` would pair of these alone: a faint
    candidate never takes a nucleus from a likelier one. (The greedy algorithm on a transversal matroid: a prediction
    is marked if it can be paired together with all that were marked before, which may swap partners for it.)

    Parameters
    ----------
    predicted_um
        (N, 3) positions (z, y, x) in µm, the most likely first; a further coordinate on the same scale may stand for time.
    truth_um
        (M, 3) positions in µm, or with as many coordinates.
    radius_um
        Greatest distance of a pair in µm, itself allowed.

    Returns
    -------
    paired
        (N,) whether each prediction is paired.
    """
    p, q = _points(predicted_um), _points(truth_um)
    rows, columns, _ = _candidates(p, q, radius_um)
    near = np.split(columns, np.searchsorted(rows, np.arange(1, len(p))))
    owner: dict[int, int] = {}
    partner: dict[int, int] = {}
    return np.array([_find_partner(i, near, owner, partner) for i in range(len(p))], dtype=bool)


def _points(positions: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Positions as a table, also where there are none."""
    points = np.asarray(positions, dtype=np.float64)
    return points if points.ndim == 2 else points.reshape(len(points) // 3, 3)


def _find_partner(
    newcomer: int, near: list[npt.NDArray[np.int64]], owner: dict[int, int], partner: dict[int, int]
) -> bool:
    """Pair a prediction with a truth, if need be by a chain of swaps that leaves nobody without (breadth first)."""
    reached_from: dict[int, int] = {}
    waiting = deque([newcomer])
    while waiting:
        candidate = waiting.popleft()
        for truth in near[candidate].tolist():
            if truth in reached_from:
                continue
            reached_from[truth] = candidate
            if truth in owner:
                waiting.append(owner[truth])
            else:
                _swap(truth, reached_from, owner, partner)
                return True
    return False


def _swap(free: int, reached_from: dict[int, int], owner: dict[int, int], partner: dict[int, int]) -> None:
    """Each along the chain takes the truth that it asked for, back to the newcomer, who had none."""
    truth: int | None = free
    while truth is not None:
        holder = reached_from[truth]
        given_up = partner.get(holder)
        owner[truth], partner[holder] = holder, truth
        truth = given_up


def _candidates(
    p: npt.NDArray[np.float64], q: npt.NDArray[np.float64], radius_um: float
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """All pairs within the radius: row of p, row of q, distance."""
    from scipy.spatial import KDTree

    if not len(p) or not len(q):
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(0)
    near = KDTree(p).sparse_distance_matrix(KDTree(q), radius_um, output_type="ndarray")
    order = np.lexsort((near["j"], near["i"]))
    return near["i"][order].astype(np.int64), near["j"][order].astype(np.int64), near["v"][order].astype(np.float64)


def _groups(
    rows: npt.NDArray[np.int64], columns: npt.NDArray[np.int64], n_rows: int, n_columns: int
) -> tuple[npt.NDArray[np.int64], list[npt.NDArray[np.int64]]]:
    """Candidates without any rival, and the others by connected component: those of two groups share no point."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    size = n_rows + n_columns
    graph = coo_array((np.ones(len(rows), dtype=np.int8), (rows, n_rows + columns)), shape=(size, size))
    _, component = connected_components(graph)
    of_edge = component[rows]
    rivals = np.bincount(of_edge, minlength=size)[of_edge] > 1
    contested = np.flatnonzero(rivals)
    contested = contested[np.argsort(of_edge[contested], kind="stable")]
    groups = np.split(contested, np.flatnonzero(np.diff(of_edge[contested])) + 1)
    return np.flatnonzero(~rivals), [group for group in groups if len(group)]


def _assign(
    rows: npt.NDArray[np.int64], columns: npt.NDArray[np.int64], distances: npt.NDArray[np.float64], radius_um: float
) -> npt.NDArray[np.int64]:
    """Which candidates of one group become pairs, as positions within the group."""
    which_row, row = np.unique(rows, return_inverse=True)
    which_column, column = np.unique(columns, return_inverse=True)
    shape = (len(which_row), len(which_column))
    # to leave a point alone costs more than all pairs together, so the number of pairs comes first
    alone = (min(shape) + 1) * radius_um
    solve = _assign_densely if shape[0] * shape[1] <= _DENSE_AT_MOST else _assign_sparsely
    return solve(row, column, distances, shape, alone)


def _assign_densely(
    row: npt.NDArray[np.intp],
    column: npt.NDArray[np.intp],
    distances: npt.NDArray[np.float64],
    shape: tuple[int, int],
    alone: float,
) -> npt.NDArray[np.int64]:
    from scipy.optimize import linear_sum_assignment

    cost = np.full(shape, alone)
    cost[row, column] = distances
    edge = np.full(shape, -1, dtype=np.int64)
    edge[row, column] = np.arange(len(row))
    chosen: npt.NDArray[np.int64] = edge[linear_sum_assignment(cost)]
    return chosen[chosen >= 0]


def _assign_sparsely(
    row: npt.NDArray[np.intp],
    column: npt.NDArray[np.intp],
    distances: npt.NDArray[np.float64],
    shape: tuple[int, int],
    alone: float,
) -> npt.NDArray[np.int64]:
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import min_weight_full_bipartite_matching

    # the solver pairs every row, so each gets a column of its own that stands for being left alone; and as a sparse
    # matrix forgets zeros, all costs are raised by 1, which changes every full matching alike
    n, m = shape
    rows, columns = np.append(row, np.arange(n)), np.append(column, m + np.arange(n))
    cost = csr_array((np.append(distances, np.full(n, alone)) + 1.0, (rows, columns)), shape=(n, m + n))
    matched_row, matched_column = min_weight_full_bipartite_matching(cost)
    paired = np.full(n, -1, dtype=np.int64)
    paired[matched_row] = matched_column
    return np.flatnonzero(paired[row] == column)
