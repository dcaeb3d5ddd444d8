"""Write meshes and point clouds as PLY, OBJ and STL, in µm with axes x, y, z."""

from __future__ import annotations

import colorsys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anlage.errors import AnlageError
from anlage.io.atomic import replacing
from anlage.io.csv_files import write_csv
from anlage.io.seals import LIBRARY, Writer
from anlage.objects.meshes import ObjectMesh, require_mesh_packages

__all__ = ["MESH_SUFFIXES", "label_colour", "write_mesh", "write_points"]

MESH_SUFFIXES = (".ply", ".obj", ".stl")
"""What a mesh can be written as."""

_STL_HEADER = 80
"""Bytes at the beginning of a binary STL that mean nothing."""
_TURN = 0.618034
"""The golden ratio: neighbouring numbers get colours far from each other."""


def write_mesh(path: str | Path, meshes: Iterable[ObjectMesh], by: Writer = LIBRARY) -> int:
    """Write objects into one file: PLY (each in a colour of its own), OBJ (each an object of its own) or STL (one body).

    Parameters
    ----------
    path
        Its suffix decides the format. Missing parent folders are made.
    meshes
        The objects.
    by
        Who writes, and whether anything may be replaced.

    Returns
    -------
    int
        How many objects were written.

    Raises
    ------
    AnlageError
        If there is no object, the suffix is none of the three, a package is missing, or the disk is full.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in MESH_SUFFIXES:
        raise AnlageError(f"Meshes cannot be written as '{path}'; end the name in {', '.join(MESH_SUFFIXES)}.")
    require_mesh_packages()
    import trimesh

    by = by.of("mesh")
    bodies = {f"t{mesh.t}_label{mesh.label}": _body(mesh) for mesh in meshes}
    if not bodies:
        raise AnlageError(f"There is no object to write to '{path}'.")
    if suffix == ".obj":
        data = f"# µm; axes x, y, z; {by.mark}\n" + "\n".join(_obj(bodies))
    else:
        data = trimesh.util.concatenate(list(bodies.values())).export(file_type=suffix[1:])
    with replacing(path, by) as temporary:
        temporary.write_bytes(data.encode() if isinstance(data, str) else _marked(data, by))
    return len(bodies)


def write_points(
    path: str | Path, clouds: Iterable[tuple[int, int, npt.NDArray[np.float64]]], by: Writer = LIBRARY
) -> int:
    """Write point clouds (frame, label, (N, 3) z y x in µm) into one PLY, or as rows t, label, x, y, z of a CSV.

    Returns
    -------
    int
        How many points were written.

    Raises
    ------
    AnlageError
        If there is no point, the suffix is neither, a package is missing, or the disk is full.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in (".ply", ".csv"):
        raise AnlageError(f"A point cloud cannot be written as '{path}'; end the name in .ply or .csv.")
    by = by.of("points")
    parts = [(t, label, points[:, ::-1]) for t, label, points in clouds]
    if not parts:
        raise AnlageError(f"There is no object to write to '{path}'.")
    points = np.concatenate([part for _, _, part in parts])
    if suffix == ".csv":
        counts = [len(part) for _, _, part in parts]
        table = {
            "t": np.repeat([t for t, _, _ in parts], counts),
            "label": np.repeat([label for _, label, _ in parts], counts),
            **{f"{axis}_um": points[:, i] for i, axis in enumerate("xyz")},
        }
        write_csv(path, table, by, float_format="%.7g")
        return len(points)
    require_mesh_packages()
    import trimesh

    colours = np.concatenate([np.tile(label_colour(label), (len(part), 1)) for _, label, part in parts])
    data = trimesh.PointCloud(points, colors=colours).export(file_type="ply")
    with replacing(path, by) as temporary:
        temporary.write_bytes(_marked(data, by))
    return len(points)


def label_colour(label: int) -> tuple[int, int, int, int]:
    """The colour (red, green, blue, opacity; 0 … 255) of an object in files: always the same for the same number."""
    red, green, blue = colorsys.hsv_to_rgb(label * _TURN % 1, 0.65, 0.95)
    return round(255 * red), round(255 * green), round(255 * blue), 255


def _body(mesh: ObjectMesh) -> Any:
    import trimesh

    colours = np.tile(label_colour(mesh.label), (len(mesh.vertices_um), 1))
    return trimesh.Trimesh(mesh.vertices_um[:, ::-1], mesh.faces, vertex_colors=colours, process=False)


def _marked(data: bytes, by: Writer) -> bytes:
    """A PLY with the mark as a comment, or an STL with it in its header, which no reader looks at."""
    if data.startswith(b"ply\n"):
        return data.replace(b"\nelement ", f"\ncomment {by.mark}\nelement ".encode(), 1)
    mark = by.mark.encode()
    return mark.ljust(_STL_HEADER, b" ")[:_STL_HEADER] + data[_STL_HEADER:]


def _obj(bodies: dict[str, Any]) -> Iterable[str]:
    """Each object by its name; vertices are counted through the whole file, from 1."""
    first = 1
    for name, body in bodies.items():
        yield f"o {name}"
        yield from ("v {:.6f} {:.6f} {:.6f}".format(*vertex) for vertex in body.vertices.tolist())
        yield from ("f {} {} {}".format(*face) for face in (body.faces + first).tolist())
        first += len(body.vertices)
