"""Scores of label images: held against the field's own programs, and against counts done by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from scipy import ndimage

from anlage.errors import AnlageError
from anlage.evaluation.segmentation import THRESHOLDS, SegmentationScore, score_classes, score_segmentation
from anlage.timelapse import TimeLapse


def blobs(seed: int, n_frames: int = 3) -> np.ndarray:
    """(t, z, y, x) touching objects of many sizes."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).random((n_frames, 8, 64, 64)), (0, 1.5, 3, 3))
    return np.stack([ndimage.label(frame > np.quantile(frame, 0.7))[0] for frame in noise]).astype(np.uint16)


def disturbed(labels: np.ndarray, seed: int) -> np.ndarray:
    """The same objects moved a little, some lost, some merged, some cut, some invented."""
    rng = np.random.default_rng(seed)
    result = np.roll(labels, 1, axis=3)
    for value in np.unique(labels)[1:]:
        fate = rng.random()
        if fate < 0.15:
            result[result == value] = 0
        elif fate < 0.3:
            result[result == value] = value + 1
        elif fate < 0.45:
            result[:, 4:][result[:, 4:] == value] = value + 500
    result[:, :2, :5, :5] = 999
    return result


def score(predicted: np.ndarray, truth: np.ndarray, **how: object) -> SegmentationScore:
    return score_segmentation(TimeLapse.of(predicted), TimeLapse.of(truth), **how)


@pytest.mark.parametrize("seed", range(3))
def test_seg_is_that_of_the_challenges_own_metric(tmp_path: Path, seed: int) -> None:
    representations = pytest.importorskip("ctc_metrics.utils.representations")
    seg = pytest.importorskip("ctc_metrics.metrics.technical.seg")
    truth = blobs(seed)
    result = disturbed(truth, seed)
    labels, ious = [], []
    for t, (a, b) in enumerate(zip(truth, result, strict=True)):
        tifffile.imwrite(tmp_path / f"a{t}.tif", a, photometric="minisblack")
        tifffile.imwrite(tmp_path / f"b{t}.tif", b, photometric="minisblack")
        matched = representations.match(str(tmp_path / f"a{t}.tif"), str(tmp_path / f"b{t}.tif"))
        labels.append(matched[0])
        ious.append(matched[4])
    theirs = seg.seg(labels, ious)
    assert 0.2 < theirs < 0.9, "neither trivial"
    assert score(result, truth).seg == pytest.approx(theirs, abs=1e-6)


def test_ap_and_panoptic_quality_by_an_exhaustive_assignment() -> None:
    """Against the definitions, with pairs from scipy's assignment over the full matrix."""
    from scipy.optimize import linear_sum_assignment

    truth = blobs(7)
    result = disturbed(truth, 7)
    found = score(result, truth)
    tp = np.zeros(len(THRESHOLDS))
    n = m = 0
    matched_iou = 0.0
    for a, b in zip(truth, result, strict=True):
        one = np.stack([a == v for v in np.unique(a)[1:]]).reshape(len(np.unique(a)) - 1, -1).astype(float)
        two = np.stack([b == v for v in np.unique(b)[1:]]).reshape(len(np.unique(b)) - 1, -1).astype(float)
        shared = one @ two.T
        iou = shared / (one.sum(1)[:, None] + two.sum(1) - shared)
        n, m = n + len(one), m + len(two)
        for i, at in enumerate(THRESHOLDS):
            rows, columns = linear_sum_assignment(-(iou >= at).astype(float))
            tp[i] += (iou[rows, columns] >= at).sum()
        matched_iou += iou[iou > 0.5].sum()
    ap = tp / (n + m - tp)
    assert [s.tp for s in found.thresholds] == tp.tolist()
    assert found.ap50 == pytest.approx(ap[0])
    assert found.ap75 == pytest.approx(ap[THRESHOLDS.index(0.75)])
    assert found.mean_ap == pytest.approx(ap.mean())
    assert found.pq == pytest.approx(matched_iou / (n + m) * 2)
    assert found.dice == pytest.approx(
        2 * ((truth > 0) & (result > 0)).sum() / ((truth > 0).sum() + (result > 0).sum())
    )
    assert (found.n_truth, found.n_predicted) == (n, m)
    assert [frame.frame for frame in found.frames] == [0, 1, 2]
    assert sum(frame.tp for frame in found.frames) == tp[0]


def test_the_same_under_other_names_is_perfect() -> None:
    truth = blobs(3)
    names = np.random.default_rng(0).permutation(np.arange(1, 100_000))[: truth.max() + 1]
    renamed = np.where(truth > 0, names[truth], 0)
    found = score(renamed, truth)
    assert (found.ap50, found.ap75, found.mean_ap, found.pq, found.seg, found.dice) == (1, 1, 1, 1, 1, 1)


def test_small_objects_of_the_truth_are_neither_wanted_nor_wrong() -> None:
    truth = np.zeros((1, 1, 20, 30), np.uint8)
    truth[..., 2:12, 2:12] = 1
    truth[..., 15:17, 20:23] = 2  # six voxels
    with_small, without = truth.copy(), truth.copy()
    without[truth == 2] = 0
    for result in (with_small, without):
        found = score(result, truth, ignore_smaller_than=7)
        assert (found.ap50, found.seg, found.pq, found.dice, found.n_ignored) == (1, 1, 1, 1, 1)
    assert score(without, truth).ap50 == 0.5
    assert score(without, truth, ignore_smaller_than=6).ap50 == 0.5, "six are not fewer than six"
    with pytest.raises(AnlageError, match="smaller than 0 voxels"):
        score(truth, truth, ignore_smaller_than=0)


def test_an_empty_result_and_an_empty_truth() -> None:
    truth = blobs(1)
    nothing = np.zeros_like(truth)
    found = score(nothing, truth)
    assert (found.ap50, found.mean_ap, found.pq, found.seg, found.dice) == (0, 0, 0, 0, 0)
    found = score(truth, nothing)
    assert (found.ap50, found.pq, found.seg, found.dice) == (0, 0, None, 0)
    found = score(nothing, nothing)
    assert (found.ap50, found.mean_ap, found.pq, found.seg, found.dice) == (None,) * 5


def test_only_the_frames_asked_for_count() -> None:
    truth = blobs(2)
    result = truth.copy()
    result[1] = 0
    assert score(result, truth, frames=[0, 2]).ap50 == 1
    assert score(result, truth).ap50 < 1


def test_dice_of_each_class() -> None:
    truth = np.zeros((2, 1, 4, 10), np.uint8)
    result = np.zeros_like(truth)
    truth[..., :4] = 1
    result[..., 1:5] = 1  # three of four columns
    truth[1, ..., 6:8] = 255
    result[0, ..., 9] = 3  # a class that is not there
    found = score_classes(TimeLapse.of(result), TimeLapse.of(truth))
    assert [c.value for c in found.classes] == [1, 3, 255]
    assert [c.dice for c in found.classes] == pytest.approx([0.75, 0, 0])
    assert found.classes[0].iou == pytest.approx(0.6)
    assert found.dice == pytest.approx(0.25)
    assert found.ap50 is None


def test_images_of_different_shape_are_refused() -> None:
    with pytest.raises(AnlageError, match="must show the same image"):
        score(blobs(1), blobs(1, n_frames=2))
