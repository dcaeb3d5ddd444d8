"""Write beside the target, then rename: a reader sees the old file or the new one, never half of one.

A folder is replaced only where it is recognisably of the same kind as what takes its place: people's images are folders.
"""

from __future__ import annotations

import errno
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from anlage.errors import AnlageError
from anlage.foreign import read_json

__all__ = ["Recogniser", "check_apart", "check_replaceable", "replacing", "root_attributes"]

Recogniser = Callable[[Path], bool]
"""Whether a folder is one that may be replaced."""

_FULL = (errno.ENOSPC, errno.EDQUOT)
"""No space on the disk, no quota left."""


@contextmanager
def replacing(path: str | Path, is_ours: Recogniser | None = None) -> Iterator[Path]:
    """Give a temporary name beside `path`; what was written there (file or folder) takes the place of `path` at the end.

    Missing parent folders are made. If anything goes wrong, what was there before is untouched.

    Parameters
    ----------
    path
        The place.
    is_ours
        Says of a folder at `path` whether it may be replaced; None: no folder may, unless it is empty.

    Raises
    ------
    AnlageError
        If a folder is there that is not ours, the disk is full, or the place cannot be written to.
    """
    target = Path(path).expanduser()
    check_replaceable(target, is_ours)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _explained(error, target) from error
    # the suffix stays, because writers look at it
    temporary = target.with_name(f".part-{uuid.uuid4().hex[:8]}-{target.name}")
    try:
        yield temporary
        check_replaceable(target, is_ours)  # writing may have taken hours
        _swap(temporary, target)
    except OSError as error:
        if error.errno in _FULL or str(error.filename or "").startswith(str(temporary)):
            raise _explained(error, target) from error
        raise  # trouble with some other file
    finally:
        _remove(temporary)


def check_replaceable(path: str | Path, is_ours: Recogniser | None = None) -> None:
    """Refuse a place where a folder is that must not be replaced; worth asking before a long computation.

    Raises
    ------
    AnlageError
        If a folder is there that is neither empty nor ours.
    """
    target = Path(path).expanduser()
    if target.is_dir() and any(target.iterdir()) and not (is_ours is not None and is_ours(target)):
        raise AnlageError(
            f"'{target}' is a folder that was not written as what would take its place now, so it is not replaced; "
            "choose another name, or remove it yourself."
        )


def check_apart(output: str | Path, source: str | Path) -> None:
    """Refuse an output that would replace, or lie inside, or contain what is read.

    Raises
    ------
    AnlageError
        If it does.
    """
    out, read = (Path(path).expanduser().resolve() for path in (output, source))
    if out == read or read in out.parents or out in read.parents:
        where = "is" if out == read else "lies inside" if read in out.parents else "contains"
        raise AnlageError(f"The output '{output}' {where} '{source}', which is only read; choose another place for it.")


def root_attributes(folder: Path) -> dict[str, Any]:
    """Attributes at the root of a zarr folder (v3 or v2), read without zarr; none where it is something else."""
    for name, key in (("zarr.json", "attributes"), (".zattrs", None)):
        try:
            found = read_json(folder / name, f"'{folder / name}'")
        except (OSError, AnlageError):
            continue
        if isinstance(found, dict) and key is not None:
            found = found.get(key, {})
        if isinstance(found, dict):
            return found
    return {}


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
