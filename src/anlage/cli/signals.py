"""``signals``: measure along tracks."""

from __future__ import annotations

import argparse

from anlage.cli.arguments import Parser, add_reading, positive

__all__: list[str] = []


def configure_signals(parser: Parser) -> None:
    parser.explain(
        "Measures every nucleus in every frame, in physical units: brightness of each channel inside its label, or inside the\n"
        "ball of its radius; volume and shape where there are labels; speed, neighbours and depth. One row a track and frame;\n"
        "daughters of a division begin tracks of their own.",
        "anlage signals movie.ome.zarr tracks.geff -o signals.csv",
        "anlage signals movie.tif tracks.csv -o signals.csv --spacing 2,0.5,0.5 --interval 300 --radius-um 4",
    )
    parser.add_argument("image", metavar="IMAGE", help="the movie, or `-` to measure place and movement alone")
    parser.add_argument("tracks", metavar="TRACKS", help="nuclei with links: CSV, GEFF, CTC folder or label images")
    parser.add_argument("-o", "--output", metavar="SIGNALS", required=True, help="file to write: .csv, .tsv or .npy")
    parser.add_argument(
        "--radius-um", type=positive, metavar="R", help="radius of the nuclei in µm (default: their own)"
    )
    parser.add_argument("--movie", metavar="NAME", help="name of the movie in the table (default: the image's)")
    add_reading(parser)


def run_signals(options: argparse.Namespace) -> int:
    from pathlib import Path

    from anlage.cli.arguments import open_as_told
    from anlage.cli.bars import counting
    from anlage.errors import AnlageError
    from anlage.io import open_annotations
    from anlage.io.atomic import check_apart, check_replaceable
    from anlage.io.signals import is_signals, write_signals
    from anlage.track_signals import measure_signals

    output = Path(options.output)
    if not is_signals(output) or output.suffix.lower() in (".h5", ".hdf5"):
        raise AnlageError(f"'{output}' cannot hold signals of tracks; choose a name that ends in .csv, .tsv or .npy.")
    image = None if options.image == "-" else open_as_told(options.image, options)
    if image is not None:
        check_apart(output, options.image)
    check_replaceable(output, None)
    nuclei = open_annotations(options.tracks, image=image, spacing=options.spacing, interval_s=options.interval)
    movie = options.movie or ("" if image is None else Path(options.image).name.split(".")[0])
    with counting("Measuring") as tell:
        signals = measure_signals(
            nuclei, image, spacing=options.spacing, interval_s=options.interval, radius_um=options.radius_um, movie=movie,
            on_progress=tell,
        )  # fmt: skip
    for note in signals.notes:
        print(note)
    write_signals(output, signals)
    print(f"{len(signals.names)} signals of {len(signals)} tracks in {signals.n_frames} frames; written to {output}.")
    return 0
