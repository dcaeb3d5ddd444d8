"""``anlage starter``: train the starter, the network that comes with the program."""

from __future__ import annotations

import argparse
import shutil
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from anlage.cli.arguments import Parser, writer
from anlage.cli.progress_bar import bar
from anlage.cli.train import model_of, train_here
from anlage.errors import AnlageError

if TYPE_CHECKING:
    from anlage.training.run import Run

__all__: list[str] = []

N_EMBRYOS = 64
SETTINGS = (
    "width=32", "steps=1600", "patience=none", "patch_um=50", "average_decay=0.99", "validate_every=400", "balance=stores",
)  # fmt: skip
"""The default network, so that a training with default settings can start from it."""
FLAT_SETTINGS = ("width=16", "steps=900", "patience=none", "batch_size=8", "balance=stores")
"""Planes are learnt soon, and so small that several fit into a step."""
OUTLINES = (
    "head=instances",
    "width=16",
    "steps=5000",
    "variation=1",
    "orientation=any",
    "patience=none",
    "validate_every=500",
    "balance=stores",
)
"""Of outlines, in planes and volumes. Images of many kinds are to be outlined, so that examples vary as much as those of centres do."""
_STORE = "synthetic-embryo-"
LIMITS = (
    "Anything that counts: it was trained on {seen}. It is for first proposals; correct some of them and train a network of your own, "
    "which can start from this one."
)
SYNTHETIC = "synthetic embryos only and has never seen a real image"


def configure_starter(parser: Parser) -> None:
    parser.explain(
        "Renders embryos of many kinds, trains a network on them and writes it as one model file. The result comes with "
        "the\nprogram: `anlage predict starter IMAGE -o found.csv` uses it. Every store, synthetic or real, is drawn from "
        "equally often.\nBroken off, it goes on where it was.",
        "anlage starter -o src/anlage/models/starter.anlage",
        "anlage starter --flat -o src/anlage/models/starter-2d.anlage",
        "anlage starter --outlines -o src/anlage/models/starter-outlines.anlage",
        "anlage starter -o mine.anlage --real embryo.zarr ovule.zarr --credit 'embryos of our own' --from starter",
    )
    parser.again = "The same command goes on with what is finished."
    parser.add_output("-o", "--output", metavar="OUT.anlage", required=True, kind="model", help="model file to write")
    parser.add_argument("--flat", action="store_true", help="for single planes instead of volumes")
    parser.add_argument(
        "--outlines", action="store_true", help="one that outlines nuclei, instead of finding their centres"
    )
    parser.add_argument(
        "--embryos", type=int, metavar="N", default=N_EMBRYOS, help="how many are rendered (default: %(default)s)"
    )
    parser.add_argument(
        "--real",
        nargs="+",
        action="extend",
        default=[],
        metavar="STORE.zarr",
        help="stores of real images of one channel to learn from as well; their nuclei should measure about 10 µm, as the synthetic ones "
        "do: a starter knows no size",
    )
    parser.add_argument(
        "--credit",
        metavar="TEXT",
        default="",
        help="for the card, with --real: whose images they are, and under which licence",
    )
    parser.add_argument(
        "--from", dest="start_from", metavar="MODEL", help="go on from the weights of this model (a file, or `starter`)"
    )
    parser.add_argument(
        "--limits", metavar="TEXT", default="", help="a sentence for the card: where it was found to do badly"
    )
    parser.add_argument(
        "--set", dest="settings", metavar="name=value", action="append", default=[],
        help=f"a setting of the training, as in `anlage train` (by default here {' '.join(SETTINGS)}; for planes "
        f"{' '.join(FLAT_SETTINGS)}; of outlines {' '.join(OUTLINES)})",
    )  # fmt: skip


def run_starter(options: argparse.Namespace) -> int:
    from anlage.training.run import Run

    output = Path(options.output)
    if output.suffix != ".anlage":
        raise AnlageError(f"'{output}' cannot hold a model; choose a name that ends in .anlage.")
    if options.embryos < 2:
        raise AnlageError(f"{options.embryos} embryos are too few: at least one is trained on and one is held out.")
    if options.real and not options.credit:
        raise AnlageError(
            "Real images were given without --credit: say whose they are, and under which licence, for the card."
        )
    work = output.with_name(f"{output.stem}.making")
    _check_work(work)
    made = _stores(work, options.embryos, flat=options.flat, outlines=options.outlines)
    stores = [*made, *(Path(store) for store in options.real)]
    if (work / "run" / "run.json").exists():
        run = Run.open(work / "run")
    else:
        settings = OUTLINES if options.outlines else FLAT_SETTINGS if options.flat else SETTINGS
        run = Run.create(work / "run", "nuclei", stores, [*settings, *options.settings], start_from=_start(options))
    if run.state != "finished" and (code := train_here(run)):
        return code
    _publish(run, output, options)
    shutil.rmtree(work)
    print(f"The starter is {output}.")
    return 0


def _start(options: argparse.Namespace) -> Path | None:
    """The model to go on from, if one was asked for."""
    return None if options.start_from is None else model_of(options.start_from, flat=options.flat)


def _check_work(work: Path) -> None:
    """Refuse to work in, and at the end to remove, a folder that is somebody else's."""
    there = [entry.name for entry in work.iterdir()] if work.is_dir() else [work.name] if work.exists() else []
    if any(name != "run" and not name.startswith((_STORE, ".part-", ".old-")) for name in there):
        raise AnlageError(
            f"'{work}' is where the stores and the training would be kept, but it holds something else; move it away, or "
            "choose another name for the output."
        )


def _stores(work: Path, n_embryos: int, *, flat: bool, outlines: bool) -> list[Path]:
    """A store for each embryo, annotated as a whole; those that are there already are kept.

    The first third shows embryos as a good microscope does, the others the looks that are hard.
    """
    from anlage.axes import Box
    from anlage.dataset.build import build_store
    from anlage.synthetic.looks import looks
    from anlage.synthetic.variety import variety

    n_clear = n_embryos // 3
    movies = chain(variety(n_clear, flat=flat), looks(n_embryos - n_clear, flat=flat))
    stores = [work / f"{_STORE}{number:02d}.zarr" for number in range(1, n_embryos + 1)]
    if all(store.exists() for store in stores):
        return stores
    with bar(n_embryos, "rendering", unit="embryo") as shown:
        for store, movie in zip(stores, movies, strict=True):
            box = Box.whole(movie.image.shape_tzyx)
            truth = movie.labelled_truth if outlines else movie.truth
            build_store(store, movie.image, truth, cuboid=box, annotations_source="known", overwrite=True)
            shown.update()
    return stores


def _publish(run: Run, output: Path, options: argparse.Namespace) -> None:
    """The run's model under the starter's name, with what it is not for."""
    from anlage.model import load_model, save_model

    assert run.model_path is not None  # noqa: S101 - the run is finished
    model = load_model(run.model_path)
    seen = f"synthetic embryos and some real images: {options.credit.rstrip('.')}" if options.real else SYNTHETIC
    limits = f"{LIMITS.format(seen=seen)} {options.limits}".strip()
    card = model.card.model_copy(update={"name": output.stem, "limits": limits})
    save_model(output, card, model.weights(), model.preview(), by=writer(options))
