"""Probabilities that mean what they say."""

from __future__ import annotations

from anlage.frozen import Frozen

__all__ = ["Calibration"]


class Calibration(Frozen):
    """Platt scaling: probability = sigmoid(slope · logit + intercept). The identity by default."""

    slope: float = 1.0
    intercept: float = 0.0
