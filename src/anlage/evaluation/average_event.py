"""The average event of a trace, and its decay time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d

from anlage.errors import AnlageError
from anlage.io.atomic import replacing
from anlage.io.csv_files import write_csv
from anlage.io.seals import LIBRARY, Writer
from anlage.signals.events import Events
from anlage.signals.signals import Signals

__all__ = ["AverageEvent", "average_event", "write_average"]

Floats = npt.NDArray[np.float64]
_Z = 1.959964
"""Half a 95 % interval of the normal distribution, in standard deviations."""
_FEWEST = 3
_FROM = 0.8
"""Part of the height from which on the decay is fitted: nearer to the peak the rise still shows."""
_BASELINE = 0.7
"""Part of the samples before the onset over which the baseline is taken: the rest already belongs to the rise."""


@dataclass(frozen=True, slots=True)
class AverageEvent:
    """The mean of events, each from its own baseline, aligned where they begin.

    Parameters
    ----------
    frames
        (K,) samples from the onset, negative before it.
    mean, low, high
        (K,) mean over the events and its 95 % band (normal).
    fit
        (K,) the decay that was fitted; NaN outside of it.
    n
        Events in the mean.
    amplitude, rise, decay
        Size in the signal's unit; 10–90 % rise and time constant of the decay in samples; NaN where nothing could be fitted.
    r2
        Share of the mean's variance after the peak that the decay explains.
    interval_s
        Time between two samples in seconds; None where unknown.
    """

    frames: Floats
    mean: Floats
    low: Floats
    high: Floats
    fit: Floats
    n: int
    amplitude: float
    rise: float
    decay: float
    r2: float
    interval_s: float | None

    @property
    def sentence(self) -> str:
        """What it says, with units."""
        if not np.isfinite(self.decay):
            return f"The average of {self.n} events has an amplitude of {self.amplitude:.4g}; its decay could not be fitted."
        return (
            f"The average of {self.n} events has an amplitude of {self.amplitude:.4g}, rises in {self._time(self.rise)} (10 to 90 %) "
            f"and decays with a time constant of {self._time(self.decay)} (R² {self.r2:.3f})."
        )

    def _time(self, samples: float) -> str:
        if self.interval_s is None:
            return f"{samples:.4g} samples"
        seconds = samples * self.interval_s
        return f"{1000 * seconds:.4g} ms" if seconds < 1 else f"{seconds:.4g} s"


def average_event(signals: Signals, events: Events, *, before: int, after: int) -> AverageEvent:
    """The mean of the first signal around events, with one exponential fitted to its decay.

    Events that overlap the next one, or that lie nearer than the window to an end or to the event before them, are left
    out where enough others remain: their neighbours would bend the mean.

    Parameters
    ----------
    signals
        The traces.
    events
        Of the kind *repeated*.
    before, after
        Samples before and after the onset.

    Raises
    ------
    AnlageError
        If fewer than three events lie wholly in their trace.
    """
    rows = {int(number): row for row, number in enumerate(signals.ids)}
    inside, alone = [], []
    for track in np.unique(events.tracks[events.happened]).tolist():
        if track not in rows:
            continue
        trace = signals.values[rows[track], 0]
        onsets = np.sort(events.frames[events.happened & (events.tracks == track)]) - signals.first_frame
        for e, onset in enumerate(onsets):
            at = round(float(onset))
            if at - before < 0 or at + after >= len(trace):
                continue
            cut = trace[at - before : at + after + 1]
            inside.append(cut - np.nanmedian(cut[: max(1, int(_BASELINE * before))]))
            first = e == 0 or onset - onsets[e - 1] > after
            last = e + 1 == len(onsets) or onsets[e + 1] - onset > after
            alone.append(first and last)
    if len(inside) < _FEWEST:
        raise AnlageError(
            f"An average needs at least {_FEWEST} events that lie wholly in their trace; there are {len(inside)}."
        )
    stack = np.array(inside)
    if sum(alone) >= _FEWEST:
        stack = stack[np.array(alone)]
    mean = np.nanmean(stack, axis=0)
    half = _Z * np.nanstd(stack, axis=0, ddof=1) / np.sqrt(len(stack))
    frames = np.arange(-before, after + 1, dtype=np.float64)
    fit, amplitude, rise, decay, r2 = _shape(mean, before)
    return AverageEvent(
        frames, mean, mean - half, mean + half, fit, len(stack), amplitude, rise, decay, r2, signals.interval_s
    )


def write_average(path: Path, average: AverageEvent, by: Writer = LIBRARY) -> None:
    """Write a row for each sample (``.csv``: time, mean, its band, the fitted decay), or draw it (``.png``)."""
    if path.suffix.lower() == ".png":
        _draw(path, average, by.of("average"))
        return
    time: dict[str, Any] = {"frame": average.frames.astype(np.int64)}
    if average.interval_s is not None:
        time["time_s"] = (average.frames * average.interval_s).round(9)
    columns = {"mean": average.mean, "low": average.low, "high": average.high, "fit": average.fit}
    write_csv(path, time | columns, by.of("average"), float_format="%.6g")


def _draw(path: Path, average: AverageEvent, by: Writer) -> None:
    from matplotlib.figure import Figure

    scale, unit = (1.0, "samples") if average.interval_s is None else (1000 * average.interval_s, "ms")
    figure = Figure(figsize=(5, 3.4), layout="constrained")
    plot = figure.subplots()
    at = average.frames * scale
    plot.fill_between(at, average.low, average.high, alpha=0.25, linewidth=0, label="95 % band")
    plot.plot(at, average.mean, label=f"mean of {average.n} events")
    if np.isfinite(average.fit).any():
        plot.plot(at, average.fit, "--", label="fitted decay")
    plot.set(xlabel=f"time from the onset ({unit})", ylabel="signal over its baseline")
    plot.legend(frameon=False)
    with replacing(path, by) as temporary:
        figure.savefig(temporary, format="png", dpi=150, metadata={"Software": by.mark})


def _shape(mean: Floats, before: int) -> tuple[Floats, float, float, float, float]:
    """Decay that fits, amplitude, rise, time constant and R², of a mean event upwards or downwards."""
    from scipy.optimize import curve_fit

    way = 1.0 if abs(mean[before:].max()) >= abs(mean[before:].min()) else -1.0
    up = gaussian_filter1d(way * mean, 1.0)
    peak = before + int(up[before:].argmax())
    height = float(up[peak])
    fit = np.full(len(mean), np.nan)
    rise = _rise(up, peak, height)
    falling = np.flatnonzero(up[peak:] < _FROM * height)
    start = peak + int(falling[0]) if len(falling) else peak
    tail = way * mean[start:]
    t = np.arange(len(tail), dtype=np.float64)
    if len(tail) < 8 or height <= 0:
        return fit, way * height, rise, np.nan, np.nan

    def decay(at: Floats, size: float, tau: float, rest: float) -> Floats:
        found: Floats = size * np.exp(-at / tau) + rest
        return found

    below = np.flatnonzero(up[start:] < up[start] / np.e)
    guess = float(below[0]) if len(below) else len(tail) / 3
    bounds = ([0.0, 0.5, -np.inf], [np.inf, 20.0 * len(tail), np.inf])
    try:
        found, _ = curve_fit(decay, t, tail, p0=[height, max(guess, 1.0), 0.0], bounds=bounds)
    except RuntimeError:  # it did not converge
        return fit, way * height, rise, np.nan, np.nan
    drawn = decay(t, *found)
    spread = float(((tail - tail.mean()) ** 2).sum())
    fit[start:] = way * drawn
    return fit, way * height, rise, float(found[1]), 1 - float(((tail - drawn) ** 2).sum()) / max(spread, 1e-300)


def _rise(up: Floats, peak: int, height: float) -> float:
    """Samples from 10 to 90 % of the height, before the peak."""
    ends = []
    for part in (0.1, 0.9):
        low = np.flatnonzero(up[:peak] < part * height)
        if not len(low) or height <= 0:
            return float("nan")
        i = int(low[-1])
        ends.append(i + (part * height - up[i]) / max(up[i + 1] - up[i], 1e-300))
    return float(ends[1] - ends[0])
