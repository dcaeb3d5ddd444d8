"""Smooth, light meshes and point clouds of the objects of label images, in µm."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field

from anlage.axes import Spacing
from anlage.errors import AnlageError
from anlage.frozen import Frozen
from anlage.installed import install
from anlage.objects.label_objects import batches, check_labels, find_objects
from anlage.objects.surfaces import SMOOTHING, mesh_volume, scaled_to_volume, surface_mesh
from anlage.timelapse import TimeLapse

__all__ = ["MeshSettings", "ObjectMesh", "mesh_objects", "object_points", "require_mesh_packages"]

Floats = npt.NDArray[np.float64]

_FEWEST_FACES = 200
"""A mesh is not simplified below that: it would lose its form."""


class MeshSettings(Frozen):
    """How meshes are made of voxels."""

    smoothing: Annotated[float, Field(ge=0, le=5)] = SMOOTHING
    """How far the surface is smoothed, in edges of the longest side of a voxel; 0 leaves the steps of the voxels.
    The volume is kept."""
    simplify: Annotated[float, Field(ge=0, lt=1)] = 0.7
    """Part of the triangles that is taken away where the surface is flattest; 0 keeps all."""
    smallest_voxels: Annotated[int, Field(ge=1)] = 1
    """Objects of fewer voxels get no mesh."""


@dataclass(frozen=True, slots=True)
class ObjectMesh:
    """The closed surface of one object.

    Parameters
    ----------
    t
        Its frame.
    label
        Its value in the label image.
    vertices_um
        (V, 3) positions (z, y, x) in µm; the centre of the image's first voxel is the origin.
    faces
        (F, 3) rows of the vertices; counterclockwise seen from outside, with axes x, y, z.
    """

    t: int
    label: int
    vertices_um: Floats
    faces: npt.NDArray[np.int64]

    @property
    def volume_um3(self) -> float:
        """What it encloses, in µm³."""
        return mesh_volume(self.vertices_um, self.faces)


def mesh_objects(
    labels: TimeLapse,
    *,
    spacing: Spacing | None = None,
    settings: MeshSettings | None = None,
    only: Collection[int] | None = None,
    frames: Collection[int] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Iterator[ObjectMesh]:
    """The surface of each object, one after the other: smoothed, simplified, closed, and of the volume of its voxels.

    Parameters
    ----------
    labels
        (t, 1, z, y, x) whole numbers, 0 = background; several planes.
    spacing
        Voxel size in µm; None takes that of the labels.
    settings
        Smoothing and simplification.
    only
        Label values to take; None is all.
    frames
        Frames to take; None is all.
    on_progress
        Called with (objects done, objects in all); what it raises ends the work.

    Raises
    ------
    AnlageError
        If a package is missing, the voxel size is unknown, the labels are flat or none, or a label asked for is absent.
    """
    require_mesh_packages()
    chosen, known = settings or MeshSettings(), _known(labels, spacing)
    if labels.is_flat:
        raise AnlageError(
            f"'{labels.source}' has a single plane, and a surface needs several; points can be had of it."
        )
    for t, label, mask, origin_um in _masks(labels, known, only, frames, chosen.smallest_voxels, on_progress):
        vertices, faces = _light(*surface_mesh(mask, known, chosen.smoothing), chosen.simplify)
        volume = float(mask.sum()) * float(known.um.prod())
        yield ObjectMesh(t, label, scaled_to_volume(vertices, faces, volume) + origin_um, faces)


def object_points(
    labels: TimeLapse,
    *,
    spacing: Spacing | None = None,
    only: Collection[int] | None = None,
    frames: Collection[int] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Iterator[tuple[int, int, Floats]]:
    """The centres of the outermost voxels of each object: frame, label and (N, 3) positions (z, y, x) in µm.

    Parameters and errors are those of `mesh_objects`; flat images are allowed, and no further package is needed.
    """
    from scipy import ndimage

    known = _known(labels, spacing)
    for t, label, mask, origin_um in _masks(labels, known, only, frames, 1, on_progress):
        inner = ndimage.binary_erosion(np.pad(mask, 1), _cross(flat=labels.is_flat))[1:-1, 1:-1, 1:-1]
        yield t, label, np.argwhere(mask & ~inner) * known.um + origin_um


def require_mesh_packages() -> None:
    """Refuse where the packages for meshes are not installed.

    Raises
    ------
    AnlageError
        With the command that installs them.
    """
    needed = {"trimesh": "trimesh", "fast_simplification": "fast-simplification"}
    missing = [package for module, package in needed.items() if importlib.util.find_spec(module) is None]
    if missing:
        raise AnlageError(f"Meshes need {' and '.join(missing)}, not installed here; run: {install(missing)}")


def _known(labels: TimeLapse, spacing: Spacing | None) -> Spacing:
    check_labels(labels)
    known = spacing or labels.spacing
    if known is None:
        raise AnlageError(
            f"The voxel size of '{labels.source}' is unknown, so there is no surface in µm; give it as --spacing Z,Y,X, "
            "for example --spacing 2,0.5,0.5."
        )
    return known


def _masks(
    labels: TimeLapse, spacing: Spacing, only: Collection[int] | None, frames: Collection[int] | None, smallest: int,
    on_progress: Callable[[int, int], None] | None,
) -> Iterator[tuple[int, int, npt.NDArray[np.bool_], Floats]]:  # fmt: skip
    """Frame, label, mask in its bounding box, and the position of that in µm."""
    _, z, y, x = labels.shape_tzyx
    times = sorted(range(labels.n_frames) if frames is None else frames)
    found = {t: find_objects(labels, t) for t in times}
    wanted = {
        t: np.flatnonzero((objects.sizes >= smallest) & (True if only is None else np.isin(objects.values, list(only))))
        for t, objects in found.items()
    }
    absent = set(only or ()) - {int(v) for t in times for v in found[t].values[wanted[t]]}
    if absent:
        raise AnlageError(f"'{labels.source}' has no object {min(absent)} of at least {smallest} voxels.")
    total, done = sum(map(len, wanted.values())), 0
    for t, objects in found.items():
        for group, place in batches(objects.select(wanted[t]), (z, y, x)):
            values = labels.read(place.shifted((t, 0, 0, 0)), [0])[0, 0]
            for row in wanted[t][group].tolist():
                low, high = objects.start[row] - place.start[1:], objects.stop[row] - place.start[1:]
                mask = values[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] == objects.values[row]
                yield t, int(objects.values[row]), mask, objects.start[row] * spacing.um
                done += 1
                if on_progress is not None:
                    on_progress(done, total)


def _light(vertices: Floats, faces: npt.NDArray[np.int64], simplify: float) -> tuple[Floats, npt.NDArray[np.int64]]:
    """With fewer triangles, by quadrics (Garland and Heckbert, 1997), and still closed; as it was where that fails."""
    import fast_simplification
    import trimesh

    reduction = min(simplify, 1 - _FEWEST_FACES / len(faces))
    if reduction <= 0:
        return vertices, faces
    points = vertices.astype(np.float32)
    for part in (reduction, 0.8 * reduction, 0.5 * reduction):
        lighter = trimesh.Trimesh(*fast_simplification.simplify(points, faces, part), process=False)
        # corners that fall together are one in an STL, which must stay closed, too
        lighter.merge_vertices()
        if lighter.is_watertight and lighter.is_winding_consistent:
            return np.asarray(lighter.vertices, dtype=np.float64), np.asarray(lighter.faces, dtype=np.int64)
    return vertices, faces


def _cross(*, flat: bool) -> npt.NDArray[np.bool_]:
    """Neighbours that make a voxel an inner one: six, in a flat image four."""
    from scipy import ndimage

    cross = np.asarray(ndimage.generate_binary_structure(3, 1), dtype=bool)
    if flat:
        cross[0] = cross[2] = False
    return cross
