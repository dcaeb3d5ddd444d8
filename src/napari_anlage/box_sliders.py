"""Four range sliders for the walls of a box, in t, z, y and x."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from typing import Any

from qtpy.QtCore import Qt, QTimer, Signal
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QGridLayout, QLabel, QWidget
from superqt import QLabeledRangeSlider

from anlage import Box

__all__ = ["BoxSliders"]

_LIVE_MS = 60
_SETTLED_MS = 350


class BoxSliders(QWidget):
    """First and last frame and voxel of a box."""

    moved = Signal(object)
    """The box while a handle is dragged, at most once in so many ms."""
    settled = Signal(object)
    """The box when the handles have come to rest."""

    def __init__(self) -> None:
        super().__init__()
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 14, 0, 0)
        grid.setVerticalSpacing(16)
        grid.setColumnStretch(1, 1)
        self.sliders: dict[str, Any] = {}
        for row, (axis, text) in enumerate(zip("tzyx", ("frames", "z, voxels", "y, voxels", "x, voxels"), strict=True)):
            slider = QLabeledRangeSlider(Qt.Orientation.Horizontal)
            slider.setEdgeLabelMode(QLabeledRangeSlider.EdgeLabelMode.NoLabel)
            slider.setHandleLabelPosition(QLabeledRangeSlider.LabelPosition.LabelsAbove)
            slider.setToolTip(f"First and last {'frame' if axis == 't' else 'voxel along ' + axis} of the region.")
            slider.valueChanged.connect(self._on_value)
            self.sliders[axis] = slider
            grid.addWidget(QLabel(text), row, 0)
            grid.addWidget(slider, row, 1)
        self._live = self._timer(_LIVE_MS, lambda: self.moved.emit(self.box()))
        self._rest = self._timer(_SETTLED_MS, self._on_rest)

    @property
    def busy(self) -> bool:
        """Whether a handle was moved and the box has not been reported yet."""
        return bool(self._rest.isActive())

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

    def _timer(self, ms: int, action: Any) -> QTimer:
        timer = QTimer(self)
        timer.setSingleShot(True)
        timer.setInterval(ms)
        timer.timeout.connect(action)
        return timer

    def _on_value(self, *_: Any) -> None:
        if not self._live.isActive():
            self._live.start()
        self._rest.start()

    def _on_rest(self) -> None:
        if QGuiApplication.mouseButtons() != Qt.MouseButton.NoButton:  # still in the user's hand
            self._rest.start()
            return
        self._live.stop()
        self.settled.emit(self.box())
