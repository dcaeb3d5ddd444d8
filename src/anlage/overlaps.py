"""Overlaps between the objects of two label images: shared voxels, intersection over union (IoU), pairs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from anlage.axes import Box
from anlage.errors import AnlageError
from anlage.timelapse import TimeLapse

__all__ = ["Overlaps", "slabs"]

_SLAB_VOXELS = 1 << 24
"""Voxels read at once: a large frame is gone through some planes at a time."""


@dataclass(frozen=True, slots=True)
class Overlaps:
    """Objects of two label images of the same voxels, and every pair of them that shares a voxel.

    Only the pairs that touch are kept, so ten thousand objects cost as much as their voxels' borders do, not the
    square of their number.

    Parameters
    ----------
    truth, predicted
        (N,) and (M,) label values, ascending, without 0.
    truth_sizes, predicted_sizes
        (N,) and (M,) voxels of each.
    pairs
        (E, 2) rows of `truth` and `predicted` that share voxels, in that order.
    shared
        (E,) voxels that each pair shares.
    """

    truth: npt.NDArray[np.int64]
    truth_sizes: npt.NDArray[np.int64]
    predicted: npt.NDArray[np.int64]
    predicted_sizes: npt.NDArray[np.int64]
    pairs: npt.NDArray[np.int64]
    shared: npt.NDArray[np.int64]

    @classmethod
    def of(cls, truth: npt.ArrayLike, predicted: npt.ArrayLike) -> Self:
        """Count in two arrays of whole numbers ≥ 0 and the same shape; 0 is background.

        Raises
        ------
        AnlageError
            If the shapes differ.
        """
        return cls._from_runs([_runs(np.asarray(truth), np.asarray(predicted))])

    @classmethod
    def of_frame(cls, truth: TimeLapse, predicted: TimeLapse, t: int) -> Self:
        """Count in frame `t` of two label images, some planes at a time: neither frame is ever whole in memory.

        Raises
        ------
        AnlageError
            If the planes differ in shape.
        """
        pieces = zip(slabs(truth, t), slabs(predicted, t), strict=True)
        return cls._from_runs(_runs(a, b) for a, b in pieces)

    @classmethod
    def _from_runs(cls, runs: Iterable[npt.NDArray[np.int64]]) -> Self:
        """From counts (K, 3) of voxels: value in the truth, value in the prediction, how many."""
        counts = _summed(list(runs))
        truth, truth_sizes = _sizes(counts[:, 0], counts[:, 2])
        predicted, predicted_sizes = _sizes(counts[:, 1], counts[:, 2])
        both = counts[(counts[:, 0] > 0) & (counts[:, 1] > 0)]
        pairs = np.stack([np.searchsorted(truth, both[:, 0]), np.searchsorted(predicted, both[:, 1])], axis=1)
        return cls(truth, truth_sizes, predicted, predicted_sizes, pairs, both[:, 2])

    @property
    def iou(self) -> npt.NDArray[np.float64]:
        """(E,) intersection over union of each pair, 0 … 1."""
        union = self.truth_sizes[self.pairs[:, 0]] + self.predicted_sizes[self.pairs[:, 1]] - self.shared
        quotient: npt.NDArray[np.float64] = self.shared / union
        return quotient

    def matched(self, at_least: float = 0.5) -> npt.NDArray[np.int64]:
        """Rows of `pairs` that stand for the same object: one-to-one, with an IoU of at least that.

        Objects of one label image never share voxels, so above 0.5 an object can have a single partner. At exactly 0.5
        an object may lie on both halves of another; the first of them is taken, and either makes as many pairs.

        Raises
        ------
        AnlageError
            If the threshold is below 0.5, where pairs are not unique.
        """
        if not 0.5 <= at_least <= 1:
            raise AnlageError(f"Objects are matched at an IoU of 0.5 to 1, not {at_least:g}.")
        iou = self.iou
        rows = np.flatnonzero(iou >= at_least)
        rows = rows[np.argsort(-iou[rows], kind="stable")]
        for side in (0, 1):
            _, first = np.unique(self.pairs[rows, side], return_index=True)
            rows = rows[np.sort(first)]
        return np.sort(rows)

    def best_iou(self) -> npt.NDArray[np.float64]:
        """(N,) the greatest IoU of each object of the truth with any predicted one; 0 where none lies on it."""
        best = np.zeros(len(self.truth))
        np.maximum.at(best, self.pairs[:, 0], self.iou)
        return best

    def without(self, truth_rows: npt.NDArray[np.bool_], *, cut: bool = False) -> Overlaps:
        """Leave out objects of the truth, (N,) true, that are neither wanted nor wrong.

        A predicted object more than half of which lies on them goes with them. With `cut` they stand for what is unknown:
        what lies there of other predicted objects does not count either.
        """
        lost = np.zeros(len(self.predicted), dtype=np.int64)
        aside = truth_rows[self.pairs[:, 0]]
        np.add.at(lost, self.pairs[aside, 1], self.shared[aside])
        excused = 2 * lost > self.predicted_sizes
        kept = ~aside & ~excused[self.pairs[:, 1]]
        renumbered = np.stack(
            [(np.cumsum(~gone) - 1)[self.pairs[kept, side]] for side, gone in enumerate((truth_rows, excused))], axis=1
        )
        return Overlaps(
            truth=self.truth[~truth_rows],
            truth_sizes=self.truth_sizes[~truth_rows],
            predicted=self.predicted[~excused],
            predicted_sizes=(self.predicted_sizes - lost if cut else self.predicted_sizes)[~excused],
            pairs=renumbered.astype(np.int64),
            shared=self.shared[kept],
        )


def slabs(labels: TimeLapse, t: int) -> Iterator[npt.NDArray[Any]]:
    """The frame `t` of channel 0 from top to bottom, as many planes (z, y, x) at a time as fit 16 million voxels."""
    _, z, y, x = labels.shape_tzyx
    step = max(1, _SLAB_VOXELS // (y * x))
    for low in range(0, z, step):
        yield labels.read(Box((t, t + 1), (low, min(z, low + step)), (0, y), (0, x)), [0])[0, 0]


def _runs(truth: npt.NDArray[Any], predicted: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Counts (K, 3) by runs along x: objects are compact, so these are far fewer than voxels, and cheap to sort."""
    if truth.shape != predicted.shape:
        raise AnlageError(
            f"The labels to compare have the shapes {truth.shape} and {predicted.shape}; they must show the same voxels."
        )
    a, b = np.ascontiguousarray(truth).reshape(-1), np.ascontiguousarray(predicted).reshape(-1)
    if not a.size:
        return np.zeros((0, 3), dtype=np.int64)
    starts = np.concatenate([[0], np.flatnonzero((a[1:] != a[:-1]) | (b[1:] != b[:-1])) + 1])
    lengths = np.diff(starts, append=a.size)
    runs = np.stack([a[starts].astype(np.int64), b[starts].astype(np.int64), lengths], axis=1)
    return _summed([runs[(runs[:, 0] != 0) | (runs[:, 1] != 0)]])


def _summed(runs: list[npt.NDArray[np.int64]]) -> npt.NDArray[np.int64]:
    """One row for each pair of values, in order, with its voxels added up."""
    every = np.concatenate([np.zeros((0, 3), dtype=np.int64), *runs])
    if not len(every):
        return every
    every = every[np.lexsort((every[:, 1], every[:, 0]))]
    new = np.flatnonzero(np.any(np.diff(every[:, :2], axis=0) != 0, axis=1)) + 1
    starts = np.concatenate([[0], new])
    return np.column_stack([every[starts, :2], np.add.reduceat(every[:, 2], starts)])


def _sizes(
    values: npt.NDArray[np.int64], counts: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Values above 0 and their voxels."""
    found, index = np.unique(values, return_inverse=True)
    sizes = np.zeros(len(found), dtype=np.int64)
    np.add.at(sizes, index.reshape(-1), counts)
    return found[found > 0], sizes[found > 0]
