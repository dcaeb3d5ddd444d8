"""Recognise what a file or folder is by its content: image, labels, tracks, signals, store, run, model, project.

Names are used only where the content does not decide (a surface in STL is any text or any bytes). Nothing is read whole.
"""

from __future__ import annotations

import csv
import itertools
import re
import zipfile
from collections.abc import Collection
from enum import Enum
from pathlib import Path

from anlage.errors import AnlageError
from anlage.foreign import border
from anlage.io.atomic import root_attributes
from anlage.io.microscope_files.imaris import is_imaris
from anlage.io.microscope_files.vendor import is_vendor
from anlage.io.nuclei_files.foreign_tables import are_places, is_points_table
from anlage.io.seals import MARK
from anlage.io.tiff_integrity import is_tiff

__all__ = [
    "ANNOTATIONS",
    "IMAGES",
    "MODELS",
    "SIGNALS",
    "FileKind",
    "check_kind",
    "ctc_folder",
    "has_places",
    "kind_of",
]


class FileKind(Enum):
    """What something on disk is; the value is what people call it."""

    MODEL = "a model"
    KERAS = "a Keras network"
    RUN = "a run of a training"
    STORE = "a store of training data"
    PROJECT = "a project"
    TABLE = "a table of nuclei"
    GRAPH = "a GEFF"
    TRACKMATE = "tracks of TrackMate"
    AUT = "tracks of OrganoidTracker"
    CTC = "a folder of the Cell Tracking Challenge"
    LABELS = "label images"
    CLASSES = "painted classes"
    IMAGE = "an image"
    HEATMAP = "the heat-map of a network"
    MAPS = "what a network says of a frame"
    SIGNALS = "signals"
    WINDOWS = "windows of signals"
    TRACE = "a recording"
    SIGNAL_SETS = "a folder of signals"
    EVENTS = "a table of events"
    WINDOW_SCORES = "a table of probabilities of windows"
    HELD_OUT = "the held-out examples of a run"
    TRACK_SCORES = "the scores of candidates of a tracking"
    MESH = "a surface"
    PICTURE = "a picture for people"


MODELS = (FileKind.MODEL, FileKind.KERAS, FileKind.RUN)
"""What predicts."""
ANNOTATIONS = (
    FileKind.TABLE, FileKind.GRAPH, FileKind.TRACKMATE, FileKind.AUT, FileKind.CTC, FileKind.LABELS, FileKind.CLASSES, FileKind.IMAGE, FileKind.STORE,
)  # fmt: skip
"""What holds nuclei; an image may be labels, which its pixels show, and a store holds a graph."""
IMAGES = (FileKind.IMAGE, FileKind.LABELS, FileKind.CLASSES, FileKind.HEATMAP, FileKind.CTC, FileKind.STORE)
"""What is opened as an image."""
SIGNALS = (FileKind.SIGNALS, FileKind.WINDOWS, FileKind.TRACE, FileKind.SIGNAL_SETS)
"""What holds signals."""

_HELP = {
    FileKind.MODEL: "`anlage predict` makes tables of nuclei with it",
    FileKind.RUN: "`anlage predict` makes tables of nuclei with its model",
    FileKind.KERAS: "`anlage predict` finds events with it",
    FileKind.PROJECT: "what was annotated in it is its annotations.geff",
    FileKind.STORE: "`anlage train` learns from it",
    FileKind.EVENTS: "`anlage evaluate` compares it with known events",
    FileKind.HELD_OUT: "`anlage info RUN` tells what is in it",
    FileKind.TRACK_SCORES: "the tab Review reads it",
    FileKind.TABLE: "`anlage track` links its nuclei, and `anlage signals` measures them",
    FileKind.IMAGE: "`anlage predict` finds nuclei in it",
    **dict.fromkeys(SIGNALS, "`anlage train events` learns from it"),
}
_HEAD = 1 << 14
"""Bytes at the beginning that show what a file is."""
_ROWS = 200
"""Rows of a table that are looked at."""
_TABLES = ("man_track.txt", "res_track.txt")
_OF_EVENTS = re.compile(
    r"track_id|class|frame|time_s|t|z|y|x|movie|origin|r2|peak|amplitude|area|overlaps|probability.*|rise_.*|half_.*|spacing_._um|interval_s"
)
"""Columns of a table of events; signals have others."""
_SETS = (FileKind.SIGNALS, FileKind.WINDOWS, FileKind.TRACE)
_PLACES = {"track_id", "track", "parent_id", "parent_track_id", "t", "z", "y", "x"}
_MARKED = {
    "labels": FileKind.LABELS,
    "classes": FileKind.CLASSES,
    "heat-map": FileKind.HEATMAP,
    "image": FileKind.IMAGE,
}
_MAGIC = {
    b"\x89PNG": FileKind.PICTURE, b"\xff\xd8\xff": FileKind.PICTURE, b"%PDF": FileKind.PICTURE,
    b"ply\n": FileKind.MESH, b"ply\r": FileKind.MESH, b"ABF ": FileKind.TRACE, b"ABF2": FileKind.TRACE,
}  # fmt: skip
_MESHES = (".obj", ".stl", ".ply")


def kind_of(path: str | Path) -> FileKind | None:
    """What something on disk is; None where it is nothing that is known here, or is not there."""
    place = Path(path).expanduser()
    if place.is_dir():
        return _folder(place)
    return _file(place) if place.is_file() else None


def check_kind(path: str | Path, wanted: Collection[FileKind], needed: str) -> FileKind | None:
    """The kind of what was given; refuse what is recognisably something else; what is unknown passes, and its reader says what it thinks of it.

    Parameters
    ----------
    path
        What was given.
    wanted
        What is taken.
    needed
        What is needed, with where it comes from, as half a sentence: ``"nuclei are needed here: give a CSV …"``.

    Raises
    ------
    AnlageError
        If it is of another kind.
    """
    kind = kind_of(path)
    if kind is None or kind in wanted:
        return kind
    helps = f" ({_HELP[kind]})" if kind in _HELP else ""
    raise AnlageError(f"'{path}' is {kind.value}, but {needed}{helps}.")


def has_places(path: Path) -> bool:
    """Whether a file is a table of tracks with POSITION_X and POSITION_Y, which is read as signals and as nuclei."""
    if not path.is_file() or _file(path) is not FileKind.SIGNALS or path.suffix.lower() not in (".csv", ".tsv", ".txt"):
        return False
    return are_places(_table(path)[0])


def ctc_folder(path: Path) -> Path | None:
    """The folder of the Cell Tracking Challenge that holds masks and a table of tracks: this one or, as published, its TRA.

    None where there is none.
    """
    for folder in (path, path / "TRA"):
        if any((folder / name).is_file() for name in _TABLES):
            return folder
    return None


def _folder(path: Path) -> FileKind | None:
    if (path / "run.json").is_file():
        return FileKind.RUN
    if (path / "project.json").is_file():
        return FileKind.PROJECT
    if any((path / name).is_file() for name in ("zarr.json", ".zgroup", ".zarray")):
        return _zarr(path)
    if ctc_folder(path) is not None:
        return FileKind.CTC
    files = [f for f in sorted(path.iterdir()) if f.is_file() and not f.name.startswith(".")]
    if any(is_tiff(f) for f in files[:3]):
        return FileKind.LABELS if all(f.name.startswith(("man_seg", "man_track")) for f in files) else FileKind.IMAGE
    if (path / "SEG").is_dir():
        return FileKind.LABELS
    # beside a read-me; a folder that also holds models or nuclei is none of one kind
    known = {kind for f in files if (kind := _file(f)) not in (None, FileKind.PICTURE)}
    return FileKind.SIGNAL_SETS if known and known <= set(_SETS) else None


def _zarr(path: Path) -> FileKind:
    attributes = root_attributes(path)
    if "anlage_store" in attributes:
        return FileKind.STORE
    if "anlage-maps" in attributes:
        return FileKind.MAPS
    if "geff" in attributes:
        return FileKind.GRAPH
    mark = attributes.get("anlage")
    kind = mark.get("kind") if isinstance(mark, dict) else None
    if isinstance(kind, str) and kind in _MARKED:
        return _MARKED[kind]
    ome = attributes.get("ome", attributes)
    ome = ome if isinstance(ome, dict) else {}
    if "image-label" in ome:
        return FileKind.LABELS
    below = [p for p in path.iterdir() if p.is_dir() and "geff" in root_attributes(p)]
    return FileKind.GRAPH if len(below) == 1 and "multiscales" not in ome else FileKind.IMAGE


def _file(path: Path) -> FileKind | None:
    if is_vendor(path) or is_imaris(path):
        return FileKind.IMAGE
    with path.open("rb") as file:
        head = file.read(_HEAD)
    for magic, kind in _MAGIC.items():
        if head.startswith(magic):
            return kind
    if head.startswith(b"PK"):
        return _archive(path)
    if head.startswith(b"\x89HDF"):
        return _hdf5(path)
    if head.startswith(b"\x93NUMPY"):
        return FileKind.SIGNALS
    if is_tiff(path):
        return FileKind.IMAGE
    if path.suffix.lower() in _MESHES:
        return FileKind.MESH
    return _text(path, head)


def _archive(path: Path) -> FileKind | None:
    """A model, or numpy's .npz with the scores of a tracking."""
    try:
        with border(f"'{path}'"), zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
    except AnlageError:
        return None
    if "card.json" in names:
        return FileKind.MODEL
    return FileKind.TRACK_SCORES if {"pairs.npy", "edge.npy", "positions.npy"} <= names else None


def _hdf5(path: Path) -> FileKind | None:
    import h5py

    try:
        with border(f"'{path}'"), h5py.File(path, "r") as file:
            if "model_config" in file.attrs and "model_weights" in file:
                return FileKind.KERAS
            shapes: dict[str, tuple[int, ...]] = {
                name: item.shape for name, item in file.items() if isinstance(item, h5py.Dataset)
            }
    except AnlageError:
        return None
    if "events" in shapes:
        return FileKind.WINDOWS if len(shapes["events"]) == 2 else None
    return FileKind.TRACE if sum(len(shape) == 1 for shape in shapes.values()) == 1 else None


def _text(path: Path, head: bytes) -> FileKind | None:
    """XML, JSON or a table."""
    text = head.decode("utf-8-sig", "replace").lstrip()
    if text.startswith("<"):
        return FileKind.TRACKMATE if "<TrackMate" in text else FileKind.IMAGE if "<SpimData" in text else None
    if text.startswith("{"):
        return FileKind.AUT if _is_aut(path, text) else None
    if "\x00" in text or "\ufffd" in text[: _HEAD // 2]:
        return None
    names, rows = _table(path)
    return _table_kind(names, rows) if len(names) > 1 else None


def _is_aut(path: Path, head: str) -> bool:
    """By the version that such a file names at its beginning or its end."""
    version = re.compile(r'"version"\s*:\s*"v[0-9]+"')
    if version.search(head):
        return True
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _HEAD))
        return version.search(file.read().decode("utf-8", "replace")) is not None


def _table(path: Path) -> tuple[list[str], list[list[str]]]:
    """The names of the columns in lower case, and some rows."""
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        header = file.readline()
        separator = max(",;\t", key=header.count)
        rows: list[list[str]] = []
        try:
            names = [name.strip().lower() for name in next(csv.reader([header], delimiter=separator), [])]
            for row in csv.reader(file, delimiter=separator):
                rows.append(row)
                if len(rows) == _ROWS:
                    break
        except csv.Error:
            return [], []
    return names, rows


def _table_kind(names: list[str], rows: list[list[str]]) -> FileKind | None:
    names = [name for name in names if name != MARK]
    columns = set(names)
    if "track_id" in columns and are_places(columns):
        return FileKind.SIGNALS  # and nuclei: see `has_places`
    if {"window", "probability"} <= columns and "file" not in columns:
        return FileKind.WINDOW_SCORES
    if "file" in columns and columns & {"told", "score"} and "probability" in " ".join(names):
        return FileKind.HELD_OUT
    if ("id" in columns and {"y", "x"} <= columns) or is_points_table(columns):
        return FileKind.TABLE
    if {"t", "y", "x"} <= columns <= _PLACES:
        return FileKind.TABLE
    if {"track_id", "frame"} <= columns and _are_events(names, rows):
        return FileKind.EVENTS
    if _is_long(names):
        return FileKind.SIGNALS
    if _is_wide(names):
        return FileKind.SIGNALS
    if _is_trace(names):
        return FileKind.TRACE
    return FileKind.TABLE if columns & {"id", "parent_id"} or {"t", "y", "x"} <= columns else None


def _are_events(names: list[str], rows: list[list[str]]) -> bool:
    """Events have columns of their own, or a single row for each track and what happened to it; signals a row for each frame."""
    at, when = names.index("track_id"), names.index("frame")
    places = [(row[at], row[when]) for row in rows if len(row) > max(at, when)]
    if _follow_frames(places):
        return False
    if all(_OF_EVENTS.fullmatch(name) for name in names):
        return True
    tracks = [track for track, _ in places]
    return bool({"class", "probability"} & set(names)) and len(set(tracks)) == len(tracks) > 1


def _follow_frames(places: list[tuple[str, str]]) -> bool:
    """Whether most rows are the next frame of the same track as the row before."""
    steps = 0
    for (track, frame), (after, following) in itertools.pairwise(places):
        try:
            steps += track == after and float(following) - float(frame) == 1
        except ValueError:
            continue
    return 2 * steps > len(places)


def _is_long(names: list[str]) -> bool:
    """A row for each track and frame; a table of nuclei has an id for each row instead."""
    track = any(name in names for name in ("track_id", "track", "trackid", "particle", "cell_id"))
    times = ("t", "frame", "time_s", "time_ms", "time_min", "time_h", "time", "timepoint", "time_point", "seconds")
    return track and any(name in names for name in times) and not {"id", "parent_id"} & set(names)


def _is_wide(names: list[str]) -> bool:
    """A row for each track and a column for each frame."""
    return sum(name.isdigit() or "@" in name for name in names) > len(names) // 2


def _is_trace(names: list[str]) -> bool:
    """A row for each sample of a single recording."""
    times = ("time_s", "time_ms", "time_min", "time_h", "time", "seconds")
    return "t" not in names and any(name in names for name in times) and "z" not in names
