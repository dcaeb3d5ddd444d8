"""Event statistics of a population: survival curves, rates, and signals aligned at the event."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from anlage.errors import AnlageError
from anlage.signals.events import Events
from anlage.signals.signals import Signals

__all__ = ["AlignedMean", "Survival", "aligned_mean", "event_rate", "survival"]

_Z = 1.959964
"""Half a 95 % interval of the normal distribution, in standard deviations."""


@dataclass(frozen=True, slots=True)
class Survival:
    """Share of tracks without the event as time goes on (Kaplan & Meier 1958), with a 95 % band.

    Parameters
    ----------
    times
        (K,) times at which events happened, in frames from each track's start (or from another event).
    share, low, high
        (K,) share without the event after each, and its band.
    n, n_events
        Tracks, and those with an event.
    interval_s
        Time between two frames in seconds; None where unknown.
    """

    times: npt.NDArray[np.float64]
    share: npt.NDArray[np.float64]
    low: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]
    n: int
    n_events: int
    interval_s: float | None

    @property
    def median(self) -> float:
        """Time by which half have had the event, in frames; NaN if it is not reached."""
        below = np.flatnonzero(self.share <= 0.5)
        return float(self.times[below[0]]) if len(below) else float("nan")


def survival(events: Events, signals: Signals, *, since: Events | None = None) -> Survival:
    """How long tracks stay without the event; those that end before it count as long as they were seen (censored).

    Parameters
    ----------
    events
        Of the kind *once*. Tracks of the class other (2) are left out: their event was before the first frame.
    signals
        The tracks: from when to when each was seen.
    since
        Another event from which time counts, in place of each track's first frame; tracks without it are left out.
    """
    from scipy.stats import CensoredData, ecdf

    spans = {int(i): s + signals.first_frame for i, s in zip(signals.ids, signals.spans, strict=True)}
    starts = {int(i): float(s[0]) for i, s in spans.items()}
    if since is not None:
        starts = {
            int(t): float(f) for t, f in zip(since.tracks[since.happened], since.frames[since.happened], strict=True)
        }
    seen: dict[str, list[float]] = {"event": [], "censored": []}
    for track, kind, frame in zip(events.tracks, events.classes, events.frames, strict=True):
        start = starts.get(int(track))
        if start is None or int(track) not in spans or kind > 1:
            continue
        is_event = kind == 0 and np.isfinite(frame) and frame >= start
        end = float(frame) if is_event else float(spans[int(track)][1])
        if end > start:
            seen["event" if is_event else "censored"].append(end - start)
    if not seen["event"]:
        raise AnlageError("No track has the event, so there is no survival curve; score or predict some first.")
    found = ecdf(CensoredData(uncensored=seen["event"], right=seen["censored"])).sf
    with np.errstate(divide="ignore", invalid="ignore"), warnings.catch_warnings():
        # where all or none are left the formula has no band; the share itself stands in below
        warnings.filterwarnings("ignore", "The confidence interval is undefined", RuntimeWarning)
        band: Any = found.confidence_interval(0.95, method="log-log")
    share = np.asarray(found.probabilities)
    low, high = (np.where(np.isfinite(b), b, share) for b in (band.low.probabilities, band.high.probabilities))
    happened = np.isin(found.quantiles, seen["event"])
    n = len(seen["event"]) + len(seen["censored"])
    return Survival(
        np.asarray(found.quantiles)[happened], share[happened], low[happened], high[happened], n, len(seen["event"]), signals.interval_s
    )  # fmt: skip


def event_rate(events: Events, signals: Signals) -> tuple[float, tuple[float, float]]:
    """Events per track and hour (per track and frame where the interval is unknown), with its 95 % interval.

    The time that each track was under observation counts: to its event if that happens once, else to its end. The interval
    is Garwood's (1936), exact for a Poisson process.
    """
    from scipy.stats import chi2

    low, high = signals.spans.T + signals.first_frame
    seen = dict(zip(signals.ids.tolist(), (high - low).tolist(), strict=True))
    if events.kind == "once":
        start = dict(zip(signals.ids.tolist(), low.tolist(), strict=True))
        for track, frame in zip(events.tracks[events.happened], events.frames[events.happened], strict=True):
            if int(track) in seen:
                seen[int(track)] = max(0.0, float(frame) - start[int(track)])
        for track in events.tracks[events.classes > 1]:
            seen.pop(int(track), None)
    time = float(sum(seen.values())) * (1.0 if signals.interval_s is None else signals.interval_s / 3600)
    n = int(np.isin(events.tracks[events.happened], list(seen)).sum())
    if time <= 0:
        raise AnlageError("No track was under observation, so there is no rate of events.")
    bounds = (chi2.ppf(0.025, 2 * n) / 2 if n else 0.0, chi2.ppf(0.975, 2 * n + 2) / 2)
    return n / time, (float(bounds[0]) / time, float(bounds[1]) / time)


@dataclass(frozen=True, slots=True)
class AlignedMean:
    """A signal around events.

    Parameters
    ----------
    frames
        (K,) frames from the event, negative before it.
    mean, low, high
        (K,) mean over events and its 95 % band (normal); NaN where fewer than `fewest` were measured.
    n
        (K,) events that were measured there.
    """

    frames: npt.NDArray[np.float64]
    mean: npt.NDArray[np.float64]
    low: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]
    n: npt.NDArray[np.int64]


def aligned_mean(
    signals: Signals, name: str, events: Events, *, before: int = 20, after: int = 20, fewest: int = 3
) -> AlignedMean:
    """Mean of a signal over all events, aligned on their times, with a confidence band.

    Parameters
    ----------
    signals
        The tracks.
    name
        Of the signal.
    events
        Whose times to align on.
    before, after
        Frames around the event.
    fewest
        Fewest events from which a mean is reported.
    """
    values = signals.chosen([name]).values[:, 0]
    row_of = {int(track): i for i, track in enumerate(signals.ids)}
    offsets = np.arange(-before, after + 1, dtype=np.float64)
    rows = []
    at = np.arange(signals.n_frames)
    for track, frame in zip(events.tracks[events.happened], events.frames[events.happened], strict=True):
        i = row_of.get(int(track))
        if i is None:
            continue
        known = np.isfinite(values[i])
        if not known.any():
            continue
        wanted = offsets + frame - signals.first_frame
        drawn = np.interp(wanted, at[known], values[i, known], left=np.nan, right=np.nan)
        rows.append(drawn)
    stack = np.array(rows).reshape(-1, len(offsets))
    n = np.isfinite(stack).sum(axis=0)
    total = np.nansum(stack, axis=0)
    mean = np.where(n >= fewest, total / np.maximum(n, 1), np.nan)
    spread = np.sqrt(np.nansum((stack - mean) ** 2, axis=0) / np.maximum(n - 1, 1))
    half = _Z * spread / np.sqrt(np.maximum(n, 1))
    return AlignedMean(offsets, mean, mean - half, mean + half, n)
