"""The lock of a project: one program at a time has it open."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import filelock

from anlage.errors import AnlageError
from anlage.io.locking import MARKER, acquire

__all__ = ["Lock"]

_PID = "pid"


class Lock:
    """Held until `release`, or until the process ends however it may.

    On a drive without locks a marker file takes their place. One that was left by a program on this computer which has
    ended is of no account.

    Raises
    ------
    AnlageError
        If another program has it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._pid = folder, folder / _PID
        try:
            self._lock = acquire(folder, 0)
        except filelock.Timeout as error:
            taken = Path(error.lock_file)
            raise AnlageError(self._taken(taken if taken.name == MARKER else None)) from None
        except OSError as error:
            raise AnlageError(
                f"The project '{folder}' cannot be opened for writing ({(error.strerror or str(error)).lower()}); copy it to a "
                "place that you may write to."
            ) from error
        with contextlib.suppress(OSError):  # only serves the sentence above
            self._pid.write_text(str(os.getpid()), encoding="ascii")

    def _taken(self, marker: Path | None) -> str:
        marked = ""
        if marker is not None:
            marked = f" Its drive has no locks: if no program has it open any more, delete '{marker}'."
        return f"The project '{self._folder}' is open already in {self._holder()}; close it there first.{marked}"

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
