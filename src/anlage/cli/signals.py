"""``anlage signals``: measure signals along tracks."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from anlage.cli.arguments import Parser, add_reading, micrometres, open_with_options, writer
from anlage.cli.progress_bar import counting
from anlage.cli.scale import SPACING_SOURCES, open_scaled
from anlage.errors import AnlageError

if TYPE_CHECKING:
    from anlage.annotations import Annotations
    from anlage.axes import Spacing

__all__: list[str] = []

DIVISION = "division"
"""The event that tracks themselves show."""


def configure_signals(parser: Parser) -> None:
    parser.explain(
        "Measures every nucleus in every frame, in physical units: brightness of each channel inside its label, or inside the\n"
        "ball of its radius; volume and shape where there are labels; speed, neighbours and depth. One row a track and frame;\n"
        "daughters of a division begin tracks of their own.",
        "anlage signals movie.ome.zarr tracks.geff -o signals.csv",
        "anlage signals movie.ome.zarr truth.geff -o scored.csv --score division",
        "anlage signals movie.tif tracks.csv -o signals.csv --spacing 2,0.5,0.5 --interval 300 --radius-um 4",
    )
    parser.add_argument("image", metavar="IMAGE", help="the movie, or `-` to measure place and movement alone")
    parser.add_argument("tracks", metavar="TRACKS", help="nuclei with links: CSV, GEFF, CTC folder or label images")
    parser.add_output(
        "-o", "--output", metavar="SIGNALS", required=True, kind="signals", help="file to write: .csv, .tsv or .npy"
    )
    parser.add_argument(
        "--radius-um", type=micrometres, metavar="R", help="radius of the nuclei in µm (default: their own)"
    )
    parser.add_argument(
        "--score", choices=[DIVISION], metavar=DIVISION,
        help="also score what the tracks themselves say, to learn from with `anlage train events`: division (of corrected tracks: "
        "whether each ends in a division, and when)",
    )  # fmt: skip
    parser.add_argument("--movie", metavar="NAME", help="name of the movie in the table (default: the image's)")
    add_reading(parser)


def run_signals(options: argparse.Namespace) -> int:
    from anlage.io.atomic import check_apart
    from anlage.io.signal_files.signals import is_signals, write_signals
    from anlage.signals.track_signals import measure_signals, with_divisions

    output = Path(options.output)
    if not is_signals(output) or output.suffix.lower() in (".h5", ".hdf5"):
        raise AnlageError(f"'{output}' cannot hold signals of tracks; choose a name that ends in .csv, .tsv or .npy.")
    image = None if options.image == "-" else open_with_options(options.image, options)
    if image is not None:
        check_apart(output, options.image)
    check_apart(output, options.tracks)
    nuclei, spacing, interval_s = open_scaled(options.tracks, options, image)
    _require_scale(nuclei, spacing, options)
    movie = options.movie or ("" if image is None else Path(options.image).name.split(".")[0])
    with counting("Measuring") as report:
        signals = measure_signals(
            nuclei, image, spacing=spacing, interval_s=interval_s, radius_um=options.radius_um, movie=movie,
            on_progress=report,
        )  # fmt: skip
    for note in (*nuclei.notes, *signals.notes):
        print(note)
    event = options.score or ""
    if event:
        signals = with_divisions(signals, nuclei)
    write_signals(output, signals, event=event, spacing=spacing, by=writer(options))
    print(f"{len(signals.names)} signals of {len(signals)} tracks in {signals.n_frames} frames; written to {output}.")
    if event:
        print(
            f"{int((signals.scores == 0).sum())} of the tracks end in a division (class_{event} 0), the others do not (1)."
        )
    return 0


def _require_scale(nuclei: Annotations, spacing: Spacing | None, options: argparse.Namespace) -> None:
    """Refuse, before anything is computed, nuclei whose size nobody knows: a sentence says who could have said it."""
    import numpy as np

    if spacing is None:
        raise AnlageError(
            f"The voxel size is known neither from '{options.image}' nor from '{options.tracks}'; give it in µm as --spacing Z,Y,X "
            f"{SPACING_SOURCES}."
        )
    known = nuclei.labels is not None or np.isfinite(nuclei.radius_um).any() or options.radius_um is not None
    if options.image != "-" and len(nuclei) and not known:
        raise AnlageError(
            f"'{options.tracks}' says no radius of its nuclei, so it is unclear which voxels to measure; `predict` and `track` write "
            "the measured one (column radius_um), and label images have it; or give it as --radius-um R."
        )
