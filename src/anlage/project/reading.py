"""Read the document from the files of a project."""

from __future__ import annotations

from pathlib import Path

from anlage.document.document import Document
from anlage.errors import AnlageError
from anlage.project.folder import JOURNAL, ProjectContent, find

__all__ = ["document_of", "peek"]

_TRIES = 5


def document_of(folder: Path, found: ProjectContent, labels_folder: Path | None) -> Document:
    """The document as it was when the journal's last line was written.

    Parameters
    ----------
    folder
        The project, for the error's sentence.
    found
        What it holds.
    labels_folder
        Where painted labels lie; None leaves them where they are, and keeps what the journal says in memory.

    Raises
    ------
    AnlageError
        If a line of the journal does not fit what was saved.
    """
    settings = found.file.settings
    document = Document(
        shape_tzyx=settings.shape_tzyx, spacing=settings.spacing, nuclei=found.nuclei, regions=found.file.regions,
        labels_folder=labels_folder, next_id=found.file.next_id,
    )  # fmt: skip
    if document.painted is not None and settings.shape_tzyx not in (None, document.painted.shape):
        raise AnlageError(
            f"The labels painted in '{folder}' have the shape {document.painted.shape} (t, z, y, x), and its image has "
            f"{settings.shape_tzyx}: they do not belong together; restore the project from a copy."
        )
    for n, record in enumerate(found.journal.records, start=1):
        try:
            document.replay(record)
        except (AnlageError, ValueError) as error:
            raise AnlageError(
                f"Change {n} of {len(found.journal.records)} in the journal '{folder / JOURNAL}' does not fit what was saved "
                f"({error}); restore the project from a copy, or cut the journal there."
            ) from error
    return document


def peek(folder: Path) -> tuple[Document, ProjectContent]:
    """Read a project that another program may have open, without changing anything on disk."""
    for _ in range(_TRIES - 1):
        found = _found(folder)
        if found is not None:
            break
    else:
        found = find(folder)
    return document_of(folder, found, None), found


def _found(folder: Path) -> ProjectContent | None:
    """What is there; None where it was being replaced while we looked."""
    try:
        return find(folder)
    except AnlageError:
        return None
