"""Read recordings in the Axon Binary Format (``.abf``) through pyabf, an optional package."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np

from anlage.errors import AnlageError
from anlage.foreign import INTERVALS_S, border, check_size, printable
from anlage.installed import install
from anlage.signals.signals import MOST_SAMPLES, Signals

__all__ = ["read_abf"]


def read_abf(path: Path, interval_s: float | None = None) -> Signals:
    """The first channel of a recording, sweep after sweep, as one trace.

    Parameters
    ----------
    path
        The file, version 1 or 2 of the format.
    interval_s
        Seconds between two samples; by default as the file says.

    Raises
    ------
    AnlageError
        If pyabf is not installed, or the file cannot be read or holds no samples.
    """
    if importlib.util.find_spec("pyabf") is None:
        raise AnlageError(f"'{path}' is a recording of pCLAMP, which needs the package pyabf: {install(['pyabf'])}")
    import pyabf  # an optional package

    # a sample takes two bytes at least
    check_size(path.stat().st_size / 2, MOST_SAMPLES, f"The recording '{path}'")
    with border(f"'{path}'"):
        recording = pyabf.ABF(str(path))
        samples = np.asarray(recording.data, dtype=np.float64)
        rate, names, units = float(recording.dataRate), list(recording.adcNames), list(recording.adcUnits)
        n_sweeps = int(recording.sweepCount)
    if samples.ndim != 2 or not samples.size:
        raise AnlageError(f"'{path}' holds no samples.")
    if not INTERVALS_S.holds(1 / rate if rate > 0 else 0):
        raise AnlageError(
            f"The sampling rate in '{path}' is {rate:g} Hz; say the time between samples with --interval S."
        )
    name = printable(str(names[0])) if names and str(names[0]).strip() else "trace"
    notes = []
    if len(samples) > 1:
        others = ", ".join(printable(str(other)) for other in names[1:])
        notes.append(f"Channel '{name}' of {len(samples)} was read; left out: {others}.")
    if n_sweeps > 1:
        notes.append(f"{n_sweeps} sweeps were put one after the other; an event across two of them is none.")
    return Signals.of(
        samples[0], (name,), kind="repeated", interval_s=interval_s or 1 / rate, group=path.stem,
        units=(printable(str(units[0])) if units else "",), notes=tuple(notes),
    )  # fmt: skip
