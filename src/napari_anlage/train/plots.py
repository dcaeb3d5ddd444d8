"""Plots of training curves: loss above, validation score below; one run or several."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyqtgraph as pg
from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QPalette
from qtpy.QtWidgets import QSizePolicy, QWidget

from anlage import Curve
from napari_anlage.widgets.theme import plot_colours_for

__all__ = ["ComparisonPlot", "LearningPlot"]

_HEIGHT = 256
_MOST_TICKS = 5
_FAINT = 110


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


class _Panels(pg.GraphicsLayoutWidget):
    """Losses (log or linear) above, scores below, over optimiser steps; colours follow the theme."""

    recoloured = Signal()
    """The theme changed, and with it the colours."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent=parent)
        self.setBackground(None)
        self.plot_colours = plot_colours_for(self)
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

    def set_log(self, *, on: bool) -> None:
        """Show the losses on a logarithmic axis or not."""
        self._losses.setLogMode(y=on)

    def changeEvent(self, event: Any) -> None:
        """Follow the theme."""
        super().changeEvent(event)
        if event.type() in (event.Type.PaletteChange, event.Type.StyleChange) and hasattr(self, "_scores"):
            self.follow_palette()

    def follow_palette(self) -> None:
        """Axes in the theme's text colour, curves in colours that can be read on it."""
        colour = self.palette().color(QPalette.ColorRole.WindowText)
        for plot in (self._losses, self._scores):
            for side in ("left", "bottom"):
                axis = plot.getAxis(side)
                axis.setPen(colour)
                axis.setTextPen(colour)
        self.plot_colours = plot_colours_for(self)
        self._recolour()
        self.recoloured.emit()

    def _recolour(self) -> None:
        """Give the curves their colours."""

    def wheelEvent(self, event: Any) -> None:
        """Leave scrolling to the tab around the plot."""
        event.ignore()


class LearningPlot(_Panels):
    """One run: training and held-out loss, and its score with the best so far marked."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(_HEIGHT)
        dots = {"symbol": "o", "symbolSize": 5, "symbolPen": None}
        self._train = self._losses.plot()
        self._held_out = self._losses.plot(**dots)
        self._score = self._scores.plot(**dots)
        self._best = self._scores.plot(pen=None, symbol="star", symbolSize=13, symbolPen=None)
        self._marks = [pg.InfiniteLine(angle=90) for _ in (self._losses, self._scores)]
        for mark, plot in zip(self._marks, (self._losses, self._scores), strict=True):
            mark.setZValue(-10)
            mark.hide()
            plot.addItem(mark, ignoreBounds=True)
        self._recolour()
        self.set_log(on=True)

    def legend(self) -> str:
        """What the colours mean, as rich text for a label."""
        plot_colours = self.plot_colours
        entries = (
            (plot_colours.train, "●", "training"),
            (plot_colours.held_out, "●", "held-out"),
            (plot_colours.score, "●", "score"),
            (plot_colours.best, "★", "best"),
        )
        return " &nbsp;".join(f"<span style='color:{colour}'>{mark}</span> {name}" for colour, mark, name in entries)

    def show_curve(self, curve: Curve) -> None:
        """Draw the events of a run so far."""
        self._train.setData(*_columns(curve.train))
        self._held_out.setData(*_columns(curve.validation))
        self._score.setData(*_columns(curve.score))
        best = [(step, score) for step, score in curve.score if step == curve.best_step]
        self._best.setData(*_columns(best[-1:]))
        for mark in self._marks:
            mark.setVisible(bool(best))
            mark.setValue(best[-1][0] if best else 0)

    def _recolour(self) -> None:
        plot_colours = self.plot_colours
        self._train.setPen(pg.mkPen(plot_colours.train, width=1.5))
        for line, colour in ((self._held_out, plot_colours.held_out), (self._score, plot_colours.score)):
            line.setPen(pg.mkPen(colour, width=2))
            line.setSymbolBrush(colour)
        self._best.setSymbolBrush(plot_colours.best)
        for mark in self._marks:
            mark.setPen(pg.mkPen(plot_colours.best, width=1, style=Qt.PenStyle.DotLine))

    def sizeHint(self) -> QSize:
        """Small: pyqtgraph's own 640 × 480 would eat the canvas."""
        return QSize(300, _HEIGHT)


class ComparisonPlot(_Panels):
    """Several runs over one another: held-out loss (thick) and training loss (thin) above, scores below."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        # a run's lines stay once they are made: taking items out of a scene that is being painted can crash Qt
        self._lines: dict[int, tuple[Any, Any, Any, Any]] = {}
        self.set_log(on=True)

    def colour_of(self, index: int) -> str:
        """Colour of the run with this number; it stays when other runs come and go."""
        return self.plot_colours.runs[index % len(self.plot_colours.runs)]

    def show_curves(self, curves: Sequence[tuple[int, Curve]]) -> None:
        """Draw runs, each with the number that gives its colour, and no others."""
        shown = dict(curves)
        for index, lines in self._lines.items():
            if index not in shown:
                for line in lines:
                    line.setData([], [])
        for index, curve in curves:
            if index not in self._lines:
                self._lines[index] = self._new_lines()
                self._colour(index)
            best = [(step, score) for step, score in curve.score if step == curve.best_step]
            for line, points in zip(
                self._lines[index], (curve.train, curve.validation, curve.score, best[-1:]), strict=True
            ):
                line.setData(*_columns(points))

    def shown(self) -> list[int]:
        """Numbers of the runs that are drawn."""
        return [
            index
            for index, lines in self._lines.items()
            if any(line.xData is not None and len(line.xData) for line in lines)
        ]

    def _new_lines(self) -> tuple[Any, Any, Any, Any]:
        dots = {"symbol": "o", "symbolSize": 4, "symbolPen": None}
        star = self._scores.plot(pen=None, symbol="star", symbolSize=14, symbolPen=None)
        return self._losses.plot(), self._losses.plot(**dots), self._scores.plot(**dots), star

    def _colour(self, index: int) -> None:
        colour = pg.mkColor(self.colour_of(index))
        faint = pg.mkColor(colour)
        faint.setAlpha(_FAINT)
        train, held_out, score, best = self._lines[index]
        train.setPen(pg.mkPen(faint, width=1))
        for line in (held_out, score):
            line.setPen(pg.mkPen(colour, width=2))
            line.setSymbolBrush(colour)
        best.setSymbolBrush(colour)

    def _recolour(self) -> None:
        for index in self._lines:
            self._colour(index)

    def sizeHint(self) -> QSize:
        return QSize(620, 320)


def _columns(points: list[tuple[int, float]]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    kept = [(step, value) for step, value in points if math.isfinite(value)]
    table = np.array(kept, dtype=float).reshape(-1, 2)
    return table[:, 0], table[:, 1]
