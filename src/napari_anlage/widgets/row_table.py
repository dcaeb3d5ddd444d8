"""A read-only table that sorts by any column and selects whole rows."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from typing import Any

from qtpy.QtCore import QAbstractTableModel, QModelIndex, QSortFilterProxyModel, Qt
from qtpy.QtWidgets import QAbstractItemView, QTableView

from napari_anlage.widgets.escaping import plain

__all__ = ["VALUE", "RowTable", "Rows"]

VALUE = Qt.ItemDataRole.UserRole
"""The role under which a cell gives the number that it is sorted by."""


class RowTable(QTableView):
    """What tables of events and of objects share.

    Parameters
    ----------
    what
        What a row is, after *Click a row to go to*.
    """

    def __init__(self, what: str) -> None:
        super().__init__()
        self.sorted = QSortFilterProxyModel(self)
        self.sorted.setSortRole(VALUE)
        self.setModel(self.sorted)
        self.setSortingEnabled(True)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setToolTip(plain(f"Click a row to go to {what}; click a heading to sort."))
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(20)

    def show_rows(self, rows: Rows | None) -> None:
        """Show these, in their own order."""
        self.sorted.setSourceModel(rows)
        self.sorted.sort(-1)

    def source_row(self, index: QModelIndex) -> int:
        """The row of the source that a cell belongs to."""
        return int(self.sorted.mapToSource(index).row())


class Rows(QAbstractTableModel):
    """Columns of numbers, right aligned; `words` says how one is written."""

    def __init__(self, columns: Any, n: int) -> None:
        super().__init__()
        self._columns, self._n = columns, n

    def words(self, column: int, value: Any) -> str:
        """A cell for people."""
        raise NotImplementedError

    def rowCount(self, parent: Any = None) -> int:
        return 0 if parent is not None and parent.isValid() else self._n

    def columnCount(self, parent: Any = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self._columns)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        value = self._columns[index.column()][index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return self.words(index.column(), value)
        if role == VALUE:
            return float(value)
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        return None
