"""``anlage info``: describe a store, run, model, project, image, table or label image; ``anlage models``: list models."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from anlage.axes import Box
from anlage.cli.arguments import Parser, add_reading, open_with_options, print_reading
from anlage.cli.describe import other_voxels, print_annotations, verdict_lines
from anlage.cli.info_signals import print_events, print_held_out, print_held_out_file, print_signal_sets, print_signals
from anlage.cli.progress_bar import counting
from anlage.cli.scale import open_scaled
from anlage.cli.train import model_of
from anlage.errors import AnlageError
from anlage.io import open_image
from anlage.io.kinds import IMAGES, FileKind, kind_of
from anlage.io.label_images import kind_of_labels, open_label_image
from anlage.io.mask_records import mask_record
from anlage.io.signal_files.event_tables import read_window_table
from anlage.labels import is_painted_plane
from anlage.objects.label_faults import find_faults
from anlage.shell import command
from anlage.timelapse import TimeLapse
from anlage.wording import plural

if TYPE_CHECKING:
    from anlage.project.models import Choice

__all__ = []

_MOST_FAULTS = 10
"""Of each kind so many are printed."""
_PLANES = 16
"""Number of planes that are examined to decide whether an image is painted labels."""
_MOST_PIXELS = 2**26
"""A larger plane is not read only to decide whether it is painted."""


def configure_info(parser: Parser) -> None:
    parser.explain(
        "Recognises projects, stores, runs, models, tables of nuclei, signals, events, images and label images, and says\n"
        "what is in them; of a run of events also how the held-out examples were predicted, and the worst of them; of labels also what\n"
        "looks wrong, and where: pieces, crumbs, objects cut in two, empty planes, classes.",
        "anlage info run",
        "anlage info labels.tif --of image.tif",
    )
    parser.add_argument(
        "path",
        metavar="PATH",
        help="a project, store, run, model (also `starter` or a Keras network), image, labels, CSV, GEFF, XML, .aut, CTC folder, signals "
        "or a folder of them, events",
    )
    parser.add_argument(
        "--of", metavar="IMAGE", help="PATH holds the labels of this image: also look whether the two fit together"
    )
    add_reading(parser)


def configure_models(parser: Parser) -> None:
    parser.explain(
        "Lists models: those that come with the program, those in your own model folder (~/anlage/models, or where ANLAGE_MODELS says), "
        "and\nthose in the places that are named. The napari plugin offers your model folder's in every project: copy there what you want to "
        "have\nat hand. `anlage info MODEL` prints a model's card.",
        "anlage models",
        "anlage models /lab/models lab.txt",
    )
    parser.add_argument(
        "places", metavar="PLACE", nargs="*",
        help="more models: a folder of them, a model file, or a text file (.txt) with one of these in each line",
    )  # fmt: skip


def run_models(options: argparse.Namespace) -> int:
    from anlage.project.catalogue import listed_models, model_folder, models_in
    from anlage.project.models import Choice, starters

    print("With the program")
    for one in (*starters(flat=False), *(replace(flat, name=f"{flat.name}-2d") for flat in starters(flat=True))):
        _list_model(one, one.name)
    shelf = model_folder()
    found = models_in(shelf)
    print(f"\nYour model folder, {shelf}{'' if found else ': empty'}")
    for path in found:
        _list_model(Choice.of(path, name=path.stem), str(path))
    named = listed_models(map(Path, options.places))
    if options.places:
        print(f"\nIn {', '.join(options.places)}{'' if named else ': none'}")
    for path in named:
        _list_model(Choice.of(path, name=path.stem), str(path))
    return 0


def _list_model(one: Choice, argument: str) -> None:
    """What it does and how good it is, and how it is used."""
    from anlage.tasks import TASKS, kind_of_model

    if one.card is None:
        print(f"  {one.name}: {one.problem}")
        return
    card = one.card
    kind = kind_of_model(card.task, card.head)
    print(f"  {one.name} ({kind.title.lower()}; {', '.join(card.channels)})")
    if card.verdict.score:
        print(f"    {card.verdict.score}, on {card.evidence.held_out}")
    if not card.verdict.is_good:
        print(f"    {card.verdict.headline}")
    use = TASKS[card.task].use.format(model=argument)
    print(f"    Use: {use.replace('found.csv', 'labels.tif') if one.paints else use}")
    print(f"    Train from: {command('train', card.task, 'STORE', '-o', 'RUN', '--from', argument)}")
    print(f"    Card: {command('info', argument)}")


def run_info(options: argparse.Namespace) -> int:
    path = Path(options.path)
    if not path.exists():
        if _named(options.path):
            return 0
        raise AnlageError(f"There is nothing at {path}; check the path.")
    kind = kind_of(path)
    if kind is not None and kind in _PRINTERS:
        _PRINTERS[kind](path, options)
        return 0
    if kind in (None, *IMAGES):
        return _image(options)
    print(f"'{path}' is {kind.value}.")
    return 0


def _named(name: str) -> bool:
    """What comes with the program and is named like a file: says what it is, if it is one of these."""
    from anlage.inference import CLASSICAL, STARTERS
    from anlage.model import read_card

    if name == CLASSICAL:
        print("The classical detector: bright blobs of one size, without a network and without training.")
    elif name in STARTERS:
        print(read_card(model_of(name)).to_markdown())
    return name in (CLASSICAL, *STARTERS)


def _model(path: Path, options: argparse.Namespace) -> None:
    from anlage.model import read_card

    print(read_card(path).to_markdown())


def _keras(path: Path, options: argparse.Namespace) -> None:
    from anlage.inference.keras_model import open_keras

    network = open_keras(path)
    print(
        f"A Keras network of miniML: {len(network.layers)} layers that look at windows of {network.window} samples of one signal.\n"
        f"Use it: {command('predict', path, 'SIGNALS', '-o', 'events.csv')} (windows one by one, a recording all along)"
    )


def _project(path: Path, options: argparse.Namespace) -> None:
    from anlage.project import project_summary

    print(project_summary(path))


def _store(path: Path, options: argparse.Namespace) -> None:
    # its records take 30 ms to load, and `info` answers at once
    from anlage.dataset.store import Store

    store = Store.open(path)
    print(store.summary())
    if store.labels is not None:
        print_faults(TimeLapse.of(store.labels, "tzyx", source=f"{path}/labels"))


def _signals(path: Path, options: argparse.Namespace) -> None:
    print_signals(path, options.interval)


def _signal_sets(path: Path, options: argparse.Namespace) -> None:
    print_signal_sets(path)


def _events(path: Path, options: argparse.Namespace) -> None:
    print_events(path)


def _window_scores(path: Path, options: argparse.Namespace) -> None:
    table = read_window_table(path)
    print(f"Probabilities of {plural(len(table.holds), 'window')}: {int(table.holds.sum())} hold an event.")


def _held_out(path: Path, options: argparse.Namespace) -> None:
    print_held_out_file(path)


def _track_scores(path: Path, options: argparse.Namespace) -> None:
    from anlage.tracking.scores import read_track_scores

    scores = read_track_scores(path)
    print(
        f"What a tracking knew: {len(scores.positions)} nuclei, {len(scores.problem.pairs)} candidates for links; voxels of "
        f"{scores.spacing}. A review decides by it."
    )


def _image(options: argparse.Namespace) -> int:
    found = open_with_options(options.path, options)
    image = None
    if options.of is not None:
        image = open_image(options.of)
        print_reading(image)
    if image is not None or kind_of_labels(Path(options.path)) in ("labels", "classes") or _is_painted(found):
        if image is not None and (note := other_voxels(found, image)):
            print(note)
        print_faults(open_label_image(options.path, axes=options.axes, spacing=options.spacing), image)
        _print_record(Path(options.path))
    return 0


def _print_record(path: Path) -> None:
    """Who found the nuclei of masks of ours, of which size, and how many tracks hold one whose radius is not known."""
    record = mask_record(path)
    if record is None:
        return
    print(f"Marked or found by: {', '.join(record.origins)}.")
    if record.diameter_um is not None:
        print(f"Nucleus diameter: {record.diameter_um:.3g} µm.")
    if drawn := {track[0] for track in record.tracks if track[4]}:
        print(f"Drawn with an assumed radius, in some or all frames: {len(drawn)} tracks.")


def _is_painted(image: TimeLapse) -> bool:
    """By the first of some planes that holds anything."""
    _, n, y, x = image.shape_tzyx
    if image.n_channels > 1 or y * x > _MOST_PIXELS:
        return False
    for z in sorted(range(n), key=lambda z: abs(z - n // 2))[:: max(1, n // _PLANES)]:
        plane = image.read(Box((0, 1), (z, z + 1), (0, y), (0, x)))[0, 0, 0]
        if plane.any():
            return is_painted_plane(plane)
    return False


def print_faults(labels: TimeLapse, image: TimeLapse | None = None) -> None:
    """Print what is painted, and what looks wrong with its place."""
    with counting("looking through the labels") as progress:
        report = find_faults(labels, image, on_progress=progress)
    print(f"Painted: {report}.")
    if not report.faults:
        print("Nothing looks wrong.")
    for kind, n in report.counts.items():
        shown = [fault for fault in report.faults if fault.kind == kind]
        for fault in shown[:_MOST_FAULTS]:
            place = "" if fault.position is None else " (at t {}, z {}, y {}, x {})".format(*fault.position)
            print(f"  {fault.text}{place}")
        if n > _MOST_FAULTS:
            print(f"  … and {n - _MOST_FAULTS} more like the last.")


def _annotations(path: Path, options: argparse.Namespace) -> None:
    annotations, spacing, interval_s = open_scaled(str(path), options)
    print_annotations(annotations)
    step = "time step unknown" if interval_s is None else f"a frame every {interval_s:g} s"
    print(f"{'Voxel size unknown' if spacing is None else f'Voxels of {spacing}'}; {step}.")
    known = annotations.radius_um[np.isfinite(annotations.radius_um)]
    print(f"Radius: median {np.median(known):.2f} µm of {len(known)} nuclei." if len(known) else "No radius is known.")
    origins = sorted({str(origin) for origin in annotations.origin})
    print(f"Marked or found by: {', '.join(origins)}.")


def _run(path: Path, options: argparse.Namespace) -> None:
    # the records of runs take 0.2 s to load, and `info` answers at once
    from anlage.cli.training_output import describe, noun_of_run
    from anlage.training.progress import Finished, Stopped, Validated
    from anlage.training.run import Run

    run = Run.open(path)
    state = run.state
    print(f"Run {run.name}: training {run.config.task}, {state}; begun {run.config.created}.")
    for store in run.config.stores:
        print(f"  on {store.path}")
    if settings := run.summary().settings:
        print(f"  with {', '.join(f'{name}={value}' for name, value in settings.items())}")
    events, _ = run.events()
    validated = [event for event in events if isinstance(event, Validated)]
    ends = [event for event in events if isinstance(event, Finished | Stopped)]
    for event in [*(e for e in validated[-1:] if not ends), *ends[-1:]]:
        print(f"  {describe(event, noun_of_run(run))}")
    if (failure := run.failure) is not None:
        print(f"  Why it broke off: {failure.sentence}")
    print_held_out(path)
    if run.model_path is not None:
        print(verdict_lines(run.model_path))
    print(
        f"Model: {run.model_path}" if run.model_path else f"No model yet; go on with `{command('resume', Path(path))}`."
    )


_PRINTERS: dict[FileKind, Callable[[Path, argparse.Namespace], None]] = {
    FileKind.MODEL: _model, FileKind.KERAS: _keras, FileKind.RUN: _run, FileKind.PROJECT: _project, FileKind.STORE: _store, FileKind.TABLE: _annotations,
    FileKind.GRAPH: _annotations, FileKind.TRACKMATE: _annotations, FileKind.AUT: _annotations, FileKind.CTC: _annotations, FileKind.SIGNALS: _signals,
    FileKind.WINDOWS: _signals, FileKind.TRACE: _signals, FileKind.SIGNAL_SETS: _signal_sets, FileKind.EVENTS: _events,
    FileKind.WINDOW_SCORES: _window_scores, FileKind.HELD_OUT: _held_out, FileKind.TRACK_SCORES: _track_scores,
}  # fmt: skip
"""What is said of each kind; images are looked at."""
