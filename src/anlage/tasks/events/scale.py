"""Signals on the scale that a network sees: what the training data decided, never measured anew on the data to predict."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from anlage.errors import AnlageError
from anlage.frozen import Finite

__all__ = ["Normalise", "SignalScale", "baseline_of", "lag_of", "noise_of", "plan_scales"]

Normalise = Literal["auto", "percentile", "absolute", "window", "noise", "none"]

_PERCENTILES = (0.1, 99.9)
_ABSOLUTE = (0.0, 1000.0)
_TO_SD = 1 / (0.6745 * np.sqrt(2))
"""From the median absolute difference of two samples to the standard deviation of normal noise."""
_SPREAD = 3.0
"""A noise of 1/3 on the network's scale: events are several times larger."""
_LAGS = 100
"""Parts of a window between the two samples of a difference: short beside an event, long beside a filter's memory."""
_TINY = 1e-9
_TINIEST = 1e-30
"""Least difference of the values that become 0 and 1: the inverse of a smaller one is no number in single precision."""


class SignalScale(Finite):
    """How one signal becomes an input."""

    name: Annotated[str, Field(max_length=1000)]
    """Name of the signal."""
    how: Normalise
    """percentile and absolute: the values of `low` and `high` become 0 and 1; window: the smallest and largest value of each track or window do; noise: each window's median becomes 0 and three times its noise becomes 1; none: as it is."""
    low: float = 0.0
    """Value that becomes 0."""
    high: float = 1.0
    """Value that becomes 1."""
    clip: bool = False
    """Whether values outside are cut off."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not _TINIEST <= self.high - self.low < np.inf:
            raise ValueError(f"low must be below high, not {self.low:g} and {self.high:g}")
        return self

    def apply(self, values: npt.NDArray[np.float64], lag: int = 1) -> npt.NDArray[np.float64]:
        """Values (N, T) of this signal, each row a track or window, on the network's scale; NaN stays NaN.

        Parameters
        ----------
        values
            As measured.
        lag
            Samples between the two whose difference measures the noise.
        """
        if self.how == "none":
            found: npt.NDArray[np.float64] = values
        elif self.how == "noise":
            found = (values - _median(values)) / (_SPREAD * noise_of(values, lag))
        elif self.how == "window":
            low, high = _extremes(values)
            found = (values - low) / np.maximum(high - low, _TINY)
        else:
            found = (values - self.low) / (self.high - self.low)
        return found.clip(0.0, 1.0) if self.clip else found

    def apply_along(self, trace: npt.NDArray[np.float64], window: int, lag: int) -> npt.NDArray[np.float64]:
        """A long trace (T,), every part of it as the window around it would be; see `apply`."""
        if self.how == "noise":
            found: npt.NDArray[np.float64] = (trace - baseline_of(trace, window)) / (
                _SPREAD * noise_of(trace[None], lag)[0]
            )
        elif self.how == "window":
            from scipy.ndimage import maximum_filter1d, minimum_filter1d

            filled = np.where(np.isfinite(trace), trace, np.nanmedian(trace))
            low, high = minimum_filter1d(filled, window), maximum_filter1d(filled, window)
            found = (trace - low) / np.maximum(high - low, _TINY)
        else:
            return np.asarray(self.apply(trace[None], lag)[0])
        return found.clip(0.0, 1.0) if self.clip else found


def lag_of(window: int) -> int:
    """Samples between the two whose difference measures a window's noise."""
    return max(1, window // _LAGS)


def plan_scales(
    values: npt.NDArray[np.float64],
    names: Sequence[str],
    how: Sequence[Normalise],
    limits: Sequence[tuple[float, float]],
    *,
    clip: bool,
) -> tuple[SignalScale, ...]:
    """Scales from training data.

    Parameters
    ----------
    values
        (N, C, T) signals to learn from.
    names
        Of the C signals.
    how, limits
        One for all, or one for each; limits are percentiles or absolute values. None: the usual ones.
    clip
        Whether values outside the limits are cut off.

    Raises
    ------
    AnlageError
        If their numbers do not fit, limits are not in order, or a signal has no value.
    """
    n = len(names)
    for what, given in (("normalise", how), ("limits", limits)):
        if len(given) not in (0, 1, n):
            raise AnlageError(
                f"The setting {what} has {len(given)} entries for {n} signals ({', '.join(names)}); give 1 or {n}."
            )
    scales = []
    for c, name in enumerate(names):
        kind = how[c] if len(how) == n else how[0]
        pair = limits[c] if len(limits) == n else limits[0] if limits else None
        scales.append(_scale(values[:, c], name, kind, pair, clip=clip))
    return tuple(scales)


def noise_of(values: npt.NDArray[np.float64], lag: int) -> npt.NDArray[np.float64]:
    """(N, 1) standard deviation of the noise of each row: from the median difference of samples `lag` apart.

    Events are rare among such differences, so they hardly count. Where half of the values are alike, the spread of all
    stands in.
    """
    lag = min(lag, max(1, values.shape[1] - 1))
    difference = np.abs(values[:, lag:] - values[:, :-lag])
    if values.shape[1] > 4 * _MANY:
        difference = difference[:, :: difference.shape[1] // _MANY]
    noise = _median(difference) * _TO_SD
    filled = np.where(np.isfinite(values), values, _median(values))
    spread = filled.std(axis=1, keepdims=True)
    found: npt.NDArray[np.float64] = np.where(noise > _TINY, noise, np.where(spread > _TINY, spread, 1.0))
    return found


_MANY = 200_000
"""Differences that are enough to measure the noise of a long trace."""


def baseline_of(trace: npt.NDArray[np.float64], window: int) -> npt.NDArray[np.float64]:
    """The median of the window around each sample, from the medians of its quarters, drawn between them.

    Parameters
    ----------
    trace
        (T,) samples.
    window
        Samples of a window.
    """
    from scipy.ndimage import median_filter  # slow to load, and start-up loads this module

    size = max(1, window // 8)
    n = max(1, len(trace) // size)
    blocks = np.array_split(trace[: n * size].reshape(n, size) if len(trace) >= size else trace[None], 1)[0]
    medians = _median(blocks)[:, 0]
    medians = np.where(np.isfinite(medians), medians, np.nanmedian(trace) if np.isfinite(trace).any() else 0.0)
    smooth = median_filter(medians, size=min(9, len(medians)), mode="nearest")
    found: npt.NDArray[np.float64] = np.interp(np.arange(len(trace)), (np.arange(len(smooth)) + 0.5) * size, smooth)
    return found


def _scale(
    values: npt.NDArray[np.float64], name: str, how: Normalise, limits: tuple[float, float] | None, *, clip: bool
) -> SignalScale:
    if how in ("window", "noise", "none"):
        return SignalScale(name=name, how=how, clip=clip)
    measured = values[np.isfinite(values)]
    if not len(measured):
        raise AnlageError(
            f"The signal '{name}' has no value in any track to learn from; leave it out with --set signals=…"
        )
    low, high = limits or (_PERCENTILES if how == "percentile" else _ABSOLUTE)
    if not low < high or (how == "percentile" and not 0 <= low < high <= 100):
        raise AnlageError(
            f"The limits {low:g} and {high:g} of '{name}' are not in order; percentiles lie from 0 to 100."
        )
    if how == "percentile":
        low, high = (float(v) for v in np.percentile(measured, (low, high)))
        if high - low <= _TINY * max(1.0, abs(low)):
            high = low + 1.0  # a signal that never changes says nothing, but is no reason to stop
    return SignalScale(name=name, how=how, low=low, high=high, clip=clip)


def _median(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(N, 1) median of the measured values of each row; 0 where there are none."""
    empty = np.asarray(~np.isfinite(values).any(axis=1))
    filled = np.where(empty[:, None], 0.0, values)
    fast = np.median if np.isfinite(filled).all() else np.nanmedian
    found: npt.NDArray[np.float64] = fast(filled, axis=1, keepdims=True)
    return found


def _extremes(values: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    empty = np.asarray(~np.isfinite(values).any(axis=1))
    filled = np.where(empty[:, None], 0.0, values)
    return np.nanmin(filled, axis=1, keepdims=True), np.nanmax(filled, axis=1, keepdims=True)
