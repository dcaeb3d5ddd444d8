"""One program at a time has a project open."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import filelock

from anlage.errors import AnlageError

__all__ = ["Lock"]


class Lock:
    """Held until `release`, or until the process ends however it may.

    Raises
    ------
    AnlageError
        If another program has it.
    """

    def __init__(self, folder: Path) -> None:
        self._pid = folder / "pid"
        self._lock = filelock.FileLock(folder / "lock", is_singleton=False)
        try:
            self._lock.acquire(timeout=0)
        except filelock.Timeout:
            raise AnlageError(
                f"The project '{folder}' is open already in {self._holder()}; close it there first."
            ) from None
        except OSError as error:
            raise AnlageError(
                f"The project '{folder}' cannot be opened for writing ({(error.strerror or str(error)).lower()}); copy it to a "
                "place that you may write to."
            ) from error
        with contextlib.suppress(OSError):  # only serves the sentence above
            self._pid.write_text(str(os.getpid()), encoding="ascii")

    def release(self) -> None:
        """Let others have it."""
        if self._lock.is_locked:
            self._pid.unlink(missing_ok=True)
            self._lock.release()

    def _holder(self) -> str:
        try:
            pid = int(self._pid.read_text("ascii"))
        except (OSError, ValueError):
            return "another program"
        return "this program" if pid == os.getpid() else f"another napari or program (process {pid})"
