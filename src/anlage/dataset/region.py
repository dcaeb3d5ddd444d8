"""Which part of a movie goes into a store, and which of its frames are annotated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from anlage.annotations import Annotations, State
from anlage.axes import Box, Spacing
from anlage.cuboid import detect_cuboid
from anlage.errors import AnlageError
from anlage.timelapse import TimeLapse

if TYPE_CHECKING:
    from anlage.cuboid import Cuboid

__all__ = ["StoreRegion", "hull", "regions_to_store"]

SPARSE_MARGIN = 1.5
"""Around sparsely marked nuclei so many diameters are kept, for the dark voxels and the network's surroundings."""
FRAME_GAP = 2
"""Sparsely annotated frames further apart than this become regions of their own."""
MOST_DOUBTS = 10


@dataclass(frozen=True, slots=True)
class StoreRegion:
    """A block of the movie, in voxels of the image.

    Parameters
    ----------
    box
        What is kept.
    core
        Where annotation is complete; the rest of the box is a margin.
    frames
        Annotated frames; the others are kept as temporal context.
    """

    box: Box
    core: Box
    frames: tuple[int, ...]


def regions_to_store(
    annotations: Annotations,
    image: TimeLapse,
    cuboid: Literal["auto"] | Box | Sequence[Cuboid],
    *,
    spacing: Spacing,
    sparse_um: float | None,
    measured_um: float | None = None,
) -> tuple[tuple[StoreRegion, ...], list[str]]:
    """The regions to keep, and notes for the user about them.

    Parameters
    ----------
    annotations
        Nuclei of the whole movie.
    image
        The movie.
    cuboid
        A given box, given cuboids, or ``"auto"`` to find them.
    spacing
        Voxel size in µm.
    sparse_um
        Nucleus diameter in µm where the annotation is sparse; None where it is complete.
    measured_um
        Nucleus diameter in µm, if it was measured in the image before.
    """
    if isinstance(cuboid, Box):
        return _given(annotations, image, cuboid)
    if isinstance(cuboid, str) and sparse_um is not None:
        return _around(annotations, image, spacing, sparse_um), []
    found = _detected(annotations, image, spacing, measured_um) if isinstance(cuboid, str) else cuboid
    if not found:
        raise AnlageError("No cuboid was given: give at least one, or let it be found.")
    doubts = [f"Doubtful: {doubt.text}" for one in found for doubt in one.doubts]
    if len(doubts) > MOST_DOUBTS:
        doubts[MOST_DOUBTS:] = [f"… and {len(doubts) - MOST_DOUBTS} more doubts about the cuboid."]
    return _of(found, image), doubts


def hull(regions: Sequence[StoreRegion], n_frames: int, context_frames: int) -> Box:
    """The smallest box around all regions, with so many frames of context before and after."""
    box = regions[0].box
    for region in regions[1:]:
        box = box.union(region.box)
    t = (max(0, box.t[0] - context_frames), min(n_frames, box.t[1] + context_frames))
    return Box(t, box.z, box.y, box.x)


def _given(annotations: Annotations, image: TimeLapse, box: Box) -> tuple[tuple[StoreRegion, ...], list[str]]:
    clipped = box.clipped(image.shape_tzyx)
    notes = [] if clipped == box else [f"The cuboid {box} was cut to the image: {clipped}."]
    inside = annotations.select(clipped.contains(annotations.positions))
    frames = inside.annotated_frames
    n = clipped.shape[0]
    if 0 < len(frames) < n:
        notes.append(
            f"{n - len(frames)} of the cuboid's {n} frames have no annotated nucleus and serve only as context."
        )
    return (StoreRegion(clipped, clipped, frames),), notes


def _detected(
    annotations: Annotations, image: TimeLapse, spacing: Spacing, measured_um: float | None
) -> Sequence[Cuboid]:
    return detect_cuboid(annotations, image, spacing=spacing, measured_um=measured_um)


def _of(cuboids: Sequence[Cuboid], image: TimeLapse) -> tuple[StoreRegion, ...]:
    shape = image.shape_tzyx
    return tuple(StoreRegion(c.box.clipped(shape), c.core.clipped(shape), tuple(c.frames)) for c in cuboids)


def _around(
    annotations: Annotations, image: TimeLapse, spacing: Spacing, diameter_um: float
) -> tuple[StoreRegion, ...]:
    """Boxes around sparsely marked nuclei (rejected ones too: they are known background), one per run of frames."""
    frames = np.unique(annotations.frames)
    margin = np.ceil(SPARSE_MARGIN * diameter_um / spacing.um).astype(int)
    regions = []
    for run in np.split(frames, np.flatnonzero(np.diff(frames) > FRAME_GAP) + 1):
        rows = np.isin(annotations.frames, run)
        at = np.rint(annotations.positions[rows]).astype(int)
        box = Box.of(at.min(axis=0), at.max(axis=0) + 1).grown(margin.tolist()).clipped(image.shape_tzyx)
        marked = annotations.frames[rows & (annotations.state != State.REJECTED)]
        regions.append(StoreRegion(box, box, tuple(int(t) for t in np.unique(marked))))
    return tuple(regions)
