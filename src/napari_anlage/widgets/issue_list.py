"""Issues as a list of sentences; a click goes to the place of one."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QListWidget, QListWidgetItem

from napari_anlage.widgets.escaping import plain

__all__ = ["IssueList"]


class IssueList(QListWidget):
    """Sentences that break at the list's edge; hidden while there are none.

    Parameters
    ----------
    height
        In pixels.
    tooltip
        Of the list; each line has its whole text.
    """

    picked = Signal(int)
    """A line was clicked."""

    def __init__(self, height: int, tooltip: str = "Click to go there.") -> None:
        super().__init__()
        self.setWordWrap(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFixedHeight(height)
        self.setToolTip(plain(tooltip))
        self.itemClicked.connect(lambda item: self.picked.emit(self.row(item)))

    def show_lines(self, lines: Sequence[str], texts: Sequence[str] | None = None) -> None:
        """Show these; `texts` are what their tooltips say instead. Equal lines stay as they are, with what is chosen."""
        if list(lines) != [self.item(i).text() for i in range(self.count())]:
            self.clear()
            for line, text in zip(lines, lines if texts is None else texts, strict=True):
                item = QListWidgetItem(line)
                item.setToolTip(plain(text))
                self.addItem(item)
        self.setVisible(bool(lines))
