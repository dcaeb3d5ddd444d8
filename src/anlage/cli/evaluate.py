"""``anlage evaluate``: score a result against the truth."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from anlage.cli.arguments import Parser, add_reading, micrometres, print_reading, writer
from anlage.errors import AnlageError

if TYPE_CHECKING:
    from anlage.axes import Spacing
    from anlage.evaluation import Report

__all__: list[str] = []

_EVENT_RADIUS_UM = 5.0
"""Greatest distance of two events that are the same: a nucleus is moved by its own division."""


def configure_evaluate(parser: Parser) -> None:
    parser.explain(
        "Pairs the nuclei of both one-to-one within a radius and counts what was found, missed and wrong. Only frames\n"
        "that hold truth are scored. Of label images on both sides the outlines are scored, too: AP at IoU 0.5, 0.75 and\n"
        "the mean of 0.5 to 0.9 (tp / (tp + fp + fn)), panoptic quality, SEG and Dice; of classes Dice of each. Where\n"
        "both have links, tracks and divisions are scored as well: DET, TRA, LNK, CT and BC of the Cell Tracking Challenge.",
        "anlage evaluate found.csv truth.csv --spacing 2,0.5,0.5",
        "anlage evaluate found.csv labels.tif --spacing 2,0.5,0.5 --radius-um 4 --json",
        "anlage evaluate events.csv scored.csv --interval 300",
        "anlage evaluate events.csv known.csv --by-place --spacing 2,0.5,0.5",
        "anlage evaluate outlines.tif labels.tif --pictures worst.png --image movie.tif",
        "anlage evaluate tracks.geff truth.geff --expected-nuclei 30000",
    )
    parser.add_argument("result", metavar="RESULT", help="what was found: CSV, GEFF, CTC folder or label images")
    parser.add_argument("truth", metavar="TRUTH", help="what is there, in the same voxels and any of these formats")
    parser.add_argument(
        "--radius-um",
        type=micrometres,
        metavar="R",
        help="greatest distance of a pair in µm (default: 5, half a nucleus)",
    )
    parser.add_argument(
        "--expected-nuclei", type=int, metavar="N",
        help="about how many nuclei the movie holds in all frames together, if only some were followed in the truth",
    )  # fmt: skip
    parser.add_argument(
        "--ignore-smaller-than", type=int, metavar="N",
        help="nuclei whose label in the truth has fewer voxels than this are neither wanted nor wrong",
    )  # fmt: skip
    parser.add_argument(
        "--kind", choices=["auto", "instances", "classes"], default="auto",
        help="what the values of label images are: objects, classes of voxels, or as they look (default: auto)",
    )  # fmt: skip
    parser.add_argument(
        "--by-place", action="store_true",
        help="pair events by their place (columns z,y,x; --radius-um) and time (one frame), whatever their tracks are called",
    )  # fmt: skip
    parser.add_output(
        "--pictures", type=Path, metavar="OUT.png", kind="picture",
        help="of label images: also draw the objects that were outlined worst, each with its overlap and its place",
    )  # fmt: skip
    parser.add_argument(
        "--image", metavar="IMAGE", help="what was labelled, to be seen under the outlines of --pictures"
    )
    parser.add_argument("--json", action="store_true", help="print everything as JSON, for other programs")
    add_reading(parser, "a file")


def run_evaluate(options: argparse.Namespace) -> int:
    from anlage.io.signal_files.event_tables import is_event_table, is_window_table

    if is_event_table(options.result) or is_window_table(options.result):
        return _events(options)
    from anlage.evaluation import evaluate

    _print_label_notes(options)
    report = evaluate(
        options.result, options.truth, spacing=options.spacing, radius_um=options.radius_um,
        ignore_smaller_than=options.ignore_smaller_than, expected_nuclei=options.expected_nuclei,
        kind=options.kind, axes=options.axes, interval_s=options.interval,
    )  # fmt: skip
    print(report.model_dump_json(indent=2) if options.json else report.to_text())
    if options.pictures is not None:
        _draw_worst(options, report)
    return 0


def _print_label_notes(options: argparse.Namespace) -> None:
    """Say on stderr, where JSON is not disturbed, what is doubtful about label images."""
    from anlage.io import open_label_image
    from anlage.io.nuclei_files.nuclei import are_label_images

    for path in (options.result, options.truth):
        if Path(path).exists() and are_label_images(path):
            for note in open_label_image(path, axes=options.axes, spacing=options.spacing).notes:
                print(f"Doubtful: {note}", file=sys.stderr)


def _draw_worst(options: argparse.Namespace, report: Report) -> None:
    from anlage.axes import Spacing
    from anlage.evaluation import worst_picture
    from anlage.io import open_annotations, open_image
    from anlage.pictures.results import draw_worst

    if not report.worst:
        raise AnlageError(
            "There is nothing to picture: outlines are compared where result and truth are label images of objects."
        )
    spacing = None if report.spacing_um_zyx is None else Spacing(*report.spacing_um_zyx)
    found, truth = (
        open_annotations(path, axes=options.axes, spacing=spacing).labels for path in (options.result, options.truth)
    )
    image = None if options.image is None else open_image(options.image)
    if image is not None:
        print_reading(image, out=sys.stderr)
    if found is None or truth is None:
        raise AnlageError("There is nothing to picture: result and truth must be label images.")
    if image is not None and image.shape_tzyx != truth.shape_tzyx:
        raise AnlageError(
            f"The image '{options.image}' has the shape (t, z, y, x) {image.shape_tzyx}, and the labels have "
            f"{truth.shape_tzyx}: give the image that was labelled."
        )
    pictures = [(one, worst_picture(one, truth, found, image)) for one in report.worst]
    draw_worst(options.pictures, pictures, writer(options))


def _events(options: argparse.Namespace) -> int:
    """Events against true ones: a table of events, or the signals on which a human scored them."""
    from anlage.evaluation.event_places import evaluate_placed_events
    from anlage.evaluation.events import evaluate_events, evaluate_windows
    from anlage.io.signal_files.event_tables import is_event_table, is_window_table, read_events, read_window_table
    from anlage.io.signal_files.signals import open_signals
    from anlage.signals.events import Events

    if is_window_table(options.result):
        table = read_window_table(options.result)
        report = evaluate_windows(table.probability, open_signals(options.truth).scores, holds=table.holds)
        print(report.model_dump_json(indent=2) if options.json else report.to_text())
        return 0
    predicted = read_events(options.result)
    is_table = is_event_table(options.truth)
    truth = read_events(options.truth) if is_table else Events.of_signals(open_signals(options.truth))
    if options.interval is not None:
        predicted, truth = (dataclasses.replace(e, interval_s=options.interval) for e in (predicted, truth))
    if options.by_place:
        spacing = options.spacing or _table_spacing(options.result) or _table_spacing(options.truth)
        if spacing is None:
            raise AnlageError(
                "The voxel size is unknown, so no distance can be given in µm; give it as --spacing Z,Y,X."
            )
        report = evaluate_placed_events(predicted, truth, spacing, radius_um=options.radius_um or _EVENT_RADIUS_UM)
    else:
        report = evaluate_events(predicted, truth)
    print(report.model_dump_json(indent=2) if options.json else report.to_text())
    return 0


def _table_spacing(path: str) -> Spacing | None:
    """Voxel size in µm that a table of events or signals carries."""
    from anlage.io.scale_columns import TABLES, table_scale

    return table_scale(path)[0] if Path(path).suffix.lower() in TABLES else None
