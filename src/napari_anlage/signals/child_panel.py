"""A panel that runs one child process at a time."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from pathlib import Path

from napari_anlage.jobs.child import Child
from napari_anlage.jobs.registry import Slot
from napari_anlage.jobs.thread import ErrorReport
from napari_anlage.session.session import Session
from napari_anlage.widgets.basic import Tab

__all__ = ["ChildPanel"]


class ChildPanel(Tab):
    """Its child, and the child's job in the footer.

    Parameters
    ----------
    session
        The viewer's session.
    stopped
        What is said once the user has stopped it.
    """

    def __init__(self, session: Session, stopped: str = "Stopped.") -> None:
        super().__init__()
        self._session, self._stopped = session, stopped
        self._child, self._job = Child(self), Slot(session.jobs)
        self._target: Path | None = None

    def refresh(self) -> None:
        """Show what can be done now."""
        raise NotImplementedError

    def _on_failed(self, problem: ErrorReport) -> None:
        self._job.end()
        self.report(problem)
        self.refresh()

    def _stop(self) -> None:
        self._child.stop()
        self._job.end()
        self.status.say(self._stopped, "idle")
        self.refresh()
