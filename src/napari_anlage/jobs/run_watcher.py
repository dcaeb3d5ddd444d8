"""Watch a run folder: poll its events and state."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, QTimer, Signal

if TYPE_CHECKING:
    from anlage import Curve, Run

__all__ = ["RunWatcher"]

_IDLE_FACTOR = 4
"""A run at rest is polled so many times less often."""


class RunWatcher(QObject):
    """Reads a run folder along, whoever trains it: the event file is the only interface."""

    advanced = Signal()
    """New events are in `curve`."""
    noted = Signal(str)
    """A sentence of the trainer for the user."""
    state_changed = Signal(str)
    """The run's state is another one: new, running, stopped, finished or failed."""

    def __init__(self, parent: QObject | None = None, interval_ms: int = 250) -> None:
        super().__init__(parent)
        self.run: Run | None = None
        self.curve = _empty_curve()
        self.state = ""
        self._after = 0
        self._interval_ms = interval_ms
        self._timer = QTimer(self)
        self._timer.setInterval(interval_ms)
        self._timer.timeout.connect(self.poll)

    def watch(self, run: Run | None) -> None:
        """Read this run from its beginning."""
        self._timer.stop()
        self.run, self.curve, self._after, self.state = run, _empty_curve(), 0, ""
        if run is not None:
            self.poll()
            self._timer.start()

    def stop(self) -> None:
        """Watch no more; the run goes on."""
        self._timer.stop()

    def poll(self) -> None:
        """Take in what is new."""
        if self.run is None:
            return
        # the state first: all that a trainer said before it ended is then in the events read after
        state = self.run.state
        events, self._after = self.run.events(self._after)
        for event in events:
            self.curve.add(event)
            if event.event == "note":
                self.noted.emit(event.text)
        if events:
            self.advanced.emit()
        if state != self.state:
            self.state = state
            self._timer.setInterval(self._interval_ms * (1 if state == "running" else _IDLE_FACTOR))
            self.state_changed.emit(state)


def _empty_curve() -> Curve:
    from anlage import Curve  # loads pydantic: not before a run is watched

    return Curve()
