"""Open signals of any format: CSV, Celldetective's ``.npy``, miniML's HDF5, pCLAMP's ``.abf``, and plain traces."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anlage.axes import Spacing
from anlage.errors import AnlageError
from anlage.foreign import INTERVALS_S, LARGEST_ID, check_size, naming, printable, shown, text_array, whole_number
from anlage.io.atomic import replacing
from anlage.io.kinds import SIGNALS, check_kind, kind_of
from anlage.io.seals import LIBRARY, Writer
from anlage.io.signal_files.axon import read_abf
from anlage.io.signal_files.hdf5 import read_hdf5
from anlage.io.signal_files.npy import read_npy
from anlage.io.signal_files.tables import class_columns, read_signal_table, write_signal_table
from anlage.signals.signals import MOST_SAMPLES, UNSCORED, Signals, check_dense

__all__ = ["NEEDED", "SUFFIXES", "event_names", "is_signals", "open_signals", "signal_files", "write_signals"]

SUFFIXES = (".csv", ".tsv", ".npy", ".h5", ".hdf5", ".abf")
NEEDED = (
    "signals are needed here: give a table (track_id, t and a column for each signal), windows or a recording as .h5, a recording as .abf, or .npy; "
    "`anlage signals` measures them along tracks"
)
"""What is said where something else is given for signals."""
_HDF5 = (".h5", ".hdf5")
_FRAMES = ("FRAME", "frame", "t")
_TRACKS = ("TRACK_ID", "track_id", "ID")
_CLASS, _TIME = "class", "time_of_interest"
_PLACES = {"POSITION_Z": 0, "POSITION_Y": 1, "POSITION_X": 2}
_INTERVALS = ("interval_s", "sampling_interval", "sampling_interval_s", "dt")
_TOP_SCORE = 2
_HIGHEST_CLASS = 1_000_000


def is_signals(path: str | Path) -> bool:
    """Whether a path is named like a file of signals."""
    return Path(path).suffix.lower() in SUFFIXES


def signal_files(folder: str | Path) -> list[Path]:
    """The files of signals that lie in a folder, by their names; other files are left out."""
    files = (f for f in Path(folder).iterdir() if f.is_file() and not f.name.startswith("."))
    return sorted(f for f in files if is_signals(f) and kind_of(f) in SIGNALS)


def event_names(path: str | Path) -> list[str]:
    """Names of the events that a file of signals holds classes for; none where the classes have no name, or there are none.

    Raises
    ------
    AnlageError
        If it is a list of tracks that cannot be read.
    """
    path, names = Path(path), []
    if path.suffix.lower() in (".csv", ".tsv"):
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            header = file.readline()
        separator = max(",;\t", key=header.count)
        names = [name.strip().strip('"').lower() for name in header.strip().split(separator)]
    elif path.suffix.lower() == ".npy":
        content = read_npy(path)
        first = content[0] if isinstance(content, list) and content else None
        names = [str(name) for name in first] if isinstance(first, dict) else []
    return [name.removeprefix("class_") for name in class_columns(names)]


def open_signals(path: str | Path, *, interval_s: float | None = None, event: str = "") -> Signals:
    """Read signals from a file.

    Parameters
    ----------
    path
        ``.csv`` (one row a track and frame, one row a track, or one row a sample of a trace), ``.npy`` (numbers, or the list
        of tracks that Celldetective writes; nothing in it is run), or ``.h5`` with ``events`` (N, T), ``scores`` (N,) and
        perhaps ``recording`` (N,), or with a single trace; or ``.abf``, a recording of pCLAMP (needs pyabf).
    interval_s
        Time between two frames in seconds, where the file does not say it or says it wrongly.
    event
        Name of the event, where the file holds the classes and times of several.

    Raises
    ------
    AnlageError
        If it is none of these, or its content is no signals: what is wrong, and where.
    """
    path = Path(path)
    if not path.is_file():
        raise AnlageError(
            f"There are no signals at '{path}': give a file that ends in {', '.join(SUFFIXES)}; `anlage signals` measures them."
        )
    check_kind(path, SIGNALS, NEEDED)
    suffix = path.suffix.lower()
    with naming(path):
        if suffix in (".csv", ".tsv"):
            return read_signal_table(path, interval_s=interval_s, event=event)
        if suffix == ".npy":
            return _from_npy(path, interval_s, event)
        if suffix in _HDF5:
            return _from_hdf5(path, interval_s)
        if suffix == ".abf":
            return read_abf(path, interval_s)
    raise AnlageError(f"'{path.name}' is no file of signals: its name must end in {', '.join(SUFFIXES)}.")


def write_signals(
    path: str | Path,
    signals: Signals,
    *,
    event: str = "",
    others: Mapping[str, Signals] | None = None,
    spacing: Spacing | None = None,
    by: Writer = LIBRARY,
) -> None:
    """Write signals as CSV, as Celldetective's ``.npy``, or (windows and traces) as miniML's HDF5.

    Parameters
    ----------
    path
        File to write.
    signals
        With the classes and times of one event, or the scores of windows.
    event
        Name of that event; empty: it has none.
    others
        The same tracks with the classes and times of further events, by their names.
    spacing
        Voxel size in µm of the image that they were measured in; a CSV keeps it, beside the places.
    by
        Who writes, and whether anything may be replaced.

    Raises
    ------
    AnlageError
        If the format cannot hold them.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix in (".csv", ".tsv"):
        write_signal_table(path, signals, event=event, others=others, spacing=spacing, by=by)
    elif suffix == ".npy":
        _to_npy(path, signals, {**({event: signals} if event else {}), **(others or {})}, by.of("signals"))
    elif suffix in _HDF5:
        _to_hdf5(path, signals, by.of("signals"))
    else:
        raise AnlageError(f"'{path.name}' cannot hold signals; choose a name that ends in {', '.join(SUFFIXES)}.")


def _from_npy(path: Path, interval_s: float | None, event: str) -> Signals:
    content = read_npy(path)
    if isinstance(content, np.ndarray):
        if content.dtype.kind not in "biuf" or content.ndim > 3:
            raise AnlageError(
                f"'{path}' holds {content.dtype} in the shape {content.shape}; signals are numbers (tracks, frames)."
            )
        return Signals.of(content, interval_s=interval_s, kind="repeated")
    if not isinstance(content, list) or not content or not all(isinstance(track, dict) for track in content):
        raise AnlageError(f"'{path}' holds no list of tracks; export the annotation again.")
    return _of_tracks(path, content, interval_s, event)


def _of_tracks(path: Path, tracks: Sequence[Mapping[str, Any]], interval_s: float | None, event: str) -> Signals:
    """From a dict per track: columns as arrays, and its class and time of interest."""
    frames = [_frames(path, i, track) for i, track in enumerate(tracks)]
    names = [
        name
        for name in tracks[0]
        if all(_is_signal(track.get(name), len(f)) for track, f in zip(tracks, frames, strict=True))
    ]
    names = [
        name
        for name in names
        if name not in (*_FRAMES, *_TRACKS, *_PLACES) and not name.startswith(("class", "status", "t_"))
    ]
    if not names:
        raise AnlageError(f"The tracks in '{path}' have no column of numbers in common beside their frames.")
    low, high = min(int(f.min()) for f in frames), max(int(f.max()) for f in frames) + 1
    check_dense(len(tracks), len(names), high - low, (len(names) + 1) * sum(map(len, frames)), f"'{path}'")
    values = np.full((len(tracks), len(names), high - low), np.nan)
    places = np.full((len(tracks), 3, high - low), np.nan)
    for i, (track, f) in enumerate(zip(tracks, frames, strict=True)):
        for c, name in enumerate(names):
            values[i, c, f - low] = _array(track[name])
        for name, axis in _PLACES.items():
            if _is_signal(track.get(name), len(f)):
                places[i, axis, f - low] = _array(track[name])
    scores = np.array([_scalar(track, f"class_{event}" if event else _CLASS, UNSCORED) for track in tracks])
    scores[np.isnan(scores)] = UNSCORED
    times = np.array([_scalar(track, f"t_{event}" if event else _TIME, np.nan) for track in tracks])
    bad = (scores != np.rint(scores)) | (scores < UNSCORED) | (scores > _HIGHEST_CLASS)
    if bad.any():
        raise AnlageError(
            f"'{path}' has the class {scores[bad][0]:g}; classes are whole numbers from 0 ({UNSCORED}: none)."
        )
    times[(times < 0) | (scores != 0)] = np.nan
    ids = np.array([_number(path, track, i + 1) for i, track in enumerate(tracks)], dtype=np.int64)
    unique = len(np.unique(ids)) == len(ids)
    return Signals.of(
        values, tuple(names), first_frame=low, interval_s=interval_s,
        ids=ids if unique else None, scores=scores.astype(np.int64), times=times, group=_groups(tracks),
        places=places if np.isfinite(places).any() else None,
        notes=() if unique else (f"Several tracks in {path.name} have the same number; they are counted from 1 instead.",),
    )  # fmt: skip


def _groups(tracks: Sequence[Mapping[str, Any]]) -> npt.NDArray[np.str_]:
    """The movie of each track: Celldetective's well and position, or what else says so."""
    names = [
        n for n in ("movie", "recording", "position", "well", "pos_name", "well_name") if all(n in t for t in tracks)
    ]
    made = ["/".join(str(next(iter(_array(track[name]).reshape(-1)), "")) for name in names) for track in tracks]
    return text_array(made, "The movie of the tracks")


def _array(value: Any) -> npt.NDArray[Any]:
    """A value of a track as an array; an empty one where it is none, such as lists of different lengths."""
    try:
        return np.asarray(np.nan if value is None else value)
    except (TypeError, ValueError, OverflowError):
        return np.empty(0, dtype=object)


def _frames(path: Path, i: int, track: Mapping[str, Any]) -> npt.NDArray[np.int64]:
    name = next((name for name in _FRAMES if name in track), None)
    if name is None:
        lengths = [len(v) for v in track.values() if isinstance(v, np.ndarray | list)]
        if not lengths:
            raise AnlageError(f"Track {i} in '{path}' has no column of numbers.")
        return np.arange(max(lengths))
    values = _array(track[name]).reshape(-1)
    if (
        not len(values)
        or values.dtype.kind not in "biuf"
        or not np.isfinite(values).all()
        or (values != np.rint(values)).any()
        or values.min() < 0
    ):
        raise AnlageError(f"Track {i} in '{path}' has frames that are no whole numbers from 0.")
    if len(np.unique(values)) < len(values):
        raise AnlageError(f"Track {i} in '{path}' has a frame twice; give each frame once.")
    check_size(float(values.max()), MOST_SAMPLES, f"The last frame of track {i} in '{path}'")
    found: npt.NDArray[np.int64] = values.astype(np.int64)
    return found


def _is_signal(value: Any, n: int) -> bool:
    array = _array(value)
    return array.shape == (n,) and array.dtype.kind in "biuf"


def _scalar(track: Mapping[str, Any], name: str, default: float) -> float:
    value = track.get(name)
    if value is None and name.startswith("t_"):
        value = track.get("t0")
    array = _array(default if value is None else value).reshape(-1)
    return float(array[0]) if len(array) and array.dtype.kind in "biuf" else float(default)


def _number(path: Path, track: Mapping[str, Any], default: int) -> int:
    """The number of a track, exactly."""
    array = _array(track.get(_TRACKS[0], default)).reshape(-1)
    if not len(array) or array.dtype.kind not in "biuf":
        return default
    value = array[0].item()
    if value != value or value != int(value):
        return default
    if abs(value) > LARGEST_ID:
        raise AnlageError(
            f"'{path}' has the track {value}, which is beyond {LARGEST_ID} (2⁶³ − 1), the largest number that is kept exactly."
        )
    return int(value)


def _to_npy(path: Path, signals: Signals, named: Mapping[str, Signals], by: Writer) -> None:
    tracks = np.empty(len(signals), dtype=object)
    for i, (low, high) in enumerate(signals.spans):
        columns = signals.values[i][:, low:high]
        kept = np.isfinite(columns).any(axis=0)
        frames = np.arange(low, high)[kept] + signals.first_frame
        tracks[i] = {
            "TRACK_ID": np.full(len(frames), signals.ids[i]), "FRAME": frames,
            **({} if signals.places is None else {n: signals.places[i, a, low:high][kept] for n, a in _PLACES.items()}),
            **{name: columns[c][kept] for c, name in enumerate(signals.names)},
            "movie": str(signals.group[i]),
            _CLASS: int(signals.scores[i]), _TIME: _time(signals, i),
            **{f"class_{name}": int(answers.scores[i]) for name, answers in named.items()},
            **{f"t_{name}": _time(answers, i) for name, answers in named.items()},
        }  # fmt: skip
    with replacing(path, by) as temporary, temporary.open("xb") as file:
        np.save(file, tracks)  # numpy writes a pickle here, as the format wants it; only reading one can do harm
        file.write(by.mark.encode())  # behind the last object, where no reader looks


def _is_number(group: str) -> bool:
    """Whether a group is written as a whole number that 64 bits hold."""
    value = whole_number(group)
    return value is not None and abs(value) <= LARGEST_ID and str(value) == group


def _time(signals: Signals, row: int) -> float:
    """As the format has it: -1 where there is none."""
    return float(-1 if np.isnan(signals.times[row]) else signals.times[row])


def _from_hdf5(path: Path, interval_s: float | None) -> Signals:
    found = read_hdf5(path, _wanted)
    content, attributes = found.arrays, found.attributes
    interval_s = interval_s or _own_interval(path, attributes)
    if "events" in content:
        return _windows(path, content, interval_s)
    traces = list(content)
    if len(traces) != 1:
        held = (
            ", ".join(f"{printable(name)} {shape}" for name, shape in list(found.shapes.items())[:20]) or "no data set"
        )
        raise AnlageError(
            f"'{path}' holds {held}; windows need `events` (N, T) with `scores` (N,), a recording a single trace (T,)."
        )
    return Signals.of(
        content[traces[0]], (traces[0],), kind="repeated", interval_s=interval_s, group=path.stem,
        units=(str(attributes.get("amplitude_unit", "")),),
    )  # fmt: skip


def _wanted(shapes: dict[str, tuple[int, ...]], types: dict[str, np.dtype[Any]]) -> list[str]:
    """Windows with what belongs to them, or traces."""
    if "events" in shapes:
        return [name for name in ("events", "scores", "recording", "cell_label") if name in shapes]
    traces = [n for n, shape in shapes.items() if len(shape) == 1 and shape[0] and types[n].kind in "iuf"]
    return traces if len(traces) == 1 else []


def _own_interval(path: Path, attributes: Mapping[str, Any]) -> float | None:
    """Seconds between samples as the file says; None where it does not."""
    name = next((name for name in _INTERVALS if name in attributes), None)
    if name is None:
        return None
    value = np.asarray(attributes[name])
    number = float(value.flat[0]) if value.size == 1 and value.dtype.kind in "iuf" else math.nan
    if not INTERVALS_S.holds(number):
        raise AnlageError(
            f"The time between samples, {name}, is {shown(attributes[name])} in '{path}', not a number of seconds; correct it, or "
            "say it with --interval S."
        )
    return number


def _windows(path: Path, content: Mapping[str, npt.NDArray[Any]], interval_s: float | None) -> Signals:
    events = content["events"]
    if events.ndim != 2 or events.dtype.kind not in "biuf" or not events.size:
        raise AnlageError(
            f"`events` in '{path}' is {events.dtype} of shape {events.shape}; windows are numbers (N, T)."
        )
    scores = content.get("scores", np.full(len(events), UNSCORED))
    if scores.shape != (len(events),) or scores.dtype.kind not in "biuf":
        raise AnlageError(
            f"`scores` in '{path}' has the shape {scores.shape}, but there are {len(events)} windows; each needs one score."
        )
    known = (scores == np.rint(scores)) & (scores >= UNSCORED) & (scores <= _TOP_SCORE)
    if not known.all():
        first = int(np.flatnonzero(~known)[0])
        raise AnlageError(
            f"Window {first} in '{path}' has the score {scores[first]:g}; scores are 0 (no event), 1 (event) and 2 (unclear)."
        )
    group = content.get("recording", content.get("cell_label", np.full(len(events), path.stem)))
    if group.shape != (len(events),):
        raise AnlageError(f"`recording` in '{path}' has the shape {group.shape}, but there are {len(events)} windows.")
    if group.dtype.kind in "SO":
        group = np.array([g.decode("utf-8", "replace") if isinstance(g, bytes) else str(g) for g in group])
    return Signals.of(
        events, kind="repeated", interval_s=interval_s, scores=scores.astype(np.int64), group=group.astype(np.str_)
    )


def _to_hdf5(path: Path, signals: Signals, by: Writer) -> None:
    import h5py

    if len(signals.names) != 1:
        raise AnlageError(
            f"'{path.name}' can hold a single signal, not {len(signals.names)} ({', '.join(signals.names)}); choose one, or write CSV."
        )
    with replacing(path, by) as temporary, h5py.File(temporary, "w") as file:
        file.attrs["written_by"] = np.bytes_(by.mark)
        file["events"] = signals.values[:, 0]
        file["scores"] = signals.scores
        numbers = all(_is_number(g) for g in signals.group.tolist())
        file["recording"] = signals.group.astype(np.int64 if numbers else "S")
        if signals.interval_s is not None:
            file.attrs["interval_s"] = signals.interval_s
