"""The file ``held-out.csv`` of a run: held-out examples of the events task, with the network's predictions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anlage.errors import AnlageError
from anlage.foreign import PROBABILITIES
from anlage.io.atomic import own, replacing
from anlage.io.csv_columns import TextColumns
from anlage.signals.events import Events

__all__ = ["CHANCES", "HELD_OUT", "HeldOut", "read_held_out", "write_held_out"]

_NEEDS = "the held-out examples of a run"
HELD_OUT = "held-out.csv"
"""Name of the file in a run."""
CHANCES = ("probability_event", "probability_no_event", "probability_other")
"""Columns of the probabilities of a track's classes."""


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Held-out tracks or windows.

    Parameters
    ----------
    files, groups
        (N,) name of the file that each comes from, and of its movie or recording.
    numbers
        (N,) number of the track; of windows their place in the file, from 0.
    scores, times
        (N,) what a human said: class and frame of the event; of windows the score.
    chances
        (N, 3) calibrated probabilities of the classes of tracks; (N, 1) of an event in windows.
    predicted_times
        (N,) frame of the event as the network has it; NaN of windows.
    interval_s
        Time between two frames in seconds; None where unknown.
    threshold
        Probability from which a window is reported as an event.
    """

    files: npt.NDArray[np.str_]
    groups: npt.NDArray[np.str_]
    numbers: npt.NDArray[np.int64]
    scores: npt.NDArray[np.int64]
    times: npt.NDArray[np.float64]
    chances: npt.NDArray[np.float64]
    predicted_times: npt.NDArray[np.float64]
    interval_s: float | None = None
    threshold: float = 0.5

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def is_windows(self) -> bool:
        """Whether these are windows, not tracks."""
        return bool(self.chances.shape[1] == 1)

    @property
    def predicted(self) -> npt.NDArray[np.int64]:
        """(N,) class that is the likeliest; of windows the score."""
        if self.is_windows:
            score: npt.NDArray[np.int64] = (self.chances[:, 0] >= self.threshold).astype(np.int64)
            return score
        likeliest: npt.NDArray[np.int64] = self.chances.argmax(axis=1).astype(np.int64)
        return likeliest

    def events(self, file: str | None = None) -> Events:
        """What the network said of tracks: of those of one file with their numbers, or of all, counted from 0.

        Two movies may have tracks of the same number, so all of them together are counted anew; of one file with several movies
        only the first track of each number is kept.
        """
        rows = np.arange(len(self))
        numbers = rows
        if file is not None:
            rows = np.flatnonzero(self.files == file)
            numbers, first = np.unique(self.numbers[rows], return_index=True)
            rows = rows[first]
        predicted = self.predicted[rows]
        return Events(
            tracks=numbers,
            kind="once",
            classes=predicted,
            frames=np.where(predicted == 0, self.predicted_times[rows], np.nan),
            probability=self.chances[rows].max(axis=1),
            interval_s=self.interval_s,
            properties=dict(zip(CHANCES, self.chances[rows].T, strict=True)),
        )


def write_held_out(path: Path, held: HeldOut) -> None:
    """Write a row for each example."""
    import pandas as pd

    table: dict[str, Any] = {"file": held.files}
    if held.is_windows:
        table |= {"recording": held.groups, "window": held.numbers, "score": held.scores}
        table["probability"] = held.chances[:, 0].round(6)
        table["threshold"] = held.threshold
    else:
        table |= {"movie": held.groups, "track_id": held.numbers, "class": held.scores, "t_event": held.times}
        table |= {"told": held.predicted, "t_told": held.predicted_times.round(4)}
        table |= {name: column.round(6) for name, column in zip(CHANCES, held.chances.T, strict=True)}
        if held.interval_s is not None:
            table["interval_s"] = held.interval_s
    with replacing(path, own) as temporary:
        pd.DataFrame(table).to_csv(temporary, index=False)


def read_held_out(path: Path) -> HeldOut:
    """Read what `write_held_out` wrote.

    Raises
    ------
    AnlageError
        If it is not there, or something else.
    """
    if not path.is_file():
        raise AnlageError(
            f"There are no held-out examples at {path}; runs keep them from the end of their training on."
        )
    table = TextColumns(path, _NEEDS)
    names = [str(name) for name in table.frame.columns]
    windows = "window" in names
    wanted = ("window", "score", "probability") if windows else ("track_id", "class", "t_event", "t_told", *CHANCES)
    missing = [name for name in ("file", *wanted) if name not in names]
    if missing:
        raise AnlageError(f"'{path}' lacks the column {missing[0]}; it does not hold {_NEEDS}.")
    groups = "recording" if windows else "movie"
    n = len(table.frame)
    unknown = np.full(n, np.nan)
    interval = table.numbers("interval_s") if "interval_s" in names and n else None
    reported = table.numbers("threshold", known=PROBABILITIES) if windows and n and "threshold" in names else [0.5]
    return HeldOut(
        files=table.frame["file"].to_numpy(dtype=np.str_),
        groups=table.frame[groups].to_numpy(dtype=np.str_) if groups in names else np.full(n, ""),
        numbers=table.whole("window" if windows else "track_id"),
        scores=table.whole("score" if windows else "class"),
        times=unknown if windows else table.numbers("t_event"),
        chances=np.stack(
            [table.numbers(name, known=PROBABILITIES) for name in (("probability",) if windows else CHANCES)], axis=1
        ),
        predicted_times=unknown if windows else table.numbers("t_told"),
        interval_s=None if interval is None else float(interval[0]),
        threshold=float(reported[0]),
    )
