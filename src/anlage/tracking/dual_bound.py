"""The dual bound: what no choice of links can cost less than, and where a choice exceeds it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from anlage.tracking.linear_program import Duals
from anlage.tracking.problem import Floats, LinkingProblem, Mask, Solution

__all__ = ["ReducedCosts", "reduced_costs"]


@dataclass(frozen=True, slots=True)
class ReducedCosts:
    """The Lagrangian of a problem at some prices: each column's cost less what its rows pay for it.

    It is a bound whatever the prices are, and the more so the better they are. The prices of being there once are
    chosen here, the best for the others.
    """

    problem: LinkingProblem
    can_divide: Mask
    edge: Floats
    begin: Floats
    end: Floats
    divide: Floats
    once: Floats
    there: Floats
    half: Floats

    def bound(self) -> float:
        """No choice costs less than this."""
        p = self.problem
        free = p.clamp == 0
        return float(
            self.once.sum() + np.minimum(self.edge[free], 0).sum() + self.edge[p.clamp > 0].sum()
            + np.minimum(self.begin, 0).sum() + np.minimum(self.end, 0).sum()
            + np.minimum(self.divide, 0)[self.can_divide].sum()
        )  # fmt: skip

    def shortfall(self, choice: Solution) -> Floats:
        """(N,) by how much a choice costs more than the bound, for each nucleus; the sum is the whole difference."""
        p, n = self.problem, len(self.problem)
        earlier, later = p.pairs.T
        y = choice.edges.astype(np.float64)
        there = choice.nodes.astype(np.float64)
        into, onwards = np.bincount(later, y, minlength=n), np.bincount(earlier, y, minlength=n)
        begins, ends = there * (into == 0), there * (onwards == 0)
        divides = (onwards > 1).astype(np.float64)
        slack = np.where(p.clamp == 0, self.edge * y - np.minimum(self.edge, 0), 0.0)
        slack += self.half * (y - there[earlier])
        by_node = (np.bincount(earlier, slack, minlength=n) + np.bincount(later, slack, minlength=n)).astype(
            np.float64
        ) / 2
        by_node += self.begin * begins - np.minimum(self.begin, 0) + self.end * ends - np.minimum(self.end, 0)
        by_node += self.once * (there - 1) + self.there * (ends + divides - there)
        by_node += (self.divide * divides - np.minimum(self.divide, 0)) * self.can_divide
        return by_node


def reduced_costs(problem: LinkingProblem, can_divide: Mask, duals: Duals) -> ReducedCosts:
    """The worth of every column at these prices."""
    n = len(problem)
    earlier, later = problem.pairs.T
    u, w, z = duals.flow, np.minimum(duals.there, 0) * can_divide, np.minimum(duals.half, 0) * can_divide[earlier]
    # what a nucleus costs that comes by a link or begins, before the price of being there once
    arrival = problem.node - u + w + np.bincount(earlier, z, minlength=n)
    edge = problem.edge + arrival[later] + u[earlier] - z
    begin = problem.appear + arrival
    best = begin.copy()
    free = problem.clamp == 0
    np.minimum.at(best, later[free], edge[free])
    accepted = np.bincount(later[problem.clamp > 0], minlength=n) > 0  # shuts out all others, at whatever price
    once = np.where(problem.must & ~accepted, best, np.minimum(best, 0))
    return ReducedCosts(
        problem, can_divide, edge - once[later], begin - once, problem.end + u - w,
        np.where(np.isfinite(problem.division), problem.division, 0.0) - u - w, once, w, z,
    )  # fmt: skip
