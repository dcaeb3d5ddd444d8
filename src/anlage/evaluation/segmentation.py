"""Segmentation scores, frame by frame: F1 and average precision over IoU, panoptic quality, SEG, and Dice of classes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field

from anlage.errors import AnlageError
from anlage.frozen import Frozen
from anlage.overlaps import Overlaps
from anlage.timelapse import TimeLapse

__all__ = [
    "THRESHOLDS",
    "ClassScore",
    "SegmentationFrame",
    "SegmentationScore",
    "ThresholdScore",
    "score_classes",
    "score_overlaps",
    "score_segmentation",
]

THRESHOLDS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9)
"""Intersection over union from which on an object counts as found."""

Count = Annotated[int, Field(ge=0)]


class ThresholdScore(Frozen):
    """Objects found at one threshold of the intersection over union."""

    iou: float
    """Intersection over union from which on an object counts as found."""
    tp: Count
    """Objects found."""
    fp: Count
    """Predicted objects without a partner."""
    fn: Count
    """Objects of the truth without a partner."""
    ap: float | None
    """tp / (tp + fp + fn); None where there was nothing on either side."""


class ClassScore(Frozen):
    """How well one class was painted, over all frames together."""

    value: int
    """The class: its value in the label image."""
    n_truth: Count
    """Its voxels in the truth."""
    n_predicted: Count
    """Its voxels in the result."""
    n_shared: Count
    """Voxels that have it in both."""
    dice: float
    """2 × shared / (truth + predicted)."""
    iou: float
    """shared / union."""


class SegmentationFrame(Frozen):
    """Counts of one frame."""

    frame: int
    """The time point."""
    n_truth: Count
    """Objects of the truth that counted."""
    n_predicted: Count
    """Predicted objects that counted."""
    tp: Count
    """Objects found at an intersection over union of 0.5."""
    ap50: float | None
    """tp / (tp + fp + fn) there."""
    seg: float | None
    """SEG of this frame; None without truth."""


class SegmentationScore(Frozen):
    """How well label images agree, over all scored frames together.

    Of objects (instances) all numbers but `classes` are given, of classes `dice` and `classes`.
    """

    ap50: float | None = None
    """Average precision at an intersection over union of 0.5, as the field defines it for objects without
    probabilities: tp / (tp + fp + fn)."""
    ap75: float | None = None
    """The same at 0.75."""
    mean_ap: float | None = None
    """Mean of it over the thresholds 0.5, 0.55, … 0.9."""
    pq: float | None = None
    """Panoptic quality: the sum of the pairs' intersection over union (above 0.5), divided by tp + fp/2 + fn/2."""
    seg: float | None = None
    """SEG of the Cell Tracking Challenge: mean over the truth's objects of the intersection over union with the
    predicted object that covers more than half of it, 0 where none does."""
    dice: float | None = None
    """Of objects: Dice of all that is painted against the background. Of classes: mean Dice of the classes."""
    n_truth: Count = 0
    """Objects of the truth that counted."""
    n_predicted: Count = 0
    """Predicted objects that counted."""
    n_ignored: Count = 0
    """Objects of the truth that were neither wanted nor wrong."""
    thresholds: tuple[ThresholdScore, ...] = ()
    """Counts at every threshold."""
    classes: tuple[ClassScore, ...] = ()
    """Every class that occurs in either; empty where the values are objects."""
    frames: tuple[SegmentationFrame, ...] = ()
    """Every scored frame; empty where the values are classes."""


def score_segmentation(
    predicted: TimeLapse,
    truth: TimeLapse,
    *,
    ignore_smaller_than: int | None = None,
    frames: Iterable[int] | None = None,
) -> SegmentationScore:
    """Score the objects of a label image against the truth's; frames are gone through some planes at a time.

    Parameters
    ----------
    predicted, truth
        Label images (t, 1, z, y, x) of the same voxels, 0 = background.
    ignore_smaller_than
        Objects of the truth with fewer voxels are neither wanted nor wrong; predicted ones more than half of which lie
        on such go with them.
    frames
        Frames to score; None is all. Voxels that nobody painted count as background there.

    Raises
    ------
    AnlageError
        If the images differ in shape, or the size is below 1.

    Notes
    -----
    AP per threshold is tp / (tp + fp + fn) as in the 2018 Data Science Bowl (Caicedo et al., 2019) and StarDist (Schmidt
    et al., 2018), with the counts of all frames added up; panoptic quality is that of Kirillov et al. (2019); SEG that of
    the Cell Tracking Challenge (Maška et al., 2014).
    """
    _check(predicted, truth, ignore_smaller_than)
    times = tuple(range(truth.n_frames) if frames is None else frames)
    return score_overlaps(
        (Overlaps.of_frame(truth, predicted, t) for t in times), times, ignore_smaller_than=ignore_smaller_than
    )


def score_overlaps(
    overlaps: Iterable[Overlaps], frames: Sequence[int], *, ignore_smaller_than: int | None = None
) -> SegmentationScore:
    """Score objects whose overlaps were counted already, one element for each of the frames."""
    total = _Total()
    for t, found in zip(frames, overlaps, strict=True):
        total.add(t, found, ignore_smaller_than)
    return total.score()


def score_classes(predicted: TimeLapse, truth: TimeLapse, *, frames: Iterable[int] | None = None) -> SegmentationScore:
    """Score label images whose values are classes: Dice of each, and their mean. 0 is background and no class.

    Raises
    ------
    AnlageError
        If the images differ in shape.
    """
    _check(predicted, truth, None)
    in_truth: dict[int, int] = {}
    in_result: dict[int, int] = {}
    in_both: dict[int, int] = {}
    for t in range(truth.n_frames) if frames is None else frames:
        found = Overlaps.of_frame(truth, predicted, t)
        _add(in_truth, found.truth, found.truth_sizes)
        _add(in_result, found.predicted, found.predicted_sizes)
        values = found.truth[found.pairs[:, 0]]
        same = values == found.predicted[found.pairs[:, 1]]
        _add(in_both, values[same], found.shared[same])
    classes = tuple(
        _class(value, in_truth.get(value, 0), in_result.get(value, 0), in_both.get(value, 0))
        for value in sorted({*in_truth, *in_result})
    )
    dice = float(np.mean([score.dice for score in classes])) if classes else None
    return SegmentationScore(dice=dice, classes=classes)


class _Total:
    """Counts added up frame by frame."""

    def __init__(self) -> None:
        self._tp = np.zeros(len(THRESHOLDS), dtype=np.int64)
        self._n_truth = self._n_predicted = self._n_ignored = 0
        self._iou_matched = self._seg = 0.0
        self._painted = self._both = 0
        self._frames: list[SegmentationFrame] = []

    def add(self, t: int, found: Overlaps, ignore_smaller_than: int | None) -> None:
        small = found.truth_sizes < (ignore_smaller_than or 0)
        counted = found.without(small) if small.any() else found
        n, m = len(counted.truth), len(counted.predicted)
        iou = counted.iou
        tp = np.array([len(counted.matched(at)) for at in THRESHOLDS], dtype=np.int64)
        # panoptic quality pairs strictly above one half, where a partner is unique
        self._iou_matched += float(iou[iou > 0.5].sum())
        covering = 2 * counted.shared > counted.truth_sizes[counted.pairs[:, 0]]
        seg = float(iou[covering].sum())
        self._seg += seg
        self._tp += tp
        self._n_truth += n
        self._n_predicted += m
        self._n_ignored += int(small.sum())
        self._painted += int(counted.truth_sizes.sum() + counted.predicted_sizes.sum())
        self._both += int(counted.shared.sum())
        self._frames.append(
            SegmentationFrame(
                frame=t, n_truth=n, n_predicted=m, tp=int(tp[0]), ap50=_ap(int(tp[0]), n, m), seg=seg / n if n else None
            )
        )

    def score(self) -> SegmentationScore:
        n, m = self._n_truth, self._n_predicted
        thresholds = tuple(
            ThresholdScore(iou=at, tp=tp, fp=m - tp, fn=n - tp, ap=_ap(tp, n, m))
            for at, tp in zip(THRESHOLDS, self._tp.tolist(), strict=True)
        )
        ap = {score.iou: score.ap for score in thresholds}
        known = [value for value in ap.values() if value is not None]
        return SegmentationScore(
            ap50=ap[0.5],
            ap75=ap[0.75],
            mean_ap=float(np.mean(known)) if known else None,
            pq=2 * self._iou_matched / (n + m) if n + m else None,
            seg=self._seg / n if n else None,
            dice=2 * self._both / self._painted if self._painted else None,
            n_truth=n,
            n_predicted=m,
            n_ignored=self._n_ignored,
            thresholds=thresholds,
            frames=tuple(self._frames),
        )


def _ap(tp: int, n_truth: int, n_predicted: int) -> float | None:
    """What is right of all that is there or was predicted."""
    return tp / (n_truth + n_predicted - tp) if n_truth + n_predicted else None


def _class(value: int, n_truth: int, n_predicted: int, n_shared: int) -> ClassScore:
    return ClassScore(
        value=value, n_truth=n_truth, n_predicted=n_predicted, n_shared=n_shared,
        dice=2 * n_shared / (n_truth + n_predicted), iou=n_shared / (n_truth + n_predicted - n_shared),
    )  # fmt: skip


def _add(counts: dict[int, int], values: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64]) -> None:
    for value, size in zip(values.tolist(), sizes.tolist(), strict=True):
        counts[value] = counts.get(value, 0) + size


def _check(predicted: TimeLapse, truth: TimeLapse, fewer_than: int | None) -> None:
    if fewer_than is not None and fewer_than < 1:
        raise AnlageError(f"Labels smaller than {fewer_than} voxels cannot be ignored; give a number of at least 1.")
    if predicted.shape_tzyx != truth.shape_tzyx:
        raise AnlageError(
            f"The result's labels have the shape {predicted.shape_tzyx} (t, z, y, x) but the truth's {truth.shape_tzyx}; "
            "they must show the same image."
        )
