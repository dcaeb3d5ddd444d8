"""Read and write events as a CSV table."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anlage.errors import AnlageError
from anlage.foreign import INTERVALS_S, PROBABILITIES, Range
from anlage.io.csv_columns import TextColumns
from anlage.io.csv_files import write_csv
from anlage.io.kinds import FileKind, kind_of
from anlage.io.scale_columns import SCALE_COLUMNS, TABLES, scale_columns, table_scale
from anlage.io.seals import LIBRARY, Writer
from anlage.signals.events import Events
from anlage.signals.signals import MOST_SAMPLES

__all__ = [
    "WindowTable",
    "is_event_table",
    "is_window_table",
    "read_events",
    "read_window_table",
    "traced",
    "write_events",
]

_OURS = ("track_id", "class", "frame", "time_s", "probability")
_NEEDED = ("track_id", "frame")
_EVEN = 0.5


def is_event_table(path: str | Path) -> bool:
    """Whether a CSV holds events: it has the columns track_id and frame, and no row for each frame of a signal."""
    return kind_of(path) is FileKind.EVENTS


def is_window_table(path: str | Path) -> bool:
    """Whether a CSV holds the results of windows: it has the columns window and probability."""
    return kind_of(path) is FileKind.WINDOW_SCORES


@dataclass(frozen=True, slots=True)
class WindowTable:
    """What a network said of windows, in their order.

    Parameters
    ----------
    probability
        Shape (N,), that the window holds an event; NaN where it has none.
    holds
        Shape (N,), whether the network says so: by the threshold that it was used with, which the column `score` keeps; from 0.5 on in
        tables without it.
    """

    probability: npt.NDArray[np.float64]
    holds: npt.NDArray[np.bool_]


def read_window_table(path: str | Path) -> WindowTable:
    """Read what `anlage predict` writes of windows.

    Raises
    ------
    AnlageError
        If a column is missing or a value cannot be: with the row and the value.
    """
    table = TextColumns(Path(path), "a table of windows needs window and probability")
    probability = table.numbers("probability", known=PROBABILITIES)
    if "score" not in table.frame.columns:
        return WindowTable(probability, np.nan_to_num(probability) >= _EVEN)
    return WindowTable(probability, table.whole("score", empty=0) == 1)


def read_events(path: str | Path) -> Events:
    """Read what `write_events` writes; `class` may be missing where events repeat.

    Raises
    ------
    AnlageError
        If a column is missing or a value cannot be: with the row and the value.
    """
    path = Path(path)
    needs = "a table of events needs track_id and frame (and class, of events that happen once)"
    table = TextColumns(path, needs)
    names = [str(name) for name in table.frame.columns]
    missing = [name for name in _NEEDED if name not in names]
    if missing:
        raise AnlageError(f"'{path}' lacks the column {missing[0]}; {needs}.")

    def numbers(name: str, known: Range | None = None) -> npt.NDArray[np.float64]:
        return table.numbers(name, known=known) if name in names else np.full(len(table.frame), np.nan)

    classes = table.whole("class") if "class" in names else np.zeros(len(table.frame), dtype=np.int64)
    frames, seconds = numbers("frame"), numbers("time_s")
    if "frame" in names:
        table.refuse(
            "frame", np.abs(frames) > MOST_SAMPLES, f"is beyond {MOST_SAMPLES:,}, more frames than any signal has"
        )
    both = np.isfinite(frames) & np.isfinite(seconds) & (frames > 0)
    return Events(
        tracks=table.whole("track_id", least=None),
        kind="once" if "class" in names else "repeated",
        classes=classes,
        frames=frames,
        probability=numbers("probability", PROBABILITIES),
        interval_s=_interval(seconds[both] / frames[both]),
        properties={name: _further(table, name) for name in names if name not in _OURS},
        notes=tuple(table.notes),
    )


def traced(events: Events, origin: str, source: str | Path) -> Events:
    """Events with who found them, and the voxel size of the image, where the table of signals that they were found in has it."""
    known: dict[str, npt.NDArray[Any]] = {"origin": np.full(len(events), origin)}
    if Path(source).suffix.lower() in TABLES:
        known |= scale_columns(len(events), table_scale(source)[0])
    return replace(events, properties={**events.properties, **known})


def write_events(path: str | Path, events: Events, by: Writer = LIBRARY) -> None:
    """Write a row for each event: track_id, class (of events that happen once), frame, time_s, probability and the rest."""
    table: dict[str, Any] = {"track_id": events.tracks}
    if events.kind == "once":
        table["class"] = events.classes
    table["frame"] = events.frames.round(4)
    if events.interval_s is not None:
        table["time_s"] = events.seconds.round(9)
    if np.isfinite(events.probability).any() or not len(events):
        table["probability"] = events.probability.round(6)
    table |= {name: column if name in SCALE_COLUMNS else _rounded(column) for name, column in events.properties.items()}
    write_csv(path, table, by.of("events"))


def _further(table: TextColumns, name: str) -> npt.NDArray[Any]:
    """Another column: numbers, or text where none of its cells is a number."""
    values = table.exactly(name)
    is_text = np.isnan(values).all() and not table.empty(name).all() if values.dtype.kind == "f" else False
    return table.texts(name) if is_text else values


def _interval(steps: npt.NDArray[np.float64]) -> float | None:
    """The usual time step in s; None where there is none, or none that can be."""
    step = float(np.median(steps)) if len(steps) else 0.0
    return step if INTERVALS_S.holds(step) else None


def _rounded(column: Any) -> Any:
    """Numbers to six significant digits."""
    if column.dtype.kind != "f":
        return column
    return np.array([float(f"{value:.6g}") for value in column])
