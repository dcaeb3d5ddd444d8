"""Scores of a result against a truth."""

from __future__ import annotations

from anlage.evaluation.detection import DetectionScore, FrameScore, score_detection
from anlage.evaluation.report import DEFAULT_RADIUS_UM, Report, evaluate, small_labels

__all__ = [
    "DEFAULT_RADIUS_UM",
    "DetectionScore",
    "FrameScore",
    "Report",
    "evaluate",
    "score_detection",
    "small_labels",
]
