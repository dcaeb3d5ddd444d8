"""Convolution layers: those of torch, except where they are unreliable."""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["Conv3d"]


class Conv3d(nn.Conv3d):
    """`torch.nn.Conv3d`; of two planes, in bfloat16 on the CPU, in float32.

    There the gradient of a kernel that is three planes deep is partly read from memory that nobody wrote (torch 2.13 with oneDNN on
    processors with AVX512-BF16): it differs from run to run and is sometimes no number.
    """

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002 (torch's name)
        thin = input.shape[2] == 2 and self.kernel_size[0] > 1
        if not thin or input.device.type != "cpu" or not torch.is_autocast_enabled("cpu"):
            return super().forward(input)
        with torch.autocast("cpu", enabled=False):
            return super().forward(input.float()).to(torch.get_autocast_dtype("cpu"))
