"""``anlage measure``: size, shape and brightness of every object of a label image."""

from __future__ import annotations

import argparse
from pathlib import Path

from anlage.cli.arguments import Parser, add_reading, channel_list, print_reading, writer
from anlage.cli.progress_bar import counting
from anlage.errors import AnlageError

__all__: list[str] = []


def configure_measure(parser: Parser) -> None:
    parser.explain(
        "Writes one row for each object and frame: volume in µm³ (2D: area in µm²), surface, equivalent diameter, axes,\n"
        "sphericity, place in voxels and µm, bounding box, and the brightness of each channel. Background is no object.",
        "anlage measure labels.tif --image movie.ome.zarr -o objects.csv",
        "anlage measure labels.zarr --spacing 1.75,0.8,0.8 -o objects.csv",
    )
    parser.add_argument("labels", metavar="LABELS", help="label images: TIFF, zarr or a folder of TIFFs")
    parser.add_argument("--image", metavar="IMAGE", help="the image whose brightness is measured in the objects")
    parser.add_output("-o", "--output", required=True, metavar="TABLE.csv", kind="objects", help="the table to write")
    parser.add_argument("--channels", type=channel_list, metavar="0,2", help="channels to measure (default: all)")
    parser.add_argument(
        "--no-surface", action="store_true", help="leave out surface and sphericity, which take most of the time"
    )
    add_reading(parser, "a file")


def run_measure(options: argparse.Namespace) -> int:
    from anlage.io import open_image, open_label_image
    from anlage.io.measurements import write_objects
    from anlage.objects.measure import measure_objects

    if Path(options.output).suffix.lower() != ".csv":
        raise AnlageError(f"A table of objects cannot be written as '{options.output}'; end the name in .csv.")
    image = None
    if options.image is not None:
        image = open_image(options.image, axes=options.axes, spacing=options.spacing, interval_s=options.interval)
        print_reading(image)
    labels = open_label_image(
        options.labels, image=image, axes=options.axes, spacing=options.spacing, interval_s=options.interval
    )
    print_reading(labels, is_labels=True)
    with counting("measuring", "object") as progress:
        table = measure_objects(
            labels, image, channels=options.channels, surfaces=not options.no_surface, on_progress=progress
        )
    write_objects(options.output, table, writer(options))
    cut = int(table.columns["cut_by_border"].sum())
    print(
        f"{len(table)} objects measured, {cut} of them cut by the border of the image (column cut_by_border); "
        f"written to {options.output}"
    )
    return 0
