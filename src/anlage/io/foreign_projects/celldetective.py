"""Experiments of Celldetective: ``config.ini``, wells and positions with a movie, label images and tables of trajectories."""

from __future__ import annotations

import configparser
import math
from pathlib import Path

from anlage.axes import Spacing
from anlage.errors import AnlageError
from anlage.foreign import INTERVALS_S, VOXEL_EDGES_UM, border
from anlage.io.folders import tiff_files
from anlage.io.foreign_projects.movie import ForeignMovie
from anlage.io.images import open_image
from anlage.wording import plural

__all__ = ["experiment_folder", "read_experiment"]

_CONFIG = "config.ini"
_TABLE = "trajectories_"
_LABELS = "labels_"
_MOST_POSITIONS = 5_000


def experiment_folder(path: Path) -> Path | None:
    """The folder whose ``config.ini`` describes an experiment: this one, or for a well or position one above; None where there is none."""
    for folder in (path if path.is_dir() else path.parent, *path.resolve().parents[:2]):
        config = folder / _CONFIG
        if config.is_file() and "[MovieSettings]" in config.read_text("utf-8", errors="replace")[:100_000]:
            return folder
    return None


def read_experiment(path: Path) -> tuple[ForeignMovie, ...]:
    """A movie for each position and population that was tracked or segmented; of a well or a position its own alone.

    Raises
    ------
    AnlageError
        If it is no experiment, or holds no movie.
    """
    experiment = experiment_folder(path)
    if experiment is None:
        raise AnlageError(f"'{path}' is no experiment of Celldetective: no config.ini with [MovieSettings] is there.")
    config = configparser.ConfigParser(interpolation=None, strict=False)
    with border(f"'{experiment / _CONFIG}'", configparser.Error):
        config.read_string((experiment / _CONFIG).read_text("utf-8-sig"))
    within = path if path.is_dir() else experiment
    positions = [
        p for p in (within, *sorted(within.glob("*/")), *sorted(within.glob("*/*/"))) if (p / "movie").is_dir()
    ]
    if not positions:
        raise AnlageError(f"'{within}' holds no position with a folder 'movie'; give the folder of the experiment.")
    return tuple(movie for p in positions[:_MOST_POSITIONS] for movie in _position(p, experiment, config))


def _position(place: Path, experiment: Path, config: configparser.ConfigParser) -> list[ForeignMovie]:
    settings = config["MovieSettings"]
    notes, lost = list[str](), _lost(config)
    image = _stack(place / "movie", settings.get("movie_prefix", "").strip(), lost)
    edge, minutes = _number(settings.get("pxtoum")), _number(settings.get("frametomin"))
    spacing = Spacing(edge, edge, edge) if edge is not None and VOXEL_EDGES_UM.holds(edge) else None
    interval_s = minutes * 60 if minutes is not None and INTERVALS_S.holds(minutes * 60) else None
    name = "_".join(part for part in place.resolve().relative_to(experiment.resolve()).parts) or place.resolve().name
    channels = _channels(config)
    tables = {p.stem.removeprefix(_TABLE): p for p in sorted((place / "output" / "tables").glob(f"{_TABLE}*.csv"))}
    painted = {p.name.removeprefix(_LABELS): p for p in sorted(place.glob(f"{_LABELS}*/")) if tiff_files(p)}
    axes, names = _axes(image, _number(settings.get("len_movie")), channels, lost)
    populations = sorted(tables | painted)
    if any(p.name.startswith("trajectories_pairs") for p in tables.values()):
        lost.append("Pairs of cells have no counterpart here.")
    sets = sorted(p.name for p in place.rglob("*.npy") if "napari" not in p.name)
    if sets:
        notes.append(
            f"Signals that were annotated ({', '.join(sets[:3])}) are opened on the Signals tab, or by `anlage train events`."
        )
    return [
        ForeignMovie(
            f"{name}_{population}" if len(populations) > 1 else name,
            tables.get(population, painted.get(population)), image, axes=axes, channel_names=names, spacing=spacing, interval_s=interval_s,
            outlines=painted.get(population) if population in tables else None,
            notes=(*notes, *_of_table(tables.get(population))), lost=tuple(lost),
        )
        for population in populations or [""]
    ]  # fmt: skip


def _of_table(table: Path | None) -> tuple[str, ...]:
    if table is None:
        return ()
    return (
        f"Measurements, classes and times of events (class_…, t_…) are kept as columns of the nuclei; '{table.name}' itself is opened on the "
        "Signals tab, or by `anlage train events`.",
    )


def _stack(folder: Path, prefix: str, lost: list[str]) -> Path | None:
    """The movie of a position: the first that begins as the experiment says."""
    files = tiff_files(folder)
    fitting = [file for file in files if file.name.startswith(prefix)] or files
    if not fitting:
        lost.append(f"There is no TIFF in '{folder}'; choose the image in the dock, or say --image.")
        return None
    if len(fitting) > 1:
        lost.append(f"Of {plural(len(fitting), 'TIFF')} in '{folder.name}' the first was taken, {fitting[0].name}.")
    return fitting[0]


def _channels(config: configparser.ConfigParser) -> tuple[str, ...]:
    """Names of the channels by their number; empty where a number is missing."""
    numbered: dict[int, str] = {}
    if config.has_section("Channels"):
        for name, value in config["Channels"].items():
            number = _number(value)
            if number is not None and number >= 0:
                numbered[int(number)] = name.removesuffix("_channel")
    return tuple(numbered[i] for i in range(len(numbered))) if sorted(numbered) == list(range(len(numbered))) else ()


def _axes(
    image: Path | None, n_frames: float | None, channels: tuple[str, ...], lost: list[str]
) -> tuple[str | None, tuple[str, ...]]:
    """Axes where the file says them wrongly (Celldetective has no Z), and the channels' names where they fit."""
    if image is None:
        return None, ()
    movie = open_image(image)
    axes = None
    if movie.n_frames == 1 and movie.shape_tzyx[1] > 1:
        axes = movie.axes.replace("t", "").replace("z", "t")
        movie = open_image(image, axes=axes)
    if n_frames is not None and n_frames != movie.n_frames:
        lost.append(
            f"The experiment says {n_frames:g} frames, but '{image.name}' has {movie.n_frames}: these are taken."
        )
    if channels and len(channels) != movie.n_channels:
        lost.append(
            f"The names of {plural(len(channels), 'channel')} do not fit the {movie.n_channels} of '{image.name}'."
        )
        return axes, ()
    return axes, channels


def _lost(config: configparser.ConfigParser) -> list[str]:
    """What an experiment says that has no place in a project."""
    said = [
        f"{name} = {value}"
        for name, value in (config["Labels"].items() if config.has_section("Labels") else ())
        if value.strip() not in ("", "nan", "0")
    ]
    return [f"What the wells held ({'; '.join(said)}) has no place in a project."] if said else []


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "nan")
    except ValueError:
        return None
    return value if math.isfinite(value) else None
