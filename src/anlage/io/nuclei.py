"""Open and write annotations, whatever their format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from anlage.annotations import Annotations, check
from anlage.axes import Spacing
from anlage.errors import AnlageError
from anlage.io.atomic import replacing, root_attributes
from anlage.io.graphs import find_graph, read_graph, write_graph
from anlage.io.images import checked_axes, existing
from anlage.io.label_images import ctc_folder, open_labels, read_ctc
from anlage.io.tables import read_table, write_table
from anlage.timelapse import TimeLapse

__all__ = ["are_label_images", "is_bare_geff", "open_annotations", "write_annotations"]

_TABLES = (".csv", ".tsv", ".txt")


def open_annotations(
    path: str | Path,
    *,
    image: TimeLapse | None = None,
    axes: str | None = None,
    spacing: Spacing | None = None,
    interval_s: float | None = None,
) -> Annotations:
    """Read nuclei and links: CSV, GEFF, a CTC folder, or label images (TIFF, zarr, folder of TIFFs).

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

    Raises
    ------
    AnlageError
        One sentence naming file, row and value, for anything that contradicts itself or the image.
    """
    place = existing(path)
    letters = checked_axes(axes)
    shape = image.shape_tzyx if image is not None else None
    if image is not None:
        spacing = spacing or image.spacing
        interval_s = interval_s or image.interval_s
    if place.is_file() and place.suffix.lower() in _TABLES:
        annotations, rows = read_table(place, n_planes=image.shape_tzyx[1] if image is not None else 1)
        check(annotations, shape, rows=rows, source=str(place))
        return _on_voxels(annotations, shape)
    graph = find_graph(place)
    if graph is not None:
        annotations = read_graph(graph, spacing=spacing, interval_s=interval_s)
    elif (tracked := ctc_folder(place)) is not None:
        annotations = read_ctc(tracked, image=image, axes=letters, spacing=spacing)
    else:
        annotations = Annotations.from_labels(open_labels(place, image=image, axes=letters, spacing=spacing), spacing)
    check(annotations, shape, source=str(place))
    return _on_voxels(annotations, shape)


def are_label_images(path: str | Path) -> bool:
    """Whether annotations are label images, and neither a table, a graph nor a folder of the Cell Tracking Challenge."""
    place = existing(path)
    if place.is_file():
        return place.suffix.lower() not in _TABLES
    return find_graph(place) is None and ctc_folder(place) is None


def write_annotations(
    path: str | Path, annotations: Annotations, *, spacing: Spacing | None = None, interval_s: float | None = None
) -> None:
    """Write nuclei and links as ``.csv`` or ``.geff``, positions in voxels of the image.

    A table or GEFF that was at `path` before is replaced at the end, in one step; any other folder there is refused.
    Missing parent folders are made.

    Parameters
    ----------
    path
        Its suffix decides the format.
    annotations
        The nuclei. A CSV keeps one parent of each.
    spacing, interval_s
        Voxel size in µm and time step in s, kept in a GEFF.

    Raises
    ------
    AnlageError
        If the suffix is neither, something else is at `path`, or the disk is full.
    """
    suffix = Path(path).suffix.lower()
    if suffix == ".csv":
        write_table(path, annotations)
    elif suffix == ".geff":
        with replacing(path, is_bare_geff) as temporary:
            write_graph(temporary, annotations, spacing, interval_s)
    else:
        raise AnlageError(f"Nuclei cannot be written as '{suffix}' ('{path}'); end the name in .csv or .geff.")


def is_bare_geff(folder: Path) -> bool:
    """Whether a folder is a GEFF and nothing more: an image or a store may carry a graph, too."""
    others = {entry.name for entry in folder.iterdir() if not entry.name.startswith(".")} - {
        "zarr.json",
        "nodes",
        "edges",
    }
    return "geff" in root_attributes(folder) and not others


def _on_voxels(annotations: Annotations, shape_tzyx: Sequence[int] | None) -> Annotations:
    """Centres that lie up to a voxel beyond the rim, moved onto the outermost voxel."""
    if shape_tzyx is None or not len(annotations):
        return annotations
    positions = annotations.positions.copy()
    positions[:, 1:] = positions[:, 1:].clip(-0.5, np.array(shape_tzyx[1:]) - 0.501)
    return replace(annotations, positions=positions)
