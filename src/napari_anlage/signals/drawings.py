"""Plots of events: confusion matrix, errors in time, calibration, survival, average event."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt
import pyqtgraph as pg
from qtpy.QtCore import Qt

from anlage import precision_recall, roc
from napari_anlage.signals.assessment import CLASSES, Judgement
from napari_anlage.widgets.picture import Draw
from napari_anlage.widgets.theme import PlotColours

__all__ = ["Matrix", "aligned", "average", "calibration", "confusion", "ranking", "survival_curve", "times", "trade"]

_BINS = 8
_FAINT = 60
_BRIGHT = 0.55


class Matrix(StrEnum):
    """What the numbers of a confusion matrix are."""

    COUNTS = "tracks"
    OF_TRUE = "share of what you scored"
    OF_PREDICTED = "share of what it predicted"


def confusion(judgement: Judgement, kind: Matrix) -> Draw:
    """Classes by the human below one another, classes by the network beside one another."""
    counts = np.array(judgement.report.confusion, dtype=float)
    axis = {Matrix.COUNTS: None, Matrix.OF_TRUE: 1, Matrix.OF_PREDICTED: 0}[kind]
    total = np.maximum(counts.sum(axis=axis, keepdims=True), 1)
    share = counts / (counts.max(initial=1.0) if kind == Matrix.COUNTS else total)
    n = len(counts)

    def draw(plot: Any, plot_colours: PlotColours, colour: Any) -> None:
        plot.showGrid(x=False, y=False)
        plot.setLabel("bottom", "predicted by the network")
        plot.setLabel("left", "scored by you")
        names = list(enumerate(CLASSES[:n]))
        plot.getAxis("bottom").setTicks([[(i, name) for i, name in names], []])
        plot.getAxis("left").setTicks([[(i, name) for i, name in names], []])
        plot.getAxis("left").setWidth(74)
        for i in range(n):
            for j in range(n):
                ink = pg.mkColor(plot_colours.score if i == j else plot_colours.best)
                ink.setAlphaF(0.08 + 0.72 * float(share[i, j]))
                box = pg.BarGraphItem(x=[j], y0=[i - 0.48], height=[0.96], width=0.96, brush=ink, pen=None)
                plot.addItem(box)
                said = f"{counts[i, j]:.0f}" if kind == Matrix.COUNTS else f"{100 * share[i, j]:.0f} %"
                text = pg.TextItem(said, color=colour, anchor=(0.5, 0.5))
                text.setPos(j, i)
                plot.addItem(text)
        plot.getViewBox().invertY(b=True)
        plot.setRange(xRange=(-0.5, n - 0.5), yRange=(-0.5, n - 0.5), padding=0)

    return draw


def times(judgement: Judgement) -> Draw:
    """Time of each event: predicted against scored."""
    scale, unit = _scale(judgement.interval_s)
    true, predicted = judgement.true_frames * scale, judgement.predicted_frames * scale

    def draw(plot: Any, plot_colours: PlotColours, colour: Any) -> None:
        plot.setLabel("bottom", f"event, scored by you ({unit})")
        plot.setLabel("left", f"predicted by the network ({unit})")
        plot.getAxis("left").setWidth(56)
        if len(true):
            ends = [min(true.min(), predicted.min()), max(true.max(), predicted.max())]
            plot.plot(ends, ends, pen=_dashed(colour))
        plot.plot(
            true,
            predicted,
            pen=None,
            symbol="o",
            symbolSize=6,
            symbolPen=None,
            symbolBrush=_pale(plot_colours.train, 190),
        )

    return draw


def ranking(judgement: Judgement) -> Draw:
    """ROC: hits against false alarms, with the best threshold."""
    alarms, hits, thresholds = roc(judgement.chance, judgement.is_event)
    best = int((hits - alarms).argmax())

    def draw(plot: Any, plot_colours: PlotColours, colour: Any) -> None:
        _shares(plot, "false alarms (share of the others)", "events found (share)")
        plot.plot([0, 1], [0, 1], pen=_dashed(colour))
        plot.plot(alarms, hits, pen=pg.mkPen(plot_colours.train, width=2))
        plot.plot(
            [alarms[best]],
            [hits[best]],
            pen=None,
            symbol="star",
            symbolSize=14,
            symbolPen=None,
            symbolBrush=plot_colours.best,
        )
        _write(plot, f"best threshold {min(thresholds[best], 1.0):.3f}", plot_colours.best, 0.96, 0.2)

    return draw


def trade(judgement: Judgement) -> Draw:
    """Precision against recall."""
    precision, recall, _ = precision_recall(judgement.chance, judgement.is_event)

    def draw(plot: Any, plot_colours: PlotColours, colour: Any) -> None:
        _shares(plot, "recall (share of events found)", "precision (share right)")
        plot.plot(np.append(0, recall), np.append(precision[:1], precision), pen=pg.mkPen(plot_colours.train, width=2))

    return draw


def calibration(judgement: Judgement) -> Draw:
    """How often an event is there, against how probable it was said to be."""
    edges = np.linspace(0, 1, _BINS + 1)
    place = np.clip(np.digitize(judgement.chance, edges) - 1, 0, _BINS - 1)
    used = [b for b in range(_BINS) if (place == b).any()]
    said = np.array([judgement.chance[place == b].mean() for b in used])
    true = np.array([judgement.is_event[place == b].mean() for b in used])
    n = np.array([(place == b).sum() for b in used])

    def draw(plot: Any, plot_colours: PlotColours, colour: Any) -> None:
        _shares(plot, "predicted probability of an event", "share with an event")
        plot.plot([0, 1], [0, 1], pen=_dashed(colour))
        size = 6 + 10 * np.sqrt(n / max(n.max(initial=1), 1))
        plot.plot(
            said, true, pen=pg.mkPen(plot_colours.held_out, width=1.5), symbol="o", symbolSize=size, symbolPen=None,
            symbolBrush=plot_colours.held_out,
        )  # fmt: skip

    return draw


def aligned(mean: Any, name: str, interval_s: float | None) -> Draw:
    """Mean of a signal around the event, with its 95 % band."""
    scale, unit = _scale(interval_s)
    known = np.isfinite(mean.mean)
    x = mean.frames[known] * scale

    def draw(plot: Any, plot_colours: PlotColours, colour: Any) -> None:
        plot.setLabel("bottom", f"time from the event ({unit})")
        plot.setLabel("left", name)
        plot.getAxis("left").setWidth(62)
        low, high = (plot.plot(x, edge[known], pen=pg.mkPen(None)) for edge in (mean.low, mean.high))
        plot.addItem(pg.FillBetweenItem(low, high, brush=_pale(plot_colours.train, _FAINT)))
        plot.plot(x, mean.mean[known], pen=pg.mkPen(plot_colours.train, width=2))
        plot.addItem(pg.InfiniteLine(0, angle=90, pen=_dashed(plot_colours.score)), ignoreBounds=True)

    return draw


def average(mean: Any, name: str) -> Draw:
    """The average of the events of a trace with its band, and the decay that was fitted."""
    scale, unit = (1.0, "samples") if mean.interval_s is None else (1000 * mean.interval_s, "ms")
    x, fitted = mean.frames * scale, np.isfinite(mean.fit)

    def draw(plot: Any, plot_colours: PlotColours, colour: Any) -> None:
        plot.setLabel("bottom", f"time from the onset ({unit})")
        plot.setLabel("left", f"{name}, over its baseline")
        plot.getAxis("left").setWidth(62)
        low, high = (plot.plot(x, edge, pen=pg.mkPen(None)) for edge in (mean.low, mean.high))
        plot.addItem(pg.FillBetweenItem(low, high, brush=_pale(plot_colours.train, _FAINT)))
        plot.plot(x, mean.mean, pen=pg.mkPen(plot_colours.train, width=2))
        if fitted.any():
            dashes = pg.mkPen(plot_colours.score, width=2, style=Qt.PenStyle.DashLine)
            plot.plot(x[fitted], mean.fit[fitted], pen=dashes)

    return draw


def survival_curve(curve: Any) -> Draw:
    """Share of tracks without the event as time goes on, with its 95 % band."""
    scale, unit = _scale(curve.interval_s)
    x = np.append(0.0, curve.times * scale)
    x = np.append(x, x[-1] * 1.04)  # the last step is seen as one

    def draw(plot: Any, plot_colours: PlotColours, colour: Any) -> None:
        plot.setLabel("bottom", f"time since the track begins ({unit})")
        plot.setLabel("left", "share without the event")
        plot.getAxis("left").setWidth(56)
        low, high = (_steps(plot, x, _from_one(edge), pen=pg.mkPen(None)) for edge in (curve.low, curve.high))
        plot.addItem(pg.FillBetweenItem(low, high, brush=_pale(plot_colours.held_out, _FAINT)))
        _steps(plot, x, _from_one(curve.share), pen=pg.mkPen(plot_colours.held_out, width=2))
        plot.setYRange(0, 1, padding=0.04)

    return draw


def _from_one(share: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.concatenate([[1.0], share])


def _steps(plot: Any, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], pen: Any) -> Any:
    """A staircase, drawn corner by corner: a band cannot be filled between pyqtgraph's own steps."""
    return plot.plot(np.repeat(x, 2)[1:-1], np.repeat(y, 2), pen=pen)


def _scale(interval_s: float | None) -> tuple[float, str]:
    """What frames are multiplied by, and the unit that gives."""
    return (1.0, "frames") if interval_s is None else (interval_s / 60, "min")


def _shares(plot: Any, x: str, y: str) -> None:
    plot.setLabel("bottom", x)
    plot.setLabel("left", y)
    plot.getAxis("left").setWidth(50)
    plot.setRange(xRange=(0, 1), yRange=(0, 1), padding=0.04)


def _write(plot: Any, said: str, colour: Any, x: float, y: float) -> None:
    text = pg.TextItem(said, color=colour, anchor=(1, 0.5))
    text.setPos(x, y)
    plot.addItem(text)


def _dashed(colour: Any) -> Any:
    faint = pg.mkColor(colour)
    faint.setAlpha(140)
    return pg.mkPen(faint, width=1, style=Qt.PenStyle.DashLine)


def _pale(colour: str, alpha: int) -> Any:
    pale = pg.mkColor(colour)
    pale.setAlpha(alpha)
    return pale
