"""Choose what the colours of tracks mean (track, lineage, error), with a legend."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from typing import Any

from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QLinearGradient, QPainter
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from napari_anlage.session.session import Session
from napari_anlage.viewer.colouring import CERTAIN, RAMP, Colouring
from napari_anlage.widgets.connect import connect, disconnect
from napari_anlage.widgets.silent import silent

__all__ = ["ColourChoice", "ErrorLegend"]

_TITLES = {
    Colouring.TRACK: "Track",
    Colouring.LINEAGE: "Lineage",
    Colouring.ERROR: "Error probability",
}
_BAR, _TEXT, _CHIP = 12, 15, 14


class ErrorLegend(QWidget):
    """The colours of error probabilities, with their numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setToolTip(
            "Error probability of the link to a nucleus: one minus the calibrated probability that it is right."
        )

    def sizeHint(self) -> QSize:
        """A bar and its numbers."""
        return QSize(300, _BAR + _TEXT + 4)

    def paintEvent(self, event: Any) -> None:
        """A bar whose steps are the ramp's, evenly wide, and a chip for a human's links."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        font = painter.font()
        font.setPointSizeF(8.5)
        painter.setFont(font)
        colour = self.palette().color(self.foregroundRole())
        human = painter.fontMetrics().horizontalAdvance("yours") + _CHIP + 8
        width = self.width() - human - 12
        bar = QRectF(0, 1, width, _BAR)
        gradient = QLinearGradient(QPointF(bar.left(), 0), QPointF(bar.right(), 0))
        for i, (_, ink) in enumerate(RAMP):
            gradient.setColorAt(i / (len(RAMP) - 1), QColor(ink))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(gradient)
        painter.drawRoundedRect(bar, 3, 3)
        painter.setBrush(QColor(CERTAIN))
        chip = QRectF(width + 12, 1, _CHIP, _BAR)
        painter.drawRoundedRect(chip, 3, 3)
        painter.setPen(colour)
        for i, (step, _) in enumerate(RAMP):
            last = i == len(RAMP) - 1
            text = f"{'≥ ' if last else ''}{100 * step:.0f} %"
            wide = painter.fontMetrics().horizontalAdvance(text)
            x = i / (len(RAMP) - 1) * width - (0 if i == 0 else wide if last else wide / 2)
            painter.drawText(QPointF(x, _BAR + _TEXT), text)
        painter.drawText(QPointF(width + 12 + _CHIP + 4, _BAR), "yours")
        painter.end()


class ColourChoice(QWidget):
    """What colours say, for the whole viewer."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self.combo = QComboBox()
        for colouring, title in _TITLES.items():
            self.combo.addItem(title, colouring)
        self.combo.setToolTip("What the colours of nuclei and their links say, in the viewer and in the lineage tree.")
        self.combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.combo.setMinimumContentsLength(8)
        self.tree = QPushButton("Lineage tree")
        self.tree.setToolTip("Opens the lineage tree below the image; a click in it goes there.")
        self.legend = ErrorLegend()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        row = QHBoxLayout()
        row.addWidget(self.combo, 1)
        row.addWidget(self.tree)
        column.addLayout(row)
        column.addWidget(self.legend)
        self.combo.currentIndexChanged.connect(self._on_chosen)
        self.tree.clicked.connect(self.open_tree)
        connect(session.colouring_changed, self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show what is chosen."""
        with silent(self.combo):
            self.combo.setCurrentIndex(self.combo.findData(self._session.colouring))
        self.legend.setVisible(self._session.colouring == Colouring.ERROR)

    def open_tree(self) -> None:
        """Show the lineage tree."""
        from napari_anlage.lineage.panel import open_lineage

        open_lineage(self._session.viewer)

    def _on_chosen(self) -> None:
        self._session.colour_by(self.combo.currentData())

    def retire(self) -> None:
        """Listen no more."""
        disconnect(self._session.colouring_changed, self.refresh)
