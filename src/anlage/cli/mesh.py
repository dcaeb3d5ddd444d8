"""``anlage mesh``: write the surfaces of objects as mesh files."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from anlage.cli.arguments import Parser, add_reading, check_free, print_reading, span, writer
from anlage.cli.progress_bar import counting
from anlage.cli.written import Written
from anlage.errors import AnlageError

if TYPE_CHECKING:
    from anlage.timelapse import TimeLapse

__all__: list[str] = []


def configure_mesh(parser: Parser) -> None:
    parser.explain(
        "Writes the closed surface of each object in µm (axes x, y, z): smoothed, with fewer triangles, and of the same\n"
        "volume as its voxels. Into one file, or into a folder with a file for each object. Needs the extra `meshes`.",
        "anlage mesh labels.zarr -o surfaces.ply",
        "anlage mesh labels.tif --spacing 1.75,0.8,0.8 --format stl -o surfaces/",
        "anlage mesh labels.zarr --points -o cloud.ply",
    )
    parser.add_argument("labels", metavar="LABELS", help="label images: TIFF, zarr or a folder of TIFFs")
    parser.add_argument(
        "-o", "--output", required=True, metavar="OUT",
        help="a file (.ply, .obj, .stl) for all objects of a frame, or a folder for a file each",
    )  # fmt: skip
    parser.add_overwrite()
    parser.add_argument("--format", choices=["ply", "obj", "stl"], default="ply", help="of the files in a folder")
    parser.add_argument(
        "--points", action="store_true", help="write the outermost voxels as a point cloud (.ply, .csv)"
    )
    parser.add_argument("--label", type=int, action="append", metavar="N", help="only this object; may be repeated")
    parser.add_argument("--frames", type=span, metavar="a:b", help="only these frames (default: all)")
    parser.add_argument(
        "--smoothing", type=float, default=0.7, metavar="N",
        help="how far to smooth, in edges of the longest side of a voxel (default: 0.7; 0 keeps the steps)",
    )  # fmt: skip
    parser.add_argument(
        "--simplify", type=float, default=0.7, metavar="PART", help="part of the triangles to take away (default: 0.7)"
    )
    parser.add_argument(
        "--ignore-smaller-than", type=int, default=1, metavar="N", help="objects of fewer voxels get no mesh"
    )
    add_reading(parser, "the file")


def run_mesh(options: argparse.Namespace) -> int:
    from anlage.io import open_label_image
    from anlage.objects.meshes import require_mesh_packages

    require_mesh_packages()
    _check_place(Path(options.output), options)
    labels = open_label_image(options.labels, axes=options.axes, spacing=options.spacing, interval_s=options.interval)
    print_reading(labels, is_labels=True)
    first, last = options.frames or (None, None)
    frames = range(labels.n_frames)[first:last]
    if not frames:
        raise AnlageError(f"'{options.labels}' has the frames 0 to {labels.n_frames - 1}, none of those asked for.")
    if options.points:
        return _points(labels, frames, options)
    return _meshes(labels, frames, options)


def _check_place(out: Path, options: argparse.Namespace) -> None:
    """Refuse a file that this command did not write, or a folder with one where its own would come."""
    options.written = Written([out]) if out.suffix or options.points else Written(folders=[out])
    if out.suffix or options.points or not out.is_dir():
        check_free(out, options, "points" if options.points else "mesh")
        return
    for there in sorted(out.glob("t[0-9]*_label[0-9]*")):
        check_free(there, options, "mesh")


def _meshes(labels: TimeLapse, frames: range, options: argparse.Namespace) -> int:
    from pydantic import ValidationError

    from anlage.io import write_mesh
    from anlage.io.mesh_files import MESH_SUFFIXES
    from anlage.objects.meshes import MeshSettings, mesh_objects

    try:
        settings = MeshSettings(
            smoothing=options.smoothing, simplify=options.simplify, smallest_voxels=options.ignore_smaller_than
        )
    except ValidationError as error:
        wrong = error.errors()[0]
        raise AnlageError(f"--{wrong['loc'][0]} is {wrong['input']}: {wrong['msg'].lower()}.") from None
    out = Path(options.output)
    suffix = out.suffix.lower()
    if suffix and suffix not in MESH_SUFFIXES:
        raise AnlageError(
            f"Meshes cannot be written as '{out}'; end the name in {', '.join(MESH_SUFFIXES)}, or name a folder."
        )
    if suffix and len(frames) > 1:
        raise AnlageError(
            f"'{options.labels}' has {labels.n_frames} frames, which would lie on each other in one file; choose one with "
            "--frames, for example --frames 0, or name a folder."
        )
    by = writer(options)
    with counting("meshing", "object") as progress:
        meshes = mesh_objects(labels, settings=settings, only=options.label, frames=frames, on_progress=progress)
        if suffix:
            print(f"{write_mesh(out, meshes, by)} objects written to {out}")
            return 0
        places = ((out / f"t{mesh.t:04d}_label{mesh.label:06d}.{options.format}", mesh) for mesh in meshes)
        n = sum(write_mesh(place, [mesh], by) for place, mesh in places)
    print(f"{n} objects written to {out}, one file each")
    return 0


def _points(labels: TimeLapse, frames: range, options: argparse.Namespace) -> int:
    from anlage.io import write_points
    from anlage.objects.meshes import object_points

    with counting("looking for surfaces", "object") as progress:
        clouds = object_points(labels, only=options.label, frames=frames, on_progress=progress)
        n = write_points(options.output, clouds, writer(options))
    print(f"{n} points written to {options.output}")
    return 0
