"""The tracking problem as arrays of costs, and a solution with its cost.

A choice keeps some nuclei and some links such that every kept nucleus has at most one link from before and at most two
onwards. Its cost is the sum over what it keeps: nuclei, links, beginnings, ends and divisions. With costs that are the
negative logarithms of odds, the cheapest choice is the most probable one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt

from anlage.errors import AnlageError

__all__ = ["LinkingProblem", "Solution", "solution_of"]

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class LinkingProblem:
    """Costs of everything that a choice of tracks may keep.

    Parameters
    ----------
    frames
        (N,) frame of each nucleus.
    pairs
        (E, 2) rows of the earlier and the later nucleus of each candidate link.
    node
        (N,) cost of keeping a nucleus, below 0 where it is rather there than not.
    edge
        (E,) cost of a link.
    appear, end
        (N,) cost of a track's beginning or ending with this nucleus.
    division
        (N,) cost of its dividing; infinite where it cannot.
    must
        (N,) whether a nucleus is kept in any case.
    clamp
        (E,) int8: 1 a link that is kept in any case, −1 one that is not, 0 free.

    Raises
    ------
    AnlageError
        If clamped links contradict each other.
    """

    frames: Rows
    pairs: Rows
    node: Floats
    edge: Floats
    appear: Floats
    end: Floats
    division: Floats
    must: Mask
    clamp: npt.NDArray[np.int8]

    def __post_init__(self) -> None:
        into = np.bincount(self.pairs[self.clamp > 0, 1], minlength=len(self.frames))
        onwards = np.bincount(self.pairs[self.clamp > 0, 0], minlength=len(self.frames))
        if (into > 1).any() or (onwards > 2).any():
            raise AnlageError(
                f"The accepted links give nucleus number {int(np.argmax((into > 1) | (onwards > 2)))} two mothers or three "
                "daughters; take one of them back."
            )

    def __len__(self) -> int:
        return len(self.frames)

    def part(self, nodes: Rows, edges: Rows) -> Self:
        """The nuclei `nodes` (rows, ascending) and the links `edges` among them, numbered anew."""
        number = np.full(len(self), -1, dtype=np.int64)
        number[nodes] = np.arange(len(nodes))
        return replace(
            self, frames=self.frames[nodes], pairs=number[self.pairs[edges]], node=self.node[nodes], edge=self.edge[edges],
            appear=self.appear[nodes], end=self.end[nodes], division=self.division[nodes], must=self.must[nodes],
            clamp=self.clamp[edges],
        )  # fmt: skip

    def clamped(self, edges: npt.ArrayLike, value: int) -> Self:
        """With some links kept (1), forbidden (−1) or free (0)."""
        clamp = self.clamp.copy()
        clamp[np.asarray(edges)] = value
        return replace(self, clamp=clamp)

    def useful_edges(self) -> Mask:
        """(E,) links that some cheapest choice may hold.

        A link that costs more than what it saves, the end of its earlier and the beginning of its later nucleus, is
        never part of one; nor is a second daughter that costs more than a beginning and the division.
        """
        earlier, later = self.pairs.T
        saves = self.appear[later] + np.maximum(self.end[earlier], -self.division[earlier])
        useful: Mask = ((self.edge < saves) & (self.clamp >= 0)) | (self.clamp > 0)
        return useful

    def useful_divisions(self) -> Mask:
        """(N,) nuclei for which dividing may be cheaper than letting the second daughter begin a track of her own."""
        gain = self.edge - self.appear[self.pairs[:, 1]]
        gain = np.where(self.clamp < 0, np.inf, np.where(self.clamp > 0, -1e12, gain))
        second = _second_smallest(gain, self.pairs[:, 0], len(self))
        useful: Mask = np.isfinite(self.division) & (second + self.division < 0)
        forced = np.bincount(self.pairs[self.clamp > 0, 0], minlength=len(self)) > 1
        return useful | forced


@dataclass(frozen=True, slots=True)
class Solution:
    """A choice.

    Parameters
    ----------
    nodes
        (N,) nuclei that are kept.
    edges
        (E,) links that are kept.
    objective
        What the choice costs.
    bound
        No choice costs less: what duality proves.
    """

    nodes: Mask
    edges: Mask
    objective: float
    bound: float = -np.inf

    @property
    def gap(self) -> float:
        """Relative gap: by what part of its cost the choice may cost more than the cheapest; infinite where nothing is proved."""
        if self.objective - self.bound < 1e-9:
            return 0.0
        return (self.objective - self.bound) / max(abs(self.objective), 1.0)


def solution_of(problem: LinkingProblem, nodes: Mask, edges: Mask, bound: float = -np.inf) -> Solution:
    """A choice with its cost; `nodes` beyond those of the links and those that must be kept are what it says."""
    earlier, later = problem.pairs[edges].T
    n = len(problem)
    into, onwards = np.bincount(later, minlength=n), np.bincount(earlier, minlength=n)
    kept = nodes | problem.must | (into > 0) | (onwards > 0)
    divides = onwards > 1
    objective = (
        problem.node[kept].sum()
        + problem.edge[edges].sum()
        + problem.appear[kept & (into == 0)].sum()
        + problem.end[kept & (onwards == 0)].sum()
        # a clamped division may be one that costs infinitely much
        + np.where(np.isfinite(problem.division), problem.division, 0.0)[divides].sum()
    )
    return Solution(kept, edges, float(objective), bound)


def _second_smallest(values: Floats, groups: Rows, n: int) -> Floats:
    """(n,) second smallest value of each group; infinite where there are fewer than two."""
    order = np.lexsort((values, groups))
    g, v = groups[order], values[order]
    first = np.flatnonzero(np.append(True, g[1:] != g[:-1])) if len(g) else np.zeros(0, np.int64)
    size = np.diff(np.append(first, len(g)))
    second = np.full(n, np.inf)
    has = size > 1
    second[g[first[has]]] = v[first[has] + 1]
    return second
