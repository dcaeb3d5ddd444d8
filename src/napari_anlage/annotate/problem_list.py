"""The list of problems in the annotation; a click goes to the place."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from anlage import Annotations, Document, Issue
from anlage.wording import plural
from napari_anlage.jobs.thread import ErrorReport, Thread
from napari_anlage.session.session import Session
from napari_anlage.widgets.basic import StatusLine
from napari_anlage.widgets.connect import connect, disconnect
from napari_anlage.widgets.issue_list import IssueList

__all__ = ["ProblemList"]

_WAIT_MS = 700
"""The annotation must rest so long before it is looked through."""
_MOST = 200
_TITLES = {
    "contradiction": ("contradiction", "contradictions"), "gap": ("gap", "gaps"),
    "duplicate": ("possible duplicate", "possible duplicates"), "region": ("region to look at", "regions to look at"),
    "label": ("shared label", "shared labels"), "jump": ("long link", "long links"), "size": ("odd size", "odd sizes"),
    "end": ("loose end", "loose ends"),
}  # fmt: skip


class ProblemList(QWidget):
    """Looks through the document in a thread once it rests, and lists what it finds."""

    found = Signal(int)

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._thread = Thread(self)
        self._again = False
        self._place = -1
        self.issues: tuple[Issue, ...] = ()
        self.line = StatusLine()
        self.list = IssueList(108, "Click to go there; J goes to the next.")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.line)
        column.addWidget(self.list)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_WAIT_MS)
        self._timer.timeout.connect(self.search)
        self.list.picked.connect(self.go_to)
        self._thread.done.connect(self._on_found)
        self._thread.failed.connect(self._on_failed)
        connect(session.document_changed, self.wait)
        connect(session.project_changed, self.wait)
        connect(session.diameter_changed, self.wait)
        connect(session.nuclei_changed, self.wait)
        connect(session.exchanged, self._on_exchanged)
        self._show(())

    def retire(self) -> None:
        """Look no more."""
        self._timer.stop()
        session = self._session
        for signal in (
            session.document_changed,
            session.project_changed,
            session.diameter_changed,
            session.nuclei_changed,
        ):
            disconnect(signal, self.wait)
        disconnect(session.exchanged, self._on_exchanged)

    def _on_exchanged(self) -> None:
        """What was found was in the annotation of the image before."""
        self._thread.forget()
        self._again = False
        self._show(())

    def wait(self, *_: Any) -> None:
        """Look again once nothing changes any more."""
        self._timer.start()

    def search(self) -> None:
        """Look through the document now, in a thread."""
        document = self._session.document
        if document is None:
            self._show(())
        elif self._thread.busy:
            self._again = True
        else:
            self._thread.run(_issues_of, document, self._session.reading(), self._session.diameter_um)

    def go_to_next(self) -> None:
        """Go to the problem after the one that was gone to last."""
        if self.issues:
            self.go_to((self._place + 1) % len(self.issues))
        else:
            self._session.say("Nothing looks wrong.", "good")

    def go_to(self, place: int) -> None:
        """Show where a problem is, and select the nuclei that it is about."""
        issue = self.issues[place]
        self._place = place
        self.list.setCurrentRow(min(place, self.list.count() - 1))
        editor = self._session.editor
        if editor is None:
            return
        if issue.regions:
            self._session.select_region(issue.regions[0])
        if issue.ids and editor.nuclei is not None and self._session.uses_document:
            editor.nuclei.select(issue.ids)
        if issue.position is not None:
            editor.go_to(issue.position)
        self._session.say(issue.text)

    def _on_found(self, issues: tuple[Issue, ...]) -> None:
        self._show(issues)
        if self._again:
            self._again = False
            self.search()

    def _on_failed(self, problem: ErrorReport) -> None:
        self.line.say(problem.sentence, "error", problem.details)

    def _show(self, issues: tuple[Issue, ...]) -> None:
        if issues != self.issues or not self.line.plain:
            self.issues, self._place = issues, -1
        self.list.show_lines([issue.text for issue in issues[:_MOST]])
        more = f", the first {_MOST} are listed" if len(issues) > _MOST else ""
        self.line.say(
            f"{_counted(issues)}{more}" if issues else "Nothing looks wrong.", "warning" if issues else "good"
        )
        self.setVisible(self._session.document is not None)
        self.found.emit(len(issues))


def _issues_of(document: Document, reading: Callable[[], Annotations], diameter_um: float | None) -> tuple[Issue, ...]:
    """What looks wrong in the annotation that counts; a layer of labels takes long to read."""
    found: tuple[Issue, ...] = document.problems(nuclei=reading(), diameter_um=diameter_um)
    return found


def _counted(issues: tuple[Issue, ...]) -> str:
    kinds: dict[str, int] = {}
    for issue in issues:
        kinds[issue.kind] = kinds.get(issue.kind, 0) + 1
    return ", ".join(plural(n, *_TITLES.get(kind, (kind, kind))) for kind, n in kinds.items())
