"""``anlage convert``: convert tracks, nuclei and labels from one file format to another."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anlage.cli.arguments import Parser, add_reading, check_free, open_with_options, writer
from anlage.cli.scale import open_scaled
from anlage.cli.written import Written

if TYPE_CHECKING:
    from anlage.annotations import Annotations
    from anlage.axes import Spacing
    from anlage.io.seals import Writer

__all__: list[str] = []

_LABELS = (".tif", ".tiff", ".zarr")
"""Suffixes of label images."""
_TEXT = "text columns"


def configure_convert(parser: Parser) -> None:
    parser.explain(
        "Reads nuclei and links in any format and writes them in the one that the name of OUT says: .csv, .geff, .xml\n"
        "(TrackMate), .aut (OrganoidTracker), .tif or .zarr (labels: the number of its track in each nucleus), or .ctc or no suffix for a folder of\n"
        "the Cell Tracking Challenge. What the format cannot keep is said.",
        "anlage convert tracks.geff 01_RES --image movie.ome.zarr",
        "anlage convert 01_GT truth.geff --spacing 1,0.09,0.09",
        "anlage convert tracks.aut tracks.xml",
    )
    parser.add_argument("input", metavar="IN", help="CSV, GEFF, TrackMate XML, .aut, CTC folder or label images")
    parser.add_argument("output", metavar="OUT", help="what to write; its name says the format")
    parser.add_overwrite()
    parser.add_argument(
        "--image", metavar="IMAGE", help="the image that it belongs to: its shape, voxel size and time step"
    )
    parser.add_argument(
        "--format", choices=["csv", "geff", "xml", "aut", "ctc", "tif", "zarr"], metavar="NAME",
        help="format of OUT where its name does not say it: csv, geff, xml, aut, ctc, tif or zarr",
    )  # fmt: skip
    add_reading(parser, "a file")


def run_convert(options: argparse.Namespace) -> int:
    from anlage.io import write_annotations
    from anlage.io.atomic import check_apart
    from anlage.io.nuclei_files.nuclei import graph_output

    output = _output(options)
    suffix = output.suffix.lower() if output.suffix.lower() in _LABELS else graph_output(output)
    for source in filter(None, (options.input, options.image)):
        check_apart(output, source)
    options.written = Written([output])
    check_free(output, options, "labels" if suffix in _LABELS else "nuclei")
    image = None
    if options.image is not None:
        image = open_with_options(options.image, options)
    nuclei, spacing, interval_s = open_scaled(options.input, options, image)
    shape = None if image is None else image.shape_tzyx
    if suffix in _LABELS:
        _write_labels(output, nuclei, (spacing, interval_s), shape, writer(options))
    else:
        write_annotations(output, nuclei, spacing=spacing, interval_s=interval_s, shape_tzyx=shape, by=writer(options))
    print(f"{len(nuclei)} nuclei and {len(nuclei.links)} links, written to {output}.")
    lost = _lost(nuclei, suffix, spacing, has_image=image is not None)
    if suffix == ".aut" and spacing is None and interval_s is not None:
        lost.append(f"Nor is the time step of {interval_s:g} s, which stands with it in an .aut.")
    for sentence in (*nuclei.notes, *lost):
        print(sentence)
    return 0


def _output(options: argparse.Namespace) -> Path:
    """The path to write to, with the suffix of the format where that was said and the name has another."""
    output = Path(options.output)
    wanted = f".{options.format}" if options.format else None
    if wanted is None or output.suffix.lower() == wanted or (wanted == ".ctc" and not output.suffix):
        return output
    return output.with_name(output.name + wanted)


def _write_labels(
    output: Path, nuclei: Annotations, scale: tuple[Spacing | None, float | None], shape: Any, by: Writer
) -> None:
    from anlage.io.image_writing import write_image, write_tiff
    from anlage.io.nuclei_files.ctc import ctc_labels

    spacing, interval_s = scale
    drawn = ctc_labels(nuclei, spacing=spacing, shape_tzyx=shape)
    about: dict[str, Any] = {"spacing": spacing, "interval_s": interval_s, "axes": "tzyx", "by": by}
    if output.suffix.lower() == ".zarr":
        write_image(output, drawn.frames, kind="labels", record=drawn.record, **about)
    else:
        write_tiff(output, drawn.frames, n_frames=drawn.n_frames, record=drawn.record, **about)


def _lost(nuclei: Annotations, suffix: str, spacing: Spacing | None, *, has_image: bool) -> list[str]:
    """What the format does not keep of these nuclei, each as a sentence."""
    import numpy as np

    from anlage.annotations import State

    has_text = any(c.dtype.kind in "US" for c in nuclei.properties.values())
    links = sorted(set(nuclei.link_properties) - {"probability"})
    masks = suffix in (*_LABELS, ".ctc")
    lost = []
    if nuclei.labels is not None and not masks:
        lost.append("The painted labels are not kept, only their centres and radii.")
    if suffix == ".csv":
        lost += [f"A CSV does not keep the links' {', '.join(links)}."] if links else []
    elif suffix == ".xml":
        lost += [f"TrackMate's XML does not keep {_TEXT}."] if has_text else []
        unknown = int((~np.isfinite(nuclei.radius_um)).sum())
        lost += (
            [f"{unknown} nuclei without a radius were given one of 3.5 µm, marked as assumed (anlage_radius_assumed)."]
            if unknown and spacing
            else []
        )
        lost += [] if spacing else ["The voxel size is unknown, so positions are in pixels; say --spacing for µm."]
    elif suffix == ".aut":
        lost += [] if spacing else ["The voxel size is unknown and so not written; OrganoidTracker will ask for it."]
    elif masks:
        drawn = len(nuclei) if nuclei.labels is None else int((nuclei.label == 0).sum())
        rejected = int((nuclei.state == State.REJECTED).sum())
        lost.append(
            "Masks keep tracks and their parents, and who found them; ids, probabilities and other columns are not kept."
        )
        lost += [f"{drawn} nuclei without a painted label are drawn as balls of their radius."] if drawn else []
        unknown = int((~np.isfinite(nuclei.radius_um) & ((nuclei.label == 0) | (nuclei.labels is None))).sum())
        usual = "the median of the others" if np.isfinite(nuclei.radius_um).any() else "3.5 µm"
        lost += (
            [
                f"The radius of {unknown} nuclei is unknown; {usual} was assumed, and stays unknown when they are read again."
            ]
            if unknown and spacing
            else []
        )
        lost += [f"{rejected} rejected nuclei are left out."] if rejected else []
        if drawn and not has_image and nuclei.labels is None:
            lost.append("The size of the image is unknown, so the masks just hold all nuclei; say --image IMAGE.")
        lost += (
            []
            if spacing
            else ["The voxel size is unknown, so radii are 4 voxels; say --spacing Z,Y,X."]
            if drawn
            else []
        )
    return lost
