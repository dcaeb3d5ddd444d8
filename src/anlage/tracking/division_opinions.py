"""Two opinions on whether a nucleus divides, the network's of divisions and the links', as one probability.

A network that learnt nothing answers with one rare probability for every nucleus. Taken at its word it would forbid all
divisions, however sure the links are. So it counts as much as its own held-out divisions say that it tells them apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from anlage.calibration import logit
from anlage.tracking.problem import Floats

if TYPE_CHECKING:
    from anlage.tasks.task import Evidence

__all__ = ["joined", "note_of", "trust_in"]

_PRESUMED = 2.0
"""So many held-out divisions, all told rightly, are presumed: a single one that was misjudged condemns no network."""
_LITTLE = 0.5
"""Trust below which the user is told."""


def trust_in(evidence: Evidence) -> float:
    """How far a network of divisions is relied upon, 0 to 1: its average precision, drawn towards 1 where little was held out."""
    precision = evidence.metrics.get("average_precision", 1.0)
    return (evidence.n_positive * precision + _PRESUMED) / (evidence.n_positive + _PRESUMED)


def joined(by_network: Floats, otherwise: Floats, trust: float) -> Floats:
    """(N,) the mean of both log odds, weighted by trust; `otherwise` where the network, NaN there, says nothing.

    Parameters
    ----------
    by_network
        (N,) probability of each nucleus to divide; NaN where it was not scored.
    otherwise
        (N,) what is thought of it without the network.
    trust
        Weight of the network, 0 to 1.
    """
    odds = trust * logit(by_network) + (1 - trust) * logit(otherwise)
    return np.where(np.isfinite(by_network), 1 / (1 + np.exp(-odds)), otherwise)


def note_of(evidence: Evidence) -> tuple[str, ...]:
    """What a user should know of a network that is hardly relied upon; empty for a good one."""
    trust = trust_in(evidence)
    if trust >= _LITTLE:
        return ()
    return (
        f"The model of divisions hardly told the {evidence.n_positive} held-out divisions from other nuclei (average precision "
        f"{evidence.metrics['average_precision']:.2f}), so it counts for {100 * trust:.0f} % only: train it longer, or on more "
        "divisions.",
    )
