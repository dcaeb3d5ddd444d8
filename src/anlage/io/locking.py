"""Lock a folder so that one process works in it at a time; readers need no lock.

::

    FOLDER/lock        locked by the system as long as its holder lives
           pid         who that is: process, when it began, on which computer; empty while it is nobody
           lock.soft   stands for the lock on a drive that has none

Looking takes no lock. It reads who holds it and whether that process still lives; on Linux also the system's own list of locks.
Only where neither decides it (another computer's process, or one of an earlier version) the lock is tried, together with all others who
look, so that no two of them take each other for the holder.
"""

from __future__ import annotations

import contextlib
import errno
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from anlage.sharing.processes import ProcessState, process_state, this_process

if TYPE_CHECKING:
    import filelock

__all__ = ["LOCK_FILES", "MARKER", "FolderLock", "TakenError", "acquire"]

_LOCK, _HOLDER, MARKER = "lock", "pid", "lock.soft"
LOCK_FILES = (_LOCK, _HOLDER, MARKER)
"""Names that a lock may leave in a folder."""
_PATIENCE_S, _AGAIN_S = 1.0, 0.05
"""How long a taker waits for someone who looks, and how often it tries."""
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL}
"""What a drive answers that has no locks: many network drives, and some of FUSE."""
_LIST = Path("/proc/locks")
"""Linux's list of all locks."""

LockState = Literal["held", "free", "unknown"]
_STATES: dict[ProcessState, LockState] = {"alive": "held", "gone": "free", "unknown": "unknown"}


class TakenError(Exception):
    """Another process holds the folder."""


class FolderLock:
    """The lock of a folder.

    Parameters
    ----------
    folder
        The folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path, self._holder = folder / _LOCK, folder / _HOLDER

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Be the only one that works in the folder, until the process ends however it may.

        Raises
        ------
        TakenError
            If another process does.
        OSError
            If the folder cannot be written to.
        """
        import filelock

        try:
            lock = acquire(self._folder, _PATIENCE_S)
        except filelock.Timeout:
            raise TakenError from None
        try:
            self._holder.write_text(this_process(), encoding="utf-8")
            yield
        finally:
            with contextlib.suppress(OSError):  # a full disk; that the process is gone says the same later
                self._holder.write_text("", encoding="utf-8")
            lock.release()

    @property
    def is_held(self) -> bool:
        """Whether a process works in the folder."""
        if not self._path.exists() and not (self._folder / MARKER).exists():
            return False
        state = self._holder_state()
        if state == "held" or _listed(self._path):
            return True
        return state == "unknown" and _tried(self._path)

    @property
    def who(self) -> str:
        """The holder in words: ``process 4711``, or ``another process``."""
        try:
            return f"process {int(self._holder.read_text(encoding='utf-8').split(maxsplit=1)[0])}"
        except (OSError, ValueError, IndexError):
            return "another process"

    def _holder_state(self) -> LockState:
        """What the note of the holder says."""
        try:
            words = self._holder.read_text(encoding="utf-8")
        except (OSError, ValueError):
            return "unknown"
        return _STATES[process_state(words)] if words.strip() else "free"


def acquire(folder: Path, patience_s: float) -> filelock.BaseFileLock:
    """Take the lock of a folder; on a drive that has no locks a marker file stands for it.

    Parameters
    ----------
    folder
        The folder.
    patience_s
        Seconds to wait for another who has it.

    Raises
    ------
    filelock.Timeout
        If another has it; its `lock_file` is the lock or the marker.
    OSError
        If the folder cannot be written to.
    """
    import filelock

    lock: filelock.BaseFileLock = filelock.FileLock(folder / _LOCK, is_singleton=False)
    try:
        with warnings.catch_warnings():  # some versions take a marker by themselves, which is what is wanted, and warn
            warnings.simplefilter("ignore", UserWarning)
            lock.acquire(timeout=patience_s, poll_interval=_AGAIN_S)
    except filelock.Timeout:
        raise
    except NotImplementedError:  # older versions of filelock say so of a system without locks
        pass
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    if not lock.is_locked:
        lock = filelock.SoftFileLock(folder / MARKER, is_singleton=False)
        lock.acquire(timeout=patience_s, poll_interval=_AGAIN_S)
    return lock


def _listed(path: Path) -> bool:
    """Whether Linux lists a lock on this file; False also where it lists none of other containers and computers."""
    try:
        about, lines = path.stat(), _LIST.read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return False
    wanted = f"{os.major(about.st_dev):02x}:{os.minor(about.st_dev):02x}:{about.st_ino}"
    return any(words[1:2] == ["FLOCK"] and "WRITE" in words and wanted in words for words in map(str.split, lines))


def _tried(path: Path) -> bool:
    """Whether the lock cannot be had together with others who only look."""
    try:
        import fcntl  # Windows has none: there a lock cannot be shared
    except ImportError:
        return _tried_alone(path)
    try:
        with path.open("rb") as file:
            # given back when the file is closed
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # gone meanwhile, somebody else's, or a drive without locks
        return False
    return False


def _tried_alone(path: Path) -> bool:
    import filelock

    try:
        with filelock.FileLock(path, is_singleton=False).acquire(timeout=0):
            return False
    except filelock.Timeout:
        return True
    except OSError:
        return False
