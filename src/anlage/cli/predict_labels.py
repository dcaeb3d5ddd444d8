"""``anlage predict`` into label images: instances or classes, tile by tile."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

import anlage
from anlage.cli.arguments import writer
from anlage.cli.sharing.shared_prediction import predict_shared
from anlage.dataset.fingerprint import hash_movie
from anlage.errors import AnlageError
from anlage.inference.frame_store import PredictionParts
from anlage.inference.label_image import MEMORY_GB, Labeller, Settings, prepare_labeller
from anlage.inference.prediction_job import AgreedScale, PredictionJob
from anlage.inference.sharing import TileUnits, Units, agreed
from anlage.inference.stitching import Numbering, Pieces, least_voxels, number_objects, usual_smallest
from anlage.io.label_writing import LabelWriter
from anlage.io.mask_records import MaskRecord
from anlage.tasks.nuclei.heads import finds_classes, paints_labels
from anlage.wording import plural

if TYPE_CHECKING:
    from anlage.axes import Box
    from anlage.cli.prediction_output import ProgressReporter
    from anlage.model import Model
    from anlage.timelapse import TimeLapse

__all__ = ["is_labels", "predict_labels"]

_FAMILIAR_COPIES = {"fixed": 1, "upright": 8, "any": 16}
"""Copies in an average over turns, all of which lie as some training examples did."""


def is_labels(path: Path) -> bool:
    """Whether an output is a label image, by its name."""
    return path.suffix.lower() in (".zarr", ".tif", ".tiff")


def predict_labels(
    options: argparse.Namespace,
    model: Model,
    image: TimeLapse,
    frames: range,
    region: Box | None,
    reporter: ProgressReporter,
) -> int:
    """Label an image, and write the result; returns the exit code."""
    parts = PredictionParts.beside(options.output)
    pieces = Pieces(parts.folder)
    ready: list[Labeller] = []

    def labeller_for(um: float | None) -> Labeller:
        return prepare_labeller(
            model, image, frames=frames, region=region, device=options.device, settings=_settings(options, um)
        )

    def described(labeller: Labeller) -> AgreedScale:
        n, loaded = len(frames) * len(labeller.tiles), labeller.loaded
        return AgreedScale(diameter_um=loaded.diameter_um, n_units=n, notes=loaded.notes)

    def prepare() -> Units:
        labeller, scale = agreed(parts, options.diameter_um, labeller_for, described)
        ready[:] = [labeller]
        for note in (*scale.notes, *_unfamiliar_copies(labeller)):
            reporter.note(note)
        reporter.note(_announcement(labeller))
        return TileUnits(pieces, labeller, frames)

    def write() -> None:
        reporter.end("writing", f"Writing {options.output}.")
        said, n = _write(options, ready[0], pieces, frames)
        reporter.end("finished", said, n)

    job = _job(model, image, frames, options)
    return predict_shared(options, parts, job, reporter, prepare=prepare, write=write)


def _unfamiliar_copies(labeller: Labeller) -> list[str]:
    """What to say if copies are turned in ways that the network never saw."""
    orientation = labeller.loaded.plan.orientation
    if labeller.settings.turns <= _FAMILIAR_COPIES[orientation]:
        return []
    return [
        f"This network learnt from images that lie one way (orientation={orientation}): with {labeller.settings.turns} turns it also sees "
        "some that lie another way, of which it knows less."
    ]


def _settings(options: argparse.Namespace, diameter_um: float | None) -> Settings:
    return Settings(
        threshold=options.threshold, inside=options.inside, turns=options.turns,
        memory_gb=options.memory_gb or MEMORY_GB, diameter_um=diameter_um, channels=options.channels,
    )  # fmt: skip


def _announcement(labeller: Labeller) -> str:
    n = len(labeller.tiles)
    copies = f", each seen {labeller.settings.turns} times" if labeller.settings.turns > 1 else ""
    return f"{plural(n, 'tile')} a frame{copies}; at most about {labeller.memory_gb:.1f} GB of memory."


def _job(model: Model, image: TimeLapse, frames: range, options: argparse.Namespace) -> PredictionJob:

    spacing = image.spacing
    return PredictionJob(
        version=anlage.__version__, model=model.id, movie=hash_movie(image), image=str(options.image),
        spacing_um_zyx=None if spacing is None else spacing.zyx, frames=(frames.start, frames.stop),
        region=None if options.region is None else ",".join(f"{low}:{high}" for low, high in options.region),
        channels=options.channels, diameter_um=options.diameter_um, threshold=options.threshold, labels=True,
        inside=options.inside, turns=options.turns, memory_gb=options.memory_gb or MEMORY_GB,
    )  # fmt: skip


def _write(options: argparse.Namespace, labeller: Labeller, pieces: Pieces, frames: range) -> tuple[str, int]:
    """Number the objects, and write the image; a sentence about it, and how many there are."""
    # twice frame by frame, so that the tables of all frames are never together in memory
    counts = [len(_numbered(options, labeller, pieces, t)) for t in frames]
    most = max(counts, default=0)
    if labeller.is_classes:
        dtype: np.dtype[Any] = np.min_scalar_type(max(labeller.loaded.plan.classes))
    else:
        dtype = np.dtype(np.uint16 if most <= np.iinfo(np.uint16).max else np.uint32)
    _write_image(options, labeller, pieces, frames, dtype)
    n = sum(counts)
    shown = plural(len(frames), "frame")
    if labeller.is_classes:
        listed = ", ".join(map(str, labeller.loaded.plan.classes))
        return f"Classes {listed} in {shown}, written to {options.output}.", 0
    return f"{n} objects in {shown}, written to {options.output}.", n


def _numbered(options: argparse.Namespace, labeller: Labeller, pieces: Pieces, t: int) -> Numbering:

    tables = [pieces.read(t, i, labels=False) for i in range(len(labeller.tiles))]
    diameter, flat = labeller.loaded.diameter_um, labeller.image.is_flat
    smallest = usual_smallest(diameter, flat=flat) if options.smallest is None else options.smallest
    least = least_voxels(smallest, labeller.loaded.spacing, flat=flat)
    return number_objects(tables, labeller.loaded.spacing.um / diameter, least)


def _write_image(
    options: argparse.Namespace,
    labeller: Labeller,
    pieces: Pieces,
    frames: range,
    dtype: np.dtype[Any],
) -> None:
    """Write piece by piece; of frames that were not asked for all is 0."""
    image = labeller.image
    axes = "".join(
        axis
        for axis, needed in zip(
            "tzyx", (image.n_frames > 1, "z" in image.axes or not image.is_flat, True, True), strict=True
        )
        if needed
    )
    who = MaskRecord(origins=(labeller.model.id,), diameter_um=labeller.loaded.diameter_um)
    with LabelWriter(options.output, image, axes, dtype, scratch=pieces.folder, record=who, by=writer(options)) as out:
        for t in frames:
            numbering = _numbered(options, labeller, pieces, t)
            for i in range(len(labeller.tiles)):
                piece = pieces.read(t, i)
                labels: npt.NDArray[Any] = piece.labels if labeller.is_classes else numbering.of(piece)
                out.put(t, piece.box, labels.astype(dtype))


def check_model(model: Model, output: Path) -> None:
    """Refuse a model that cannot make what is asked for.

    Raises
    ------
    AnlageError
        If a table is wanted of classes, or labels of centres.
    """
    card = model.card
    if is_labels(output) and not paints_labels(card.head):
        raise AnlageError(
            f"The model '{card.name}' finds {card.finds} and paints no labels: write a table (.csv or .geff), or train with "
            "head=instances."
        )
    if not is_labels(output) and finds_classes(card.head):
        raise AnlageError(
            f"The model '{card.name}' finds {card.finds}, not nuclei one by one: write labels (.zarr or .tif)."
        )
