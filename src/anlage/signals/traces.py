"""A trace before events are looked for in it: smoothed, and the right way up."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from anlage.errors import AnlageError

__all__ = ["filter_samples", "hann_filtered", "looks_upside_down"]

_RARE = 0.002
"""Share of the samples beyond which both tails of a trace are compared."""
_FAR, _MORE = 5.0, 1.5
"""Events stand out by so many standard deviations of the noise, and so many times further than the other tail."""


def filter_samples(filter_ms: float, interval_s: float | None) -> int:
    """Samples of a filter that is so many milliseconds wide.

    Raises
    ------
    AnlageError
        If the time between samples is unknown.
    """
    if interval_s is None:
        raise AnlageError(
            f"A filter of {filter_ms:g} ms needs the time between samples, which the file does not say; say it with --interval S."
        )
    return max(1, round(filter_ms / 1000 / interval_s))


def hann_filtered(trace: npt.NDArray[np.float64], samples: int) -> npt.NDArray[np.float64]:
    """A trace (T,) without missing samples, smoothed by a Hann window of so many samples; 1 leaves it as it is."""
    if samples <= 1:
        return trace
    from scipy.signal import oaconvolve  # slow to load

    shape = np.hanning(samples + 2)[1:-1]
    low = (samples - 1) // 2
    padded = np.pad(trace, (low, samples - 1 - low), mode="edge")
    found: npt.NDArray[np.float64] = oaconvolve(padded, shape / shape.sum(), mode="valid")
    return found


def looks_upside_down(trace: npt.NDArray[np.float64], direction: int, window: int) -> bool:
    """Whether what stands out of a trace (T,) goes the other way than events do: 1 up, -1 down, 0 unknown.

    Each stretch of a window is held against its own median; the noise is that of half of all samples.
    """
    known = np.isfinite(trace)
    if not direction or known.sum() < 2 * window:
        return False
    n = len(trace) // window * window
    filled = np.where(known, trace, np.median(trace[known]))[:n].reshape(-1, window)
    rest = filled - np.median(filled, axis=1, keepdims=True)
    noise = 1.4826 * float(np.median(np.abs(rest)))
    down, up = np.quantile(direction * rest, (_RARE, 1 - _RARE))
    return bool(-down > _FAR * noise and -down > _MORE * up)
