"""Painted labels on the working grid: what of them a network may learn, voxel by voxel.

A label tells three things, and each may be unknown by itself: that there is an object (always), where its centre is (not
where the object is cut by the wall of what was painted), and, by what it leaves out, where there is none (not around a
nucleus that was marked but not painted).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from anlage.annotations import Annotations
from anlage.axes import Box
from anlage.dataset.store import Store
from anlage.dataset.weight import Marked, clear_balls
from anlage.errors import AnlageError
from anlage.tasks.grid import Placement
from anlage.tasks.nuclei.config import NucleiConfig

if TYPE_CHECKING:
    from anlage.tasks.nuclei.examples import WorkingFrames

from anlage.tasks.nuclei.examples import UNSURE, PaintedTargets

__all__ = ["absent_classes", "check_painted_stores", "classes_on_grid", "objects_on_grid"]

_UNPAINTED_RADII = 1.5
"""Around a nucleus that was not painted so many radii are unknown: it may be larger than most, or long."""
_MOST_CLASSES = 32
_SAME_PLACE = 0.75
"""A centre nearer than this to the middle of what is visible, in voxels, tells nothing of what is not visible."""


def objects_on_grid(
    store: Store, box: Box, cuboid: Box, nuclei: Sequence[Annotations], placement: Placement, cache: Path
) -> PaintedTargets:
    """Bring the objects of a box onto the grid.

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
    shape = (box.shape[0], *placement.shape_zyx)
    values, inside = _kept(cache, ".labels.npy", np.int32, shape), _kept(cache, ".inside.npy", np.float16, shape)
    known = np.ones(shape, dtype=np.uint8)
    walls = _walls(store, box, cuboid)
    for i, t in enumerate(range(*box.t)):
        painted = _painted(store, t, box)
        unpainted = _unpainted(painted, nuclei[i], box)
        if unpainted.any():
            clear = _cleared(nuclei[i].select(unpainted), store, box) | (painted > 0)
            known[i] = placement.nearest(clear)
        values[i] = placement.nearest(_rows(painted, nuclei[i], box, walls))
        inside[i] = placement.resample(torch.from_numpy((painted > 0).astype(np.float32))).numpy()
    values.flush()
    inside.flush()
    return PaintedTargets(values, inside, known)


def classes_on_grid(
    store: Store, box: Box, classes: Sequence[int], placement: Placement, cache: Path
) -> PaintedTargets:
    """Bring painted classes onto the grid; what is not painted is unknown unless 0 is one of the classes.

    Parameters
    ----------
    store
        The training data.
    box
        The piece, in voxels of the store.
    classes
        Label values in the order of their numbers.
    placement
        How the grid lies in the box.
    cache
        Path (without suffix) under which the decoded arrays are kept.
    """
    shape = (box.shape[0], *placement.shape_zyx)
    values = _kept(cache, ".classes.npy", np.int32, shape)
    known = np.ones(shape, dtype=np.uint8)
    wanted = np.array(classes)
    order = np.argsort(wanted)
    for i, t in enumerate(range(*box.t)):
        painted = placement.nearest(_painted(store, t, box))
        at = np.clip(np.searchsorted(wanted[order], painted), 0, len(wanted) - 1)
        number = order[at]
        known[i] = (wanted[number] == painted) & ((painted > 0) | (not store.meta.sparse))
        values[i] = np.where(known[i], number, 0)
    values.flush()
    return PaintedTargets(values, np.zeros((0, *shape[1:]), dtype=np.float16), known)


def check_painted_stores(stores: Sequence[Store], config: NucleiConfig) -> tuple[int, ...]:
    """Refuse stores without the paint that a head learns from; the label values of the classes, for that head.

    Raises
    ------
    AnlageError
        If nothing is painted, a class was never painted, or the labels are objects and not classes.
    """
    painted = [store for store in stores if store.meta.classes]
    if painted and config.head != "classes":
        raise AnlageError(
            f"The labels of {_names(painted)} are classes of voxels, not nuclei: train head=classes, or give each nucleus a number of its "
            "own (skimage.measure.label, frame by frame) and build again."
        )
    if config.head == "centres":
        return ()
    if all(store.labels is None for store in stores):
        raise AnlageError(
            f"head={config.head} learns from painted labels, but {_named(stores)} only points: paint some nuclei and build "
            "again, or train head=centres."
        )
    if config.head == "classes":
        return _class_values(stores, config)
    if not any(store.labels is not None and (store.positives.label > 0).any() for store in stores):
        raise AnlageError(
            f"The painted labels of {_names(stores)} belong to none of the nuclei: each nucleus needs the number of its label (the "
            "column label of a table, Annotations.label), or take the nuclei from the labels themselves."
        )
    return ()


def absent_classes(train: Sequence[WorkingFrames], classes: Sequence[int]) -> list[int]:
    """Label values of the classes that no training voxel shows."""
    seen: set[int] = set()
    for frames in train:
        if frames.paint is not None:
            for t in frames.frames:
                counts = (frames.known[t] > 0) & (frames.paint.known[t] > 0)
                seen.update(np.unique(frames.paint.values[t][counts]).tolist())
    return [value for number, value in enumerate(classes) if number not in seen]


def _class_values(stores: Sequence[Store], config: NucleiConfig) -> tuple[int, ...]:
    found: set[int] = set()
    for store in stores:
        for cuboid in store.meta.cuboids:
            for t in cuboid.frames:
                painted = _painted(store, t, cuboid.box)
                seen = np.unique(painted[np.asarray(store.weight[(t, *cuboid.box.slices[1:])]) > 0])
                found.update(seen[seen > 0].tolist() if store.meta.sparse else seen.tolist())
    wanted = tuple(sorted(set(config.classes))) if config.classes is not None else tuple(sorted(found))
    never = [value for value in wanted if value not in found]
    if never:
        raise AnlageError(
            f"Class {', '.join(map(str, never))} was never painted in {_names(stores)}, which show {_listed(found)}: paint some "
            "of it, or leave it out of classes=…."
        )
    if len(wanted) > _MOST_CLASSES:
        raise AnlageError(
            f"The labels of {_names(stores)} have {len(wanted)} values, which are objects rather than classes: train "
            f"head=instances, or paint one value for each class (at most {_MOST_CLASSES})."
        )
    if len(wanted) < 2:
        sparse = any(store.meta.sparse for store in stores)
        or_else = ", or build without --sparse if what was left unpainted is background" if sparse else ""
        raise AnlageError(
            f"Only class {_listed(found)} is known in {_names(stores)}, and classes are told from one another: paint "
            f"another one{or_else}."
        )
    return wanted


def _named(stores: Sequence[Store]) -> str:
    return f"{_names(stores)} {'holds' if len(stores) == 1 else 'hold'}"


def _names(stores: Sequence[Store]) -> str:
    return ", ".join(f"'{store.name}'" for store in stores)


def _listed(values: set[int]) -> str:
    shown = sorted(values)
    return ", ".join(map(str, shown[:10])) + (", …" if len(shown) > 10 else "")


def _kept(cache: Path, suffix: str, dtype: Any, shape: tuple[int, ...]) -> np.memmap[Any, Any]:
    cache.parent.mkdir(parents=True, exist_ok=True)
    path = cache.with_name(cache.name + suffix)
    return np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)


def _painted(store: Store, t: int, box: Box) -> npt.NDArray[np.int64]:
    labels = store.labels
    if labels is None:
        return np.zeros(box.shape[1:], dtype=np.int64)
    return np.asarray(labels[(t, *box.slices[1:])]).astype(np.int64)


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
