"""From a network's heat-map and offsets to centres. Loads no torch.

Every warm cell votes for where its nucleus' centre lies, and of each neighbourhood the warmest vote is kept: two nuclei whose
warm cells touch still give two clusters of votes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from anlage.blobs import suppress

__all__ = ["LOWEST", "Detections", "decode_centres"]

LOWEST = 0.05
"""Cells less probable than this, before calibration, usually count as background."""


@dataclass(frozen=True, slots=True)
class Detections:
    """Possible centres, the most likely first."""

    cells: npt.NDArray[np.float64]
    """(N, 3) positions (z, y, x) in cells."""
    logits: npt.NDArray[np.float64]
    """(N,) uncalibrated logit of being a centre."""
    peaks: npt.NDArray[np.int64]
    """(N, 3) the warmest cell (z, y, x) of each: where a tile and its neighbour agree to the last digit."""


def decode_centres(
    heat_logits: npt.NDArray[np.float32],
    offsets: npt.NDArray[np.float32],
    cell_diameters: npt.ArrayLike,
    *,
    lowest: float = LOWEST,
    distance: float = 0.3,
) -> Detections:
    """Find centres in a network's output.

    Parameters
    ----------
    heat_logits
        (Z, Y, X).
    offsets
        (3, Z, Y, X) in cells.
    cell_diameters
        Edge lengths (z, y, x) of a cell in nucleus diameters.
    lowest
        Cells with a lower probability are left out.
    distance
        Two centres are never closer than this many nucleus diameters.
    """
    floor = float(np.log(lowest / (1 - lowest)))
    warm = np.nonzero(heat_logits > floor)
    cells = np.stack(warm, axis=1).astype(np.float64)
    logits = heat_logits[warm].astype(np.float64)
    if len(cells) == 0:
        return Detections(cells, logits, cells.astype(np.int64))
    votes = cells + np.stack([offset[warm] for offset in offsets], axis=1)
    scale = np.asarray(cell_diameters, dtype=float)
    kept = suppress(votes * scale, logits, distance)
    centres = _refined(votes, logits, kept, scale, distance)
    upper = np.array(heat_logits.shape) - 0.5
    return Detections(np.clip(centres, -0.5, upper - 1e-6), logits[kept], cells[kept].astype(np.int64))


def _refined(
    votes: npt.NDArray[np.float64],
    logits: npt.NDArray[np.float64],
    kept: npt.NDArray[np.intp],
    scale: npt.NDArray[np.float64],
    distance: float,
) -> npt.NDArray[np.float64]:
    """Mean of the votes nearest to each centre, weighted by probability."""
    from scipy.spatial import cKDTree

    gap, nearest = cKDTree(votes[kept] * scale).query(votes * scale, distance_upper_bound=distance / 2)
    near = np.isfinite(np.asarray(gap))
    owner = np.asarray(nearest)
    # fainter votes count for faint centres only, so that a centre lies at the same place however low the threshold is
    near[near] = logits[near] >= np.minimum(logits[kept][owner[near]], np.log(LOWEST / (1 - LOWEST)))
    weight = 1 / (1 + np.exp(-logits[near]))
    total = np.bincount(owner[near], weight, minlength=len(kept))
    sums = [np.bincount(owner[near], weight * votes[near, axis], minlength=len(kept)) for axis in range(3)]
    return np.stack(sums, axis=1) / total[:, None]
