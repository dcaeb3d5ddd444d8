"""Resample images with a triangle filter: linear interpolation upwards, area-weighted averaging downwards."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

__all__ = ["resample"]

_SHORT = 512
"""Voxels along an axis up to which a matrix product is faster than gathering."""


def resample(
    image: torch.Tensor,
    step_zyx: Sequence[float],
    shape_zyx: Sequence[int],
    shift_zyx: Sequence[float] = (0.0, 0.0, 0.0),
) -> torch.Tensor:
    """Resample the last three axes (…, Z, Y, X).

    Output voxel i has its centre at input position (i + ½)·step − ½ + shift. Each axis is filtered on its own; where the step is
    larger than 1 the triangle widens with it, so that nothing aliases (as in antialiased image scaling).

    Parameters
    ----------
    image
        Float tensor (…, Z, Y, X) without NaN.
    step_zyx
        Input voxels per output voxel.
    shape_zyx
        Voxels of the result.
    shift_zyx
        Where the result begins, in input voxels: a piece is resampled as the whole would be.
    """
    for offset, (step, n_out, shift) in enumerate(zip(step_zyx, shape_zyx, shift_zyx, strict=True)):
        axis = image.ndim - 3 + offset
        if step != 1 or n_out != image.shape[axis] or shift != 0:
            image = _along(image, axis, float(step), int(n_out), float(shift))
    return image


def _along(image: torch.Tensor, axis: int, step: float, n_out: int, shift: float) -> torch.Tensor:
    n_in = image.shape[axis]
    reach = max(step, 1.0)
    centre = (torch.arange(n_out, dtype=torch.float64, device=image.device) + 0.5) * step - 0.5 + shift
    first = torch.ceil(centre - reach)
    taps = [(first + k, 1 - (first + k - centre).abs() / reach) for k in range(math.ceil(2 * reach) + 1)]
    total = sum(weight.clamp(min=0) for _, weight in taps)
    if n_in <= _SHORT:
        weights = torch.zeros(n_out, n_in, dtype=torch.float64, device=image.device)
        for index, weight in taps:
            weights.scatter_add_(1, index.long().clamp(0, n_in - 1)[:, None], (weight.clamp(min=0) / total)[:, None])
        return _multiplied(weights.to(image.dtype), image, axis)
    shape = [1] * image.ndim
    shape[axis] = n_out
    result = torch.zeros([*image.shape[:axis], n_out, *image.shape[axis + 1 :]], dtype=image.dtype, device=image.device)
    for index, weight in taps:
        scaled = (weight.clamp(min=0) / total).to(image.dtype).reshape(shape)
        result.addcmul_(image.index_select(axis, index.long().clamp(0, n_in - 1)), scaled)
    return result


def _multiplied(weights: torch.Tensor, image: torch.Tensor, axis: int) -> torch.Tensor:
    """Weights (n_out, n_in) times an image along one axis."""
    shape = (*image.shape[:axis], len(weights), *image.shape[axis + 1 :])
    if axis == image.ndim - 1:
        return (image.reshape(-1, image.shape[axis]) @ weights.T).reshape(shape)
    before, after = math.prod(image.shape[:axis]), math.prod(image.shape[axis + 1 :])
    return torch.matmul(weights, image.reshape(before, image.shape[axis], after)).reshape(shape)
