"""The worst-segmented objects as pictures: image, truth and prediction; a click goes there."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QIcon, QImage, QPixmap
from qtpy.QtWidgets import QHBoxLayout, QListView, QListWidget, QListWidgetItem, QWidget

from anlage import AnlageError, LabelledPart, Score, TimeLapse, WorstObject, worst_objects, worst_picture
from anlage.wording import plural
from napari_anlage.jobs.thread import ErrorReport, Thread
from napari_anlage.session.label_layers import label_layers, source_of
from napari_anlage.session.session import Session
from napari_anlage.viewer import camera, layer_roles
from napari_anlage.widgets.basic import ActionButton, LayerChoice, Tab, heading, note
from napari_anlage.widgets.connect import connect
from napari_anlage.widgets.escaping import plain
from napari_anlage.widgets.plain_text import Label

__all__ = ["WorstObjectsPanel"]

_PIXELS = 132
_MOST = 12
_GOOD = 0.5
"""An object counts as outlined from this overlap on."""
_HEIGHT = 352
_OURS = ("label preview", "predicted labels")
"""Roles of labels that are no truth."""


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """The worst, with their pictures, and how many objects there are."""

    worst: tuple[tuple[WorstObject, npt.NDArray[np.uint8]], ...]
    n: int
    n_good: int
    mean: float


class WorstObjectsPanel(Tab):
    """Compares what is shown with painted labels."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._thread = Thread(self)
        self._part: LabelledPart | None = None
        self._again = False
        self._layer: Any = None
        self.truth = LayerChoice("no other labels")
        self.truth.setToolTip(
            "What is true: the Labels layer in which you painted. Only what is painted there is compared."
        )
        self.compare = ActionButton(
            "Show the worst objects",
            tooltip="Compares each painted object with what was found, and shows those that fit worst. Follows the sliders.",
        )  # fmt: skip
        self.list = QListWidget()
        self.colours = note(
            "Painted: <b style='color:#00d5ff'>cyan</b> · found: <b style='color:#ff4fd8'>magenta</b> · both: white"
        )
        self._build()
        self._connect()
        self.refresh()

    def _build(self) -> None:
        self.column.setContentsMargins(0, 0, 0, 0)
        row = QWidget()
        layout = QHBoxLayout(row)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(Label("Truth"))
        layout.addWidget(self.truth, 1)
        self.add(heading("Against what is painted"), row, self.compare, self.status, self.colours, self.list)
        self.list.setViewMode(QListView.ViewMode.IconMode)
        self.list.setIconSize(QSize(_PIXELS, _PIXELS))
        self.list.setResizeMode(QListView.ResizeMode.Adjust)
        self.list.setMovement(QListView.Movement.Static)
        self.list.setSpacing(4)
        self.list.setFixedHeight(_HEIGHT)
        self.list.setToolTip("Click to go there.")
        self._show_list(shown=False)
        self.hide()

    def _connect(self) -> None:
        session = self._session
        self.truth.chosen.connect(self._choose)
        self.compare.clicked.connect(lambda: self.attempt(self.begin))
        self.list.itemClicked.connect(lambda item: self.attempt(lambda: self._go(item)))
        self._thread.done.connect(lambda found: self.attempt(lambda: self._on_found(found)))
        self._thread.failed.connect(self._on_failed)
        connect(session.layers_changed, self.refresh)
        connect(session.exchanged, self._on_exchanged)

    # ---- what is compared ----

    def take(self, part: LabelledPart | None) -> None:
        """Compare this from now on; None: nothing."""
        other = part is None or self._part is None or part.box != self._part.box
        self._part = part
        self.setVisible(part is not None and (len(part) > 0 or self.list.isVisibleTo(self)))
        if other:
            self._show_list(shown=False)
            self.status.say("")
        elif self.list.isVisibleTo(self):
            self.attempt(self.begin)
        self.refresh()

    def refresh(self) -> None:
        """Offer the layers that may hold the truth."""
        layers = [one for one in label_layers(self._session) if layer_roles.role_of(one) not in _OURS]
        if not any(one is self._layer for one in layers):
            self._layer = layers[0] if layers else None
        self.truth.offer(layers, self._layer)
        why = (
            None
            if self._layer is not None
            else "There is nothing to compare with: paint some objects on the Annotate tab."
        )
        self.compare.allow(why)

    def _on_exchanged(self) -> None:
        """What was compared lay on the image before."""
        self._thread.forget()
        self._again, self._layer = False, None
        self.list.clear()
        self.take(None)

    def _choose(self, layer: Any) -> None:
        self._layer = layer
        if self.list.isVisibleTo(self):
            self.attempt(self.begin)

    def begin(self) -> None:
        """Compare in a thread."""
        if self._thread.busy:
            self._again = True
            return
        self._again = False
        self._thread.run(self._question())

    def _question(self) -> Callable[[], _Found]:
        session, part, layer = self._session, self._part, self._layer
        if part is None or layer is None:
            raise AnlageError(
                "There is nothing to compare: preview a model that outlines objects, and paint some yourself."
            )
        source, image = source_of(session, layer), session.scaled_image()
        if source.labels.shape_tzyx != image.shape_tzyx or not source.grid.same_as(session.grid()):
            raise AnlageError(
                f"The labels '{layer.name}' do not lie on the image's voxels; choose labels that were painted on this image."
            )
        return lambda: _compare(part, source.labels, image)

    def _on_found(self, found: _Found) -> None:
        self._show_list(shown=found.n > 0)
        if found.n:
            self.status.say(
                f"{found.n_good} of {plural(found.n, 'painted object')} {'is' if found.n_good == 1 else 'are'} found with an overlap "
                f"(IoU) of {_GOOD:g} or more; {Score.of_share('mean IoU', found.mean * found.n, found.n, ('object', 'objects'))}.",
                "good" if found.n_good == found.n else "warning",
            )
        else:
            self.status.say("Nothing is painted in the part that was predicted.", "warning")
        self.list.clear()
        for one, picture in found.worst:
            item = QListWidgetItem(_icon(picture), "missed" if one.iou == 0 else f"IoU {one.iou:.2f}")
            item.setData(Qt.ItemDataRole.UserRole, one)
            item.setToolTip(plain(f"Object {one.label}, frame {one.frame}, plane {one.z}. Click to go there."))
            self.list.addItem(item)
        if self._again:
            self.attempt(self.begin)

    def _on_failed(self, problem: ErrorReport) -> None:
        self.report(problem)

    def _show_list(self, *, shown: bool) -> None:
        for widget in (self.list, self.colours):
            widget.setVisible(shown)

    def _go(self, item: QListWidgetItem) -> None:
        one: WorstObject = item.data(Qt.ItemDataRole.UserRole)
        session = self._session
        camera.go_to(session.viewer, session.grid(), (one.frame, one.z, one.y, one.x))
        session.say(f"Object {one.label}: {'missed' if one.iou == 0 else f'IoU {one.iou:.2f}'}.")


def _compare(part: LabelledPart, painted: TimeLapse, image: TimeLapse) -> _Found:
    """The painted objects of a part of a frame against what was found there; places are of the whole image."""
    box = part.box
    labels = painted.read(box)[:, 0]
    truth = TimeLapse.of(labels, "tzyx", spacing=image.spacing)
    found = TimeLapse.of(part.labels[None], "tzyx", spacing=image.spacing)
    seen = TimeLapse.of(image.read(box), "tczyx", spacing=image.spacing)
    every = worst_objects(found, truth, n=int(labels.max()) + 1)
    start = dict(zip(("frame", "z", "y", "x"), box.start, strict=True))
    worst = tuple(
        (
            one.model_copy(update={name: getattr(one, name) + at for name, at in start.items()}),
            worst_picture(one, truth, found, seen, pixels=_PIXELS),
        )
        for one in every[:_MOST]
    )
    overlaps = np.array([one.iou for one in every])
    mean = float(overlaps.mean()) if len(overlaps) else 0.0
    return _Found(worst, len(overlaps), int((overlaps >= _GOOD).sum()), mean)


def _icon(picture: npt.NDArray[np.uint8]) -> QIcon:
    height, width, _ = picture.shape
    image = QImage(np.ascontiguousarray(picture).data, width, height, 3 * width, QImage.Format.Format_RGB888)
    return QIcon(QPixmap.fromImage(image.copy()))
