"""Run a function in a thread, and receive its result in the GUI thread."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari.qt.threading import create_worker
from qtpy.QtCore import QObject, Signal

from anlage import AnlageError

__all__ = ["ErrorReport", "Thread"]


@dataclass(frozen=True, slots=True)
class ErrorReport:
    """What went wrong, for the user, and the details for whoever fixes it."""

    sentence: str
    details: str = ""

    @classmethod
    def of(cls, error: BaseException) -> ErrorReport:
        """Ours are sentences already; anything else is a bug, said as such."""
        details = "".join(traceback.format_exception(error))
        if isinstance(error, AnlageError):
            return cls(str(error), details)
        if isinstance(error, MemoryError):
            return cls("The computer's memory is not enough for this; use a smaller cuboid or fewer frames.", details)
        if isinstance(error, OSError):
            where = f" ({error.filename})" if error.filename else ""
            return cls(f"A file cannot be read or written{where}: {error.strerror or error}.", details)
        last = traceback.extract_tb(error.__traceback__)[-1:]
        at = f" at {Path(last[0].filename).name}:{last[0].lineno}" if last else ""
        return cls(f"Something unforeseen happened: {type(error).__name__}: {error}{at}. Please report it.", details)


class Thread(QObject):
    """Runs one function at a time in a thread and reports what it returned or how it failed.

    napari's workers drop a RuntimeError without a word and stay 'running' for ever, so nothing is ever raised inside
    one: failures travel as values.
    """

    done = Signal(object)
    failed = Signal(object)
    progressed = Signal(float, str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._worker: Any = None
        self._number = 0
        """Of the task whose result is waited for."""

    @property
    def busy(self) -> bool:
        return self._worker is not None

    def forget(self) -> None:
        """Ignore the running task: its result is not reported, and another task may begin."""
        self._worker, self._number = None, self._number + 1

    def run(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """Call it in a thread; ends in `done` with the result or `failed` with an `ErrorReport`."""
        if self.busy:
            raise AnlageError("The former task is still at work; wait for it.")

        number = self._number

        def call() -> Any:
            try:
                return number, function(*args, **kwargs)
            except Exception as error:  # noqa: BLE001 - the one place where a thread's failure becomes a report
                return number, ErrorReport.of(error)

        self._worker = create_worker(call, _start_thread=False, _connect={"returned": self._on_returned})
        self._worker.start()

    def report(self, fraction: float, text: str = "") -> None:
        """Progress from inside the function; safe to call from its thread."""
        self.progressed.emit(float(fraction), text)

    def _on_returned(self, returned: tuple[int, Any]) -> None:
        number, result = returned
        if number != self._number:  # it was forgotten meanwhile
            return
        self._worker = None
        (self.failed if isinstance(result, ErrorReport) else self.done).emit(result)
