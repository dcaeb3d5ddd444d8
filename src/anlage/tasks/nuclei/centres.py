"""The head that finds centres: a heat-map and, for every cell near a nucleus, the offset to its centre.

The heat-map is the *maximum* over nuclei of a Gaussian drawn at the true, sub-cell centre, so that neighbours do not pull
each other (as a sum or a distance transform would); the offset makes centres sub-cell. Decoding lets every warm cell vote
for where its nucleus' centre lies, and keeps the warmest vote of each neighbourhood: two nuclei whose warm cells touch
still give two clusters of votes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from scipy.spatial import cKDTree
from torch.nn import functional

from anlage.blobs import suppress

__all__ = ["LOWEST", "Detections", "centre_loss", "centre_target", "decode_centres"]

LOWEST = 0.05
"""Cells less probable than this, before calibration, are usually not looked at."""


def centre_target(
    centres: Sequence[torch.Tensor],
    shape_zyx: Sequence[int],
    cell_diameters: Sequence[float],
    sigma: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw what the network should say.

    Parameters
    ----------
    centres
        For each image of the batch (N, 3): centres (z, y, x) in cells.
    shape_zyx
        Cells of the grid.
    cell_diameters
        Edge lengths (z, y, x) of a cell in nucleus diameters.
    sigma
        Standard deviation of the Gaussian in nucleus diameters.

    Returns
    -------
    heat
        (B, 1, Z, Y, X), 0 to 1.
    offset
        (B, 3, Z, Y, X): from the cell to the nearest centre, in cells.
    """
    device = centres[0].device
    cell = torch.tensor(cell_diameters, dtype=torch.float32, device=device)
    axes = [torch.arange(n, dtype=torch.float32, device=device) for n in shape_zyx]
    cells = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).reshape(-1, 3)
    heat = torch.zeros(len(centres), 1, *shape_zyx, device=device)
    offset = torch.zeros(len(centres), 3, *shape_zyx, device=device)
    for b, points in enumerate(centres):
        if len(points) == 0:
            continue
        nearest, squared = _nearest(cells, points.float(), cell)
        heat[b, 0] = torch.exp(-squared / (2 * sigma**2)).reshape(*shape_zyx)
        offset[b] = (points.float()[nearest] - cells).T.reshape(3, *shape_zyx)
    return heat, offset


def centre_loss(
    output: torch.Tensor,
    heat: torch.Tensor,
    offset: torch.Tensor,
    known: torch.Tensor,
) -> dict[str, torch.Tensor]:
    """Loss of the two outputs where something is known.

    The heat-map's is the quality focal loss (Li et al. 2020, arXiv:2006.04388): binary cross-entropy with a soft target,
    weighted by the squared error, per unit of target. The offset's is a smooth L1, weighted by the target's warmth.

    Parameters
    ----------
    output
        (B, 4, Z, Y, X) logits and offsets of the network.
    heat, offset
        The target, see `centre_target`.
    known
        (B, 1, Z, Y, X): 1 where annotation is complete, else 0.
    """
    logits = output[:, :1].float()
    error = functional.binary_cross_entropy_with_logits(logits, heat, reduction="none")
    focus = (torch.sigmoid(logits).detach() - heat).abs()
    heat_sum = (heat * known).sum().clamp(min=1.0)
    heat_loss = (known * focus * error).sum() / heat_sum
    warm = known * heat * (heat > 0.1)
    offset_error = functional.smooth_l1_loss(output[:, 1:4].float(), offset, reduction="none", beta=0.1)
    offset_loss = (warm * offset_error).sum() / warm.sum().clamp(min=1.0)
    return {"heat": heat_loss, "offset": offset_loss}


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
        Cells with a lower probability are not looked at.
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


def _nearest(cells: torch.Tensor, points: torch.Tensor, cell: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Nearest point of each cell, and the squared distance in diameters."""
    # not by matrix multiplication: that loses the sub-cell digits, and differs from device to device
    distance = torch.cdist(cells * cell, points * cell, compute_mode="donot_use_mm_for_euclid_dist")
    best, nearest = distance.min(dim=1)
    return nearest, best.square()


def _refined(
    votes: npt.NDArray[np.float64],
    logits: npt.NDArray[np.float64],
    kept: npt.NDArray[np.intp],
    scale: npt.NDArray[np.float64],
    distance: float,
) -> npt.NDArray[np.float64]:
    """Mean of the votes nearest to each centre, weighted by probability."""
    gap, nearest = cKDTree(votes[kept] * scale).query(votes * scale, distance_upper_bound=distance / 2)
    near = np.isfinite(np.asarray(gap))
    owner = np.asarray(nearest)
    # fainter votes count for faint centres only, so that a centre lies at the same place however low one looks
    near[near] = logits[near] >= np.minimum(logits[kept][owner[near]], np.log(LOWEST / (1 - LOWEST)))
    weight = 1 / (1 + np.exp(-logits[near]))
    total = np.bincount(owner[near], weight, minlength=len(kept))
    sums = [np.bincount(owner[near], weight * votes[near, axis], minlength=len(kept)) for axis in range(3)]
    return np.stack(sums, axis=1) / total[:, None]
