"""A residual U-Net whose pooling follows the anisotropy of the voxels.

Full-resolution convolutions are what costs, so the first step folds blocks of voxels into channels (space-to-depth:
nothing is lost) and everything runs on the coarser grid of *cells*. Skips are summed, downsampling is a strided
convolution. Features are normalised over the channels of each cell (layer norm, as in Liu et al. 2022,
arXiv:2201.03545), never over space or the batch: a tile, a patch and a whole frame give the same answer, and a short
training has no running statistics to wait for.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import torch
from torch import nn
from torch.nn import functional

from anlage.networks.convolution import Conv3d

__all__ = ["UNet", "depth_to_space", "space_to_depth"]

Zyx = tuple[int, int, int]


def space_to_depth(image_BCZYX: torch.Tensor, block: Zyx) -> torch.Tensor:
    """Fold blocks of voxels into channels: (B, C, Z, Y, X) → (B, C·bz·by·bx, Z/bz, Y/by, X/bx)."""
    b, c, z, y, x = image_BCZYX.shape
    bz, by, bx = block
    folded = image_BCZYX.reshape(b, c, z // bz, bz, y // by, by, x // bx, bx)
    return folded.permute(0, 1, 3, 5, 7, 2, 4, 6).reshape(b, c * bz * by * bx, z // bz, y // by, x // bx)


def depth_to_space(output_BCZYX: torch.Tensor, block: Sequence[int]) -> torch.Tensor:
    """Unfold channels into blocks of voxels: (B, C·bz·by·bx, Z, Y, X) → (B, C, Z·bz, Y·by, X·bx)."""
    b, channels, z, y, x = output_BCZYX.shape
    bz, by, bx = block
    c = channels // (bz * by * bx)
    split = output_BCZYX.reshape(b, c, bz, by, bx, z, y, x).permute(0, 1, 5, 2, 6, 3, 7, 4)
    return split.reshape(b, c, z * bz, y * by, x * bx)


class ChannelNorm(nn.Module):
    """Mean 0 and variance 1 over the channels of each cell, then a learnt scale and shift for each channel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(width))
        self.shift = nn.Parameter(torch.zeros(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # in the channels-last layout both permutations are views
        normal = functional.layer_norm(x.permute(0, 2, 3, 4, 1), self.scale.shape, self.scale, self.shift)
        return normal.permute(0, 4, 1, 2, 3)


class Silu(nn.Module):
    """The SiLU function; without a gradient in place, since nothing else needs what the norm before it made."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.silu(x, inplace=not torch.is_grad_enabled())


class ResidualBlock(nn.Module):
    """Two convolutions, each after norm and activation, beside an identity."""

    def __init__(self, width: int, kernel: Zyx, norm: Callable[[int], nn.Module] = ChannelNorm) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            norm(width),
            Silu(),
            Conv3d(width, width, kernel, padding=_same(kernel), bias=False),
            norm(width),
            Silu(),
            Conv3d(width, width, kernel, padding=_same(kernel)),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = x + self.branch(x)
        return result


class UNet(nn.Module):
    """(B, C, Z, Y, X) image → (B, K, Z/sz, Y/sy, X/sx) logits on the grid of cells.

    Parameters
    ----------
    n_in, n_out
        Channels in and out.
    stem
        Voxels (z, y, x) folded into one cell.
    strides
        Downsampling (z, y, x) from each level to the next.
    widths
        Channels of each level; one more than `strides`.
    kernels
        Convolution kernel (z, y, x) of each level; (1, 3, 3) where planes are far apart or there is only one.
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        *,
        stem: Zyx,
        strides: Sequence[Zyx],
        widths: Sequence[int],
        kernels: Sequence[Zyx],
    ) -> None:
        super().__init__()
        self.stem, self.strides = stem, tuple(strides)
        self.enter = Conv3d(n_in * stem[0] * stem[1] * stem[2], widths[0], kernels[0], padding=_same(kernels[0]))
        self.encoder = nn.ModuleList(nn.Sequential(ResidualBlock(w, k)) for w, k in zip(widths, kernels, strict=True))
        self.down = nn.ModuleList(
            nn.Sequential(ChannelNorm(a), Conv3d(a, b, k, stride=s, padding=_same(k)))
            for a, b, k, s in zip(widths[:-1], widths[1:], kernels[1:], strides, strict=True)
        )
        self.up = nn.ModuleList(Conv3d(b, a, 1, bias=False) for a, b in itertools.pairwise(widths))
        self.decoder = nn.ModuleList(ResidualBlock(w, k) for w, k in zip(widths[:-1], kernels[:-1], strict=True))
        self.norm = ChannelNorm(widths[0])
        self.leave = Conv3d(widths[0], n_out, 1)

    def begin_with(self, outputs: torch.Tensor) -> None:
        """Let a fresh network say this (K,) in almost every cell."""
        with torch.no_grad():
            self.leave.weight.mul_(0.1)
            if self.leave.bias is not None:
                self.leave.bias.copy_(outputs)

    @property
    def multiple(self) -> Zyx:
        """Each axis of the input is padded to a multiple of this many voxels."""
        total = list(self.stem)
        for stride in self.strides:
            total = [a * b for a, b in zip(total, stride, strict=True)]
        return (total[0], total[1], total[2])

    def forward(self, image_BCZYX: torch.Tensor) -> torch.Tensor:
        cells = [-(-n // s) for n, s in zip(image_BCZYX.shape[2:], self.stem, strict=True)]
        x = self.enter(space_to_depth(self._padded(image_BCZYX), self.stem))
        skips = []
        for block, down in zip(self.encoder[:-1], self.down, strict=True):
            x = block(x)
            skips.append(x)
            x = down(x)
        x = self.encoder[-1](x)
        for i in reversed(range(len(skips))):
            x = functional.interpolate(self.up[i](x), size=skips[i].shape[2:], mode="nearest") + skips[i]
            x = self.decoder[i](x)
        logits: torch.Tensor = self.leave(functional.silu(self.norm(x)))
        return logits[:, :, : cells[0], : cells[1], : cells[2]]

    def _padded(self, image: torch.Tensor) -> torch.Tensor:
        pads: list[int] = []
        for n, m in zip(reversed(image.shape[2:]), reversed(self.multiple), strict=True):
            pads += [0, -n % m]
        return functional.pad(image, pads, mode="replicate") if any(pads) else image


def _same(kernel: Zyx) -> Zyx:
    return (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2)
