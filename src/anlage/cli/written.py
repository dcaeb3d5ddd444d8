"""The sentence on which files a stopped command has written, read from the disk."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from anlage.wording import plural

__all__ = ["Written"]

Stamp = tuple[int, int, int] | None
"""When something was written, which one it is, and its size; None where there is nothing."""


class Written:
    """Remembers what lay at the places of a command's outputs before it began.

    Every output appears whole or not at all, so one that is another than before is complete.

    Parameters
    ----------
    places
        Files, and folders that appear as one.
    folders
        Folders that are filled file by file.
    """

    def __init__(self, places: Iterable[Path] = (), folders: Iterable[Path] = ()) -> None:
        self._before = {place: _stamp(place) for place in places}
        self._inside = {folder: _stamps(folder) for folder in folders}

    def sentence(self) -> str:
        """What is complete and what is not, in a sentence."""
        now = {place: _stamp(place) for place in self._before}
        complete = [f"{place} is complete" for place, before in self._before.items() if now[place] != before]
        for folder, before in self._inside.items():
            n = sum(before.get(file) != stamp for file, stamp in _stamps(folder).items())
            complete += [f"{plural(n, 'file')} in {folder} {'is' if n == 1 else 'are'} complete"] if n else []
        rest = [
            f"{place} is as it was" if before else f"{place} was not written"
            for place, before in self._before.items()
            if now[place] == before
        ]
        return f"{'; '.join([*complete, *rest])}." if complete or rest else ""


def _stamp(place: Path) -> Stamp:
    try:
        found = place.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size


def _stamps(folder: Path) -> dict[Path, Stamp]:
    """Of what lies in a folder and is finished."""
    if not folder.is_dir():
        return {}
    return {entry: _stamp(entry) for entry in folder.iterdir() if not entry.name.startswith(".")}
