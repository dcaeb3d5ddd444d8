"""Evaluation: score a result against the truth."""

from __future__ import annotations

from anlage.evaluation.detection import DetectionScore, FrameScore, score_detection
from anlage.evaluation.divisions import DivisionScore
from anlage.evaluation.report import DEFAULT_RADIUS_UM, Report, evaluate, small_labels
from anlage.evaluation.segmentation import SegmentationScore, score_classes, score_segmentation
from anlage.evaluation.sparse import SparseScore, score_sparse
from anlage.evaluation.tracks import TrackErrors, TrackScore, score_tracks
from anlage.evaluation.worst import WorstObject, worst_objects
from anlage.evaluation.worst_pictures import worst_picture

__all__ = [
    "DEFAULT_RADIUS_UM",
    "DetectionScore",
    "DivisionScore",
    "FrameScore",
    "Report",
    "SegmentationScore",
    "SparseScore",
    "TrackErrors",
    "TrackScore",
    "WorstObject",
    "evaluate",
    "score_classes",
    "score_detection",
    "score_segmentation",
    "score_sparse",
    "score_tracks",
    "small_labels",
    "worst_objects",
    "worst_picture",
]
