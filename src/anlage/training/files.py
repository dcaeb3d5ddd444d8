"""Files of a run: written such that a crash leaves either the old one or the new one, whole."""

from __future__ import annotations

import errno
import os
import uuid
from pathlib import Path

from anlage.errors import AnlageError
from anlage.io.atomic import own, replacing
from anlage.shell import command

__all__ = ["clear_leftovers", "is_full", "write_whole"]

_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}


def write_whole(path: Path, data: bytes, *, keep: Path | None = None) -> None:
    """Write to a temporary name beside `path`, flush to the disk, then rename; what was there before is kept as `keep`.

    Raises
    ------
    AnlageError
        If the disk is full; what was at `path` before is still there.
    """
    with replacing(path, own) as temporary:
        try:
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            if not is_full(error):
                raise
            raise AnlageError(
                f"The disk is full: the {len(data) / 1e6:.1f} MB of {path} could not be written; what was saved before "
                f"is intact: free some space there, then continue with `{command('resume', path.parent)}`."
            ) from error
        if keep is not None and path.is_file():
            _keep(path, keep)


def _keep(path: Path, keep: Path) -> None:
    """Give a file a second name, in place of what had that name; on drives without such, its only one."""
    second = path.with_name(f".part-{uuid.uuid4().hex[:8]}-{keep.name}")
    try:
        os.link(path, second)
        second.replace(keep)
    except OSError:
        path.replace(keep)
    finally:
        second.unlink(missing_ok=True)


def is_full(error: OSError) -> bool:
    """Whether an error says that a disk, a quota or a file's greatest size is exhausted."""
    return error.errno in _FULL


def clear_leftovers(folder: Path) -> None:
    """Remove the temporary files of a process that was killed while writing in `folder`."""
    for leftover in folder.glob(".part-*"):
        leftover.unlink(missing_ok=True)
