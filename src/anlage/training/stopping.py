"""How a training notices that it should stop: by a file in its folder, or by the signal that a cluster sends before it kills.

What it then does stands in `training.loop` (the step that was begun is finished, unless it is a long one) and in
`training.export` (the best weights are calibrated within seconds and kept as a model).
"""

from __future__ import annotations

import _thread
import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self

import psutil

__all__ = ["StopRequestedError", "StopWatcher", "is_stale"]

_POLL_S = 0.1
"""Seconds between two checks for the stop file."""


class StopRequestedError(Exception):
    """Raised inside what `StopWatcher.interruptible` wraps; never leaves the training."""


class StopWatcher:
    """Watches for a stop. A signal is passed on to the handler that was there before.

    Steps of the loop ask `requested`. What takes long and cannot ask (preparation, validation, calibration) runs inside
    `interruptible`, which raises in the midst of it; that works in a process's main thread, elsewhere it runs to its end.

    Parameters
    ----------
    path
        The stop file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._requested = False
        self._polled = 0.0
        self._may_interrupt = False
        self._interrupting = False
        self._before: Any = None
        self._is_main = threading.current_thread() is threading.main_thread()

    def __enter__(self) -> Self:
        if self._is_main:
            self._before = signal.signal(signal.SIGTERM, self._on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_main:
            signal.signal(signal.SIGTERM, self._before or signal.SIG_DFL)

    @property
    def requested(self) -> bool:
        """Whether a stop was asked for; cheap enough for every step."""
        now = time.monotonic()
        if not self._requested and now - self._polled > _POLL_S:
            self._polled = now
            self._requested = self._path.exists()
        return self._requested

    def clear(self) -> None:
        """Remove the stop file: the stop was obeyed."""
        self._path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def interruptible(self, seconds: float | None = None) -> Iterator[None]:
        """Raise StopRequestedError in what is inside: as soon as a stop is asked for, or after so many seconds."""
        if not self._is_main:
            yield
            return
        over = threading.Event()
        watch = threading.Thread(target=self._watch, args=(over, seconds), daemon=True)
        self._may_interrupt, self._interrupting = True, False
        watch.start()
        try:
            yield
        finally:
            try:
                self._may_interrupt = False
            finally:  # the exception may strike even here, just before it is switched off
                self._may_interrupt = False
                over.set()
            watch.join()

    def _watch(self, over: threading.Event, seconds: float | None) -> None:
        deadline = None if seconds is None else time.monotonic() + seconds
        while not over.wait(_POLL_S):
            late = self._path.exists() or self._requested if deadline is None else time.monotonic() > deadline
            if late:
                self._interrupting = True
                # again and again: an exception raised inside a destructor is lost
                _thread.interrupt_main(signal.SIGTERM)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._requested = True
        if not self._interrupting and callable(
            self._before
        ):  # somebody else's, not the one by which `_watch` interrupts
            self._before(number, frame)
        if self._may_interrupt:
            raise StopRequestedError


def is_stale(stop: Path) -> bool:
    """Whether a stop was asked for before this process began, that is, of an earlier trainer."""
    try:
        return stop.stat().st_mtime < psutil.Process().create_time() - 0.05
    except FileNotFoundError:
        return False
