"""Tracking: from nuclei and link probabilities to tracks, and warnings of probable errors.

The most probable tracks are the cheapest choice of one linear programme, solved in windows of frames; messages between
neighbouring nuclei then give the probability of each link, given what competes with it.
"""

from __future__ import annotations

from anlage.tracking.settings import TrackingSettings

__all__ = ["TrackingSettings"]
