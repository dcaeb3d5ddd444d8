"""The tab buttons in two rows, because seven tabs side by side are wider than a dock."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from collections.abc import Mapping

from qtpy.QtCore import QRectF, QSize, Qt, Signal
from qtpy.QtGui import QIcon, QPainter, QPixmap
from qtpy.QtWidgets import QButtonGroup, QGridLayout, QPushButton, QSizePolicy, QWidget

from napari_anlage.widgets.basic import draw_mark
from napari_anlage.widgets.escaping import plain

__all__ = ["StepBar"]

_DOT = 8
_IN_A_ROW = 4
_STYLE = (
    "QPushButton{padding:4px 2px;border-radius:3px;background:rgba(128,128,128,30)}"
    "QPushButton:hover{background:rgba(128,128,128,70)}"
    "QPushButton:checked{background:#4361c9;color:white}"
)


class StepBar(QWidget):
    """One button for each step, with a mark that says how it stands, and one for help.

    Parameters
    ----------
    steps
        The name of each step, and a sentence on what is done there.
    """

    chosen = Signal(int)
    """The user wants this step."""

    def __init__(self, steps: Mapping[str, str]) -> None:
        super().__init__()
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 2)
        layout.setSpacing(2)
        self.buttons = [QPushButton(name) for name in steps]
        self._group = QButtonGroup(self)
        for i, (button, tip) in enumerate(zip(self.buttons, steps.values(), strict=True)):
            button.setToolTip(plain(tip))
            button.setCheckable(True)
            button.setStyleSheet(_STYLE)
            button.setIconSize(QSize(_DOT, _DOT))
            button.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
            self._group.addButton(button, i)
            layout.addWidget(button, i // _IN_A_ROW, i % _IN_A_ROW)
            self.show_kind(i, "idle")
        self._group.idClicked.connect(self.chosen)
        self.help = QPushButton("Help")
        self.help.setToolTip(plain("Opens the page about this step."))
        self.help.setStyleSheet(_STYLE)
        self.help.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        layout.addWidget(self.help, len(steps) // _IN_A_ROW, len(steps) % _IN_A_ROW)

    def show_current(self, step: int) -> None:
        """Mark the step that is shown."""
        self.buttons[step].setChecked(True)

    def show_kind(self, step: int, kind: str) -> None:
        """How a step stands: idle, info, good, warning or error."""
        self.buttons[step].setIcon(_dot(kind))


def _dot(kind: str) -> QIcon:
    """The mark of a kind of sentence."""
    picture = QPixmap(_DOT, _DOT)
    picture.fill(Qt.GlobalColor.transparent)
    painter = QPainter(picture)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    draw_mark(painter, QRectF(1, 1, _DOT - 2, _DOT - 2), kind)
    painter.end()
    return QIcon(picture)
