"""From a segmentation network's output for one tile to a piece of label image. Loads no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from anlage.axes import Box

__all__ = ["Piece", "TileMaps", "class_piece", "object_piece"]

_NOTHING = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class TileMaps:
    """What the network says of the core of one tile, before anything is decided.

    Parameters
    ----------
    box
        The core, in voxels of the image.
    fine
        (K, Z, Y, X) on the image's voxels. Objects: the logit of being inside, and the vote (z, y, x) in cells. Classes:
        the score of each.
    at
        Positions of the voxels along z, y and x, in cells. This and what follows: objects only.
    seeds
        (N, 3) possible centres in cells.
    names
        (N,) what all tiles call each, by the cell of its peak.
    owned
        (N,) whether the peak lies in this core.
    centres
        (N, 3) the seeds in voxels of the image.
    probability
        (N,) calibrated.
    """

    box: Box
    fine: npt.NDArray[np.floating]
    at: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]
    seeds: npt.NDArray[np.float64]
    names: npt.NDArray[np.int64]
    owned: npt.NDArray[np.bool_]
    centres: npt.NDArray[np.float64]
    probability: npt.NDArray[np.float64]

    @classmethod
    def of(cls, box: Box, scores: npt.NDArray[np.floating]) -> Self:
        """Of classes, which have no centres."""
        none, empty = np.zeros((0, 3)), np.zeros(0)
        return cls(box, scores, (empty, empty, empty), none, _NOTHING, _NOTHING > 0, none, empty)


@dataclass(frozen=True, slots=True)
class Piece:
    """What one tile says of one frame.

    Parameters
    ----------
    box
        Its core, in voxels of the image.
    labels
        (Z, Y, X) of the core. Objects: 1 + row in `names`, 0 for background. Classes: label values.
    names
        (N,) int64: the objects that are seen here, by the cell of their peak.
    owned
        (N,) whether the peak lies in this core.
    sizes
        (N,) voxels of each in this core.
    centres
        (N, 3) in voxels of the image.
    probability
        (N,) calibrated.
    """

    box: Box
    labels: npt.NDArray[np.int32]
    names: npt.NDArray[np.int64]
    owned: npt.NDArray[np.bool_]
    sizes: npt.NDArray[np.int64]
    centres: npt.NDArray[np.float64]
    probability: npt.NDArray[np.float64]


def object_piece(maps: TileMaps, cell_diameters: npt.ArrayLike, threshold: float, inside: float) -> Piece:
    """Objects at these thresholds: every voxel that is inside goes to the centre nearest to where it votes.

    Parameters
    ----------
    maps
        What the network says.
    cell_diameters
        Edge lengths (z, y, x) of a cell in nucleus diameters.
    threshold
        Calibrated probability from which something is an object.
    inside
        Probability from which a voxel belongs to an object.
    """
    from anlage.tasks.nuclei.votes import assign_to_seeds

    kept = maps.probability >= threshold
    logit = float(np.log(inside / (1 - inside)))
    rows = assign_to_seeds(maps.fine[0] >= logit, maps.fine[1:4], maps.at, maps.seeds[kept], cell_diameters)
    sizes = np.bincount(rows.reshape(-1), minlength=int(kept.sum()) + 1)[1:]
    owned = maps.owned[kept]
    seen = owned | (sizes > 0)
    number = np.concatenate([[0], np.cumsum(seen)]).astype(np.int32)
    number[1:][~seen] = 0
    return Piece(
        maps.box, number[rows], maps.names[kept][seen], owned[seen], sizes[seen], maps.centres[kept][seen],
        maps.probability[kept][seen],
    )  # fmt: skip


def class_piece(maps: TileMaps, classes: Sequence[int]) -> Piece:
    """The likeliest class of every voxel."""
    labels = np.array(classes, dtype=np.int32)[maps.fine.argmax(axis=0)]
    return Piece(maps.box, labels, _NOTHING, _NOTHING > 0, _NOTHING, np.zeros((0, 3)), np.zeros(0))
