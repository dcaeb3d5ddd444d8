"""Signals: a number for each nucleus and frame, or a trace over time, with their scored events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt

from anlage.errors import AnlageError
from anlage.foreign import INTERVALS_S

__all__ = ["CLASSES", "MOST_SAMPLES", "SCORES", "UNSCORED", "Kind", "Signals", "check_dense", "unit_of"]

MOST_SAMPLES = 1_000_000_000
"""Frames of a signal: more than five hours at 50 kHz."""
_PLACE_AND_NUCLEUS = 4
"""Columns of a table in memory beside its signals."""
_FEW_CELLS, _SPARSE = 50_000_000, 200
"""So many cells a table may have in memory at least, and for each that a file holds."""

Kind = Literal["once", "repeated"]
"""What can happen on a signal: once per track, with a time, or again and again."""

UNSCORED = -1
"""Nobody has looked yet."""
CLASSES = {0: "event", 1: "no event", 2: "other, or before the first frame"}
"""Numbers of a track's class (kind *once*); anything above 2 means removed."""
SCORES = {0: "no event", 1: "event", 2: "unclear"}
"""Numbers of a window's score (kind *repeated*)."""

_UNITS = {
    "_um_per_min": "µm/min", "_um3": "µm³", "_um2": "µm²", "_um": "µm", "_s": "s", "_min": "min", "_px": "voxels",
    "_pa": "pA", "_mv": "mV",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Signals:
    """Signals of N tracks (or windows, or traces) on one axis of frames.

    Parameters
    ----------
    values
        (N, C, T) float64; NaN where nothing was measured: a missing frame is missing, not zero.
    names
        Name of each of the C signals.
    ids
        (N,) int64, unique: number of each track.
    kind
        Whether `scores` are classes of tracks (*once*) or scores of windows (*repeated*).
    units
        Unit of each signal; empty where unknown.
    interval_s
        Time between two frames in seconds; None where unknown: times are then given in frames.
    first_frame
        Frame of the first column.
    group
        (N,) str: the movie or recording that each comes from. What shares a group is never split between training and
        validation.
    scores
        (N,) int64: class or score; `UNSCORED` where nobody has looked.
    times
        (N,) float64: frame of the event (with a fraction, on the same axis as `first_frame`); NaN where there is none.
    places
        (N, 3, T) float64: z, y, x in voxels of the image; None where there is no image.
    nuclei
        (N, T) int64: id of the nucleus, 0 where there is none; None where there is no image.
    notes
        Sentences: what was assumed or repaired when they were read.
    """

    values: npt.NDArray[np.float64]
    names: tuple[str, ...]
    ids: npt.NDArray[np.int64]
    kind: Kind
    units: tuple[str, ...]
    interval_s: float | None
    first_frame: int
    group: npt.NDArray[np.str_]
    scores: npt.NDArray[np.int64]
    times: npt.NDArray[np.float64]
    places: npt.NDArray[np.float64] | None = None
    nuclei: npt.NDArray[np.int64] | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.values.ndim != 3:
            raise AnlageError(f"Signals must be (tracks, signals, frames), not of shape {self.values.shape}.")
        n, c, t = self.values.shape
        wanted = {"ids": (n,), "group": (n,), "scores": (n,), "times": (n,), "places": (n, 3, t), "nuclei": (n, t)}
        for name, shape in wanted.items():
            column = getattr(self, name)
            if column is not None and column.shape != shape:
                raise AnlageError(f"The column '{name}' of the signals has the shape {column.shape}, not {shape}.")
        if len(self.names) != c or len(self.units) != c:
            raise AnlageError(f"There are {c} signals but {len(self.names)} names and {len(self.units)} units.")
        if len(set(self.names)) < c:
            raise AnlageError(f"Two signals have the same name among {', '.join(self.names)}; rename one.")
        if len(np.unique(self.ids)) < n:
            raise AnlageError("Two tracks of the signals have the same number; each needs its own.")
        if self.interval_s is not None and not INTERVALS_S.holds(self.interval_s):
            raise AnlageError(f"The time between two frames is {self.interval_s} s; it {INTERVALS_S}")

    @classmethod
    def of(
        cls,
        values: npt.ArrayLike,
        names: Sequence[str] = (),
        *,
        kind: Kind = "once",
        interval_s: float | None = None,
        first_frame: int = 0,
        **columns: Any,
    ) -> Self:
        """Build from values (N, C, T), (N, T) for a single signal or (T,) for a single trace; the rest takes its default.

        Tracks count from 1, all are of one group, and nobody has scored them. A column given as a single value holds for
        every track.
        """
        array = np.array(values, dtype=np.float64)
        array = array.reshape((1,) * (2 - array.ndim) + array.shape) if array.ndim < 2 else array
        array = array[:, None, :] if array.ndim == 2 else array
        n, c = array.shape[:2]
        names = tuple(names) or (("signal",) if c == 1 else tuple(f"signal {i}" for i in range(c)))

        def column(name: str, default: Any, dtype: Any) -> npt.NDArray[Any]:
            given = columns.pop(name, None)
            return np.array(np.broadcast_to(np.asarray(default if given is None else given, dtype=dtype), (n,)))

        made: dict[str, Any] = {
            "ids": column("ids", np.arange(1, n + 1), np.int64),
            "group": column("group", "", np.str_),
            "scores": column("scores", UNSCORED, np.int64),
            "times": column("times", np.nan, np.float64),
        }
        units = columns.pop("units", None)
        return cls(
            values=array,
            names=names,
            kind=kind,
            units=tuple(unit_of(name) for name in names) if units is None else tuple(units),
            interval_s=interval_s,
            first_frame=first_frame,
            **made,
            **columns,
        )

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def n_frames(self) -> int:
        """Frames of the common axis."""
        return int(self.values.shape[2])

    @property
    def present(self) -> npt.NDArray[np.bool_]:
        """(N, T) whether anything was measured."""
        return np.asarray(np.isfinite(self.values).any(axis=1))

    @property
    def spans(self) -> npt.NDArray[np.int64]:
        """(N, 2) first column with a value, and the one after the last; 0, 0 where there is none."""
        present = self.present
        has = present.any(axis=1)
        low = np.where(has, present.argmax(axis=1), 0)
        high = np.where(has, self.n_frames - present[:, ::-1].argmax(axis=1), 0)
        return np.stack([low, high], axis=1).astype(np.int64)

    @property
    def is_scored(self) -> npt.NDArray[np.bool_]:
        """(N,) whether a human has scored it and it can be learnt from: removed tracks and unclear windows cannot."""
        top = 2 if self.kind == "once" else 1
        return (self.scores >= 0) & (self.scores <= top)

    def select(self, rows: npt.NDArray[Any]) -> Self:
        """Some of the tracks: a mask, or row numbers."""
        return replace(
            self, values=self.values[rows], ids=self.ids[rows], group=self.group[rows], scores=self.scores[rows],
            times=self.times[rows], places=None if self.places is None else self.places[rows],
            nuclei=None if self.nuclei is None else self.nuclei[rows],
        )  # fmt: skip

    def chosen(self, names: Sequence[str]) -> Self:
        """Some of the signals, in this order.

        Raises
        ------
        AnlageError
            If one is absent; those there are, are named.
        """
        absent = [name for name in names if name not in self.names]
        if absent:
            raise AnlageError(
                f"There is no signal '{absent[0]}'; there are {', '.join(self.names)}. Measure it with `anlage signals`, or "
                "choose others with --set signals=…"
            )
        at = [self.names.index(name) for name in names]
        return replace(self, values=self.values[:, at], names=tuple(names), units=tuple(self.units[i] for i in at))

    def scored(self, scores: npt.NDArray[np.int64], times: npt.NDArray[np.float64] | None = None) -> Self:
        """The same signals with other classes or scores, and other times."""
        return replace(self, scores=scores, times=self.times if times is None else times)

    def seconds(self, frames: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Frames as seconds since frame 0; NaN where the interval is unknown."""
        return frames * (np.nan if self.interval_s is None else self.interval_s)

    @staticmethod
    def joined(parts: Sequence[Signals]) -> Signals:
        """Several tables of the same signals as one, with new numbers; their groups stay apart.

        Raises
        ------
        AnlageError
            If they are of different kinds.
        """
        first = parts[0]
        names = tuple(name for name in first.names if all(name in part.names for part in parts))
        for part in parts[1:]:
            if part.kind != first.kind:
                raise AnlageError(
                    "Some of the signals were scored as windows and some as tracks; train a network for each kind."
                )
            if not names:
                raise AnlageError(
                    f"The signals have no name in common: {', '.join(first.names)}; {', '.join(part.names)}."
                )
        low = min(part.first_frame for part in parts)
        high = max(part.first_frame + part.n_frames for part in parts)
        n = sum(map(len, parts))
        check_dense(n, len(names), high - low, sum(part.values.size for part in parts), "The table of all signals")
        values = np.full((n, len(names), high - low), np.nan)
        at = 0
        for part in parts:
            start = part.first_frame - low
            values[at : at + len(part), :, start : start + part.n_frames] = part.chosen(names).values
            at += len(part)
        many = len(parts) > 1
        group = [f"{i}:{g}" if many else str(g) for i, part in enumerate(parts) for g in part.group]
        return Signals.of(
            values, names, kind=first.kind, interval_s=first.interval_s, first_frame=low,
            units=first.chosen(names).units, group=np.array(group, dtype=np.str_),
            scores=np.concatenate([part.scores for part in parts]),
            times=np.concatenate([part.times for part in parts]),
        )  # fmt: skip


def check_dense(n_tracks: int, n_signals: int, n_frames: int, given: int, what: str) -> None:
    """Refuse to make a table of tracks × signals × frames of values that are strewn too thinly over it.

    Parameters
    ----------
    n_tracks, n_signals, n_frames
        Of the table; n_frames from the first to the last.
    given
        Values that there are.
    what
        What holds them, for the message.

    Raises
    ------
    AnlageError
        If the table would be both large and nearly empty.
    """
    cells = max(1, n_tracks * (n_signals + _PLACE_AND_NUCLEUS))
    most = max(_FEW_CELLS, _SPARSE * given) // cells
    if n_frames > most:
        raise AnlageError(
            f"{what} has {n_frames:,} frames from the first to the last, and with {n_tracks:,} tracks and {n_signals:,} signals at most "
            f"{most:,} are read; check the frames for a wrong number."
        )


def unit_of(name: str) -> str:
    """The unit that a signal's name ends in: µm³ for ``volume_um3``; empty if it has none."""
    low = name.lower()
    return next((unit for ending, unit in _UNITS.items() if low.endswith(ending)), "")
