"""What a network that finds centres should say, and the loss of what it says.

The heat-map is the *maximum* over nuclei of a Gaussian drawn at the true, sub-cell centre, so that neighbours do not pull
each other (as a sum or a distance transform would); the offset, for every cell near a nucleus, makes centres sub-cell.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional

from anlage.tasks.nuclei.working_frames import Patches

__all__ = ["centre_loss", "centre_target", "centres_of"]


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


def centres_of(patches: Patches) -> dict[str, torch.Tensor]:
    """Heat-map, offsets and the cells where they are known, of the centres in patches."""
    plan, stem = patches.plan, patches.plan.grid.stem
    cells = [n // s for n, s in zip(plan.patch_zyx, stem, strict=True)]
    in_cells = [((one + 0.5) / torch.tensor(stem) - 0.5).to(patches.known.device) for one in patches.points]
    heat, offset = centre_target(in_cells, cells, plan.grid.cell_diameters.tolist(), plan.sigma)
    return {"heat": heat, "offset": offset, "known": (functional.avg_pool3d(patches.known, stem) > 0.5).float()}


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


def _nearest(cells: torch.Tensor, points: torch.Tensor, cell: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Nearest point of each cell, and the squared distance in diameters."""
    # not by matrix multiplication: that loses the sub-cell digits, and differs from device to device
    distance = torch.cdist(cells * cell, points * cell, compute_mode="donot_use_mm_for_euclid_dist")
    best, nearest = distance.min(dim=1)
    return nearest, best.square()
