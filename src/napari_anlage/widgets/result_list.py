"""The list of predictions or tracks in the project folder."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QListWidget, QListWidgetItem

from napari_anlage.widgets.escaping import plain
from napari_anlage.widgets.silent import silent

__all__ = ["Listed", "ResultList"]


class Listed(Protocol):
    """What has a line in the list."""

    @property
    def path(self) -> Path: ...

    @property
    def title(self) -> str: ...


class ResultList(QListWidget):
    """Results by their titles, with their files as tooltips.

    Parameters
    ----------
    height
        In pixels; more lines than fit are scrolled to.
    """

    def __init__(self, height: int) -> None:
        super().__init__()
        self.setFixedHeight(height)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)

    @property
    def chosen(self) -> Any:
        """The chosen result; None: none."""
        item = self.currentItem()
        return None if item is None else item.data(Qt.ItemDataRole.UserRole)

    def offer(self, found: Sequence[Listed], kept: Listed | None) -> None:
        """List these, `kept` chosen, or the first where it is not among them; emits nothing."""
        with silent(self):
            self.clear()
            for result in found:
                item = QListWidgetItem(result.title)
                item.setData(Qt.ItemDataRole.UserRole, result)
                item.setToolTip(plain(str(result.path)))
                self.addItem(item)
            paths = [result.path for result in found]
            self.setCurrentRow(paths.index(kept.path) if kept is not None and kept.path in paths else 0)
