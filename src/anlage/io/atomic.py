"""Atomic writing: write to a temporary name, then rename, so that no reader sees half a file.

What lies at a place already is replaced only if it is an earlier output of the same command, recognised by what is in it, or
if the user consented: people's annotations are files like ours, and people's images are folders.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from anlage.errors import AnlageError
from anlage.foreign import read_json
from anlage.full_disk import full_disk_sentence, is_full
from anlage.io.seals import Writer, holds_nothing, is_written_by, seal

__all__ = ["Recogniser", "check_apart", "check_replaceable", "own", "replacing", "root_attributes"]

Recogniser = Callable[[Path], bool]
"""Whether what lies at a path may be replaced."""


@contextmanager
def replacing(path: str | Path, may: Writer | Recogniser) -> Iterator[Path]:
    """Give a temporary name beside `path`; what was written there (file or folder) takes the place of `path` at the end.

    Missing parent folders are made. If anything goes wrong, what was there before is untouched.

    Parameters
    ----------
    path
        The place.
    may
        Who writes: an earlier output of the same is replaced, and anything if the user consented. What was written should
        hold `Writer.mark`, by which it is recognised the next time. Or a function that says of what lies there whether it may
        be replaced: `own` of files inside a folder that the program alone writes to.

    Raises
    ------
    AnlageError
        If something is there that may not be replaced, the disk is full, or the place cannot be written to.
    """
    target = Path(path).expanduser()
    check_replaceable(target, may)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _explained(error, target) from error
    # the suffix stays, because writers look at it
    temporary = target.with_name(f".part-{uuid.uuid4().hex[:8]}-{target.name}")
    try:
        yield temporary
        if isinstance(may, Writer):
            seal(temporary, may)
        check_replaceable(target, may)  # writing may have taken hours
        _swap(temporary, target)
    except OSError as error:
        if is_full(error) or str(error.filename or "").startswith(str(temporary)):
            raise _explained(error, target) from error
        raise  # trouble with some other file
    finally:
        _remove(temporary)


def own(_: Path) -> bool:
    """Whatever lies there may be replaced: it is ours, because it lies in a folder that the program alone writes to."""
    return True


def check_replaceable(path: str | Path, may: Writer | Recogniser) -> None:
    """Refuse a place where something is that must not be replaced; to be asked before a long computation.

    An empty file or folder may always be replaced.

    Raises
    ------
    AnlageError
        If something else is there.
    """
    target = Path(path).expanduser()
    if not target.exists() or holds_nothing(target):
        return
    what = f"'{target}' is a {'folder' if target.is_dir() else 'file'}"
    if not isinstance(may, Writer):
        if not may(target):
            raise AnlageError(
                f"{what} that was not written as what would take its place now, so it is not replaced; choose another name, or "
                "remove it yourself."
            )
    elif may.overwrite:
        if target.is_dir() and not _is_data(target):
            raise AnlageError(
                f"{what} that is neither a zarr nor masks of a Cell Tracking Challenge, so not even --overwrite replaces it; "
                "choose another name, or remove it yourself."
            )
    elif not is_written_by(target, may.name):
        raise AnlageError(
            f"{what} that was not written as what would take its place now (an output of '{may.command}' that nobody changed "
            "since), so it is not replaced; choose another name, move that one away, or say --overwrite."
        )


def _is_data(folder: Path) -> bool:
    """Whether a folder is a file in all but name: a zarr, or masks with their table of tracks."""
    if any((folder / name).is_file() for name in ("zarr.json", ".zgroup", ".zattrs", ".zarray")):
        return True
    names = {entry.name for entry in folder.iterdir()}
    has_tracks = names == {"TRA"} or bool(names & {"res_track.txt", "man_track.txt"})
    return has_tracks and all(Path(name).suffix in (".tif", ".txt") or name in ("TRA", "anlage.json") for name in names)


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
            found = read_json(folder / name, f"'{folder / name}'", nan=True)
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
    if is_full(error):
        return AnlageError(full_disk_sentence(f"while writing '{target}'", " and try again, nothing was changed"))
    reason = (error.strerror or str(error)).lower()
    return AnlageError(f"'{target}' cannot be written ({reason}); choose another place.")
