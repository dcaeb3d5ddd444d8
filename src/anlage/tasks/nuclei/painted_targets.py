"""Painted labels on the working grid: what of them a network may learn, voxel by voxel.

A label says three things, and each may be unknown by itself: that there is an object (always), where its centre is (not
where the object is cut by the wall of what was painted), and, by what it leaves out, where there is none (not around a
nucleus that was marked but not painted).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from anlage.annotations import Annotations
from anlage.axes import Box
from anlage.dataset.store import Store
from anlage.dataset.weight import Marked, clear_balls
from anlage.tasks.grid import Placement
from anlage.tasks.nuclei.painted_stores import painted_in
from anlage.tasks.nuclei.working_frames import UNSURE, PaintedTargets, WorkingFrames

__all__ = ["PaintedPart", "absent_classes", "classes_on_grid", "objects_on_grid"]

_UNPAINTED_RADII = 1.5
"""Around a nucleus that was not painted so many radii are unknown: it may be larger than most, or long."""
_SAME_PLACE = 0.75
"""A centre nearer than this to the middle of what is visible, in voxels, says nothing of what is not visible."""


@dataclass(frozen=True, slots=True)
class PaintedPart:
    """A box of a store whose labels are to be brought onto the grid.

    Parameters
    ----------
    store
        The training data; without labels all of it is unpainted.
    box
        The piece, in voxels of the store.
    cuboid
        Where annotation was kept: a label that ends at its wall may go on behind it.
    nuclei
        For each frame of the box, the nuclei whose centres count.
    placement
        How the grid lies in the box.
    cache
        Path (without suffix) under which the decoded arrays are kept.
    """

    store: Store
    box: Box
    cuboid: Box
    nuclei: Sequence[Annotations]
    placement: Placement
    cache: Path


def objects_on_grid(part: PaintedPart) -> PaintedTargets:
    """Bring painted objects onto the grid."""
    store, box, placement = part.store, part.box, part.placement
    shape = (box.shape[0], *placement.shape_zyx)
    values = _kept(part.cache, ".labels.npy", np.int32, shape)
    inside = _kept(part.cache, ".inside.npy", np.float16, shape)
    known = np.ones(shape, dtype=np.uint8)
    walls = _walls(store, box, part.cuboid)
    for i, t in enumerate(range(*box.t)):
        nuclei, painted = part.nuclei[i], painted_in(store, t, box)
        unpainted = _unpainted(painted, nuclei, box)
        if unpainted.any():
            clear = _cleared(nuclei.select(unpainted), store, box) | (painted > 0)
            known[i] = placement.nearest(clear)
        values[i] = placement.nearest(_rows(painted, nuclei, box, walls))
        inside[i] = placement.resample(torch.from_numpy((painted > 0).astype(np.float32))).numpy()
    values.flush()
    inside.flush()
    return PaintedTargets(values, inside, known)


def classes_on_grid(part: PaintedPart, classes: Sequence[int]) -> PaintedTargets:
    """Bring painted classes onto the grid; what is not painted is unknown unless 0 is one of the classes.

    Parameters
    ----------
    part
        What to bring onto the grid.
    classes
        Label values in the order of their numbers.
    """
    store, box, placement = part.store, part.box, part.placement
    shape = (box.shape[0], *placement.shape_zyx)
    values = _kept(part.cache, ".classes.npy", np.int32, shape)
    known = np.ones(shape, dtype=np.uint8)
    wanted = np.array(classes)
    order = np.argsort(wanted)
    for i, t in enumerate(range(*box.t)):
        painted = placement.nearest(painted_in(store, t, box))
        at = np.clip(np.searchsorted(wanted[order], painted), 0, len(wanted) - 1)
        number = order[at]
        known[i] = (wanted[number] == painted) & ((painted > 0) | (not store.meta.sparse))
        values[i] = np.where(known[i], number, 0)
    values.flush()
    return PaintedTargets(values, np.zeros((0, *shape[1:]), dtype=np.float16), known)


def absent_classes(train: Sequence[WorkingFrames], classes: Sequence[int]) -> list[int]:
    """Label values of the classes that no training voxel shows."""
    seen: set[int] = set()
    for frames in train:
        if frames.paint is not None:
            for t in frames.frames:
                counts = (frames.known[t] > 0) & (frames.paint.known[t] > 0)
                seen.update(np.unique(frames.paint.values[t][counts]).tolist())
    return [value for number, value in enumerate(classes) if number not in seen]


def _kept(cache: Path, suffix: str, dtype: Any, shape: tuple[int, ...]) -> np.memmap[Any, Any]:
    cache.parent.mkdir(parents=True, exist_ok=True)
    path = cache.with_name(cache.name + suffix)
    return np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)


def _walls(store: Store, box: Box, cuboid: Box) -> list[tuple[int, int]]:
    """Walls (axis, first or last plane) of the box where the cuboid ends but the image does not."""
    origin, image = store.meta.origin_tzyx, store.meta.source.shape_tczyx
    found = []
    for axis, extent in enumerate((image[2], image[3], image[4]), start=1):
        low, high = box.ranges[axis]
        first, last = cuboid.ranges[axis]
        if low == first and low + origin[axis] > 0:
            found.append((axis - 1, 0))
        if high == last and high + origin[axis] < extent:
            found.append((axis - 1, -1))
    return found


def _unpainted(painted: npt.NDArray[np.int64], nuclei: Annotations, box: Box) -> npt.NDArray[np.bool_]:
    """Which nuclei have no paint of their own."""
    return ~(np.isin(nuclei.label, painted) & (nuclei.label > 0)) & box.contains(nuclei.positions)


def _cleared(nuclei: Annotations, store: Store, box: Box) -> npt.NDArray[np.bool_]:
    """Where no unpainted nucleus can be."""
    mask = np.ones(box.shape[1:], dtype=bool)
    typical = store.meta.diameter_um / 2
    radius = np.where(np.isfinite(nuclei.radius_um), nuclei.radius_um, typical)
    centres = nuclei.positions[:, 1:] - np.array(box.start[1:])
    clear_balls(mask, Marked(centres, _UNPAINTED_RADII * np.maximum(radius, typical)), store.spacing)
    return mask


def _rows(
    painted: npt.NDArray[np.int64], nuclei: Annotations, box: Box, walls: Sequence[tuple[int, int]]
) -> npt.NDArray[np.int32]:
    """For each voxel 1 + the row of its nucleus, `UNSURE`, or 0."""
    values, index = np.unique(painted, return_inverse=True)
    index = index.reshape(painted.shape)
    rows = np.full(len(values), UNSURE, dtype=np.int32)
    rows[values == 0] = 0
    own = {int(value): row for row, value in enumerate(nuclei.label) if value > 0}
    for i, value in enumerate(values.tolist()):
        if value in own:
            rows[i] = 1 + own[value]
    for i in _at_walls(index, walls):
        if rows[i] > 0:
            visible = np.argwhere(index == i).mean(axis=0) + box.start[1:]
            if np.abs(visible - nuclei.positions[rows[i] - 1, 1:]).max() < _SAME_PLACE:
                rows[i] = UNSURE
    return rows[index]


def _at_walls(index: npt.NDArray[np.intp], walls: Sequence[tuple[int, int]]) -> set[int]:
    found: set[int] = set()
    for axis, plane in walls:
        found.update(np.unique(index.take(plane, axis)).tolist())
    return found
