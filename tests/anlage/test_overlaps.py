"""Shared voxels of two label images, checked against a count that nobody can get wrong."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

import anlage.overlaps
from anlage.errors import AnlageError
from anlage.overlaps import Overlaps
from anlage.timelapse import TimeLapse


def random_labels(seed: int, shape: tuple[int, ...] = (6, 20, 24)) -> np.ndarray:
    """Blobs with numbers that are neither dense nor small."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).random(shape), 1.2)
    labels = np.asarray(ndimage.label(noise > np.quantile(noise, 0.6))[0])
    return np.where(labels > 0, labels * 7 + 100_000, 0)


@pytest.mark.parametrize("seed", range(4))
def test_every_pair_is_counted(seed: int) -> None:
    a, b = random_labels(seed), random_labels(seed + 50)
    found = Overlaps.of(a, b)
    assert found.truth.tolist() == [v for v in np.unique(a).tolist() if v]
    assert found.predicted_sizes.tolist() == [int((b == v).sum()) for v in np.unique(b).tolist() if v]
    expected = {}
    for v in found.truth.tolist():
        for w in np.unique(b[a == v]).tolist():
            if w:
                expected[v, w] = (
                    int(((a == v) & (b == w)).sum()),
                    ((a == v) & (b == w)).sum() / ((a == v) | (b == w)).sum(),
                )
    pairs = [(int(found.truth[i]), int(found.predicted[j])) for i, j in found.pairs.tolist()]
    assert pairs == sorted(expected)
    assert found.shared.tolist() == [expected[pair][0] for pair in pairs]
    np.testing.assert_allclose(found.iou, [expected[pair][1] for pair in pairs])


def test_planes_at_a_time_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = random_labels(1), random_labels(2)
    whole = Overlaps.of(a, b)
    monkeypatch.setattr(anlage.overlaps, "_SLAB_VOXELS", 1000)  # two planes of 480
    sliced = Overlaps.of_frame(TimeLapse.of(a), TimeLapse.of(b), 0)
    for name in Overlaps.__slots__:
        np.testing.assert_array_equal(getattr(sliced, name), getattr(whole, name))


def test_what_is_unknown_counts_on_neither_side() -> None:
    """A nucleus that is known only up to a wall is found by an outline that goes on behind it."""
    truth = np.array([[1, 1, 0, 2, 9, 9, 9, 9]])
    predicted = np.array([[5, 5, 0, 6, 6, 0, 7, 7]])
    found = Overlaps.of(truth, predicted)
    known = found.without(found.truth == 9, cut=True)
    assert known.predicted.tolist() == [5, 6]  # the third lies in what is unknown
    assert known.iou.tolist() == [1.0, 1.0]
    assert found.without(found.truth == 9).iou.tolist() == [1.0, 0.5]


def test_pairs_are_one_to_one_at_exactly_half() -> None:
    truth = np.array([[1, 1, 1, 1, 0, 2, 3]])
    predicted = np.array([[5, 5, 6, 6, 0, 7, 7]])
    found = Overlaps.of(truth, predicted)
    assert found.iou.tolist() == [0.5, 0.5, 0.5, 0.5]
    rows = found.matched(0.5)
    assert found.pairs[rows].tolist() == [[0, 0], [1, 2]]
    assert found.matched(0.51).size == 0
    with pytest.raises(AnlageError, match=r"0\.5 to 1, not 0\.3"):
        found.matched(0.3)


def test_the_best_partner_of_each() -> None:
    truth = np.array([[1, 1, 1, 2, 2, 0, 3]])
    predicted = np.array([[0, 4, 4, 5, 5, 5, 0]])
    np.testing.assert_allclose(Overlaps.of(truth, predicted).best_iou(), [2 / 3, 2 / 3, 0])


def test_what_is_left_out_takes_its_predictions_along() -> None:
    """A prediction mostly on an object that does not count vanishes; one that only touches it stays."""
    truth = np.array([[1, 1, 1, 1, 0, 2, 2, 2, 0, 0, 3, 3]])
    predicted = np.array([[4, 4, 4, 5, 5, 5, 6, 6, 6, 0, 7, 7]])
    kept = Overlaps.of(truth, predicted).without(np.array([False, True, False]))
    assert kept.truth.tolist() == [1, 3]
    assert kept.predicted.tolist() == [4, 5, 7]
    assert [(int(kept.truth[i]), int(kept.predicted[j])) for i, j in kept.pairs] == [(1, 4), (1, 5), (3, 7)]
    np.testing.assert_allclose(kept.iou, [3 / 4, 1 / 6, 1])


def test_different_shapes_are_refused() -> None:
    with pytest.raises(AnlageError, match=r"\(2, 2\) and \(2, 3\)"):
        Overlaps.of(np.zeros((2, 2), int), np.zeros((2, 3), int))


def test_nothing_at_all() -> None:
    found = Overlaps.of(np.zeros((3, 4), int), np.zeros((3, 4), int))
    assert len(found.truth) == len(found.predicted) == len(found.pairs) == len(found.matched()) == 0
