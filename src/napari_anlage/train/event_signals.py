"""The table of signals that a network of events sees: a tick each, and how each is brought to one scale."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QHeaderView,
    QSizePolicy,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_anlage.widgets.escaping import plain
from napari_anlage.widgets.number_fields import NumberField
from napari_anlage.widgets.silent import silent

__all__ = ["SignalTable"]

_WAYS = (
    ("auto", "usual", "Percentiles for tracks, the noise for windows."),
    ("percentile", "percentile", "These percentiles of all training data become 0 and 1."),
    ("absolute", "values", "These values, in the signal's unit, become 0 and 1."),
    ("window", "own range", "The smallest and largest value of each track or window become 0 and 1."),
    ("noise", "by noise", "Each one's median becomes 0 and three times its noise becomes 1."),
    ("none", "as it is", "Nothing is changed."),
)
_LIMITS = {"percentile": (0.1, 99.9), "absolute": (0.0, 1000.0)}
_FAR = 1e12
_ROWS, _ROW_HEIGHT = 5, 26
_WIDTHS = {1: 112, 2: 47, 3: 47}


@dataclass(slots=True)
class _Row:
    """The editors of one signal."""

    name: str
    item: QTableWidgetItem
    how: QComboBox
    low: NumberField
    high: NumberField

    @property
    def limits(self) -> tuple[float, float]:
        """What becomes 0 and 1; the usual percentiles where nothing is asked for."""
        if self.how.currentData() not in _LIMITS:
            return _LIMITS["percentile"]
        return float(self.low.value()), float(self.high.value())


class SignalTable(QWidget):
    """One row for each signal that the chosen files have in common."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._names: tuple[str, ...] = ()
        self.rows: list[_Row] = []
        self.table = QTableWidget(0, 4)
        self.clip = QCheckBox("cut off what lies outside the limits")
        self.clip.setToolTip("Values below 0 become 0 and values above 1 become 1.")
        self.clip.toggled.connect(lambda _: self.changed.emit())
        table = self.table
        table.setAccessibleName("Signals to learn from")
        table.setHorizontalHeaderLabels(["signal", "scale", "to 0", "to 1"])
        table.horizontalHeaderItem(0).setToolTip("Tick the signals that the network sees.")
        table.horizontalHeaderItem(1).setToolTip("How a signal is brought to the scale of the network.")
        table.horizontalHeaderItem(2).setToolTip("Percentile (0 to 100) or value that becomes 0.")
        table.horizontalHeaderItem(3).setToolTip("Percentile (0 to 100) or value that becomes 1.")
        table.verticalHeader().hide()
        table.verticalHeader().setDefaultSectionSize(_ROW_HEIGHT)
        table.setSelectionMode(QTableWidget.SelectionMode.NoSelection)
        table.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        table.horizontalHeader().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        for column, width in _WIDTHS.items():
            table.setColumnWidth(column, width)
        table.itemChanged.connect(lambda _: self.changed.emit())
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(3)
        column.addWidget(table)
        column.addWidget(self.clip)

    def offer(self, names: Sequence[str]) -> None:
        """Show these signals, all ticked; what was set of one that stays is kept."""
        if tuple(names) == self._names:
            return
        before = {row.name: (row.item.checkState(), row.how.currentIndex(), row.limits) for row in self.rows}
        self._names = tuple(names)
        with silent(self.table):
            self.table.setRowCount(0)
            self.table.setRowCount(len(names))
            self.rows = [self._made(i, name) for i, name in enumerate(names)]
            for row in self.rows:
                if row.name in before:
                    ticked, way, limits = before[row.name]
                    row.item.setCheckState(ticked)
                    row.how.setCurrentIndex(way)
                    row.low.setValue(limits[0])
                    row.high.setValue(limits[1])
        self.table.setFixedHeight((min(max(len(names), 1), _ROWS) + 1) * _ROW_HEIGHT + 4)
        self.changed.emit()

    @property
    def ticked(self) -> list[_Row]:
        """Those that are learnt from."""
        return [row for row in self.rows if row.item.checkState() == Qt.CheckState.Checked]

    def assignments(self) -> list[str]:
        """What is not as usual, each as ``name=value``."""
        chosen, found = self.ticked, []
        if len(chosen) < len(self.rows):
            found.append(f"signals={json.dumps([row.name for row in chosen])}")
        ways = [str(row.how.currentData()) for row in chosen]
        if any(way != "auto" for way in ways):
            found.append(f"normalise={json.dumps(ways)}")
        if any(way in _LIMITS and row.limits != _LIMITS[way] for way, row in zip(ways, chosen, strict=True)):
            found.append(f"limits={json.dumps([row.limits for row in chosen])}")
        return [*found, "clip_signals=true"] if self.clip.isChecked() else found

    def _made(self, i: int, name: str) -> _Row:
        item = QTableWidgetItem(name)
        item.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsUserCheckable)
        item.setCheckState(Qt.CheckState.Checked)
        item.setToolTip(plain(name))
        how = QComboBox()
        for key, text, tip in _WAYS:
            how.addItem(text, key)
            how.setItemData(how.count() - 1, plain(tip), Qt.ItemDataRole.ToolTipRole)
        how.setAccessibleName(f"Scale of {name}")
        row = _Row(name, item, how, _field(f"What becomes 0 of {name}"), _field(f"What becomes 1 of {name}"))
        self.table.setItem(i, 0, item)
        for column, widget in enumerate((how, row.low, row.high), 1):
            cell = QWidget()  # the table shows its cells again and again, also what was hidden
            inside = QHBoxLayout(cell)
            inside.setContentsMargins(0, 0, 0, 0)
            inside.addWidget(widget)
            self.table.setCellWidget(i, column, cell)
        how.currentIndexChanged.connect(lambda _: self._on_way(row))
        for number in (row.low, row.high):
            number.valueChanged.connect(lambda _: self.changed.emit())
        self._on_way(row)
        return row

    def _on_way(self, row: _Row) -> None:
        way = row.how.currentData()
        row.how.setToolTip(plain(str(row.how.currentData(Qt.ItemDataRole.ToolTipRole))))
        for number in (row.low, row.high):
            number.setVisible(way in _LIMITS)
        if way in _LIMITS:
            with silent(row.low, row.high):
                row.low.setValue(_LIMITS[way][0])
                row.high.setValue(_LIMITS[way][1])
        self.changed.emit()


def _field(name: str) -> Any:
    field = NumberField()
    field.setRange(-_FAR, _FAR)
    field.setButtonSymbols(NumberField.ButtonSymbols.NoButtons)
    field.setAccessibleName(name)
    field.setToolTip(plain(f"{name}: a percentile (0 to 100), or a value in its unit."))
    return field
