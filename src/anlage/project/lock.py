"""The lock of a project: one program at a time has it open."""

from __future__ import annotations

import contextlib
import errno
import os
import warnings
from pathlib import Path

import filelock

from anlage.errors import AnlageError

__all__ = ["LOCK_FILES", "Lock"]

_LOCK, _MARKER, _PID = "lock", "lock.soft", "pid"
LOCK_FILES = (_LOCK, _MARKER, _PID)
"""Names that a lock may leave in a project."""
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL}
"""What a drive answers that has no locks: many network drives, and some of FUSE."""


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
        self._lock: filelock.BaseFileLock = filelock.FileLock(folder / _LOCK, is_singleton=False)
        try:
            self._take()
        except filelock.Timeout:
            raise AnlageError(self._taken()) from None
        except OSError as error:
            raise AnlageError(
                f"The project '{folder}' cannot be opened for writing ({(error.strerror or str(error)).lower()}); copy it to a "
                "place that you may write to."
            ) from error
        with contextlib.suppress(OSError):  # only serves the sentence above
            self._pid.write_text(str(os.getpid()), encoding="ascii")

    def _take(self) -> None:
        try:
            with warnings.catch_warnings():  # filelock warns where it takes a marker by itself; that is what is wanted
                warnings.simplefilter("ignore", UserWarning)
                self._lock.acquire(timeout=0)
        except NotImplementedError:  # older versions of filelock say so of a system without locks
            pass
        except OSError as error:
            if isinstance(error, filelock.Timeout) or error.errno not in _NO_LOCKS:
                raise
        if not self._lock.is_locked:
            self._lock = filelock.SoftFileLock(self._folder / _MARKER, is_singleton=False)
            self._lock.acquire(timeout=0)

    def _taken(self) -> str:
        marked = ""
        if isinstance(self._lock, filelock.SoftFileLock):
            marked = f" Its drive has no locks: if no program has it open any more, delete '{self._folder / _MARKER}'."
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
