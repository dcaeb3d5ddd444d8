"""The running jobs of a viewer, which the footer shows and can stop. Knows no Qt and no napari."""

from __future__ import annotations

from collections.abc import Callable

from psygnal import Signal

__all__ = ["Job", "Jobs", "Slot"]


class Job:
    """One piece of work that takes a while; made by `Jobs.begin`, used on the GUI thread.

    Attributes
    ----------
    title
        What is done, in a few words: "Predicting all frames".
    fraction
        How much of it, 0 to 1; None while that is unknown.
    text
        How far it is, in words: "frame 7 of 40".
    """

    def __init__(self, jobs: Jobs, title: str, stop: Callable[[], None] | None) -> None:
        self._jobs, self._stop = jobs, stop
        self.title = title
        self.fraction: float | None = None
        self.text = ""
        self.stopping = False

    @property
    def can_stop(self) -> bool:
        return self._stop is not None and not self.stopping

    def update(self, fraction: float | None, text: str = "") -> None:
        """Say how far it is."""
        self.fraction = None if fraction is None else min(max(float(fraction), 0.0), 1.0)
        self.text = text
        self._jobs.changed.emit()

    def stop(self) -> None:
        """Ask whoever does it to stop; it stays until they `end` it."""
        if self._stop is not None and not self.stopping:
            self.stopping = True
            self._jobs.changed.emit()
            self._stop()

    def end(self) -> None:
        """It is over, however it went; a second time changes nothing."""
        self._jobs.forget(self)


class Jobs:
    """The jobs of one viewer, oldest first.

    Whoever begins a job ends it, in every case::

        job = session.jobs.begin("Predicting all frames", stop=self.cancel)
        job.update(0.2, "frame 8 of 40")
        job.end()
    """

    changed = Signal()
    """A job began, went on or ended."""

    def __init__(self) -> None:
        self._running: list[Job] = []

    @property
    def running(self) -> tuple[Job, ...]:
        return tuple(self._running)

    def begin(self, title: str, stop: Callable[[], None] | None = None) -> Job:
        """Show a new job; `stop` is called when the user asks for its end (None: it cannot be stopped)."""
        job = Job(self, title, stop)
        self._running.append(job)
        self.changed.emit()
        return job

    def forget(self, job: Job) -> None:
        """Show a job no longer."""
        if job in self._running:
            self._running.remove(job)
            self.changed.emit()


class Slot:
    """Room for the one job of somebody who does one thing at a time.

    Parameters
    ----------
    jobs
        Those of the viewer.
    """

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs
        self._job: Job | None = None

    @property
    def taken(self) -> bool:
        """Whether a job was begun and has not ended."""
        return self._job is not None

    def begin(self, title: str, stop: Callable[[], None]) -> None:
        """Show a new job; one that is here still ends."""
        self.end()
        self._job = self._jobs.begin(title, stop)

    def update(self, fraction: float | None, text: str = "") -> None:
        """Say how far the job is; nothing where there is none."""
        if self._job is not None:
            self._job.update(fraction, text)

    def end(self) -> None:
        """The job is over, however it went; nothing where there is none."""
        job, self._job = self._job, None
        if job is not None:
            job.end()
