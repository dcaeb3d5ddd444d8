"""Step 1, Data: which image, read how, and which of its channels."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from typing import Any

from qtpy.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QDoubleSpinBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QRadioButton,
    QVBoxLayout,
    QWidget,
)

from anlage import AnlageError, Spacing, TimeLapse
from napari_anlage.parts import LayerChoice, Tab, heading, note
from napari_anlage.session import Session

__all__ = ["DataTab"]


class DataTab(Tab):
    """Pick the image layer, check how it is read, tick its channels."""

    title = "Data"

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self.image = LayerChoice("open an image in napari first")
        self.image.setToolTip("The image layer that nuclei are found in.")
        self.axes = QLineEdit()
        self.axes.setToolTip(
            "The layer's axes in order, each a letter of t c z y x. Read from the layer's axis labels, else from their count."
        )
        self.shape = QLabel("–")
        self.scale = _ScaleFields()
        self._channels = QVBoxLayout()
        self._channels.setSpacing(2)
        self.ticks: list[QCheckBox] = []
        self.separate = QRadioButton("each its own input")
        self.summed = QRadioButton("summed to one")
        self._combine = QWidget()
        self._build()
        self.image.chosen.connect(session.choose_image)
        self.axes.editingFinished.connect(self._on_axes)
        self.scale.edited.connect(self._on_scale)
        self.separate.toggled.connect(lambda _: self._on_channels())
        session.layers_changed.connect(self.refresh_layers)
        session.image_changed.connect(self.refresh)
        self.refresh_layers()

    def _build(self) -> None:
        form = QFormLayout()
        form.setContentsMargins(0, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Image", self.image)
        form.addRow("Axes", self.axes)
        form.addRow("Size", self.shape)
        form.addRow("Voxel", self.scale.voxel)
        form.addRow("Frame", self.scale.interval_row)
        self.column.addLayout(form)
        self.add(self.scale.hint, heading("Channels"))
        self.column.addLayout(self._channels)
        row = QHBoxLayout(self._combine)
        row.setContentsMargins(0, 0, 0, 0)
        group = QButtonGroup(self)
        for button in (self.separate, self.summed):
            group.addButton(button)
            row.addWidget(button)
        self.separate.setChecked(True)
        self.summed.setToolTip("Each channel is brought to the same brightness first; your layers are not touched.")
        self.add(self._combine, self.status)

    def refresh_layers(self) -> None:
        """Offer the image layers that there are; a first one is chosen by itself."""
        layers = self._session.image_layers()
        if self._session.image_layer is None and layers:
            self._session.choose_image(layers[0])
        self.image.offer(layers, self._session.image_layer)
        self.refresh()

    def refresh(self) -> None:
        """Show how the chosen image is read."""
        session = self._session
        layer = session.image_layer
        self.axes.setEnabled(layer is not None)
        self._refresh_channels()
        try:
            grid = session.grid()
            self.axes.setText(grid.axes)
            image = session.image()
        except AnlageError as error:
            self.shape.setText("–")
            self.scale.show_nothing()
            self.status.say(str(error), "idle" if layer is None else "warning")
            return
        self.shape.setText(_sizes(image))
        self.scale.show_scale(image, grid.spacing is not None, grid.interval_s is not None, layer)
        self._say_reading(image)

    def _say_reading(self, image: TimeLapse) -> None:
        if image.spacing is None:
            self.status.say("The layer does not say how large a voxel is; type it above.", "warning")
            return
        n = len(self._session.picked)
        how = "" if n == 1 else f", {'summed' if self._session.combine == 'sum' else 'separate inputs'}"
        self.status.say(f"Ready: {n} channel{'s' * (n != 1)}{how}.", "good")

    def _refresh_channels(self) -> None:
        names, picked = self._session.channel_names(), self._session.picked
        if [tick.text() for tick in self.ticks] != names:
            for tick in self.ticks:
                self._channels.removeWidget(tick)
                tick.deleteLater()
            self.ticks = [QCheckBox(name) for name in names]
            for tick in self.ticks:
                self._channels.addWidget(tick)
                tick.toggled.connect(lambda _: self._on_channels())
        for i, tick in enumerate(self.ticks):
            tick.blockSignals(True)
            tick.setChecked(i in picked)
            tick.blockSignals(False)
        self._combine.setVisible(len(picked) > 1)

    def _on_channels(self) -> None:
        picked = [i for i, tick in enumerate(self.ticks) if tick.isChecked()]
        self._session.choose_channels(picked, "separate" if self.separate.isChecked() else "sum")

    def _on_axes(self) -> None:
        text = self.axes.text().strip().lower().replace(" ", "").replace(",", "")
        try:
            self._session.set_axes(text or None)
        except AnlageError as error:
            self.status.say(str(error), "error")

    def _on_scale(self) -> None:
        self._session.set_scale(*self.scale.values())


class _ScaleFields(QWidget):
    """Voxel size and time step: shown where the layer says them, asked where it does not."""

    def __init__(self) -> None:
        super().__init__()
        self.voxel, self._fields = _spins(("z", "y", "x"), " µm")
        self._said = QLabel("–")
        self.voxel.layout().insertWidget(0, self._said)
        self.interval_row, (self._interval,) = _spins(("s",), " s")
        self._said_interval = QLabel("–")
        self.interval_row.layout().insertWidget(0, self._said_interval)
        self._interval.setSpecialValueText("unknown")
        self.hint = note("")
        self.edited = self._fields[0].editingFinished
        for other in (*self._fields[1:], self._interval):
            other.editingFinished.connect(self.edited)
        self._known = False
        self._layer: Any = None

    def show_nothing(self) -> None:
        self._said.setText("–")
        self._said_interval.setText("–")
        for field in (*self._fields, self._interval, self.hint):
            field.hide()
        self._said.show()
        self._said_interval.show()

    def show_scale(self, image: TimeLapse, known: bool, known_interval: bool, layer: Any) -> None:  # noqa: FBT001
        self._known = known
        self._said.setVisible(known)
        self._said.setText("" if image.spacing is None else _voxel(image.spacing))
        for field in self._fields:
            field.setVisible(not known)
        self.hint.setVisible(not known)
        if not known and layer is not self._layer:
            sizes = [abs(float(s)) for s in layer.scale]
            sizes = ([*([sizes[-1]] * 3), *sizes])[-3:] if len(sizes) < 3 else sizes[-3:]
            told = any(size != 1 for size in sizes)
            for field, size in zip(self._fields, sizes, strict=True):
                field.setValue(size if told else 0)
            self.hint.setText(
                "The layer's unit is pixels"
                + (
                    ", but it has a scale: if that is in µm, press Enter in a field."
                    if told
                    else ": type z, y, x in µm."
                )
            )
        self._layer = layer
        has_time = image.n_frames > 1
        self._said_interval.setVisible(known_interval or not has_time)
        seconds = image.interval_s
        self._said_interval.setText(f"every {_time(seconds)}" if seconds and has_time else "one frame")
        self._interval.setVisible(has_time and not known_interval)

    def values(self) -> tuple[Spacing | None, float | None]:
        z, y, x = (field.value() for field in self._fields)
        spacing = Spacing(z, y, x) if not self._known and min(z, y, x) > 0 else None
        return spacing, self._interval.value() or None


def _spins(names: tuple[str, ...], unit: str) -> tuple[QWidget, list[QDoubleSpinBox]]:
    row = QWidget()
    layout = QHBoxLayout(row)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(3)
    spins = []
    for name in names:
        spin = QDoubleSpinBox()
        spin.setDecimals(4 if unit == " µm" else 1)
        spin.setRange(0, 1e6)
        spin.setButtonSymbols(QDoubleSpinBox.ButtonSymbols.NoButtons)
        spin.setPrefix(f"{name} " if len(names) > 1 else "")
        spin.setSuffix("" if len(names) > 1 and name != names[-1] else unit)
        spin.setToolTip(f"{'Voxel size along ' + name if len(names) > 1 else 'Time between frames'} in{unit}.")
        spin.setMinimumWidth(50)
        layout.addWidget(spin, 1)
        spins.append(spin)
    return row, spins


def _sizes(image: TimeLapse) -> str:
    shown = [f"{axis} {n}" for axis, n in zip("TCZYX", image.shape, strict=True) if n > 1 or axis in "YX"]
    return " · ".join(shown)


def _voxel(spacing: Spacing) -> str:
    return f"{spacing.z:.4g} × {spacing.y:.4g} × {spacing.x:.4g} µm (z y x)"


def _time(seconds: float) -> str:
    return f"{seconds:g} s" if seconds < 120 else f"{seconds / 60:.4g} min"
