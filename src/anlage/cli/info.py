"""``info``: what something on disk is."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from anlage.axes import Box
from anlage.cli.arguments import Parser, add_reading, open_as_told, tell_reading
from anlage.errors import AnlageError

if TYPE_CHECKING:
    from anlage.timelapse import TimeLapse

__all__ = ["other_voxels"]

_MOST_FAULTS = 10
"""Of each kind so many are printed."""
_PLANES = 16
"""Planes at which an image is looked at, to tell whether it is painted."""


def configure_info(parser: Parser) -> None:
    parser.explain(
        "Recognises projects, stores, runs, models, tables of nuclei, signals, events, images and label images, and says\n"
        "what is in them; of a run of events also how the held-out examples were told, and the worst of them; of labels also what\n"
        "looks wrong, and where: pieces, crumbs, objects cut in two, empty planes, classes.",
        "anlage info run",
        "anlage info labels.tif --of image.tif",
    )
    parser.add_argument(
        "path", metavar="PATH", help="a project, store, run, model, image, CSV, GEFF, XML, .aut or CTC folder"
    )
    parser.add_argument(
        "--of", metavar="IMAGE", help="PATH holds the labels of this image: also look whether the two fit together"
    )
    add_reading(parser)


def run_info(options: argparse.Namespace) -> int:
    path = Path(options.path)
    if not path.exists():
        raise AnlageError(f"There is nothing at {path}; check the path.")
    if path.is_file():
        return _file(path, options)
    if (path / "run.json").is_file():
        return _run(path)
    if (path / "project.json").is_file():
        from anlage.project import project_summary

        print(project_summary(path))
        return 0
    from anlage.io.atomic import root_attributes
    from anlage.io.label_images import ctc_folder

    attributes = root_attributes(path)
    if "anlage_store" in attributes:
        from anlage.dataset.store import Store

        store = Store.open(path)
        print(store.summary())
        if store.labels is not None:
            from anlage.timelapse import TimeLapse

            tell_faults(TimeLapse.of(store.labels, "tzyx", source=f"{path}/labels"))
        return 0
    if "geff" in attributes or path.suffix == ".geff" or ctc_folder(path) is not None:
        return _annotations(path, options)
    return _image(options)


def _file(path: Path, options: argparse.Namespace) -> int:
    from anlage.cli.info_signals import holds_events, holds_signals, tell_events, tell_signals
    from anlage.model import SUFFIX, read_card

    if path.suffix == SUFFIX:
        print(read_card(path).to_markdown())
    elif holds_signals(path) or holds_events(path):
        tell_signals(path, options.interval) if holds_signals(path) else tell_events(path)
    elif path.suffix.lower() in (".csv", ".xml", ".aut"):
        _annotations(path, options)
    else:
        return _image(options)
    return 0


def _image(options: argparse.Namespace) -> int:
    from anlage.io import open_image
    from anlage.io.label_images import kind_of_labels, open_label_image

    found = open_as_told(options.path, options)
    image = None
    if options.of is not None:
        image = open_image(options.of)
        tell_reading(image)
    if image is not None or kind_of_labels(Path(options.path)) in ("labels", "classes") or _look_painted(found):
        if image is not None and (note := other_voxels(found, image)):
            print(note)
        tell_faults(open_label_image(options.path, axes=options.axes, spacing=options.spacing), image)
    return 0


def _look_painted(image: TimeLapse) -> bool:
    """By the first of some planes that holds anything."""
    from anlage.labels import look_painted

    if image.n_channels > 1:
        return False
    _, n, y, x = image.shape_tzyx
    for z in sorted(range(n), key=lambda z: abs(z - n // 2))[:: max(1, n // _PLANES)]:
        plane = image.read(Box((0, 1), (z, z + 1), (0, y), (0, x)))[0, 0, 0]
        if plane.any():
            return look_painted(plane)
    return False


def other_voxels(labels: TimeLapse, image: TimeLapse) -> str | None:
    """A sentence where labels claim another voxel size than their image, whose own counts."""
    if labels.spacing is None or image.spacing is None or labels.spacing.is_like(image.spacing):
        return None
    return f"Note: the labels say voxels of {labels.spacing}, the image {image.spacing}; the image's count."


def tell_faults(labels: TimeLapse, image: TimeLapse | None = None) -> None:
    """Print what is painted, and what looks wrong with its place."""
    from anlage.cli.bars import counting
    from anlage.faults import find_faults

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


def _annotations(path: Path, options: argparse.Namespace) -> int:
    from anlage.cli.build import tell_annotations
    from anlage.io import open_annotations

    annotations = open_annotations(path, axes=options.axes, spacing=options.spacing)
    tell_annotations(annotations)
    origins = sorted({str(origin) for origin in annotations.origin})
    print(f"Marked or found by: {', '.join(origins)}.")
    return 0


def _run(path: Path) -> int:
    from anlage.cli.follow import describe
    from anlage.cli.info_signals import tell_held_out
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
        print(f"  {describe(event)}")
    if (failure := run.failure) is not None:
        print(f"  Why it broke off: {failure.sentence}")
    tell_held_out(path)
    print(f"Model: {run.model_path}" if run.model_path else f"No model yet; go on with `anlage resume {path}`.")
    return 0
