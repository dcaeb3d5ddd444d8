"""What a network that finds centres should say, and the loss of what it says.

The heat-map is the *maximum* over nuclei of a Gaussian drawn at the true, sub-cell centre, so that neighbours do not pull
each other (as a sum or a distance transform would); the offset, for every cell near a nucleus, makes centres sub-cell.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch.nn import functional

from anlage.tasks.nuclei.working_frames import Patches

__all__ = ["centre_loss", "centre_target", "centres_of"]

REACH = 5.0
"""Each Gaussian is drawn up to so many standard deviations: it is below 4e-6 there."""
AT_ONCE = 256
"""Points that are drawn at once, which bounds the memory of a whole frame."""


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
        (B, 3, Z, Y, X): from the cell to the nearest centre, in cells; 0 where the Gaussian of none reaches.
    """
    device, cells = centres[0].device, math.prod(shape_zyx)
    points = torch.cat(list(centres)).float()
    owner = torch.repeat_interleave(torch.tensor([len(one) for one in centres]), output_size=len(points)).to(device)
    size = torch.tensor(shape_zyx, device=device)
    cell = torch.tensor(cell_diameters, dtype=torch.float32, device=device)
    window = _window(cell_diameters, shape_zyx, REACH * sigma).to(device)
    # one cell more: what falls out of the image lands there
    squared = torch.full((len(centres) * cells + 1,), torch.inf, device=device)
    offset = torch.zeros(len(squared), 3, device=device)
    for some, image in zip(torch.split(points, AT_ONCE), torch.split(owner, AT_ONCE), strict=True):
        at = some.round().long()[:, None] + window
        inside = ((at >= 0) & (at < size)).all(dim=-1)
        z, y, x = at.unbind(dim=-1)
        index = torch.where(inside, ((image[:, None] * size[0] + z) * size[1] + y) * size[2] + x, len(squared) - 1)
        away = some[:, None] - at
        distance = (away * cell).square().sum(dim=-1)
        nearer = distance < squared[index]
        squared.scatter_reduce_(0, index.flatten(), distance.flatten(), "amin")
        nearest = nearer & (distance == squared[index])
        offset[torch.where(nearest, index, len(squared) - 1)] = away
    heat = torch.exp(-squared[:-1] / (2 * sigma**2)).reshape(len(centres), 1, *shape_zyx)
    return heat, offset[:-1].reshape(len(centres), *shape_zyx, 3).movedim(-1, 1)


def _window(cell_diameters: Sequence[float], shape_zyx: Sequence[int], reach: float) -> torch.Tensor:
    """(W, 3) steps (z, y, x) to the cells around a point that lie within a reach in nucleus diameters."""
    most = [min(math.ceil(reach / d + 0.5), n) for d, n in zip(cell_diameters, shape_zyx, strict=True)]
    steps = torch.stack(torch.meshgrid(*(torch.arange(-n, n + 1) for n in most), indexing="ij"), dim=-1).reshape(-1, 3)
    # of a point anywhere in the middle cell
    gap = (steps.abs() - 0.5).clamp(min=0) * torch.tensor(cell_diameters)
    return steps[gap.norm(dim=-1) <= reach]


def centres_of(patches: Patches) -> dict[str, torch.Tensor]:
    """Heat-map, offsets and the cells where they are known, of the centres in patches."""
    plan, stem = patches.plan, patches.plan.grid.stem
    cells = [n // s for n, s in zip(plan.patch_zyx, stem, strict=True)]
    reach = torch.tensor(REACH * plan.sigma / plan.grid.cell_diameters) + 1
    in_cells = [(one + 0.5) / torch.tensor(stem) - 0.5 for one in patches.points]
    near = [one[((one > -reach) & (one < torch.tensor(cells) + reach)).all(dim=1)] for one in in_cells]
    heat, offset = centre_target(
        [one.to(patches.known.device) for one in near], cells, plan.grid.cell_diameters.tolist(), plan.sigma
    )
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
