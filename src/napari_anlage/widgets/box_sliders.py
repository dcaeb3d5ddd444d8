"""Range sliders for the walls of a box in t, z, y and x, with fields to type them."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from functools import partial
from typing import Any

from qtpy.QtCore import Qt, QTimer, Signal
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QGridLayout, QSizePolicy, QWidget
from superqt import QRangeSlider

from anlage import Box
from napari_anlage.widgets.escaping import plain
from napari_anlage.widgets.number_fields import CountField
from napari_anlage.widgets.plain_text import Label
from napari_anlage.widgets.silent import silent

__all__ = ["BoxSliders"]

_LIVE_MS = 60
_REST_MS = 350
_FIELD_WIDTH = 44


class BoxSliders(QWidget):
    """First and last frame and voxel of a box."""

    moved = Signal(object)
    """The box while a handle is dragged, at most once in so many ms."""
    change_finished = Signal(object)
    """The box when the handles have come to rest."""

    def __init__(self) -> None:
        super().__init__()
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 4, 0, 0)
        grid.setVerticalSpacing(6)
        grid.setColumnStretch(2, 1)
        self.sliders: dict[str, Any] = {}
        self.fields: dict[str, tuple[CountField, CountField]] = {}
        for row, (axis, text) in enumerate(zip("tzyx", ("frames", "z, voxels", "y, voxels", "x, voxels"), strict=True)):
            what = "frame" if axis == "t" else f"voxel along {axis}"
            slider = QRangeSlider(Qt.Orientation.Horizontal)
            slider.setToolTip(plain(f"First and last {what} of the region."))
            slider.valueChanged.connect(partial(self._on_value, axis))
            fields = self._field(axis, f"First {what}."), self._field(axis, f"Last {what}.")
            self.sliders[axis], self.fields[axis] = slider, fields
            for column, widget in enumerate((Label(text), fields[0], slider, fields[1])):
                grid.addWidget(widget, row, column)
        self._live = self._timer(_LIVE_MS, lambda: self.moved.emit(self.box()))
        self._rest = self._timer(_REST_MS, self._on_rest)

    @property
    def busy(self) -> bool:
        """Whether a handle was moved and the box has not been reported yet."""
        return bool(self._rest.isActive())

    def show_box(self, box: Box, shape_tzyx: tuple[int, int, int, int]) -> None:
        """Set the handles; emits nothing."""
        for axis, (low, high), length in zip("tzyx", box.ranges, shape_tzyx, strict=True):
            slider = self.sliders[axis]
            with silent(slider):
                slider.setRange(0, max(length - 1, 1))
                if tuple(slider.value()) != (low, high - 1):
                    slider.setValue((low, high - 1))
            for widget in (slider, *self.fields[axis]):
                widget.setEnabled(length > 1)
            self._show_ends(axis)

    def box(self) -> Box:
        """What the handles say."""
        ends = [self.sliders[axis].value() for axis in "tzyx"]
        return Box.of([int(low) for low, _ in ends], [int(high) + 1 for _, high in ends])

    def _field(self, axis: str, tooltip: str) -> CountField:
        field = CountField()
        field.setButtonSymbols(CountField.ButtonSymbols.NoButtons)
        field.setKeyboardTracking(False)
        field.setAlignment(Qt.AlignmentFlag.AlignCenter)
        field.setStyleSheet(f"min-width:{_FIELD_WIDTH}px;max-width:{_FIELD_WIDTH}px")  # napari's themes ask for more
        field.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        field.setToolTip(plain(tooltip))
        field.valueChanged.connect(lambda _: self._on_typed(axis))
        return field

    def _timer(self, ms: int, action: Any) -> QTimer:
        timer = QTimer(self)
        timer.setSingleShot(True)
        timer.setInterval(ms)
        timer.timeout.connect(action)
        return timer

    def _show_ends(self, axis: str) -> None:
        """Numbers beside the handles; neither end can be typed beyond the other."""
        slider, (first, last) = self.sliders[axis], self.fields[axis]
        low, high = (int(end) for end in slider.value())
        for field, ends, value in ((first, (0, high), low), (last, (low, int(slider.maximum())), high)):
            with silent(field):
                field.setRange(*ends)
                field.setValue(value)

    def _on_typed(self, axis: str) -> None:
        first, last = self.fields[axis]
        self.sliders[axis].setValue((first.value(), last.value()))

    def _on_value(self, axis: str, *_: Any) -> None:
        self._show_ends(axis)
        if not self._live.isActive():
            self._live.start()
        self._rest.start()

    def _on_rest(self) -> None:
        if QGuiApplication.mouseButtons() != Qt.MouseButton.NoButton:  # still in the user's hand
            self._rest.start()
            return
        self._live.stop()
        self.change_finished.emit(self.box())
