"""From votes to objects: which voxel belongs to which centre. Loads no torch.

Decoding is local: a voxel that is inside goes to the centre nearest to where it votes, so that objects that touch
separate, and a piece of an image is decoded as the whole would be.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

__all__ = ["REACH", "assign_to_seeds"]

REACH = 0.5
"""A voxel whose vote lies farther than this from every centre, in nucleus diameters, belongs to none."""
_AT_ONCE = 1 << 20
"""Voxels that are assigned at a time: what is in memory."""


def assign_to_seeds(
    inside: npt.NDArray[np.bool_],
    votes: npt.NDArray[np.floating],
    positions: Sequence[npt.NDArray[np.floating]],
    seeds: npt.NDArray[np.floating],
    cell_diameters: npt.ArrayLike,
    *,
    reach: float = REACH,
) -> npt.NDArray[np.int32]:
    """Give each voxel that is inside to the seed nearest to where it votes.

    Parameters
    ----------
    inside
        (Z, Y, X).
    votes
        (3, Z, Y, X) in cells.
    positions
        Positions of the voxels along z, y and x, in cells.
    seeds
        (N, 3) centres in cells.
    cell_diameters
        Edge lengths (z, y, x) of a cell in nucleus diameters.
    reach
        Greatest distance of a vote from its seed in nucleus diameters.

    Returns
    -------
    rows
        (Z, Y, X): 1 + the seed's row, 0 for none.
    """
    rows = np.zeros(inside.shape, dtype=np.int32)
    if not len(seeds):
        return rows
    scale = np.asarray(cell_diameters, dtype=np.float32)
    tree = cKDTree(np.asarray(seeds) * scale)
    planes = max(1, _AT_ONCE // max(1, inside[0].size))
    for low in range(0, len(inside), planes):
        slab = slice(low, low + planes)
        at = np.nonzero(inside[slab])
        if len(at[0]):
            here = (positions[0][slab], *positions[1:])
            voted = [(here[axis][at[axis]] + votes[axis, slab][at]) * scale[axis] for axis in range(3)]
            gap, nearest = tree.query(np.stack(voted, axis=1), distance_upper_bound=reach)
            rows[slab][at] = np.where(np.isfinite(gap), np.asarray(nearest) + 1, 0)
    return rows
