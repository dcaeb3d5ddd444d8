"""Labels layers as label images in µm, and the files that are made of them. Knows no Qt."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anlage import (
    AnlageError,
    MeshSettings,
    ObjectTable,
    TimeLapse,
    Writer,
    measure_objects,
    mesh_objects,
    object_points,
    write_image,
    write_mesh,
    write_points,
    write_tiff,
)
from napari_anlage.session.session import Session
from napari_anlage.viewer.grid import LayerGrid, axes_named, default_axes
from napari_anlage.viewer.read import image_of, layer_kind

__all__ = [
    "Bodies",
    "LabelLayer",
    "bodies_of",
    "label_layers",
    "measure_layer",
    "save_labels",
    "save_surfaces",
    "source_of",
]

_MOST_BODIES = 2000
"""Surfaces shown at once; more would bring the viewer to its knees."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class LabelLayer:
    """A Labels layer.

    Parameters
    ----------
    layer
        The layer.
    grid
        Where its voxels lie.
    labels
        (t, 1, z, y, x) with voxel size and time step, as far as they are known.
    image
        The image, where it has the very same voxels; else None, and no brightness can be measured.
    """

    layer: Any
    grid: LayerGrid
    labels: TimeLapse
    image: TimeLapse | None


@dataclass(frozen=True, slots=True)
class Bodies:
    """Surfaces of objects as one mesh, or points on them, in voxels of their layer.

    Parameters
    ----------
    t
        Their frame.
    vertices
        (V, 3) z, y, x in voxels.
    faces
        (F, 3) rows of the vertices; empty for points.
    label
        (V,) the object of each vertex.
    n_left_out
        Objects beyond the number that can be shown.
    """

    t: int
    vertices: npt.NDArray[np.float64]
    faces: npt.NDArray[np.int64]
    label: npt.NDArray[np.int64]
    n_left_out: int = 0


def label_layers(session: Session) -> list[Any]:
    """The Labels layers of the viewer, the topmost first."""
    return [layer for layer in reversed(session.viewer.layers) if layer_kind(layer) == "labels"]


def source_of(session: Session, layer: Any) -> LabelLayer:
    """Read a Labels layer.

    Raises
    ------
    AnlageError
        If it is rotated or sheared, or has channels of its own.
    """
    axes = axes_named(layer) or _axes_like_the_image(session, layer)
    grid = LayerGrid.of(layer, axes)
    labels = image_of([layer], axes=axes)
    if labels.n_channels > 1:
        raise AnlageError(
            f"The layer '{layer.name}' has {labels.n_channels} channels; objects are measured in labels without channels."
        )
    image = None
    if session.image_layer is not None:
        over = session.image()
        if over.shape_tzyx == labels.shape_tzyx and grid.same_as(session.grid()):
            image = over
            labels = labels.with_scale(labels.spacing or over.spacing, labels.interval_s or over.interval_s)
    return LabelLayer(layer, grid, labels, image)


def measure_layer(source: LabelLayer, progress: Progress) -> ObjectTable:
    """All objects of the layer, in numbers."""
    return measure_objects(source.labels, source.image, on_progress=progress)


def save_labels(source: LabelLayer, path: Path, by: Writer, *, progress: Progress) -> Path:
    """Write the labels as OME-TIFF (.tif) or OME-Zarr 0.5 (any other name)."""
    labels = source.labels
    about: dict[str, Any] = {"spacing": labels.spacing, "interval_s": labels.interval_s, "axes": "tzyx", "by": by}

    def frames() -> Iterator[npt.NDArray[Any]]:
        for t in range(labels.n_frames):
            yield labels.frame(t)[0]
            progress(t + 1, labels.n_frames)

    if path.suffix.lower() in (".tif", ".tiff"):
        write_tiff(path, frames(), n_frames=labels.n_frames, **about)
    else:
        write_image(path, frames(), kind="labels", **about)
    return path


def save_surfaces(source: LabelLayer, path: Path, by: Writer, *, t: int, points: bool, progress: Progress) -> Path:
    """Write the surfaces of a frame's objects as PLY, OBJ or STL, or the points on them as PLY or CSV."""
    if points:
        write_points(path, object_points(source.labels, frames=[t], on_progress=progress), by)
    else:
        write_mesh(path, mesh_objects(source.labels, frames=[t], on_progress=progress), by)
    return path


def bodies_of(source: LabelLayer, t: int, *, points: bool, progress: Progress) -> Bodies:
    """The surfaces of a frame's objects, or points on them, to be shown.

    Raises
    ------
    AnlageError
        If there is no object, the layer is flat, the voxel size is unknown or a package is missing.
    """
    labels = source.labels
    um = None if labels.spacing is None else labels.spacing.um
    vertices, faces, numbers, n, first = [], [np.zeros((0, 3), dtype=np.int64)], [], 0, 0
    parts: Iterator[tuple[int, npt.NDArray[np.float64], npt.NDArray[np.int64]]] = (
        ((label, cloud, faces[0]) for _, label, cloud in object_points(labels, frames=[t], on_progress=progress))
        if points
        else (
            (mesh.label, mesh.vertices_um, mesh.faces)
            for mesh in mesh_objects(labels, frames=[t], settings=MeshSettings(), on_progress=progress)
        )
    )
    for label, corners, triangles in parts:
        n += 1
        if n > _MOST_BODIES:
            continue
        vertices.append(corners)
        faces.append(triangles + first)
        numbers.append(np.full(len(corners), label, dtype=np.int64))
        first += len(corners)
    if not vertices or um is None:
        raise AnlageError(f"Nothing is painted in frame {t} of '{source.layer.name}'.")
    return Bodies(
        t, np.concatenate(vertices) / um, np.concatenate(faces), np.concatenate(numbers), max(0, n - _MOST_BODIES)
    )


def _axes_like_the_image(session: Session, layer: Any) -> str:
    """An unnamed layer beside an image of as many axes has that image's, without channels."""
    if session.image_layer is not None:
        axes = session.grid().axes
        for own in (axes, axes.replace("c", "")):
            if len(own) == layer.ndim:
                return own
    return default_axes(int(layer.ndim))
