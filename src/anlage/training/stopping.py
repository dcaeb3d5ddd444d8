"""How a training learns that it should stop: by a file in its folder, or by the signal that a cluster sends before it kills."""

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

__all__ = ["StopRequestedError", "Stopping", "is_stale"]

_POLL_S = 0.1


class StopRequestedError(Exception):
    """Raised inside what `Stopping.breaking_off` wraps; never leaves the training."""


class Stopping:
    """Watches for a stop. A signal is passed on to the handler that was there before.

    Steps of the loop ask `requested`. What takes long and cannot ask (preparation, validation, calibration) runs inside
    `breaking_off`, which raises in the midst of it; that works in a process's main thread, elsewhere it runs to its end.

    Parameters
    ----------
    path
        The stop file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._asked = False
        self._looked = 0.0
        self._break_off = False
        self._poking = False
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
        if not self._asked and now - self._looked > _POLL_S:
            self._looked = now
            self._asked = self._path.exists()
        return self._asked

    def clear(self) -> None:
        """The stop was obeyed."""
        self._path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def breaking_off(self, seconds: float | None = None) -> Iterator[None]:
        """Raise StopRequestedError in what is inside: as soon as a stop is asked for, or after so many seconds."""
        if not self._is_main:
            yield
            return
        over = threading.Event()
        watch = threading.Thread(target=self._watch, args=(over, seconds), daemon=True)
        self._break_off, self._poking = True, False
        watch.start()
        try:
            yield
        finally:
            try:
                self._break_off = False
            finally:  # the exception may strike even here, just before it is switched off
                self._break_off = False
                over.set()
            watch.join()

    def _watch(self, over: threading.Event, seconds: float | None) -> None:
        deadline = None if seconds is None else time.monotonic() + seconds
        while not over.wait(_POLL_S):
            late = self._path.exists() or self._asked if deadline is None else time.monotonic() > deadline
            if late:
                self._poking = True
                # again and again: an exception raised inside a destructor is lost
                _thread.interrupt_main(signal.SIGTERM)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._asked = True
        if not self._poking and callable(self._before):  # somebody else's, not the one by which `_watch` breaks off
            self._before(number, frame)
        if self._break_off:
            raise StopRequestedError


def is_stale(stop: Path) -> bool:
    """Whether a stop was asked for before this process began, that is, of an earlier trainer."""
    import psutil

    try:
        return stop.stat().st_mtime < psutil.Process().create_time() - 0.05
    except FileNotFoundError:
        return False
