"""Child processes, started and polled without blocking the GUI.

Each kind reports on the Qt thread, and each always ends in exactly one of its two signals.
"""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qtpy.QtCore import QObject, QTimer, Signal

from napari_anlage.jobs.thread import ErrorReport

__all__ = ["Child", "parse_event"]

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


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
        self._timer.timeout.connect(self._poll)

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

    def _poll(self) -> None:
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
        self.failed.emit(ErrorReport(str(parse_event(last).get("text") or last), words))


def parse_event(line: str) -> dict[str, Any]:
    """The event in a line of ``--progress json``; empty for anything else."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
