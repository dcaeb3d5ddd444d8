"""Tiles that cover a volume: each reads a core and a halo, and answers for its core alone."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from anlage.errors import AnlageError

__all__ = ["Tile", "tiles"]

Slices = tuple[slice, slice, slice]


@dataclass(frozen=True, slots=True)
class Tile:
    """One piece of a volume (z, y, x).

    Parameters
    ----------
    read
        What to read of the whole: the core and its halo, clipped to the volume.
    core
        The part of the whole that this tile answers for; the cores of all tiles cover the volume once.
    core_in_read
        The same part, counted from the start of what was read.
    keep_low_zyx, keep_high_zyx
        Bounds of the positions that belong to the core, in voxels of the whole: half a voxel before its first and
        after its last voxel, and without limit where the core ends at the volume's wall.
    """

    read: Slices
    core: Slices
    core_in_read: Slices
    keep_low_zyx: tuple[float, float, float]
    keep_high_zyx: tuple[float, float, float]

    @property
    def offset_zyx(self) -> tuple[int, int, int]:
        """Position of the first voxel read, in the whole."""
        z, y, x = (int(s.start) for s in self.read)
        return (z, y, x)

    @property
    def read_shape(self) -> tuple[int, int, int]:
        z, y, x = (int(s.stop - s.start) for s in self.read)
        return (z, y, x)

    def keeps(self, positions_zyx: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Which positions (N, 3), in voxels of the whole, belong to this tile: each belongs to exactly one.

        Ask with the voxel of a peak rather than its sub-voxel centre: two tiles agree about the voxel, while their
        centres may fall on either side of a border and be kept twice or never.
        """
        p = np.asarray(positions_zyx, dtype=np.float64).reshape(-1, 3)
        inside = (p >= np.array(self.keep_low_zyx)) & (p < np.array(self.keep_high_zyx))
        return np.asarray(inside.all(axis=1), dtype=bool)


def tiles(
    shape_zyx: Sequence[int],
    core_zyx: Sequence[int],
    halo_zyx: Sequence[int],
    *,
    multiple_zyx: Sequence[int] = (1, 1, 1),
) -> list[Tile]:
    """Cut a volume into tiles.

    Cores are made equal, at most `core_zyx` and never a sliver: 130 voxels with cores of 128 give 65 + 65.

    Parameters
    ----------
    shape_zyx
        Shape of the volume in voxels.
    core_zyx
        Largest core in voxels; rounded down to a multiple.
    halo_zyx
        Context around a core in voxels; rounded up to a multiple.
    multiple_zyx
        Cores and reads begin on multiples of this, so that a network with that stride sees the same grid in every
        tile.

    Raises
    ------
    AnlageError
        If a length is not positive, or a halo is negative.
    """
    shape, core, halo, multiple = (
        tuple(int(v) for v in given) for given in (shape_zyx, core_zyx, halo_zyx, multiple_zyx)
    )
    if min(*shape, *core, *multiple) < 1 or min(halo) < 0:
        raise AnlageError(
            f"A volume of shape {shape} cannot be cut into tiles of core {core} and halo {halo} at multiples of "
            f"{multiple} (z, y, x): every length must be at least 1 and a halo at least 0."
        )
    axes = [_cut(*lengths) for lengths in zip(shape, core, halo, multiple, strict=True)]
    return [_tile(z, y, x, shape) for z, y, x in itertools.product(*axes)]


@dataclass(frozen=True, slots=True)
class _Piece:
    """One tile's extent along one axis, in voxels."""

    core: slice
    read: slice


def _cut(length: int, core: int, halo: int, multiple: int) -> list[_Piece]:
    units = -(-length // multiple)
    n = -(-units // max(1, core // multiple))
    halo = -(-halo // multiple) * multiple
    edges = [min(length, round(i * units / n) * multiple) for i in range(n + 1)]
    return [
        _Piece(slice(low, high), slice(max(0, low - halo), min(length, high + halo)))
        for low, high in itertools.pairwise(edges)
    ]


def _tile(z: _Piece, y: _Piece, x: _Piece, shape: tuple[int, ...]) -> Tile:
    pieces = (z, y, x)
    low = tuple(-np.inf if p.core.start == 0 else p.core.start - 0.5 for p in pieces)
    high = tuple(np.inf if p.core.stop == n else p.core.stop - 0.5 for p, n in zip(pieces, shape, strict=True))
    within = tuple(slice(p.core.start - p.read.start, p.core.stop - p.read.start) for p in pieces)
    return Tile(
        read=(z.read, y.read, x.read),
        core=(z.core, y.core, x.core),
        core_in_read=(within[0], within[1], within[2]),
        keep_low_zyx=(low[0], low[1], low[2]),
        keep_high_zyx=(high[0], high[1], high[2]),
    )
