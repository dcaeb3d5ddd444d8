"""Step 3, Train: from the cuboid to a store, from the store to a run, and the run as it goes."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSizePolicy,
)
from superqt import QCollapsible, QElidingLabel

from anlage import TASKS, AnlageError, Run, TrainingConfig, build_store, load_model
from napari_anlage.form import Form, form_for
from napari_anlage.job import Problem, RunWatcher, Thread
from napari_anlage.parts import ActionButton, StatusLine, Tab, heading
from napari_anlage.plots import LearningPlot
from napari_anlage.session import Session

__all__ = ["TrainTab"]

_TASK = "nuclei"
_LENGTHS = (("Quick look – 1 minute", 1.0), ("Standard – 5 minutes", None), ("Long – 30 minutes", 30.0))


class TrainTab(Tab):
    """Start, watch, stop and resume a training."""

    title = "Train"

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._thread = Thread(self)
        self.watcher = RunWatcher(self)
        self.folder = QElidingLabel()
        self.folder.setElideMode(Qt.TextElideMode.ElideMiddle)
        self.folder.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self._change = QPushButton("Change …")
        self.length = QComboBox()
        self.length.addItems([text for text, _ in _LENGTHS])
        self.length.setCurrentIndex(1)
        self.length.setToolTip("How long to train, everything included. It may end earlier, when nothing improves.")
        self.general: Form = form_for(TrainingConfig(), skip=("minutes",))
        self.special: Form = form_for(TASKS[_TASK].config())
        self.start = ActionButton("Train", primary=True, tooltip="Builds the training data and starts the training.")
        self.stop = ActionButton("Stop", tooltip="Stops within seconds and keeps the best weights.")
        self.resume = ActionButton("Resume", tooltip="Goes on exactly where the run stopped.")
        self.runs = QComboBox()
        self.runs.setToolTip("The trainings of this project; choose one to see its curves.")
        self.progress = QProgressBar()
        self.progress.setTextVisible(True)
        self.plot = LearningPlot()
        self.log = QCheckBox("log")
        self.log.setToolTip("Losses on a logarithmic axis.")
        self.notes = StatusLine()
        self._stopping = False
        self._build()
        self._connect()
        if session.run is not None:  # the dock was closed and opened again
            self.watch(session.run)
        self.refresh_runs()
        self.refresh()

    def _build(self) -> None:
        grid = QGridLayout()
        grid.setColumnStretch(1, 1)
        grid.addWidget(QLabel("Project"), 0, 0)
        grid.addWidget(self.folder, 0, 1)
        grid.addWidget(self._change, 0, 2)
        grid.addWidget(QLabel("Length"), 1, 0)
        grid.addWidget(self.length, 1, 1, 1, 2)
        self.column.addLayout(grid)
        self.advanced = advanced = QCollapsible("Advanced")
        advanced.setDuration(0)
        advanced.layout().setContentsMargins(0, 0, 0, 0)
        advanced.content().layout().setContentsMargins(0, 0, 0, 0)
        for title, form in (("Network", self.special), ("Training", self.general)):
            advanced.addWidget(heading(title))
            advanced.addWidget(form)
        self.add(advanced, self.start)
        row = QHBoxLayout()
        row.addWidget(self.stop)
        row.addWidget(self.resume)
        self.column.addLayout(row)
        self.add(self.status, self.progress, heading("Run"), self.runs)
        legend = QHBoxLayout()
        label = QLabel(self.plot.legend())
        label.setStyleSheet("font-size:11px")
        label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        legend.addWidget(label, 1)
        legend.addWidget(self.log)
        self.log.setChecked(True)
        self.column.addLayout(legend)
        self.add(self.plot, self.notes)

    def _connect(self) -> None:
        session = self._session
        self._change.clicked.connect(self._on_change)
        self.start.clicked.connect(self.train)
        self.stop.clicked.connect(lambda: self.attempt(self.request_stop))
        self.resume.clicked.connect(lambda: self.attempt(self.resume_run))
        self.log.toggled.connect(lambda on: self.plot.set_log(on=on))
        self.runs.activated.connect(self._on_run_chosen)
        self._thread.done.connect(self._on_built)
        self._thread.failed.connect(self._on_failed)
        self._thread.progressed.connect(self._on_progress)
        self.watcher.advanced.connect(self._on_advanced)
        self.watcher.noted.connect(lambda text: self.notes.say(text, "info"))
        self.watcher.state_changed.connect(self._on_state)
        for signal in (session.image_changed, session.nuclei_changed, session.cuboids_changed):
            signal.connect(self.refresh)
        session.image_changed.connect(self.refresh_runs)
        session.project_changed.connect(self.refresh_runs)

    def retire(self) -> None:
        """Watch no more; a training goes on."""
        self.watcher.stop()

    # ---- what is there ----

    def refresh(self) -> None:
        """Buttons and the project's line."""
        self.folder.setText(str(self._session.folder))
        self.folder.setToolTip(f"Training data and runs go to {self._session.folder}")
        self.start.allow(self._missing())
        state = self.watcher.state
        self.stop.allow(None if state == "running" and not self._stopping else "Nothing is being trained.", show=False)
        can_resume = state in ("stopped", "failed", "new")
        self.resume.allow(None if can_resume else "There is no interrupted run chosen.", show=False)

    def _missing(self) -> str | None:
        if self._thread.busy:
            return "The training data are being written …"
        if self.watcher.state == "running":
            return "A training is running; stop it to start another."
        try:
            self._session.scaled_image()
        except AnlageError as error:
            return str(error)
        if not self._session.cuboids:
            return "Find the cuboid first, on the Annotate tab."
        if sum(cuboid.n_nuclei for cuboid in self._session.cuboids) == 0:
            return "The cuboid holds no nucleus; move its walls on the Annotate tab."
        return None

    def refresh_runs(self) -> None:
        """Offer the project's runs; the newest is chosen if none is."""
        self.folder.setText(str(self._session.folder))
        found = sorted(
            (self._session.folder / "runs").glob("*/run.json"), key=lambda p: p.stat().st_mtime, reverse=True
        )
        current = self._session.run.path if self._session.run is not None else None
        paths = [path.parent for path in found]
        if current is not None and current not in paths:
            paths.insert(0, current)
        self.runs.clear()
        for path in paths:
            self.runs.addItem(path.name, path)
        if current is not None:
            self.runs.setCurrentIndex(paths.index(current))
        elif paths:
            self._on_run_chosen(0)
        self.runs.setEnabled(bool(paths))
        if not paths:
            self.runs.addItem("none yet")

    def _on_run_chosen(self, index: int) -> None:
        path = self.runs.itemData(index)
        if isinstance(path, Path) and (self._session.run is None or path != self._session.run.path):
            self.watch(self.attempt(lambda: Run.open(path)))

    def _on_change(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, "Folder for stores and runs", str(Path.home()))
        if chosen:
            self._session.set_folder(Path(chosen))
            self.refresh()

    # ---- starting ----

    def settings(self) -> list[str]:
        """What the user set, each as ``name=value``."""
        minutes = _LENGTHS[self.length.currentIndex()][1]
        length = [] if minutes is None else [f"minutes={minutes:g}"]
        return [*length, *self.general.assignments(), *self.special.assignments()]

    def train(self) -> None:
        """Build the store in a thread, then start the child."""
        self.attempt(self._build_store)
        self.refresh()

    def _build_store(self) -> None:
        session = self._session
        settings = self.settings()
        self.status.say("Writing the training data …", "info")
        self.progress.setRange(0, 100)
        self.progress.setFormat("writing the training data")
        context = max(abs(offset) for offset in getattr(self.special.read(), "frames", (0,)))
        self._thread.run(_prepare, session, session.new_paths(), settings, context, _Throttled(self._thread.report))

    def _on_built(self, run: Run) -> None:
        def start() -> None:
            run.start()
            self.watch(run)

        self.attempt(start)
        self.refresh_runs()
        self.refresh()

    def _on_failed(self, problem: Problem) -> None:
        self.progress.reset()
        self.report(problem)
        self.refresh()

    def _on_progress(self, fraction: float, text: str) -> None:
        self.progress.setValue(round(100 * fraction))

    # ---- the run ----

    def watch(self, run: Run | None) -> None:
        """Follow this run, and show it on the other tabs."""
        self._stopping = False
        self.notes.say("")
        self._session.set_run(run)
        self.plot.set_log(on=self.log.isChecked())
        self.watcher.watch(run)
        self.plot.show_curve(self.watcher.curve)
        self._session.run_changed.emit()

    def request_stop(self) -> None:
        """Ask the run to stop."""
        run = self.watcher.run
        if run is None:
            raise AnlageError("Nothing is being trained.")
        run.request_stop()
        self._stopping = True
        self.status.say("Stopping; the best weights are kept …", "info")
        self.refresh()

    def resume_run(self) -> None:
        """Go on with the chosen run."""
        run = self.watcher.run
        if run is None:
            raise AnlageError("There is no run to resume.")
        run.start()
        self.watch(run)
        self.refresh()

    def _on_advanced(self) -> None:
        self.plot.show_curve(self.watcher.curve)
        last = self.watcher.curve.last
        if last is None or self.watcher.state not in ("running", ""):
            return
        total = last.steps
        self.progress.setRange(0, total or 0)
        self.progress.setValue(last.step if total else 0)
        self.progress.setFormat("step %v of %m" if total else "measuring the speed")
        if not self._stopping:
            score = f" · score {self.watcher.curve.score[-1][1]:.2f}" if self.watcher.curve.score else ""
            self.status.say(f"Training: {_remaining(last.eta_s)}{score}", "info")

    def _on_state(self, state: str) -> None:
        run = self.watcher.run
        if run is None:
            return
        if state != "running":
            self._stopping = False
            self.progress.setRange(0, 1)
            self.progress.setValue(1 if state == "finished" else 0)
            self.progress.setFormat(state)
        if state == "running" and self.watcher.curve.last is None:
            self.progress.setRange(0, 0)
            self.status.say("Preparing the examples …", "info")
        elif state == "finished":
            self.status.say(f"Finished{how_good(run)}. Preview it on the Predict tab.", "good")
        elif state == "stopped":
            kept = " The best weights so far are a model." if run.model_path is not None else ""
            self.status.say(f"Stopped.{kept} Resume goes on exactly here.", "warning")
        elif state == "failed":
            words = run.last_words()
            self.report(Problem(words.strip().splitlines()[-1] if words.strip() else "The training failed.", words))
        elif state == "new":
            self.status.say("This run was not started yet.", "idle")
        self._session.run_changed.emit()
        self.refresh()


def how_good(run: Run) -> str:
    """What held-out data say of a run's model, as the end of a sentence."""
    try:
        evidence = None if run.model_path is None else load_model(run.model_path).card.evidence
    except AnlageError:
        return ""
    if evidence is None or "f1" not in evidence.metrics:
        return ""
    return f": F1 {evidence.metrics['f1']:.2f} on {evidence.held_out}"


class _Throttled:
    """Passes progress on when a percent more is done."""

    def __init__(self, report: Callable[[float, str], None]) -> None:
        self._report, self._last = report, -1

    def __call__(self, done: int, total: int) -> None:
        percent = 100 * done // max(total, 1)
        if percent != self._last:
            self._last = percent
            self._report(percent / 100, "")


def _prepare(session: Session, paths: tuple[Path, Path], settings: list[str], context: int, progress: Any) -> Run:
    """Write the store and make the run, in a thread."""
    store, run = paths
    image = session.scaled_image()
    store.parent.mkdir(parents=True, exist_ok=True)
    built = build_store(
        store, image, session.annotations(), channels=session.channels, combine=session.combine,
        cuboid=session.cuboids, context_frames=context, annotations_source=str(session.nuclei_layer.name),
        progress=progress,
    )  # fmt: skip
    return Run.create(run, _TASK, [built.path], settings)


def _remaining(seconds: float | None) -> str:
    if seconds is None:
        return "measuring the speed"
    if seconds < 90:
        return f"{seconds:.0f} s left"
    return f"{seconds / 60:.0f} min left"
