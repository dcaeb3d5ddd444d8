"""Read and write signals as CSV: long (a row for each track and frame), wide (a row for each track), or a trace."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anlage.axes import Spacing
from anlage.errors import AnlageError
from anlage.foreign import check_size, shown
from anlage.io.csv_columns import TextColumns
from anlage.io.csv_files import write_csv
from anlage.io.scale_columns import SCALE_COLUMNS, scale_columns
from anlage.io.seals import LIBRARY, Writer
from anlage.signals.signals import MOST_SAMPLES, UNSCORED, Kind, Signals, check_dense, unit_of

__all__ = ["class_columns", "read_signal_table", "write_signal_table"]

_TRACK = ("track_id", "track", "trackid", "cell_id", "cell")
_FRAME = ("frame", "t", "timepoint", "time_point")
_SECONDS = {"time_s": 1.0, "seconds": 1.0, "time_ms": 1e-3, "time_min": 60.0, "time_h": 3600.0, "time": 1.0}
_GROUP = ("movie", "recording", "group", "position_name", "pos_name")
_PLACE = (("z", "position_z"), ("y", "position_y"), ("x", "position_x"))
_NUCLEUS = ("nucleus_id", "id")
_SCORE = ("score", "scores")
_UNIT = re.compile(r"^(.*?)\s*[\[(]([^\])]*)[\])]$")
_WIDE = re.compile(r"^(?:(?P<name>.+)@)?(?P<frame>\d+)$")
_BOOKKEEPING = ("class_id", "class_color")
"""Columns of Celldetective's tables that are named like the classes of an event, and are none."""
_TOP_SCORE = 2
_REGULAR = 0.05
"""Part of an interval by which sampling times may stray."""


def class_columns(names: Iterable[str]) -> list[str]:
    """Of the names of columns, in lower case, those that hold the classes of an event: ``class_NAME``."""
    return [name for name in names if name.startswith("class_") and name not in _BOOKKEEPING]


def read_signal_table(path: Path, *, interval_s: float | None = None, event: str = "") -> Signals:
    """Read a CSV of signals; see `anlage.io.signal_files.signals.open_signals`."""
    table = _Table(path, event)
    if table.wide:
        return _wide(table, interval_s)
    return _long(table, interval_s)


def write_signal_table(
    path: Path,
    signals: Signals,
    *,
    event: str = "",
    others: Mapping[str, Signals] | None = None,
    spacing: Spacing | None = None,
    by: Writer = LIBRARY,
) -> None:
    """Write a row for each track and frame that has a value; a long single trace becomes a row for each sample."""
    rows, columns_at = np.nonzero(signals.present)
    ending = f"_{event}" if event else ""
    frames = columns_at + signals.first_frame
    table: dict[str, Any] = {"track_id": signals.ids[rows]}
    if signals.nuclei is not None:
        table["nucleus_id"] = signals.nuclei[rows, columns_at]
    table["t"] = frames
    if signals.interval_s is not None:
        table["time_s"] = (frames * signals.interval_s).round(9)
    if signals.places is not None:
        table |= {axis: signals.places[rows, i, columns_at].round(4) for i, axis in enumerate("zyx")}
    if (signals.group != "").any():
        table["recording" if signals.kind == "repeated" else "movie"] = signals.group[rows]
    for i, (name, unit) in enumerate(zip(signals.names, signals.units, strict=True)):
        shown = name if not unit or unit_of(name) == unit else f"{name} [{unit}]"
        table[shown] = signals.values[rows, i, columns_at]
    if (signals.scores != UNSCORED).any():
        scores = signals.scores[rows]
        name = f"score{ending}" if signals.kind == "repeated" else f"class{ending}"
        table[name] = np.where(scores == UNSCORED, "", scores.astype(np.str_))
    if np.isfinite(signals.times).any():
        table[f"t_event{ending}" if not event else f"t_{event}"] = signals.times[rows]
    for name, answers in (others or {}).items():
        scores = answers.scores[rows]
        table[f"class_{name}"] = np.where(scores == UNSCORED, "", scores.astype(np.str_))
        table[f"t_{name}"] = answers.times[rows]
    table |= scale_columns(len(rows), spacing)
    write_csv(path, table, by.of("signals"), sep="\t" if path.suffix.lower() == ".tsv" else ",")


class _Table(TextColumns):
    """Columns of a table of signals with what they mean."""

    def __init__(self, path: Path, event: str) -> None:
        super().__init__(path, "a table of signals has track_id, t and a column for each signal")
        self.lower = {str(name).strip().lower(): name for name in reversed(self.frame.columns)}
        self.track, self.at = self._first(_TRACK), self._first(_FRAME)
        self.seconds, self.group = self._first(tuple(_SECONDS)), self._first(_GROUP)
        self.nucleus = self._first(_NUCLEUS)
        self.place = [self._first(names) for names in _PLACE]
        self._event_columns(event)
        used = {self.track, self.at, self.seconds, self.group, self.nucleus, self.score, self.time, *self.place}
        rest = [
            n for n in self.frame.columns
            if n not in used and str(n).strip().lower() not in SCALE_COLUMNS and not str(n).lower().startswith(("class_", "status_", "t_", "status")) and str(n).lower() not in ("class", "score")
        ]  # fmt: skip
        self.wide = [n for n in rest if _WIDE.match(str(n).strip())]
        if self.at is not None or self.seconds is not None or len(self.wide) < 2:
            self.wide = []
        self.signals = [] if self.wide else self._numbers(rest)

    def _event_columns(self, event: str) -> None:
        classes = class_columns(str(n).strip().lower() for n in self.frame.columns)
        if event:
            wanted = f"class_{event}".lower()
            if wanted not in self.lower and f"score_{event}".lower() not in self.lower:
                there = ", ".join(n.removeprefix("class_") for n in classes) or "none"
                raise AnlageError(
                    f"'{self.path}' has no classes of the event '{event}' (class_{event}); it has {there}."
                )
            names: tuple[str, ...] = (wanted, f"score_{event}".lower())
            times: tuple[str, ...] = (f"t_{event}".lower(),)
        else:
            if "class" not in self.lower and len(classes) > 1:
                named = ", ".join(n.removeprefix("class_") for n in classes)
                raise AnlageError(f"'{self.path}' holds several events ({named}); choose one with --set event=…")
            names, times = ("class", *classes, *_SCORE), ("t_event", "time_of_interest", "t0")
            times += tuple(n.replace("class_", "t_") for n in classes)
        self.score, self.time = self._first(names), self._first(times)
        is_score = self.score is not None and str(self.score).lower().startswith("score")
        self.kind: Kind = "repeated" if is_score else "once"

    def _first(self, names: tuple[str, ...]) -> Any | None:
        return next((self.lower[name] for name in names if name in self.lower), None)

    def _numbers(self, names: list[Any]) -> list[Any]:
        """The columns that hold numbers; one without a single number is left out, and said."""
        found, empty = [], []
        for name in names:
            blank = self.empty(name)
            if blank.all():
                empty.append(str(name))
            elif np.isfinite(self.numbers(name, strict=False)[~blank]).any():
                found.append(name)
        if empty:
            self.notes.append(f"Without any value, so left out: {', '.join(empty)}.")
        if not found:
            raise AnlageError(
                f"'{self.path}' holds no signal: it has the columns {shown(', '.join(map(str, self.frame.columns)), 200)}; a table of signals "
                "has track_id, t and a column for each signal."
            )
        return found

    def scores(self) -> npt.NDArray[np.float64]:
        """Class or score of each row; NaN where there is none."""
        if self.score is None:
            return np.full(len(self.frame), np.nan)
        values = self.numbers(self.score)
        known = np.isnan(values) | ((values == np.rint(values)) & (values >= UNSCORED))
        if self.kind == "repeated":
            known &= ~(values > _TOP_SCORE)
            said = "is none of 0 (no event), 1 (event) and 2 (unclear)"
        else:
            said = "is none of 0 (event), 1 (no event), 2 (other) and above (removed)"
        self.refuse(self.score, ~known, said)
        return np.where(values == UNSCORED, np.nan, values)

    def groups(self) -> npt.NDArray[np.str_]:
        if self.group is None:
            return np.full(len(self.frame), "", dtype=np.str_)
        return self.texts(self.group)

    def named(self, names: list[Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Names and units of the signals, from headings like ``area [µm²]``."""
        found = [
            (m.group(1), m.group(2)) if (m := _UNIT.match(str(n).strip())) else (str(n).strip(), "") for n in names
        ]
        return tuple(name for name, _ in found), tuple(unit or unit_of(name) for name, unit in found)


def _long(table: _Table, interval_s: float | None) -> Signals:
    frames, interval_s = _frames(table, interval_s)
    groups = table.groups()
    alone = np.zeros(len(frames), dtype=np.int64)
    keys = alone if table.track is None else table.whole(table.track, least=None)
    # the same number in two movies is two tracks
    pairs, rows = np.unique(np.stack([groups, keys.astype(np.str_)]), axis=1, return_inverse=True)
    order = np.lexsort((pairs[1].astype(np.int64), pairs[0]))
    rows = np.argsort(order)[rows.reshape(-1)]
    n, low, high = len(order), int(frames.min()), int(frames.max()) + 1
    check_dense(n, len(table.signals), high - low, table.frame.size, f"The table '{table.path}'")
    columns = np.stack([table.numbers(name) for name in table.signals], axis=1)
    columns, keep = _without_duplicates(table, rows, frames, columns)
    names, units = table.named(table.signals)
    values = np.full((n, len(names), high - low), np.nan)
    values[rows[keep], :, frames[keep] - low] = columns[keep]
    ids = pairs[1][order].astype(np.int64)
    if len(np.unique(ids)) < n:
        ids = np.arange(1, n + 1)
        table.notes.append("Tracks of different movies have the same numbers; they are counted anew from 1.")
    scores, times = _per_track(table, rows, n)
    signals = Signals.of(
        values, names, kind="repeated" if table.track is None else table.kind, units=units, first_frame=low, ids=ids,
        interval_s=interval_s, group=pairs[0][order], scores=scores, times=times,
        places=_places(table, rows, frames - low, (n, 3, high - low)), nuclei=_nuclei(table, rows, frames - low, (n, high - low)),
        notes=tuple(table.notes),
    )  # fmt: skip
    return signals.select(np.argsort(signals.ids))


def _frames(table: _Table, interval_s: float | None) -> tuple[npt.NDArray[np.int64], float | None]:
    """The frame of each row, and the seconds between two."""
    seconds = None
    if table.seconds is not None:
        seconds = table.numbers(table.seconds) * _SECONDS[str(table.seconds).strip().lower()]
        table.refuse(table.seconds, ~np.isfinite(seconds), "is no time")
    if table.at is not None:
        frames = table.whole(table.at)
        check_size(int(frames.max()), MOST_SAMPLES, f"The last frame of '{table.path}'")
        if interval_s is None and seconds is not None and (frames > frames.min()).any():
            slope = (seconds.max() - seconds.min()) / (frames.max() - frames.min())
            interval_s = float(slope) if slope > 0 else None
        return frames, interval_s
    if seconds is None:
        if table.track is not None:
            raise AnlageError(
                f"'{table.path}' has no column for the frame (t) or the time (time_s); it has {', '.join(map(str, table.frame.columns))}."
            )
        return np.arange(len(table.frame)), interval_s
    steps = np.diff(np.unique(seconds))
    step = float(np.median(steps)) if len(steps) else 0.0
    if step <= 0:
        raise AnlageError(f"'{table.path}' has a single time, {seconds[0]:g} s; a signal needs several.")
    check_size((seconds.max() - min(0.0, seconds.min())) / step, MOST_SAMPLES, f"The last sample of '{table.path}'")
    frames = np.rint((seconds - min(0.0, seconds.min())) / step)
    off = np.abs((seconds - min(0.0, seconds.min())) / step - frames)
    table.refuse(
        table.seconds,
        off > _REGULAR * max(1.0, 1e-3 * frames.max()),
        f"is no multiple of the {step:g} s between samples",
    )
    return frames.astype(np.int64), interval_s or step


def _without_duplicates(
    table: _Table, rows: npt.NDArray[np.int64], frames: npt.NDArray[np.int64], columns: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Rows that say the same twice are taken once; such that contradict each other are refused."""
    keys = rows * (int(frames.max() - frames.min()) + 1) + frames - frames.min()
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    original = first[inverse.reshape(-1)]
    repeats = original != np.arange(len(keys))
    if not repeats.any():
        return columns, ~repeats
    same = ((columns == columns[original]) | (np.isnan(columns) & np.isnan(columns[original]))).all(axis=1)
    if not same.all():
        bad = int(np.flatnonzero(~same)[0])
        here, there = (int(table.frame.index[i]) for i in (bad, original[bad]))
        raise AnlageError(
            f"'{table.path}': rows {there} and {here} tell different values of the same track in frame {frames[bad]}; "
            "keep one of them."
        )
    table.notes.append(f"{int(repeats.sum())} rows say the same twice; each is taken once.")
    return columns, ~repeats


def _per_track(
    table: _Table, rows: npt.NDArray[np.int64], n: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Class and time of each track, the same in all of its rows (or given in one of them)."""
    scores, times = np.full(n, np.nan), np.full(n, np.nan)
    given = table.scores()
    moments = np.full(len(rows), np.nan) if table.time is None else table.numbers(table.time)
    for column, into, name in ((given, scores, table.score), (moments, times, table.time)):
        has = np.isfinite(column)
        into[rows[has]] = column[has]
        if name is not None:
            table.refuse(
                name,
                has & (np.where(has, column, 0) != np.where(has, into[rows], 0)),
                "contradicts another row of its track",
            )
    times[(times < 0) | ((scores != 0) & np.isfinite(scores) & (table.kind == "once"))] = np.nan
    return np.where(np.isfinite(scores), scores, UNSCORED).astype(np.int64), times


def _places(
    table: _Table, rows: npt.NDArray[np.int64], at: npt.NDArray[np.int64], shape: tuple[int, ...]
) -> npt.NDArray[np.float64] | None:
    if table.place[1] is None or table.place[2] is None:
        return None
    places = np.full(shape, np.nan)
    for i, name in enumerate(table.place):
        places[rows, i, at] = 0.0 if name is None else table.numbers(name)
    return places


def _nuclei(
    table: _Table, rows: npt.NDArray[np.int64], at: npt.NDArray[np.int64], shape: tuple[int, ...]
) -> npt.NDArray[np.int64] | None:
    if table.nucleus is None:
        return None
    nuclei = np.zeros(shape, dtype=np.int64)
    nuclei[rows, at] = table.whole(table.nucleus, empty=0, least=None)
    return nuclei


def _wide(table: _Table, interval_s: float | None) -> Signals:
    """A row for each track; columns named by their frame, or ``signal@frame``."""
    matches = [(name, _WIDE.match(str(name).strip())) for name in table.wide]
    cells = [(m.group("name") or "signal", int(m.group("frame")), name) for name, m in matches if m is not None]
    headings = list(dict.fromkeys(name for name, _, _ in cells))
    names, units = table.named(headings)
    low, high = min(f for _, f, _ in cells), max(f for _, f, _ in cells) + 1
    check_size(high - 1, MOST_SAMPLES, f"The last frame of '{table.path}'")
    check_dense(len(table.frame), len(names), high - low, table.frame.size, f"The table '{table.path}'")
    values = np.full((len(table.frame), len(names), high - low), np.nan)
    for heading, frame, name in cells:
        values[:, headings.index(heading), frame - low] = table.numbers(name)
    ids = None if table.track is None else table.whole(table.track, least=None)
    if ids is not None and len(np.unique(ids)) < len(ids):
        repeated = np.isin(np.arange(len(ids)), np.unique(ids, return_index=True)[1], invert=True)
        table.refuse(table.track, repeated, "has a row already")
    scores, times = _per_track(table, np.arange(len(table.frame)), len(table.frame))
    return Signals.of(
        values, names, kind=table.kind, units=units, first_frame=low, interval_s=interval_s, ids=ids,
        group=table.groups(), scores=scores, times=times, notes=tuple(table.notes),
    )  # fmt: skip
