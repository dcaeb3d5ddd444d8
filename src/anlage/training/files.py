"""Files of a run: written such that a crash leaves either the old one or the new one, whole."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

from anlage.errors import AnlageError
from anlage.full_disk import full_disk_sentence, is_full
from anlage.io.atomic import own, replacing
from anlage.shell import command

__all__ = ["clear_leftovers", "write_whole"]


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
            lost = f"while writing the {len(data) / 1e6:.1f} MB of {path}; what was saved before is intact"
            on = f" there, then continue with `{command('resume', path.parent)}`"
            raise AnlageError(full_disk_sentence(lost, on)) from error
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


def clear_leftovers(folder: Path) -> None:
    """Remove the temporary files of a process that was killed while writing in `folder`."""
    for leftover in folder.glob(".part-*"):
        leftover.unlink(missing_ok=True)
