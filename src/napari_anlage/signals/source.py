"""The source of signals: measured along the project's tracks by a child process, or read from a file."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QLineEdit, QWidget

from anlage import AnlageError, printable, write_annotations
from anlage.project.event_sets import SIGNAL_FILES
from anlage.project.image_copy import ChildImage, movie_for_child
from napari_anlage.jobs.thread import Thread
from napari_anlage.session.session import Session
from napari_anlage.signals.child_panel import ChildPanel
from napari_anlage.widgets.basic import ActionButton, heading, note, small_button
from napari_anlage.widgets.connect import connect
from napari_anlage.widgets.plain_text import Label

__all__ = ["FOLDER", "SignalSource"]

FOLDER = "signals"
"""Folder of a project in which signals and their scores lie."""
_EVENT = "event"
"""Name of an event that nobody has named, or whose name cannot be that of a file."""
_LONGEST = 50
"""Letters of an event's name: that of the file of signals stands before it."""


class SignalSource(ChildPanel):
    """Measure along tracks, or open a file; and the name of the event that is scored."""

    opened = Signal(object)
    """The path of a file of signals."""

    def __init__(self, session: Session) -> None:
        super().__init__(session, "Stopped; nothing was measured.")
        self._thread = Thread(self)
        self._radius: list[str] = []
        self.measure = ActionButton(
            "Measure along the tracks", primary=True,
            tooltip="Brightness, size, speed and neighbours of every nucleus in every frame, in physical units.",
        )  # fmt: skip
        self.open = small_button("Open file …", "Signals measured elsewhere: CSV, Celldetective's npy, or HDF5.")
        self.event = QLineEdit(_EVENT)
        self.event.setToolTip("Name of what happens, for example division or death; each event has answers of its own.")
        self.where = note("")
        self._build()
        self._connect()
        self.refresh()

    @property
    def event_name(self) -> str:
        """The event's name as files have it: letters, digits and underscores."""
        name = _bare(self.event.text())
        return name if 0 < len(name) <= _LONGEST else _EVENT

    def refresh(self) -> None:
        """Say what is missing for a measurement."""
        self.measure.allow(self._missing())

    def retire(self) -> None:
        """End what belongs to the window."""
        self._child.stop()
        self._job.end()

    def _build(self) -> None:
        self.column.setContentsMargins(0, 0, 0, 0)
        row = QWidget()
        layout = QHBoxLayout(row)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.open)
        layout.addWidget(Label("event"))
        layout.addWidget(self.event, 1)
        self.add(heading("Signals"), self.measure, row, self.where, self.status)
        self.status.hide()

    def _connect(self) -> None:
        session = self._session
        self.event.editingFinished.connect(self._check_event)
        self.measure.clicked.connect(lambda: self.attempt(self._measure))
        self.open.clicked.connect(self._on_open)
        self._thread.done.connect(self._on_handed)
        self._thread.failed.connect(self._on_failed)
        self._child.finished.connect(self._on_measured)
        self._child.failed.connect(self._on_failed)
        for signal in (session.image_changed, session.nuclei_changed, session.project_changed):
            connect(signal, self.refresh)

    def _check_event(self) -> None:
        """Say what name is used where the typed one cannot be part of a file's name."""
        typed, used = self.event.text().strip(), self.event_name
        if _bare(typed) == used:
            return
        self.event.setText(used)
        if not typed:
            return
        self.status.say(
            f"An event's name becomes part of a file's name and has 1 to {_LONGEST} letters, digits and underscores; "
            f"'{printable(typed[:60])}' has not, so it is called '{used}'.",
            "warning",
        )
        self.status.show()

    def _missing(self) -> str | None:
        if self._thread.busy or self._child.busy:
            return "Measuring …"
        try:
            self._session.scaled_image()
            nuclei = self._session.annotations()
        except AnlageError as error:
            return str(error)
        if not len(nuclei.links):
            return "No nucleus is linked to another frame; link some on the Annotate tab, or track on the Track tab."
        return None

    def _measure(self) -> None:
        session = self._session
        project = session.folder
        folder = project / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        image, nuclei = session.scaled_image(), session.annotations()
        tracks, self._target = folder / "tracks.geff", folder / "measured.csv"
        file, spacing, interval = session.file, image.spacing, image.interval_s
        # of nuclei that a network found only the centre is known; the project knows how large they usually are
        bare = nuclei.labels is None and not np.isfinite(nuclei.radius_um).any()
        diameter = session.diameter_um if bare else None
        self._radius = [] if diameter is None else ["--radius-um", f"{diameter / 2:g}"]

        def prepare() -> ChildImage:
            write_annotations(tracks, nuclei, spacing=spacing, interval_s=interval)
            return movie_for_child(image, file, project)

        self._job.begin("Measuring signals", self._stop)
        self.status.say("Measuring …", "info")
        self._thread.run(prepare)
        self.refresh()

    def _on_handed(self, given: ChildImage) -> None:
        if not self._job.taken or self._target is None:  # stopped meanwhile
            self.refresh()
            return
        tracks = self._target.with_name("tracks.geff")
        arguments = ["signals", str(given.path), str(tracks), "-o", str(self._target), *given.options, *self._radius]
        self._child.start(arguments, self._target.with_suffix(".log"))
        self.refresh()

    def _on_measured(self) -> None:
        self._job.end()
        self.status.hide()
        self.refresh()
        if self._target is not None and self._session.folder in self._target.parents:
            self.opened.emit(self._target)

    def _on_open(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self, "Open signals", str(self._session.folder), SIGNAL_FILES)
        if name:
            self.opened.emit(Path(name))


def _bare(text: str) -> str:
    return re.sub(r"\W+", "_", text.strip()).strip("_").lower()
