"""A bar of counts side by side."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qtpy.QtCore import QRectF, Qt
from qtpy.QtGui import QColor, QPainter
from qtpy.QtWidgets import QSizePolicy, QWidget

__all__ = ["CountBar"]


class CountBar(QWidget):
    """Counts beside one another, as a bar."""

    def __init__(self) -> None:
        super().__init__()
        self.setFixedHeight(10)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._parts: list[tuple[int, str]] = []

    def show_counts(self, parts: Sequence[tuple[int, str]]) -> None:
        """Draw these, each with its colour."""
        self._parts = list(parts)
        self.update()

    def paintEvent(self, event: Any) -> None:
        """Draw the bar."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        total, at = max(sum(n for n, _ in self._parts), 1), 0.0
        for n, colour in self._parts:
            width = self.width() * n / total
            shade = QColor(colour[:7])
            shade.setAlpha(int(colour[7:] or "ff", 16))
            painter.setBrush(shade)
            painter.drawRect(QRectF(at, 0, width, self.height()))
            at += width
        painter.end()
