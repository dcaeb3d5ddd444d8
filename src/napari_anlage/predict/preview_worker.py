"""Run previews one after the other: copy the image in a thread, predict in a child process, read the result."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qtpy.QtCore import QObject, Signal

from anlage.project.image_copy import ChildImage
from anlage.project.preview_request import PaintedPreview, Preview, Request, prepare, receive
from anlage.wording import plural
from napari_anlage.jobs.child import Child
from napari_anlage.jobs.registry import Jobs, Slot
from napari_anlage.jobs.thread import ErrorReport, Thread

__all__ = ["Previewer"]


class Previewer(QObject):
    """Predicts what it is asked for; the window waits for nothing.

    A request ends in `done`; all of them in `ended`, or in `failed`, which forgets those that were still to come. `stop`
    emits none of these.
    """

    done = Signal(object)
    """A `Preview` or `PaintedPreview`; more may follow."""
    ended = Signal()
    """That was the last one."""
    failed = Signal(object)
    """A `ErrorReport`."""
    stopped = Signal()
    """It was given up, and another may begin."""
    said = Signal(str)
    """What it does now, as a sentence."""

    def __init__(self, jobs: Jobs, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._thread, self._child = Thread(self), Child(self)
        self._waiting: list[Request] = []
        self._n = 0
        self._request: Request | None = None
        self._given: ChildImage | None = None
        self._folder: Path | None = None
        self._job = Slot(jobs)
        self._thread.done.connect(self._on_thread)
        self._thread.failed.connect(self._on_failed)
        self._child.finished.connect(self._on_predicted)
        self._child.failed.connect(self._on_failed)

    @property
    def busy(self) -> bool:
        return self._request is not None or self._thread.busy

    def begin(self, requests: Sequence[Request]) -> None:
        """Predict these, in this order."""
        self._waiting, self._n = list(requests), len(requests)
        what = f"Predicting frame {requests[0].frame}" if self._n == 1 else f"Predicting {plural(self._n, 'frame')}"
        self._job.begin(what, self.stop)
        self._next()

    def stop(self) -> None:
        """Give up what is under way."""
        was_busy = self._request is not None
        self._waiting.clear()
        self._child.stop()
        self._clean()
        self._job.end()
        if was_busy and not self._thread.busy:
            self.stopped.emit()

    def _next(self) -> None:
        self._request = self._waiting.pop(0)
        self._folder = Path(tempfile.mkdtemp(prefix="anlage-preview-"))
        number = self._n - len(self._waiting)
        far = "" if self._n == 1 else f" ({number} of {self._n})"
        self.said.emit(f"Predicting frame {self._request.frame}{far} …")
        self._job.update(None if self._n == 1 else (number - 1) / self._n, f"frame {self._request.frame}{far}")
        self._thread.run(prepare, self._request, self._folder)

    def _on_thread(self, result: Any) -> None:
        if self._folder is None:  # given up meanwhile
            self.stopped.emit()
            return
        if isinstance(result, Preview | PaintedPreview):
            self._clean()
            self.done.emit(result)
            if self._waiting:
                self._next()
            elif self._request is None:
                self._job.end()
                self.ended.emit()
            return
        arguments, self._given = result
        try:
            # what one looks at and waits for is not set back behind other processes
            self._child.start(arguments, self._folder / "log.txt", niceness=0)
        except OSError as error:
            self._on_failed(ErrorReport.of(error))

    def _on_predicted(self) -> None:
        if self._request is not None and self._given is not None and self._folder is not None:
            self._thread.run(receive, self._request, self._given, self._folder)

    def _on_failed(self, problem: ErrorReport) -> None:
        if self._folder is None:
            self.stopped.emit()
            return
        self._waiting.clear()
        self._clean()
        self._job.end()
        self.failed.emit(problem)

    def _clean(self) -> None:
        self._request = self._given = None
        folder, self._folder = self._folder, None
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
