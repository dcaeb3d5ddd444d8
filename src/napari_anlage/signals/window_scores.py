"""The user's scores of windows of traces: no event, event, unclear; with undo. Knows no Qt and no napari.

Every answer is on disk at once, as the HDF5 file that a network learns from, and can be taken back.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from psygnal import Signal

from anlage import AnlageError, History, HistoryMove, Signals, open_signals, write_signals
from napari_anlage.signals.scoring import SortOrder
from napari_anlage.widgets.writers import READ_BEFORE

__all__ = ["EVENT", "NOTHING", "NOT_YET", "UNCLEAR", "WindowScores"]

NOTHING, EVENT, UNCLEAR, NOT_YET = 0, 1, 2, -1
"""Scores of a window, with the numbers that the files have."""
_CYCLE = (NOTHING, EVENT, UNCLEAR)


class WindowScores:
    """Windows, their scores, the current one, and undo.

    Parameters
    ----------
    signals
        The windows; scores that they bring are the first answers.
    path
        HDF5 file that every answer is written to; if it holds the same windows, its scores hold. None keeps nothing.
    """

    changed = Signal()
    """Scores changed, or another window is current."""

    def __init__(self, signals: Signals, path: Path | None = None) -> None:
        if not len(signals):
            raise AnlageError("There is no window in these signals; cut some out of a trace, or open another file.")
        self.signals, self.path = signals, path
        self.scores = signals.scores.copy()
        self.chance: npt.NDArray[np.float64] | None = None
        """Probability of an event in each window, by a network."""
        self._order = np.arange(len(signals))
        self.place = 0
        """Place of the current window in the order."""
        self._history: History[tuple[int, int]] = History()
        """Rows, and the scores that lead back."""
        n = 1
        while self.path is not None and path is not None and self.path.is_file():
            kept = open_signals(self.path)
            if kept.values.shape == signals.values.shape and np.allclose(kept.values, signals.values, equal_nan=True):
                self.scores = kept.scores.copy()
                break
            # scores of other windows, which came from a file of the same name
            self.path = path.with_name(f"{path.stem}-{(n := n + 1)}{path.suffix}")

    @property
    def row(self) -> int:
        """The current window."""
        return int(self._order[self.place])

    def go(self, steps: int) -> None:
        """So many windows on, or back; stops at the ends."""
        self.place = min(max(self.place + steps, 0), len(self._order) - 1)
        self.changed.emit()

    def sort(self, order: SortOrder) -> None:
        """Go through the windows in another order, from its beginning."""
        self._order = np.arange(len(self.signals))
        if order == SortOrder.NOT_YET:
            self._order = np.argsort(self.scores != NOT_YET, kind="stable")
        elif order == SortOrder.DOUBT and self.chance is not None:
            self._order = np.argsort(np.abs(self.chance - 0.5), kind="stable")
        self.place = 0
        self.changed.emit()

    def answer(self, score: int) -> None:
        """Give the current window this score."""
        self._change("do", self.row, score)

    def cycle(self) -> None:
        """The next of no event, event, unclear."""
        now = int(self.scores[self.row])
        self.answer(_CYCLE[(_CYCLE.index(now) + 1) % 3] if now in _CYCLE else NOTHING)

    def undo(self) -> None:
        """Take the last answer back."""
        self._retrace("undo")

    def redo(self) -> None:
        """Give again the answer that was taken back."""
        self._retrace("redo")

    @property
    def counts(self) -> tuple[int, int, int, int]:
        """Windows with an event, without, unclear, not scored."""
        return tuple(int((self.scores == score).sum()) for score in (EVENT, NOTHING, UNCLEAR, NOT_YET))  # type: ignore[return-value]

    @property
    def scored(self) -> Signals:
        """The windows with the scores of now."""
        return replace(self.signals, scores=self.scores.copy())

    def save(self) -> None:
        """Write the scores of now."""
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_signals(self.path, self.scored, by=READ_BEFORE)

    def _retrace(self, way: HistoryMove) -> None:
        step = self._history.newest(way)
        if step is not None:
            self._change(way, *step.edit)

    def _change(self, way: HistoryMove, row: int, score: int) -> None:
        self._history.take(way, (row, int(self.scores[row])), f"window {row}")
        self.scores[row] = score
        self.save()
        self.changed.emit()
