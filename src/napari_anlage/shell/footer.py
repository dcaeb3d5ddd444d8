"""The footer below the tabs: the project, the device with its free memory, and the running jobs with Stop."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, QTimer, Signal
from qtpy.QtWidgets import QHBoxLayout, QProgressBar, QSizePolicy, QVBoxLayout, QWidget

from anlage import find_devices
from anlage.wording import remaining, short
from napari_anlage import preferences
from napari_anlage.jobs.run_watcher import RunWatcher
from napari_anlage.jobs.thread import Thread
from napari_anlage.session.session import Session
from napari_anlage.shell.activity import Activity
from napari_anlage.widgets.basic import COLOURS, small_button
from napari_anlage.widgets.connect import connect
from napari_anlage.widgets.escaping import plain
from napari_anlage.widgets.plain_text import ElidingLabel

if TYPE_CHECKING:
    from anlage import Device, Run

__all__ = ["Footer", "JobBar"]

_DEVICES_EVERY_MS = 15_000
_RUN_EVERY_MS = 500
_BAR = (
    "QProgressBar{background:rgba(128,128,128,70);border:none;border-radius:3px}"
    f"QProgressBar::chunk{{background:{COLOURS['good']};border-radius:3px}}"
)


class JobBar(QWidget):
    """One job: what it is, how far it is, and a button that stops it."""

    stopped = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.text = ElidingLabel()
        self.text.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.bar = QProgressBar()
        self.bar.setFixedHeight(6)
        self.bar.setTextVisible(False)
        self.bar.setStyleSheet(_BAR)
        self.stop = small_button("Stop")
        self.stop.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        words = QVBoxLayout()
        words.setSpacing(2)
        words.addWidget(self.text)
        words.addWidget(self.bar)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(6)
        row.addLayout(words, 1)
        row.addWidget(self.stop)
        self.stop.clicked.connect(lambda: self.stopped.emit())

    def show_progress(self, text: str, fraction: float | None, *, stop: str | None) -> None:
        """Say how far it is; `stop` says why it cannot be stopped (None: it can)."""
        self.text.setText(text)
        self.text.setToolTip(plain(text))
        self.bar.setRange(0, 0 if fraction is None else 1000)
        if fraction is not None:
            self.bar.setValue(round(1000 * fraction))
        self.stop.setEnabled(stop is None)
        self.stop.setToolTip(plain(stop or "Ends it within seconds; what is done is kept."))


class Footer(QWidget):
    """Project, device and jobs of a session."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._thread = Thread(self)
        self.devices: tuple[Device, ...] = ()
        self._stopping: Run | None = None
        self._under_way: tuple[str, float | None] | None = None
        """The training that is watched, for napari's activity dock."""
        self.project = _eliding(Qt.TextElideMode.ElideMiddle)
        self.device = _eliding(Qt.TextElideMode.ElideRight)
        self.device.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.training = JobBar()
        self.bars: list[JobBar] = []
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addWidget(self.project, 1)
        row.addWidget(self.device, 1)
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(4, 2, 4, 2)
        self._column.setSpacing(4)
        self._column.addWidget(self.training)
        self._column.addLayout(row)
        self.training.hide()
        self.training.stopped.connect(self._stop_training)
        self._timer = QTimer(self)
        self._timer.setInterval(_DEVICES_EVERY_MS)
        self._timer.timeout.connect(self.ask_devices)
        self._thread.done.connect(self._on_devices)
        connect(session.project_changed, self.refresh)
        connect(session.image_changed, self.refresh)
        connect(session.run_changed, self._on_run)
        connect(session.jobs.changed, self._refresh_jobs)
        self.refresh()
        self._on_run()
        self._refresh_jobs()

    def refresh(self) -> None:
        """The project's name."""
        folder = self._session.folder
        self.project.setText(folder.name)
        self.project.setToolTip(plain(f"Project: {folder}"))

    def wake(self) -> None:
        """Do what can wait until the dock was painted."""
        preferences.follow(self._on_preferences)
        self._timer.start()
        self.ask_devices()

    def close_down(self) -> None:
        """Look no more; the dock is closed."""
        self._timer.stop()
        Activity.of(self._session).close()
        if "watcher" in self.__dict__:
            self.watcher.stop()

    # ---- devices ----

    def ask_devices(self) -> None:
        """Find out in a thread how much memory is free: a driver may take a second to answer."""
        if self.isVisible() and not self._thread.busy:
            self._thread.run(find_devices)

    def _on_devices(self, devices: tuple[Device, ...]) -> None:
        self.devices = devices
        self._refresh_device()

    def _on_preferences(self, event: Any = None) -> None:
        preferences.limit_memory()
        self._refresh_device()

    def _refresh_device(self) -> None:
        chosen = preferences.read()
        if not self.devices:
            return
        device = next((device for device in self.devices if device.name == chosen.device), self.devices[0])
        self.device.setText(f"{device.name} · {device.free_gb:.1f} GB free")
        lines = [f"{d.name}: {d.title}, {d.free_gb:.1f} of {d.total_gb:.1f} GB free" for d in self.devices]
        if chosen.memory_gb is not None:
            lines.append(f"Trainings and predictions take at most {chosen.memory_gb:g} GB (Preferences).")
        if chosen.device not in ("auto", device.name):
            lines.append(f"The device {chosen.device} of the Preferences is not in this computer.")
        self.device.setToolTip(plain("\n".join(lines)))

    # ---- the training ----

    @cached_property
    def watcher(self) -> RunWatcher:
        """Made with the first run: what reads runs is slow to load."""
        watcher = RunWatcher(self, _RUN_EVERY_MS)
        for signal in (watcher.advanced, watcher.state_changed):
            signal.connect(self._refresh_training)
        return watcher

    def _on_run(self) -> None:
        if self._session.run is None and "watcher" not in self.__dict__:
            return
        if self._session.run is not self.watcher.run:
            self._stopping = None
            self.watcher.watch(self._session.run)
        else:
            self.watcher.poll()
        self._refresh_training()

    def _refresh_training(self) -> None:
        run, last = self.watcher.run, self.watcher.curve.last
        running = run is not None and self.watcher.state == "running"
        self.training.setVisible(running)
        if run is None or not running:
            self._stopping = self._under_way = None
            self._show_activity()
            return
        stopping = self._stopping is run
        fraction = None if last is None or not last.steps else last.step / last.steps
        doing = "stopping" if stopping else "preparing" if last is None else remaining(last.eta_s)
        text = f"Training {short(run.name)} · {doing}"
        self.training.show_progress(text, fraction, stop="It is being stopped." if stopping else None)
        self._under_way = f"Training {short(run.name)}", fraction
        self._show_activity()

    def _stop_training(self) -> None:
        run = self.watcher.run
        if run is not None:
            run.request_stop()
            self._stopping = run
            self._refresh_training()

    # ---- other jobs ----

    def _refresh_jobs(self) -> None:
        jobs = self._session.jobs.running
        while len(self.bars) > len(jobs):
            bar = self.bars.pop()
            self._column.removeWidget(bar)
            bar.hide()
            bar.deleteLater()
        while len(self.bars) < len(jobs):
            bar = JobBar()
            self._column.insertWidget(1 + len(self.bars), bar)
            bar.stopped.connect(partial(self._stop_job, len(self.bars)))
            self.bars.append(bar)
        for bar, job in zip(self.bars, jobs, strict=True):
            why = None if job.can_stop else "It is being stopped." if job.stopping else "It cannot be stopped."
            text = job.title if not (job.text or job.stopping) else f"{job.title} · {job.text or 'stopping'}"
            bar.show_progress(text, job.fraction, stop=why)
        self._show_activity()

    def _show_activity(self) -> None:
        under_way: dict[object, tuple[str, float | None]] = {
            job: (job.title, job.fraction) for job in self._session.jobs.running
        }
        if self._under_way is not None:
            under_way["training"] = self._under_way
        Activity.of(self._session).show(under_way)

    def _stop_job(self, place: int) -> None:
        self._session.jobs.running[place].stop()


def _eliding(mode: Qt.TextElideMode) -> ElidingLabel:
    label = ElidingLabel()
    label.setElideMode(mode)
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    label.setStyleSheet("font-size:11px")
    return label
