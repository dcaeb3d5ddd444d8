"""Projects of OrganoidTracker: a list of experiments (``.autlist``), and the settings beside it (``organoid_tracker.ini``)."""

from __future__ import annotations

import configparser
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from anlage.errors import AnlageError
from anlage.foreign import bare_name, border, read_json, shown, whole_number
from anlage.io.foreign_projects.movie import ForeignMovie
from anlage.io.foreign_projects.patterns import has_time
from anlage.io.nuclei_files.aut import aut_scale
from anlage.io.nuclei_files.aut_layout import load_aut
from anlage.wording import plural

__all__ = ["INI", "read_autlist", "read_ini"]

INI = "organoid_tracker.ini"

_TRACKS = (".aut", ".xml", ".geff", ".csv", ".json")
_KNOWN = {
    "images_container", "images_pattern", "images_original", "images_channel_summing", "min_time_point", "max_time_point"
}  # fmt: skip
_NUMBERED = re.compile(
    r"(images_container|images_pattern|positions_file|min_time_point|max_time_point|images_channels)_(\d+)"
)
_LIST_KEYS = ("dataset_file", "experiments_file")


def read_autlist(path: Path) -> tuple[ForeignMovie, ...]:
    """The movies that a list names; the settings beside it say the channels.

    Raises
    ------
    AnlageError
        If it is no list of experiments.
    """
    content = read_json(path, f"The list '{path}'")
    entries = content.get("experiments") if isinstance(content, dict) else content
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        raise AnlageError(f"'{path}' is no list of experiments of OrganoidTracker; save it there again.")
    channels = _ini_channels(path.parent / INI)
    movies = []
    for entry in entries:
        movie = _movie(entry, path.parent)
        movies.append(movie if movie.channels is not None or not channels else _with_channels(movie, channels))
    return _named_apart(movies)


def read_ini(path: Path) -> tuple[ForeignMovie, ...]:
    """The movies that the settings name, directly (``positions_file_1`` …) or by a list (``dataset_file``).

    Raises
    ------
    AnlageError
        If they name none.
    """
    entries: dict[str, dict[str, Any]] = {}
    lists = []
    for section in _sections(path):
        for name, value in section.items():
            found = _NUMBERED.fullmatch(name)
            if found is not None and value:
                entries.setdefault(found.group(2), {})[found.group(1)] = value
            elif name in _LIST_KEYS and value:
                lists.append(value)
    if entries:
        return _named_apart([_movie(entries[number], path.parent) for number in sorted(entries, key=int)])
    for name in dict.fromkeys(lists):
        listed = _beside(path.parent, name)
        if listed is not None:
            return read_autlist(listed)
    named = f" '{shown(lists[0])}', which is not there" if lists else " no list of experiments"
    raise AnlageError(f"'{path}' names{named}; give the .autlist itself.")


def _movie(entry: Mapping[str, Any], folder: Path) -> ForeignMovie:
    """One experiment; images that are put together of others are taken as far as they can be."""
    notes, lost = list[str](), list[str]()
    original = entry.get("images_original")
    images = {**entry, **original} if isinstance(original, dict) else dict(entry)
    tracks_name = next(
        (str(value) for name, value in entry.items() if isinstance(value, str) and value.lower().endswith(_TRACKS) and not name.startswith("images")),
        None,
    )  # fmt: skip
    tracks = None if tracks_name is None else _beside(folder, tracks_name)
    if tracks_name is not None and tracks is None:
        lost.append(f"The tracks '{shown(tracks_name)}' are not there.")
    container = images.get("images_container")
    image = _beside(folder, container) if isinstance(container, str) and container else None
    if container and image is None:
        lost.append(f"The images '{shown(container)}' are not there; choose the image in the dock, or say --image.")
    pattern = str(images.get("images_pattern") or "")
    if image is not None and image.is_file():
        if pattern not in ("", "0"):
            lost.append(f"Of '{image.name}' the first image is read, whatever '{shown(pattern)}' means.")
        pattern = ""
    elif pattern and not has_time(pattern):
        lost.append(f"The pattern '{shown(pattern)}' numbers no time points, so all TIFFs of the folder are read.")
        pattern = ""
    channels, combine = _summed(entry.get("images_channel_summing"), lost)
    lost += [
        f"'{name}' ({shown(value)}) has no counterpart here."
        for name, value in entry.items()
        if name not in _KNOWN and not (isinstance(value, str) and value == tracks_name) and name not in ("positions_file", "images_channels", "name")
    ]  # fmt: skip
    if isinstance(entry.get("images_channels"), str):
        channels = _channel_numbers(str(entry["images_channels"])) or channels
        combine = "sum" if channels is not None and len(channels) > 1 else combine
    name = str(
        entry.get("name") or (Path(bare_name(tracks_name)).stem if tracks_name else image.stem if image else "movie")
    )
    movie = ForeignMovie(
        name, tracks, image, pattern, frames=(_number(entry.get("min_time_point")), _number(entry.get("max_time_point"))),
        channels=channels, combine="sum" if combine == "sum" else "separate", notes=tuple(notes), lost=tuple(lost),
    )  # fmt: skip
    return _with_aut(movie)


def _with_aut(movie: ForeignMovie) -> ForeignMovie:
    """What the tracks' own file says of voxel size, time step and offsets."""
    if movie.tracks is None or movie.tracks.suffix.lower() != ".aut":
        return movie
    spacing, interval_s = aut_scale(movie.tracks)
    offsets = [o for o in load_aut(movie.tracks).image_offsets or [] if (o.x, o.y, o.z) != (0, 0, 0)]
    notes = list(movie.notes)
    if offsets:
        notes.append(
            f"The image offsets of {plural(len(offsets), 'time point')} were taken off the positions; the images stay where they are."
        )
    return replace(movie, spacing=spacing, interval_s=interval_s, notes=tuple(notes))


def _summed(value: Any, lost: list[str]) -> tuple[tuple[int, ...] | None, str]:
    """Channels from 0 of ``[[1, 3]]``, which are summed; of several such groups the first."""
    if not isinstance(value, list) or not value:
        return None, "separate"
    group = value[0] if isinstance(value[0], list) else value
    numbers = tuple(n - 1 for n in group if isinstance(n, int) and n >= 1)
    if isinstance(value[0], list) and len(value) > 1:
        lost.append(f"Of the summed channels {shown(value)} only the first sum is kept.")
    return numbers or None, "sum" if len(numbers) > 1 else "separate"


def _with_channels(movie: ForeignMovie, channels: tuple[int, ...]) -> ForeignMovie:
    return replace(movie, channels=channels, combine="sum" if len(channels) > 1 else "separate")


def _ini_channels(path: Path) -> tuple[int, ...] | None:
    """Channels that the settings name for predicting, from 0; None where there is no such file, or it names none."""
    if not path.is_file():
        return None
    named = [section["images_channels"] for section in _sections(path) if section.get("images_channels")]
    return _channel_numbers(named[0]) if named else None


def _channel_numbers(text: str) -> tuple[int, ...] | None:
    """``1,3`` as 0, 2."""
    numbers = [whole_number(part.strip()) for part in text.split(",")]
    return tuple(dict.fromkeys(n - 1 for n in numbers if n is not None and n >= 1)) or None


def _sections(path: Path) -> list[dict[str, str]]:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    with border(f"'{path}'", configparser.Error):
        parser.read_string(path.read_text("utf-8-sig"))
    return [dict(parser.defaults()), *(dict(parser[name]) for name in parser.sections())]


def _beside(folder: Path, name: str) -> Path | None:
    """A path that stands in a file: as it is, relative to the file, or by its bare name beside it, where the folder was moved."""
    plain = name.replace("\\", "/")
    tried = [Path(plain).expanduser(), folder / plain, folder / plain.rstrip("/").rsplit("/", 1)[-1]]
    return next((place for place in (tried[1], tried[0], tried[2]) if place.exists()), None)


def _number(value: Any) -> int | None:
    return None if value is None or isinstance(value, bool) else whole_number(str(value).strip())


def _named_apart(movies: list[ForeignMovie]) -> tuple[ForeignMovie, ...]:
    """The movies, those of the same name numbered."""
    seen: dict[str, int] = {}
    apart = []
    for movie in movies:
        n = seen[movie.name] = seen.get(movie.name, 0) + 1
        apart.append(movie if n == 1 else replace(movie, name=f"{movie.name}-{n}"))
    return tuple(apart)
