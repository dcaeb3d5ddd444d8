"""Save a project: fold the journal into the saved state while edits go on."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anlage
from anlage.annotations import Annotations
from anlage.document.document import Document
from anlage.document.journal import Journal
from anlage.document.label_volume import PaintedLabels
from anlage.document.regions import Region
from anlage.errors import AnlageError
from anlage.project.folder import current_journal, finish_fold, prepare, upcoming_journal, write_file
from anlage.project.settings import ProjectFile, ProjectSettings

__all__ = ["Folder", "Snapshot"]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What one saving writes; nothing in it changes any more, but for paint, which the journal repeats.

    Parameters
    ----------
    nuclei, regions, next_id, painted
        Of the document.
    history
        Records that the next journal begins with.
    mark
        Length of the journal at that moment: what comes behind belongs into the next one.
    revision
        Of the document.
    """

    nuclei: Annotations
    regions: tuple[Region, ...]
    next_id: int
    painted: PaintedLabels | None
    history: list[dict[str, Any]]
    mark: int
    revision: int

    @classmethod
    def of(cls, document: Document, journal: Journal) -> Snapshot:
        """The document as it is now."""
        return cls(
            document.nuclei, document.regions, document.next_id, document.painted, document.history.records(), journal.length,
            document.revision,
        )  # fmt: skip


class Folder:
    """The files of an open project that change together, and what they say.

    Parameters
    ----------
    place
        The project.
    file
        ``project.json`` as it is.
    """

    def __init__(self, place: Path, file: ProjectFile) -> None:
        self.place = place
        self._file = file
        self._changing = threading.Lock()

    @property
    def settings(self) -> ProjectSettings:
        return self._file.settings

    def change(self, changes: Mapping[str, Any]) -> None:
        """Replace fields of ``project.json``. Raises AnlageError if that cannot be written; nothing was changed then."""
        with self._changing:
            file = self._file.model_copy(update={**changes, "version": anlage.__version__})
            write_file(self.place, file)
            self._file = file

    def finish_fold(self) -> None:
        """Put the files that count in place.

        Raises
        ------
        AnlageError
            If somebody holds one.
        """
        try:
            finish_fold(self.place, self._file.fold)
        except OSError as error:
            raise AnlageError(
                f"The project '{self.place}' cannot be put in order ({(error.strerror or str(error)).lower()}); close what else "
                "has its files open, then try again. The journal holds every change."
            ) from error

    def open_journal(self, n_bytes: int) -> Journal:
        """The journal that counts, cut to the length that could be read."""
        return Journal(current_journal(self.place, self._file.fold), n_bytes)

    def save(self, snapshot: Snapshot, journal: Journal) -> None:
        """Write a snapshot as the next fold, and let the journal go on behind it.

        Raises
        ------
        AnlageError
            If it cannot be written; everything is as before.
        """
        self.finish_fold()
        if snapshot.painted is not None:
            snapshot.painted.flush(sync=True)
        fold = self._file.fold + 1
        scale = (self.settings.spacing, self.settings.interval_s)
        prepare(self.place, fold, snapshot.nuclei, snapshot.history, scale)

        def decide() -> Path:
            self.change({"fold": fold, "regions": snapshot.regions, "next_id": snapshot.next_id})
            with contextlib.suppress(OSError):  # somebody looks into a file: the next saving or opening tries again
                finish_fold(self.place, fold)
            return current_journal(self.place, fold)

        journal.carry_on(upcoming_journal(self.place), snapshot.mark, decide)
