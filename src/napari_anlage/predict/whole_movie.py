"""Predict the whole movie in a child process: frame by frame to disk, with stop, resume, and a command to copy."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from qtpy.QtCore import QTimer, Signal
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import (
    QHBoxLayout,
    QProgressBar,
    QPushButton,
    QSizePolicy,
)

from anlage import AnlageError, TimeLapse
from anlage.project.image_copy import ChildImage, movie_for_child
from anlage.project.predictions import PredictionRequest, Result, command_line, load, load_labels, place, results
from anlage.project.proposals import ProposedNuclei
from anlage.wording import plural, remaining
from napari_anlage.jobs.child import Child, parse_event
from napari_anlage.jobs.registry import Slot
from napari_anlage.jobs.thread import ErrorReport, Thread
from napari_anlage.session.session import Session
from napari_anlage.widgets.basic import ActionButton, Tab, heading
from napari_anlage.widgets.connect import connect
from napari_anlage.widgets.escaping import plain
from napari_anlage.widgets.number_fields import CountField
from napari_anlage.widgets.plain_text import Label
from napari_anlage.widgets.result_list import ResultList

__all__ = ["RunAll"]

_PATIENCE_MS = 3000
_LIST_HEIGHT = 76


class RunAll(Tab):
    """Frames, *Run all*, its progress, and the project's predictions.

    Parameters
    ----------
    session
        What is shared about the viewer.
    order
        What the rest of the tab says is to be predicted, for a range of frames; raises AnlageError where something is
        missing.
    """

    track_wanted = Signal(object)
    """The nuclei of this `Result` are to be tracked."""
    loaded = Signal(object)
    """Candidates of a result to be shown."""
    painted = Signal(object, object)
    """A `Result` of a model that paints, and its labels."""

    def __init__(self, session: Session, order: Callable[[tuple[int, int]], PredictionRequest]) -> None:
        super().__init__()
        self._session, self._order = session, order
        self._thread, self._child, self._loading = Thread(self), Child(self), Thread(self)
        self._job = Slot(session.jobs)
        self._result: Result | None = None
        self._then: Callable[[ChildImage], None] | None = None
        self._stopping = False
        self.first, self.last = CountField(), CountField()
        self.run = ActionButton(
            "Run all",
            tooltip="Predicts these frames one after the other, into the project folder. Can be stopped and resumed.",
        )
        self.copy = ActionButton(
            "Copy as command line",
            tooltip="Puts the same job on the clipboard, to be pasted into a shell of this computer or sent to a cluster.",
        )  # fmt: skip
        self.stop = QPushButton("Stop")
        self.progress = QProgressBar()
        self.list = ResultList(_LIST_HEIGHT)
        self.show_button = ActionButton(
            "Show", tooltip="Shows the chosen prediction as proposals, to be tuned and judged."
        )
        self.resume = ActionButton("Resume", tooltip="Goes on with the chosen prediction where it was broken off.")
        self.track = ActionButton(
            "Track this prediction", primary=True, tooltip="Goes to the Track tab, with the nuclei of this prediction."
        )
        self.leads_on = False
        """Whether somebody goes there."""
        self._build()
        self._connect()
        self.refresh()

    def _build(self) -> None:
        self.column.setContentsMargins(0, 0, 0, 0)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        row = QHBoxLayout()
        row.addWidget(Label("Frames"))
        for box, tip in ((self.first, "First frame"), (self.last, "Last frame")):
            box.setToolTip(plain(tip))
            box.setKeyboardTracking(False)
        row.addWidget(self.first, 1)
        row.addWidget(Label("to"))
        row.addWidget(self.last, 1)
        self.add(heading("Whole movie"))
        self.column.addLayout(row)
        buttons = QHBoxLayout()
        buttons.addWidget(self.run, 1)
        buttons.addWidget(self.copy, 1)
        self.column.addLayout(buttons)
        self.add(self.progress, self.stop, self.status, self.list)
        below = QHBoxLayout()
        below.addWidget(self.show_button)
        below.addWidget(self.resume)
        self.column.addLayout(below)
        self.add(self.track)
        self.progress.hide()
        self.stop.hide()

    def _connect(self) -> None:
        session = self._session
        self.run.clicked.connect(lambda: self.with_child_image(self._begin))
        self.copy.clicked.connect(lambda: self.with_child_image(self._copy))
        self.stop.clicked.connect(self.request_stop)
        self.show_button.clicked.connect(lambda: self._load(self.chosen))
        self.resume.clicked.connect(lambda: self.attempt(self._resume))
        self.track.clicked.connect(lambda: self.track_wanted.emit(self.chosen))
        self.list.itemDoubleClicked.connect(lambda _: self._load(self.chosen))
        self.list.currentRowChanged.connect(lambda _: self.refresh_buttons())
        self.first.valueChanged.connect(lambda first: self.last.setValue(max(self.last.value(), int(first))))
        self.last.valueChanged.connect(lambda last: self.first.setValue(min(self.first.value(), int(last))))
        self._thread.done.connect(self._on_handed)
        self._thread.failed.connect(self._on_failed)
        self._thread.progressed.connect(self._on_copying)
        self._loading.done.connect(self._on_loaded)
        self._loading.failed.connect(self._on_failed)
        self._child.said.connect(self._on_said)
        self._child.finished.connect(self._on_finished)
        self._child.failed.connect(self._on_ended)
        connect(session.exchanged, self._on_exchanged)
        connect(session.image_changed, self._on_image)
        connect(session.project_changed, self.refresh)
        self._on_image()

    # ---- what is there ----

    def showEvent(self, event: Any) -> None:
        """Predictions may have been made meanwhile, by a shell or by a window that is closed."""
        super().showEvent(event)
        self.refresh()

    @property
    def chosen(self) -> Result | None:
        """The chosen prediction."""
        chosen: Result | None = self.list.chosen
        return chosen

    @property
    def busy(self) -> bool:
        return self._thread.busy or self._child.busy

    def refresh(self) -> None:
        """List the project's predictions."""
        kept = self._result if self.busy else self.chosen
        found = results(self._session.folder)
        self.list.offer(found, kept)
        for widget in (self.list, self.show_button, self.resume):
            widget.setVisible(bool(found))
        self.refresh_buttons()

    def refresh_buttons(self) -> None:
        """Buttons, and why they are grey."""
        busy = self.busy
        reason = self._missing()
        self.run.allow("A movie is being predicted." if busy else reason, show=False)
        self.copy.allow("The image is being handed over." if self._thread.busy else reason, show=False)
        self.stop.setVisible(busy)
        self.stop.setEnabled(not self._stopping)
        self.progress.setVisible(busy)
        result = self.chosen
        state = "new" if result is None else result.state
        finished = result is not None and result.state == "finished" and not result.record.paints
        self.track.setVisible(self.leads_on and finished)
        self.show_button.allow(_not_yet(result), show=False)
        why = {"finished": "It is finished.", "running": "It is being predicted.", "new": "None is chosen."}.get(state)
        self.resume.allow("A movie is being predicted." if busy else why, show=False)

    def _missing(self) -> str | None:
        try:
            self._order(self.frames())
        except AnlageError as error:
            return str(error)
        return None

    def frames(self) -> tuple[int, int]:
        """First frame, and the one after the last."""
        return self.first.value(), self.last.value() + 1

    def _on_image(self) -> None:
        n = 1
        if self._session.image_layer is not None:
            n = self._n_frames()
        whole = self.first.value() == 0 and self.last.value() == self.last.maximum()
        for box in (self.first, self.last):
            box.setRange(0, n - 1)
        if whole or self.last.value() == 0:
            self.last.setValue(n - 1)
        self.refresh()

    def _on_exchanged(self) -> None:
        """Frames, and what was about to begin or to be shown, were of the image before; what is being predicted of it goes on."""
        self._loading.forget()
        if self._thread.busy:
            self._thread.forget()
            self._then = None
        if not self._child.busy:
            self.status.say("", "idle")
        self.first.setValue(0)
        self.last.setValue(self.last.maximum())

    def _n_frames(self) -> int:
        try:
            return int(self._session.image().n_frames)
        except AnlageError:
            return 1

    # ---- beginning ----

    def with_child_image(self, then: Callable[[ChildImage, Path, PredictionRequest], None]) -> None:
        """See to it that a child can open the image, in a thread; `then` goes on."""
        self.attempt(lambda: self._image_for_child(then))
        self.refresh_buttons()

    def _image_for_child(self, then: Callable[[ChildImage, Path, PredictionRequest], None]) -> None:
        session = self._session
        folder, order = session.folder, self._order(self.frames())
        self._then = lambda given: then(given, folder, order)
        self.status.say("Handing over the image …", "info")
        self.progress.setRange(0, 0)
        self._thread.run(_image_for_child, session.scaled_image(), session.file, folder, self._thread.report)

    def _on_copying(self, fraction: float, text: str) -> None:
        self.progress.setRange(0, 100)
        self.progress.setValue(round(100 * fraction))
        self.progress.setFormat("writing the image: %p %")

    def _on_handed(self, given: ChildImage) -> None:
        then, self._then = self._then, None
        if then is not None:
            self.attempt(lambda: then(given))
        self.refresh_buttons()

    def _begin(self, given: ChildImage, folder: Path, order: PredictionRequest) -> None:
        self._start(place(folder, order, given), resume=False)

    def _copy(self, given: ChildImage, folder: Path, order: PredictionRequest) -> None:
        result = place(folder, order, given)
        line = command_line(result.arguments)
        QGuiApplication.clipboard().setText(line)
        self.status.say("Copied. Its result will be listed here.", "good", line)

    def _resume(self) -> None:
        result = self.chosen
        if result is None:
            raise AnlageError("There is no prediction to go on with.")
        self._start(result, resume=True)

    def _start(self, result: Result, *, resume: bool) -> None:
        self._result, self._stopping = result, False
        self.progress.setRange(0, 0)
        self.status.say("Starting …", "info")
        arguments = [*result.arguments, "--progress", "json", *(["--resume"] if resume else [])]
        self._child.start(arguments, result.path.with_suffix(".log"))
        self._job.begin(f"Predicting {plural(result.n_frames, 'frame')}", self.request_stop)
        self.refresh()

    # ---- going on and ending ----

    def _on_said(self, line: str) -> None:
        event = parse_event(line)
        total, done = int(event.get("total", 0)), int(event.get("done", 0))
        if total and self._child.busy:
            self.progress.setRange(0, total)
            self.progress.setValue(done)
            unit = "frame" if self._result is None else self._result.unit
            self.progress.setFormat(f"{unit} %v of %m")
            left = event.get("seconds_left")
            text = f"{done} of {plural(total, unit)}" + ("" if left is None else f", {remaining(left)}")
            if not self._stopping:
                self.status.say(f"Predicting: {text}.", "info")
            self._job.update(done / total, text)
            if done == 1:
                self.refresh()

    def request_stop(self) -> None:
        """Ask for an end; finished frames are kept."""
        self._then = None
        if self._child.busy and self._result is not None and not self._stopping:
            self._stopping = True
            self.status.say(f"Stopping; finished {self._result.unit}s are kept …", "info")
            self._result.parts.request_stop()
            QTimer.singleShot(_PATIENCE_MS, self._insist)
        elif self._thread.busy:
            self.status.say("Stopped.", "idle")
        self.refresh_buttons()

    def _insist(self) -> None:
        if self._stopping and self._child.busy:  # it has not begun to look for the stop file yet
            self._child.stop()
            self._on_ended(ErrorReport(""))

    def _on_ended(self, problem: ErrorReport) -> None:
        result, stopped, self._stopping = self._result, self._stopping, False
        self._job.end()
        if stopped and result is not None:
            of_all = "" if result.record.paints else f" of {plural(result.n_frames, 'frame')}"
            n = result.parts.n_done
            self.status.say(f"Stopped; {plural(n, result.unit) if not of_all else n}{of_all} are kept.", "warning")
        else:
            self.report(problem)
        self.refresh()

    def _on_finished(self) -> None:
        self._job.end()
        self._stopping = False
        result, self._result = self._result, None
        self.refresh()
        if result is not None and self._session.folder in result.path.parents:
            self._load(result)
        elif result is not None:
            self.status.say(
                f"The prediction of {result.path.parent.parent.name} is finished; it is listed there.", "good"
            )

    def _on_failed(self, problem: ErrorReport) -> None:
        self.report(problem)
        self.refresh_buttons()

    def retire(self) -> None:
        """The window closes: what is finished is kept, and can be gone on with."""
        self._then = None
        self._child.stop()
        self._job.end()

    # ---- showing ----

    def _load(self, result: Result | None) -> None:
        if result is not None and not self._loading.busy:
            self.status.say("Reading the prediction …", "info")
            self.attempt(lambda: self._loading.run(_load, result, self._session.scaled_image()))

    def _on_loaded(self, found: ProposedNuclei | tuple[Result, TimeLapse]) -> None:
        if isinstance(found, tuple):
            result, labels = found
            self.status.say(f"The labels of {plural(result.n_frames, 'frame')} are shown.", "good")
            self.painted.emit(result, labels)
            return
        candidates = found
        n = int((candidates.nuclei.probability >= candidates.threshold).sum())
        self.status.say(f"{plural(n, 'proposal')} in {plural(len(candidates.frames), 'frame')}.", "good")
        self.loaded.emit(candidates)


def _load(result: Result, image: TimeLapse) -> ProposedNuclei | tuple[Result, TimeLapse]:
    return (result, load_labels(result, image)) if result.record.paints else load(result, image)


def _not_yet(result: Result | None) -> str | None:
    """Why a result cannot be shown; None: it can."""
    if result is not None and (result.state == "finished" or (result.parts.n_done and not result.record.paints)):
        return None
    return (
        "It is not finished yet." if result is not None and result.record.paints else "No frame of it is finished yet."
    )


def _image_for_child(
    image: TimeLapse, file: Path | None, folder: Path, report: Callable[[float, str], None]
) -> ChildImage:
    return movie_for_child(image, file, folder, lambda done, total: report(done / total, ""))
