"""Open label images of any format, with the axes of the image that they belong to."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from anlage.annotations import Annotations
from anlage.axes import Spacing
from anlage.errors import AnlageError
from anlage.foreign import check_size, shown
from anlage.io.atomic import root_attributes
from anlage.io.folders import open_frames, tiff_files
from anlage.io.images import checked_axes, existing
from anlage.io.kinds import IMAGES, FileKind, check_kind, ctc_folder, kind_of
from anlage.io.lazy import WholeNumbers
from anlage.io.mask_records import FILE, MaskRecord, mask_record, with_record
from anlage.io.tiff import open_tiff
from anlage.io.tiff_integrity import is_tiff
from anlage.io.zarr_files.ome_zarr import is_zarr, is_zipped, label_groups, open_zarr
from anlage.issues import Issue
from anlage.timelapse import TimeLapse

__all__ = [
    "CLASSES",
    "ctc_folder",
    "kind_of_labels",
    "labels_as_they_are",
    "open_label_image",
    "open_labels",
    "read_ctc",
]

CLASSES = "classes"
"""Kind of a label image whose values are classes of voxels, as `write_image` marks it."""

_FEWEST, _SPARSE = 10_000, 100
"""So many frames there may be of masks that are numbered, at least, and for each mask."""
_TABLES = ("man_track.txt", "res_track.txt")
_OUTLINES = re.compile(r"man_seg_?\d+")
"""Masks of the challenge's SEG folders: of some frames, without tracks."""
_SLICES = re.compile(r"man_seg_\d+_\d+")
"""The same of a single plane each."""


def open_labels(
    path: Path, *, image: TimeLapse | None = None, axes: str | None = None, spacing: Spacing | None = None
) -> TimeLapse:
    """Open a label image lazily: TIFF, zarr, a folder of TIFFs, or the labels that an OME-Zarr carries.

    The axes are, in this order: those given; the image's, where its shape fits; those of the file; by their count.

    Raises
    ------
    AnlageError
        If the values are of no number type, the shape is not that of the image, or it is unclear which labels are meant.
    """
    found = labels_as_they_are(path, axes, image)
    if found.n_channels > 1:
        raise AnlageError(
            f"The labels '{path}' have {found.n_channels} channels; labels are a single channel of whole numbers."
        )
    found.require_pixels()
    labels = replace(found, data=WholeNumbers(found.data, str(path)))
    if image is not None:
        if axes is None:
            labels = _like(labels, image)
        if labels.shape_tzyx != image.shape_tzyx:
            raise AnlageError(
                f"The labels '{path}' have the shape {labels.shape_tzyx} (t, z, y, x), but the image '{image.source}' has "
                f"{image.shape_tzyx}; both must be the same (say --axes if the axes were misread)."
            )
        labels = replace(
            labels,
            spacing=image.spacing or labels.spacing,
            interval_s=image.interval_s or labels.interval_s,
        )
    return labels.with_scale(spacing)


def open_label_image(
    path: str | Path,
    *,
    image: TimeLapse | None = None,
    axes: str | None = None,
    spacing: Spacing | None = None,
    interval_s: float | None = None,
) -> TimeLapse:
    """Open a label image lazily, whatever its format: TIFF, zarr, a folder of TIFFs, the masks of a CTC folder.

    Parameters
    ----------
    path
        File or folder.
    image
        The image that it belongs to: gives axes, voxel size and time step, and its shape is checked.
    axes, spacing, interval_s
        Override what file and image say: axes in their order, voxel size in µm, time step in s.

    Returns
    -------
    TimeLapse
        (t, 1, z, y, x), whole numbers ≥ 0, checked whenever a piece is read.

    Raises
    ------
    AnlageError
        If there is no such file, it holds points, its values are no numbers, or its shape is not that of the image.
    """
    place = existing(path)
    points = (FileKind.TABLE, FileKind.GRAPH, FileKind.TRACKMATE, FileKind.AUT)
    if kind_of(place) in points or place.suffix.lower() in (".csv", ".geff"):
        raise AnlageError(f"'{place}' holds points, not painted objects; give label images, as TIFF or zarr.")
    check_kind(
        place, IMAGES, "label images are needed here, as TIFF, zarr, a folder of TIFFs or a folder of the challenge"
    )
    found = open_labels(ctc_folder(place) or place, image=image, axes=checked_axes(axes), spacing=spacing)
    return found.with_scale(interval_s=interval_s)


def kind_of_labels(path: Path) -> str | None:
    """What a zarr of ours says its labels are, for example ``classes``; None where nothing says it."""
    mark = root_attributes(path).get("anlage") if path.is_dir() else None
    kind = mark.get("kind") if isinstance(mark, dict) else None
    return kind if isinstance(kind, str) else None


def read_ctc(
    path: Path, *, image: TimeLapse | None = None, axes: str | None = None, spacing: Spacing | None = None
) -> Annotations:
    """Read masks and man_track.txt or res_track.txt: parents become links from a track's last mask to the first.

    Raises
    ------
    AnlageError
        If a line of the table is no four whole numbers.
    """
    labels = open_labels(path, image=image, axes=axes, spacing=spacing)
    nuclei = Annotations.from_labels(labels, spacing or labels.spacing, over_gaps=True)
    table = next(path / name for name in _TABLES if (path / name).is_file())
    first, last = _ends(nuclei)
    links, notes = [], []
    for number, line in enumerate(table.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        if not line.strip():
            continue
        track, begin, end, parent = _track(line, number, table)
        if track not in first:
            notes.append(f"line {number} names the track {track} (frames {begin} to {end}), which no mask shows")
        elif parent > 0 and parent not in last:
            notes.append(f"line {number} gives the track {track} the parent {parent}, which no mask shows")
        elif parent > 0:  # other programs write -1 for none
            links.append((last[parent], first[track]))
    if notes:
        more = f", and {len(notes) - 1} more lines like it" if len(notes) > 1 else ""
        nuclei = replace(
            nuclei,
            notes=(*nuclei.notes, f"Left out of '{table}': {notes[0]}{more}."),
            left_out=tuple(Issue("link", f"In '{table.name}', {note}: it was left out.") for note in notes),
        )
    nuclei = with_record(nuclei, mask_record(path))
    return replace(nuclei, links=np.concatenate([nuclei.links, np.array(links, dtype=np.int64).reshape(-1, 2)]))


def labels_as_they_are(path: Path, axes: str | None, image: TimeLapse | None) -> TimeLapse:
    """Open labels with what their file says of itself.

    Axes may have been given for the image: its channels are not in the labels, unless the labels have as many axes.
    """
    if axes is not None and "c" in axes:
        try:
            return _opened(path, axes, image)
        except AnlageError:
            return _opened(path, axes.replace("c", ""), image)
    return _opened(path, axes, image)


def _opened(path: Path, axes: str | None, image: TimeLapse | None) -> TimeLapse:
    inside = label_groups(path)
    if not inside and image is not None and path.resolve() == Path(image.source).resolve():
        raise AnlageError(f"'{path}' is the image itself and carries no labels; give its annotations.")
    if path.is_file() and is_tiff(path):
        return open_tiff(path, axes)
    if is_zarr(path):
        if len(inside) > 1:
            names = [p.name for p in inside]
            raise AnlageError(
                f"'{path}' carries {len(inside)} label images {names}; give one, for example '{inside[0]}'."
            )
        return open_zarr(inside[0] if inside else path, axes, is_labels=True)
    if path.is_dir():
        return _folder(path, axes, image)
    if is_zipped(path):
        raise AnlageError(f"'{path}' is a zipped zarr; unpack it into a folder, and open that.")
    raise AnlageError(
        f"'{path}' is of a format that cannot be read as annotations ('{path.suffix}'); give a CSV, a GEFF, TrackMate's XML, "
        "an .aut, a CTC folder or label images as TIFF or zarr."
    )


def _folder(path: Path, axes: str | None, image: TimeLapse | None) -> TimeLapse:
    if not tiff_files(path) and (path / "SEG").is_dir():
        path = path / "SEG"
    files = tiff_files(path)
    if any(_SLICES.fullmatch(file.stem) for file in files):
        raise AnlageError(
            f"The masks in '{path}' are single planes ('{files[0].name}'), of which no nucleus can be told whole; give the "
            "folder TRA, or masks of whole frames."
        )
    if not files:
        raise AnlageError(f"The folder '{path}' holds no TIFF; give a folder with one label image per frame.")
    numbers = [_number(file) for file in files]
    outlines = all(_OUTLINES.fullmatch(file.stem) for file in files)
    if (
        outlines
        or ctc_folder(path) == path
        or (image is not None and len(files) < image.n_frames and all(n is not None for n in numbers))
    ):
        return _numbered(path, dict(zip(numbers, files, strict=True)), axes, image)
    return open_frames(path, dict(enumerate(files)), axes, is_labels=True)


def _numbered(path: Path, files: dict[int | None, Path], axes: str | None, image: TimeLapse | None) -> TimeLapse:
    """Masks by the frame number in their names; a frame may lack its mask."""
    by_frame = {t: file for t, file in files.items() if t is not None}
    if not by_frame or len(by_frame) < len(tiff_files(path)):
        raise AnlageError(f"The masks in '{path}' must each have their frame's number in the name, like mask000.tif.")
    n_frames = image.n_frames if image is not None else None
    if n_frames is None:
        check_size(
            max(by_frame),
            max(_FEWEST, _SPARSE * len(by_frame)),
            f"The number in the name of '{by_frame[max(by_frame)].name}'",
        )
    if n_frames is not None and max(by_frame) == n_frames and 0 not in by_frame:
        by_frame = {t - 1: file for t, file in by_frame.items()}  # numbered from 1
    if n_frames is not None and max(by_frame) >= n_frames:
        raise AnlageError(
            f"'{by_frame[max(by_frame)]}' is the mask of frame {max(by_frame)}, but the image has the frames 0 to {n_frames - 1}."
        )
    found = open_frames(path, by_frame, axes, n_frames=n_frames, is_labels=True)
    record = mask_record(path)
    return found if record is None else _scaled_by(found, record)


def _scaled_by(masks: TimeLapse, record: MaskRecord) -> TimeLapse:
    """The scale that stands beside masks, where they do not say it themselves."""
    return replace(
        masks,
        spacing=masks.spacing or record.spacing,
        interval_s=masks.interval_s or record.interval_s,
        spacing_from=masks.spacing_from or (FILE if record.spacing else ""),
        interval_from=masks.interval_from or (FILE if record.interval_s else ""),
    )


def _number(file: Path) -> int | None:
    digits = re.findall(r"\d+", file.stem)
    return int(digits[-1]) if digits else None


def _like(labels: TimeLapse, image: TimeLapse) -> TimeLapse:
    """The labels with the image's axes, where the lengths say that they have the same."""
    shape = tuple(labels.data.shape)
    lengths = dict(zip("tczyx", image.shape, strict=True))
    own = image.axes.replace("c", "")
    for letters in (own, "".join(a for a in own if lengths[a] > 1 or a in "yx"), "tzyx"):
        if tuple(lengths[a] for a in letters) == shape and letters != labels.axes:
            return replace(labels, axes=letters, axes_from="the image", channels=())
    return labels


def _ends(nuclei: Annotations) -> tuple[dict[int, int], dict[int, int]]:
    """Id of the first and of the last nucleus of each label value."""
    order = np.argsort(nuclei.frames, kind="stable")
    values, ids = nuclei.label[order].tolist(), nuclei.ids[order].tolist()
    return dict(zip(reversed(values), reversed(ids), strict=True)), dict(zip(values, ids, strict=True))


def _track(line: str, number: int, table: Path) -> tuple[int, int, int, int]:
    try:
        track, begin, end, parent = (int(part) for part in line.split())
    except ValueError:
        raise AnlageError(
            f"'{table}': line {number} is '{shown(line.strip())}', not four whole numbers (track, first frame, last frame, parent)."
        ) from None
    return track, begin, end, parent
