"""Single rows of the training screen of events: what is held out, how long, how much of a model, the length of a window."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QComboBox, QHBoxLayout, QSizePolicy, QWidget

from anlage.project.event_sets import EventSet, usable
from anlage.wording import plural
from napari_anlage.widgets.escaping import plain
from napari_anlage.widgets.number_fields import CountField, NumberField
from napari_anlage.widgets.plain_text import Label
from napari_anlage.widgets.silent import silent

__all__ = ["BudgetChoice", "HeldOutChoice", "OptionalNumber", "TakeFrom", "WindowLength"]

_PARTS, _SHARE = 5, 20.0
_FIELD = 64
_WIDE = 104
_LETTERS = 6


class _Choice(QWidget):
    """A row that says when it is set otherwise."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.row = QHBoxLayout(self)
        self.row.setContentsMargins(0, 0, 0, 0)
        self.row.setSpacing(6)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def assignments(self) -> list[str]:
        """What is not as usual, each as ``name=value``."""
        raise NotImplementedError


def _narrow(combo: QComboBox) -> QComboBox:
    """As narrow as the row asks for."""
    combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    combo.setMinimumContentsLength(_LETTERS)
    return combo


def _slim(field: NumberField) -> None:
    """A narrow field; its arrow keys count on."""
    field.setButtonSymbols(NumberField.ButtonSymbols.NoButtons)
    field.setFixedWidth(_FIELD)


class HeldOutChoice(_Choice):
    """What a network is judged on: parts in turn, or one part."""

    def __init__(self) -> None:
        super().__init__()
        self.way, self.number = _narrow(QComboBox()), NumberField()
        self.way.addItem("in turn", "turn")
        self.way.addItem("once", "share")
        self.way.setToolTip(
            "In turn: so many parts and networks, which learn beside each other, each from all but its own part, so that every example is "
            "judged by one that never saw it, and all answer together.\nOnce: a single network and one part of so many per cent, which is "
            "quicker and less sure. Either way whole movies or recordings are held out, where there are several."
        )
        self.way.setAccessibleName("What is held out to judge the network")
        self.number.setAccessibleName("Parts, or per cent, held out")
        _slim(self.number)
        self.row.addWidget(self.number)
        self.row.addWidget(self.way, 1)
        self._show()
        self.way.currentIndexChanged.connect(self._on_way)
        self.number.valueChanged.connect(lambda _: self.changed.emit())

    def _show(self) -> None:
        turn = self.way.currentData() == "turn"
        with silent(self.number):
            self.number.setSuffix("" if turn else " %")
            self.number.setRange(*((2, 9) if turn else (5, 45)))
            self.number.setSingleStep(1 if turn else 5)
            self.number.setValue(_PARTS if turn else _SHARE)

    def _on_way(self, *_: object) -> None:
        self._show()
        self.changed.emit()

    def assignments(self) -> list[str]:
        """``members`` and ``held_out``."""
        value = float(self.number.value())
        if self.way.currentData() == "turn":
            return [] if value == _PARTS else [f"members={value:.0f}"]
        return ["members=1", *([] if value == _SHARE else [f"held_out={value / 100:g}"])]


class BudgetChoice(_Choice):
    """A number of steps, epochs or minutes in place of the lengths below."""

    def __init__(self) -> None:
        super().__init__()
        self.unit, self.number = _narrow(QComboBox()), NumberField()
        for text, key in (("as chosen below", ""), ("steps", "steps"), ("epochs", "epochs"), ("minutes", "minutes")):
            self.unit.addItem(text, key)
        self.unit.setToolTip(
            "Steps: how often the weights are changed. Epochs: how often each example is seen. Minutes: as many steps as fit in."
        )
        self.unit.setAccessibleName("What the length of the training is counted in")
        self.number.setRange(1, 1e7)
        self.number.setValue(100)
        _slim(self.number)
        self.number.setAccessibleName("Steps, epochs or minutes")
        self.row.addWidget(self.number)
        self.row.addWidget(self.unit, 1)
        self.number.hide()
        self.unit.currentIndexChanged.connect(self._on_unit)
        self.number.valueChanged.connect(lambda _: self.changed.emit())

    @property
    def is_set(self) -> bool:
        """Whether it counts instead of the lengths."""
        return bool(self.unit.currentData())

    def _on_unit(self, *_: object) -> None:
        self.number.setVisible(self.is_set)
        self.changed.emit()

    def assignments(self) -> list[str]:
        """``steps``, ``epochs`` or ``minutes``."""
        if not self.is_set:
            return []
        value = float(self.number.value())
        return [f"{self.unit.currentData()}={max(1, round(value)) if self.unit.currentData() == 'steps' else value}"]


class OptionalNumber(_Choice):
    """A number that is left to the program as long as a box is ticked.

    Parameters
    ----------
    name
        Of the setting.
    words
        Beside the box.
    field
        With its bounds and a first value.
    tooltip
        What it is, with its unit.
    """

    def __init__(self, name: str, words: str, field: NumberField, tooltip: str) -> None:
        super().__init__()
        self._name = name
        self.tick, self.number = QCheckBox(words), field
        self.tick.setChecked(True)
        _slim(self.number)
        for widget in (self, self.tick, self.number):
            widget.setToolTip(plain(tooltip))
        self.number.setAccessibleName(name.replace("_", " "))
        self.row.addWidget(self.number)
        self.row.addWidget(self.tick, 1)
        self.number.hide()
        self.tick.toggled.connect(self._on_tick)
        self.number.valueChanged.connect(lambda _: self.changed.emit())

    def _on_tick(self, ticked: bool) -> None:  # noqa: FBT001 - Qt's signal
        self.number.setVisible(not ticked)
        self.changed.emit()

    def assignments(self) -> list[str]:
        """The number, where it is not left to the program."""
        return [] if self.tick.isChecked() else [f"{self._name}={self.number.value():.12g}"]


class TakeFrom(_Choice):
    """What is taken over from the model that a training starts from."""

    def __init__(self) -> None:
        super().__init__()
        self.what = _narrow(QComboBox())
        self.what.addItem("its weights", [])
        self.what.addItem("its weights, first layers held", ["freeze_encoder=true"])
        self.what.addItem("its weights, all learnt", ["freeze_encoder=false"])
        self.what.addItem("its architecture alone", ["fresh_weights=true"])
        self.what.setAccessibleName("What is taken from the model")
        self.what.setToolTip(
            "Weights: what the model knows is the beginning; the first layers of a network of miniML are held, others learn too.\n"
            "Held: only the last layers learn, for very few examples.\n"
            "Architecture: its signals, their scales and its layers, with fresh weights."
        )
        self.row.addWidget(self.what, 1)
        self.what.currentIndexChanged.connect(lambda _: self.changed.emit())

    def assignments(self) -> list[str]:
        """``freeze_encoder`` or ``fresh_weights``."""
        return list(self.what.currentData()) if self.isEnabled() else []


class WindowLength(_Choice):
    """How much of each window is seen; tracks are of any length."""

    def __init__(self) -> None:
        super().__init__()
        self._own = OptionalNumber(
            "window", "as in the files", CountField(), "Samples of a window; of longer ones the end is left out."
        )
        self.tick, self.number = self._own.tick, self._own.number
        self.number.setRange(8, 10_000_000)
        self.number.setSuffix(" samples")
        self.number.setFixedWidth(_WIDE)
        self._any = Label("any: tracks are seen whole")
        self._any.setToolTip("A network of tracks reads them frame by frame, however many there are.")
        self.row.addWidget(self._own, 1)
        self.row.addWidget(self._any)
        self._windows = False
        self._own.changed.connect(self.changed)

    def offer(self, sets: Sequence[EventSet]) -> None:
        """Say how long the windows of these files are."""
        right = usable(sets)
        self._windows = bool(right) and right[0].kind == "repeated"
        self._own.setVisible(self._windows)
        self._any.setVisible(not self._windows)
        if self._windows:
            shortest, longest = min(one.lengths[0] for one in right), max(one.lengths[1] for one in right)
            same = shortest == longest
            self.tick.setText(f"{plural(shortest, 'sample')}" + ("" if same else f" (longest {longest})"))
            if self.tick.isChecked():
                with silent(self.number):
                    self.number.setValue(shortest)

    def assignments(self) -> list[str]:
        """``window``."""
        return self._own.assignments() if self._windows else []
