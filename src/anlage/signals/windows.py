"""How long a network's window is in a recording that is sampled otherwise, and the recording as the network wants it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from anlage.errors import AnlageError
from anlage.signals.signals import Signals

__all__ = ["ALIKE", "SeenWindow", "resampled", "resampled_signals", "samples_of", "seen_window"]

ALIKE = 0.005
"""Two lengths that differ by less than this part are one: sampling intervals are rounded where they are written."""
_SHORTEST = 8
_MOST_TIMES = 1000
"""Times as long or as short as the network's own window."""


@dataclass(frozen=True, slots=True)
class SeenWindow:
    """The part of a recording that a network looks at.

    Parameters
    ----------
    samples
        Of the recording.
    wanted
        Samples of the network's own window, to which they are resampled.
    said
        A sentence on where the length is from and what follows from it; empty where nothing is to be said.
    """

    samples: int
    wanted: int
    said: str = ""

    @property
    def ratio(self) -> float:
        """Samples of the network for one of the recording; 1 where nothing is resampled."""
        return self.wanted / self.samples


def seen_window(
    wanted: int, learnt_s: float | None, signals: Signals, asked: int | None = None, *, usual: int = 0
) -> SeenWindow:
    """The length of a network's window in a recording.

    What was asked for holds; else it follows from the times between samples of both; else it is sample for sample.

    Parameters
    ----------
    wanted
        Samples of the network's own window.
    learnt_s
        Time in seconds between two samples of what it learnt from; None where unknown.
    signals
        The recording, or windows of one.
    asked
        Samples of the recording that hold what the network's window held; None: nobody has said.
    usual
        That number in what it learnt from, for where the intervals are unknown; 0: as many as wanted.

    Raises
    ------
    AnlageError
        If the two are of sizes that no resampling brings together.
    """
    here = signals.interval_s
    if asked is not None:
        samples, why = asked, "as asked"
    elif learnt_s is not None and here is not None:
        samples, why = round(wanted * learnt_s / here), f"{1000 * wanted * learnt_s:.4g} ms, as it learnt"
    elif usual and usual != wanted:
        samples, why = usual, "as in what it learnt from"
    else:
        lacks = "this file" if here is None else "what it learnt from"
        return SeenWindow(
            wanted, wanted,
            f"The network looks at {wanted} samples at once; the sampling interval of {lacks} is unknown, so they are taken as they "
            "are. If an event and its surroundings are longer or shorter here, set the window.",
        )  # fmt: skip
    if abs(samples / wanted - 1) < ALIKE:
        return SeenWindow(wanted, wanted)
    if not max(_SHORTEST, wanted / _MOST_TIMES) <= samples <= wanted * _MOST_TIMES:
        raise AnlageError(
            f"A window of {samples} samples here cannot be seen as the {wanted} samples that the network looks at; correct the "
            "window or the sampling interval."
        )
    way = "fewer" if samples > wanted else "more"
    return SeenWindow(
        samples, wanted,
        f"A window is {samples} samples here ({why}) and {wanted} of the network's: the signals are resampled to {way} samples, "
        f"{wanted / samples:.4g} for each.",
    )  # fmt: skip


def samples_of(window_ms: float, interval_s: float | None) -> int:
    """Milliseconds as a number of samples.

    Raises
    ------
    AnlageError
        If the time between samples is unknown, or there would be fewer than eight.
    """
    if interval_s is None:
        raise AnlageError(
            f"A window of {window_ms:g} ms needs the time between samples, which the file does not say; give the window in samples, "
            "or say the time with --interval S."
        )
    samples = round(window_ms / 1000 / interval_s)
    if samples < _SHORTEST:
        raise AnlageError(
            f"A window of {window_ms:g} ms is {samples} samples at {interval_s:g} s between them; at least {_SHORTEST} are needed."
        )
    return samples


def resampled(values: npt.NDArray[np.float64], ratio: float) -> npt.NDArray[np.float64]:
    """Values (…, T) with `ratio` samples for each: sample i of the result lies at sample i / ratio.

    For fewer samples each is the mean of those around it, so that what is faster does not come back as something slower; for more
    they are drawn between. Missing values (NaN) count for nothing, and are missing where there is nothing else.
    """
    if ratio == 1:
        return values
    n = values.shape[-1]
    at = np.arange(max(1, round(n * ratio))) / ratio
    rows = values.reshape(-1, n)
    made = np.stack([_means(row, at, 1 / ratio) if ratio < 1 else _between(row, at) for row in rows])
    return made.reshape(*values.shape[:-1], len(at))


def resampled_signals(signals: Signals, ratio: float) -> Signals:
    """Windows or traces with `ratio` samples for each; see `resampled`."""
    if ratio == 1:
        return signals
    step = signals.interval_s
    return replace(
        signals, values=resampled(signals.values, ratio), first_frame=round(signals.first_frame * ratio),
        times=signals.times * ratio, interval_s=None if step is None else step / ratio, places=None, nuclei=None,
    )  # fmt: skip


def _means(row: npt.NDArray[np.float64], at: npt.NDArray[np.float64], width: float) -> npt.NDArray[np.float64]:
    """The mean of the samples within half of a width of each place."""
    known = np.isfinite(row)
    edges = np.arange(len(row) + 1) - 0.5
    # about their middle, so that a long sum loses no digits
    middle = float(np.median(row[known])) if known.any() else 0.0
    sums = np.concatenate([[0.0], np.cumsum(np.where(known, row - middle, 0.0))])
    counts = np.concatenate([[0.0], np.cumsum(known)])
    low, high = at - width / 2, at + width / 2
    total = np.interp(high, edges, sums) - np.interp(low, edges, sums)
    number = np.interp(high, edges, counts) - np.interp(low, edges, counts)
    found: npt.NDArray[np.float64] = np.where(number > 1e-6, total / np.maximum(number, 1e-6) + middle, np.nan)
    return found


def _between(row: npt.NDArray[np.float64], at: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Values drawn between the samples; missing where the nearest one is."""
    known = np.isfinite(row)
    if not known.any():
        return np.full(len(at), np.nan)
    drawn = np.interp(at, np.flatnonzero(known), row[known])
    nearest = np.clip(np.rint(at).astype(int), 0, len(row) - 1)
    found: npt.NDArray[np.float64] = np.where(known[nearest], drawn, np.nan)
    return found
