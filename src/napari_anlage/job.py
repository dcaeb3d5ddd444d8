"""Work outside the GUI thread: functions in a thread, predictions in a child process, and runs that are watched.

Each kind reports on the Qt thread, and each always ends in exactly one of its two signals.
"""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.qt.threading import create_worker
from qtpy.QtCore import QObject, QTimer, Signal

from anlage import AnlageError

if TYPE_CHECKING:
    from anlage import Curve, Run

__all__ = ["Child", "Problem", "RunWatcher", "Thread", "told"]

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_RARER = 4
"""A run at rest is looked at so many times less often."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What went wrong, for the user, and the details for whoever mends it."""

    sentence: str
    details: str = ""

    @classmethod
    def of(cls, error: BaseException) -> Problem:
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
        """What is under way is of no account any more: nothing is heard of it, and another task may begin."""
        self._worker, self._number = None, self._number + 1

    def run(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """Call it in a thread; ends in `done` with the result or `failed` with a `Problem`."""
        if self.busy:
            raise AnlageError("The former task is still at work; wait for it.")

        number = self._number

        def call() -> Any:
            try:
                return number, function(*args, **kwargs)
            except Exception as error:  # noqa: BLE001 - the one place where a thread's failure becomes a report
                return number, Problem.of(error)

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
        (self.failed if isinstance(result, Problem) else self.done).emit(result)


class Child(QObject):
    """A child process of the command line that belongs to the window: it ends with it.

    `finished` with exit code 0, else `failed` with the last line it said. `stop` ends it and neither is emitted.
    """

    finished = Signal()
    failed = Signal(object)
    said = Signal(str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._process: subprocess.Popen[bytes] | None = None
        self._log: Path | None = None
        self._read = 0
        self._timer = QTimer(self)
        self._timer.setInterval(100)
        self._timer.timeout.connect(self._look)

    @property
    def busy(self) -> bool:
        return self._process is not None

    def start(self, arguments: Sequence[str], log: Path, *, niceness: int = 10, threads: int | None = None) -> None:
        """Run ``python -m anlage ARGUMENTS…`` at low priority; what it says goes to `log`.

        Parameters
        ----------
        arguments
            Command and options.
        log
            File for what it says; replaced.
        niceness
            How far it steps back behind other processes, 0 to 19.
        threads
            CPU threads that it computes with; None leaves it to the libraries.
        """
        self._log, self._read = log, 0
        few = {} if threads is None else dict.fromkeys(_THREADS, str(threads))
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-u", "-m", "anlage", *arguments],
                stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, env=os.environ | few,
            )  # fmt: skip
        if os.name == "posix":
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, self._process.pid, niceness)
        self._timer.start()

    def stop(self) -> None:
        """End it at once."""
        self._timer.stop()
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            process.terminate()
            try:
                process.wait(timeout=2)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def ask_to_stop(self) -> None:
        """Ask it to end; it ends in `finished` or `failed` like any other way. Who waits in vain calls `stop`."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def words(self) -> str:
        """All that it said so far."""
        if self._log is None or not self._log.is_file():
            return ""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def _look(self) -> None:
        if self._process is None:
            return
        words = self.words()
        if len(words) > self._read:
            lines = [line for line in words[self._read :].replace("\r", "\n").splitlines() if line.strip()]
            self._read = len(words)
            if lines:
                self.said.emit(lines[-1].strip())
        code = self._process.poll()
        if code is None:
            return
        self._timer.stop()
        self._process = None
        if code == 0:
            self.finished.emit()
            return
        lines = [line.strip() for line in words.splitlines() if line.strip()]
        how = f"was killed (signal {-code})" if code < 0 else f"ended with code {code}"
        last = lines[-1].removeprefix("anlage: ") if lines else f"The process {how} without a word."
        self.failed.emit(Problem(str(told(last).get("text") or last), words))


def told(line: str) -> dict[str, Any]:
    """What a child told by a line of ``--progress json``; empty for anything else."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


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
        self._timer.timeout.connect(self.look)

    def watch(self, run: Run | None) -> None:
        """Read this run from its beginning."""
        self._timer.stop()
        self.run, self.curve, self._after, self.state = run, _empty_curve(), 0, ""
        if run is not None:
            self.look()
            self._timer.start()

    def stop(self) -> None:
        """Watch no more; the run goes on."""
        self._timer.stop()

    def look(self) -> None:
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
            self._timer.setInterval(self._interval_ms * (1 if state == "running" else _RARER))
            self.state_changed.emit(state)


def _empty_curve() -> Curve:
    from anlage import Curve  # loads pydantic: not before a run is watched

    return Curve()
