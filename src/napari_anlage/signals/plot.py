"""The plot of one track's signals over time, with the shown frame and the event."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from typing import Any

import numpy as np
import pyqtgraph as pg
from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QPalette
from qtpy.QtWidgets import QSizePolicy, QWidget

from anlage import Signals
from napari_anlage.widgets.escaping import as_html
from napari_anlage.widgets.theme import plot_colours_for

__all__ = ["SignalPlot", "title_of_signal"]

_ROW, _BELOW = 84, 26
_MOST_ROWS = 4
"""More signals than these are not drawn; the user chooses which."""


class SignalPlot(pg.GraphicsLayoutWidget):
    """Stacked curves on one axis of frames; a click shows that frame, the event's line can be dragged."""

    frame_chosen = Signal(int)
    """The user clicked at a frame."""
    event_dragged = Signal(float)
    """The user moved the event to this frame."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent=parent)
        self.setBackground(None)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.ci.layout.setContentsMargins(0, 0, 6, 2)
        self.ci.layout.setSpacing(2)
        self.plot_colours = plot_colours_for(self)
        self._plots: list[Any] = []
        self._curves: list[Any] = []
        self._now: list[Any] = []
        self._events: list[Any] = []
        self._predicted: list[Any] = []
        self._named: tuple[str, ...] = ()
        self.setFixedHeight(_ROW + _BELOW)
        self.scene().sigMouseClicked.connect(self._on_click)

    @property
    def most_rows(self) -> int:
        """How many signals fit."""
        return _MOST_ROWS

    def show_track(self, signals: Signals, row: int, first: int = 0) -> None:
        """Draw a track's signals from the `first` on, as many as fit; missing frames are gaps."""
        n = len(signals.names)
        shown = [(max(first, 0) + i) % n for i in range(min(n, _MOST_ROWS))]
        titles = tuple(title_of_signal(signals.names[i], signals.units[i]) for i in shown)
        if titles != self._named:
            self._lay_out(titles)
        frames = np.arange(signals.n_frames) + signals.first_frame
        low, high = signals.spans[row]
        for curve, values in zip(self._curves, signals.values[row, shown], strict=True):
            known = np.isfinite(values[low:high]).any()  # pyqtgraph complains of a curve without a single number
            curve.setData(frames[low:high] if known else [], values[low:high] if known else [], connect="finite")
        if high > low and self._plots:
            self._plots[0].setXRange(float(frames[low]), float(frames[high - 1]), padding=0.03)

    def set_frame(self, frame: int) -> None:
        """Mark the frame that the viewer shows."""
        for line in self._now:
            line.setValue(frame)

    def set_event(self, frame: float | None) -> None:
        """Mark the event that a human scored; None: there is none."""
        self._mark(self._events, frame)

    def set_predicted(self, frame: float | None) -> None:
        """Mark the event that a network found; None: there is none."""
        self._mark(self._predicted, frame)

    def changeEvent(self, event: Any) -> None:
        """Follow the theme."""
        super().changeEvent(event)
        if event.type() in (event.Type.PaletteChange, event.Type.StyleChange) and hasattr(self, "_named"):
            self._recolour()

    def wheelEvent(self, event: Any) -> None:
        """Leave scrolling to the tab around the plot."""
        event.ignore()

    @staticmethod
    def _mark(lines: list[Any], frame: float | None) -> None:
        for line in lines:
            line.setVisible(frame is not None and bool(np.isfinite(frame)))
            if frame is not None and np.isfinite(frame):
                line.setValue(frame)

    def _lay_out(self, titles: tuple[str, ...]) -> None:
        self.clear()
        self._named = titles
        self._plots, self._curves, self._now, self._events, self._predicted = [], [], [], [], []
        for i, title in enumerate(titles):
            plot = self.addPlot(row=i, col=0)
            plot.hideButtons()
            plot.setMenuEnabled(False)
            plot.setMouseEnabled(x=False, y=False)
            plot.showGrid(x=True, y=True, alpha=0.15)
            plot.setTitle(title, size="8pt", justify="left")
            plot.titleLabel.setMaximumHeight(16)
            plot.layout.setRowFixedHeight(0, 16)
            axis = plot.getAxis("left")
            axis.setWidth(44)
            axis.enableAutoSIPrefix(enable=False)
            if i:
                plot.setXLink(self._plots[0])
            last = i == len(titles) - 1
            plot.getAxis("bottom").setStyle(showValues=last)
            self._plots.append(plot)
            self._curves.append(plot.plot(symbol="o", symbolSize=3, symbolPen=None))
            self._now.append(_line(plot, Qt.PenStyle.SolidLine, movable=False))
            self._predicted.append(_line(plot, Qt.PenStyle.DashLine, movable=False))
            self._events.append(_line(plot, Qt.PenStyle.SolidLine, movable=True))
            self._events[-1].sigPositionChangeFinished.connect(
                lambda line: self.event_dragged.emit(float(line.value()))
            )
            for line in (self._predicted[-1], self._events[-1]):
                line.hide()
        if self._plots:
            self._plots[-1].setLabel("bottom", "frame")
        self.setFixedHeight(_ROW * max(len(titles), 1) + _BELOW)
        self._recolour()

    def _recolour(self) -> None:
        self.resetCachedContent()  # pyqtgraph keeps the background of the former theme
        self.plot_colours = plot_colours_for(self)
        colour = self.palette().color(QPalette.ColorRole.WindowText)
        faint = pg.mkColor(colour)
        faint.setAlpha(120)
        for i, plot in enumerate(self._plots):
            for side in ("left", "bottom"):
                plot.getAxis(side).setPen(faint)
                plot.getAxis(side).setTextPen(colour)
            plot.titleLabel.setText(self._named[i], color=self.plot_colours.runs[i % len(self.plot_colours.runs)])
            ink = self.plot_colours.runs[i % len(self.plot_colours.runs)]
            self._curves[i].setPen(pg.mkPen(ink, width=1.5))
            self._curves[i].setSymbolBrush(ink)
            self._now[i].setPen(pg.mkPen(faint, width=1))
            self._events[i].setPen(pg.mkPen(self.plot_colours.score, width=2))
            self._events[i].setHoverPen(pg.mkPen(self.plot_colours.score, width=4))
            self._predicted[i].setPen(pg.mkPen(self.plot_colours.held_out, width=2, style=Qt.PenStyle.DashLine))

    def _on_click(self, event: Any) -> None:
        for plot in self._plots:
            if plot.sceneBoundingRect().contains(event.scenePos()):
                self.frame_chosen.emit(round(plot.vb.mapSceneToView(event.scenePos()).x()))
                return


def _line(plot: Any, style: Any, *, movable: bool) -> Any:
    line = pg.InfiniteLine(angle=90, movable=movable, pen=pg.mkPen(style=style))
    plot.addItem(line, ignoreBounds=True)
    return line


def title_of_signal(name: str, unit: str) -> str:
    """A signal's name in words with its unit, for the titles and axes of plots: these take HTML."""
    words = name.removesuffix(f"_{_ascii(unit)}") if unit else name
    return as_html(f"{words.replace('_', ' ')} ({unit})" if unit else words.replace("_", " "))


def _ascii(unit: str) -> str:
    return unit.replace("µm", "um").replace("³", "3").replace("²", "2").replace("/", "_per_")
