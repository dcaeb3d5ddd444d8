"""The plot of lineage trees, fast for many nuclei; time in frames, minutes or hours."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyqtgraph as pg
from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QPalette
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_anlage.lineage.layout import LineageLayout

__all__ = ["LineagePlot", "clock"]

N_COLOURS = 24
"""Number of distinct colours: one path item each."""
DOUBTFUL = "#ff4b4b"
HERE = "#ffb000"
_FEW = 60
"""So many tracks are drawn with thick lines."""


def clock(frame: float, interval_s: float) -> str:
    """The time of a frame: ``45 s``, ``35 min``, ``2 h 05``."""
    seconds = round(frame * interval_s)
    if seconds == 0:
        return "0"
    minutes, rest = divmod(seconds, 60)
    if minutes < 2 and rest:
        return f"{seconds} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    if not hours:
        return f"{minutes} min"
    return f"{hours} h {minutes:02d}" if minutes else f"{hours} h"


class _TimeAxis(pg.AxisItem):
    """Whole frames, each with its time below where the interval is known."""

    interval_s: float | None = None

    def tickValues(self, minVal: float, maxVal: float, size: float) -> list[Any]:
        room = 55.0 if self.orientation in ("bottom", "top") else 34.0
        step = self._step((maxVal - minVal) / max(size / room, 1.0))
        first = int(np.ceil(minVal / step) * step)
        return [(step, [t for t in range(first, int(maxVal) + 1, step) if t >= 0])]

    @staticmethod
    def _step(least: float) -> int:
        for power in (1, 10, 100, 1000, 10000):
            for digit in (1, 2, 5):
                if digit * power >= least:
                    return digit * power
        return 100000

    def tickStrings(self, values: list[float], scale: float, spacing: float) -> list[str]:
        if self.interval_s is None:
            return [f"{value:.0f}" for value in values]
        return [f"{value:.0f}\n{clock(value, self.interval_s)}" for value in values]


class LineagePlot(pg.PlotWidget):
    """Lineages over time: along x where there is width, downwards where the panel is narrow."""

    picked = Signal(int)
    """Row of the nucleus that was clicked."""

    def __init__(self, parent: QWidget | None = None) -> None:
        self._axes = {"bottom": _TimeAxis("bottom"), "left": _TimeAxis("left")}
        super().__init__(parent=parent, axisItems=self._axes)
        self.setBackground(None)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Expanding)
        self.hideButtons()
        self.setMenuEnabled(False)
        self._layout: LineageLayout | None = None
        self._colours: npt.NDArray[np.float64] = np.zeros((0, 4))
        self._doubtful: npt.NDArray[np.bool_] = np.zeros(0, dtype=bool)
        self._picked: int | None = None
        self._frame, self._n_frames = 0, 1
        # items stay once they are made: taking them out of a scene that is being painted can crash Qt
        self._lines = [pg.PlotCurveItem(connect="pairs") for _ in range(N_COLOURS)]
        self._wrong = pg.PlotCurveItem(connect="pairs")
        self._point = pg.ScatterPlotItem(size=11)
        self._now = pg.InfiniteLine(pen=pg.mkPen(HERE, width=1.5))
        for item in (*self._lines, self._wrong, self._point):
            self.addItem(item)
        self.addItem(self._now, ignoreBounds=True)
        self.upright: bool | None = None
        self.scene().sigMouseClicked.connect(self._on_click)
        self._turn()

    def sizeHint(self) -> QSize:
        """Small: pyqtgraph's own 640 × 480 would eat the canvas."""
        return QSize(300, 200)

    # ---- what is shown ----

    def show_layout(
        self, layout: LineageLayout, colours: npt.NDArray[np.float64], doubtful: npt.NDArray[np.bool_], *, fit: bool
    ) -> None:
        """Draw lineages.

        Parameters
        ----------
        layout
            Where everything goes.
        colours
            (N, 4) colour of the link to each nucleus of the table.
        doubtful
            (N,) links that are drawn thick and red.
        fit
            Bring all of it into view.
        """
        self._layout, self._colours, self._doubtful = layout, colours, doubtful
        self._n_frames = max(int(layout.frames.max(initial=0)) + 1, 2)
        self._draw()
        if fit:
            self.fit()

    def show_interval(self, interval_s: float | None) -> None:
        """Write times below the frames; None: unknown."""
        for axis in self._axes.values():
            axis.interval_s = interval_s
        self._turn(force=True)

    def show_frame(self, frame: int) -> None:
        """Put the line at the frame that the viewer shows."""
        self._frame = frame
        self._now.setValue(frame)

    def show_picked(self, row: int | None) -> None:
        """Ring the picked nucleus."""
        self._picked = row
        layout = self._layout
        if layout is None or row is None or row >= len(layout.across) or not np.isfinite(layout.across[row]):
            self._point.setData([], [])
            return
        self._point.setData(*self._turned(layout.frames[row : row + 1].astype(float), layout.across[row : row + 1]))

    def fit(self) -> None:
        """All of it in view."""
        layout = self._layout
        if layout is None:
            return
        spread = (-1.0, max(layout.n_leaves, 1.0))
        known = layout.frames[layout.rows]
        time = (float(known.min(initial=0)) - 0.5, float(known.max(initial=1)) + 0.5) if len(known) else (0.0, 1.0)
        x, y = (spread, time) if self.upright else (time, spread)
        self.setXRange(*x, padding=0.01)
        self.setYRange(*y, padding=0.02)

    def _draw(self) -> None:
        layout = self._layout
        if layout is None:
            return
        time, across, whose = layout.lines()
        colour_index, colours = _few_colours(self._colours[whose])
        width = 2.0 if layout.n_leaves <= _FEW else 1.0
        for number, item in enumerate(self._lines):
            rows = colour_index == number
            item.setPen(pg.mkPen(colours[number], width=width))
            item.setData(*self._turned(time[rows].reshape(-1), across[rows].reshape(-1)))
        wrong = self._doubtful[whose]
        self._wrong.setPen(pg.mkPen(DOUBTFUL, width=4))
        self._wrong.setData(*self._turned(time[wrong].reshape(-1), across[wrong].reshape(-1)))
        self.show_picked(self._picked)

    def _turned(self, time: Any, across: Any) -> tuple[Any, Any]:
        return (across, time) if self.upright else (time, across)

    # ---- how it lies ----

    def resizeEvent(self, event: Any) -> None:
        """Time runs where there is most room."""
        super().resizeEvent(event)
        if hasattr(self, "_now"):
            self._turn()

    def _turn(self, *, force: bool = False) -> None:
        upright = self.height() > 1.15 * self.width()
        if upright == self.upright and not force:
            return
        self.upright = upright
        time, other = ("left", "bottom") if upright else ("bottom", "left")
        self.getPlotItem().showAxis(time)
        self.getPlotItem().hideAxis(other)
        known = self._axes[time].interval_s is not None
        if upright:
            self._axes["left"].setWidth(58 if known else 34)
        else:
            self._axes["bottom"].setHeight(38 if known else 24)
        self._axes[time].setLabel("frame" if not upright else "")
        self._axes[time].showLabel(False)
        self.getViewBox().invertY(upright)
        self._now.setAngle(0 if upright else 90)
        self._now.setValue(self._frame)
        self._follow_palette()
        self._draw()
        self.fit()

    def changeEvent(self, event: Any) -> None:
        """Follow the theme."""
        super().changeEvent(event)
        if event.type() in (event.Type.PaletteChange, event.Type.StyleChange) and hasattr(self, "_now"):
            self._follow_palette()

    def _follow_palette(self) -> None:
        colour = self.palette().color(QPalette.ColorRole.WindowText)
        for axis in self._axes.values():
            axis.setPen(colour)
            axis.setTextPen(colour)
        self._point.setPen(pg.mkPen(colour, width=2))
        self._point.setBrush(None)

    # ---- the mouse ----

    def _on_click(self, event: Any) -> None:
        if self._layout is None or event.button() != Qt.MouseButton.LeftButton:
            return
        if event.double():
            self.fit()
            return
        at = self.getViewBox().mapSceneToView(event.scenePos())
        time, across = (at.y(), at.x()) if self.upright else (at.x(), at.y())
        row = self._layout.nearest(time, across)
        if row is not None:
            self.picked.emit(row)


def _few_colours(colours: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.int64], list[Any]]:
    """Index of the colour of each line, and the few colours: grouped by hue, the mean of each group."""
    blank = [pg.mkColor(0, 0, 0, 0)] * N_COLOURS
    if not len(colours):
        return np.zeros(0, dtype=np.int64), blank
    distinct, which = np.unique((colours[:, :3] * 255).round().astype(np.int64), axis=0, return_inverse=True)
    hues = np.array([pg.mkColor(*ink).hueF() for ink in distinct.tolist()])
    hues[hues < 0] = 1.0  # greys
    order = np.argsort(hues, kind="stable")
    group = np.empty(len(distinct), dtype=np.int64)
    group[order] = (
        np.arange(len(distinct))
        if len(distinct) <= N_COLOURS
        else np.minimum((hues[order] * N_COLOURS).astype(np.int64), N_COLOURS - 1)
    )
    number = group[which.reshape(-1)]
    found = list(blank)
    for ink in np.unique(group):
        red, green, blue = distinct[group == ink].mean(axis=0).astype(int).tolist()
        found[ink] = pg.mkColor(red, green, blue)
    return number, found
