"""Events: what happened on which track or trace, and when; scored by a human or predicted by a network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from anlage.errors import AnlageError
from anlage.foreign import PROBABILITIES
from anlage.signals.signals import Kind, Signals

__all__ = ["Events"]

_EVENT = 0


@dataclass(frozen=True, slots=True)
class Events:
    """A table of events, or, for events that happen once, of tracks and what happened to them.

    Parameters
    ----------
    tracks
        (E,) int64: number of the track or trace. Of the kind *once* each track has one row; of the kind *repeated* a row
        is one occurrence.
    kind
        What can happen.
    classes
        (E,) int64: 0 event, 1 no event, 2 other, above removed; 0 for every occurrence of the kind *repeated*.
    frames
        (E,) float64: frame of the event, with a fraction; NaN where there is none.
    probability
        (E,) float64: calibrated probability of that class; NaN for a human's.
    interval_s
        Time between two frames in seconds; None where unknown.
    properties
        Further columns, (E,) each: place, peak, amplitude …
    notes
        Sentences: what was left out when they were read.
    """

    tracks: npt.NDArray[np.int64]
    kind: Kind
    classes: npt.NDArray[np.int64]
    frames: npt.NDArray[np.float64]
    probability: npt.NDArray[np.float64]
    interval_s: float | None = None
    properties: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        n = len(self.tracks)
        columns = {"classes": self.classes, "frames": self.frames, "probability": self.probability, **self.properties}
        for name, column in columns.items():
            if len(column) != n:
                raise AnlageError(
                    f"The column '{name}' of the events has {len(column)} rows, but there are {n} events."
                )
        if PROBABILITIES.outside(self.probability).any():
            at = int(np.flatnonzero(PROBABILITIES.outside(self.probability))[0])
            raise AnlageError(
                f"The event of track {self.tracks[at]} has the probability {self.probability[at]:g}, which {PROBABILITIES}"
            )
        if self.kind == "once" and len(np.unique(self.tracks)) < n:
            twice = self.tracks[np.flatnonzero(np.diff(np.sort(self.tracks)) == 0)[0]]
            raise AnlageError(f"Track {twice} has two rows; an event that happens once has one for each track.")

    def __len__(self) -> int:
        return len(self.tracks)

    @classmethod
    def of_signals(cls, signals: Signals) -> Self:
        """What a human scored on tracks."""
        scored = signals.scores >= 0
        return cls(
            tracks=signals.ids[scored],
            kind="once",
            classes=signals.scores[scored],
            frames=signals.times[scored],
            probability=np.full(int(scored.sum()), np.nan),
            interval_s=signals.interval_s,
        )

    @property
    def happened(self) -> npt.NDArray[np.bool_]:
        """(E,) rows that are an event with a time."""
        found: npt.NDArray[np.bool_] = (self.classes == _EVENT) & np.isfinite(self.frames)
        return found

    @property
    def seconds(self) -> npt.NDArray[np.float64]:
        """(E,) seconds since frame 0; NaN where there is no event or the interval is unknown."""
        return self.frames * (np.nan if self.interval_s is None else self.interval_s)

    def select(self, rows: npt.NDArray[Any]) -> Self:
        """Some of the rows: a mask, or row numbers."""
        return replace(
            self, tracks=self.tracks[rows], classes=self.classes[rows], frames=self.frames[rows],
            probability=self.probability[rows], properties={k: v[rows] for k, v in self.properties.items()},
        )  # fmt: skip

    def placed(self, signals: Signals) -> Self:
        """With the columns t, z, y, x: where in the image each event happened, in voxels, at the frame nearest to it."""
        if signals.places is None:
            return self
        row_of = {int(track): i for i, track in enumerate(signals.ids)}
        places = np.full((len(self), 4), np.nan)
        for e in np.flatnonzero(self.happened):
            i = row_of.get(int(self.tracks[e]))
            if i is None:
                continue
            there = np.flatnonzero(np.isfinite(signals.places[i]).all(axis=0))
            if len(there):
                at = there[np.abs(there + signals.first_frame - self.frames[e]).argmin()]
                places[e] = at + signals.first_frame, *signals.places[i, :, at]
        return replace(self, properties={**self.properties, **dict(zip("tzyx", places.T, strict=True))})
