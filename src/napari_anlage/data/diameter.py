"""The nucleus diameter: typed, measured from the image, or dragged across a nucleus."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QObject, QTimer, Signal
from qtpy.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from anlage import AnlageError
from napari_anlage.session.session import Session
from napari_anlage.widgets.basic import note, small_button
from napari_anlage.widgets.connect import connect
from napari_anlage.widgets.escaping import plain
from napari_anlage.widgets.number_fields import NumberField
from napari_anlage.widgets.silent import silent

__all__ = ["DiameterField", "Ruler"]

_ROLE = "ruler"
_AUTOMATIC = "measured by itself"
_CLICK_PX = 4.0
"""Drags shorter than this are clicks."""


class Ruler(QObject):
    """A temporary layer in the viewer: one line or ellipse is drawn on it, and it is gone."""

    measured = Signal(float)
    """Length of the line, or mean diameter of the ellipse, in µm."""
    ended = Signal()
    """It is gone, with or without a measurement."""

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._layer: Any = None
        self._active: Any = None

    @property
    def busy(self) -> bool:
        return self._layer is not None

    def start(self) -> None:
        """Put the layer there, ready to draw a line.

        Raises
        ------
        AnlageError
            If the voxel size is unknown or the viewer shows 3D.
        """
        viewer, image, grid = self._session.viewer, self._session.scaled_image(), self._session.grid()
        if viewer.dims.ndisplay != 2:
            raise AnlageError("A nucleus is measured in the 2D view; switch to it with the button below the layers.")
        self._active = viewer.layers.selection.active
        thin = 0.004 * max(image.shape[3:])
        self._layer = viewer.add_shapes(
            ndim=len(grid.axes), name="draw across a nucleus", edge_color="#ffd93d", face_color="transparent",
            edge_width=thin, metadata={"anlage": {"role": _ROLE}}, **grid.placed(grid.axes),
        )  # fmt: skip
        self._layer.mode = "add_line"
        self._layer.mouse_drag_callbacks.append(self._on_drag)
        viewer.layers.events.removed.connect(self._on_removed)
        viewer.layers.selection.active = self._layer

    def cancel(self) -> None:
        """Take the layer away."""
        layer, self._layer = self._layer, None
        if layer is None:
            return
        viewer = self._session.viewer
        viewer.layers.events.removed.disconnect(self._on_removed)
        if layer in viewer.layers:
            viewer.layers.remove(layer)
        if self._active is not None and self._active in viewer.layers:
            viewer.layers.selection.active = self._active
        self.ended.emit()

    def _on_drag(self, layer: Any, event: Any) -> Iterator[None]:
        start, reach = np.array(event.pos), 0.0
        yield
        while event.type == "mouse_move":
            reach = max(reach, float(np.linalg.norm(np.array(event.pos) - start)))
            yield
        QTimer.singleShot(0, partial(self._read, drawn=reach >= _CLICK_PX))  # napari finishes the shape in this event

    def _read(self, *, drawn: bool) -> None:
        if self._layer is None or not len(self._layer.data):
            return
        if not drawn:
            self._layer.selected_data = {len(self._layer.data) - 1}
            self._layer.remove_selected()
            return
        grid, spacing = self._session.grid(), self._session.scaled_image().spacing
        steps = dict(zip("zyx", spacing.zyx, strict=True)) if spacing is not None else {}
        corners_um = np.asarray(self._layer.data[-1]) * [steps.get(axis, 0.0) for axis in grid.axes]
        length = diameter_of(corners_um, str(self._layer.shape_type[-1]))
        self.cancel()
        self.measured.emit(length)

    def _on_removed(self, event: Any) -> None:
        if event.value is self._layer:
            self.cancel()


class DiameterField(QWidget):
    """The diameter in µm, and the button that starts measuring."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self.ruler = Ruler(session, self)
        self.spin = NumberField()
        self.spin.setRange(0.0, 1000.0)
        self.spin.setSingleStep(0.1)
        self.spin.setSuffix(" µm")
        self.spin.setSpecialValueText(_AUTOMATIC)
        self.spin.setKeyboardTracking(False)
        self.spin.setToolTip(
            "Diameter of a typical nucleus in µm. It sets the scale at which networks see the image; at zero it is "
            "measured from the annotation or the image."
        )
        self.draw = small_button("Draw on one")
        self.draw.setCheckable(True)
        self.draw.setToolTip("Then drag a line across one nucleus in the viewer, from edge to edge.")
        self.hint = note("")
        row = QHBoxLayout()
        row.addWidget(self.spin, 1)
        row.addWidget(self.draw)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addLayout(row)
        column.addWidget(self.hint)
        self.hint.hide()
        self.spin.valueChanged.connect(lambda value: session.set_diameter(value or None))
        self.draw.clicked.connect(self._on_draw)
        self.ruler.measured.connect(lambda length: session.set_diameter(round(length, 2)))
        self.ruler.ended.connect(lambda: self._say_drawing(""))
        connect(session.diameter_changed, self.refresh)
        connect(session.image_changed, self.refresh)
        connect(session.exchanged, self.ruler.cancel)
        self.refresh()

    def refresh(self) -> None:
        """Show the session's diameter."""
        with silent(self.spin):
            self.spin.setValue(self._session.diameter_um or 0.0)
        reason = self._missing()
        self.draw.setEnabled(reason is None or self.ruler.busy)
        self.draw.setToolTip(plain(reason or "Then drag a line across one nucleus in the viewer, from edge to edge."))

    def _missing(self) -> str | None:
        try:
            self._session.scaled_image()
        except AnlageError as error:
            return str(error)
        return None

    def _on_draw(self) -> None:
        if self.ruler.busy:
            self.ruler.cancel()
            return
        try:
            self.ruler.start()
        except AnlageError as error:
            self._say_drawing(str(error))
            return
        self._say_drawing("Drag a line across one nucleus, from edge to edge.")

    def _say_drawing(self, text: str) -> None:
        self.draw.setChecked(self.ruler.busy)
        self.draw.setText("Cancel" if self.ruler.busy else "Draw on one")
        self.hint.setText(text)
        self.hint.setVisible(bool(text))


def diameter_of(corners_um: npt.NDArray[np.float64], shape: str) -> float:
    """Diameter that a drawn shape marks: a line's length, else the mean of the sides of the box around it."""
    if shape == "line":
        return float(np.linalg.norm(corners_um[1] - corners_um[0]))
    sides = np.ptp(corners_um, axis=0)
    return float(np.mean(sides[sides > 0])) if (sides > 0).any() else 0.0
