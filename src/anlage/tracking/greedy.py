"""Greedy linking, the best link first: a preview within a second, and a start for rounding."""

from __future__ import annotations

import numpy as np

from anlage.tracking.problem import Floats, LinkingProblem, Mask, Rows, Solution, solution_of

__all__ = ["greedy"]

_ROUNDS = 200


def greedy(problem: LinkingProblem, *, value: Floats | None = None) -> Solution:
    """Take the link that saves most, then the next that still fits, and so on; then divisions; then drop poor tracks.

    Vectorised: in each round all links are taken that are the best choice of both of their nuclei, which gives the same
    result as taking them one by one.

    Parameters
    ----------
    problem
        Costs.
    value
        (E,) what a link is worth, where it is not what it saves; links that are worth nothing are not taken.
    """
    n = len(problem)
    earlier, later = problem.pairs.T
    saves = problem.appear[later] + problem.end[earlier] - problem.edge if value is None else value.copy()
    saves = np.where(problem.clamp > 0, np.inf, np.where(problem.clamp < 0, -np.inf, saves))
    chosen = problem.clamp > 0
    room_in = np.bincount(later[chosen], minlength=n) == 0
    room_out = np.bincount(earlier[chosen], minlength=n) == 0
    _take(chosen, saves, problem.pairs, room_in, room_out)

    second = problem.appear[later] - problem.division[earlier] - problem.edge if value is None else saves
    second = np.where(np.isfinite(problem.division[earlier]) & (problem.clamp == 0) & ~chosen, second, -np.inf)
    one_daughter = np.bincount(earlier[chosen], minlength=n) == 1
    _take(chosen, second, problem.pairs, room_in, one_daughter)
    return _without_poor_tracks(problem, chosen)


def _take(chosen: Mask, saves: Floats, pairs: Rows, room_in: Mask, room_out: Mask) -> None:
    """Add links to `chosen` where both ends have room, which they then have not."""
    left = np.flatnonzero(saves > 0)
    left = left[~chosen[left]]
    left = left[np.lexsort((left, -saves[left]))]  # equal ones in the order of the table
    for _ in range(_ROUNDS):
        earlier, later = pairs[left].T
        left = left[room_out[earlier] & room_in[later]]
        if not len(left):
            return
        earlier, later = pairs[left].T
        best_of_earlier = np.zeros(len(left), dtype=bool)
        best_of_earlier[np.unique(earlier, return_index=True)[1]] = True
        best_of_later = np.zeros(len(left), dtype=bool)
        best_of_later[np.unique(later, return_index=True)[1]] = True
        now = left[best_of_earlier & best_of_later]
        chosen[now] = True
        room_out[pairs[now, 0]] = False
        room_in[pairs[now, 1]] = False


def _without_poor_tracks(problem: LinkingProblem, chosen: Mask) -> Solution:
    """Leave out lineages that cost more than nothing, unless something in them must be kept."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    n = len(problem)
    earlier, later = problem.pairs[chosen].T
    graph = coo_matrix((np.ones(len(earlier)), (earlier, later)), shape=(n, n))
    n_lineages, lineage = connected_components(graph, directed=False)
    into, onwards = np.bincount(later, minlength=n), np.bincount(earlier, minlength=n)
    division = np.where(np.isfinite(problem.division), problem.division, 0.0)
    of_node = (
        problem.node + problem.appear * (into == 0) + problem.end * (onwards == 0) + division * (onwards > 1)
    )  # fmt: skip
    cost = np.bincount(lineage, of_node, minlength=n_lineages)
    cost += np.bincount(lineage[earlier], problem.edge[chosen], minlength=n_lineages)
    needed = np.zeros(n_lineages, dtype=bool)
    needed[lineage[problem.must]] = True
    needed[lineage[problem.pairs[problem.clamp > 0, 0]]] = True
    kept = ((cost < 0) | needed)[lineage]
    return solution_of(problem, kept, chosen & kept[problem.pairs[:, 0]])
