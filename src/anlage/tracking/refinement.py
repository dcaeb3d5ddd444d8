"""Local search: improve a solution, and its dual bound, where the two differ.

Duality shows nucleus by nucleus where a choice and the prices disagree: mostly where two windows meet. Only there are
small programmes solved again, one for the choice (what lies outside stays) and one for the prices (those outside stay).
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

from anlage.tracking.dual_bound import ReducedCosts, reduced_costs
from anlage.tracking.linear_program import Duals, Loose, ShouldStop, build_program, relaxed
from anlage.tracking.problem import Floats, LinkingProblem, Mask, Rows, Solution, solution_of
from anlage.tracking.rounding import Effort, rounded

__all__ = ["Sections", "around", "improved", "refined"]

_HOPS = (2, 4, 8, 12, 16)
"""Links by which the neighbourhood of a disagreement is taken in, round by round."""
_NEAR = 4.0
"""Links that cost so much more than they are worth, at the present prices, carry no disagreement further."""
_BATCH = 4000
"""Nuclei that are solved together."""
_NEGLIGIBLE = 1e-6
_RIM = 2
"""Occupied frames that a link spans at most."""


class Sections:
    """A problem by occupied frames, so that a stretch of them is found at once.

    Parameters
    ----------
    problem
        All of it.
    rank
        (N,) number of each nucleus's frame among the occupied ones.
    """

    def __init__(self, problem: LinkingProblem, rank: Rows) -> None:
        self.problem, self.rank = problem, rank
        self.n_ranks = int(rank.max(initial=-1)) + 1
        self._nodes = np.argsort(rank, kind="stable")
        self._node_rank = rank[self._nodes]
        self._edges = np.argsort(rank[problem.pairs[:, 0]], kind="stable")
        self._edge_rank = rank[problem.pairs[self._edges, 0]]

    def nodes(self, first: int, last: int) -> Rows:
        """Rows of the nuclei from occupied frame `first` to before `last`, ascending."""
        low, high = np.searchsorted(self._node_rank, [first, last])
        return np.sort(self._nodes[low:high])

    def edges(self, first: int, last: int) -> tuple[Rows, Rows]:
        """Links that start there: those that also end there, and those that lead beyond."""
        low, high = np.searchsorted(self._edge_rank, [first, last])
        edges = np.sort(self._edges[low:high])
        stays = self.rank[self.problem.pairs[edges, 1]] < last
        return edges[stays], edges[~stays]


@dataclass(slots=True)
class _Stretch:
    """Some frames of a problem with the choice and the prices there."""

    problem: LinkingProblem
    can_divide: Mask
    choice: Solution
    duals: Duals
    price: Floats
    """(E,) what the later nucleus asks for a link, its own price of being there once included."""


def refined(
    sections: Sections, can_divide: Mask, duals: Duals, choice: Solution, borders: list[int], effort: Effort,
    should_stop: ShouldStop = None,
) -> Solution:  # fmt: skip
    """A choice that costs no more, with a bound that is no lower; `duals` are improved in place.

    Parameters
    ----------
    sections
        The problem.
    can_divide, duals, choice
        Of the whole.
    borders
        Occupied frames at which windows began.
    effort, should_stop
        As for `solve`.
    """
    problem = sections.problem
    nodes, edges, bound = choice.nodes.copy(), choice.edges.copy(), choice.bound
    for number, hops in enumerate(_HOPS):
        # what two rounds have not improved is connected over more than one border
        chunks = _chunks(borders, sections.n_ranks, together=1 if number < 2 else 3)
        for parity in (0, 1) if len(chunks) > 1 else (0,):  # neighbours never at once: each needs the other's prices
            prices = reduced_costs(problem, can_divide, duals)
            bound = max(bound, prices.bound())
            choice = solution_of(problem, nodes, edges, bound)
            if choice.gap <= _NEGLIGIBLE:
                return choice
            seeds = _seeds(prices.shortfall(choice), _NEGLIGIBLE * abs(choice.objective) / 2)
            refine = partial(
                _refine, sections, seeds=seeds, hops=hops, prices=prices, duals=duals, nodes=nodes, edges=edges,
                effort=effort, should_stop=should_stop,
            )  # fmt: skip
            with ThreadPoolExecutor(_lanes(chunks), thread_name_prefix="anlage refinement") as threads:
                for _ in threads.map(refine, chunks[parity::2]):
                    pass
    bound = max(bound, reduced_costs(problem, can_divide, duals).bound())
    return solution_of(problem, nodes, edges, bound)


def around(problem: LinkingProblem, seeds: Mask, hops: int, along: Mask) -> Mask:
    """(N,) nuclei that are at most so many links away from one of the seeds, by the candidate links `along` (E,)."""
    earlier, later = problem.pairs[along].T
    inside = seeds.copy()
    for _ in range(hops):
        forward, backward = later[inside[earlier]], earlier[inside[later]]
        inside[forward] = True
        inside[backward] = True
    return inside


def improved(
    problem: LinkingProblem,
    can_divide: Mask,
    choice: Solution,
    nodes: Rows,
    effort: Effort,
    should_stop: ShouldStop = None,
) -> Solution:
    """The choice with the nuclei `nodes` decided anew, all others as they are; the old one where nothing is gained."""
    member, edges = _members(problem, nodes)
    earlier, later = problem.pairs.T
    n = len(problem)
    comes = choice.edges & member[later] & ~member[earlier]
    goes = choice.edges & member[earlier] & ~member[later]
    into = np.bincount(later[comes], minlength=n)[nodes].astype(np.float64)
    onwards = np.bincount(earlier[goes], minlength=n)[nodes].astype(np.float64)
    part = problem.part(nodes, edges)
    lp = build_program(part, into, onwards, can_divide[nodes] | (onwards > 1))
    x, _ = relaxed(lp, should_stop)
    x = rounded(part, lp, x, np.ones(len(nodes), dtype=bool), effort, should_stop, into=into)
    y, begins = lp.split(x)[:2]
    links = choice.edges.copy()
    links[edges] = y > 0.5
    kept = choice.nodes.copy()
    kept[nodes] = (begins > 0.5) | (into > 0)
    found = solution_of(problem, kept, links, choice.bound)
    return found if found.objective < choice.objective - 1e-9 else choice


def _chunks(borders: list[int], n_ranks: int, *, together: int) -> list[tuple[int, int]]:
    """Stretches of frames, each with so many borders inside, in the middle where it is one."""
    inner = [b for b in borders if 0 < b < n_ranks]
    between = [(a + b) // 2 for a, b in pairwise(inner)]
    cuts = [0, *between[together // 2 :: together], n_ranks]
    return [(low, high) for low, high in pairwise(cuts) if high > low]


def _lanes(chunks: list[tuple[int, int]]) -> int:
    """How many of every other chunk may be solved at once: two, unless one of them would read what the other writes."""
    return 2 if all(last - first >= 3 * _RIM for first, last in chunks[1:-1]) else 1


def _seeds(short: Floats, negligible: float) -> Mask:
    """The nuclei that fall short most; the others together by no more than what is negligible."""
    order = np.argsort(short, kind="stable")
    seeds = np.zeros(len(short), dtype=bool)
    seeds[order[np.cumsum(short[order]) > negligible]] = True
    return seeds


def _refine(  # noqa: PLR0913
    sections: Sections, chunk: tuple[int, int], *, seeds: Mask, hops: int, prices: ReducedCosts, duals: Duals, nodes: Mask,
    edges: Mask, effort: Effort, should_stop: ShouldStop,
) -> None:  # fmt: skip
    """Solve again around the seeds of a chunk; `duals`, `nodes` and `edges` take what comes of it.

    It reads what lies within two rims of the chunk, and writes what starts within one.
    """
    first, last = chunk
    rows = sections.nodes(first - 2 * _RIM, last + 2 * _RIM)
    rank = sections.rank[rows]
    at_home = (rank >= first) & (rank < last)
    if not (seeds[rows] & at_home).any():
        return
    inner, _ = sections.edges(first - 2 * _RIM, last + 2 * _RIM)
    view = sections.problem.part(rows, inner)
    inside = around(view, seeds[rows] & at_home, hops, prices.edge[inner] < _NEAR)
    reached = (rank >= first - _RIM) & (rank < last + _RIM)
    inside &= reached
    u, z = duals.flow[rows], duals.half[inner]
    stretch = _Stretch(
        view, prices.can_divide[rows], solution_of(view, nodes[rows], edges[inner]),
        Duals(u, duals.once[rows], duals.there[rows], z), prices.edge[inner] - u[view.pairs[:, 0]] + z,
    )  # fmt: skip
    for batch in _batches(view, inside):
        stretch.choice = improved(view, stretch.can_divide, stretch.choice, batch, effort, should_stop)
        _reprice(stretch, batch, should_stop)
    starts = reached[view.pairs[:, 0]]
    at, along = rows[reached], inner[starts]
    nodes[at], edges[along] = stretch.choice.nodes[reached], stretch.choice.edges[starts]
    duals.flow[at], duals.there[at] = stretch.duals.flow[reached], stretch.duals.there[reached]
    duals.half[along] = stretch.duals.half[starts]


def _reprice(stretch: _Stretch, nodes: Rows, should_stop: ShouldStop) -> None:
    """New prices for the nuclei `nodes`, the best given those of all others."""
    problem, duals = stretch.problem, stretch.duals
    member, edges = _members(problem, nodes)
    earlier, later = problem.pairs.T
    n = len(problem)
    free, taken = problem.clamp == 0, problem.clamp > 0
    enters, leaves = member[later] & ~member[earlier], member[earlier] & ~member[later]
    comes, goes = free & enters, free & leaves
    into = np.bincount(later[taken & enters], minlength=n)[nodes].astype(np.float64)
    onwards = np.bincount(earlier[taken & leaves], minlength=n)[nodes].astype(np.float64)
    appear = problem.appear.copy()
    np.minimum.at(appear, later[comes], problem.edge[comes] + duals.flow[earlier[comes]] - duals.half[comes])
    loose = Loose(np.searchsorted(nodes, earlier[goes]), stretch.price[goes])
    part = problem.part(nodes, edges)
    lp = build_program(part, into, onwards, stretch.can_divide[nodes] | (onwards > 1), appear[nodes], loose)
    _, found = relaxed(lp, should_stop)
    duals.flow[nodes] = found.flow
    duals.there[nodes] = found.there
    duals.half[edges] = found.half
    duals.half[goes] = 0.0


def _members(problem: LinkingProblem, nodes: Rows) -> tuple[Mask, Rows]:
    member = np.zeros(len(problem), dtype=bool)
    member[nodes] = True
    return member, np.flatnonzero(member[problem.pairs].all(axis=1))


def _batches(problem: LinkingProblem, inside: Mask) -> Iterator[Rows]:
    """The nuclei in groups between which there are no candidate links."""
    rows = np.flatnonzero(inside)
    number = np.full(len(problem), -1)
    number[rows] = np.arange(len(rows))
    pairs = number[problem.pairs[inside[problem.pairs].all(axis=1)]]
    graph = sp.coo_matrix((np.ones(len(pairs)), pairs.T), shape=(len(rows), len(rows)))
    _, region = connected_components(graph, directed=False)
    sizes = np.bincount(region)
    batch = (np.cumsum(sizes) // _BATCH)[region]
    for one in np.unique(batch):
        yield rows[batch == one]
