"""The head that paints objects: beside the centres, for every working voxel whether it is inside an object, and of which.

Heat-map and offsets stay on the coarse grid of cells; only what draws the outline is said for every voxel: the logit of
being inside, and the vote, that is the step to the centre of the object that the voxel belongs to. How objects are made
of these stands in `anlage.tasks.nuclei.votes`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from anlage.tasks.nuclei.config import N_CENTRE

__all__ = ["fine_outputs", "mask_loss", "unfold", "vote_target"]


def unfold(output: torch.Tensor, stem: Sequence[int]) -> torch.Tensor:
    """Outputs of cells → of working voxels: (B, K·sz·sy·sx, Z, Y, X) → (B, K, Z·sz, Y·sy, X·sx)."""
    b, channels, z, y, x = output.shape
    sz, sy, sx = stem
    k = channels // (sz * sy * sx)
    split = output.reshape(b, k, sz, sy, sx, z, y, x).permute(0, 1, 5, 2, 6, 3, 7, 4)
    return split.reshape(b, k, z * sz, y * sy, x * sx)


def fine_outputs(
    output: npt.NDArray[np.float32], stem: Sequence[int], shape_zyx: Sequence[int], skip: int = N_CENTRE
) -> npt.NDArray[np.float32]:
    """What a network says of each working voxel: (K, *shape_zyx), of its output (C, Z, Y, X) for cells."""
    fine = unfold(torch.from_numpy(output[None, skip:]), stem)[0].numpy()
    z, y, x = shape_zyx
    return fine[:, :z, :y, :x]


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


def mask_loss(fine: torch.Tensor, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
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
