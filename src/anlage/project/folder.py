"""The files of a project folder, and how they are replaced together.

The saved state is a graph, the regions and an empty journal; the three carry the same number, the fold. Saving writes
the next graph and the next journal beside the old ones and then replaces ``project.json``: that one rename decides
which fold counts. What carries another number is of no account: opening the project puts the right files in place
and removes the others. So there is no moment at which a crash could lose or double anything.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from anlage.annotations import Annotations
from anlage.axes import Spacing
from anlage.document.journal import JournalContent, read_journal, write_journal
from anlage.errors import AnlageError
from anlage.foreign import parsed_json, read_json
from anlage.frozen import first_problem
from anlage.io.atomic import own, replacing, root_attributes
from anlage.io.nuclei_files.geff_graphs import read_graph, write_graph
from anlage.project.settings import SCHEMA, ProjectFile

__all__ = [
    "GRAPH",
    "JOURNAL",
    "LABELS",
    "PROJECT",
    "ProjectContent",
    "current_journal",
    "find",
    "finish_fold",
    "prepare",
    "read_file",
    "write_file",
]

PROJECT = "project.json"
GRAPH = "annotations.geff"
JOURNAL = "journal.jsonl"
LABELS = "labels.zarr"
_NEXT = ".next-"
_OLD = ".old-"
_FOLD = "anlage_fold"
_LONGEST_HEAD = 10_000
"""Bytes of a journal's first line, which has two numbers."""


@dataclass(frozen=True, slots=True)
class ProjectContent:
    """What a project folder holds, as it was read.

    Parameters
    ----------
    file
        ``project.json``.
    nuclei
        The saved nuclei; None where none were saved yet.
    journal
        What was done since.
    """

    file: ProjectFile
    nuclei: Annotations | None
    journal: JournalContent


def read_file(folder: Path) -> ProjectFile:
    """Read ``project.json``.

    Raises
    ------
    AnlageError
        If there is none, a newer version wrote it, or it is damaged.
    """
    path = folder / PROJECT
    try:
        found = read_json(path, f"The project file '{path}'")
    except FileNotFoundError:
        raise AnlageError(f"'{folder}' is no project: it has no {PROJECT}.") from None
    except OSError as error:
        raise AnlageError(f"The project file '{path}' cannot be read ({error}).") from error
    schema = found.get("schema_version") if isinstance(found, dict) else None
    if isinstance(schema, int) and schema > SCHEMA:
        raise AnlageError(
            f"The project '{folder}' has schema {schema}, newer than the {SCHEMA} that this version reads; update anlage."
        )
    try:
        return ProjectFile.model_validate(found)
    except (ValidationError, AnlageError) as error:
        raise AnlageError(f"The project file '{path}' is damaged: {_first(error)}.") from error


def find(folder: Path) -> ProjectContent:
    """Read a project without changing anything.

    Raises
    ------
    AnlageError
        If a part of it is missing, damaged or of a newer version.
    """
    file = read_file(folder)
    journal_path = _current(folder, JOURNAL, file.fold, _journal_fold)
    if journal_path is None:
        raise AnlageError(
            f"The journal '{folder / JOURNAL}' is missing or belongs to another saved state; restore it from a copy."
        )
    journal = read_journal(journal_path)
    if journal is None:  # it was there a moment ago
        raise AnlageError(f"The journal '{journal_path}' has vanished.")
    if file.fold == 0:
        return ProjectContent(file, None, journal)
    graph = _current(folder, GRAPH, file.fold, _graph_fold)
    if graph is None:
        raise AnlageError(
            f"The nuclei '{folder / GRAPH}' are missing or belong to another saved state; restore them from a copy."
        )
    return ProjectContent(file, read_graph(graph), journal)


def current_journal(folder: Path, fold: int) -> Path:
    """The journal that counts, wherever it lies."""
    return _current(folder, JOURNAL, fold, _journal_fold) or folder / JOURNAL


def upcoming_journal(folder: Path) -> Path:
    """Where `prepare` writes the journal of the next fold."""
    return folder / f"{_NEXT}{JOURNAL}"


def finish_fold(folder: Path, fold: int) -> None:
    """Put the files of this fold in place, and remove what a crash left behind."""
    for name, fold_of in ((JOURNAL, _journal_fold), (GRAPH, _graph_fold)):
        upcoming, old = folder / f"{_NEXT}{name}", folder / f"{_OLD}{name}"
        if fold_of(folder / name) != fold:
            if fold_of(upcoming) == fold:
                _remove(old)
                if (folder / name).is_dir():
                    (folder / name).rename(old)
                upcoming.replace(folder / name)
            elif fold_of(old) == fold:
                _remove(folder / name)
                old.replace(folder / name)
        _remove(upcoming)
        _remove(old)
    for leftover in folder.glob(".part-*"):
        _remove(leftover)


def prepare(
    folder: Path,
    fold: int,
    nuclei: Annotations,
    history: list[dict[str, Any]],
    scale: tuple[Spacing | None, float | None],
) -> None:
    """Write the graph and the journal of the next fold beside those that count.

    Parameters
    ----------
    folder
        The project.
    fold
        Number of the next fold.
    nuclei
        The nuclei to save.
    history
        Records that the new journal begins with.
    scale
        Voxel size in µm and time step in s.

    Raises
    ------
    AnlageError
        If they cannot be written; nothing was changed then.
    """
    import zarr

    graph, journal = folder / f"{_NEXT}{GRAPH}", folder / f"{_NEXT}{JOURNAL}"
    try:
        _remove(graph)
        write_graph(graph, nuclei, *scale)
        zarr.open_group(graph, mode="r+").update_attributes({_FOLD: fold})
        _sync_below(graph)
        write_journal(journal, fold, history)
    except OSError as error:
        _remove(graph)
        _remove(journal)
        raise AnlageError(
            f"The project '{folder}' cannot be saved ({(error.strerror or str(error)).lower()}); free some space or check the "
            "disk, then save again. The journal still holds every change."
        ) from error


def write_file(folder: Path, file: ProjectFile) -> None:
    """Replace ``project.json``: from then on its fold counts."""
    with replacing(folder / PROJECT, own) as temporary, temporary.open("wb") as out:
        out.write(file.model_dump_json(indent=2).encode() + b"\n")
        out.flush()
        os.fsync(out.fileno())
    _sync_folder(folder)


def _current(folder: Path, name: str, fold: int, fold_of: Callable[[Path], int | None]) -> Path | None:
    places = (folder / name, folder / f"{_NEXT}{name}", folder / f"{_OLD}{name}")
    return next((place for place in places if fold_of(place) == fold), None)


def _graph_fold(path: Path) -> int | None:
    fold = root_attributes(path).get(_FOLD)
    return fold if isinstance(fold, int) else None


def _journal_fold(path: Path) -> int | None:
    try:
        with path.open("rb") as file:
            head = parsed_json(file.readline(_LONGEST_HEAD), "The journal")
    except (OSError, AnlageError):
        return None
    fold = head.get("fold") if isinstance(head, dict) else None
    return fold if isinstance(fold, int) else None


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _sync_below(folder: Path) -> None:
    for place, _, names in os.walk(folder):
        for name in names:
            handle = os.open(Path(place) / name, os.O_RDWR)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)


def _sync_folder(folder: Path) -> None:
    """Make a rename lasting, where the system has a way to ask for it."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _first(error: ValidationError | AnlageError) -> str:
    if isinstance(error, AnlageError):
        return str(error)
    return first_problem(error)
