"""The objects of a label image: their bounding boxes, and batches of them that fit in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from anlage.axes import Box
from anlage.errors import AnlageError
from anlage.overlaps import slabs
from anlage.timelapse import TimeLapse

__all__ = ["Objects", "batches", "check_labels", "commonest", "find_objects", "voxel_inside"]

_WHOLE_VOXELS = 1 << 26
"""A frame of at most so many voxels is read in one piece."""
_BLOCK = (64, 512, 512)
"""Of larger frames, objects that begin in the same block (z, y, x) are read together."""


@dataclass(frozen=True, slots=True)
class Objects:
    """The objects of one frame, by ascending value.

    Parameters
    ----------
    values
        (N,) int64 label values, > 0.
    sizes
        (N,) int64 voxels of each.
    start, stop
        (N, 3) int64 first and one-past-last voxel (z, y, x) of its bounding box.
    """

    values: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]
    start: npt.NDArray[np.int64]
    stop: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.values)

    def select(self, rows: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> Objects:
        """Some of the objects, by rows or a mask."""
        return Objects(self.values[rows], self.sizes[rows], self.start[rows], self.stop[rows])

    def box(self, row: int, t: int = 0) -> Box:
        """The bounding box of one object, at a frame."""
        return Box.of((t, *self.start[row]), (t + 1, *self.stop[row]))


def find_objects(labels: TimeLapse, t: int) -> Objects:
    """Values, sizes and bounding boxes of frame `t` of a label image, some planes at a time.

    Raises
    ------
    AnlageError
        If a value is negative.
    """
    rows, z = [np.zeros((0, 8), dtype=np.int64)], 0
    for slab in slabs(labels, t):
        rows.append(_extents(slab, z, labels.source))
        z += len(slab)
    found = _joined(np.concatenate(rows))
    return Objects(values=found[:, 0], sizes=found[:, 1], start=found[:, 2:5], stop=found[:, 5:8])


def batches(objects: Objects, shape_zyx: tuple[int, int, int]) -> Iterator[tuple[npt.NDArray[np.int64], Box]]:
    """Rows of objects that are read together, and the box (at frame 0) that holds them.

    A small frame is one batch. Of a large one each batch holds the objects that begin in the same block, so that chunks on
    disk are read about once; an object larger than a block goes on its own.
    """
    rows = np.arange(len(objects))
    if np.prod(shape_zyx, dtype=np.int64) <= _WHOLE_VOXELS:
        groups = [rows] if len(rows) else []
    else:
        block = objects.start // np.array(_BLOCK)
        large = np.any(objects.stop - objects.start > _BLOCK, axis=1)
        key = np.where(large, -1 - rows, np.ravel_multi_index(tuple(block.T), tuple(block.max(axis=0, initial=0) + 1)))
        order = np.argsort(key, kind="stable")
        groups = np.split(order, np.flatnonzero(np.diff(key[order])) + 1) if len(rows) else []
    for group in groups:
        yield group, Box.of((0, *objects.start[group].min(axis=0)), (1, *objects.stop[group].max(axis=0)))


def check_labels(labels: TimeLapse) -> None:
    """Refuse what cannot be labels by its channels or type.

    Raises
    ------
    AnlageError
        If there are several channels, or the values are of no whole-number type.
    """
    if labels.n_channels != 1:
        raise AnlageError(
            f"The labels '{labels.source}' have {labels.n_channels} channels; give a single channel of whole numbers."
        )
    if labels.dtype.kind not in "bui":
        raise AnlageError(
            f"The labels '{labels.source}' are of type {labels.dtype}; they must be whole numbers, 0 for background. "
            "Is this the image instead of its labels?"
        )


def voxel_inside(mask_ZYX: npt.NDArray[np.bool_], start: npt.NDArray[np.int64], t: int) -> tuple[int, int, int, int]:
    """A voxel (t, z, y, x) of the mask near its middle; `start` is where the mask's box begins."""
    points = np.argwhere(mask_ZYX)
    z, y, x = (points[np.argmin(((points - points.mean(axis=0)) ** 2).sum(axis=1))] + start).tolist()
    return (t, z, y, x)


def commonest(values: npt.NDArray[Any]) -> tuple[int, int] | None:
    """The value above 0 that occurs most, and how often."""
    if not values.any():
        return None
    found, counts = np.unique(values[values > 0], return_counts=True)
    return int(found[counts.argmax()]), int(counts.max())


def _extents(slab_ZYX: npt.NDArray[Any], z0: int, source: str) -> npt.NDArray[np.int64]:
    """(K, 8) value, voxels, first z y x, end z y x: by runs along x, which are far fewer than voxels."""
    _, y, x = slab_ZYX.shape
    flat = np.ascontiguousarray(slab_ZYX).reshape(-1)
    if not flat.size:
        return np.zeros((0, 8), dtype=np.int64)
    changes = flat[1:] != flat[:-1]
    changes[x - 1 :: x] = True  # a run ends with its row
    starts = np.concatenate([[0], np.flatnonzero(changes) + 1])
    ends = np.concatenate([starts[1:], [flat.size]])
    painted = flat[starts] != 0
    starts, ends = starts[painted], ends[painted]
    values = flat[starts].astype(np.int64)
    if values.size and values.min() < 0:
        if flat.dtype == np.uint64:
            raise AnlageError(
                f"The labels '{source}' contain the value {flat.max()}; labels must be below 2⁶³: number the objects from 1."
            )
        raise AnlageError(
            f"The labels '{source}' contain the value {values.min()}; labels must be 0 (background) or larger. "
            "Is this the image instead of its labels?"
        )
    plane, row, column = starts // (y * x), starts // x % y, starts % x
    return _joined(
        np.stack(
            [values, ends - starts, plane + z0, row, column, plane + z0 + 1, row + 1, column + ends - starts], axis=1
        )
    )


def _joined(rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """One row for each value, in order: sizes added, boxes united."""
    if not len(rows):
        return rows
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    first = np.concatenate([[0], np.flatnonzero(np.diff(rows[:, 0])) + 1])
    return np.column_stack(
        [
            rows[first, 0],
            np.add.reduceat(rows[:, 1], first),
            np.minimum.reduceat(rows[:, 2:5], first, axis=0),
            np.maximum.reduceat(rows[:, 5:8], first, axis=0),
        ]
    )
