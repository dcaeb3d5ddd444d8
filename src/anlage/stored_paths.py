r"""Paths as they are stored in files: written with ``/``, and read on any operating system.

A project or run that was made on Windows is opened on Linux through a shared drive, and the other way round. What lies at
the same place as seen from the folder is then found by its relative path.
"""

from __future__ import annotations

import os
from pathlib import Path, PurePath, PureWindowsPath

__all__ = ["resolve_stored_path", "stored_path", "stored_relative_path"]


def stored_path(path: str | Path) -> str:
    """The absolute path as it is kept."""
    return Path(path).expanduser().resolve().as_posix()


def stored_relative_path(path: str | Path, folder: str | Path) -> str | None:
    """The path as seen from a folder, as it is kept; None where there is no way from one to the other (another drive)."""
    try:
        return PurePath(
            os.path.relpath(Path(path).expanduser().resolve(), Path(folder).expanduser().resolve())
        ).as_posix()
    except ValueError:
        return None


def resolve_stored_path(folder: Path, absolute: str | None, relative: str | None) -> Path | None:
    """What a kept path names, where it is still there.

    The relative path comes first: a folder that was copied or moved together with what it refers to means its own copy.

    Parameters
    ----------
    folder
        The relative path is as seen from here.
    absolute, relative
        As they were kept; None or empty where there is none.
    """
    places = [folder / text for text in _readings(relative)]
    places += [Path(text) for text in _readings(absolute) if Path(text).is_absolute()]
    return next((place.resolve() for place in places if _exists(place)), None)


def _readings(text: str | None) -> list[str]:
    """The path as it stands, and as Windows means it."""
    if not text:
        return []
    return list(dict.fromkeys([text, PureWindowsPath(text).as_posix() if "\\" in text else text]))


def _exists(place: Path) -> bool:
    try:
        return place.exists()
    except (OSError, ValueError):  # too long, or with a null character: no file has such a name
        return False
