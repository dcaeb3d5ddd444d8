"""The loss of a network that gives every voxel a class."""

from __future__ import annotations

import torch
from torch.nn import functional

from anlage.networks.unet import depth_to_space

__all__ = ["class_loss"]

_RAREST = 0.02
"""A class rarer than this in a batch is weighted as if it were as common: else a single voxel would rule."""


def class_loss(output: torch.Tensor, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Cross-entropy, each class weighted by the inverse root of its share, and soft Dice over the classes.

    Parameters
    ----------
    output
        (B, K·voxels of a cell, Z, Y, X) for cells.
    batch
        ``class`` (B, 1, Z, Y, X) numbers of classes and ``painted``, 1 where they are known.
    """
    shape = batch["class"].shape[2:]
    stem = [n // m for n, m in zip(shape, output.shape[2:], strict=True)]
    logits = depth_to_space(output, stem).float()
    painted, number = batch["painted"], batch["class"][:, 0]
    n_classes = logits.shape[1]
    true = functional.one_hot(number, n_classes).movedim(-1, 1).float() * painted
    total = painted.sum().clamp(min=1.0)
    share = true.sum(dim=(0, 2, 3, 4)) / total
    weight = share.clamp(min=_RAREST).rsqrt() * (share > 0)
    weight = weight / (weight * share).sum().clamp(min=1e-6)
    error = functional.cross_entropy(logits, number, reduction="none")[:, None]
    of_class = weight[number][:, None] * painted
    cross = (of_class * error).sum() / total
    probability = torch.softmax(logits, dim=1) * painted
    both = 2 * (probability * true).sum(dim=(0, 2, 3, 4))
    either = probability.sum(dim=(0, 2, 3, 4)) + true.sum(dim=(0, 2, 3, 4))
    there = share > 0
    dice = (1 - (both + 1) / (either + 1))[there].mean() if bool(there.any()) else both.sum() * 0
    return {"class": cross, "dice": dice}
