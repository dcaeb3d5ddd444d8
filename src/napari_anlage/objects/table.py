"""The table of measured objects: one row each, with names and units."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from typing import Any

import numpy as np
from qtpy.QtCore import QModelIndex, Qt, Signal

from anlage import ObjectTable
from napari_anlage.widgets.escaping import plain
from napari_anlage.widgets.row_table import Rows, RowTable
from napari_anlage.widgets.silent import silent

__all__ = ["ObjectView", "title_of"]

_UNITS = {"um3": "µm³", "um2": "µm²", "um": "µm", "s": "s"}
_WORDS = {
    "label": "object", "n_voxels": "voxels", "cut_by_border": "cut by border", "equivalent_diameter_um": "diameter\nµm",
    "t": "frame",
}  # fmt: skip
_FIRST = (
    "label", "t", "volume_um3", "area_um2", "equivalent_diameter_um", "surface_um2", "perimeter_um", "sphericity", "circularity",
    "axis_major_um", "axis_middle_um", "axis_minor_um",
)  # fmt: skip
_HIDDEN = {"id", "t_s", "z_min", "z_max", "y_min", "y_max", "x_min", "x_max"}


class ObjectView(RowTable):
    """Sortable by any column; says which object was clicked, and shows which is picked elsewhere."""

    picked = Signal(int)
    """The user chose the object of this row of the table."""

    def __init__(self) -> None:
        super().__init__("the object")
        self.table: ObjectTable | None = None
        self._model: _Rows | None = None
        self.setMinimumHeight(180)
        self.selectionModel().currentRowChanged.connect(self._on_row)

    def show_table(self, table: ObjectTable | None) -> None:
        """Show these objects, in the order of the table."""
        self.table = table
        self._model = None if table is None else _Rows(table)
        self.show_rows(self._model)
        self.resizeColumnsToContents()

    def rows(self) -> list[int]:
        """Rows of the table from top to bottom, as sorted."""
        return [self.source_row(self.sorted.index(i, 0)) for i in range(self.sorted.rowCount())]

    def pick(self, row: int | None) -> None:
        """Mark a row that was picked elsewhere; emits nothing."""
        selection = self.selectionModel()
        with silent(selection):
            if row is None or self._model is None:
                self.clearSelection()
            else:
                index = self.sorted.mapFromSource(self._model.index(row, 0))
                self.setCurrentIndex(index)
                self.selectRow(index.row())
                self.scrollTo(index)
        self.viewport().update()

    def _on_row(self, index: QModelIndex, _: QModelIndex) -> None:
        if index.isValid():
            self.picked.emit(self.source_row(index))


class _Rows(Rows):
    """The columns that are worth looking at, the rest is in the file."""

    def __init__(self, table: ObjectTable) -> None:
        columns = table.columns
        hidden = _HIDDEN | ({"t"} if len(np.unique(columns["t"])) < 2 else set())
        first = [name for name in _FIRST if name in columns and name not in hidden]
        self._names = first + [name for name in columns if name not in first and name not in hidden]
        super().__init__([columns[name] for name in self._names], len(table))

    def words(self, column: int, value: Any) -> str:
        if self._names[column] == "cut_by_border":
            return "yes" if value else ""
        return str(int(value)) if isinstance(value, np.integer) else f"{float(value):.4g}"

    def headerData(self, section: int, orientation: Any, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return title_of(self._names[section])
        return plain(f"{self._names[section]} in the file") if role == Qt.ItemDataRole.ToolTipRole else None


def title_of(column: str) -> str:
    """A column's name for people, its unit below it: ``volume_um3`` is volume, µm³."""
    if column in _WORDS:
        return _WORDS[column]
    if column in ("z", "y", "x"):
        return f"{column}\nvoxels"
    words = column.split("_")
    unit = _UNITS.get(words[-1], "") if len(words) > 1 else ""
    return "\n".join([" ".join(words[:-1]), unit]) if unit else " ".join(words)
