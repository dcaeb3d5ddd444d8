"""A classifier of image crops: the U-Net's encoder and a read-out.

The plan of stem, strides and kernels is that of `anlage.networks.unet`. Features are normalised over the whole crop in groups
of channels (Wu & He 2018, arXiv:1803.08494), not cell by cell: every crop has the same size, so nothing speaks against it, and
that chromosomes outshine their surroundings, which is what tells a division, is kept. What is left at the coarsest level is
read place by place, not averaged: whether the nucleus in the middle divides, or its neighbour, is a matter of place.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from anlage.networks.convolution import Conv3d
from anlage.networks.unet import ResidualBlock, space_to_depth

__all__ = ["CropNetwork"]

Zyx = tuple[int, int, int]


def _norm(width: int) -> nn.GroupNorm:
    return nn.GroupNorm(4, width)


class CropNetwork(nn.Module):
    """(B, C, Z, Y, X) crops of one shape → (B,) logits.

    Parameters
    ----------
    n_in
        Channels of a crop.
    shape_zyx
        Its voxels, a multiple of `stem`.
    stem
        Voxels (z, y, x) folded into one cell.
    strides
        Downsampling (z, y, x) from each level to the next.
    widths
        Channels of each level, multiples of 4; one more than `strides`.
    kernels
        Convolution kernel (z, y, x) of each level.
    hidden
        Width of the read-out.
    """

    def __init__(
        self,
        n_in: int,
        shape_zyx: Zyx,
        *,
        stem: Zyx,
        strides: Sequence[Zyx],
        widths: Sequence[int],
        kernels: Sequence[Zyx],
        hidden: int = 64,
    ) -> None:
        super().__init__()
        self.stem = stem
        self.enter = Conv3d(n_in * stem[0] * stem[1] * stem[2], widths[0], kernels[0], padding=_same(kernels[0]))
        self.encoder = nn.ModuleList(ResidualBlock(w, k, _norm) for w, k in zip(widths, kernels, strict=True))
        self.down = nn.ModuleList(
            nn.Sequential(_norm(a), nn.SiLU(), Conv3d(a, b, k, stride=s, padding=_same(k)))
            for a, b, k, s in zip(widths[:-1], widths[1:], kernels[1:], strides, strict=True)
        )
        cells = [n // s for n, s in zip(shape_zyx, stem, strict=True)]
        for stride in strides:
            cells = [-(-n // s) for n, s in zip(cells, stride, strict=True)]
        self.norm = _norm(widths[-1])
        self.read = nn.Sequential(
            nn.Dropout(0.2), nn.Linear(widths[-1] * cells[0] * cells[1] * cells[2], hidden), nn.SiLU()
        )
        self.leave = nn.Linear(hidden, 1)

    def begin_with(self, logit: float) -> None:
        """Let a fresh network say this of almost everything."""
        with torch.no_grad():
            self.leave.weight.mul_(0.1)
            self.leave.bias.fill_(logit)

    def forward(self, image_BCZYX: torch.Tensor) -> torch.Tensor:
        x = self.enter(space_to_depth(image_BCZYX, self.stem))
        for block, down in zip(self.encoder[:-1], self.down, strict=True):
            x = down(block(x))
        x = functional.silu(self.norm(self.encoder[-1](x)))
        logits: torch.Tensor = self.leave(self.read(x.flatten(1)))[:, 0]
        return logits


def _same(kernel: Zyx) -> Zyx:
    return (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2)
