"""The architecture of miniML's networks, to be trained: convolutions with pooling, an LSTM both ways, dense layers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from anlage.networks.temporal import SignalLogits

__all__ = ["RecurrentNetwork"]

_AT_ONCE = 256
"""Windows of a trace that are computed at once."""


class RecurrentNetwork(nn.Module):
    """Looks at windows of one signal, each from its smallest value, 0, to its largest, 1.

    Parameters
    ----------
    window
        Samples of a window.
    stride
        Samples between two windows of a long trace.
    convolutions
        Channels, kernel and pooling of each convolution; a pooling of 1 is none.
    units, hidden
        Of the LSTM, whose two directions are added, and of the dense layer.
    slope
        Of the leaky activations.
    dropout
        Share of features left out while it learns.
    """

    def __init__(
        self,
        window: int,
        stride: int,
        convolutions: Sequence[tuple[int, int, int]],
        units: int,
        hidden: int,
        *,
        slope: float = 0.3,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        self.window, self.stride, self.slope = window, stride, slope
        blocks, before = [], 1
        for channels, kernel, pooling in convolutions:
            blocks.append(_Block(before, channels, kernel, pooling, slope))
            before = channels
        self.encoder = nn.Sequential(*blocks)
        self.lstm = nn.LSTM(before, units, batch_first=True, bidirectional=True)
        self.hidden = nn.Linear(units, hidden)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(hidden, 1)

    def forward(self, signals: torch.Tensor, known: torch.Tensor) -> SignalLogits:
        """Read windows; see `anlage.networks.temporal.TemporalNetwork.forward`. Of single positions nothing is said."""
        logits = self._read(_scaled(signals, known))
        return SignalLogits(torch.zeros(len(logits), 1, device=logits.device), logits)

    def slide(self, signals: torch.Tensor, known: torch.Tensor, window: int) -> torch.Tensor:
        """The logits of the window around each position, (N, 1, P); `window` is known to the network in samples."""
        del window
        half, n = self.window // 2, -(-signals.shape[-1] // self.stride)
        parts = [functional.pad(x, (half, self.window), mode="replicate") for x in (signals, known)]
        seen, there = (part.unfold(2, self.window, self.stride)[:, :, :n] for part in parts)
        found = [
            self._read(_scaled(seen[:, :, at : at + _AT_ONCE].flatten(0, 2)[:, None], there[:, :, at : at + _AT_ONCE].flatten(0, 2)[:, None]))
            for at in range(0, n, _AT_ONCE)
        ]  # fmt: skip
        return torch.cat(found).reshape(1, 1, n)

    def _read(self, windows: torch.Tensor) -> torch.Tensor:
        _, (last, _) = self.lstm(self.encoder(windows).transpose(1, 2))
        hidden = functional.leaky_relu(self.hidden(last[0] + last[1]), self.slope)
        found: torch.Tensor = self.out(self.dropout(hidden))
        return found


class _Block(nn.Module):
    """A convolution whose batch normalisation keeps the statistics that it learnt once."""

    def __init__(self, before: int, channels: int, kernel: int, pooling: int, slope: float) -> None:
        super().__init__()
        self.kernel, self.pooling, self.slope = kernel, pooling, slope
        self.look = nn.Conv1d(before, channels, kernel)
        self.gain, self.offset = nn.Parameter(torch.ones(channels, 1)), nn.Parameter(torch.zeros(channels, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        low = (self.kernel - 1) // 2
        x = self.look(functional.pad(x, (low, self.kernel - 1 - low))) * self.gain + self.offset
        x = functional.leaky_relu(x, self.slope)
        return functional.avg_pool1d(x, self.pooling) if self.pooling > 1 else x


def _scaled(signals: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """(N, 1, T) from the smallest measured value, 0, to the largest, 1; what is missing is their mean."""
    there = known > 0
    low = torch.where(there, signals, torch.inf).amin(-1, keepdim=True)
    high = torch.where(there, signals, -torch.inf).amax(-1, keepdim=True)
    scaled = (signals - low) / (high - low).clamp(min=1e-12)
    scaled = torch.where(there, scaled, 0.0)
    mean = scaled.sum(-1, keepdim=True) / there.sum(-1, keepdim=True).clamp(min=1)
    return torch.where(there, scaled, mean)
