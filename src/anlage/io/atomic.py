"""Write beside the target, then rename: a reader sees the old file or the new one, never half of one."""

from __future__ import annotations

import errno
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from anlage.errors import AnlageError

__all__ = ["replacing"]

_FULL = (errno.ENOSPC, errno.EDQUOT)
"""No space on the disk, no quota left."""


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give a temporary name beside `path`; what was written there (file or folder) takes the place of `path` at the end.

    Missing parent folders are made. If anything goes wrong, what was there before is untouched.

    Raises
    ------
    AnlageError
        If the disk is full or the place cannot be written to.
    """
    target = Path(path).expanduser()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _explained(error, target) from error
    # the suffix stays, because writers look at it
    temporary = target.with_name(f".part-{uuid.uuid4().hex[:8]}-{target.name}")
    try:
        yield temporary
        _swap(temporary, target)
    except OSError as error:
        if error.errno in _FULL or str(error.filename or "").startswith(str(temporary)):
            raise _explained(error, target) from error
        raise  # trouble with some other file
    finally:
        _remove(temporary)


def _swap(temporary: Path, target: Path) -> None:
    if not (target.is_dir() and not target.is_symlink()):
        temporary.replace(target)
        return
    # a folder with content cannot be replaced in one step: move the old one aside first
    old = target.with_name(f".old-{uuid.uuid4().hex[:8]}-{target.name}")
    target.rename(old)
    try:
        temporary.rename(target)
    except OSError:
        old.rename(target)
        raise
    _remove(old)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _explained(error: OSError, target: Path) -> AnlageError:
    if error.errno in _FULL:
        return AnlageError(f"There is no space left to write '{target}'; free some and try again, nothing was changed.")
    reason = (error.strerror or str(error)).lower()
    return AnlageError(f"'{target}' cannot be written ({reason}); choose another place.")
