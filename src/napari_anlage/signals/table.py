"""The table of events: one row for each, sorted by any column."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from typing import Any

import numpy as np
from qtpy.QtCore import QModelIndex, Qt, Signal
from qtpy.QtWidgets import QAbstractItemView, QHeaderView

from anlage import Events
from napari_anlage.widgets.row_table import Rows, RowTable

__all__ = ["EventView"]

_TITLES = ("track", "frame", "time", "probability")
_TIME = 2
_QUICK_S = 1.0
"""Below so many seconds between frames times are given in seconds, not minutes."""
_HEIGHT = 150


class EventView(RowTable):
    """Click a row to go to its event."""

    picked = Signal(int, float)
    """Track and frame of the event that was clicked."""

    def __init__(self) -> None:
        super().__init__("the event")
        self._events: Events | None = None
        self.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setFixedHeight(_HEIGHT)
        self.clicked.connect(self._on_clicked)

    def show_events(self, events: Events) -> None:
        """Show what happened; tracks without the event have no row."""
        self._events = events.select(events.happened)
        self.show_rows(_Rows(self._events))

    @property
    def chosen_tracks(self) -> list[int]:
        """Tracks of the rows that are selected."""
        rows = {self.source_row(index) for index in self.selectionModel().selectedRows()}
        return [] if self._events is None else [int(self._events.tracks[row]) for row in sorted(rows)]

    def cells(self) -> list[list[str]]:
        """What is shown, from top to bottom."""
        rows, columns = self.sorted.rowCount(), self.sorted.columnCount()
        return [[str(self.sorted.index(i, j).data()) for j in range(columns)] for i in range(rows)]

    def _on_clicked(self, index: QModelIndex) -> None:
        if self._events is not None and index.isValid():
            row = self.source_row(index)
            self.picked.emit(int(self._events.tracks[row]), float(self._events.frames[row]))


class _Rows(Rows):
    def __init__(self, events: Events) -> None:
        quick = events.interval_s is not None and events.interval_s < _QUICK_S
        times = events.seconds if quick else events.seconds / 60
        super().__init__((events.tracks, events.frames, times, events.probability), len(events))
        self._unit, self._digits = ("s", 4) if quick else ("min", 1)

    def words(self, column: int, value: Any) -> str:
        if not np.isfinite(value):
            return "–"
        digits = (0, 1, self._digits, 2)[column]
        return f"{value:.{digits}f}"

    def headerData(self, section: int, orientation: Any, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return f"{_TITLES[section]}\n{self._unit}" if section == _TIME else _TITLES[section]
        return None
