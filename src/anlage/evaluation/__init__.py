"""Scores of a result against a truth."""

from __future__ import annotations

from anlage.evaluation.detection import DetectionScore, FrameScore, score_detection
from anlage.evaluation.report import DEFAULT_RADIUS_UM, Report, evaluate, small_labels
from anlage.evaluation.segmentation import SegmentationScore, score_classes, score_segmentation

__all__ = [
    "DEFAULT_RADIUS_UM",
    "DetectionScore",
    "FrameScore",
    "Report",
    "SegmentationScore",
    "evaluate",
    "score_classes",
    "score_detection",
    "score_segmentation",
    "small_labels",
]
