"""The table of events: one row for each, sorted by any column."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from typing import Any

import numpy as np
from qtpy.QtCore import QAbstractTableModel, QModelIndex, QSortFilterProxyModel, Qt, Signal
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableView

from anlage import Events

__all__ = ["EventView"]

_TITLES = ("track", "frame", "time\nmin", "probability")
_VALUE = Qt.ItemDataRole.UserRole
_HEIGHT = 150


class EventView(QTableView):
    """Click a row to go to its event."""

    picked = Signal(int, float)
    """Track and frame of the event that was clicked."""

    def __init__(self) -> None:
        super().__init__()
        self._events: Events | None = None
        self._sorted = QSortFilterProxyModel(self)
        self._sorted.setSortRole(_VALUE)
        self.setModel(self._sorted)
        self.setSortingEnabled(True)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setToolTip("Click a row to go to the event; click a heading to sort.")
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(20)
        self.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        self.setFixedHeight(_HEIGHT)
        self.clicked.connect(self._on_clicked)

    def show_events(self, events: Events) -> None:
        """Show what happened; tracks without the event have no row."""
        self._events = events.select(events.happened)
        self._sorted.setSourceModel(_Rows(self._events))
        self._sorted.sort(-1)

    def cells(self) -> list[list[str]]:
        """What is shown, from top to bottom."""
        rows, columns = self._sorted.rowCount(), self._sorted.columnCount()
        return [[str(self._sorted.index(i, j).data()) for j in range(columns)] for i in range(rows)]

    def _on_clicked(self, index: QModelIndex) -> None:
        if self._events is not None and index.isValid():
            row = self._sorted.mapToSource(index).row()
            self.picked.emit(int(self._events.tracks[row]), float(self._events.frames[row]))


class _Rows(QAbstractTableModel):
    def __init__(self, events: Events) -> None:
        super().__init__()
        self._columns = (events.tracks, events.frames, events.seconds / 60, events.probability)

    def rowCount(self, parent: Any = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self._columns[0])

    def columnCount(self, parent: Any = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(_TITLES)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        value = self._columns[index.column()][index.row()]
        if role == _VALUE:
            return float(value)
        if role == Qt.ItemDataRole.DisplayRole:
            if not np.isfinite(value):
                return "–"
            return str(int(value)) if index.column() == 0 else f"{value:.2f}" if index.column() == 3 else f"{value:.1f}"
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        return None

    def headerData(self, section: int, orientation: Any, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return _TITLES[section]
        return None
