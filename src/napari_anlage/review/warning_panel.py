"""The list of track warnings, the worst first, and the buttons of the fixes."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import QCheckBox, QGridLayout, QHBoxLayout, QPushButton, QSizePolicy

from anlage import AnlageError, TrackWarning
from anlage.wording import plural
from napari_anlage.jobs.thread import ErrorReport, Thread
from napari_anlage.review.inspection import Inspection
from napari_anlage.session.session import Session
from napari_anlage.widgets.basic import Tab, note, small_button
from napari_anlage.widgets.connect import connect, disconnect
from napari_anlage.widgets.escaping import plain
from napari_anlage.widgets.issue_list import IssueList

__all__ = ["FIXES", "KEYS", "WarningPanel"]

FIXES = (
    ("join", "Link", "O", "Links the two nuclei that the warning proposes, or the two that are selected; the later one leaves the "
     "mother that it had."),
    ("break", "Break", "B", "Breaks the link that is doubted, or that between the two selected nuclei."),
    ("insert", "Add missing", "I", "Adds the nucleus that is missing between two, half-way, and links all three."),
    ("divide", "Division", "E", "Sets the division that was missed, or unsets the one that is doubted; with a mother and a nucleus "
     "selected, sets or unsets it as her daughter."),
    ("swap", "Swap", "F", "Exchanges the two tracks that seem to be swapped, or those of two selected nuclei of one frame."),
    ("accept", "It is right", "Y", "You looked, and all is right: accepted, and not warned of again."),
)  # fmt: skip
"""Name of each fix, its button, its key, and what it does."""
KEYS = (
    (".", ".", "Goes to the next warning, the worst first."),
    (",", ",", "Goes to the warning before."),
    *((key.lower(), key, does) for _, _, key, does in FIXES),
)
"""Key as napari writes it, as people write it, and what it does."""
_WAIT_MS = 250
"""The document must rest so long before it is looked through again."""
_MOST = 300
_HEIGHT = 176


class WarningPanel(Tab):
    """Looks through the tracks in a thread whenever they changed, and leads from warning to warning."""

    searched = Signal()
    """The warnings are those of the tracks as they are now."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session, self.inspection = session, Inspection.of(session)
        self._thread, self._deciding = Thread(self), Thread(self)
        self._again = False
        self.verdict: Callable[[str], bool] = lambda name: False
        """Asked first when a fix is wanted; True: it was meant for somebody else."""
        self.list = IssueList(_HEIGHT)
        self.about = note("")
        self.previous = small_button("◀ Previous  ,", "Goes to the warning before. Key: ,")
        self.next = small_button("Next  .  ▶", "Goes to the next warning, the worst first. Key: .")
        self.decide = QCheckBox("Decide links around a fix anew")
        self.decide.setChecked(True)
        self.fixes = {name: QPushButton(f"{text}  {key}") for name, text, key, _ in FIXES}
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_WAIT_MS)
        self._build()
        self._connect()
        self.refresh()

    def _build(self) -> None:
        self.column.setContentsMargins(0, 0, 0, 0)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        self.add(self.status, self.list)
        row = QHBoxLayout()
        row.addWidget(self.previous, 1)
        row.addWidget(self.next, 1)
        self.column.addLayout(row)
        self.add(self.about)
        grid = QGridLayout()
        grid.setSpacing(4)
        for place, button in enumerate(self.fixes.values()):
            grid.addWidget(button, place // 3, place % 3)
        self.column.addLayout(grid)
        self.add(self.decide)

    def _connect(self) -> None:
        session = self._session
        self.list.picked.connect(lambda row: self.attempt(lambda: self.inspection.go_to(row)))
        self.next.clicked.connect(lambda: self.attempt_quietly(lambda: self.inspection.go(1)))
        self.previous.clicked.connect(lambda: self.attempt_quietly(lambda: self.inspection.go(-1)))
        for name, button in self.fixes.items():
            button.clicked.connect(lambda _=False, name=name: self.fix(name))
        self._timer.timeout.connect(self.search)
        self._thread.done.connect(self._on_found)
        self._thread.failed.connect(self._on_failed)
        self._deciding.done.connect(lambda found: self.attempt(lambda: self.inspection.take_decision(found)))
        self._deciding.failed.connect(self._on_failed)
        self.inspection.changed.connect(self.refresh)
        connect(session.document_changed, self.wait)
        connect(session.project_changed, self._on_project)
        actions: dict[str, Callable[[], Any]] = {
            ".": lambda: self.inspection.go(1), ",": lambda: self.inspection.go(-1),
        }  # fmt: skip
        for key, _, does in KEYS:
            session.viewer.bind_key(key, self._pressed(actions.get(key), key, does), overwrite=True)

    def _pressed(self, action: Callable[[], Any] | None, key: str, does: str) -> Callable[[Any], None]:
        names = {letter.lower(): name for name, _, letter, _ in FIXES}

        def press(_: Any) -> None:
            if action is None:
                self.fix(names[key])
            else:
                self.attempt_quietly(action)

        press.__doc__ = does
        return press

    # ---- looking ----

    def showEvent(self, event: Any) -> None:
        """Look, if nobody did yet."""
        super().showEvent(event)
        if not self.inspection.warnings:
            self.wait()

    @property
    def busy(self) -> bool:
        """Whether the tracks changed, and were not looked through since."""
        return self._timer.isActive() or self._thread.busy or self._deciding.busy

    def wait(self, *_: Any) -> None:
        """Look again once the document rests."""
        self._timer.start()

    def search(self) -> None:
        """Look through the tracks now, in a thread."""
        if self._thread.busy:
            self._again = True
            return
        if not self.isVisible():  # it is looked through when somebody wants to see it
            self.inspection.warnings = ()
            return
        try:
            question = self.inspection.question()
        except AnlageError as error:
            self.inspection.take(())
            self.status.say(str(error), "idle")
            return
        self._thread.run(question)

    def _on_found(self, warnings: tuple[TrackWarning, ...]) -> None:
        self.inspection.take(warnings)
        self.searched.emit()
        if self._again:
            self._again = False
            self.search()

    def _on_failed(self, problem: ErrorReport) -> None:
        self.report(problem)

    def _on_project(self) -> None:
        """Warnings, and what was being decided, are of the tracks of one document."""
        self._thread.forget()
        self._deciding.forget()
        self._again = False
        self.inspection.current, self.inspection.place = None, -1
        self.inspection.take(())
        self.wait()

    # ---- showing ----

    def refresh(self) -> None:
        """The list, what is said about it, and the buttons."""
        inspection = self.inspection
        warnings = inspection.warnings[:_MOST]
        self.list.show_lines([_line(one) for one in warnings], [one.text for one in warnings])
        self.list.setCurrentRow(inspection.place if inspection.current is not None else -1)
        self._say(len(inspection.warnings))
        for button in (self.previous, self.next):
            button.setEnabled(bool(warnings))
        self.decide.setToolTip(
            plain(
                f"After a fix the proposed links near it are decided anew, {inspection.decides_by}, with what you said as certain. A step "
                "of its own: Ctrl+Z takes it back."
            )
        )
        current = inspection.current
        self.about.setText("" if current is None else current.text)
        self.about.setVisible(current is not None)
        for name, _, key, does in FIXES:
            why = inspection.why_not(name)
            self.fixes[name].setEnabled(why is None)
            self.fixes[name].setToolTip(plain(f"{does if why is None else why} Key: {key}"))

    def _say(self, n: int) -> None:
        document = self._session.document
        if document is None or not len(document.nuclei.links):
            self.status.say(
                "There are no tracks yet: find some on the Track tab and accept them, or link nuclei on the Annotate tab.",
                "idle",
            )
        elif not n:
            self.status.say("No warning is left. Check a random sample of the rest below.", "good")
        else:
            worst = self.inspection.warnings[0].score
            sure = sum(one.score >= 0.5 for one in self.inspection.warnings)
            more = f", the first {_MOST} are listed" if n > _MOST else ""
            self.status.say(
                f"{plural(n, 'warning')}, {sure} of them more likely wrong than right; the worst {100 * worst:.0f} %{more}.",
                "warning",
            )

    # ---- doing ----

    def fix(self, name: str) -> None:
        """Do one of the fixes, or say why it cannot be done."""
        if not self.verdict(name):
            self.attempt_quietly(lambda: self._fix(name))

    def _fix(self, name: str) -> None:
        before = self.inspection.document.nuclei
        self.inspection.fix(name)
        if self.decide.isChecked() and not self._deciding.busy and name != "accept":
            question = self.inspection.surroundings(before)
            if question is not None:
                self._deciding.run(question)

    def retire(self) -> None:
        """Give the keys back, and look no more."""
        self._timer.stop()
        session = self._session
        for key, _, _ in KEYS:
            session.viewer.bind_key(key, None)
        disconnect(session.document_changed, self.wait)
        disconnect(session.project_changed, self._on_project)
        self.inspection.changed.disconnect(self.refresh)


def _line(one: TrackWarning) -> str:
    return f"{100 * one.score:.0f} % · {one.kind} · frame {one.position[0]:.0f} · nucleus {one.ids[0]}"
