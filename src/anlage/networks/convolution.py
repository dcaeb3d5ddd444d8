"""Convolution layers: those of torch, except where they are unreliable."""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["Conv3d"]


class Conv3d(nn.Conv3d):
    """`torch.nn.Conv3d` without two of its weaknesses on the CPU.

    In bfloat16 the gradient of a kernel that is three planes deep, of an image of two planes, is partly read from memory that nobody
    wrote (torch 2.13 with oneDNN on processors with AVX512-BF16): it differs from run to run and is sometimes no number. Such
    layers work in float32.

    In float32 torch gives a small image that comes alone to a routine of its own, which takes several times as long as oneDNN. Where
    no gradient is wanted, oneDNN is called in its place.
    """

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002 (torch's name)
        if input.device.type != "cpu":
            return super().forward(input)
        if not torch.is_autocast_enabled("cpu"):
            return self._alone(input) if len(input) == 1 and not torch.is_grad_enabled() else super().forward(input)
        if input.shape[2] != 2 or self.kernel_size[0] == 1:
            return super().forward(input)
        with torch.autocast("cpu", enabled=False):
            return super().forward(input.float()).to(torch.get_autocast_dtype("cpu"))

    def _alone(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002
        """The same for a batch of one, without a gradient."""
        padding = self.padding
        usual = self.padding_mode == "zeros" and input.dtype == torch.float32
        if isinstance(padding, str) or not usual or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
            return super().forward(input)
        return torch.mkldnn_convolution(input, self.weight, self.bias, padding, self.stride, self.dilation, self.groups)
