"""The live plot of a training: losses above, score on held-out data below."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyqtgraph as pg
from qtpy.QtCore import QSize
from qtpy.QtGui import QPalette
from qtpy.QtWidgets import QSizePolicy, QWidget

from anlage import Curve

__all__ = ["LearningPlot"]

_TRAIN, _HELD_OUT, _SCORE, _BEST = "#5aa9e6", "#ffb000", "#3fc58a", "#ff5a5f"


_HEIGHT = 256
_MOST_TICKS = 5


class _LossAxis(pg.AxisItem):
    """Numbers at 1, 2 and 5 of every power of ten, or round ones where less than a power of ten is shown.

    pyqtgraph itself writes all nine over one another, or none.
    """

    def tickValues(self, minVal: float, maxVal: float, size: float) -> list[Any]:
        if not self.logMode:
            return list(super().tickValues(minVal, maxVal, size))
        if maxVal - minVal > 1:
            decades = range(math.floor(minVal), math.ceil(maxVal) + 1)
            marks = [math.log10(digit) + decade for decade in decades for digit in (1, 2, 5)]
        else:
            low, high = 10.0**minVal, 10.0**maxVal
            step = 10.0 ** math.floor(math.log10(max(high - low, 1e-12)))
            step *= next(k for k in (0.2, 0.5, 1, 2) if (high - low) / (k * step) <= _MOST_TICKS or k == 2)
            marks = [math.log10(k * step) for k in range(max(1, math.ceil(low / step)), math.floor(high / step) + 1)]
        return [(1.0, [mark for mark in marks if minVal <= mark <= maxVal])]

    def logTickStrings(self, values: list[float], scale: float, spacing: float) -> list[str]:
        return [f"{10.0**value * scale:.4g}" for value in values]


class LearningPlot(pg.GraphicsLayoutWidget):
    """Training and validation loss (log or linear) and the validation score, over optimiser steps."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent=parent)
        self.setBackground(None)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(_HEIGHT)
        self.ci.layout.setContentsMargins(0, 0, 6, 4)
        self.ci.layout.setSpacing(2)
        self._losses: Any = self.addPlot(row=0, col=0, axisItems={"left": _LossAxis("left")})
        self._scores: Any = self.addPlot(row=1, col=0)
        self.ci.layout.setRowStretchFactor(0, 3)
        self.ci.layout.setRowStretchFactor(1, 2)
        self._scores.setXLink(self._losses)
        self._scores.setYRange(0, 1, padding=0.16)
        self._scores.getAxis("left").setTicks([[(0.0, "0"), (0.5, "0.5"), (1.0, "1")], []])
        self._scores.setLabel("bottom", "step")
        self._losses.setLabel("left", "loss")
        self._scores.setLabel("left", "score")
        for plot in (self._losses, self._scores):
            plot.hideButtons()
            plot.setMenuEnabled(False)
            plot.setMouseEnabled(x=False, y=False)
            plot.showGrid(x=True, y=True, alpha=0.15)
            plot.getAxis("left").setWidth(46)
        self._losses.getAxis("bottom").setStyle(showValues=False)
        self._train = self._losses.plot(pen=pg.mkPen(_TRAIN, width=1.5))
        dots = {"symbol": "o", "symbolSize": 5, "symbolPen": None}
        self._held_out = self._losses.plot(pen=pg.mkPen(_HELD_OUT, width=2), symbolBrush=_HELD_OUT, **dots)
        self._score = self._scores.plot(pen=pg.mkPen(_SCORE, width=2), symbolBrush=_SCORE, **dots)
        self._best = self._scores.plot(pen=None, symbol="star", symbolSize=13, symbolBrush=_BEST, symbolPen=None)
        self.set_log(on=True)

    @staticmethod
    def legend() -> str:
        """What the colours mean, as rich text for a label."""
        entries = (
            (_TRAIN, "●", "training"),
            (_HELD_OUT, "●", "held-out"),
            (_SCORE, "●", "score"),
            (_BEST, "★", "best"),
        )
        return " &nbsp;".join(f"<span style='color:{colour}'>{mark}</span> {name}" for colour, mark, name in entries)

    def set_log(self, *, on: bool) -> None:
        """Show the losses on a logarithmic axis or not."""
        self._losses.setLogMode(y=on)

    def show_curve(self, curve: Curve) -> None:
        """Draw what a run told so far."""
        self._train.setData(*_columns(curve.train))
        self._held_out.setData(*_columns(curve.validation))
        steps, scores = _columns(curve.score)
        self._score.setData(steps, scores)
        best = [(step, score) for step, score in curve.score if step == curve.best_step]
        self._best.setData(*_columns(best[-1:]))

    def changeEvent(self, event: Any) -> None:
        """Follow the theme's text colour."""
        super().changeEvent(event)
        if event.type() in (event.Type.PaletteChange, event.Type.StyleChange) and hasattr(self, "_scores"):
            self.follow_palette()

    def follow_palette(self) -> None:
        """Axes and their labels in the theme's text colour."""
        colour = self.palette().color(QPalette.ColorRole.WindowText)
        for plot in (self._losses, self._scores):
            for side in ("left", "bottom"):
                axis = plot.getAxis(side)
                axis.setPen(colour)
                axis.setTextPen(colour)

    def sizeHint(self) -> QSize:
        """Small: pyqtgraph's own 640 × 480 would eat the canvas."""
        return QSize(300, _HEIGHT)

    def wheelEvent(self, event: Any) -> None:
        """Leave scrolling to the tab around the plot."""
        event.ignore()


def _columns(points: list[tuple[int, float]]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    kept = [(step, value) for step, value in points if math.isfinite(value)]
    table = np.array(kept, dtype=float).reshape(-1, 2)
    return table[:, 0], table[:, 1]
