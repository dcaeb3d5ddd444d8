"""Synthetic signals with known events: steps in tracks, and repeated events in traces."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from anlage.signals.signals import Signals

__all__ = ["SyntheticTrace", "stepped_tracks", "trace_of_events"]

_EVENT, _NO_EVENT, _BEFORE = 0, 1, 2


def stepped_tracks(
    n: int,
    *,
    seed: int = 0,
    frames: tuple[int, int] = (25, 100),
    noise: float = 0.06,
    missing: float = 0.03,
    n_movies: int = 10,
) -> Signals:
    """Tracks of a signal that rises once like a sigmoid, never, or has risen before the first frame; a third each.

    Parameters
    ----------
    n
        Tracks.
    seed
        Of the random numbers.
    frames
        Least and greatest length of a track in frames.
    noise
        Standard deviation of the noise, where a rise is about 1.
    missing
        Share of the frames without a measurement.
    n_movies
        Movies that the tracks come from.

    Returns
    -------
    Signals
        With classes (0 event, 1 no event, 2 before the first frame) and times in frames with a fraction.
    """
    rng = np.random.default_rng([seed, n])
    longest = frames[1]
    values = np.full((n, 1, longest), np.nan)
    classes = rng.permutation(np.arange(n) % 3)
    times = np.full(n, np.nan)
    for i, kind in enumerate(classes):
        length = int(rng.integers(frames[0], longest + 1))
        t = np.arange(length)
        size, ground, width = np.exp(rng.normal(0, 0.15)), rng.uniform(0, 0.25), rng.uniform(0.3, 2.0)
        if kind == _EVENT:
            times[i] = rng.uniform(3, length - 4)
        at = {_EVENT: times[i], _NO_EVENT: np.inf, _BEFORE: -rng.uniform(6, 40)}[int(kind)]
        rise = size / (1 + np.exp(-np.clip((t - at) / width, -50, 50)))
        values[i, 0, :length] = ground + rise + noise * rng.normal(size=length)
        gaps = rng.random(length) < missing
        gaps[[0, -1]] = False
        values[i, 0, :length][gaps] = np.nan
    return Signals.of(
        values, ("signal",), interval_s=300.0, scores=classes, times=times,
        group=np.array([f"movie {m}" for m in rng.integers(n_movies, size=n)]),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class SyntheticTrace:
    """A long trace and the events in it.

    Parameters
    ----------
    signals
        One trace.
    onsets
        (E,) sample at which each event begins.
    amplitudes
        (E,) size of each, in the trace's unit.
    """

    signals: Signals
    onsets: npt.NDArray[np.float64]
    amplitudes: npt.NDArray[np.float64]


def trace_of_events(
    seconds: float = 30.0,
    *,
    seed: int = 0,
    interval_s: float = 2e-5,
    rate_hz: float = 1.5,
    signal_to_noise: float = 5.0,
    rise_s: float = 0.0004,
    decay_s: float = 0.0016,
) -> SyntheticTrace:
    """A recording with falling events (a difference of exponentials) at random times, on coloured noise and a slow drift.

    Parameters
    ----------
    seconds
        Length of the recording.
    seed
        Of the random numbers.
    interval_s
        Time between two samples in seconds: 2e-5 is 50 kHz.
    rate_hz
        Events a second.
    signal_to_noise
        Median size of an event in standard deviations of the noise.
    rise_s, decay_s
        Typical time constants in seconds; they vary from event to event.
    """
    from scipy.ndimage import gaussian_filter1d

    rng = np.random.default_rng([seed, 7])
    n = round(seconds / interval_s)
    white = rng.normal(size=n)
    noise = gaussian_filter1d(white, 3.0) * 0.8
    noise = noise / noise.std() + 0.35 * rng.normal(size=n)
    noise /= noise.std()
    drift = np.interp(np.arange(n), np.linspace(0, n, 60), np.cumsum(rng.normal(0, 1.0, 60)))
    trace = noise + drift
    onsets = np.sort(rng.uniform(0.02 * n, 0.98 * n, rng.poisson(rate_hz * seconds)))
    amplitudes = signal_to_noise * np.exp(rng.normal(0, 0.4, len(onsets)))
    for onset, amplitude in zip(onsets, amplitudes, strict=True):
        rise, decay = rise_s * np.exp(rng.normal(0, 0.2)), decay_s * np.exp(rng.normal(0, 0.25))
        first = int(np.ceil(onset))
        t = (np.arange(first, min(n, first + round(8 * decay / interval_s))) - onset) * interval_s
        shape = (1 - np.exp(-t / rise)) * np.exp(-t / decay)
        at_peak = rise * np.log(1 + decay / rise)
        trace[first : first + len(t)] -= amplitude * shape / ((1 - np.exp(-at_peak / rise)) * np.exp(-at_peak / decay))
    signals = Signals.of(trace, ("current_pA",), kind="repeated", interval_s=interval_s, group=f"trace {seed}")
    return SyntheticTrace(signals, onsets, amplitudes)
