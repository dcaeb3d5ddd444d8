"""Decide the voxel size and time step of annotations: from the options, the image, or the annotation's own file."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from anlage.cli.arguments import print_painted_labels

if TYPE_CHECKING:
    from anlage.annotations import Annotations
    from anlage.axes import Spacing
    from anlage.timelapse import TimeLapse

__all__ = ["SPACING_SOURCES", "open_scaled", "scale_of", "scaled_by"]

SPACING_SOURCES = "(tables that `predict` and `track` write, GEFF, TrackMate XML, .aut, OME-Zarr and OME-TIFF carry it)"
"""Where a voxel size could have come from, for messages."""


def scale_of(
    path: str | Path, options: argparse.Namespace, image: TimeLapse | None = None
) -> tuple[Spacing | None, float | None]:
    """Voxel size in µm and time step in s for the nuclei of a file; None where nobody says it.

    What was given by hand counts before what the image says, and that before what the file says.
    """
    from anlage.io.nuclei_files.nuclei import own_scale

    known, step = own_scale(path) if Path(path).exists() else (None, None)
    spacing = options.spacing or (image.spacing if image is not None else None) or known
    return spacing, options.interval or (image.interval_s if image is not None else None) or step


def scaled_by(image: TimeLapse, path: str, options: argparse.Namespace) -> TimeLapse:
    """The image with what it does not say of its voxel size and time step, as far as its annotations say it; that is printed."""
    if image.spacing is not None and image.interval_s is not None:
        return image
    spacing, interval_s = scale_of(path, options, image)
    if image.spacing is None and spacing is not None:
        print(f"'{options.image}' says no voxel size; that of '{path}' is taken: {spacing}.")
    return image.with_scale(
        spacing if image.spacing is None else None, interval_s if image.interval_s is None else None
    )


def open_scaled(
    path: str, options: argparse.Namespace, image: TimeLapse | None = None
) -> tuple[Annotations, Spacing | None, float | None]:
    """Open annotations with the options of `add_reading`; gives them with their voxel size (µm) and time step (s)."""
    from anlage.io import open_annotations

    spacing, interval_s = scale_of(path, options, image)
    axes = None if image is not None else options.axes
    nuclei = open_annotations(path, image=image, axes=axes, spacing=spacing, interval_s=interval_s)
    print_painted_labels(nuclei)
    if nuclei.labels is not None:
        spacing, interval_s = spacing or nuclei.labels.spacing, interval_s or nuclei.labels.interval_s
    return nuclei, spacing, interval_s
