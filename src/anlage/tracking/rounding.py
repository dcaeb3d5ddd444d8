"""Rounding: whole numbers where the linear program gave fractions, by a small integer search around them."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

from anlage.tracking.greedy import greedy
from anlage.tracking.linear_program import LinearProgram, Loose, ShouldStop, build_program, is_fractional, whole
from anlage.tracking.problem import Floats, LinkingProblem, Mask, Rows

__all__ = ["Effort", "rounded"]


@dataclass(slots=True)
class Effort:
    """How long to search in all, and what came of it."""

    hops: int = 3
    """Links by which the neighbourhood of a fraction is taken into the search."""
    most_nodes: int = 2000
    """Branchings of one search."""
    seconds: float = 30.0
    """A safeguard for one search; where it is met, another run may end with other tracks."""
    n_fractional: int = field(default=0, init=False)
    """Variables that were fractional."""
    n_searches: int = field(default=0, init=False)
    n_out_of_time: int = field(default=0, init=False)


def rounded(
    part: LinkingProblem, lp: LinearProgram, x: Floats, near: Mask, effort: Effort, should_stop: ShouldStop, *,
    into: Floats,
) -> Floats:  # fmt: skip
    """A solution without fractions among the nuclei `near` (N,), the others as they were."""
    fractional = is_fractional(x)
    if not fractional.any():
        return np.rint(x)
    effort.n_fractional += int(fractional.sum())
    n, n_edges = lp.n_nodes, lp.n_edges
    y, begins, ends, divisions, loose = (is_fractional(block) for block in lp.split(x))
    touched = begins | ends
    touched[lp.divides[divisions]] = True
    touched[lp.loose.rows[loose]] = True
    touched[part.pairs[y].ravel()] = True
    clump = _clumps(part.pairs[y], n)
    graph = sp.coo_matrix((np.ones(n_edges), part.pairs.T), shape=(n, n)).tocsr()
    graph = graph + graph.T
    inside = _whole_clumps(touched & near, touched, clump)
    for _ in range(effort.hops):
        inside = _whole_clumps(inside | (graph @ inside.astype(float) > 0), touched, clump)
    result = np.where(fractional, 0.0, np.rint(x))
    rows = np.flatnonzero(inside)
    _, region = connected_components(graph[rows][:, rows], directed=False)
    for number in range(int(region.max(initial=-1)) + 1):
        _search(part, lp, x, result, rows[region == number], effort, should_stop, into)
    return result


def _clumps(pairs: Rows, n: int) -> Rows:
    graph = sp.coo_matrix((np.ones(len(pairs)), pairs.T), shape=(n, n))
    labels: Rows = connected_components(graph, directed=False)[1].astype(np.int64)
    return labels


def _whole_clumps(inside: Mask, touched: Mask, clump: Rows) -> Mask:
    """With every clump of fractions of which it holds a part."""
    hit = np.zeros(int(clump.max()) + 1, dtype=bool)
    hit[clump[inside & touched]] = True
    grown: Mask = inside | (hit[clump] & touched)
    return grown


def _search(  # noqa: PLR0913
    part: LinkingProblem, lp: LinearProgram, x: Floats, result: Floats, nodes: Rows, effort: Effort, should_stop: ShouldStop,
    into: Floats,
) -> None:  # fmt: skip
    """Decide the nuclei `nodes` in whole numbers, given all others, and write it into `result`."""
    n, n_edges = lp.n_nodes, lp.n_edges
    member = np.zeros(n, dtype=bool)
    member[nodes] = True
    earlier, later = part.pairs.T
    edges = np.flatnonzero(member[earlier] & member[later])
    kept = result[:n_edges] > 0.5
    comes, goes = kept & ~member[earlier] & member[later], kept & member[earlier] & ~member[later]
    inflow = into + np.bincount(later[comes], minlength=n)
    outflow = np.bincount(earlier[goes], minlength=n).astype(np.float64)
    can_divide = np.zeros(n, dtype=bool)
    can_divide[lp.divides] = True
    small = part.part(nodes, edges)
    stubs = np.flatnonzero(member[lp.loose.rows])
    loose = Loose(np.searchsorted(nodes, lp.loose.rows[stubs]), lp.loose.cost[stubs])
    sub = build_program(small, inflow[nodes], outflow[nodes], can_divide[nodes], loose=loose)
    effort.n_searches += 1
    began = time.monotonic()
    found = whole(sub, most_nodes=effort.most_nodes, seconds=effort.seconds, should_stop=should_stop)
    effort.n_out_of_time += time.monotonic() - began > effort.seconds
    rounded = _greedily_rounded(small, sub, x[edges], inflow[nodes], outflow[nodes])
    best = min((one for one in (found, rounded) if one is not None), key=lambda one: float(sub.cost @ one))
    for block, values, place in zip(
        lp.split(result), sub.split(best),
        (edges, nodes, nodes, np.searchsorted(lp.divides, nodes[sub.divides]), stubs), strict=True,
    ):  # fmt: skip
        block[place] = values


def _greedily_rounded(
    small: LinkingProblem, sub: LinearProgram, y: Floats, inflow: Floats, outflow: Floats
) -> Floats | None:
    """The fractions taken greatest first, as a solution of the small programme; None where that does not fit."""
    closed = (inflow[small.pairs[:, 1]] > 0) | (outflow[small.pairs[:, 0]] > 0)
    value = np.where(closed, -1.0, y - 1e-6)
    choice = greedy(small, value=value)
    chosen = choice.edges.copy()
    came = np.bincount(small.pairs[chosen, 1], minlength=len(small)) + inflow
    went = np.bincount(small.pairs[chosen, 0], minlength=len(small)) + outflow
    kept = choice.nodes | (inflow > 0) | (outflow > 0)
    divides = went > 1
    a, ends = kept & (came == 0), kept & (went == 0)
    x = np.concatenate([chosen, a, ends, divides[sub.divides], np.zeros(len(sub.loose.rows))]).astype(np.float64)
    fits = np.allclose(sub.equal @ x, sub.equal_to) and (sub.below @ x <= sub.below_to + 1e-6).all()
    return x if fits and ((x >= sub.low) & (x <= sub.high)).all() else None
