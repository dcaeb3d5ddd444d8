"""What the network is to minimise: the class of the whole, and for tracks whether the event has happened by each frame."""

from __future__ import annotations

import torch
from torch.nn import functional

from anlage.networks.temporal import SignalLogits

__all__ = ["event_times", "events_loss"]


def events_loss(reading: SignalLogits, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Cross-entropies of a batch, by name.

    Parameters
    ----------
    reading
        What the network says of it.
    batch
        ``score`` (N,) of windows; or ``class`` (N,) of tracks with ``state`` and ``weight`` (N, T) of their frames.
    """
    if "score" in batch:
        return {"score": functional.binary_cross_entropy_with_logits(reading.track[:, 0], batch["score"])}
    weight = batch["weight"]
    each = functional.binary_cross_entropy_with_logits(reading.positions, batch["state"], reduction="none")
    return {
        "class": functional.cross_entropy(reading.track, batch["class"]),
        "state": (each * weight).sum() / weight.sum().clamp(min=1),
    }


def event_times(positions: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """(N,) time of the event in frames from each track's first: the frames in which it has not happened yet, added up.

    Parameters
    ----------
    positions
        (N, T) logit that it has happened by each frame.
    lengths
        (N,) frames of each track.
    """
    inside = torch.arange(positions.shape[1], device=positions.device) < lengths[:, None]
    return (torch.sigmoid(-positions) * inside).sum(1) - 0.5
