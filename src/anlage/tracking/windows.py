"""Solve long movies in overlapping windows of frames.

What lies early in a window is decided, the rest only serves to look ahead; the next window begins there. So the memory
needed is that of one window, however long the movie is.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from anlage.tracking.linear_program import Duals, Loose, ShouldStop, build_program, relaxed
from anlage.tracking.marginals import marginals
from anlage.tracking.problem import Floats, LinkingProblem, Mask, Rows, Solution, solution_of
from anlage.tracking.refinement import Sections, refined
from anlage.tracking.rounding import Effort, rounded

__all__ = ["Window", "solve", "windows_of"]

OnProgress = Callable[[int, int], None] | None

_IMPROBABLE = 0.005
"""Divisions below this are left out of a window."""
_GLANCES = 10
"""Rounds of message passing to find them."""
_DECIDED = -20.0
"""Cost of beginning where a link from before is decided already."""
_MANY = 8
"""From so many windows on, two threads share them."""


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
    problem: LinkingProblem,
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
    progress = _Progress(on_progress, len(frames))
    lanes = _lanes(windows)
    with ThreadPoolExecutor(len(lanes), thread_name_prefix="anlage windows") as threads:
        running = [threads.submit(state.follow, lane, effort, progress, should_stop) for lane in lanes]
        for each in running:
            each.result()
    if len(lanes) > 1:
        state.join(lanes[1][0].first)
    edges = np.zeros(len(problem.pairs), dtype=bool)
    choice = refined(
        state.sections, state.can_divide, state.duals, solution_of(small, state.nodes, state.edges),
        [window.first for window in windows], effort, should_stop,
    )  # fmt: skip
    edges[useful[choice.edges]] = True
    return solution_of(problem, choice.nodes, edges, choice.bound)


def _lanes(windows: list[Window]) -> list[list[Window]]:
    """Windows that one thread decides one after the other: all, or two halves where there are many.

    The second half begins as if nothing led into it; where that was wrong, the prices show it, and refinement corrects it.
    """
    half = len(windows) // 2
    return [windows[:half], windows[half:]] if len(windows) >= _MANY else [windows]


class _Progress:
    """Adds up what the threads have decided."""

    def __init__(self, on_progress: OnProgress, n_frames: int) -> None:
        self._on_progress, self._n_frames, self._done = on_progress, n_frames, 0
        self._lock = threading.Lock()

    def add(self, window: Window) -> None:
        """A window is decided."""
        with self._lock:
            self._done += window.decided - window.first
            if self._on_progress is not None:
                self._on_progress(self._done, self._n_frames)


class _State:
    """What has been decided so far.

    Each thread writes only what belongs to its own frames.
    """

    def __init__(self, problem: LinkingProblem, rank: Rows) -> None:
        n = len(problem)
        self.problem, self.rank = problem, rank
        self.sections = Sections(problem, rank)
        self.can_divide = problem.useful_divisions()
        self.nodes, self.edges = np.zeros(n, dtype=bool), np.zeros(len(problem.pairs), dtype=bool)
        self.duals = Duals.zero(n, len(problem.pairs))

    def follow(self, windows: list[Window], effort: Effort, progress: _Progress, should_stop: ShouldStop) -> None:
        """Decide windows one after the other."""
        led_to = np.zeros(len(self.problem))
        for window in windows:
            self._decide(window, led_to, effort, should_stop)
            progress.add(window)

    def join(self, seam: int) -> None:
        """Make one of what two threads decided, where one began at frame `seam`.

        A link over the seam gives way where the nucleus that it leads to has another one; a nucleus that a link leads to is
        there, whatever the thread thought that begins with it.
        """
        earlier, later = self.problem.pairs.T
        over = self.edges & (self.rank[earlier] < seam) & (self.rank[later] >= seam)
        twice = np.bincount(later[self.edges], minlength=len(self.problem)) > 1
        self.edges &= ~(over & twice[later])
        self.nodes[later[self.edges]] = True

    def _decide(self, window: Window, led_to: Floats, effort: Effort, should_stop: ShouldStop) -> None:
        """Solve a window and decide its early part; `led_to` marks the nuclei that a link decided before leads to."""
        nodes = self.sections.nodes(window.first, window.last)
        edges, leaving = self.sections.edges(window.first, window.last)
        into, loose = led_to[nodes], self._looking_ahead(nodes, leaving)
        part = self.problem.part(nodes, edges)
        can_divide = self.can_divide[nodes] & _may_divide(part, self.can_divide[nodes], into, loose)
        lp = build_program(part, into, np.zeros(len(nodes)), can_divide, loose=loose)
        x, duals = relaxed(lp, should_stop)
        near = self.rank[nodes] < window.decided + 1
        x = rounded(part, lp, x, near, effort, should_stop, into=into)
        y, began = lp.split(x)[:2]
        early = self.rank[nodes] < window.decided
        decided = early[part.pairs[:, 0]]
        chosen = decided & (y > 0.5)
        self.edges[edges[chosen]] = True
        led_to[self.problem.pairs[edges[chosen], 1]] = 1
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


def _may_divide(part: LinkingProblem, can_divide: Mask, into: Floats, loose: Loose) -> Mask:
    """The nuclei whose dividing is not most improbable; where that was wrong, the prices show it, and refinement corrects it."""
    end = part.end.copy()
    np.minimum.at(end, loose.rows, loose.cost)
    division = np.where(can_divide, part.division, np.inf)
    seen = replace(part, end=end, appear=np.where(into > 0, _DECIDED, part.appear), division=division)
    forced = np.bincount(part.pairs[part.clamp > 0, 0], minlength=len(part)) > 1
    return (marginals(seen, rounds=_GLANCES).division > _IMPROBABLE) | forced
