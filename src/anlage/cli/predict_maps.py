"""``anlage predict --maps``: a segmentation network's raw output for one frame, for programs that tune its thresholds."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING

from anlage.cli.arguments import writer
from anlage.errors import AnlageError

if TYPE_CHECKING:
    from anlage.axes import Box
    from anlage.cli.prediction_output import ProgressReporter
    from anlage.inference.label_image import Labeller
    from anlage.inference.maps import MapsAbout
    from anlage.inference.pieces import TileMaps
    from anlage.model import Model
    from anlage.timelapse import TimeLapse

__all__ = ["predict_maps"]


def predict_maps(
    options: argparse.Namespace,
    model: Model,
    image: TimeLapse,
    frames: range,
    region: Box | None,
    reporter: ProgressReporter,
) -> int:
    """Write the maps of one frame; returns the exit code."""
    from anlage.inference.label_image import MEMORY_GB, Settings, prepare_labeller
    from anlage.inference.maps import write_maps

    if len(frames) != 1:
        raise AnlageError(f"Maps are of one frame, and {len(frames)} were asked for; choose one, as --frames 3:4.")
    settings = Settings(
        turns=options.turns, memory_gb=options.memory_gb or MEMORY_GB, diameter_um=options.diameter_um,
        channels=options.channels,
    )  # fmt: skip
    labeller = prepare_labeller(model, image, frames=frames, region=region, device=options.device, settings=settings)
    for note in labeller.loaded.notes:
        reporter.note(note)
    reporter.start(len(labeller.tiles), 0, "tiles")

    def tiles() -> Iterator[TileMaps]:
        for tile in labeller.tiles:
            maps = labeller.maps(frames[0], tile)
            reporter.frame(frames[0], int(maps.owned.sum()))
            yield maps

    write_maps(options.output, _about(labeller, frames[0]), tiles(), writer(options))
    reporter.end("finished", f"Maps of frame {frames[0]} written to {options.output}.")
    return 0


def _about(labeller: Labeller, frame: int) -> MapsAbout:
    from anlage.inference.maps import MapsAbout
    from anlage.inference.stitching import usual_smallest

    z, y, x = labeller.part.box.ranges[1:]
    cell = labeller.loaded.plan.grid.cell_diameters
    flat = labeller.image.is_flat
    return MapsAbout(
        model=labeller.model.id, head="classes" if labeller.is_classes else "instances", frame=frame, region=(z, y, x),
        spacing_um_zyx=labeller.loaded.spacing.zyx, flat=flat, diameter_um=labeller.loaded.diameter_um,
        cell_diameters_zyx=(float(cell[0]), float(cell[1]), float(cell[2])), classes=labeller.loaded.plan.classes,
        threshold=labeller.threshold, inside=labeller.inside,
        smallest=usual_smallest(labeller.loaded.diameter_um, flat=flat), notes=labeller.loaded.notes,
    )  # fmt: skip
