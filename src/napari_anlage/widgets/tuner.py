"""A slider with a reset to its default."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from qtpy.QtCore import Qt, QTimer, Signal
from qtpy.QtWidgets import QHBoxLayout, QSlider, QToolButton, QWidget

from napari_anlage.widgets.escaping import plain
from napari_anlage.widgets.number_fields import NumberField
from napari_anlage.widgets.plain_text import Label
from napari_anlage.widgets.silent import silent

__all__ = ["Tuner"]

_STEPS = 1000
_PAUSE_MS = 15


class Tuner(QWidget):
    """Name, slider, number with its unit, and a button that goes back to where it was at first.

    Parameters
    ----------
    name
        What is tuned.
    unit
        Behind the number, with a space in front of it.
    decimals
        Digits behind the point.
    tooltip
        What it does.
    """

    tuned = Signal(float)
    """The user chose another value; at most one signal in 15 ms while the handle is dragged."""

    def __init__(self, name: str, unit: str, decimals: int, tooltip: str) -> None:
        super().__init__()
        self._home, self._decimals = 0.0, decimals
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, _STEPS)
        self.spin = NumberField()
        self.set_decimals(decimals)
        self.spin.setSuffix(unit)
        self.spin.setButtonSymbols(NumberField.ButtonSymbols.NoButtons)
        self.spin.setFixedWidth(66)
        self.spin.setKeyboardTracking(False)
        self.back = QToolButton()
        self.back.setText("↺")
        self.back.setAutoRaise(True)
        label = Label(name)
        label.setMinimumWidth(70)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(6)
        for widget, stretch in ((label, 0), (self.slider, 1), (self.spin, 0), (self.back, 0)):
            row.addWidget(widget, stretch)
        for widget in (self, label, self.slider, self.spin):
            widget.setToolTip(plain(tooltip))
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_PAUSE_MS)
        self._timer.timeout.connect(lambda: self.tuned.emit(self.value()))
        self.slider.valueChanged.connect(self._on_slider)
        self.spin.valueChanged.connect(self._on_spin)
        self.back.clicked.connect(lambda: self.spin.setValue(self._rounded(self._home)))

    def value(self) -> float:
        """What is chosen."""
        return float(self.spin.value())

    @property
    def is_moved(self) -> bool:
        """Whether it stands elsewhere than where it goes back to."""
        return self.value() != self._rounded(self._home)

    @property
    def is_pending(self) -> bool:
        """Whether a signal is about to come."""
        return bool(self._timer.isActive())

    def set_decimals(self, decimals: int) -> None:
        """Let the slider go in steps of so many digits behind the point."""
        self._decimals = decimals
        self.spin.setSingleStep(5 * 10.0**-decimals)

    def show_value(self, value: float, home: float, low: float, high: float) -> None:
        """Set value, the value to go back to, and the ends; emits nothing."""
        self._home = home
        with silent(self.spin, self.slider):
            self.spin.setRange(low, high)
            self.spin.setValue(self._rounded(value) if value == home else value)  # what was typed stays as it was typed
            self.slider.setValue(self._on_scale(value))
        self._show_back()

    def _show_back(self) -> None:
        self.back.setEnabled(self.is_moved)
        self.back.setToolTip(plain(f"Back to {self._home:.{self._decimals}f}{self.spin.suffix()}"))

    def _rounded(self, value: float) -> float:
        return round(value, self._decimals)

    def _on_scale(self, value: float) -> int:
        low, high = float(self.spin.minimum()), float(self.spin.maximum())
        return round(_STEPS * (value - low) / max(high - low, 1e-9))

    def _on_slider(self, step: int) -> None:
        low, high = self.spin.minimum(), self.spin.maximum()
        with silent(self.spin):
            self.spin.setValue(self._rounded(low + (high - low) * step / _STEPS))
        self._changed()

    def _on_spin(self, value: float) -> None:
        with silent(self.slider):
            self.slider.setValue(self._on_scale(value))
        self._changed()

    def _changed(self) -> None:
        self._show_back()
        if not self._timer.isActive():
            self._timer.start()
