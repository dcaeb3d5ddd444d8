"""``anlage build``: make a store of training data from an image and its annotations."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from anlage.cli.arguments import Parser, add_reading, box, channel_list, diameter, open_with_options
from anlage.cli.describe import other_voxels, print_annotations, print_cuboids
from anlage.cli.progress_bar import counting
from anlage.cli.scale import SPACING_SOURCES, scale_of, scaled_by
from anlage.cli.written import Written
from anlage.errors import AnlageError
from anlage.shell import command

if TYPE_CHECKING:
    from anlage.timelapse import TimeLapse

WITHOUT = "-"
"""Stands for an image where there is none."""
_FEW_VALUES = 4
"""Fewer label values may be classes that do not look like it."""

__all__ = ["require_spacing"]


def configure_build(parser: Parser) -> None:
    parser.explain(
        "Only the annotated part is used: it is found from the annotations (--cuboid auto), and outside it nothing is "
        "learnt,\nneither nucleus nor background. Your files are only read.",
        "anlage build movie.ome.zarr nuclei.csv -o nuclei.zarr",
        "anlage build movie.tif nuclei.csv -o nuclei.zarr --spacing 2,0.5,0.5 --channels 0 --cuboid 0:5,0:32,0:256,0:256",
        "anlage build - tracks.geff -o links.zarr --spacing 2,0.5,0.5",
    )
    parser.add_argument(
        "image",
        metavar="IMAGE",
        help="OME-Zarr, TIFF, or a folder with one TIFF a frame; - for tracks without an image",
    )
    parser.add_argument(
        "annotations", metavar="ANNOTATIONS", help="CSV (id,t,z,y,x in voxels), GEFF, CTC folder or label images"
    )
    parser.add_argument("-o", "--output", metavar="STORE.zarr", required=True, help="the store to make")
    channels = parser.add_mutually_exclusive_group()
    channels.add_argument(
        "--channels",
        type=channel_list,
        metavar="0,2",
        help="channels to learn from, each an input of its own (default: all)",
    )
    channels.add_argument(
        "--sum-channels", type=channel_list, metavar="0,2",
        help="channels to add up, after each was brought to the same brightness, into one input",
    )  # fmt: skip
    parser.add_argument(
        "--cuboid", type=box, default="auto", metavar="auto|BOX",
        help="where every nucleus is annotated, as t0:t1,z0:z1,y0:y1,x0:x1 in voxels (default: auto, found by itself)",
    )  # fmt: skip
    parser.add_argument(
        "--sparse", action="store_true",
        help="only some of the nuclei were marked: what lies elsewhere counts as unknown, not as background",
    )  # fmt: skip
    parser.add_argument(
        "--use", choices=("auto", "train", "validation"), default="auto",
        help="validation: networks are validated on this store and never learn from it; train: they learn from all of it, as "
        "long as there is something else to validate on (default: auto, whichever suits)",
    )  # fmt: skip
    parser.add_argument(
        "--classes", action="store_true",
        help="the labels are classes of voxels, not objects (default: as they look); 0 is a class too, unless --sparse",
    )  # fmt: skip
    parser.add_argument("--diameter-um", type=diameter, metavar="D", help="nucleus diameter in µm (default: measured)")
    parser.add_argument(
        "--context", type=frame_count, default=0, metavar="N",
        help="frames to keep before and after each cuboid, for networks that look at neighbouring frames (default: 0)",
    )  # fmt: skip
    parser.add_argument("--overwrite", action="store_true", help="replace a store that is already there")
    add_reading(parser)


def run_build(options: argparse.Namespace) -> int:
    from anlage.axes import Box
    from anlage.dataset.build import build_store
    from anlage.io import open_annotations
    from anlage.io.nuclei_files.geff_graphs import find_graph, time_reading

    if Path(options.output).exists() and not options.overwrite:
        raise AnlageError(f"{options.output} is there already; choose another name, or replace it with --overwrite.")
    options.written = Written([Path(options.output)])
    if options.image == WITHOUT:
        return _build_points(options)
    image = scaled_by(open_with_options(options.image, options), options.annotations, options)
    require_spacing(image, options.image)
    labels = _classes(options, image)
    if labels is not None:
        return _build_classes(options, image, labels)
    annotations = open_annotations(options.annotations, image=image, spacing=image.spacing)
    if not len(annotations):
        raise AnlageError(
            f"{options.annotations} holds no nuclei; mark some first, or check that it is the right file."
        )
    print_annotations(annotations)
    if annotations.labels is not None and len(set(annotations.label.tolist())) < _FEW_VALUES:
        print("Each value of the labels is taken for one object; if they are classes of voxels, say --classes.")
    graph = find_graph(Path(options.annotations))
    note = time_reading(graph) if graph is not None and image.interval_s is None else None
    if note:
        print(note)
    cuboid = options.cuboid
    if cuboid == "auto" and not options.sparse:
        from anlage.cuboid import detect_cuboid

        cuboid = detect_cuboid(annotations, image, spacing=image.spacing)
        print_cuboids(cuboid)
    with counting("writing the store") as progress:
        store = build_store(
            options.output, image, annotations, channels=options.channels or options.sum_channels,
            combine="sum" if options.sum_channels else "separate", cuboid=cuboid, sparse=options.sparse, use=options.use,
            diameter_um=options.diameter_um, context_frames=options.context, annotations_source=options.annotations,
            overwrite=options.overwrite, progress=progress,
        )  # fmt: skip
    print(store.summary())
    if not isinstance(cuboid, (str, Box)) and any(one.doubts for one in cuboid):
        print("If this is not what you annotated, say it with --cuboid t0:t1,z0:z1,y0:y1,x0:x1, or use --sparse.")
    others = ["OTHER.zarr"] if options.use == "validation" else []
    print(f"Next: {command('train', 'nuclei', *others, Path(options.output), '-o', 'run')}")
    return 0


def _classes(options: argparse.Namespace, image: TimeLapse) -> TimeLapse | None:
    """The labels, where they are classes: as was said, or as the first painted frame looks."""
    from anlage.dataset.classes import show_classes
    from anlage.io.label_images import open_labels
    from anlage.io.nuclei_files.nuclei import are_label_images

    if not are_label_images(options.annotations):
        if options.classes:
            raise AnlageError(f"--classes needs label images, and {options.annotations} is none; leave it out.")
        return None
    labels = open_labels(Path(options.annotations), image=image, spacing=image.spacing)
    if not options.classes and not show_classes(labels):
        return None
    for doubt in labels.notes:
        print(f"Doubtful: {doubt}")
    if note := other_voxels(open_labels(Path(options.annotations), axes=labels.axes), image):
        print(note)
    return labels


def _build_classes(options: argparse.Namespace, image: TimeLapse, labels: TimeLapse) -> int:
    """A store of painted classes."""
    from anlage.axes import Box
    from anlage.dataset.build import build_store
    from anlage.dataset.classes import class_sites, class_values

    values = class_values(labels)
    sites = class_sites(labels, values)
    background = "0 is unknown" if options.sparse else "0 is a class too: what was not painted there is background"
    print(f"The labels are taken for classes ({', '.join(map(str, values))}); {background}.")
    cuboid = Box.whole(image.shape_tzyx) if options.cuboid == "auto" else options.cuboid
    with counting("writing the store") as progress:
        store = build_store(
            options.output, image, sites, channels=options.channels or options.sum_channels,
            combine="sum" if options.sum_channels else "separate", cuboid=cuboid, sparse=options.sparse, use=options.use,
            diameter_um=options.diameter_um or _scale_um(image), context_frames=options.context, classes=values,
            annotations_source=options.annotations, overwrite=options.overwrite, progress=progress,
        )  # fmt: skip
    print(store.summary())
    others = ["OTHER.zarr"] if options.use == "validation" else []
    print(f"Next: {command('train', 'nuclei', *others, Path(options.output), '-o', 'run', '--set', 'head=classes')}")
    return 0


def _scale_um(image: TimeLapse) -> float:
    """What stands for the nucleus diameter, in µm, where classes are painted: so large that no voxel is resampled."""
    from anlage.dataset.classes import VOXELS

    assert image.spacing is not None  # noqa: S101  (it was asked for)
    return VOXELS * image.spacing.x


def _build_points(options: argparse.Namespace) -> int:
    """A store from tracks alone."""
    from anlage.dataset.points import build_points
    from anlage.io import open_annotations

    spacing, interval_s = scale_of(options.annotations, options)
    if spacing is None:
        raise AnlageError(
            f"Without an image the voxel size is known from nowhere, also not from '{options.annotations}'; give it in µm as "
            f"--spacing Z,Y,X, or 1,1,1 if the positions are in µm {SPACING_SOURCES}."
        )
    if options.channels or options.sum_channels or options.cuboid != "auto" or options.context:
        raise AnlageError(
            "--channels, --sum-channels, --cuboid and --context need an image; without one, leave them out."
        )
    tracks = open_annotations(options.annotations, spacing=spacing, interval_s=interval_s)
    print_annotations(tracks)
    store = build_points(
        options.output, tracks, spacing, interval_s=interval_s, sparse=options.sparse, use=options.use,
        diameter_um=options.diameter_um, tracks_source=options.annotations, overwrite=options.overwrite,
    )  # fmt: skip
    print(store.summary())
    others = ["OTHER.zarr"] if options.use == "validation" else []
    print(f"Next: {command('train', 'links', *others, Path(options.output), '-o', 'run')}")
    return 0


def frame_count(text: str) -> int:
    """A whole number of frames, 0 or more."""
    if not text.strip().isdecimal():
        raise AnlageError(f"'{text}' is no number of frames; give a whole number such as 0, 1 or 2.")
    return int(text)


def require_spacing(image: TimeLapse, path: str) -> None:
    """Refuse an image whose voxel size nobody knows."""
    if image.spacing is None:
        raise AnlageError(
            f"The voxel size of {path} is known from nowhere; give it in µm as --spacing Z,Y,X, for example --spacing 2,0.5,0.5 "
            f"{SPACING_SOURCES}."
        )
