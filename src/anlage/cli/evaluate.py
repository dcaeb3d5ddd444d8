"""``evaluate``: a result against the truth."""

from __future__ import annotations

import argparse

from anlage.cli.arguments import Parser, add_reading, positive

__all__: list[str] = []


def configure_evaluate(parser: Parser) -> None:
    parser.explain(
        "Pairs the nuclei of both one-to-one within a radius and counts what was found, missed and wrong. Only frames\n"
        "that hold truth are scored. Of label images on both sides the outlines are scored, too: AP at IoU 0.5, 0.75 and\n"
        "the mean of 0.5 to 0.9 (tp / (tp + fp + fn)), panoptic quality, SEG and Dice; of classes Dice of each. Where\n"
        "both have links, tracks and divisions are scored as well: DET, TRA, LNK, CT and BC of the Cell Tracking Challenge.",
        "anlage evaluate found.csv truth.csv --spacing 2,0.5,0.5",
        "anlage evaluate found.csv labels.tif --spacing 2,0.5,0.5 --radius-um 4 --json",
        "anlage evaluate tracks.geff truth.geff --expected-nuclei 30000",
    )
    parser.add_argument("result", metavar="RESULT", help="what was found: CSV, GEFF, CTC folder or label images")
    parser.add_argument("truth", metavar="TRUTH", help="what is there, in the same voxels and any of these formats")
    parser.add_argument(
        "--radius-um", type=positive, metavar="R", help="greatest distance of a pair in µm (default: 5, half a nucleus)"
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
    parser.add_argument("--json", action="store_true", help="print everything as JSON, for other programs")
    add_reading(parser, "a file")


def run_evaluate(options: argparse.Namespace) -> int:
    from anlage.evaluation import evaluate

    report = evaluate(
        options.result, options.truth, spacing=options.spacing, radius_um=options.radius_um,
        ignore_smaller_than=options.ignore_smaller_than, expected_nuclei=options.expected_nuclei,
        kind=options.kind, axes=options.axes, interval_s=options.interval,
    )  # fmt: skip
    print(report.model_dump_json(indent=2) if options.json else report.to_text())
    return 0
