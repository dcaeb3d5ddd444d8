"""The plot of a long trace with its events: drag to move, wheel to zoom, click to choose a place."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyqtgraph as pg
from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QPalette
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_anlage.widgets.theme import plot_colours_for

__all__ = ["TracePlot"]

_HEIGHT = 220
_AROUND = 1.5
"""Windows on both sides of a place that is gone to."""


class TracePlot(pg.GraphicsLayoutWidget):
    """One trace over time."""

    chosen = Signal(float)
    """The user clicked at this sample."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent=parent)
        self.setBackground(None)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(_HEIGHT)
        self.ci.layout.setContentsMargins(0, 0, 6, 2)
        self._scale = 1.0
        self.plot: Any = self.addPlot()
        self.plot.hideButtons()
        self.plot.setMenuEnabled(False)
        self.plot.setMouseEnabled(x=True, y=False)
        self.plot.setAutoVisible(y=True)
        self.plot.setDownsampling(auto=True, mode="peak")
        self.plot.setClipToView(True)
        self._raw: Any = self.plot.plot()
        self._curve: Any = self.plot.plot()
        self._events: Any = self.plot.plot(pen=None, symbol="t", symbolSize=10, symbolPen=None)
        self._cursor: Any = pg.InfiniteLine(angle=90, movable=False)
        self.plot.addItem(self._cursor, ignoreBounds=True)
        self._recolour()
        self.scene().sigMouseClicked.connect(self._on_click)

    def show_filtered(self, values: npt.NDArray[np.float64], filtered: npt.NDArray[np.float64] | None) -> None:
        """Draw (T,) samples, faintly beneath what a filter makes of them; None: there is no filter."""
        times = np.arange(len(values)) * self._scale
        self._raw.setData(times, values) if filtered is not None else self._raw.clear()
        self._curve.setData(times, values if filtered is None else filtered)

    @property
    def drawn(self) -> npt.NDArray[np.float64]:
        """The values of the strong line."""
        found: npt.NDArray[np.float64] = self._curve.yData
        return found

    def show_trace(self, values: npt.NDArray[np.float64], interval_s: float | None, name: str) -> None:
        """Draw (T,) samples, all of them."""
        self._scale = 1.0 if interval_s is None else interval_s
        self.show_filtered(values, None)
        self.plot.setLabel("bottom", "sample" if interval_s is None else "time (s)")
        self.plot.setLabel("left", name)
        self.plot.getAxis("left").setWidth(56)
        self.plot.getViewBox().setLimits(xMin=0, xMax=max(1, len(values)) * self._scale)
        self.plot.setXRange(0, len(values) * self._scale, padding=0.01)

    def show_events(self, frames: npt.NDArray[np.float64], heights: npt.NDArray[np.float64]) -> None:
        """Mark events at these samples and values."""
        self._events.setData(frames * self._scale, heights)

    def go_to(self, frame: float, window: int) -> None:
        """Look at this sample, with so many around it."""
        self._cursor.setValue(frame * self._scale)
        reach = _AROUND * window
        self.plot.setXRange((frame - reach) * self._scale, (frame + reach) * self._scale, padding=0)

    @property
    def cursor(self) -> float:
        """The sample that was chosen last."""
        return float(self._cursor.value()) / self._scale

    def changeEvent(self, event: Any) -> None:
        """Follow the theme."""
        super().changeEvent(event)
        if event.type() in (event.Type.PaletteChange, event.Type.StyleChange) and hasattr(self, "_cursor"):
            self._recolour()

    def _recolour(self) -> None:
        self.resetCachedContent()  # pyqtgraph keeps the background of the former theme
        plot_colours, colour = plot_colours_for(self), self.palette().color(QPalette.ColorRole.WindowText)
        for side in ("left", "bottom"):
            self.plot.getAxis(side).setPen(colour)
            self.plot.getAxis(side).setTextPen(colour)
        self._curve.setPen(pg.mkPen(plot_colours.train, width=1))
        self._raw.setPen(pg.mkPen(colour.red(), colour.green(), colour.blue(), 90))
        self._events.setSymbolBrush(plot_colours.score)
        self._cursor.setPen(pg.mkPen(colour, width=1, style=Qt.PenStyle.DashLine))

    def _on_click(self, event: Any) -> None:
        if self.plot.sceneBoundingRect().contains(event.scenePos()):
            at = float(self.plot.vb.mapSceneToView(event.scenePos()).x())
            self._cursor.setValue(at)
            self.chosen.emit(at / self._scale)
