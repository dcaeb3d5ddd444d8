"""What a network that outlines objects should say of working voxels, and the loss of what it says.

Heat-map and offsets stay on the coarse grid of cells; only what draws the outline is said for every working voxel: the logit
of being inside an object, and the vote, that is the step to the centre of the object that the voxel belongs to.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional

from anlage.tasks.nuclei.working_frames import Patches

__all__ = ["outline_loss", "outlines_of", "vote_target"]


def vote_target(values: torch.Tensor, points: Sequence[torch.Tensor], stem: Sequence[int]) -> torch.Tensor:
    """Step from each working voxel to the centre of its object, in cells: (B, 3, Z, Y, X); 0 where it has none.

    Parameters
    ----------
    values
        (B, 1, Z, Y, X): 1 + row of the object's centre, else 0 or less.
    points
        For each image (N, 3): centres (z, y, x) in working voxels.
    stem
        Working voxels per cell.
    """
    device = values.device
    shape = values.shape[2:]
    axes = [torch.arange(n, dtype=torch.float32, device=device) for n in shape]
    at = torch.stack(torch.meshgrid(*axes, indexing="ij"))
    cell = torch.tensor(stem, dtype=torch.float32, device=device)[:, None, None, None]
    result = torch.zeros(len(points), 3, *shape, device=device)
    for b, centre in enumerate(points):
        row = values[b, 0].long() - 1
        owned = row >= 0
        if len(centre) and bool(owned.any()):
            of_each = centre.to(device).float()[row.clamp(min=0)].permute(3, 0, 1, 2)
            result[b] = torch.where(owned, (of_each - at) / cell, 0.0)
    return result


def outlines_of(patches: Patches) -> dict[str, torch.Tensor]:
    """What is inside objects, the votes for their centres, and the working voxels where each is known, in patches."""
    values, inside, painted = patches.values, patches.inside, patches.painted
    assert values is not None and inside is not None and painted is not None  # noqa: S101, PT018  (the head paints them)
    vote = vote_target(values, patches.points, patches.plan.grid.stem)
    return {"inside": inside, "painted": painted, "vote": vote, "voted": painted * (values > 0)}


def outline_loss(fine: torch.Tensor, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Loss of the outputs for working voxels where something is known.

    For being inside binary cross-entropy plus the soft Dice loss (Milletari et al. 2016, arXiv:1606.04797), which does
    not mind how much background there is; for the vote smooth L1.

    Parameters
    ----------
    fine
        (B, 4, Z, Y, X) logit and votes.
    batch
        ``inside`` (B, 1, Z, Y, X) 0 to 1 and ``painted``, 1 where it is known; ``vote`` (B, 3, Z, Y, X) in cells and
        ``voted``, 1 where it is known.
    """
    inside, painted = batch["inside"], batch["painted"]
    logit = fine[:, :1].float()
    error = functional.binary_cross_entropy_with_logits(logit, inside, reduction="none")
    # per unit of what is inside, as the heat-map's; no weights by class: they would move the outline outwards
    cross = (painted * error).sum() / (inside * painted).sum().clamp(min=1.0)
    probability = torch.sigmoid(logit) * painted
    overlap = 2 * (probability * inside).sum() + 1
    dice = 1 - overlap / (probability.sum() + (inside * painted).sum() + 1)
    step = functional.smooth_l1_loss(fine[:, 1:4].float(), batch["vote"], reduction="none", beta=0.1)
    vote = (batch["voted"] * step).sum() / batch["voted"].sum().clamp(min=1.0)
    return {"inside": cross + dice, "vote": vote}
