"""Step 2, Annotate: nuclei, links, divisions and painted labels, and the regions in which they are complete."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from typing import Any

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QSizePolicy, QWidget
from superqt import QCollapsible

from anlage import AnlageError, State, TimeLapse, estimate_diameter
from anlage.wording import plural
from napari_anlage.annotate.label_check import LabelCheck
from napari_anlage.annotate.problem_list import ProblemList
from napari_anlage.annotate.region_panel import RegionPanel, frames_in_words
from napari_anlage.editing.keys import KEYS
from napari_anlage.imports.panel import ImportPanel
from napari_anlage.jobs.thread import ErrorReport, Thread
from napari_anlage.session.channels import nuclei_image
from napari_anlage.session.session import Session
from napari_anlage.viewer import camera, layer_roles
from napari_anlage.viewer.read import layer_kind
from napari_anlage.viewer.tracks import colour_of
from napari_anlage.widgets.basic import LayerChoice, Tab, heading
from napari_anlage.widgets.connect import connect, disconnect
from napari_anlage.widgets.escaping import as_html, plain
from napari_anlage.widgets.frame_bars import FrameBars
from napari_anlage.widgets.plain_text import ElidingLabel, Label, Rich

__all__ = ["AnnotateTab"]


class AnnotateTab(Tab):
    """Mark, paint, link, undo; problems and regions."""

    title = "Annotate"

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._thread, self._measuring = Thread(self), Thread(self)
        self._editor: Any = None
        self._track: int | None = 0  # nobody's: the first look shows that none is followed
        self.mark = QPushButton("Mark nuclei")
        self.paint = QPushButton("Paint labels")
        self.nuclei = LayerChoice("the project's own annotation")
        self.take = QPushButton("Take over")
        self.bars = FrameBars()
        self.swatch = Label()
        self.track = ElidingLabel()
        self.new_track = QPushButton("New track")
        self.undo = _HistoryButton("↶", "undo", "Ctrl+Z")
        self.redo = _HistoryButton("↷", "redo", "Ctrl+Shift+Z")
        self.problems = ProblemList(session)
        self.labels = LabelCheck(session)
        self.imports = ImportPanel(session)
        self.regions = RegionPanel(session)
        self.find = self.regions.find
        self._source = QWidget()
        self._build()
        self._connect()
        self._follow_editor()
        self.refresh_layers()

    def _build(self) -> None:
        self.mark.setToolTip("Click the centre of each nucleus; every click is saved at once.")
        self.paint.setToolTip(
            "Paint each nucleus with a number of its own, in 2D or 3D; every stroke is saved at once."
        )
        self.take.setToolTip("Copies what this layer holds into the project's annotation; it can be undone.")
        self.nuclei.setToolTip("Where the nuclei are read from.")
        tools = QHBoxLayout()
        tools.addWidget(self.mark)
        tools.addWidget(self.paint)
        self.add(heading("Nuclei"))
        self.column.addLayout(tools)
        source = QHBoxLayout(self._source)
        source.setContentsMargins(0, 0, 0, 0)
        source.addWidget(Label("From"))
        source.addWidget(self.nuclei, 1)
        source.addWidget(self.take)
        self.add(self._source, self.imports, self.status, self.bars)
        self.swatch.setFixedSize(14, 14)
        self.track.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.new_track.setToolTip("The next nucleus begins a track (N).")
        row = QHBoxLayout()
        row.addWidget(self.swatch)
        row.addWidget(self.track, 1)
        row.addWidget(self.new_track)
        self.column.addLayout(row)
        history = QHBoxLayout()
        history.addWidget(self.undo, 1)
        history.addWidget(self.redo, 1)
        self.column.addLayout(history)
        keys = QCollapsible("Keys")
        keys.setDuration(0)
        keys.addWidget(_keys())
        self.keys = keys
        self.add(keys, self.problems, self.labels, self.regions)
        self.column.addStretch(1)

    def _connect(self) -> None:
        session = self._session
        self.mark.clicked.connect(lambda: self.attempt(self._mark))
        self.paint.clicked.connect(lambda: self.attempt(self._paint))
        self.nuclei.chosen.connect(session.choose_nuclei)
        self.take.clicked.connect(lambda: self.attempt(self._adopt))
        self.bars.chosen.connect(self._go_to_frame)
        self.new_track.clicked.connect(lambda: self._do("leave"))
        self.undo.clicked.connect(lambda: self._do("undo"))
        self.redo.clicked.connect(lambda: self._do("redo"))
        self._thread.done.connect(self._on_read)
        self._thread.failed.connect(self._on_failed)
        self._measuring.done.connect(self._on_measured)
        self._measuring.failed.connect(self.report)
        self.imports.failed.connect(self.report)
        connect(session.layers_changed, self.refresh_layers)
        connect(session.image_changed, self._on_image)
        connect(session.project_changed, self._on_image)
        connect(session.nuclei_changed, self.refresh)
        connect(session.exchanged, self._on_exchanged)
        connect(session.question_changed, self.refresh)
        connect(session.said, self._on_said)
        connect(session.viewer.dims.events.point, self._on_point)

    def retire(self) -> None:
        """Listen to the viewer no more."""
        self.regions.retire()
        self.imports.retire()
        self.problems.retire()
        self.labels.retire()
        session = self._session
        disconnect(session.viewer.dims.events.point, self._on_point)

    # ---- layers ----

    def refresh_layers(self) -> None:
        """Offer the layers that there are; a first one is chosen by itself."""
        session = self._session
        session.choose_any_nuclei()
        layers = session.nuclei_layers()
        self.nuclei.offer(layers, session.nuclei_layer)
        foreign = [layer for layer in layers if not layer_roles.is_managed(layer)]
        self._source.setVisible(bool(foreign))
        self.take.setVisible(session.nuclei_layer in foreign)
        self.refresh()

    def refresh(self) -> None:
        """Say what is there and what is missing."""
        session = self._session
        self._follow_editor()
        ready = session.image_layer is not None
        for button in (self.mark, self.paint):
            button.setEnabled(ready)
        self._show_history()
        self._show_track()
        layer = session.nuclei_layer
        try:
            image = session.image()
            if layer is not None and layer_kind(layer) == "labels" and not session.uses_document:
                self.status.say(f"Nuclei are read from the painted labels of '{layer.name}'.", "good")
                self.bars.hide()
                return
            found = session.annotations()
        except AnlageError as error:
            self.status.say(str(error), "idle" if session.image_layer is None else "info")
            self.bars.hide()
            return
        counts = found.frames[found.state != State.REJECTED]
        self.bars.setVisible(image.n_frames > 1 and len(counts) > 0)
        self.bars.show_counts(counts, image.n_frames)
        self._on_point()
        if len(counts):
            self.status.say(
                f"{plural(len(counts), 'nucleus', 'nuclei')} in {frames_in_words(found.annotated_frames)}.", "good"
            )
        else:
            self.status.say("No nucleus yet: click the centre of each, or paint them.", "info")

    def _mark(self) -> None:
        """Mark nuclei in the project's own layer; what a layer of points held before comes along."""
        session = self._session
        editor = session.need_editor()
        layer = editor.show_nuclei()
        session.choose_nuclei(layer)
        session.viewer.layers.selection.active = layer
        layer.mode = "add"
        self.refresh_layers()
        self._measure_nuclei()

    def _measure_nuclei(self) -> None:
        """So that the first rings fit: how large nuclei are in the frame that is shown, where nobody has said it."""
        session = self._session
        known = session.document is not None and bool(np.isfinite(session.document.nuclei.radius_um).any())
        if session.diameter_um is not None or known or self._measuring.busy:
            return
        image = nuclei_image(session)
        frame = camera.current_frame(session.viewer, session.grid(), image.n_frames)
        self._measuring.run(_typical_diameter_um, image, frame)

    def _on_measured(self, diameter_um: float | None) -> None:
        session = self._session
        if diameter_um is None or session.diameter_um is not None or session.editor is None:
            return
        session.editor.take_radius(diameter_um / 2)
        session.say(f"Nuclei are about {diameter_um:.1f} µm across, as measured; Q and W change the next ring.", "info")

    def _paint(self) -> None:
        session = self._session
        editor = session.need_editor()
        layer = editor.show_labels()
        session.choose_nuclei(layer if editor.nuclei is None else editor.nuclei.layer)
        session.viewer.layers.selection.active = layer
        layer.mode = "paint"
        self.refresh_layers()

    # ---- taking over ----

    def _adopt(self) -> None:
        """Copy a layer into the document; it is read in a thread, for labels may be large."""
        session = self._session
        session.bench.need()
        self.take.setEnabled(False)
        self.status.say(f"Reading '{session.nuclei_layer.name}' …", "info")
        layer, read = session.nuclei_layer, session.reading()
        self._thread.run(lambda: (layer, read()))

    def _on_read(self, result: Any) -> None:
        layer, found = result
        self.take.setEnabled(True)
        self.attempt(lambda: self._session.bench.adopt(layer, found))
        self.refresh_layers()

    def _on_failed(self, problem: ErrorReport) -> None:
        self.take.setEnabled(True)
        self.report(problem)

    # ---- history and track ----

    def _follow_editor(self) -> None:
        editor = self._session.editor
        if editor is self._editor:
            return
        self._editor = editor
        if editor is not None:
            editor.history_changed.connect(self._show_history)
            editor.track_changed.connect(self._show_track)
            editor.next_problem.connect(self.problems.go_to_next)
            self.problems.wait()

    def _do(self, action: str) -> None:
        keys = self._session.bench.keys
        if keys is not None:
            target = keys.gestures if action == "leave" else keys.gestures.actions
            self.attempt(getattr(target, action))

    def _show_history(self) -> None:
        document = self._session.document
        self.undo.say(None if document is None else document.undo_text)
        self.redo.say(None if document is None else document.redo_text)

    def _show_track(self) -> None:
        editor = self._session.editor
        track = None if editor is None else editor.track
        if track == self._track:
            return
        self._track = track
        self.new_track.setEnabled(track is not None)
        self.new_track.setToolTip(
            plain("The next nucleus begins a track (N)." if track is not None else "No track is followed.")
        )
        if track is None:
            self.track.setText("No track is followed (T, A)")
            self.swatch.setStyleSheet("border:1px solid rgba(128,128,128,120);border-radius:7px")
            return
        r, g, b = (int(255 * v) for v in colour_of(track)[:3])
        self.swatch.setStyleSheet(f"background:rgb({r},{g},{b});border-radius:7px")
        self.track.setText(f"Track {track}: the next click continues it")

    # ---- events ----

    def _on_image(self) -> None:
        self._follow_editor()
        self.refresh_layers()

    def _on_exchanged(self) -> None:
        """What was being read of a layer belongs to the image before."""
        self._thread.forget()
        self._measuring.forget()
        self.take.setEnabled(True)

    def _on_said(self, text: str, kind: str) -> None:
        self.status.say(text, kind)

    def _on_point(self, event: Any = None) -> None:
        session = self._session
        if session.image_layer is not None and self.bars.isVisibleTo(self):
            self.bars.show_frame(camera.current_frame(session.viewer, session.grid(), len(self.bars.counts)))

    def _go_to_frame(self, frame: int) -> None:
        session = self._session
        axis = session.grid().index("t")
        if axis is not None:
            grid, viewer = session.grid(), session.viewer
            world = (grid.offset[axis] + grid.scale[axis] * frame) / camera.world_unit(viewer, grid, axis)
            viewer.dims.set_point(viewer.dims.ndim - len(grid.axes) + axis, world)


def _typical_diameter_um(image: TimeLapse, frame: int) -> float | None:
    """The diameter of a typical nucleus of one frame, in the brightest of the channels that show nuclei."""
    spacing = image.spacing
    if spacing is None:
        return None
    channels = image.frame(frame)
    return estimate_diameter(channels[int(np.argmax([channel.std() for channel in channels]))], spacing)


class _HistoryButton(QPushButton):
    """Says what it takes back or does again, as far as there is room."""

    def __init__(self, arrow: str, what: str, key: str) -> None:
        super().__init__()
        self._arrow, self._what, self._key = arrow, what, key
        self._text: str | None = None
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.say(None)

    def say(self, text: str | None) -> None:
        """Name the step; None: there is none."""
        self._text = text
        self.setEnabled(text is not None)
        what = self._what.capitalize()
        self.setToolTip(plain(f"{what}: {text} ({self._key})." if text else f"There is nothing to {self._what}."))
        self._fit()

    def resizeEvent(self, event: Any) -> None:
        """Shorten the text to the new width."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        words = f"{self._arrow} {self._text or self._what.capitalize()}"
        room = max(self.width() - 16, 20)
        self.setText(self.fontMetrics().elidedText(words, Qt.TextElideMode.ElideRight, room))


def _keys() -> Rich:
    """Every key and what it does."""
    rows = (
        f"<tr><td style='padding-right:8px'><b>{as_html(key.shown)}</b></td><td>{as_html(key.does)}</td></tr>"
        for key in KEYS
    )
    table = Rich(f"<table>{''.join(rows)}</table>")
    table.setWordWrap(True)
    table.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
    table.setStyleSheet("font-size:11px")
    return table
