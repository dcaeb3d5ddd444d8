"""What can be had without training, measured on what was held out from a network, by the network's own rule."""

from __future__ import annotations

import math
from typing import Literal

from anlage.tasks.task import Baseline

__all__ = ["Name", "chance_baseline", "share_baseline"]

Name = Literal["the distance alone", "always the same class", "always the commonest class", "chance"]


def share_baseline(name: Name, measure: str, score: float, network: float, n: int) -> Baseline | None:
    """A baseline of two shares of the same `n` examples; None where either is not known."""
    if n <= 0 or not (math.isfinite(score) and math.isfinite(network)):
        return None
    return Baseline(name=name, measure=measure, score=_within(score), network=_within(network), n=n)


def chance_baseline(measure: str, network: float, n: int, n_others: int) -> Baseline | None:
    """What average precision chance has: the share of the wanted kind among all examples."""
    if n_others <= 0:
        return None
    return share_baseline("chance", measure, n / (n + n_others), network, n)


def _within(share: float) -> float:
    return min(1.0, max(0.0, share))
