"""A plot that is redrawn when the theme changes."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyqtgraph as pg
from qtpy.QtGui import QPalette
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_anlage.widgets.theme import PlotColours, plot_colours_for

__all__ = ["Draw", "Picture"]

_HEIGHT = 220
Draw = Callable[[Any, PlotColours, Any], None]
"""Draws into an empty plot, with these plot colours and this colour of text."""


class Picture(pg.GraphicsLayoutWidget):
    """A plot with its axes named; what is in it is drawn by a function."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent=parent)
        self.setBackground(None)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(_HEIGHT)
        self.ci.layout.setContentsMargins(0, 4, 8, 2)
        self._draw: Draw | None = None
        self.plot: Any = self.addPlot()
        self.plot.hideButtons()
        self.plot.setMenuEnabled(False)
        self.plot.setMouseEnabled(x=False, y=False)
        for side in ("left", "bottom"):
            self.plot.getAxis(side).enableAutoSIPrefix(enable=False)

    def show_drawing(self, draw: Draw | None) -> None:
        """Draw this, and nothing else."""
        self._draw = draw
        self._redraw()

    def changeEvent(self, event: Any) -> None:
        """Follow the theme."""
        super().changeEvent(event)
        if event.type() in (event.Type.PaletteChange, event.Type.StyleChange) and hasattr(self, "plot"):
            self._redraw()

    def wheelEvent(self, event: Any) -> None:
        """Leave scrolling to the tab around the picture."""
        event.ignore()

    def _redraw(self) -> None:
        self.resetCachedContent()  # pyqtgraph keeps the background of the former theme
        plot, colour = self.plot, self.palette().color(QPalette.ColorRole.WindowText)
        plot.clear()
        plot.getViewBox().invertY(b=False)
        plot.getViewBox().setAspectLocked(lock=False)
        plot.enableAutoRange()
        plot.showGrid(x=True, y=True, alpha=0.15)
        faint = pg.mkColor(colour)
        faint.setAlpha(120)
        for side in ("left", "bottom"):
            axis = plot.getAxis(side)
            axis.setTicks(None)
            axis.setPen(faint)
            axis.setTextPen(colour)
        if self._draw is not None:
            self._draw(plot, plot_colours_for(self), colour)
