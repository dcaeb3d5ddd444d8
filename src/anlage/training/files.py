"""Writing a file so that a crash leaves either the old one or the new one, whole."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

from anlage.errors import AnlageError

__all__ = ["is_full", "write_whole"]

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) if hasattr(errno, "EDQUOT") else (errno.ENOSPC, errno.EFBIG)


def write_whole(path: Path, data: bytes) -> None:
    """Write to a temporary name beside `path`, flush to the disk, then rename.

    Raises
    ------
    AnlageError
        If the disk is full; what was at `path` before is still there.
    """
    temporary = path.with_name(f".{path.name}.part")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        if is_full(error):
            raise AnlageError(
                f"The disk is full: {len(data) / 2**20:.1f} MB for {path} could not be written; "
                f"free some space there, then continue with `anlage resume`."
            ) from error
        raise


def is_full(error: OSError) -> bool:
    """Whether an error says that a disk, a quota or a file's greatest size is exhausted."""
    return error.errno in _FULL
