"""Import …: nuclei, tracks, labels and whole projects of other programs, told with counts and contradictions."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QFileDialog, QHBoxLayout, QMenu, QVBoxLayout, QWidget

from anlage import AnlageError, Annotations, Issue, TimeLapse, open_annotations
from anlage.project.importing import (
    ForeignMovie,
    ImportReport,
    counts_in_words,
    foreign_movies,
    import_movie,
    keep_proposals,
)
from anlage.wording import plural
from napari_anlage.jobs.thread import ErrorReport, Thread
from napari_anlage.session.session import Session
from napari_anlage.widgets.basic import StatusLine, note, small_button
from napari_anlage.widgets.connect import connect, disconnect
from napari_anlage.widgets.issue_list import IssueList

__all__ = ["ImportPanel", "Imported"]

_FILES = (
    "Everything that is read (*.aut *.autlist *.ini *.xml *.geff *.csv *.tsv *.txt *.tif *.tiff *.zarr);;All files (*)"
)
_MOST_LINES = 200


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import brought, for the tabs.

    Parameters
    ----------
    headline
        Counts, as a sentence.
    issues
        What was left out, with its places.
    sentences
        What was assumed, and what could not be taken over.
    """

    headline: str
    issues: tuple[Issue, ...]
    sentences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Read:
    """Nuclei of a file, for the chosen image."""

    path: Path
    nuclei: Annotations
    image: TimeLapse
    layer: object


class ImportPanel(QWidget):
    """A button, how the nuclei are taken, and what the last import brought.

    Parameters
    ----------
    session
        Of the viewer.
    takes_drops
        Whether this panel imports what is dropped on napari; one of the panels does.
    """

    failed = Signal(object)
    """Something cannot be imported: an `ErrorReport`."""

    def __init__(self, session: Session, *, takes_drops: bool = False) -> None:
        super().__init__()
        self._session = session
        self._thread = Thread(self)
        self._takes_drops = takes_drops
        self._last: Imported | None = None
        self._asked_for_proposals = False
        self.button = small_button(
            "Import …",
            "Nuclei, tracks or labels for this image (CSV, GEFF, TrackMate XML, .aut, CTC folder, label images), or whole projects of "
            "OrganoidTracker (.autlist) and Celldetective (its folder). Dropping them on napari does the same.",
        )
        self.menu = QMenu(self.button)
        self.menu.addAction("File …").triggered.connect(self._on_file)
        self.menu.addAction("Folder …").triggered.connect(self._on_folder)
        self.button.setMenu(self.menu)
        self.proposals = QCheckBox("as proposals")
        self.proposals.setToolTip(
            "Each nucleus is to be accepted or rejected on the Predict tab, instead of counting as annotated."
        )
        self.line = StatusLine()
        self.list = IssueList(90)
        self.more = note("")
        row, column = QHBoxLayout(), QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        row.addWidget(self.button)
        row.addWidget(self.proposals)
        row.addStretch(1)
        column.addLayout(row)
        for widget in (self.line, self.list, self.more):
            column.addWidget(widget)
            widget.hide()
        self.list.picked.connect(self.go_to)
        self._thread.done.connect(self._on_done)
        self._thread.failed.connect(self._on_failed)
        connect(session.imported, self.show_report)
        connect(session.exchanged, self._on_exchanged)
        if takes_drops:
            connect(session.import_wanted, self.take)

    def retire(self) -> None:
        """Listen to the session no more."""
        self._thread.forget()
        disconnect(self._session.imported, self.show_report)
        disconnect(self._session.exchanged, self._on_exchanged)
        if self._takes_drops:
            disconnect(self._session.import_wanted, self.take)

    def take(self, path: Path) -> None:
        """Import a file or folder, in a thread."""
        try:
            self._begin(Path(path))
        except (AnlageError, OSError) as error:
            self._on_failed(ErrorReport.of(error))

    def show_report(self, report: Imported) -> None:
        """Show what an import brought, whichever tab it was asked for on."""
        self._last = report
        self.button.setEnabled(True)
        self.line.say(report.headline, "warning" if report.issues else "good")
        self.list.show_lines([issue.text for issue in report.issues[:_MOST_LINES]])
        self.more.setText("\n".join(report.sentences))
        self.more.setVisible(bool(report.sentences))

    def go_to(self, place: int) -> None:
        """Show where something was left out."""
        issue = None if self._last is None else self._last.issues[place]
        editor = self._session.editor
        if issue is not None and issue.position is not None and editor is not None:
            editor.go_to(issue.position)
            self._session.say(issue.text)

    # ---- importing ----

    def _begin(self, path: Path) -> None:
        if self._thread.busy:
            raise AnlageError("The former import is still at work; wait for it.")
        session, proposals = self._session, self.proposals.isChecked()
        self._asked_for_proposals = proposals
        self.line.say(f"Reading '{path.name}' …", "info")
        movies = foreign_movies(path)
        if movies is not None:
            folder = path.parent if os.access(path.parent, os.W_OK) else Path.home() / "anlage"
            self._thread.run(partial(_import_all, path, movies, folder, proposals=proposals))
            self.button.setEnabled(False)
            return
        if session.image_layer is None:
            raise AnlageError(f"'{path.name}' names no image; open its image in napari first, then import it.")
        image, layer = session.scaled_image(), session.image_layer
        session.bench.need()
        self._thread.run(lambda: _Read(path, open_annotations(path, image=image, lenient=True), image, layer))
        self.button.setEnabled(False)

    def _on_done(self, result: _Read | tuple[list[ImportReport], list[str]]) -> None:
        self.button.setEnabled(True)
        try:
            if isinstance(result, _Read):
                self._take_nuclei(result)
            else:
                self._take_projects(*result)
        except (AnlageError, OSError) as error:
            self._on_failed(ErrorReport.of(error))

    def _take_nuclei(self, read: _Read) -> None:
        session = self._session
        if read.layer is not session.image_layer:
            raise AnlageError(f"Another image was chosen while '{read.path.name}' was read; import it again.")
        notes = list(read.nuclei.notes)
        if self._asked_for_proposals:
            session.bench.need()
            notes += keep_proposals(session.folder, read.nuclei, read.path.name.split(".")[0], read.image)
            session.project_changed.emit()  # the Predict tab lists it
        else:
            session.bench.take_over(read.nuclei, read.path.name)
        headline = f"{read.path.name}: {counts_in_words(read.nuclei)}"
        session.imported.emit(Imported(headline, read.nuclei.left_out, tuple(notes)))

    def _take_projects(self, reports: list[ImportReport], refused: list[str]) -> None:
        session = self._session
        if not reports:
            raise AnlageError(" ".join(refused))
        first = reports[0]
        session.open_project(first.folder)
        others = f" {plural(len(reports) - 1, 'more project')} beside it." if len(reports) > 1 else ""
        headline = f"{first.folder.name}: {first.counts}{others}"
        lost = [f"Not taken over: {sentence}" for report in reports for sentence in report.lost]
        session.imported.emit(Imported(headline, first.left_out, tuple(dict.fromkeys((*first.notes, *lost, *refused)))))

    def _on_failed(self, problem: ErrorReport) -> None:
        self.button.setEnabled(True)
        self.line.say(problem.sentence, "error", problem.details)
        self.failed.emit(problem)

    def _on_exchanged(self) -> None:
        """Another image came: what was left out had its places in the one before."""
        self.list.show_lines([])

    def _on_file(self) -> None:
        chosen, _ = QFileDialog.getOpenFileName(self, "Import what was annotated elsewhere", self._start(), _FILES)
        if chosen:
            self.take(Path(chosen))

    def _on_folder(self) -> None:
        chosen = QFileDialog.getExistingDirectory(
            self, "Import a folder (Celldetective, CTC, GEFF, label images)", self._start()
        )
        if chosen:
            self.take(Path(chosen))

    def _start(self) -> str:
        parent = self._session.folder.parent
        return str(parent if parent.is_dir() else Path.home())


def _import_all(
    path: Path, movies: Sequence[ForeignMovie], folder: Path, *, proposals: bool
) -> tuple[list[ImportReport], list[str]]:
    """A project for each movie; what cannot be imported is a sentence and does not stop the others."""
    reports, refused = list[ImportReport](), list[str]()
    for movie in movies:
        place = folder / f"{movie.name}.anlage"
        try:
            if place.exists():
                raise AnlageError(
                    f"'{place}' is there already, and an import replaces nothing; open it, or move it away."
                )
            reports.append(import_movie(movie, place, proposals=proposals))
        except AnlageError as error:
            refused.append(f"{movie.name} of '{path.name}' was not imported: {error}")
    return reports, refused
