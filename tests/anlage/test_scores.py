"""Scores in words."""

from __future__ import annotations

import math

import numpy as np
import pytest

from anlage.scores import NOUNS, Score, interval_of, is_score, label_of, noun_of
from anlage.wording import plural

COUNTS = {"tp": 6.0, "fp": 0.0, "fn": 0.0, "f1": 1.0, "precision": 1.0, "recall": 1.0}


def test_a_perfect_score_of_six_says_how_little_that_is():
    assert str(interval_of("f1", COUNTS, 6, noun=NOUNS["nuclei"])) == "F1 1.00, 6 nuclei, 0.76 to 1.00"


def test_precision_and_recall_rest_on_what_was_reported_and_on_what_is_there():
    metrics = {"tp": 8.0, "fp": 2.0, "fn": 24.0, "precision": 0.8, "recall": 0.25, "f1": 16 / 42}
    precision, recall = (interval_of(name, metrics, 32) for name in ("precision", "recall"))
    assert precision is not None
    assert recall is not None
    assert (precision.n, recall.n) == (10, 32)
    assert precision.interval == "0.49 to 0.94"  # Wilson, by hand
    assert recall.interval == "0.13 to 0.42"


def test_without_counts_the_number_of_examples_stands_for_them():
    with_counts = Score.of_counts("F1", 27, 3, 3)
    alone = interval_of("best_f1", {"best_f1": 0.9}, 30)
    assert alone is not None
    assert (alone.low, alone.high) == pytest.approx((with_counts.low, with_counts.high))


@pytest.mark.parametrize("name", ["average_precision", "accuracy", "auc", "seg", "dice", "dice_3", "ap50", "mean_f1"])
@pytest.mark.parametrize("value", [0.0, 0.3, 0.97, 1.0])
def test_every_share_has_an_interval_around_it_that_narrows(name, value):
    few, many = (interval_of(name, {name: value}, n) for n in (5, 500))
    assert few is not None
    assert many is not None
    rounding = 1e-9
    assert 0 <= few.low <= many.low <= value + rounding
    assert value - rounding <= many.high <= few.high + rounding <= 1 + 2 * rounding
    assert few.high - few.low > 3 * (many.high - many.low)


def test_an_interval_of_outlines_is_that_of_all_that_is_there_or_reported():
    metrics = {"tp": 50.0, "fp": 10.0, "fn": 10.0, "ap50": 50 / 70}
    found = interval_of("ap50", metrics, 60)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((0.599, 0.807), abs=0.001)  # Wilson of 50 in 70


def test_other_examples_than_those_that_are_wanted_are_counted_for_themselves():
    found = interval_of("accuracy", {"accuracy": 0.9}, 12, {"accuracy": 200}, NOUNS["events"])
    assert found is not None
    assert found.n == 200


@pytest.mark.parametrize(
    ("name", "metrics", "n"),
    [
        ("median_error_um", {"median_error_um": 0.5}, 9),
        ("f1", {}, 9),
        ("f1", {"f1": math.nan}, 9),
        ("f1", {"f1": 0.9}, 0),
        ("precision", {"precision": 0.0, "tp": 0.0, "fp": 0.0, "fn": 3.0}, 3),
        ("f1", {"f1": 0.0, "tp": 0.0, "fp": 0.0, "fn": 0.0}, 3),
    ],
)
def test_what_is_no_share_or_rests_on_nothing_has_none(name, metrics, n):
    assert interval_of(name, metrics, n) is None


def test_thousands_of_examples_give_a_third_digit():
    assert str(Score.of_share("recall", 1990, 2000, ("link", "links"))) == "recall 0.995, 2000 links, 0.991 to 0.997"
    assert str(Score.of_share("recall", 998, 999)) == "recall 1.00, 999 held-out examples, 0.99 to 1.00"


def test_nothing_at_all_is_unknown():
    assert str(Score.of_share("recall", 0, 0)) == "recall unknown, 0 held-out examples, 0.00 to 1.00"
    assert str(Score.of_counts("F1", 0, 0, 0)) == "F1 unknown, 0 held-out examples, 0.00 to 1.00"


def test_names_and_nouns():
    assert [is_score(name) for name in ("f1", "dice_2", "tp", "match_radius_um", "loss")] == [
        True,
        True,
        False,
        False,
        False,
    ]
    assert label_of("average_precision") == "average precision"
    assert noun_of("nuclei", "classes") == NOUNS["classes"]
    assert noun_of("nuclei", "centres") == noun_of("nuclei") == ("nucleus", "nuclei")
    assert noun_of("toy") == ("held-out example", "held-out examples")
    assert [plural(n, *NOUNS["nuclei"]) for n in (0, 1, 2)] == ["0 nuclei", "1 nucleus", "2 nuclei"]


def test_intervals_of_means_of_overlaps_cover_as_promised():
    """The mean of values between 0 and 1 varies by less than a share, so at least 95 % are covered."""
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(400):
        overlaps = rng.beta(4, 1, 25)
        found = interval_of("seg", {"seg": float(overlaps.mean())}, 25)
        assert found is not None
        covered += found.low <= 0.8 <= found.high
    assert covered >= 0.95 * 400
