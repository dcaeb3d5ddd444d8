"""The programme solved window by window, each a few frames that overlap with the next.

What lies early in a window is decided, the rest only serves to look ahead; the next window begins there. So the memory
needed is that of one window, however long the movie is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from anlage.tracking.marginals import marginals
from anlage.tracking.mending import Effort, mended
from anlage.tracking.polishing import Sections, polished
from anlage.tracking.problem import Floats, Mask, Problem, Rows, Solution, solution_of
from anlage.tracking.programme import Duals, Loose, ShouldStop, programme, relaxed

__all__ = ["Window", "solve", "windows_of"]

OnProgress = Callable[[int, int], None] | None

_IMPROBABLE = 0.005
"""Divisions below this are left out of a window."""
_GLANCES = 10
"""Rounds of messages for telling them."""
_DECIDED = -20.0
"""Cost of beginning where a link from before is decided already."""


@dataclass(frozen=True, slots=True)
class Window:
    """Occupied frames, by their number in order: from `first` to before `last`; decided is what lies before `decided`."""

    first: int
    decided: int
    last: int


def windows_of(counts: Rows, *, most_nuclei: int = 6000, fewest_frames: int = 10, ahead: int = 4) -> list[Window]:
    """Cut a movie into windows.

    Parameters
    ----------
    counts
        (F,) nuclei in each occupied frame.
    most_nuclei
        A window grows up to about so many nuclei …
    fewest_frames
        … but has at least so many frames, unless the movie ends.
    ahead
        Frames at a window's end that only serve to look ahead.
    """
    total = np.concatenate([[0], np.cumsum(counts)])
    n, first, found = len(counts), 0, []
    while first < n:
        by_nuclei = int(np.searchsorted(total, total[first] + most_nuclei, side="right")) - 1
        last = min(n, max(by_nuclei, first + fewest_frames))
        if n - last <= ahead:
            last = n
        decided = n if last == n else last - ahead
        found.append(Window(first, decided, last))
        first = decided
    return found


def solve(
    problem: Problem,
    *,
    windows: list[Window] | None = None,
    effort: Effort | None = None,
    on_progress: OnProgress = None,
    should_stop: ShouldStop = None,
) -> Solution:
    """Choose tracks of least cost.

    Parameters
    ----------
    problem
        Costs.
    windows
        How the movie is cut; by default by `windows_of`.
    effort
        How long to search where the programme's solution is fractional.
    on_progress
        Called with (frames decided, frames in all).
    should_stop
        Asked about 20 times a second.

    Returns
    -------
    Solution
        With a bound that holds for the whole movie, not only for each window.

    Raises
    ------
    StoppedError
        If an end was asked for.
    """
    effort = effort or Effort()
    useful = np.flatnonzero(problem.useful_edges())
    small = problem.part(np.arange(len(problem)), useful)
    frames, rank = np.unique(problem.frames, return_inverse=True)
    windows = windows or windows_of(np.bincount(rank, minlength=len(frames)).astype(np.int64))
    state = _State(small, rank.astype(np.int64))
    for window in windows:
        state.decide(window, effort, should_stop)
        if on_progress is not None:
            on_progress(window.decided, len(frames))
    edges = np.zeros(len(problem.pairs), dtype=bool)
    choice = polished(
        state.sections, state.can_divide, state.duals, solution_of(small, state.nodes, state.edges),
        [window.first for window in windows], effort, should_stop,
    )  # fmt: skip
    edges[useful[choice.edges]] = True
    return solution_of(problem, choice.nodes, edges, choice.bound)


class _State:
    """What has been decided so far."""

    def __init__(self, problem: Problem, rank: Rows) -> None:
        n = len(problem)
        self.problem, self.rank = problem, rank
        self.sections = Sections(problem, rank)
        self.can_divide = problem.useful_divisions()
        self.nodes, self.edges = np.zeros(n, dtype=bool), np.zeros(len(problem.pairs), dtype=bool)
        self.duals = Duals.zero(n, len(problem.pairs))
        self._into = np.zeros(n)

    def decide(self, window: Window, effort: Effort, should_stop: ShouldStop) -> None:
        """Solve a window and decide its early part."""
        nodes = self.sections.nodes(window.first, window.last)
        edges, leaving = self.sections.edges(window.first, window.last)
        into, loose = self._into[nodes], self._looking_ahead(nodes, leaving)
        part = self.problem.part(nodes, edges)
        can_divide = self.can_divide[nodes] & _may_divide(part, self.can_divide[nodes], into, loose)
        lp = programme(part, into, np.zeros(len(nodes)), can_divide, loose=loose)
        x, duals = relaxed(lp, should_stop)
        near = self.rank[nodes] < window.decided + 1
        x = mended(part, lp, x, near, effort, should_stop, into=into)
        y, began = lp.split(x)[:2]
        early = self.rank[nodes] < window.decided
        decided = early[part.pairs[:, 0]]
        chosen = decided & (y > 0.5)
        self.edges[edges[chosen]] = True
        self._into[self.problem.pairs[edges[chosen], 1]] = 1
        there = (began > 0.5) | (into > 0.5)
        there[part.pairs[chosen, 1]] = True
        self.nodes[nodes[early]] = there[early]
        self._keep(duals, nodes[early], edges[decided], early, decided)

    def _looking_ahead(self, nodes: Rows, leaving: Rows) -> Loose:
        """The links that lead out of a window: they cost what they cost, and the nucleus that they lead to."""
        earlier, later = self.problem.pairs[leaving].T
        return Loose(np.searchsorted(nodes, earlier), self.problem.edge[leaving] + self.problem.node[later])

    def _keep(self, duals: Duals, nodes: Rows, edges: Rows, early: Mask, decided: Mask) -> None:
        self.duals.flow[nodes] = duals.flow[early]
        self.duals.once[nodes] = duals.once[early]
        self.duals.there[nodes] = duals.there[early]
        self.duals.half[edges] = duals.half[decided]


def _may_divide(part: Problem, can_divide: Mask, into: Floats, loose: Loose) -> Mask:
    """The nuclei whose dividing is not most improbable; where that was wrong, the prices tell, and it is polished."""
    end = part.end.copy()
    np.minimum.at(end, loose.rows, loose.cost)
    division = np.where(can_divide, part.division, np.inf)
    seen = replace(part, end=end, appear=np.where(into > 0, _DECIDED, part.appear), division=division)
    forced = np.bincount(part.pairs[part.clamp > 0, 0], minlength=len(part)) > 1
    return (marginals(seen, rounds=_GLANCES).division > _IMPROBABLE) | forced
