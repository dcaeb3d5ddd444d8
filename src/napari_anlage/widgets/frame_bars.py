"""A bar chart of the number of nuclei in each frame; a click goes to the frame."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QEvent, QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QPainter
from qtpy.QtWidgets import QSizePolicy, QToolTip, QWidget

from anlage.wording import plural
from napari_anlage.widgets.basic import COLOURS
from napari_anlage.widgets.escaping import plain

__all__ = ["FrameBars"]

_HEIGHT = 46
_FOOT = 4


class FrameBars(QWidget):
    """A bar for each frame; frames without a nucleus between annotated ones are marked."""

    chosen = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self.counts: npt.NDArray[np.int64] = np.zeros(1, dtype=np.int64)
        self.frame = 0
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(_HEIGHT)
        self.setMouseTracking(True)
        self.setCursor(Qt.CursorShape.PointingHandCursor)

    def show_counts(self, frames: npt.NDArray[np.int64], n_frames: int) -> None:
        """Show how many of these nuclei, by frame, there are."""
        counts = np.bincount(frames[(frames >= 0) & (frames < n_frames)], minlength=max(n_frames, 1))
        if not np.array_equal(counts, self.counts):
            self.counts = counts
            self.update()

    def show_frame(self, frame: int) -> None:
        """Mark the frame that the viewer shows."""
        if frame != self.frame:
            self.frame = frame
            self.update()

    @property
    def gaps(self) -> npt.NDArray[np.bool_]:
        """Which frames have no nucleus though others before and after have."""
        some = np.flatnonzero(self.counts)
        between = np.zeros(len(self.counts), dtype=bool)
        if len(some):
            between[some[0] : some[-1] + 1] = True
        empty: npt.NDArray[np.bool_] = between & (self.counts == 0)
        return empty

    def sizeHint(self) -> QSize:
        """As wide as there is room."""
        return QSize(200, _HEIGHT)

    def paintEvent(self, event: Any) -> None:
        """Draw the bars."""
        painter = QPainter(self)
        n, width, height = len(self.counts), self.width(), self.height() - _FOOT
        step, most = width / n, max(int(self.counts.max()), 1)
        text = self.palette().color(self.foregroundRole())
        faint = QColor(text)
        faint.setAlpha(30)
        painter.fillRect(QRectF(0, height, width, 1), faint)
        gap = min(1.0, step / 4)
        empty = self.gaps
        for t, count in enumerate(self.counts.tolist()):
            if count:
                bar = max(2.0, (height - 4) * count / most)
                painter.fillRect(QRectF(t * step, height - bar, max(step - gap, 1.0), bar), QColor(COLOURS["info"]))
            elif empty[t]:
                painter.fillRect(QRectF(t * step, height - 3, max(step - gap, 1.0), 3), QColor(COLOURS["warning"]))
        here = QColor(text)
        here.setAlpha(220)
        painter.fillRect(QRectF(self.frame * step, height + 1, max(step - gap, 2.0), _FOOT - 1), here)
        painter.end()

    def mousePressEvent(self, event: Any) -> None:
        """Go to the frame that was clicked."""
        self.chosen.emit(self._frame_at(event.position().x()))

    def event(self, event: Any) -> bool:
        """Tell frame and count in the tooltip."""
        if event.type() == QEvent.Type.ToolTip:
            t = self._frame_at(event.pos().x())
            QToolTip.showText(
                event.globalPos(), plain(f"Frame {t}: {plural(int(self.counts[t]), 'nucleus', 'nuclei')}"), self
            )
            return True
        return bool(super().event(event))

    def _frame_at(self, x: float) -> int:
        return int(np.clip(x * len(self.counts) / max(self.width(), 1), 0, len(self.counts) - 1))
