"""The view of a run: progress, curves, Stop and Resume, live preview, and earlier runs."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from anlage import AnlageError, Run, headline_score, read_card
from anlage.project.models import KINDS
from anlage.project.trainings import runs_in
from anlage.wording import for_the_dock, remaining, short
from napari_anlage.jobs.run_watcher import RunWatcher
from napari_anlage.jobs.thread import ErrorReport
from napari_anlage.session.session import Session
from napari_anlage.train.close_guard import CloseGuard
from napari_anlage.train.compare import CompareDialog
from napari_anlage.train.live_preview import LearningPreview
from napari_anlage.train.plots import LearningPlot
from napari_anlage.train.report import ReportDialog, report_pictures
from napari_anlage.widgets.basic import ActionButton, StatusLine, heading
from napari_anlage.widgets.connect import connect
from napari_anlage.widgets.details import Details
from napari_anlage.widgets.escaping import plain
from napari_anlage.widgets.plain_text import Rich
from napari_anlage.widgets.silent import silent

__all__ = ["RunView", "how_good"]

_USES = {"nuclei": "Preview this model", "events": "Find events with this model"}
"""What a finished training is good for, by its kind."""
_MANY_CORES = 4
"""With fewer the preview while it trains is off at first: it would take a core that the training needs."""


class RunView(QWidget):
    """The run that is watched, and the others of the project."""

    failed = Signal(object)
    """A problem to report to the user."""
    use_wanted = Signal(object)
    """Use the model of this run: the tab for it is wanted."""
    moved = Signal()
    """Another run is watched, or its state is another one."""

    def __init__(self, session: Session, status: StatusLine) -> None:
        super().__init__()
        self._session, self.status = session, status
        self.watcher = RunWatcher(self)
        self.live = LearningPreview(session, self)
        self.stop = ActionButton("Stop", tooltip="Stops within 3 s and keeps the best weights.")
        self.resume = ActionButton("Resume", tooltip="Goes on exactly where the run stopped.")
        self.use = ActionButton("", primary=True, tooltip="Goes to the tab where the network is used, with it chosen.")
        self.leads_on = False
        """Whether somebody goes there; else a sentence names the tab."""
        self.progress = QProgressBar()
        self.details = Details()
        self.choice = QComboBox()
        self.compare = QPushButton("Compare …")
        self.report = QPushButton("Report …")
        self.plot = LearningPlot()
        self.legend = Rich(self.plot.legend())
        self.log = QCheckBox("log")
        self.preview = QCheckBox("Preview what is in view as it learns")
        self.preview_line = StatusLine()
        self.notes = StatusLine()
        self._dialog: CompareDialog | None = None
        self.report_window: ReportDialog | None = None
        """The report that is open."""
        self._runs: dict[Path, Run] = {}
        self._stopping = self._switching = False
        self._seen_running: Path | None = None
        self._build()
        self._connect()

    def _build(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        # nothing but the status while there is no run
        self.panel = QWidget()
        inner = QVBoxLayout(self.panel)
        inner.setContentsMargins(0, 0, 0, 0)
        buttons, choice, legend = QHBoxLayout(), QHBoxLayout(), QHBoxLayout()
        buttons.addWidget(self.stop)
        buttons.addWidget(self.resume)
        self.choice.setToolTip("The trainings of this project; choose one to see its curves.")
        self.choice.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.choice.setMinimumContentsLength(12)
        self.report.setToolTip(
            "Pictures of how good the network is on held-out data: confusion matrix, ROC, precision and recall, calibration, and the curves."
        )
        self.compare.setToolTip("Runs side by side: scores, curves, and the settings in which they differ.")
        choice.addWidget(self.report)
        choice.addWidget(self.compare)
        self.legend.setStyleSheet("font-size:11px")
        self.legend.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.log.setToolTip("Losses on a logarithmic axis.")
        self.log.setChecked(True)
        legend.addWidget(self.legend, 1)
        legend.addWidget(self.log)
        self.preview.setChecked((os.cpu_count() or 1) >= _MANY_CORES)
        self.preview.setToolTip(
            "Shows again and again what the newest weights find in the part of the image that is in view, as layers named "
            "'learning'. It takes up to one core from the training, so it is off at first on small computers."
        )
        column.addWidget(self.preview)
        column.addWidget(self.preview_line)
        column.addWidget(self.status)
        column.addWidget(self.use)
        column.addWidget(self.progress)
        column.addWidget(self.details)
        column.addWidget(self.panel)
        inner.addLayout(buttons)
        inner.addWidget(heading("Run"))
        inner.addWidget(self.choice)
        inner.addLayout(choice)
        inner.addLayout(legend)
        inner.addWidget(self.plot)
        inner.addWidget(self.notes)

    def _connect(self) -> None:
        self.stop.clicked.connect(self._on_stop)
        self.resume.clicked.connect(self._on_resume)
        self.use.clicked.connect(lambda: self.use_wanted.emit(self.watcher.run))
        self.log.toggled.connect(lambda on: self.plot.set_log(on=on))
        self.choice.activated.connect(self._on_chosen)
        self.compare.clicked.connect(self.open_comparison)
        self.report.clicked.connect(self.open_report)
        self.plot.recoloured.connect(lambda: self.legend.setText(self.plot.legend()))
        self.preview.toggled.connect(self._on_preview)
        self.live.said.connect(self.preview_line.say)
        self.watcher.advanced.connect(self._on_advanced)
        self.watcher.noted.connect(lambda text: self.notes.say(text, "info"))
        self.watcher.state_changed.connect(self._on_state)
        connect(self._session.run_changed, self._on_session)
        connect(self._session.exchanged, self._on_exchanged)
        self.moved.connect(self.refresh)

    # ---- which runs there are ----

    @property
    def state(self) -> str:
        """What the run that is watched is doing; empty without one."""
        return self.watcher.state

    def running(self) -> list[Run]:
        """The project's runs that are being trained, and the one that is watched if it is."""
        found = [run for run in self._runs.values() if run.is_locked()]
        watched = self.watcher.run
        # it is not locked yet in its first second, while its process begins
        if watched is not None and watched.state == "running" and all(run.path != watched.path for run in found):
            found.insert(0, watched)
        return found

    def refresh_runs(self) -> None:
        """Offer the project's runs; where none is watched, or one of another project that rests, watch the newest."""
        folder, watched = self._session.folder, self._session.run
        here = watched is not None and (folder / "runs").resolve() in watched.path.parents
        if (
            watched is not None
            and not here
            and watched.state != "running"
            and watched.path.parent.parent.suffix == ".anlage"
        ):
            watched = None
        runs = runs_in(folder / "runs", [] if watched is None else [watched])
        self._runs = {run.path: run for run in runs}
        if watched is None and (runs or self._session.run is not None):
            self.watch(runs[0] if runs else None)
        self._fill()

    def _fill(self) -> None:
        with silent(self.choice):
            self.choice.clear()
            watched = self.watcher.run
            for run in self._runs.values():
                state = self.watcher.state if watched is not None and run.path == watched.path else run.state
                other = "" if self._session.folder in run.path.parents else f"{run.path.parent.parent.name}: "
                self.choice.addItem(f"{other}{short(run.name)} – {state}", run.path)
                self.choice.setItemData(self.choice.count() - 1, plain(str(run.path)), 3)  # Qt.ToolTipRole
                if watched is not None and run.path == watched.path:
                    self.choice.setCurrentIndex(self.choice.count() - 1)
            if not self._runs:
                self.choice.addItem("none yet")
            self.choice.setEnabled(bool(self._runs))
            self.compare.setEnabled(len(self._runs) > 1)
            self.panel.setVisible(bool(self._runs))
            self.progress.setVisible(watched is not None)

    def _on_chosen(self, index: int) -> None:
        run = self._runs.get(self.choice.itemData(index))
        if run is not None and (self.watcher.run is None or run.path != self.watcher.run.path):
            self.watch(run)

    def open_comparison(self) -> None:
        """Show the project's runs side by side, in a window of their own."""
        if self._dialog is not None:
            self._dialog.close()
        self._dialog = CompareDialog(list(self._runs.values()), self)
        self._dialog.chosen.connect(self._on_compared)
        self._dialog.show()

    def open_report(self) -> None:
        """Show the pictures of the run that is watched, in a window of their own."""
        run = self.watcher.run
        if run is None:
            return
        if self.report_window is not None:
            self.report_window.close()
        self.report_window = ReportDialog(short(run.name), run, self)
        self.report_window.show()

    def _on_compared(self, path: Path) -> None:
        if path in self._runs:
            self.watch(self._runs[path])
            self._fill()

    # ---- the run that is watched ----

    def watch(self, run: Run | None) -> None:
        """Follow this run, and show it on the other tabs."""
        self._stopping = False
        for line in (self.notes, self.status, self.preview_line):
            line.say("")
        self.details.show_text("")
        if run is not None:
            self._runs.setdefault(run.path, run)
        self._switching = True
        try:
            self._session.set_run(run)
            self.watcher.watch(run)
        finally:
            self._switching = False
        self.plot.show_curve(self.watcher.curve)
        self._fill()
        self.moved.emit()

    def _on_session(self) -> None:
        if not self._switching and self._session.run is not self.watcher.run:  # another widget chose another one
            self.watch(self._session.run)

    def _on_exchanged(self) -> None:
        """What is previewed, and what is compared, belongs to the image before."""
        self.live.start_over()
        self.preview_line.say("")
        if self._dialog is not None:
            self._dialog.close()

    def leave(self) -> None:
        """The window goes: watch no more, and end what belongs to it. A training goes on."""
        self.watcher.stop()
        self.live.stop()
        for dialog in (self._dialog, self.report_window):
            if dialog is not None:
                dialog.close()

    def request_stop(self) -> None:
        """Ask the run to stop."""
        run = self.watcher.run
        if run is None or self.state != "running":
            raise AnlageError("Nothing is being trained.")
        run.request_stop()
        self._stopping = True
        self.status.say("Stopping; the best weights are kept …", "info")
        self.moved.emit()

    def _on_stop(self) -> None:
        self._attempt(self.request_stop)

    def _on_resume(self) -> None:
        self._attempt(self.resume_run)

    def resume_run(self) -> None:
        """Go on with the run that is watched."""
        run = self.watcher.run
        if run is None:
            raise AnlageError("There is no run to resume.")
        run.start()
        self.watch(run)

    def refresh(self) -> None:
        """The buttons."""
        can_stop = self.state == "running" and not self._stopping
        self.stop.allow(None if can_stop else "This run is not being trained.", show=False)
        others = [run for run in self.running() if self.watcher.run is None or run.path != self.watcher.run.path]
        reason = None if self.state in ("stopped", "failed", "new") else "There is no interrupted run chosen."
        if reason is None and others:
            reason = f"{short(others[0].name)} is being trained; stop it first."
        self.resume.allow(reason, show=False)
        run = self.watcher.run
        usable = run is not None and self.state in ("finished", "stopped") and run.model_path is not None
        self.use.setVisible(self.leads_on and usable)
        if run is not None and usable:
            self.use.button.setText(_USES.get(run.config.task, "Track with this model"))
        self.report.setEnabled(self.watcher.run is not None and bool(report_pictures(self.watcher.run)))

    def _attempt(self, action: Any) -> None:
        try:
            action()
        except Exception as error:  # noqa: BLE001 - whatever a click sets off must end in a sentence
            self.failed.emit(ErrorReport.of(error))

    def _on_preview(self, on: bool) -> None:  # noqa: FBT001 - Qt's signal
        if not on:
            self.live.clear()
            self.preview_line.say("")
        self.live.follow(self.watcher.run, on=on and self.state == "running")

    def _on_advanced(self) -> None:
        curve = self.watcher.curve
        if self.isVisible():
            self.plot.show_curve(curve)
        last = curve.last
        if last is None or self.state not in ("running", ""):
            return
        total = last.steps or 0
        text = remaining(last.eta_s)
        self.progress.setRange(0, total)
        self.progress.setValue(last.step if total else 0)
        self.progress.setFormat(f"step {last.step} of {total} · {text}" if total else f"step {last.step} · {text}")
        if not self._stopping:
            self.status.say(f"Training: {text}{self._best_so_far()}", "info")

    def _best_so_far(self) -> str:
        run, best = self.watcher.run, self.watcher.curve.best
        if run is None or best is None:
            return ""
        head = str(run.config.settings.get("head", ""))
        score = headline_score(best.metrics, best.n, run.config.task, head)
        return f" · best so far at step {best.step}" + ("" if score is None else f": {score}")

    def showEvent(self, event: Any) -> None:
        """Catch up with what was not drawn while nobody looked."""
        super().showEvent(event)
        self.plot.show_curve(self.watcher.curve)
        CloseGuard.around(self, self._session, self.running)

    def _on_state(self, state: str) -> None:
        run = self.watcher.run
        if run is None:
            return
        CloseGuard.around(self, self._session, self.running)
        if state == "running":
            self._seen_running = run.path
            self.details.show_text("")
            if self.watcher.curve.last is None:
                self.progress.setRange(0, 0)
                self.progress.setFormat("preparing")
                self.status.say("Preparing the examples …", "info")
        else:
            self._stopping = False
            self.plot.show_curve(self.watcher.curve)
            self.progress.setRange(0, 1)
            self.progress.setValue(1 if state == "finished" else 0)
            self.progress.setFormat(state)
            self._say_end(run, state)
        if state == "running":
            self.live.follow(run, on=self.preview.isChecked())
        else:
            self.live.finish()
            self.preview_line.say("")
        self._fill()
        self._session.run_changed.emit()
        self.moved.emit()

    def _say_failure(self, run: Run) -> None:
        failure = run.failure
        if failure is None:  # resumed in this very moment
            return
        sentence = for_the_dock(failure.sentence)
        problem = ErrorReport(sentence, failure.details or f"The log {run.log_path} is empty.")
        if self._seen_running == run.path:
            self._seen_running = None
            self.failed.emit(problem)
        else:  # an old story: no notification
            self.status.say(sentence, "error", problem.details)
            self.details.show_text(problem.details)

    def _say_end(self, run: Run, state: str) -> None:
        if state == "finished":
            where = (
                ""
                if self.leads_on
                else "See it on the Signals tab"
                if run.config.task == "events"
                else "Preview it on the Predict tab"
            )
            said, kind = how_good(run)
            self.status.say(f"Finished{said} {where}." if where else f"Finished{said}", kind)
        elif state == "stopped":
            kept = " The best weights so far are a model." if run.model_path is not None else ""
            self.status.say(f"Stopped.{kept} Resume goes on exactly here.", "warning")
        elif state == "failed":
            self._say_failure(run)
        elif state == "new":
            self.status.say("This run was not started yet.", "idle")


def how_good(run: Run) -> tuple[str, str]:
    """What held-out data say of a run's model, to follow the word Finished, and the kind of that sentence."""
    try:
        card = None if run.model_path is None else read_card(run.model_path)
    except AnlageError:
        card = None
    if card is None:
        return ".", "good"
    verdict = card.verdict
    score = f": {verdict.score}, on {card.evidence.held_out}." if verdict.score else "."
    return (score, "good") if verdict.is_good else (f"{score} {for_the_dock(verdict.text)}", KINDS[verdict.level])
