"""Events of a long trace: predicted, added and deleted by hand, with undo. Knows no Qt and no napari.

Every change is on disk at once, in a table of events beside the signals, and can be taken back.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from psygnal import Signal

from anlage import AnlageError, Events, History, HistoryMove, Signals, read_events, with_event_at, write_events
from napari_anlage.widgets.writers import READ_BEFORE

__all__ = ["TraceMarks"]

_MOST_UNDO = 200


class TraceMarks:
    """The events of some traces, and what was done to them.

    Parameters
    ----------
    signals
        The traces; the first signal is looked at.
    path
        Table that every change is written to; if it is there, its events hold. None keeps nothing.
    """

    changed = Signal()
    """Events came or went."""

    def __init__(self, signals: Signals, path: Path | None = None) -> None:
        self.signals, self.path = signals, path
        self.row = 0
        """The current trace."""
        self.window, self.direction = max(16, signals.n_frames // 100), -1
        """Samples of an event with its surroundings, and which way events go: 1 up, -1 down."""
        none = np.zeros(0)
        whole = np.zeros(0, dtype=np.int64)
        self.events = Events(whole, "repeated", whole, none, none, signals.interval_s)
        self._history: History[Events] = History(_MOST_UNDO)
        if path is not None and path.is_file():
            self.events = read_events(path)

    @property
    def here(self) -> Events:
        """Those of the current trace, in order of time."""
        own = self.events.select(self.events.tracks == self.signals.ids[self.row])
        return own.select(np.argsort(own.frames, kind="stable"))

    def add(self, frame: float) -> float:
        """An event near this sample; gives where it begins.

        Raises
        ------
        AnlageError
            If one begins there already.
        """
        after = with_event_at(
            self.events, self.signals, frame, window=self.window, direction=self.direction, row=self.row
        )
        new = float(np.setdiff1d(after.frames, self.events.frames)[0]) if len(after) > len(self.events) else frame
        near = self.here.frames
        if len(near) and np.abs(near - new).min() < max(2.0, 0.03 * self.window):
            raise AnlageError(f"An event begins at sample {near[np.abs(near - new).argmin()]:.0f} already.")
        self._change("do", after, f"event at sample {new:.0f} added")
        return new

    def delete(self, frame: float) -> None:
        """Take away the event that begins nearest to this sample."""
        own = np.flatnonzero(self.events.tracks == self.signals.ids[self.row])
        if not len(own):
            raise AnlageError("There is no event to delete.")
        gone = own[np.abs(self.events.frames[own] - frame).argmin()]
        kept = np.arange(len(self.events)) != gone
        self._change("do", self.events.select(kept), f"event at sample {self.events.frames[gone]:.0f} deleted")

    def replace(self, events: Events, text: str) -> None:
        """Other events in place of all that are there, as one step."""
        self._change("do", events, text)

    def undo(self) -> str | None:
        """Take the last change back; what it was, or None."""
        return self._retrace("undo")

    def redo(self) -> str | None:
        """Do again what was taken back; what it was, or None."""
        return self._retrace("redo")

    def _retrace(self, way: HistoryMove) -> str | None:
        step = self._history.newest(way)
        if step is None:
            return None
        self._change(way, step.edit, step.text)
        return step.text

    def _change(self, way: HistoryMove, events: Events, text: str) -> None:
        self._history.take(way, self.events, text)
        self.events = events
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_events(self.path, events, READ_BEFORE)
        self.changed.emit()
