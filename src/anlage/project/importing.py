"""Make a project of what was annotated elsewhere: a file beside its image, or a movie of another program's project."""

from __future__ import annotations

import datetime
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from anlage.annotations import Annotations, State
from anlage.axes import Box
from anlage.errors import AnlageError
from anlage.io import open_annotations, open_image, open_label_image, write_annotations, write_image
from anlage.io.foreign_projects.celldetective import experiment_folder, read_experiment
from anlage.io.foreign_projects.movie import ForeignMovie
from anlage.io.foreign_projects.organoidtracker import INI, read_autlist, read_ini
from anlage.io.foreign_projects.patterns import PatternFiles, files_of_pattern
from anlage.io.kinds import FileKind, has_places, kind_of
from anlage.issues import Issue
from anlage.project.adoption import adoption_edit
from anlage.project.fingerprint import fingerprint_of
from anlage.project.predictions import FOLDER, Record
from anlage.project.project import Project
from anlage.project.records import keep_record
from anlage.timelapse import TimeLapse
from anlage.wording import plural

__all__ = [
    "ForeignMovie",
    "ImportReport",
    "counts_in_words",
    "foreign_movies",
    "import_movie",
    "is_importable",
    "keep_proposals",
]

_MARKED = (FileKind.TABLE, FileKind.GRAPH, FileKind.TRACKMATE, FileKind.AUT, FileKind.CTC)
_LABEL = "class_id"
"""Column of Celldetective's tables: the value of a cell in the label images."""


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import made, and what it could not take over.

    Parameters
    ----------
    folder
        The project.
    n_nuclei
        Nuclei that it holds now.
    counts
        Nuclei, links and divisions, as a sentence.
    notes
        What was assumed and taken over, as sentences.
    left_out
        What was left out of the annotation, each with its place.
    lost
        What else could not be taken over, as sentences.
    """

    folder: Path
    n_nuclei: int
    counts: str
    notes: tuple[str, ...]
    left_out: tuple[Issue, ...]
    lost: tuple[str, ...]


def foreign_movies(path: Path) -> tuple[ForeignMovie, ...] | None:
    """The movies of another program's project; None where the path is none.

    Raises
    ------
    AnlageError
        If it is one that cannot be read.
    """
    if path.is_file() and path.suffix.lower() == ".autlist":
        return read_autlist(path)
    if path.is_file() and path.name == INI:
        return read_ini(path)
    if path.is_dir() and (path / INI).is_file():
        return read_ini(path / INI)
    if (
        (path.is_dir() or path.name == "config.ini")
        and path.suffix not in (".zarr", ".geff")
        and experiment_folder(path)
    ):
        return read_experiment(path)
    return None


def is_importable(path: Path) -> bool:
    """Whether something holds nuclei, tracks or a project of another program; of images and labels napari knows more."""
    if kind_of(path) in _MARKED or has_places(path):
        return True
    try:
        return foreign_movies(path) is not None
    except AnlageError:
        return True  # importing it says what is wrong


def counts_in_words(nuclei: Annotations) -> str:
    """How many nuclei, links and divisions there are, as a sentence."""
    frames = plural(len(np.unique(nuclei.frames)), "frame")
    painted = ", with painted labels" if nuclei.labels is not None else ""
    left = f"; {plural(len(nuclei.left_out), 'contradiction')} left out" if nuclei.left_out else ""
    return (
        f"{plural(len(nuclei), 'nucleus', 'nuclei')} in {frames}, {plural(len(nuclei.links), 'link')}, "
        f"{plural(len(nuclei.divisions), 'division')}{painted}{left}."
    )


def import_movie(movie: ForeignMovie, folder: Path, *, proposals: bool = False) -> ImportReport:
    """Make a project of one movie; images that no single path names are copied beside it, as OME-Zarr.

    Parameters
    ----------
    movie
        As it was read of the other project, or put together of an image and annotations.
    folder
        Of the project, where there is none yet.
    proposals
        Take the nuclei as proposals to be accepted, and not as annotation.

    Raises
    ------
    AnlageError
        If there is no image, something lies in the folder already, or image and annotation do not belong together.
    """
    image, path, first, notes = _image(movie, folder)
    if image is None or path is None:
        raise AnlageError(
            f"No image of '{movie.name}' is there ({' '.join(movie.lost) or 'none is named'}); say --image IMAGE."
        )
    nuclei = _nuclei(movie, image, first)
    channels = movie.channels
    lost = list(movie.lost)
    if channels is not None and max(channels) >= image.n_channels:
        lost.append(f"Channel {max(channels) + 1} was chosen, but '{path.name}' has {image.n_channels}; all are used.")
        channels = None
    names = movie.channel_names if len(movie.channel_names) == image.n_channels else image.channels
    with Project.create(
        folder, image=path, spacing=image.spacing, interval_s=image.interval_s, shape_tzyx=image.shape_tzyx, axes=movie.axes,
        fingerprint=fingerprint_of(image), channels=channels, combine=movie.combine, channel_names=names,
    ) as project:  # fmt: skip
        project.document.place(shape_tzyx=image.shape_tzyx, spacing=image.spacing)
        if proposals:
            notes += keep_proposals(folder, nuclei, movie.name, image)
        elif len(nuclei):
            project.document.apply(
                adoption_edit(
                    project.document,
                    nuclei,
                    movie.tracks.name if movie.tracks else movie.name,
                )
            )
    if image.spacing is None:
        lost.append("The voxel size is unknown; type it on the Data tab.")
    return ImportReport(
        folder, len(nuclei), counts_in_words(nuclei), (*movie.notes, *notes, *nuclei.notes), nuclei.left_out, tuple(lost)
    )  # fmt: skip


def keep_proposals(folder: Path, nuclei: Annotations, name: str, image: TimeLapse) -> list[str]:
    """Keep nuclei among the predictions of a project, where they are accepted or rejected; gives sentences for the user.

    Those without a probability get 1: somebody was sure of them.

    Parameters
    ----------
    folder
        Of the project.
    nuclei
        In voxels of its image.
    name
        What they are called in the list of predictions.
    image
        The project's image.
    """
    if not len(nuclei):
        return []
    known = np.isfinite(nuclei.probability)
    origin = f"import {name}"
    chosen = replace(
        nuclei.linked(np.zeros((0, 2), dtype=np.int64)), probability=np.where(known, nuclei.probability, 1.0), labels=None,
        state=np.full(len(nuclei), State.PROPOSED, dtype=np.int8), origin=np.full(len(nuclei), origin),
    )  # fmt: skip
    now = datetime.datetime.now().astimezone()
    place = folder / FOLDER / f"{now:%Y-%m-%d}-import-{secrets.token_hex(2)}.geff"
    place.parent.mkdir(parents=True, exist_ok=True)
    record = Record(
        created=now.isoformat(timespec="seconds"), model=f"{name} (imported)", model_id=origin, threshold=0.5,
        frames=(0, image.n_frames), arguments=("predict",),
    )  # fmt: skip
    keep_record(record, place)
    write_annotations(place, chosen, spacing=image.spacing, interval_s=image.interval_s)
    links = (
        f" Their {plural(len(nuclei.links), 'link')} were left out: proposals are nuclei." if len(nuclei.links) else ""
    )
    return [
        f"{plural(len(nuclei), 'nucleus', 'nuclei')} are proposals: show them with Whole movie on the Predict tab, and accept or reject them.{links}"
    ]


def _image(movie: ForeignMovie, folder: Path) -> tuple[TimeLapse | None, Path | None, int | None, list[str]]:
    """The image, where it lies, the time point that is frame 0 (None: as `open_annotations` decides), and notes."""
    if movie.image is None:
        return None, None, None, []
    if not movie.pattern:
        image = open_image(movie.image, axes=movie.axes)
        return _scaled(image, movie), movie.image, None, []
    files = files_of_pattern(movie.image, movie.pattern, *movie.frames)
    first = files.times[0]
    notes = [f"Time points {first} to {files.times[-1]} are frames 0 to {len(files.times) - 1}."]
    if files.are_the_folder:
        return _scaled(open_image(files.folder), movie), files.folder, first, notes
    copy = folder.with_name(f"{folder.stem}.ome.zarr")
    notes.append(
        f"{plural(len(files.files), 'file')} of the pattern '{movie.pattern}' were copied to {copy.name}: {plural(len(files.times), 'frame')}, "
        f"{plural(len(files.channels), 'channel')}."
    )
    _copy(files, movie, copy)
    return _scaled(open_image(copy), movie), copy, first, notes


def _copy(files: PatternFiles, movie: ForeignMovie, place: Path) -> None:
    if place.exists():
        raise AnlageError(
            f"'{place}' is there already, where the images would be copied to; remove it, or choose another name with -o."
        )
    spacing = movie.spacing or files.first().spacing
    write_image(place, files.frames(), spacing=spacing, interval_s=movie.interval_s, channels=movie.channel_names)


def _scaled(image: TimeLapse, movie: ForeignMovie) -> TimeLapse:
    """The image with what the other project says of its scale, which counts before the file."""
    return image.with_scale(movie.spacing, movie.interval_s)


def _nuclei(movie: ForeignMovie, image: TimeLapse, first: int | None) -> Annotations:
    """The annotation in voxels of the image; what lies outside the time points that count is left out."""
    if movie.tracks is None:
        return Annotations.of(np.zeros((0, 4)))
    if first is None and movie.frames == (None, None):
        nuclei = open_annotations(movie.tracks, image=image, lenient=True)
        return _with_outlines(nuclei, movie, image)
    known = open_annotations(movie.tracks, spacing=image.spacing, interval_s=image.interval_s, lenient=True)
    low = first if first is not None else (movie.frames[0] or 0)
    high = (
        low + image.n_frames - 1
        if first is not None
        else (movie.frames[1] if movie.frames[1] is not None else image.n_frames - 1)
    )
    inside = (known.frames >= low) & (known.frames <= high)
    notes = known.notes
    if not inside.all():
        notes += (
            f"{plural(int((~inside).sum()), 'nucleus', 'nuclei')} outside the time points {low} to {high} were left out.",
        )
    return replace(known.select(inside), notes=notes, left_out=_later(known.left_out, -(first or 0))).shifted(
        (-(first or 0), 0, 0, 0)
    )


def _later(issues: tuple[Issue, ...], frames: int) -> tuple[Issue, ...]:
    """The same issues so many frames later."""
    return tuple(
        replace(issue, position=(issue.position[0] + frames, *issue.position[1:]))
        if issue.position is not None
        else issue
        for issue in issues
    )


def _with_outlines(nuclei: Annotations, movie: ForeignMovie, image: TimeLapse) -> Annotations:
    """The nuclei with the label images beside them, where these fit."""
    if movie.outlines is None or _LABEL not in nuclei.properties:
        return nuclei
    values = nuclei.properties[_LABEL]
    labels = open_label_image(movie.outlines, image=image)
    if labels.shape_tzyx != image.shape_tzyx or values.dtype.kind not in "if":
        return replace(
            nuclei,
            notes=(*nuclei.notes, f"The outlines in '{movie.outlines.name}' do not fit the image and were left out."),
        )
    label = np.nan_to_num(np.asarray(values, dtype=np.float64)).astype(np.int64).clip(min=0)
    present = np.array(
        [v in there for v, there in zip(label.tolist(), _values_at(labels, nuclei.frames), strict=True)], dtype=bool
    )
    return replace(nuclei, labels=labels, label=np.where(present, label, 0))


def _values_at(labels: TimeLapse, frames: Any) -> Iterator[set[int]]:
    """For each nucleus the label values of its frame."""
    _, z, y, x = labels.shape_tzyx
    known = {
        t: set(np.unique(labels.read(Box((t, t + 1), (0, z), (0, y), (0, x)))).tolist())
        for t in np.unique(frames).tolist()
    }
    return (known[t] for t in frames.tolist())
