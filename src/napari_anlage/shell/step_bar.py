"""The tab buttons in two rows, because seven tabs side by side are wider than a dock."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QColor, QIcon, QPainter, QPixmap
from qtpy.QtWidgets import QButtonGroup, QGridLayout, QPushButton, QSizePolicy, QWidget

from napari_anlage.widgets.basic import COLOURS

__all__ = ["StepBar"]

_DOT = 8
_IN_A_ROW = 4
_STYLE = (
    "QPushButton{padding:4px 2px;border-radius:3px;background:rgba(128,128,128,30)}"
    "QPushButton:hover{background:rgba(128,128,128,70)}"
    "QPushButton:checked{background:#4361c9;color:white;font-weight:600}"
)


class StepBar(QWidget):
    """One button for each step, with a dot that says how it stands."""

    chosen = Signal(int)
    """The user wants this step."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 2)
        layout.setSpacing(2)
        self.buttons = [QPushButton(name) for name in names]
        self._group = QButtonGroup(self)
        for i, button in enumerate(self.buttons):
            button.setCheckable(True)
            button.setStyleSheet(_STYLE)
            button.setIconSize(QSize(_DOT, _DOT))
            button.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
            self._group.addButton(button, i)
            layout.addWidget(button, i // _IN_A_ROW, i % _IN_A_ROW)
            self.show_kind(i, "idle")
        self._group.idClicked.connect(self.chosen)

    def show_current(self, step: int) -> None:
        """Mark the step that is shown."""
        self.buttons[step].setChecked(True)

    def show_kind(self, step: int, kind: str) -> None:
        """How a step stands: idle, info, good, warning or error."""
        self.buttons[step].setIcon(_dot(kind))


def _dot(kind: str) -> QIcon:
    """A dot in the colour of a kind of sentence."""
    picture = QPixmap(_DOT, _DOT)
    picture.fill(Qt.GlobalColor.transparent)
    painter = QPainter(picture)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setBrush(QColor(COLOURS[kind]))
    painter.setPen(Qt.PenStyle.NoPen)
    painter.drawEllipse(1, 1, _DOT - 2, _DOT - 2)
    painter.end()
    return QIcon(picture)
