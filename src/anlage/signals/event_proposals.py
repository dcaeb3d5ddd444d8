"""Propose events without training: by a template, by steep rises, or by a step in a signal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from anlage.errors import AnlageError
from anlage.signals.events import Events
from anlage.signals.signals import UNSCORED, Signals

__all__ = [
    "Proposals",
    "event_template",
    "propose_by_slope",
    "propose_by_step",
    "propose_by_template",
    "windows_around",
]

Floats = npt.NDArray[np.float64]
_NOTHING, _EVENT, _UNCLEAR = 0, 1, 2
THRESHOLDS = (4.5, 3.0, 1.6)
"""High: an event; middle: to be looked at; below low: nothing."""
BEFORE = 1 / 6
"""Part of a window before the event's beginning."""
_SMOOTHING = 1 / 100
"""Standard deviation of the smoothing before the template is fitted, in windows."""
_FEWEST = 5


@dataclass(frozen=True, slots=True)
class Proposals:
    """Places in one trace that may hold events.

    Parameters
    ----------
    samples
        (P,) where the event would begin, in samples; in order.
    scores
        (P,) 1 surely an event, 2 to be looked at, 0 surely none.
    strength
        (P,) how clear: the fit's criterion, or the slope in standard deviations.
    """

    samples: npt.NDArray[np.int64]
    scores: npt.NDArray[np.int64]
    strength: Floats


def event_template(window: int, *, rise: float = 0.028, decay: float = 0.075) -> Floats:
    """An event as it usually looks: an eighth of a window of rest, then a third in which it rises and decays.

    Parameters
    ----------
    window
        Samples of a window.
    rise, decay
        Time constants in windows.
    """
    t = np.arange(window // 3) / window
    shape = (1 - np.exp(-t / rise)) * np.exp(-t / decay)
    return np.concatenate([np.zeros(window // 8), shape / shape.max()])


def propose_by_template(
    trace: Floats,
    window: int,
    *,
    direction: int = 1,
    thresholds: tuple[float, float, float] = THRESHOLDS,
    template: Floats | None = None,
    seed: int = 0,
) -> Proposals:
    """Slide a template along a trace and fit its size and ground at each sample (Clements & Bekkers 1997).

    The criterion is the fitted size over its standard error. Where it peaks above the high threshold there is an event,
    above the middle one perhaps; of the stretches, a window long at least, in which it stays below the low one, as many are
    given as examples of nothing as there are events.

    Parameters
    ----------
    trace
        (T,) samples.
    window
        Samples of a window.
    direction
        1 where events rise, -1 where they fall.
    thresholds
        High, middle and low.
    template
        Shape of an event; None: `event_template`.
    seed
        Of the choice of stretches.
    """
    from scipy.ndimage import gaussian_filter1d
    from scipy.signal import find_peaks

    high, middle, low = thresholds
    if not high >= middle >= low > 0:
        raise AnlageError(f"The thresholds {high:g}, {middle:g} and {low:g} are not in falling order above 0.")
    shape = event_template(window) if template is None else template
    smooth = gaussian_filter1d(direction * np.nan_to_num(trace), max(1.0, _SMOOTHING * window))
    criterion = _criterion(smooth, shape)
    lead = int(np.argmax(shape > 0.05 * shape.max()))
    peaks, found = find_peaks(criterion, height=middle, distance=max(1, window // 15))
    scores = np.where(found["peak_heights"] >= high, _EVENT, _UNCLEAR)
    near_sure = [np.abs(peaks[scores == _EVENT] - p).min(initial=window) < window / 15 for p in peaks]
    kept = (scores == _EVENT) | ~np.array(near_sure, dtype=bool)
    quiet = _quiet(np.abs(criterion) < low, peaks, window)
    n = int((scores[kept] == _EVENT).sum())
    rng = np.random.default_rng([seed, window])
    chosen = np.sort(rng.choice(quiet, min(n, len(quiet)), replace=False)) if len(quiet) else quiet
    samples = np.concatenate([peaks[kept] + lead, chosen + lead])
    all_scores = np.concatenate([scores[kept], np.full(len(chosen), _NOTHING)])
    strength = np.concatenate([found["peak_heights"][kept], criterion[chosen]])
    order = np.argsort(samples, kind="stable")
    return Proposals(samples[order].astype(np.int64), all_scores[order].astype(np.int64), strength[order])


def propose_by_slope(trace: Floats, window: int, *, direction: int = 1, least: float = 4.0) -> Proposals:
    """Places where a smoothed trace rises more steeply than its noise does; all are to be looked at.

    Parameters
    ----------
    trace
        (T,) samples.
    window
        Samples of a window.
    direction
        1 where events rise, -1 where they fall.
    least
        Standard deviations of the slope from which a rise is proposed.
    """
    from scipy.ndimage import gaussian_filter1d
    from scipy.signal import find_peaks

    slope = gaussian_filter1d(direction * np.nan_to_num(trace), max(1.0, 0.02 * window), order=1)
    spread = 1.4826 * float(np.median(np.abs(slope - np.median(slope)))) or 1.0
    peaks, found = find_peaks(slope / spread, height=least, distance=max(1, window // 15))
    return Proposals(peaks.astype(np.int64), np.full(len(peaks), _UNCLEAR), found["peak_heights"])


def propose_by_step(
    signals: Signals,
    name: str,
    condition: Callable[[Floats], npt.NDArray[np.bool_]] | None = None,
    *,
    least_r2: float = 0.7,
) -> Events:
    """Where a signal steps up once: a sigmoid is fitted to each track.

    Parameters
    ----------
    signals
        Tracks.
    name
        The signal.
    condition
        Turns values into what is true of them ('above 3'): the step from false to true is fitted. None fits the values.
    least_r2
        Share of the variance that the fit must explain for an event; below, the track is other (2), or no event (1) where a
        condition is never true.

    Returns
    -------
    Events
        Of the kind *once*, with the column ``r2``; the probability is unknown.
    """
    values = signals.chosen([name]).values[:, 0]
    classes, times, quality = (np.full(len(signals), v) for v in (2.0, np.nan, np.nan))
    for i, row in enumerate(values):
        known = np.flatnonzero(np.isfinite(row))
        if len(known) < _FEWEST:
            continue
        y = row[known] if condition is None else condition(row[known]).astype(np.float64)
        if condition is not None and y.min() == y.max():
            classes[i] = 1 if y.max() == 0 else 2
            continue
        times[i], quality[i] = _step((known + signals.first_frame).astype(np.float64), y)
        classes[i] = 0 if quality[i] >= least_r2 else 2
    return Events(
        tracks=signals.ids,
        kind="once",
        classes=classes.astype(np.int64),
        frames=np.where(classes == 0, times, np.nan),
        probability=np.full(len(signals), np.nan),
        interval_s=signals.interval_s,
        properties={"r2": quality},
    ).placed(signals)


def windows_around(
    signals: Signals,
    row: int,
    samples: Sequence[int] | npt.NDArray[np.int64],
    window: int,
    scores: npt.NDArray[np.int64] | None = None,
) -> tuple[Signals, npt.NDArray[np.int64]]:
    """Windows cut out of a trace, to be scored and learnt from.

    Parameters
    ----------
    signals
        Traces.
    row
        Which one.
    samples
        Where events would begin.
    window
        Samples of a window; a sixth lies before the beginning.
    scores
        Of the windows; None: not scored yet.

    Returns
    -------
    windows, kept
        Those that lie wholly in the trace, and which of `samples` they are.
    """
    start = np.asarray(samples, dtype=np.int64) - round(BEFORE * window)
    kept = np.flatnonzero((start >= 0) & (start + window <= signals.n_frames))
    cut = [signals.values[row, :, s : s + window] for s in start[kept]]
    made = Signals.of(
        np.array(cut).reshape(len(kept), len(signals.names), window), signals.names, kind="repeated", units=signals.units,
        interval_s=signals.interval_s, group=signals.group[row], scores=UNSCORED if scores is None else scores[kept],
    )  # fmt: skip
    return made, kept


def _criterion(trace: Floats, shape: Floats) -> Floats:
    """(T,) size of the best-fitting template that begins at each sample, over its standard error; 0 at the end."""
    from scipy.signal import fftconvolve

    n = len(shape)
    if len(trace) < n:
        raise AnlageError(
            f"The trace has {len(trace)} samples, fewer than the {n} of the template; choose a shorter window."
        )
    centred = trace - trace.mean()
    ends = np.concatenate([[0.0], np.cumsum(centred)]), np.concatenate([[0.0], np.cumsum(centred**2)])
    x, xx = (end[n:] - end[:-n] for end in ends)
    tx = fftconvolve(centred, shape[::-1], mode="valid")
    t, tt = shape.sum(), (shape**2).sum()
    size = (tx - t * x / n) / (tt - t * t / n)
    ground = (x - size * t) / n
    rest = xx + size**2 * tt + n * ground**2 - 2 * (size * tx + ground * x - size * ground * t)
    error = np.sqrt(np.maximum(rest, 1e-12) / (n - 1))
    found = np.zeros(len(trace))
    found[: len(size)] = size / error
    return found


def _quiet(is_quiet: npt.NDArray[np.bool_], peaks: npt.NDArray[np.int64], window: int) -> npt.NDArray[np.int64]:
    """Samples a window apart at which the criterion stays low and no peak is near; where too few, the quietest are enough."""
    starts = np.arange(window, len(is_quiet) - window, window)
    far = (
        np.abs(starts[:, None] - peaks[None]).min(axis=1, initial=2 * window) >= window
        if len(peaks)
        else np.ones(len(starts), bool)
    )
    share = np.add.reduceat(is_quiet, starts) / window if len(starts) else np.zeros(0)
    return starts[far & (share[: len(starts)] > 0.5)]


def _step(t: Floats, y: Floats) -> tuple[float, float]:
    """Time and quality (R²) of the sigmoid step up that fits best."""
    from scipy.optimize import least_squares

    low, high = np.percentile(y, (5, 95))
    spread = float(((y - y.mean()) ** 2).sum())
    if spread <= 0 or high <= low:
        return float("nan"), 0.0
    middle = (low + high) / 2
    starts = np.flatnonzero((y[:-1] < middle) & (y[1:] >= middle))
    first = float(t[starts[0]] + 0.5) if len(starts) else float(t.mean())

    def off(p: Floats) -> Floats:
        found: Floats = p[0] + p[1] / (1 + np.exp(-np.clip((t - p[2]) / p[3], -50, 50))) - y
        return found

    bounds = ([-np.inf, 0, t[0] - 1, 0.05], [np.inf, np.inf, t[-1] + 1, len(t)])
    best = least_squares(off, [low, high - low, first, 1.0], bounds=bounds)
    return float(best.x[2]), float(1 - (off(best.x) ** 2).sum() / spread)
