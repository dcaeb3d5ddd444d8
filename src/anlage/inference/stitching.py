"""Stitch the label pieces of tiles into one label image: objects that meet at a border become one.

A piece is kept in a file of its own as soon as it is finished, so that a prediction that was broken off goes on with the
next one; only tables of objects are ever together in memory.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anlage.axes import Box, Spacing
from anlage.inference.pieces import Piece
from anlage.io.atomic import own, replacing

__all__ = ["Numbering", "Pieces", "least_voxels", "number_objects", "usual_smallest"]

SAME_DIAMETERS = 0.35
"""A centre that only a neighbouring tile saw is the same as its own tile's at this distance, in nucleus diameters."""

SMALLEST = 0.03
"""Objects smaller than this part of a typical one are left out, unless something else is said."""


def usual_smallest(diameter_um: float, *, flat: bool) -> float:
    """The smallest object that is kept where nothing is said, in µm³ (single planes: µm²), for nuclei of this diameter."""
    return SMALLEST * float(np.pi / 4 * diameter_um**2 if flat else np.pi / 6 * diameter_um**3)


def least_voxels(smallest: float, spacing: Spacing, *, flat: bool) -> float:
    """Voxels of an object of so many µm³ (single planes: µm²)."""
    um = spacing.um
    return smallest / float(um[1:].prod() if flat else um.prod())


class Pieces:
    """The finished pieces of a prediction, beside its output.

    Parameters
    ----------
    folder
        ``OUT.parts``.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def has(self, t: int, tile: int) -> bool:
        """Whether a piece is finished; a damaged one is not."""
        return zipfile.is_zipfile(self.path(t, tile))

    def keep(self, t: int, tile: int, piece: Piece) -> None:
        """Write a piece; it is there whole or not at all."""
        columns: dict[str, Any] = {
            "box": np.array(piece.box.ranges), "names": piece.names, "owned": piece.owned, "sizes": piece.sizes,
            "centres": piece.centres, "probability": piece.probability, "labels": _small(piece.labels),
        }  # fmt: skip
        with replacing(self.path(t, tile), own) as temporary:
            np.savez_compressed(temporary, **columns)

    def read(self, t: int, tile: int, *, labels: bool = True) -> Piece:
        """A finished piece; without its labels only the table is read."""
        with np.load(self.path(t, tile), allow_pickle=False) as file:
            (low, high), z, y, x = (tuple(pair) for pair in file["box"].tolist())
            painted = file["labels"].astype(np.int32) if labels else np.zeros((0, 0, 0), dtype=np.int32)
            return Piece(
                Box((low, high), z, y, x), painted, file["names"], file["owned"], file["sizes"], file["centres"],
                file["probability"],
            )  # fmt: skip

    def path(self, t: int, tile: int) -> Path:
        """Where a finished piece is kept."""
        return self.folder / f"frame-{t:06d}-tile-{tile:06d}.npz"


@dataclass(frozen=True, slots=True)
class Numbering:
    """The objects of one frame, numbered from 1.

    Parameters
    ----------
    names
        (K,) every name that any piece uses, in order.
    numbers
        (K,) what it is called in the result; 0 for what is left out.
    sizes
        (N,) voxels of the objects 1 … N.
    centres
        (N, 3) in voxels of the image.
    probability
        (N,) calibrated.
    homes
        (N,) the name of each in its own tile.
    """

    names: npt.NDArray[np.int64]
    numbers: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]
    centres: npt.NDArray[np.float64]
    probability: npt.NDArray[np.float64]
    homes: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.sizes)

    def of(self, piece: Piece) -> npt.NDArray[np.int64]:
        """The labels of a piece, with numbers for names."""
        table = np.zeros(len(piece.names) + 1, dtype=np.int64)
        if len(piece.names):
            table[1:] = self.numbers[np.searchsorted(self.names, piece.names)]
        return table[piece.labels]


def number_objects(pieces: Sequence[Piece], voxel_diameters: npt.ArrayLike, smallest: float) -> Numbering:
    """Number the objects of one frame, in the order of their names, which is from top to bottom.

    An object whose own tile did not see its centre, though a neighbour did, is taken to be that tile's nearest one, if that
    is as good as the same; else it stands for itself.

    Parameters
    ----------
    pieces
        All of the frame; their labels are not looked at.
    voxel_diameters
        Edge lengths (z, y, x) of an image voxel in nucleus diameters.
    smallest
        Objects of fewer voxels are left out.
    """
    names = np.concatenate([np.zeros(0, dtype=np.int64), *(piece.names for piece in pieces)])
    owned = np.concatenate([np.zeros(0, dtype=bool), *(piece.owned for piece in pieces)])
    sizes = np.concatenate([np.zeros(0, dtype=np.int64), *(piece.sizes for piece in pieces)])
    centres = np.concatenate([np.zeros((0, 3)), *(piece.centres for piece in pieces)])
    probability = np.concatenate([np.zeros(0), *(piece.probability for piece in pieces)])
    # of several that see an object, the one that owns it says where it is
    order = np.lexsort((~owned, names))
    every, first, index = np.unique(names[order], return_index=True, return_inverse=True)
    of_name = order[first]
    voxels = np.bincount(index.reshape(-1), sizes[order], minlength=len(every)).astype(np.int64)
    stands_for = _adopted(centres[of_name], owned[of_name], np.asarray(voxel_diameters, dtype=float))
    voxels = np.bincount(stands_for, voxels, minlength=len(every)).astype(np.int64)
    kept = (voxels >= max(1, smallest)) & (stands_for == np.arange(len(every)))
    number = np.where(kept, np.cumsum(kept), 0)
    rows = of_name[kept]
    return Numbering(every, number[stands_for], voxels[kept], centres[rows], probability[rows], every[kept])


def _adopted(
    centres: npt.NDArray[np.float64], owned: npt.NDArray[np.bool_], scale: npt.NDArray[np.float64]
) -> npt.NDArray[np.int64]:
    """Which row each one stands for: itself, or the owned one that is as good as the same."""
    from scipy.spatial import cKDTree

    rows = np.arange(len(owned))
    if owned.all() or not owned.any():
        return rows
    home = np.flatnonzero(owned)
    gap, nearest = cKDTree(centres[home] * scale).query(centres[~owned] * scale, distance_upper_bound=SAME_DIAMETERS)
    rows[~owned] = np.where(np.isfinite(gap), home[np.minimum(nearest, len(home) - 1)], rows[~owned])
    return rows


def _small(labels: npt.NDArray[np.int32]) -> npt.NDArray[Any]:
    """The same values in the smallest type that holds them."""
    return labels.astype(np.min_scalar_type(int(labels.max(initial=0))))
