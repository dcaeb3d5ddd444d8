"""Step 2, Annotate: which layer holds the nuclei, and in which cuboid they are complete."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import Qt, QTimer, Signal
from qtpy.QtWidgets import (
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QWidget,
)
from superqt import QLabeledRangeSlider

from anlage import AnlageError, Annotations, Box, State
from napari_anlage import overlay
from napari_anlage.job import Problem, Thread
from napari_anlage.layers import kind_of
from napari_anlage.parts import ActionButton, LayerChoice, Tab, counted, heading, note
from napari_anlage.session import Session

if TYPE_CHECKING:
    from anlage import Cuboid

__all__ = ["AnnotateTab"]

_WALLS = {
    "z0": "first plane", "z1": "last plane", "y0": "first row", "y1": "last row", "x0": "first column", "x1": "last column"
}  # fmt: skip


class AnnotateTab(Tab):
    """Pick or make the annotation layer; find, see and change the cuboid."""

    title = "Annotate"

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._thread = Thread(self)
        self._found: Annotations | None = None
        self._detected: tuple[Cuboid, ...] = ()
        self.nuclei = LayerChoice("no Points, Labels or Tracks layer yet")
        self.nuclei.setToolTip("The layer in which you marked the nuclei.")
        self.new_points = QPushButton("New points")
        self.new_points.setToolTip("A Points layer over the image: click the centre of each nucleus.")
        self.new_labels = QPushButton("New labels")
        self.new_labels.setToolTip("A Labels layer over the image: paint each nucleus with a number of its own.")
        self.find = ActionButton(
            "Find cuboid", primary=True, tooltip="Finds the part of the movie in which your annotation is complete."
        )
        self.choice = QComboBox()
        self.sliders = BoxSliders()
        self.evidence = QLabel()
        self.evidence.setWordWrap(True)
        self.doubts = QListWidget()
        self.doubts.setToolTip("Click to go there.")
        self._cuboid_part = QWidget()
        self._build()
        self._connect()
        self.refresh_layers()

    def _build(self) -> None:
        self.add(heading("Annotated nuclei"), self.nuclei)
        row = QHBoxLayout()
        row.addWidget(self.new_points)
        row.addWidget(self.new_labels)
        self.column.addLayout(row)
        self.add(heading("Cuboid"))
        self.add(note("Inside it every nucleus is marked, outside nothing is assumed. Time counts like z, y and x."))
        self.add(self.find, self.status)
        tab = Tab()
        tab.column.setContentsMargins(0, 0, 0, 0)
        tab.add(self.choice, self.sliders, self.evidence, self.doubts)
        tab.status.hide()
        self._cuboid_part = tab
        self.doubts.setFixedHeight(96)
        self.doubts.setWordWrap(True)
        self.doubts.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.add(self._cuboid_part)

    def _connect(self) -> None:
        session = self._session
        self.nuclei.chosen.connect(session.choose_nuclei)
        self.new_points.clicked.connect(lambda: self.attempt(self._make_points))
        self.new_labels.clicked.connect(lambda: self.attempt(self._make_labels))
        self.find.clicked.connect(self.find_cuboid)
        self._thread.done.connect(self._on_found)
        self._thread.failed.connect(self._on_failed)
        self.choice.currentIndexChanged.connect(self._on_select)
        self.sliders.moved.connect(self._on_moved)
        self.doubts.itemClicked.connect(self._on_doubt)
        session.layers_changed.connect(self.refresh_layers)
        session.image_changed.connect(self.refresh)
        session.nuclei_changed.connect(self._on_nuclei)
        session.cuboids_changed.connect(self.refresh_cuboid)

    # ---- layers ----

    def refresh_layers(self) -> None:
        """Offer the layers that there are; a first one is chosen by itself."""
        layers = self._session.nuclei_layers()
        if self._session.nuclei_layer is None and layers:
            self._session.choose_nuclei(layers[0])
        self.nuclei.offer(layers, self._session.nuclei_layer)
        self.refresh()

    def refresh(self) -> None:
        """Say what is there and what is missing."""
        reason = self._missing()
        has_image = self._session.image_layer is not None
        self.new_points.setEnabled(has_image)
        self.new_labels.setEnabled(has_image)
        self.find.allow(reason or ("Looking for the cuboid …" if self._thread.busy else None))
        self.refresh_cuboid()
        layer = self._session.nuclei_layer
        if reason or self._session.cuboids:
            return
        if kind_of(layer) == "labels":
            self.status.say(f"Nuclei are read from the painted labels of '{layer.name}'.", "good")
        else:
            found = self._session.annotations()
            self.status.say(f"{counted(len(found))} in {_frames(found.annotated_frames)}.", "good")

    def _missing(self) -> str | None:
        try:
            self._session.scaled_image()
            if self._session.nuclei_layer is None:
                return "No annotation yet: make a Points or Labels layer, or choose one."
            if kind_of(self._session.nuclei_layer) != "labels" and len(self._session.annotations()) == 0:
                return f"The layer '{self._session.nuclei_layer.name}' has no nucleus yet; click some."
        except AnlageError as error:
            return str(error)
        return None

    def _make_points(self) -> None:
        session = self._session
        layer = overlay.new_points(session.viewer, session.grid(), session.scaled_image(), "nuclei")
        session.choose_nuclei(layer)
        self.refresh_layers()

    def _make_labels(self) -> None:
        session = self._session
        layer = overlay.new_labels(session.viewer, session.grid(), session.image(), session.n_layer_channels, "nuclei")
        session.choose_nuclei(layer)
        self.refresh_layers()

    # ---- the cuboid ----

    def find_cuboid(self) -> None:
        """Detect the cuboid in a thread."""
        self.status.say("Looking for the cuboid …", "info")
        if self.attempt(lambda: self._thread.run(_detect, self._session)) is None:
            self.find.allow("Looking for the cuboid …" if self._thread.busy else None, show=False)

    def _on_found(self, result: tuple[Annotations, tuple[Cuboid, ...]]) -> None:
        self._found, self._detected = result
        self._session.set_cuboids(self._detected)
        n = len(self._detected)
        doubts = sum(len(cuboid.doubts) for cuboid in self._detected)
        text = f"{'The cuboid' if n == 1 else f'{n} cuboids'} found: {counted(sum(c.n_nuclei for c in self._detected))}"
        self.status.say(
            f"{text}, {doubts} doubt{'s' * (doubts != 1)}." if doubts else f"{text}, no doubts.",
            "warning" if doubts else "good",
        )
        self.find.allow(self._missing())

    def _on_failed(self, problem: Problem) -> None:
        self.report(problem)
        self.find.allow(self._missing())

    def refresh_cuboid(self) -> None:
        """Show the selected cuboid."""
        cuboids = self._session.cuboids
        self._cuboid_part.setVisible(bool(cuboids))
        if not cuboids:
            return
        selected = self._session.selected
        self.choice.blockSignals(True)
        self.choice.clear()
        self.choice.addItems(
            [f"Cuboid {i + 1} of {len(cuboids)} – {counted(c.n_nuclei)}" for i, c in enumerate(cuboids)]
        )
        self.choice.setCurrentIndex(selected)
        self.choice.blockSignals(False)
        self.choice.setVisible(len(cuboids) > 1)
        cuboid = cuboids[selected]
        self.sliders.show_box(cuboid.box, self._session.image().shape_tzyx)
        self.evidence.setText(evidence(cuboid))
        self.doubts.clear()
        for doubt in cuboid.doubts:
            item = QListWidgetItem(doubt.text)
            item.setData(Qt.ItemDataRole.UserRole, None if doubt.position is None else tuple(doubt.position))
            item.setToolTip(doubt.text)
            self.doubts.addItem(item)
        self.doubts.setVisible(bool(cuboid.doubts))

    def _on_select(self, index: int) -> None:
        if index >= 0:
            self._session.set_cuboids(self._session.cuboids, index)

    def _on_nuclei(self) -> None:
        self._found = None
        self.refresh()
        if self._session.cuboids:
            self.status.say("The annotation changed since the cuboid was found; find it again.", "warning")

    def _on_moved(self, box: Box) -> None:
        session = self._session
        if self._found is None:
            self._found = self.attempt(session.annotations)
        cuboids, i = list(session.cuboids), session.selected
        cuboids[i] = edited(cuboids[i], box, self._found)
        session.set_cuboids(cuboids, i)

    def _on_doubt(self, item: QListWidgetItem) -> None:
        position = item.data(Qt.ItemDataRole.UserRole)
        if position is not None:
            self.attempt(lambda: overlay.go_to(self._session.viewer, self._session.grid(), position))


class BoxSliders(QWidget):
    """Four range sliders: first and last frame and voxel of a box."""

    moved = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 14, 0, 0)
        grid.setVerticalSpacing(16)
        grid.setColumnStretch(1, 1)
        self.sliders: dict[str, Any] = {}
        for row, (axis, text) in enumerate(zip("tzyx", ("frames", "z", "y", "x"), strict=True)):
            slider = QLabeledRangeSlider(Qt.Orientation.Horizontal)
            slider.setEdgeLabelMode(QLabeledRangeSlider.EdgeLabelMode.NoLabel)
            slider.setHandleLabelPosition(QLabeledRangeSlider.LabelPosition.LabelsAbove)
            slider.setToolTip(f"First and last {'frame' if axis == 't' else 'voxel along ' + axis} of the cuboid.")
            slider.valueChanged.connect(self._on_value)
            self.sliders[axis] = slider
            grid.addWidget(QLabel(text), row, 0)
            grid.addWidget(slider, row, 1)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(60)  # while a handle is dragged, at most one redraw in so many ms
        self._timer.timeout.connect(lambda: self.moved.emit(self.box()))

    def show_box(self, box: Box, shape_tzyx: tuple[int, int, int, int]) -> None:
        """Set the handles; emits nothing."""
        for axis, (low, high), length in zip("tzyx", box.ranges, shape_tzyx, strict=True):
            slider = self.sliders[axis]
            slider.blockSignals(True)
            slider.setRange(0, max(length - 1, 1))
            if tuple(slider.value()) != (low, high - 1):
                slider.setValue((low, high - 1))
            slider.setEnabled(length > 1)
            slider.blockSignals(False)

    def box(self) -> Box:
        """What the handles say."""
        ends = [self.sliders[axis].value() for axis in "tzyx"]
        return Box.of([int(low) for low, _ in ends], [int(high) + 1 for _, high in ends])

    def _on_value(self, *_: Any) -> None:
        self._timer.start()


def _detect(session: Session) -> tuple[Annotations, tuple[Cuboid, ...]]:
    from anlage import detect_cuboid  # loads scipy: not before it is wanted

    image = session.scaled_image()
    found = session.annotations()
    return found, detect_cuboid(found, image, spacing=image.spacing)


def edited(cuboid: Cuboid, box: Box, annotations: Annotations | None) -> Cuboid:
    """A cuboid whose box the user changed.

    A wall that was moved is where the user says that annotation is complete, so the core reaches it; at a wall that
    stayed, the unknown margin stays.
    """
    start, stop = list(box.start), list(box.stop)
    for i in range(4):
        if box.start[i] == cuboid.box.start[i]:
            start[i] = min(cuboid.core.start[i], stop[i] - 1)
        if box.stop[i] == cuboid.box.stop[i]:
            stop[i] = max(cuboid.core.stop[i], start[i] + 1)
    changed: dict[str, Any] = {"box": box, "core": Box.of(start, stop)}
    if annotations is not None:
        inside = box.contains(annotations.positions) & (annotations.state != State.REJECTED)
        changed["n_nuclei"] = int(inside.sum())
        changed["frames"] = tuple(int(t) for t in np.unique(annotations.frames[inside]))
    return dataclasses.replace(cuboid, **changed)


def evidence(cuboid: Cuboid) -> str:
    """What a cuboid holds, as a sentence."""
    walls = " and ".join(_WALLS.get(wall, wall) for wall in cuboid.cut_walls)
    cut = f" Nuclei are cut by the image's {walls}." if walls else ""
    return f"Holds {counted(cuboid.n_nuclei)} in {_frames(cuboid.frames)}.{cut}"


def _frames(frames: tuple[int, ...]) -> str:
    if not frames:
        return "no frame"
    if len(frames) == 1:
        return f"frame {frames[0]}"
    gapless = frames[-1] - frames[0] + 1 == len(frames)
    return (
        f"frames {frames[0]}–{frames[-1]}" if gapless else f"{len(frames)} frames between {frames[0]} and {frames[-1]}"
    )
