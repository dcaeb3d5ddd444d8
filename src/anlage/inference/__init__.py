"""Prediction: apply a trained network or the blob detector to images, one frame at a time.

The network sees what it saw in training: the card's channels, normalised by the percentiles of this movie, on a grid that
is laid by the nucleus diameter. Nothing is kept from frame to frame but the table of nuclei, so a movie of any length
needs the memory of one frame.
"""

from __future__ import annotations

from anlage.inference.classical import CLASSICAL, predict_classical
from anlage.inference.network import predict
from anlage.inference.region import FAINTEST
from anlage.inference.starter import OUTLINER, STARTER, STARTERS, starter_path

__all__ = ["CLASSICAL", "FAINTEST", "OUTLINER", "STARTER", "STARTERS", "predict", "predict_classical", "starter_path"]
