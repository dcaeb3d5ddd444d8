"""The axes, voxel size and time step of the image, each with where it was read, and fields to correct them."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QMenu,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)
from superqt import QFlowLayout

from anlage import Spacing, TimeLapse
from napari_anlage.viewer.grid import LayerGrid
from napari_anlage.widgets.basic import note
from napari_anlage.widgets.escaping import plain
from napari_anlage.widgets.number_fields import NumberField

__all__ = ["AxisChips", "Chip", "ScaleChips"]

_NAMES = {"t": "time", "c": "channels", "z": "z (planes)", "y": "y (rows)", "x": "x (columns)"}
_LENGTHS = {"µm": 1.0, "nm": 1e-3, "mm": 1e3}
_TIMES = {"s": 1.0, "min": 60.0, "h": 3600.0, "ms": 1e-3}
_STYLE = (
    "QToolButton{{background:rgba(128,128,128,45);border:1px solid {edge};border-radius:9px;padding:2px 7px;min-height:18px}}"
    "QToolButton:hover{{background:rgba(128,128,128,85)}}QToolButton:checked{{background:rgba(90,169,230,80)}}"
    "QToolButton::menu-indicator{{image:none;width:0}}"
)


class Chip(QToolButton):
    """A short fact in a rounded frame; amber where it is missing."""

    def __init__(self, text: str = "", tooltip: str = "") -> None:
        super().__init__()
        self.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextOnly)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setToolTip(plain(tooltip))
        self.say(text)

    def say(self, text: str, *, missing: bool = False) -> None:
        """Show a fact, or that it is missing."""
        self.setText(text)
        self.setStyleSheet(_STYLE.format(edge="#ffb000" if missing else "transparent"))


class _Flow(QWidget):
    """Chips side by side, in as many rows as they need."""

    def __init__(self) -> None:
        super().__init__()
        self.flow = QFlowLayout(self)
        self.flow.setContentsMargins(0, 0, 0, 0)
        self.flow.setSpacing(4)


class AxisChips(_Flow):
    """A chip for each axis of the layer with its length; its menu says which axis it is."""

    chosen = Signal(object)
    """Other axes, as text such as ``tzyx``; None: as the layer says."""

    def __init__(self) -> None:
        super().__init__()
        self.chips: list[Chip] = []
        self._axes = ""

    def show_axes(self, axes: str, lengths: tuple[int, ...]) -> None:
        """Show the layer's axes, in its own order."""
        self._axes = axes
        while len(self.chips) > len(axes):
            chip = self.chips.pop()
            self.flow.removeWidget(chip)
            chip.hide()
            chip.deleteLater()
        while len(self.chips) < len(axes):
            chip = Chip()
            chip.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
            chip.setMenu(QMenu(chip))
            self.flow.addWidget(chip)
            self.chips.append(chip)
        for place, (chip, axis, length) in enumerate(zip(self.chips, axes, lengths, strict=True)):
            chip.say(f"{axis.upper()} {length}")
            chip.setToolTip(
                plain(f"Axis {place + 1} of the layer, {length} long, is read as {_NAMES[axis]}. Click to change.")
            )
            self._fill(chip.menu(), place)
        self.setVisible(bool(axes))
        self.updateGeometry()

    def _fill(self, menu: Any, place: int) -> None:
        menu.clear()
        for axis, name in _NAMES.items():
            action = menu.addAction(name)
            action.setCheckable(True)
            action.setChecked(axis == self._axes[place])
            action.triggered.connect(lambda _=False, axis=axis: self.chosen.emit(with_axis(self._axes, place, axis)))
        menu.addSeparator()
        menu.addAction("all axes as the layer says").triggered.connect(lambda: self.chosen.emit(None))


class ScaleChips(QWidget):
    """Voxel size and time step; a click opens their fields below."""

    edited = Signal(object, object)
    """Voxel size (`Spacing`, µm) and time step (s); None: as the layer says."""

    def __init__(self) -> None:
        super().__init__()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        self.voxel = Chip(tooltip="Size of a voxel (z × y × x). Click to change.")
        self.interval = Chip(tooltip="Time from one frame to the next. Click to change.")
        row = _Flow()
        for chip in (self.voxel, self.interval):
            chip.setCheckable(True)
            row.flow.addWidget(chip)
        self.voxel_fields = _Fields(("z", "y", "x"), _LENGTHS, 4, "Voxel size along {}.")
        self.interval_fields = _Fields(("every",), _TIMES, 2, "Time from one frame to the next.")
        self.hint = note("")
        column.addWidget(row)
        for widget in (self.voxel_fields, self.interval_fields, self.hint):
            column.addWidget(widget)
            widget.hide()
        self._typed: tuple[Spacing | None, float | None] = (None, None)
        self.voxel.toggled.connect(self.voxel_fields.setVisible)
        self.interval.toggled.connect(self.interval_fields.setVisible)
        self.voxel_fields.set_to.connect(self._on_voxel)
        self.interval_fields.set_to.connect(self._on_interval)

    def show_nothing(self) -> None:
        """No image that can be read."""
        self.hide()

    def forget(self) -> None:
        """What is being typed was meant for another image."""
        for chip, fields in ((self.voxel, self.voxel_fields), (self.interval, self.interval_fields)):
            chip.setChecked(False)
            fields.forget()

    def show_scale(self, image: TimeLapse, grid: LayerGrid) -> None:
        """Show how an image is scaled; where that is not what its grid says, the user typed it."""
        self.show()
        spacing, seconds, has_time = image.spacing, image.interval_s, image.n_frames > 1
        typed = None if spacing == grid.spacing else spacing, None if seconds == grid.interval_s else seconds
        self._typed = typed
        size = "voxel size ?" if spacing is None else _voxel(spacing, flat=image.is_flat)
        self.voxel.say("pixel size ?" if spacing is None and image.is_flat else size, missing=spacing is None)
        shown = _set_scale(grid) if spacing is None else spacing.zyx
        self.voxel_fields.show_values(shown, typed=typed[0] is not None)
        self.voxel_fields.leave_out_first(flat=image.is_flat)
        if spacing is None:
            self.voxel.setChecked(True)
            self._say_missing(shown, flat=image.is_flat)
        self.hint.setVisible(spacing is None)
        self.interval.setVisible(has_time)
        self.interval.setChecked(self.interval.isChecked() and has_time)
        self.interval.say("time step ?" if seconds is None else f"every {_time(seconds)}")
        self.interval_fields.show_values(None if seconds is None else (seconds,), typed=typed[1] is not None)

    def _say_missing(self, shown: tuple[float, ...] | None, *, flat: bool) -> None:
        self.hint.setText(
            f"The layer's unit is pixels: type {'' if flat else 'z, '}y and x, then press Set."
            if shown is None
            else "The layer's unit is pixels, but it has a scale: if that is in µm, press Set."
        )

    def _on_voxel(self, values: tuple[float, ...] | None) -> None:
        self.voxel.setChecked(False)
        self.edited.emit(None if values is None else Spacing(*values), self._typed[1])

    def _on_interval(self, values: tuple[float, ...] | None) -> None:
        self.interval.setChecked(False)
        self.edited.emit(self._typed[0], None if values is None else values[0])


class _Fields(QWidget):
    """Numbers of one unit, and a button that sets them."""

    set_to = Signal(object)
    """The numbers in µm or s; None: as the layer says."""

    def __init__(self, names: tuple[str, ...], units: dict[str, float], decimals: int, tooltip: str) -> None:
        super().__init__()
        self._units = units
        self._shown: tuple[float, ...] | None = None
        self._as_shown: tuple[Any, ...] = ()
        self._flat = False
        self.spins = [_Number(name, 10.0**-decimals, tooltip.format(name)) for name in names]
        self.unit = QComboBox()
        self.unit.addItems(list(units))
        self.unit.setToolTip("Unit of these numbers.")
        self.unit.setStyleSheet("min-width:34px")
        self.apply = QPushButton("Set")
        self.reset = QPushButton("As the layer says")
        numbers, buttons = QHBoxLayout(), QHBoxLayout()
        for spin in self.spins:
            numbers.addWidget(spin, 1)
        numbers.addWidget(self.unit)
        buttons.addWidget(self.apply, 1)
        buttons.addWidget(self.reset, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(3)
        column.addLayout(numbers)
        column.addLayout(buttons)
        self._reason = note("")
        column.addWidget(self._reason)
        self._reason.hide()
        for spin in self.spins:
            spin.lineEdit().returnPressed.connect(self._on_apply)
        self.apply.clicked.connect(self._on_apply)
        self.reset.clicked.connect(lambda: self.set_to.emit(None))

    def show_values(self, values: tuple[float, ...] | None, *, typed: bool) -> None:
        """Show numbers in µm or s, zeros where they are unknown; what is being typed stays while they are the same."""
        self.reset.setVisible(typed)
        if values == self._shown:
            return
        self._shown = values
        factor = self._units[self.unit.currentText()]
        for spin, value in zip(self.spins, values or [0.0] * len(self.spins), strict=True):
            spin.setValue(value / factor)
        self._as_shown = self._typed()

    def leave_out_first(self, *, flat: bool) -> None:
        """Of a single plane nobody is asked how thick it is: it counts as thick as its pixels are high."""
        self._flat = flat
        self.spins[0].setVisible(not flat)

    def forget(self) -> None:
        """Show the next values, whatever was typed."""
        self._shown, self._as_shown = (), ()
        self._reason.hide()

    def _typed(self) -> tuple[Any, ...]:
        return (self.unit.currentText(), *(spin.value() for spin in self.spins))

    def _on_apply(self) -> None:
        for spin in self.spins:
            spin.interpretText()
        refused = next(filter(None, [spin.take_refusal() for spin in self.spins]), "")
        if self._flat:
            self.spins[0].setValue(self.spins[1].value())
        unit, *numbers = self._typed()
        reason = refused or ("" if min(numbers) > 0 else "Every number has to be above zero.")
        self._reason.setText(reason)
        self._reason.setVisible(bool(reason))
        if reason:
            return
        untouched = self._shown is not None and self._typed() == self._as_shown
        self.set_to.emit(self._shown if untouched else tuple(number * self._units[unit] for number in numbers))


class _Number(NumberField):
    """A number above zero."""

    def __init__(self, name: str, step: float, tooltip: str) -> None:
        super().__init__()
        self.setRange(0, 1e9)
        self.setSingleStep(step)
        self.setButtonSymbols(NumberField.ButtonSymbols.NoButtons)
        self.setPrefix(f"{name} ")
        self.setToolTip(plain(tooltip))
        self.setStyleSheet("min-width:40px")  # napari's themes ask for more
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)


def with_axis(axes: str, place: int, axis: str) -> str:
    """Axes with one of them read as another; whichever was that before becomes what this one was."""
    before = axes[place]
    swapped = axes.replace(axis, before)
    return swapped[:place] + axis + swapped[place + 1 :]


def _set_scale(grid: LayerGrid) -> tuple[float, ...] | None:
    """Scale along z, y, x where somebody set it, though its unit is no length."""
    along = dict(zip(grid.axes, map(abs, grid.scale), strict=True))
    sizes = (along.get("z", along["y"]), along["y"], along["x"])
    return sizes if any(size != 1 for size in sizes) else None


def _voxel(spacing: Spacing, *, flat: bool) -> str:
    if flat:
        return f"{spacing.y:.4g} × {spacing.x:.4g} µm"
    return f"{spacing.z:.4g} × {spacing.y:.4g} × {spacing.x:.4g} µm"


def _time(seconds: float) -> str:
    for unit, size in (("h", 3600.0), ("min", 60.0), ("s", 1.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.4g} {unit}"
    return f"{seconds:.4g} s"
