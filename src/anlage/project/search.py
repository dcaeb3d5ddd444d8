"""Find the project of an image: by the image's path, or by its pixels if it was moved."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from anlage.errors import AnlageError
from anlage.project.fingerprint import unlike
from anlage.project.folder import PROJECT, read_file
from anlage.project.recent import recent_projects
from anlage.project.settings import ProjectSettings
from anlage.stored_paths import resolve_stored_path

__all__ = ["FoundBy", "ProjectMatch", "free_project_folder", "match_project", "project_of_image", "project_settings"]

Fingerprinter = Callable[[ProjectSettings], tuple[str, ...]]
"""The fingerprint of the image, read as a project's settings say."""
_MOST_BESIDE = 500
"""Project folders beside an image that are looked into."""


class FoundBy(IntEnum):
    """How sure it is that a project is that of an image, the surest first."""

    PATH = 0
    """It names this very file, and the file has the pixels that it knows or it knows none."""
    PIXELS = 1
    """The file that it names is gone, or there never was one; the pixels are those that it knows."""
    CHANGED = 2
    """It names this very file, but the file is another one than it was; a human must say."""
    NAME = 3
    """It has the image's name and lies where this image's project would, its own image is gone, and it does not know its pixels; a
    human must say."""


@dataclass(frozen=True, slots=True)
class ProjectMatch:
    """A project that is, or may be, that of an image.

    Parameters
    ----------
    folder
        The project.
    settings
        What it says of its image.
    by
        How it was found.
    unlike
        In what the image differs from what the project knows, in words; None: in nothing.
    """

    folder: Path
    settings: ProjectSettings
    by: FoundBy
    unlike: str | None = None


def project_of_image(path: Path | None, home: Path, fingerprint: Fingerprinter) -> ProjectMatch | None:
    """Find the project of an image; nothing on disk is changed.

    It is looked for where this image's project would be made, among the other projects there, and among those that were
    open last. Of several the surest counts, and of these the one that was open last.

    Parameters
    ----------
    path
        The image's file; None where it is only in memory.
    home
        Where a project of this image would be made.
    fingerprint
        Called only where it decides something: it reads pixels.

    Raises
    ------
    AnlageError
        If the project in `home` cannot be read.
    """
    recent = [place.resolve() for place in recent_projects()]
    order = {place: i for i, place in enumerate(recent)}
    best: tuple[tuple[int, int], ProjectMatch] | None = None
    for folder in _places(home, recent):
        try:
            match = match_project(folder, path, home, fingerprint)
        except AnlageError:
            if folder == home.resolve():
                raise
            continue
        rank = None if match is None else (int(match.by), order.get(folder, len(order)))
        if match is not None and rank is not None and (best is None or rank < best[0]):
            best = rank, match
    return None if best is None else best[1]


def match_project(folder: Path, path: Path | None, home: Path, fingerprint: Fingerprinter) -> ProjectMatch | None:
    """Whether a project is, or may be, that of an image; None: it is that of another one.

    Raises
    ------
    AnlageError
        If it cannot be read.
    """
    settings = read_file(folder).settings
    its = resolve_stored_path(folder, settings.image, settings.image_relative)
    if its is not None and path is not None and _same_file(its, path):
        difference = _unlike(settings, fingerprint)
        return ProjectMatch(folder, settings, FoundBy.PATH if difference is None else FoundBy.CHANGED, difference)
    if its is not None:
        return None
    if settings.fingerprint:
        return ProjectMatch(folder, settings, FoundBy.PIXELS) if _unlike(settings, fingerprint) is None else None
    if folder == home.resolve():
        return ProjectMatch(folder, settings, FoundBy.NAME, _unlike(settings, fingerprint))
    return None


def project_settings(folder: Path) -> ProjectSettings:
    """What a project says of its image; it is not opened. Raises AnlageError if it cannot be read."""
    return read_file(folder).settings


def free_project_folder(home: Path) -> Path:
    """Give `home`, or a name beside it that no project has yet: ``A.anlage``, ``A-2.anlage`` and so on."""
    n, place = 1, home
    while (place / PROJECT).exists():
        n += 1
        place = home.with_name(f"{home.stem}-{n}{home.suffix}")
    return place


def _places(home: Path, recent: list[Path]) -> Iterator[Path]:
    beside: list[Path] = []
    with contextlib.suppress(OSError):
        beside = sorted(home.parent.glob(f"*{home.suffix}/{PROJECT}"))[:_MOST_BESIDE]
    wanted = [home.resolve(), *(file.parent.resolve() for file in beside), *recent]
    return (place for place in dict.fromkeys(wanted) if (place / PROJECT).is_file())


def _unlike(settings: ProjectSettings, fingerprint: Fingerprinter) -> str | None:
    """What differs; a project that knows no fingerprint knows at least the shape."""
    seen = fingerprint(settings)
    if settings.fingerprint or settings.shape_tzyx is None:
        return unlike(settings.fingerprint, seen)
    known = "x".join(map(str, settings.shape_tzyx))
    return unlike([line.replace(line.split()[1], known) for line in seen], seen)


def _same_file(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False
