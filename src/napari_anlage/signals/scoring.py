"""The user's scores of tracks: event, no event, censored or removed, and when; with undo. Knows no Qt and no napari.

Every answer is on disk at once, in a table of events beside the signals, and can be taken back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
import numpy.typing as npt
from psygnal import Signal

from anlage import AnlageError, Events, History, HistoryMove, Signals, read_events, write_events
from napari_anlage.widgets.writers import READ_BEFORE

__all__ = ["CENSORED", "EVENT", "NOT_YET", "NO_EVENT", "REMOVED", "Balance", "Scoring", "SortOrder"]

EVENT, NO_EVENT, CENSORED, REMOVED, NOT_YET = 0, 1, 2, 3, -1
"""Classes of a track, with the numbers that the files have."""
_CYCLE = (EVENT, NO_EVENT, CENSORED)


class SortOrder(StrEnum):
    """In which order tracks are gone through."""

    NUMBER = "number"
    NOT_YET = "not yet scored first"
    DOUBT = "the model's doubt"


@dataclass(frozen=True, slots=True)
class Balance:
    """How many tracks have which answer."""

    event: int
    no_event: int
    censored: int
    removed: int
    not_yet: int

    @property
    def sentence(self) -> str:
        """What it means for a training."""
        if self.event + self.no_event == 0:
            return "Nothing is scored yet."
        if self.event == 0:
            return "No track with an event is scored; a network needs both kinds."
        if self.no_event + self.censored == 0:
            return "No track without an event is scored; a network needs both kinds."
        few, many = sorted((self.event, self.no_event))
        if many > 4 * max(few, 1):
            which = "with an event" if self.event < self.no_event else "without one"
            return f"Only {few} tracks {which} against {many}: score more of them."
        return f"{self.event} with an event, {self.no_event} without."


@dataclass(frozen=True, slots=True)
class _Answers:
    """What is said of some rows."""

    rows: npt.NDArray[np.int64]
    classes: npt.NDArray[np.int64]
    times: npt.NDArray[np.float64]


class Scoring:
    """Answers for the tracks of some signals, the current track, and undo.

    Parameters
    ----------
    signals
        The tracks; classes and times that they bring are the first answers.
    path
        Table of events that every answer is written to; if it is there, its answers hold. None keeps nothing.

    Raises
    ------
    AnlageError
        If the table at `path` is not of tracks, or cannot be read.
    """

    changed = Signal()
    """Answers changed."""
    moved = Signal()
    """Another track is current, or the order changed."""

    def __init__(self, signals: Signals, path: Path | None = None) -> None:
        if len(signals) == 0:
            raise AnlageError("There is no track in these signals; measure them along tracks, or open another file.")
        self.signals = signals
        self.path = path
        self.classes = signals.scores.copy()
        self.times = signals.times.copy()
        self.predicted: Events | None = None
        self._history: History[_Answers] = History()
        self._order = np.arange(len(signals))
        self._kind = SortOrder.NUMBER
        self._place = 0
        if path is not None and path.is_file():
            self._take(read_events(path))

    # ---- which track ----

    @property
    def row(self) -> int:
        """The current track, as a row of the signals."""
        return int(self._order[self._place])

    @property
    def place(self) -> int:
        """Where it stands in the order, counted from 0."""
        return self._place

    def go(self, steps: int) -> None:
        """So many tracks on, or back; stops at the ends."""
        self._show(self._place + steps)

    def go_to(self, row: int) -> None:
        """Look at this row."""
        self._show(int(np.flatnonzero(self._order == row)[0]))

    def first(self) -> None:
        """Look at the first track."""
        self._show(0)

    def last(self) -> None:
        """Look at the last track."""
        self._show(len(self._order) - 1)

    def row_of_nucleus(self, nucleus: int) -> int | None:
        """The row whose track holds this nucleus; None where none does."""
        nuclei = self.signals.nuclei
        found = np.zeros(0) if nuclei is None or nucleus <= 0 else np.flatnonzero((nuclei == nucleus).any(axis=1))
        return int(found[0]) if len(found) else None

    def sort(self, order: SortOrder) -> None:
        """Go through the tracks in another order, from its beginning."""
        n = len(self.signals)
        if order == SortOrder.NOT_YET:
            self._order = np.argsort(self.classes != NOT_YET, kind="stable")
        elif order == SortOrder.DOUBT:
            self._order = np.argsort(-self._doubt(), kind="stable")
        else:
            self._order = np.arange(n)
        self._kind = order
        self._place = 0
        self.moved.emit()

    def _doubt(self) -> npt.NDArray[np.float64]:
        """How unsure the model is of each track, 0 to 1; below 0 where it says nothing."""
        doubt = np.full(len(self.signals), -1.0)
        if self.predicted is not None:
            row_of = {int(track): i for i, track in enumerate(self.signals.ids)}
            for track, probability in zip(self.predicted.tracks, self.predicted.probability, strict=True):
                if int(track) in row_of and np.isfinite(probability):
                    doubt[row_of[int(track)]] = 1 - float(probability)
        return doubt

    def _show(self, place: int) -> None:
        place = min(max(place, 0), len(self._order) - 1)
        if place != self._place:
            self._place = place
            self.moved.emit()

    # ---- answers ----

    def answer(self, kind: int, frame: float | None = None) -> None:
        """Say of the current track what happened, and for an event, at which frame.

        Raises
        ------
        AnlageError
            If an event is put where the track has no signal.
        """
        row, time = self.row, np.nan
        if kind == EVENT:
            low, high = self.signals.spans[row] + self.signals.first_frame
            if frame is None or not low <= frame <= high - 1:
                raise AnlageError(
                    f"Track {self.signals.ids[row]} has signals in the frames {low} to {high - 1}, not in frame "
                    f"{frame if frame is None else f'{frame:g}'}; move the time slider there first."
                )
            time = float(frame)
        words = {
            EVENT: "an event",
            NO_EVENT: "no event",
            CENSORED: "censored",
            REMOVED: "removed",
            NOT_YET: "not scored",
        }
        self._do(f"track {self.signals.ids[row]}: {words[kind]}", [row], [kind], [time])

    def cycle(self, frame: float) -> None:
        """The next of event, no event, censored."""
        now = int(self.classes[self.row])
        self.answer(_CYCLE[(_CYCLE.index(now) + 1) % 3] if now in _CYCLE else EVENT, frame)

    def shift(self, rows: Sequence[int], frames: float) -> None:
        """Move the events of these tracks by so many frames; no further than their signals reach."""
        chosen = np.array([row for row in rows if self.classes[row] == EVENT], dtype=np.int64)
        if not len(chosen):
            raise AnlageError("None of these tracks has an event to be moved.")
        spans = self.signals.spans[chosen] + self.signals.first_frame
        times = np.clip(self.times[chosen] + frames, spans[:, 0], spans[:, 1] - 1)
        self._do(f"{len(chosen)} events moved by {frames:g} frames", chosen, self.classes[chosen], times)

    def propose(self, rows: Sequence[int], classes: Sequence[int], times: Sequence[float], text: str) -> None:
        """Take over proposals for tracks that nobody has scored; one edit."""
        free = [i for i, row in enumerate(rows) if self.classes[row] == NOT_YET]
        if not free:
            raise AnlageError("Every track that something was proposed for is scored already.")
        self._do(text, [rows[i] for i in free], [classes[i] for i in free], [times[i] for i in free])

    def undo(self) -> str | None:
        """Take the last edit back; what it was, or None."""
        return self._retrace("undo")

    def redo(self) -> str | None:
        """Do again what was taken back; what it was, or None."""
        return self._retrace("redo")

    @property
    def balance(self) -> Balance:
        """How many have which answer."""
        c = self.classes
        counts = [(c == EVENT), (c == NO_EVENT), (c == CENSORED), (c > CENSORED), (c == NOT_YET)]
        return Balance(*(int(which.sum()) for which in counts))

    @property
    def scored(self) -> Signals:
        """The signals with the answers of now."""
        return self.signals.scored(self.classes.copy(), self.times.copy())

    def save(self) -> None:
        """Write the answers of now."""
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_events(self.path, Events.of_signals(self.scored), READ_BEFORE)

    def _do(
        self, text: str, rows: Sequence[int] | npt.NDArray[np.int64], classes: npt.ArrayLike, times: npt.ArrayLike
    ) -> None:
        at = np.asarray(rows, dtype=np.int64)
        answers = _Answers(at, np.asarray(classes, dtype=np.int64), np.asarray(times, dtype=np.float64))
        self._change("do", answers, text)

    def _retrace(self, way: HistoryMove) -> str | None:
        step = self._history.newest(way)
        if step is None:
            return None
        self._change(way, step.edit, step.text)
        return step.text

    def _change(self, way: HistoryMove, answers: _Answers, text: str) -> None:
        rows = answers.rows
        self._history.take(way, _Answers(rows, self.classes[rows], self.times[rows]), text)
        self.classes[rows], self.times[rows] = answers.classes, answers.times
        self.save()
        self.changed.emit()

    def _take(self, events: Events) -> None:
        row_of = {int(track): i for i, track in enumerate(self.signals.ids)}
        for track, kind, frame in zip(events.tracks, events.classes, events.frames, strict=True):
            row = row_of.get(int(track))
            if row is not None:
                self.classes[row], self.times[row] = int(kind), float(frame)
