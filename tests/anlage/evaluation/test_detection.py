from __future__ import annotations

import itertools
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import anlage.matching as matching
from anlage.annotations import Annotations, State
from anlage.axes import Spacing
from anlage.errors import AnlageError
from anlage.evaluation.detection import score_detection
from anlage.matching import match

UNIT = Spacing(1, 1, 1)


def nuclei(*positions, **columns) -> Annotations:
    return Annotations.of(list(positions), **columns)


def by_trying_all(p, q, radius) -> tuple[int, float]:
    """Most pairs and their least total distance, by going through every way of pairing."""
    best = (0, 0.0)
    few, many = (p, q) if len(p) <= len(q) else (q, p)
    for order in itertools.permutations(range(len(many)), len(few)):
        distances = [float(np.linalg.norm(few[i] - many[j])) for i, j in enumerate(order)]
        near = [d for d in distances if d <= radius]
        best = max(best, (len(near), -sum(near)))
    return best


class TestMatch:
    @settings(max_examples=150, deadline=None)
    @given(
        st.lists(st.tuples(*[st.integers(0, 5)] * 3), max_size=5),
        st.lists(st.tuples(*[st.integers(0, 5)] * 3), max_size=5),
        st.sampled_from([1.0, 2.0, 3.5]),
        st.booleans(),
    )
    def test_it_is_the_best_of_all_ways(self, p, q, radius, sparse):
        p, q = np.array(p, float).reshape(-1, 3), np.array(q, float).reshape(-1, 3)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(matching, "_DENSE_AT_MOST", 0 if sparse else 10**6)
            pairs, distances = match(p, q, radius)
        number, least = by_trying_all(p, q, radius)
        assert len(pairs) == number
        assert distances.sum() == pytest.approx(-least)
        np.testing.assert_allclose(np.linalg.norm(p[pairs[:, 0]] - q[pairs[:, 1]], axis=1), distances)
        assert (distances <= radius).all()
        assert len(set(pairs[:, 0])) == len(set(pairs[:, 1])) == len(pairs)

    def test_number_of_pairs_comes_before_nearness(self):
        # the nearest pair alone would leave the other two without a partner
        pairs, distances = match([[0, 0, 4], [0, 0, 0]], [[0, 0, 3], [0, 0, 8]], 4.0)
        assert pairs.tolist() == [[0, 1], [1, 0]]
        assert distances.tolist() == [4.0, 3.0]

    def test_the_radius_itself_is_allowed(self):
        assert len(match([[0, 0, 0]], [[0, 3, 4]], 5.0)[0]) == 1
        assert len(match([[0, 0, 0]], [[0, 3, 4.001]], 5.0)[0]) == 0

    def test_one_place_is_not_two_nuclei(self):
        pairs, distances = match([[1, 1, 1], [1, 1, 1]], [[1, 1, 1]], 5.0)
        assert len(pairs) == 1
        assert distances.tolist() == [0.0]

    @pytest.mark.parametrize(("p", "q"), [([], []), ([[0, 0, 0]], []), ([], [[0, 0, 0]])])
    def test_nothing_gives_no_pairs(self, p, q):
        pairs, distances = match(p, q, 5.0)
        assert pairs.shape == (0, 2)
        assert distances.shape == (0,)

    def test_the_order_of_the_rows_does_not_matter(self):
        rng = np.random.default_rng(0)
        p, q = rng.uniform(0, 30, (80, 3)), rng.uniform(0, 30, (90, 3))
        pairs, _ = match(p, q, 4.0)
        shuffle = rng.permutation(80)
        again, _ = match(p[shuffle], q, 4.0)
        assert {(int(shuffle[i]), int(j)) for i, j in again} == {(int(i), int(j)) for i, j in pairs}

    def test_thirty_thousand_nuclei_take_seconds(self):
        rng = np.random.default_rng(0)
        grid = np.stack(np.meshgrid(*[np.arange(32)] * 3, indexing="ij"), -1).reshape(-1, 3)[:30_000] * 8.0
        truth = grid + rng.uniform(-1.5, 1.5, grid.shape)
        found = (truth + rng.normal(0, 1, truth.shape))[rng.random(len(truth)) > 0.05]
        found = np.concatenate([found, rng.uniform(0, 256, (1500, 3))])
        start = time.process_time()
        pairs, _ = match(found, truth, 5.0)
        assert time.process_time() - start < 10
        assert 28_000 < len(pairs) <= 30_000


class TestScore:
    def test_counts_shares_and_errors(self):
        truth = nuclei((0, 0, 0, 0), (0, 0, 0, 50), (0, 0, 0, 90))
        found = nuclei((0, 0, 0, 1), (0, 0, 3, 50), (0, 0, 40, 40), (0, 0, 70, 70))
        score = score_detection(found, truth, UNIT)
        assert (score.tp, score.fp, score.fn) == (2, 2, 1)
        assert score.precision == pytest.approx(1 / 2)
        assert score.recall == pytest.approx(2 / 3)
        assert score.f1 == pytest.approx(4 / 7)
        assert score.f1_low < score.f1 < score.f1_high
        assert score.median_error_um == pytest.approx(2.0)
        assert score.mean_error_um == pytest.approx(2.0)

    def test_distances_are_in_micrometres(self):
        truth, found = nuclei((0, 2, 0, 0)), nuclei((0, 4, 0, 0))
        assert score_detection(found, truth, Spacing(2, 0.5, 0.5)).mean_error_um == pytest.approx(4.0)
        assert score_detection(found, truth, Spacing(3, 0.5, 0.5)).tp == 0

    def test_frames_are_scored_apart(self):
        truth = nuclei((0, 0, 0, 0), (1, 0, 0, 50))
        found = nuclei((0, 0, 0, 50), (1, 0, 0, 50))
        score = score_detection(found, truth, UNIT)
        assert [(f.frame, f.tp, f.fp, f.fn, f.f1) for f in score.frames] == [(0, 0, 1, 1, 0.0), (1, 1, 0, 0, 1.0)]
        assert score.tp == 1

    def test_only_frames_with_truth_are_scored(self):
        truth = nuclei((3, 0, 0, 0))
        found = nuclei((2, 0, 0, 0), (3, 0, 0, 0), (4, 0, 0, 0), (4, 0, 0, 9))
        score = score_detection(found, truth, UNIT)
        assert (score.tp, score.fp, score.fn, score.n_predicted_elsewhere) == (1, 0, 0, 3)
        assert [f.frame for f in score.frames] == [3]

    def test_a_frame_that_was_looked_at_is_scored_though_it_is_empty(self):
        truth = nuclei((3, 0, 0, 0))
        found = nuclei((2, 0, 0, 0), (3, 0, 0, 0), (9, 0, 0, 0))
        score = score_detection(found, truth, UNIT, frames=range(1, 5))
        assert (score.tp, score.fp, score.fn, score.n_predicted_elsewhere) == (1, 1, 0, 1)
        assert [f.frame for f in score.frames] == [1, 2, 3, 4]
        assert [f.f1 for f in score.frames] == [None, 0, 1, None]

    def test_rejected_nuclei_count_on_neither_side(self):
        truth = nuclei((0, 0, 0, 0), (0, 0, 0, 50), (1, 0, 0, 0), state=[State.ACCEPTED, *[State.REJECTED] * 2])
        found = nuclei(
            (0, 0, 0, 0), (0, 0, 0, 90), (1, 0, 0, 0), state=[State.PROPOSED, State.REJECTED, State.PROPOSED]
        )
        score = score_detection(found, truth, UNIT)
        assert (score.tp, score.fp, score.fn, score.n_predicted_elsewhere) == (1, 0, 0, 1)

    def test_no_prediction(self):
        score = score_detection(nuclei(), nuclei((0, 0, 0, 0)), UNIT)
        assert (score.tp, score.fp, score.fn) == (0, 0, 1)
        assert score.precision is None
        assert score.recall == score.f1 == 0
        assert score.median_error_um is score.mean_error_um is None

    def test_no_truth(self):
        score = score_detection(nuclei((0, 0, 0, 0)), nuclei(), UNIT)
        assert (score.tp, score.fp, score.fn, score.n_predicted_elsewhere) == (0, 0, 0, 1)
        assert score.f1 is score.recall is score.f1_low is None
        assert score.frames == ()

    @pytest.mark.parametrize("radius", [0, -1, float("nan"), float("inf")])
    def test_an_impossible_radius_is_refused(self, radius):
        with pytest.raises(AnlageError, match=r"must be a positive number, for example 5"):
            score_detection(nuclei((0, 0, 0, 0)), nuclei((0, 0, 0, 0)), UNIT, radius)

    def test_it_goes_to_json_and_back(self):
        score = score_detection(nuclei(), nuclei((0, 0, 0, 0)), UNIT)
        assert type(score).model_validate_json(score.model_dump_json()) == score


class TestIgnore:
    truth = nuclei((0, 0, 0, 0), (0, 0, 0, 50), (0, 0, 0, 90))
    small = np.array([False, True, True])

    def test_found_or_not_they_change_nothing(self):
        found = nuclei((0, 0, 0, 0), (0, 0, 0, 51))  # one of the two small ones was found
        score = score_detection(found, self.truth, UNIT, ignore=self.small)
        assert (score.tp, score.fp, score.fn) == (1, 0, 0)
        assert (score.n_predicted, score.n_truth, score.n_ignored) == (1, 1, 2)
        assert score.mean_error_um == 0

    def test_a_second_prediction_on_one_is_wrong(self):
        found = nuclei((0, 0, 0, 0), (0, 0, 0, 51), (0, 0, 0, 49))
        assert score_detection(found, self.truth, UNIT, ignore=self.small).fp == 1

    def test_a_wanted_nucleus_comes_before_an_ignored_one(self):
        # the prediction is nearer to the ignored one, yet stands for the wanted one
        truth = nuclei((0, 0, 0, 0), (0, 0, 0, 5))
        score = score_detection(nuclei((0, 0, 0, 4)), truth, UNIT, ignore=np.array([False, True]))
        assert (score.tp, score.fp, score.fn) == (1, 0, 0)

    def test_a_frame_with_ignored_nuclei_alone_is_still_scored(self):
        found = nuclei((0, 0, 0, 0), (0, 0, 0, 90))
        score = score_detection(found, nuclei((0, 0, 0, 0)), UNIT, ignore=np.array([True]))
        assert (score.tp, score.fp, score.fn, score.n_predicted_elsewhere) == (0, 1, 0, 0)

    def test_marks_must_fit_the_truth(self):
        with pytest.raises(AnlageError, match="3 nuclei in the truth but 2 marks"):
            score_detection(nuclei(), self.truth, UNIT, ignore=np.array([True, False]))
