"""Open and write annotations of any format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from anlage.annotations import Annotations
from anlage.axes import PlaneSpacing, Spacing
from anlage.errors import AnlageError
from anlage.foreign import naming
from anlage.io.atomic import replacing
from anlage.io.images import checked_axes, existing
from anlage.io.kinds import ANNOTATIONS, FileKind, check_kind, ctc_folder, has_places, kind_of
from anlage.io.label_images import labels_as_they_are, open_labels, read_ctc
from anlage.io.mask_records import mask_record, with_record
from anlage.io.nuclei_files.aut import aut_scale, read_aut, write_aut
from anlage.io.nuclei_files.ctc import means_ctc, write_ctc
from anlage.io.nuclei_files.foreign_graphs import with_sound_links, without_bad_nuclei
from anlage.io.nuclei_files.geff_graphs import find_graph, graph_scale, read_graph, write_graph
from anlage.io.nuclei_files.tables import read_table, write_table
from anlage.io.nuclei_files.trackmate import read_trackmate, trackmate_scale, write_trackmate
from anlage.io.scale_columns import table_scale
from anlage.io.seals import LIBRARY, Writer
from anlage.problems import check
from anlage.timelapse import TimeLapse

__all__ = ["are_label_images", "open_annotations", "write_annotations"]

_SAME_STEP = 0.01
"""Part of a time step by which two may differ and be the same."""
_NAMED = {**dict.fromkeys((".csv", ".tsv", ".txt"), FileKind.TABLE), ".xml": FileKind.TRACKMATE, ".aut": FileKind.AUT}
NEEDED = (
    "nuclei are needed here: give a CSV, a GEFF, TrackMate's XML, an .aut, a CTC folder or label images as TIFF or zarr"
)
"""What is said where something else is given for nuclei."""
_GRAPHS = (".csv", ".geff", ".xml", ".aut")


def open_annotations(
    path: str | Path,
    *,
    image: TimeLapse | None = None,
    axes: str | None = None,
    spacing: Spacing | None = None,
    interval_s: float | None = None,
    lenient: bool = False,
) -> Annotations:
    """Read nuclei and links: CSV, GEFF, TrackMate XML, OrganoidTracker's .aut, a CTC folder, or label images.

    Of label images a nucleus is the centroid of a value in a frame; the same value in consecutive frames is linked.

    Parameters
    ----------
    path
        File or folder.
    image
        The image that was annotated: its shape is checked, labels take its axes, its voxel size and time step serve where
        the file gives positions in µm or s.
    axes
        Axes of label images; overrides image and file.
    spacing, interval_s
        Voxel size in µm and time step in s; override the image.
    lenient
        Leave out nuclei that cannot be (outside the image, in no frame, with an id that another has), unless they are most: `left_out` lists them.

    Raises
    ------
    AnlageError
        One sentence naming file, row and value, for anything that contradicts itself or the image. Single links that cannot be kept are left out
        and listed instead.
    """
    place = existing(path)
    kind = _kind(place)
    letters = checked_axes(axes)
    shape = image.shape_tzyx if image is not None else None
    if image is not None:
        spacing = spacing or image.spacing
        interval_s = interval_s or image.interval_s
    plane, rows = spacing if isinstance(spacing, PlaneSpacing) else None, None
    if plane is not None:
        spacing = plane.of_planes(1, place.name)
    with naming(place):
        if kind is FileKind.TABLE:
            annotations, rows = read_table(place, shape_tzyx=shape, axes=letters)
        else:
            annotations = _read(place, kind, image, letters, spacing, interval_s)
        annotations = with_sound_links(annotations, place.name)
        if lenient:
            annotations = without_bad_nuclei(annotations, shape, place.name)
            rows = None
    check(annotations, shape, rows=rows, source=str(place))
    if plane is not None:
        plane.of_planes(len(np.unique(np.rint(annotations.positions[:, 1]))), place.name)
    notes = scale_notes(place, spacing, interval_s, image, axes=letters)
    return _on_voxels(replace(annotations, notes=(*annotations.notes, *notes)), shape)


def _read(
    place: Path,
    kind: FileKind | None,
    image: TimeLapse | None,
    axes: str | None,
    spacing: Spacing | None,
    interval_s: float | None,
) -> Annotations:
    """Read what is no table."""
    graph = find_graph(place)
    if kind is FileKind.TRACKMATE:
        return read_trackmate(place, spacing=spacing)
    if kind is FileKind.AUT:
        return read_aut(place, n_frames=None if image is None else image.n_frames)
    if graph is not None:
        return read_graph(graph, spacing=spacing, interval_s=interval_s)
    if (tracked := ctc_folder(place)) is not None:
        return read_ctc(tracked, image=image, axes=axes, spacing=spacing)
    nuclei = Annotations.from_labels(open_labels(place, image=image, axes=axes, spacing=spacing), spacing)
    return with_record(nuclei, mask_record(place))


def scale_notes(
    place: Path,
    spacing: Spacing | None,
    interval_s: float | None,
    image: TimeLapse | None = None,
    *,
    axes: str | None = None,
) -> tuple[str, ...]:
    """What annotations say of voxel size and time step where the image, or what was given by hand, says otherwise.

    Parameters
    ----------
    place
        The annotations.
    spacing, interval_s
        Voxel size in µm and time step in s that hold; None where they are unknown.
    image
        The image, if they come from it.
    axes
        Axes of label images.
    """
    if spacing is None and interval_s is None:
        return ()
    own, step = _labels_scale(place, image, axes) if are_label_images(place) or ctc_folder(place) else own_scale(place)
    notes = []
    if own is not None and spacing is not None and not own.is_like(spacing):
        by = (
            "the image" if image is not None and image.spacing_from != "given" and spacing == image.spacing else "given"
        )
        notes.append(_contradiction(place, f"a voxel size of {own}", by, str(spacing)))
    if step is not None and interval_s is not None and abs(step - interval_s) > _SAME_STEP * interval_s:
        by = (
            "the image"
            if image is not None and image.interval_from != "given" and interval_s == image.interval_s
            else "given"
        )
        notes.append(_contradiction(place, f"a time step of {step:g} s", by, f"{interval_s:g} s"))
    return tuple(notes)


def _contradiction(place: Path, said: str, by: str, used: str) -> str:
    other = f"{used} holds here" if by == "given" else f"the image says {used}"
    return f"'{place.name}' says {said}, but {other}: they contradict each other, and {used} is used."


def _labels_scale(place: Path, image: TimeLapse | None, axes: str | None) -> tuple[Spacing | None, float | None]:
    found = labels_as_they_are(ctc_folder(place) or place, axes, image)
    return found.spacing, found.interval_s


def are_label_images(path: str | Path) -> bool:
    """Whether annotations are label images, and neither a table, a graph nor a folder of the Cell Tracking Challenge."""
    place = existing(path)
    return _kind(place) in (FileKind.LABELS, FileKind.CLASSES, FileKind.IMAGE, None)


def _kind(place: Path) -> FileKind | None:
    """How annotations are read; what is not recognised is taken for what its name says: that reader says best what is wrong.

    Raises
    ------
    AnlageError
        If it is something that holds no nuclei.
    """
    if has_places(place):
        return FileKind.TABLE  # tracks with POSITION_X are signals, too
    kind = check_kind(place, ANNOTATIONS, NEEDED)
    return _NAMED.get(place.suffix.lower()) if kind is None and place.is_file() else kind


def write_annotations(
    path: str | Path,
    annotations: Annotations,
    *,
    spacing: Spacing | None = None,
    interval_s: float | None = None,
    shape_tzyx: Sequence[int] | None = None,
    by: Writer = LIBRARY,
) -> None:
    """Write nuclei and links: ``.csv``, ``.geff``, TrackMate's ``.xml``, OrganoidTracker's ``.aut``, or a CTC folder.

    What the same writer wrote to `path` before is replaced at the end, in one step; anything else there is refused, unless
    `by` says otherwise. Missing parent folders are made.

    Parameters
    ----------
    path
        Its suffix decides the format; ``.ctc`` or none means a folder of the Cell Tracking Challenge.
    annotations
        The nuclei. What each format keeps of them is in the documentation of the formats.
    spacing, interval_s
        Voxel size in µm and time step in s, kept where the format can.
    shape_tzyx
        Shape of the image, for the masks of a CTC folder; None takes that of the painted labels, or what holds all nuclei.
    by
        Who writes, and whether anything may be replaced.

    Raises
    ------
    AnlageError
        If the suffix is none of these, something else is at `path`, the tracks contradict themselves, or the disk is full.
    """
    suffix = graph_output(path)
    if suffix == ".csv":
        write_table(path, annotations, spacing, interval_s, by=by)
    elif suffix == ".geff":
        by = by.of("nuclei")
        with replacing(path, by) as temporary:
            write_graph(temporary, annotations, spacing, interval_s, mark=by.mark)
    elif suffix == ".xml":
        write_trackmate(path, annotations, spacing=spacing, interval_s=interval_s, by=by)
    elif suffix == ".aut":
        write_aut(path, annotations, spacing=spacing, interval_s=interval_s, by=by)
    else:
        write_ctc(path, annotations, spacing=spacing, interval_s=interval_s, shape_tzyx=shape_tzyx, by=by)


def graph_output(path: str | Path) -> str:
    """The format in which nuclei and links are written to a path: its suffix, ``.ctc`` where it has none.

    Raises
    ------
    AnlageError
        If nuclei cannot be written so.
    """
    suffix = Path(path).suffix.lower()
    if means_ctc(path):
        return ".ctc"
    if suffix in _GRAPHS:
        return suffix
    raise AnlageError(
        f"Nuclei cannot be written as '{suffix}' ('{path}'); end the name in .csv, .geff, .xml (TrackMate), .aut "
        "(OrganoidTracker), or in .ctc or nothing for a folder of the Cell Tracking Challenge."
    )


def own_scale(path: str | Path) -> tuple[Spacing | None, float | None]:
    """Voxel size in µm and time step in s that a CSV, GEFF, TrackMate XML, .aut or CTC folder carries; None where it carries none.

    Label images carry it as images do.
    """
    place = Path(path)
    if place.is_file():
        readers = {FileKind.TRACKMATE: trackmate_scale, FileKind.AUT: aut_scale, FileKind.TABLE: table_scale}
        kind = kind_of(place)
        return readers[kind](place) if kind in readers else (None, None)
    graph = find_graph(place)
    if graph is not None:
        return graph_scale(graph)
    record = mask_record(folder) if (folder := ctc_folder(place)) is not None else None
    return (None, None) if record is None else (record.spacing, record.interval_s)


def _on_voxels(annotations: Annotations, shape_tzyx: Sequence[int] | None) -> Annotations:
    """Centres that lie up to a voxel beyond the rim, moved onto the outermost voxel."""
    if shape_tzyx is None or not len(annotations):
        return annotations
    positions = annotations.positions.copy()
    positions[:, 1:] = positions[:, 1:].clip(-0.5, np.array(shape_tzyx[1:]) - 0.501)
    return replace(annotations, positions=positions)
