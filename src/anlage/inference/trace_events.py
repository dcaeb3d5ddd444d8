"""Find repeated events in a trace: their onset, amplitude and shape."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field

from anlage.errors import AnlageError
from anlage.frozen import Frozen
from anlage.inference.keras_model import ONSET, KerasModel
from anlage.inference.signal_events import Along, probability_along, window_for
from anlage.model import Model
from anlage.signals.events import Events
from anlage.signals.signals import Signals
from anlage.signals.traces import filter_samples, hann_filtered
from anlage.signals.windows import SeenWindow, resampled, seen_window

__all__ = ["TraceSettings", "find_events", "keras_events", "measure_events", "trace_events", "with_event_at"]

_STRIDES = 30
"""Windows of a network of miniML that begin within the length of one."""
_SHORTEST = 3
"""Positions of the network's grid that a place must span."""
_AROUND = 5
"""Positions around an event whose highest probability is its own: the rise is found to within about as many."""


class TraceSettings(Frozen):
    """How events are found in a trace."""

    threshold: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Calibrated probability from which a place is looked at."""
    filter_ms: Annotated[float, Field(gt=0, le=10_000)] | None = None
    """Width in milliseconds of the Hann window by which a trace is smoothed before its events are located and measured; the network sees the trace as it is. None: not at all."""
    smoothing: Annotated[float, Field(gt=0, le=0.2)] = 0.015
    """Width (standard deviation) of the smoothing before the steepest rise is sought, in windows."""
    steepness: Annotated[float, Field(ge=0)] = 4.0
    """A rise is steeper than so many standard deviations of the smoothed trace's slope without events."""
    overlap: Annotated[float, Field(ge=0, le=1)] = 0.25
    """A second rise in the same place is an event of its own if it is at least so steep as this part of the steepest."""
    apart: Annotated[float, Field(ge=0, le=1)] = 0.03
    """Two events are at least so far apart, in windows."""


def trace_events(
    model: Model,
    signals: Signals,
    settings: TraceSettings | None = None,
    *,
    device: str = "cpu",
    direction: int | None = None,
    window: SeenWindow | None = None,
) -> Events:
    """Every event of every trace, with its size and shape.

    Parameters
    ----------
    model
        Of the kind *repeated*.
    signals
        Traces as `anlage.inference.signal_events.signals_for` gives them; the first signal is measured.
    settings
        How they are found; None: with the defaults.
    device
        Where to compute.
    direction
        1 where events rise, -1 where they fall; None: as in the training data.
    window
        How long the model's window is here, as `anlage.inference.signal_events.window_for` gives it; None: by the sampling
        intervals.
    """
    plan = model.card.plan
    way = direction or (int(plan["direction"]) or 1) * (-1 if plan.get("invert") else 1)
    seen = window or window_for(model, signals)
    return _all_along(signals, lambda values: probability_along(model, values, device, seen), settings, way)


def keras_events(
    network: KerasModel,
    signals: Signals,
    settings: TraceSettings | None = None,
    *,
    invert: bool = False,
    window: SeenWindow | None = None,
) -> Events:
    """The same by a network of miniML, which looks at window after window of a recording.

    Parameters
    ----------
    network
        Its answers are not calibrated.
    signals
        Traces of one signal.
    settings
        How events are found; None: with the defaults.
    invert
        Turn the traces upside down first.
    window
        How long the network's window is here; None: sample for sample as what it learnt from.

    Raises
    ------
    AnlageError
        If there are several signals, or a trace is shorter than a window.
    """
    turned = replace(signals, values=-signals.values) if invert else signals
    here = window or seen_window(network.window, None, signals)
    if len(signals.names) != 1 or signals.n_frames < here.samples:
        raise AnlageError(
            f"'{network.path.name}' looks at windows of {here.samples} samples of one signal, but these are "
            f"{signals.n_frames} samples of {len(signals.names)}; choose one, or a longer recording."
        )

    stride, settings = max(1, network.window // _STRIDES), settings or TraceSettings()
    seen = [network.slide(resampled(_filled(row[0]), here.ratio), stride) for row in turned.values]
    along = [Along(likely, stride / here.ratio, here.samples, ONSET) for likely in seen]
    way = _direction(turned, along, settings.threshold)
    answers = iter(along)
    return _all_along(turned, lambda _: next(answers), settings, way)


def _direction(signals: Signals, seen: list[Along], threshold: float) -> int:
    """1 where events rise, -1 where they fall: in their windows most samples lie near the smallest, or near the largest."""
    rests = []
    for values, along in zip(signals.values[:, 0], seen, strict=True):
        for at in np.rint(np.flatnonzero(along.probability >= threshold) * along.stride).astype(int):
            part = values[max(0, at - along.window // 2) : at + along.window // 2]
            low, rest, high = np.nanmin(part), np.nanmedian(part), np.nanmax(part)
            rests.append((rest - low) / max(high - low, 1e-12))
    return -1 if rests and np.median(rests) > 0.5 else 1


def _all_along(
    signals: Signals,
    scan: Callable[[npt.NDArray[np.float64]], Along],
    settings: TraceSettings | None,
    way: int,
) -> Events:
    """Events of every trace, in which a network `scan`s at (C, T) values."""
    parts, settings = [], settings or TraceSettings()
    width = 1 if settings.filter_ms is None else filter_samples(settings.filter_ms, signals.interval_s)
    for i in range(len(signals)):
        along = scan(signals.values[i])
        trace = way * hann_filtered(_filled(signals.values[i, 0]), width)
        onsets, probability = find_events(trace, along, settings)
        parts.append(measure_events(trace, onsets, probability, signals, i, along.window, way))
    return _joined(parts, signals)


def find_events(
    trace: npt.NDArray[np.float64], along: Along, settings: TraceSettings
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Samples at which events rise most steeply, and their probabilities.

    Parameters
    ----------
    trace
        (T,) with events upwards, nothing missing.
    along
        What the network says of it.
    settings
        How events are found.
    """
    from scipy.ndimage import gaussian_filter1d
    from scipy.signal import find_peaks

    slope = gaussian_filter1d(trace, settings.smoothing * along.window, order=1)
    quiet = 1.4826 * float(np.median(np.abs(slope - np.median(slope))))
    peaks, _ = find_peaks(
        slope, height=settings.steepness * quiet, distance=max(1, round(settings.apart * along.window))
    )
    # the window around a position holds an event that begins `lead` samples before it
    at = np.clip(np.rint((peaks + along.lead) / along.stride).astype(int), 0, len(along.probability) - 1)
    places = _places(along.probability >= settings.threshold)
    place = np.searchsorted(places[:, 0], at, side="right") - 1
    inside = (place >= 0) & (at < places[np.maximum(place, 0), 1]) if len(places) else np.zeros(len(at), dtype=bool)
    peaks, place = peaks[inside], place[inside]
    kept = _not_in_the_shade(peaks, slope[peaks], along.window / 4, settings.overlap)
    peaks, place = peaks[kept], place[kept]
    # where the network sees an event that rises no more steeply than the noise does, its steepest place stands for it
    faint = np.setdiff1d(np.arange(len(places)), place)
    alone = [_steepest(slope, *(places[i] * along.stride - along.lead)) for i in faint]
    found = np.sort(np.concatenate([peaks, np.array(alone, dtype=np.int64)]))
    nearest = np.rint((found + along.lead) / along.stride).astype(int)
    around = np.clip(nearest[:, None] + np.arange(-_AROUND, _AROUND + 1), 0, len(along.probability) - 1)
    return found.astype(np.int64), along.probability[around].max(axis=1, initial=0.0)


def _places(likely: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """(K, 2) stretches of positions that are likely, first and one past the last; single positions are none."""
    steps = np.flatnonzero(np.diff(np.concatenate([[False], likely, [False]]).astype(np.int8)))
    runs = steps.reshape(-1, 2).astype(np.int64)
    found: npt.NDArray[np.int64] = runs[runs[:, 1] - runs[:, 0] >= _SHORTEST]
    return found


def _not_in_the_shade(
    peaks: npt.NDArray[np.int64], height: npt.NDArray[np.float64], reach: float, part: float
) -> npt.NDArray[np.bool_]:
    """Which rises are events of their own: beside a much steeper one a small one is its noise."""
    kept = np.ones(len(peaks), dtype=bool)
    for i in np.argsort(-height):
        if kept[i]:
            kept &= ~((np.abs(peaks - peaks[i]) < reach) & (height < part * height[i]))
    return kept


def _steepest(slope: npt.NDArray[np.float64], low: float, high: float) -> int:
    first, last = max(0, int(low)), min(len(slope), max(int(high), int(low) + 1) + 1)
    return min(first, len(slope) - 1) + int(slope[first:last].argmax()) if last > first else min(first, len(slope) - 1)


def measure_events(
    trace: npt.NDArray[np.float64],
    rises: npt.NDArray[np.int64],
    probability: npt.NDArray[np.float64],
    signals: Signals,
    row: int,
    window: int,
    direction: int,
) -> Events:
    """Size and shape of events in one trace.

    Each is measured against the median just before it; where the one before has not decayed yet, that baseline already
    holds its tail. Rise is from 10 to 90 %, half-width and half-decay are at half of the amplitude; what the next event
    cuts off is unknown (NaN). Areas of overlapping events are split where the next one begins.
    """
    from scipy.ndimage import gaussian_filter1d

    smooth = gaussian_filter1d(trace, max(1.0, 0.004 * window))
    rows = []
    for e, rise in enumerate(rises):
        before = int(rises[e - 1]) if e else 0
        after = int(rises[e + 1]) if e + 1 < len(rises) else len(trace)
        rows.append(_shape(trace, smooth, int(rise), (before, after), window))
    table = np.array(rows, dtype=np.float64).reshape(-1, 7)
    onset, peak, amplitude, rise_time, half_width, half_decay, area = table.T
    step = signals.interval_s or 1.0
    unit = "s" if signals.interval_s is not None else "frames"
    return Events(
        tracks=np.full(len(rises), signals.ids[row]),
        kind="repeated",
        classes=np.zeros(len(rises), dtype=np.int64),
        frames=onset + signals.first_frame,
        probability=probability,
        interval_s=signals.interval_s,
        properties={
            "peak": peak + signals.first_frame, "amplitude": direction * amplitude, f"rise_{unit}": rise_time * step,
            f"half_width_{unit}": half_width * step, f"half_decay_{unit}": half_decay * step, "area": direction * area * step,
            "overlaps": np.isnan(half_decay).astype(np.int64),
        },
    )  # fmt: skip


def with_event_at(
    events: Events, signals: Signals, frame: float, *, window: int, direction: int, row: int = 0
) -> Events:
    """Events with one more, measured like the others, where a human sees one: at the steepest rise near a frame.

    Parameters
    ----------
    events
        Of the kind *repeated*; those that are there stay as they are.
    signals
        The traces.
    frame
        Near which it begins: a twentieth of a window away at most.
    window
        Samples of a window.
    direction
        1 where events rise, -1 where they fall.
    row
        In which trace.

    Raises
    ------
    AnlageError
        If the trace does not reach there.
    """
    from scipy.ndimage import gaussian_filter1d

    at, reach = round(frame) - signals.first_frame, max(2, window // 20)
    if not 0 <= at < signals.n_frames:
        raise AnlageError(
            f"The trace has the samples {signals.first_frame} to {signals.first_frame + signals.n_frames - 1}, not {frame:g}."
        )
    trace = direction * _filled(signals.values[row, 0])
    slope = gaussian_filter1d(trace, TraceSettings().smoothing * window, order=1)
    low = max(0, at - reach)
    rise = low + int(slope[low : at + reach + 1].argmax())
    own = events.tracks == signals.ids[row]
    onsets = np.rint(events.frames[own] - signals.first_frame).astype(np.int64)
    # its neighbours bound where it may begin and end; only its own line of the measurement is wanted
    before, after = onsets[onsets < rise], onsets[onsets > rise]
    rises = np.array([*before[-1:].tolist(), rise, *after[:1].tolist()], dtype=np.int64)
    none = np.full(len(rises), np.nan)
    measured = measure_events(trace, rises, none, signals, row, window, direction).select(np.array([len(before[-1:])]))
    names = list(events.properties) if len(events) else list(measured.properties)
    columns = {
        name: np.concatenate([events.properties[name], measured.properties.get(name, np.array([np.nan]))])
        if len(events)
        else measured.properties[name]
        for name in names
    }
    tracks = np.append(events.tracks, signals.ids[row])
    frames = np.append(events.frames, measured.frames)
    order = np.lexsort((frames, tracks))
    return Events(
        tracks=tracks,
        kind="repeated",
        classes=np.zeros(len(tracks), dtype=np.int64),
        frames=frames,
        probability=np.append(events.probability, np.nan),
        interval_s=signals.interval_s,
        properties=columns,
    ).select(order)


def _shape(
    trace: npt.NDArray[np.float64], smooth: npt.NDArray[np.float64], rise: int, between: tuple[int, int], window: int
) -> tuple[float, ...]:
    """Onset, peak, amplitude, 10–90 % rise, half-width, half-decay and area of one event, in samples."""
    before, after = between
    begin = max(before, rise - window // 8)
    end = min(after, rise + window)
    top = min(end, rise + max(2, window // 4))
    peak = rise + int(smooth[rise:top].argmax()) if top > rise else rise
    foot = rise - int(np.argmin(smooth[max(begin, rise - window // 20) : rise + 1][::-1]))
    quiet = trace[begin:foot] if foot - begin >= 4 else trace[max(before, foot - 4) : foot + 1]
    level = float(np.median(quiet)) if len(quiet) else float(trace[foot])
    height = float(smooth[peak] - level)
    if height <= 0:
        return (float(foot), float(peak), height, np.nan, np.nan, np.nan, np.nan)
    up = [_crossing(smooth, peak, foot, level + part * height, -1) for part in (0.1, 0.5, 0.9)]
    down = _crossing(smooth, peak, end - 1, level + 0.5 * height, 1)
    stop = end if not np.isfinite(down) else min(end, int(peak + 4 * (down - peak)) + 1)
    area = float((trace[foot:stop] - level).sum())
    onset = up[0] if np.isfinite(up[0]) else float(foot)
    return (onset, float(peak), height, up[2] - up[0], down - up[1], down - peak, area)


def _crossing(trace: npt.NDArray[np.float64], start: int, end: int, level: float, step: int) -> float:
    """Where a trace first falls below a level between two samples, drawn straight between samples; NaN if nowhere."""
    part = trace[start : end + 1] if step > 0 else trace[end : start + 1][::-1]
    below = np.flatnonzero(part < level)
    if not len(below) or below[0] == 0:
        return float("nan")
    i = int(below[0])
    return start + step * (i - 1 + float((part[i - 1] - level) / (part[i - 1] - part[i])))


def _filled(trace: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The trace with straight lines over what is missing."""
    known = np.isfinite(trace)
    if known.all() or not known.any():
        return np.nan_to_num(trace)
    at = np.arange(len(trace))
    found: npt.NDArray[np.float64] = np.interp(at, at[known], trace[known])
    return found


def _joined(parts: list[Events], signals: Signals) -> Events:
    names = parts[0].properties if parts else {}
    return Events(
        tracks=np.concatenate([p.tracks for p in parts]),
        kind="repeated",
        classes=np.concatenate([p.classes for p in parts]),
        frames=np.concatenate([p.frames for p in parts]),
        probability=np.concatenate([p.probability for p in parts]),
        interval_s=signals.interval_s,
        properties={name: np.concatenate([p.properties[name] for p in parts]) for name in names},
    )
