"""Stop a command within seconds: on a stop file, Ctrl+C or SIGTERM."""

from __future__ import annotations

import _thread
import contextlib
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

__all__ = ["HALTED", "HaltError", "halting", "until_halted"]

HALTED = 3
"""Exit code after a stop file."""
_POLL_S = 0.1
_PATIENCE_S = 2.0
"""What is computed in one piece, and cannot be broken off, may go on for so long."""


class HaltError(Exception):
    """An end was asked for.

    Parameters
    ----------
    code
        Exit code of the program.
    """

    def __init__(self, code: int) -> None:
        super().__init__(f"stopped (exit code {code})")
        self.code = code


@contextlib.contextmanager
def halting(stop: Path, last_words: Callable[[], None]) -> Iterator[None]:
    """Raise HaltError in what is inside as soon as the stop file appears or SIGTERM comes.

    Where that takes longer than 2 s, because something computes in one piece, `last_words` is called and the process ends
    there and then: only for work that leaves nothing half done on disk. Ctrl-C raises KeyboardInterrupt, as always, with
    the same patience. In a thread that is not the main one nothing is watched.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    watch = _Watch(stop, last_words)
    before = signal.signal(signal.SIGTERM, watch.on_sigterm)
    wakeup = signal.set_wakeup_fd(watch.sending.fileno(), warn_on_full_buffer=False)
    thread = threading.Thread(target=watch.watch_for_end, daemon=True)
    thread.start()
    try:
        yield
    finally:
        watch.is_over = True
        signal.set_wakeup_fd(wakeup)
        signal.signal(signal.SIGTERM, before)
        thread.join()
        watch.close()


def until_halted(stop: Path, last_words: Callable[[], None], work: Callable[[], None]) -> int:
    """Do the work, watched by `halting`.

    Returns
    -------
    code
        Exit code of the program: 0, or that of the end that was asked for, after `last_words`.
    """
    try:
        with halting(stop, last_words):
            work()
    except HaltError as halt:
        last_words()
        return halt.code
    except KeyboardInterrupt:
        last_words()
        raise
    return 0


class _Watch:
    """Looks for a stop file and for signals, which Python itself would not see before the main thread has time."""

    def __init__(self, stop: Path, last_words: Callable[[], None]) -> None:
        self._stop, self._last_words = stop, last_words
        self._code: int | None = None
        self.is_over = False
        self.receiving, self.sending = socket.socketpair()
        self.sending.setblocking(False)

    def watch_for_end(self) -> None:
        """Wait for a reason to end; then see to it that the end comes."""
        deadline = None
        while not self.is_over:
            code = self._exit_code()
            if code is not None and deadline is None:
                deadline = time.monotonic() + _PATIENCE_S
                if code == HALTED:  # signals reach the main thread by themselves
                    self._code = code
                    _thread.interrupt_main(signal.SIGTERM)
            if deadline is not None and time.monotonic() > deadline and not self.is_over:
                self._leave(code or HALTED)

    def on_sigterm(self, number: int, frame: FrameType | None) -> None:
        if not self.is_over:
            raise HaltError(128 + number if self._code is None else self._code)

    def close(self) -> None:
        self.receiving.close()
        self.sending.close()

    def _exit_code(self) -> int | None:
        """The exit code that goes with the reason to end, once there is one."""
        ready, _, _ = select.select([self.receiving], [], [], _POLL_S)
        if self._code is None and self._stop.exists():
            return HALTED
        if ready and self._code is None:
            numbers = [n for n in self.receiving.recv(64) if n in (signal.SIGTERM, signal.SIGINT)]
            self._code = 128 + numbers[0] if numbers else None
        elif ready:
            self.receiving.recv(64)
        return self._code

    def _leave(self, code: int) -> None:
        self._last_words()
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
        os._exit(code)
