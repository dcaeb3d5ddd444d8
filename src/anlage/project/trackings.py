"""The folder ``tracks/`` of a project: tracking results, their settings, and links that the user broke.

::

    movie.anlage/tracks/NAME.json         what was asked for (TrackRecord)
                        NAME.nuclei.geff  the nuclei that were linked, where no model finds them
                        NAME.geff         the tracks, once they are found
                        NAME.npz          what was known of every candidate
                        taken.txt         NAME of the tracks that were taken into the project last
                        broken.txt        links that the user broke, mother and daughter in a line: they are not proposed again
"""

from __future__ import annotations

import datetime
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from anlage.annotations import Annotations, State
from anlage.errors import AnlageError
from anlage.io import open_annotations, write_annotations
from anlage.io.atomic import own, replacing
from anlage.project.image_copy import ChildImage
from anlage.project.models import Choice
from anlage.project.records import Moment, keep_record, records, when
from anlage.tracking.settings import TrackingSettings

__all__ = [
    "FOLDER",
    "SHOWN",
    "TrackOrder",
    "TrackRecord",
    "TrackResult",
    "adopted_scores",
    "load_broken_links",
    "load_tracks",
    "note_adopted",
    "place_tracks",
    "save_broken_links",
    "track_results",
]

FOLDER = "tracks"
_ADOPTED, _BROKEN = "taken.txt", "broken.txt"
SHOWN = ("method", "gaps", "radius_um")
"""Settings of a tracking that are passed to the command line."""


class TrackRecord(BaseModel):
    """What was asked for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    created: Moment
    """When, ISO 8601."""
    source: str
    """Where the nuclei came from, for people."""
    links: str
    """Who scored the links, for people."""
    divisions: str
    """Who scored the divisions, for people."""
    from_document: bool
    """Whether the nuclei are those of the project, with its ids."""
    arguments: tuple[str, ...]
    """Arguments of the command line, beginning with ``track``."""


@dataclass(frozen=True, slots=True)
class TrackOrder:
    """A tracking that is wanted.

    Parameters
    ----------
    source
        Where the nuclei come from, for people.
    nuclei
        The nuclei; None where a model finds them.
    finder
        The model that finds them; None where they are given.
    links, divisions
        Models; None: distance and motion alone, and none.
    settings
        Parameters.
    from_document
        Whether the nuclei are those of the project's document.
    device
        Where to compute: ``auto``, ``cpu``, ``cuda:0`` …
    """

    source: str
    nuclei: Annotations | None = None
    finder: Choice | None = None
    links: Choice | None = None
    divisions: Choice | None = None
    settings: TrackingSettings = field(default_factory=TrackingSettings)
    from_document: bool = False
    device: str = "auto"


@dataclass(frozen=True, slots=True)
class TrackResult:
    """A tracking of a movie.

    Parameters
    ----------
    path
        Its table, which exists once it is finished.
    record
        What was asked for.
    """

    path: Path
    record: TrackRecord

    @property
    def title(self) -> str:
        """In a line of a list."""
        return f"{self.record.source} · links by {self.record.links} · {when(self.record.created)}"


def place_tracks(folder: Path, order: TrackOrder, given: ChildImage) -> TrackResult:
    """Where a tracking goes, and what it will be asked: nuclei and question are written down, nothing is computed yet."""
    now = datetime.datetime.now().astimezone()
    name = f"{now:%Y-%m-%d}-tracks-{secrets.token_hex(2)}"
    out = folder / FOLDER / f"{name}.geff"
    out.parent.mkdir(parents=True, exist_ok=True)
    if order.finder is not None:
        nuclei = order.finder.argument
    elif order.nuclei is not None:
        there = out.with_name(f"{name}.nuclei.geff")
        write_annotations(there, replace(order.nuclei, labels=None))
        nuclei = str(there)
    else:
        raise AnlageError("There are no nuclei to link; choose where they come from.")
    arguments = ["track", str(given.path), "-o", str(out), "--nuclei", nuclei, *given.options]
    for option, model in (("--links", order.links), ("--divisions", order.divisions)):
        arguments += [] if model is None else [option, model.argument]
    arguments += _settings(order.settings)
    arguments += ["--scores", str(out.with_suffix(".npz"))]
    arguments += ["--keep-links"] if order.from_document else []
    if any(model is not None for model in (order.finder, order.links, order.divisions)):
        arguments += ["--device", order.device]
    record = TrackRecord(
        created=now.isoformat(timespec="seconds"), source=order.source,
        links="distance and motion" if order.links is None else order.links.name,
        divisions="none" if order.divisions is None else order.divisions.name,
        from_document=order.from_document, arguments=tuple(arguments),
    )  # fmt: skip
    keep_record(record, out)
    return TrackResult(out, record)


def _settings(settings: TrackingSettings) -> list[str]:
    """Command-line options for them; see `SHOWN`."""
    said = ["--greedy"] if settings.method == "greedy" else []
    said += [] if settings.gaps else ["--no-gaps"]
    return said if settings.radius_um is None else [*said, "--radius-um", f"{settings.radius_um!r}"]


def track_results(folder: Path) -> list[TrackResult]:
    """The finished trackings of a project, newest first; what cannot be read is passed over."""
    found = [TrackResult(path, record) for path, record in records(folder / FOLDER, TrackRecord) if path.exists()]
    return sorted(found, key=lambda result: result.record.created, reverse=True)


def note_adopted(folder: Path, result: TrackResult) -> None:
    """Remember that these tracks were taken into the project."""
    _write(folder / FOLDER / _ADOPTED, result.path.stem)


def adopted_scores(folder: Path) -> Path | None:
    """What the tracking that was taken last knew; None where nothing was taken, or it was not kept."""
    try:
        name = (folder / FOLDER / _ADOPTED).read_text(encoding="utf-8")
    except OSError:
        return None
    path = folder / FOLDER / f"{Path(name.strip()).name}.npz"
    return path if path.is_file() else None


def save_broken_links(folder: Path, links: Iterable[tuple[int, int]]) -> None:
    """Remember the links that the user broke, so that no later session proposes them again."""
    _write(folder / FOLDER / _BROKEN, "".join(f"{mother} {daughter}\n" for mother, daughter in sorted(links)))


def load_broken_links(folder: Path) -> set[tuple[int, int]]:
    """Links that the user broke in this project; what is damaged is passed over."""
    try:
        lines = (folder / FOLDER / _BROKEN).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return set()
    words = [line.split() for line in lines]
    return {(int(a), int(b)) for a, b in (two for two in words if len(two) == 2) if a.isdigit() and b.isdigit()}


def load_tracks(result: TrackResult, shape_tzyx: Sequence[int]) -> Annotations:
    """The tracks of a result.

    Raises
    ------
    AnlageError
        If they cannot be read, or reach outside the image.
    """
    tracks = open_annotations(result.path)
    outside = (tracks.positions > [n - 0.5 for n in shape_tzyx]).any(axis=1)
    if outside.any():
        raise AnlageError(
            f"The tracks '{result.path.stem}' reach outside the image, whose shape (t, z, y, x) is {tuple(shape_tzyx)}: they are "
            "of another image."
        )
    return sorted_by_id(tracks.select(tracks.state != State.REJECTED))


def sorted_by_id(tracks: Annotations) -> Annotations:
    """The same tracks, their ids rising."""
    if (np.diff(tracks.ids) > 0).all():
        return tracks
    return tracks.select(np.argsort(tracks.ids, kind="stable"))


def _write(path: Path, text: str) -> None:
    with replacing(path, own) as temporary:
        temporary.write_text(text, encoding="utf-8")
