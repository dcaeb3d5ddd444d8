"""``anlage import``: projects of what was annotated in other programs."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from anlage.cli.arguments import Parser, add_reading
from anlage.errors import AnlageError
from anlage.shell import command
from anlage.wording import plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anlage.io.foreign_projects.movie import ForeignMovie, ForeignSettings
    from anlage.project.importing import ImportReport

__all__: list[str] = []

_MOST_PLACES = 10
"""Contradictions that are printed with their places."""
_SUFFIX = ".anlage"


def configure_import(parser: Parser) -> None:
    parser.explain(
        "Makes projects of what was annotated elsewhere, and says what could not be taken over: OrganoidTracker's .autlist or\n"
        "organoid_tracker.ini, an experiment, well or position of Celldetective (config.ini), or any nuclei, tracks or labels (CSV, GEFF,\n"
        "TrackMate XML, .aut, CTC folder, label images) with their --image. Of settings (Celldetective's config_input.json, the YAML of\n"
        "PyTorch Connectomics) it prints the command that trains so. An existing project is never replaced.",
        "anlage import experiments.autlist -o projects",
        "anlage import Experiment/W1/100",
        "anlage import tracks.xml --image movie.tif -o movie.anlage",
    )
    parser.add_argument("source", metavar="SOURCE", help="what another program wrote")
    parser.add_argument(
        "-o", "--output", metavar="OUT",
        help="the project, NAME.anlage; of several movies the folder that gets a project for each (default: beside SOURCE)",
    )  # fmt: skip
    parser.add_argument("--image", metavar="IMAGE", help="the image of a single movie; replaces what SOURCE says")
    parser.add_argument(
        "--proposals", action="store_true", help="take the nuclei as proposals, each to be accepted or rejected"
    )
    add_reading(parser)


def run_import(options: argparse.Namespace) -> int:
    from anlage.io.foreign_projects.settings import (
        is_connectomics,
        is_event_settings,
        read_connectomics,
        read_event_settings,
    )
    from anlage.io.images import existing
    from anlage.project.importing import foreign_movies, import_movie

    source = existing(options.source)
    if is_event_settings(source):
        return _print_settings(read_event_settings(source))
    if is_connectomics(source):
        return _print_settings(read_connectomics(source))
    movies = foreign_movies(source) or (_single(source, options),)
    movies = tuple(_adjusted(movie, options, alone=len(movies) == 1) for movie in movies)
    places = _places(source, movies, options.output)
    _check_places(places)
    refused = 0
    for movie, place in zip(movies, places, strict=True):
        try:
            _print_report(import_movie(movie, place, proposals=options.proposals))
        except AnlageError as error:
            if len(movies) == 1:
                raise
            refused += 1
            print(f"Not imported: {movie.name}. {error}")
    if refused == len(movies):
        raise AnlageError(
            f"None of {plural(refused, 'movie')} in '{source}' could be imported; the reasons stand above."
        )
    return 0


def _single(source: Path, options: argparse.Namespace) -> ForeignMovie:
    """Nuclei of a file, whose image is given."""
    from anlage.io.foreign_projects.movie import ForeignMovie
    from anlage.io.kinds import SIGNALS, has_places, kind_of

    kind = kind_of(source)
    if kind in SIGNALS and not has_places(source):
        raise AnlageError(
            f"'{source}' is {kind.value if kind else 'signals'}, which needs no import: open it on the Signals tab, or say "
            f"`{command('train', 'events', source, '-o', 'RUN')}`."
        )
    if options.image is None:
        raise AnlageError(f"'{source}' names no image; say --image IMAGE.")
    return ForeignMovie(source.name.split(".")[0], source)


def _adjusted(movie: ForeignMovie, options: argparse.Namespace, *, alone: bool) -> ForeignMovie:
    """A movie with what the options say of it."""
    if options.image is not None and not alone:
        raise AnlageError(f"--image says '{options.image}', but there are several movies; import them one by one.")
    if options.image is not None:
        movie = replace(movie, image=Path(options.image).expanduser(), pattern="", axes=None)
    return replace(
        movie, axes=options.axes or movie.axes, spacing=options.spacing or movie.spacing, interval_s=options.interval or movie.interval_s
    )  # fmt: skip


def _places(source: Path, movies: Sequence[ForeignMovie], output: str | None) -> list[Path]:
    """Where the project of each movie goes."""
    if output is not None and len(movies) == 1:
        place = Path(output).expanduser()
        return [place if place.suffix == _SUFFIX else place / f"{movies[0].name}{_SUFFIX}"]
    folder = source.parent if output is None else Path(output).expanduser()
    return [folder / f"{movie.name}{_SUFFIX}" for movie in movies]


def _check_places(places: Sequence[Path]) -> None:
    """Refuse where something lies already, before anything is read or written."""
    taken = next((place for place in places if place.exists()), None)
    if taken is not None:
        raise AnlageError(f"'{taken}' is there already, and an import replaces nothing; choose another place with -o.")


def _print_report(report: ImportReport) -> None:
    print(f"{report.folder}: {report.counts}")
    for note in report.notes:
        print(f"  {note}")
    for issue in report.left_out[:_MOST_PLACES]:
        where = (
            "" if issue.position is None else " At (t, z, y, x) " + ", ".join(f"{v:g}" for v in issue.position) + "."
        )
        print(f"  Left out: {issue.text}{where}")
    if len(report.left_out) > _MOST_PLACES:
        print(f"  … and {len(report.left_out) - _MOST_PLACES} more.")
    for sentence in report.lost:
        print(f"  Not taken over: {sentence}")


def _print_settings(found: ForeignSettings) -> int:
    """Print the commands that train like this; a setting that is not possible here is said."""
    from anlage.training.config import assign

    taken, lost = list[str](), list(found.lost)
    for setting in found.settings:
        try:
            assign(found.task, [*taken, setting])
        except AnlageError as error:
            lost.append(str(error))
        else:
            taken.append(setting)
    data = found.data or ("IMAGE", "LABELS")
    if found.task == "nuclei":
        spacing = () if found.spacing is None else ("--spacing", ",".join(f"{v:g}" for v in found.spacing.zyx))
        print(command("build", *data, *spacing, "-o", "data.zarr"))
    source = "data.zarr" if found.task == "nuclei" else "SIGNALS"
    print(
        command("train", found.task, source, "-o", "run", *(word for setting in taken for word in ("--set", setting)))
    )
    for sentence in found.notes:
        print(f"  {sentence}")
    for sentence in lost:
        print(f"  Not taken over: {sentence}" if not sentence.startswith("Not taken over") else f"  {sentence}")
    return 0
