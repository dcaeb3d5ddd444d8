"""A 1-D convolutional network over time, for signals of any length."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import nn
from torch.nn import functional

__all__ = ["SignalLogits", "TemporalEnsemble", "TemporalNetwork"]

_EPSILON = 1e-5
_FILLED = 1e4
"""Stands for minus infinity where a maximum leaves out what is missing."""


@dataclass(frozen=True, slots=True)
class SignalLogits:
    """What the network says of signals.

    Parameters
    ----------
    positions
        (N, P) logit, for each position of the network's grid, that the event has happened by then.
    track
        (N, K) logits of the classes of the whole track or window.
    """

    positions: torch.Tensor
    track: torch.Tensor


class TemporalNetwork(nn.Module):
    """Dilated residual convolutions over time, read out at every position and for the whole.

    The features of a position never depend on how long the signal is (they are normalised over channels, never over
    time), so sliding the read-out over a long trace (`slide`) costs one evaluation for each sample.

    Parameters
    ----------
    n_signals
        Signals that it sees; beside each goes a channel that says where it is missing.
    n_classes
        Logits of the whole.
    stride
        Samples between two positions of its grid.
    width
        Channels.
    dilations
        Of the residual convolutions, one after the other, in positions.
    kernel
        Positions that each of them sees.
    ends
        Whether the read-out of the whole also sees the first and the last position.
    dropout
        Share of features left out while it learns.
    """

    def __init__(  # noqa: PLR0913
        self,
        n_signals: int,
        n_classes: int,
        *,
        stride: int = 1,
        width: int = 32,
        dilations: Sequence[int] = (1, 2, 4, 8),
        kernel: int = 5,
        ends: bool = False,
        dropout: float = 0.2,
    ) -> None:  # fmt: skip
        super().__init__()
        self.stride, self.ends = stride, ends
        reach = max(stride, 2)
        self.enter = nn.Conv2d(2 * n_signals, width, (1, 2 * reach + 1), (1, stride), (0, reach))
        self.encoder = nn.Sequential(*(_Block(width, kernel, dilation) for dilation in dilations))
        self.scale = _Scale(width)
        self.dropout = nn.Dropout(dropout)
        self.state = nn.Conv2d(width, 1, 1)
        self.hidden = nn.Linear((5 if ends else 3) * width, width)
        self.out = nn.Linear(width, n_classes)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, signals: torch.Tensor, known: torch.Tensor) -> SignalLogits:
        """Read whole tracks or windows.

        Parameters
        ----------
        signals
            (N, C, T) normalised; anything, usually 0, where unknown.
        known
            (N, C, T) 1 where measured, 0 where missing or beyond the track.
        """
        features = self._features(signals, known)
        there = self._there(known, features.shape[-1])
        state = self.state(features[:, :, None])[:, 0, 0]
        return SignalLogits(state, self._read(self._pooled(features, there)))

    def slide(self, signals: torch.Tensor, known: torch.Tensor, window: int) -> torch.Tensor:
        """The logits of the window around each position, (N, K, P).

        Parameters
        ----------
        signals, known
            As in `forward`.
        window
            Positions of a window.
        """
        features = self._features(signals, known)
        low = (window - 1) // 2
        padded = functional.pad(features, (low, window - 1 - low), mode="replicate")
        mean = _sliding_sum(padded, window) / window
        pooled = torch.cat([mean, _sliding_max(padded, window), -_sliding_max(-padded, window)], 1)
        return self._read(pooled.transpose(1, 2)).transpose(1, 2)

    def _features(self, signals: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
        x = torch.cat([signals * known, 1 - known], 1)[:, :, None].contiguous(memory_format=torch.channels_last)
        x = functional.silu(self.scale(self.encoder(self.enter(x))))
        return x[:, :, 0]

    def _there(self, known: torch.Tensor, n: int) -> torch.Tensor:
        """(N, 1, P) 1 at positions whose samples hold any measurement."""
        any_signal = known.amax(1, keepdim=True)
        found = functional.max_pool1d(any_signal, self.stride, ceil_mode=True) if self.stride > 1 else any_signal
        return functional.pad(found, (0, max(0, n - found.shape[-1])))[..., :n]

    def _pooled(self, features: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
        n = there.sum(-1).clamp(min=1)
        hidden = (1 - there) * _FILLED
        parts = [
            (features * there).sum(-1) / n, (features - hidden).amax(-1), (features + hidden).amin(-1),
        ]  # fmt: skip
        if self.ends:
            at = torch.arange(features.shape[-1], device=features.device)
            first = torch.where(there[:, 0] > 0, at, features.shape[-1]).amin(-1).clamp(max=features.shape[-1] - 1)
            last = torch.where(there[:, 0] > 0, at, -1).amax(-1).clamp(min=0)
            parts += [_taken(features, first), _taken(features, last)]
        return torch.cat(parts, 1)

    def _read(self, pooled: torch.Tensor) -> torch.Tensor:
        hidden = functional.silu(self.hidden(self.dropout(pooled)))
        found: torch.Tensor = self.out(self.dropout(hidden))
        return found


class TemporalEnsemble(nn.Module):
    """Several networks that each learn from their own examples, and answer by the mean of their logits.

    Networks that differ in their first weights and their examples err differently (Lakshminarayanan et al. 2017,
    arXiv:1612.01474).

    Parameters
    ----------
    members
        The networks.
    """

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, signals: torch.Tensor, known: torch.Tensor) -> SignalLogits:
        """Read whole tracks or windows; see `TemporalNetwork.forward`.

        While they learn, each network sees its own share of the batch, one after the other; later all see everything.
        """
        n = len(self.members)
        if not self.training:
            each = [member(signals, known) for member in self.members]
            return SignalLogits(
                torch.stack([one.positions for one in each]).mean(0), torch.stack([one.track for one in each]).mean(0)
            )
        shares = zip(self.members, signals.chunk(n), known.chunk(n), strict=True)
        each = [member(own, own_known) for member, own, own_known in shares]
        return SignalLogits(torch.cat([one.positions for one in each]), torch.cat([one.track for one in each]))

    def slide(self, signals: torch.Tensor, known: torch.Tensor, window: int) -> torch.Tensor:
        """The logits of the window around each position; see `TemporalNetwork.slide`."""
        each = [cast("TemporalNetwork", member).slide(signals, known, window) for member in self.members]
        return torch.stack(each).mean(0)


class _Block(nn.Module):
    def __init__(self, width: int, kernel: int, dilation: int) -> None:
        super().__init__()
        self.scale = _Scale(width)
        self.look = nn.Conv2d(width, width, (1, kernel), padding=(0, dilation * (kernel // 2)), dilation=(1, dilation))
        self.mix = nn.Conv2d(width, width, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = x + self.mix(functional.silu(self.scale(self.look(x))))
        return found


class _Scale(nn.Module):
    """Root-mean-square normalisation over the channels (Zhang & Sennrich 2019, arXiv:1910.07467)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(1, width, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = x * torch.rsqrt((x * x).mean(1, keepdim=True) + _EPSILON) * self.gain
        return found


def _taken(features: torch.Tensor, at: torch.Tensor) -> torch.Tensor:
    """(N, C) features of one position of each track."""
    taken: torch.Tensor = features.gather(2, at[:, None, None].expand(-1, features.shape[1], 1))[..., 0]
    return taken


def _sliding_sum(x: torch.Tensor, window: int) -> torch.Tensor:
    """Sum over windows of a number of positions, by doubling: from the sums of 1, 2, 4 … positions that add up to it."""
    n, parts, at, width = x.shape[-1] - window + 1, [], 0, 1
    while width <= window:
        if window & width:
            parts.append(x[..., at : at + n])
            at += width
        if 2 * width <= window:
            x = x[..., :-width] + x[..., width:]
        width *= 2
    return functools.reduce(torch.add, parts)


def _sliding_max(x: torch.Tensor, window: int) -> torch.Tensor:
    """Maximum over windows of a number of positions, by doubling: a few passes however long the window."""
    width = 1
    while 2 * width <= window:
        x = torch.maximum(x[..., :-width], x[..., width:])
        width *= 2
    rest = window - width
    found: torch.Tensor = torch.maximum(x[..., : x.shape[-1] - rest], x[..., rest:]) if rest else x
    return found
