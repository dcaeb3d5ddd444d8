from __future__ import annotations

import math

import numpy as np
import pytest

from anlage.calibration import (
    Calibration,
    choose_threshold,
    expected_calibration_error,
    f1_interval,
    fit_platt,
    reliability,
    wilson_interval,
)
from anlage.errors import AnlageError


def examples(n: int, *, overconfidence: float = 1.0, shift: float = 0.0, seed: int = 0):
    """Logits whose true meaning is known: sigmoid((logit − shift) / overconfidence) is the honest probability."""
    rng = np.random.default_rng(seed)
    honest = rng.normal(0.5, 2.0, n)
    truth = rng.random(n) < 1 / (1 + np.exp(-honest))
    return overconfidence * honest + shift, truth


def cross_entropy(probability, truth) -> float:
    p = np.clip(np.where(truth, probability, 1 - probability), 1e-12, 1)
    return float(-np.log(p).mean())


class TestFit:
    @pytest.mark.parametrize(("overconfidence", "shift"), [(4.0, 0.0), (0.3, 0.0), (2.0, -3.0), (1.0, 2.0)])
    def test_miscalibrated_logits_become_honest(self, overconfidence, shift):
        logits, truth = examples(20_000, overconfidence=overconfidence, shift=shift)
        new_logits, new_truth = examples(20_000, overconfidence=overconfidence, shift=shift, seed=1)
        before = expected_calibration_error(Calibration().apply(new_logits), new_truth)
        after = expected_calibration_error(fit_platt(logits, truth).apply(new_logits), new_truth)
        assert before > 0.05
        assert after < 0.02

    def test_slope_and_intercept_are_the_true_ones(self):
        calibration = fit_platt(*examples(50_000, overconfidence=2.0, shift=1.0))
        assert calibration.slope == pytest.approx(0.5, abs=0.02)
        assert calibration.intercept == pytest.approx(-0.5, abs=0.05)

    @pytest.mark.parametrize("n", [6, 12, 30, 60])
    def test_few_examples_of_an_honest_network_do_no_harm(self, n):
        new_logits, new_truth = examples(20_000, seed=99)
        untouched = cross_entropy(Calibration().apply(new_logits), new_truth)
        fitted = [cross_entropy(fit_platt(*examples(n, seed=seed)).apply(new_logits), new_truth) for seed in range(40)]
        assert np.mean(fitted) < untouched + 0.025
        assert max(fitted) < untouched + 0.15

    def test_too_few_of_a_kind_change_nothing(self):
        assert fit_platt([3.0, 4.0, -2.0, 5.0], [True, True, False, True]) == Calibration()

    def test_a_single_kind_changes_nothing(self):
        assert fit_platt(np.linspace(-3, 3, 500), np.ones(500, dtype=bool)) == Calibration()
        assert fit_platt(np.linspace(-3, 3, 500), np.zeros(500, dtype=bool)) == Calibration()

    def test_no_examples_change_nothing(self):
        assert fit_platt([], []) == Calibration()

    def test_with_seven_of_each_only_the_slope_moves(self):
        calibration = fit_platt(np.r_[np.full(7, 1.0), np.full(7, -1.0)], np.arange(14) < 7)
        assert calibration.intercept == 0
        assert calibration.slope > 1

    @pytest.mark.parametrize("gap", [1e-3, 1.0, 29.0, 1e6])
    def test_separable_examples_keep_a_finite_slope_and_leave_room_for_doubt(self, gap):
        truth = np.arange(2000) < 1000
        calibration = fit_platt(np.where(truth, gap, -gap), truth)
        assert 0 < calibration.slope <= 50
        assert calibration.apply(gap) < 1

    def test_fifty_right_answers_are_no_certainty(self):
        truth = np.arange(100) < 50
        calibration = fit_platt(np.where(truth, 29.0, -29.0), truth)
        assert 0.95 < calibration.apply(29.0) < 0.99

    def test_a_useless_network_never_has_its_order_reversed(self):
        truth = np.arange(400) < 200
        calibration = fit_platt(np.where(truth, -2.0, 2.0), truth)
        assert calibration.slope > 0
        assert calibration.apply(2.0) == pytest.approx(0.5, abs=0.1)

    def test_infinite_logits_count_as_very_sure(self):
        truth = np.arange(100) < 50
        logits = np.where(truth, np.inf, -np.inf)
        logits[:10] *= -1
        calibration = fit_platt(logits, truth)
        assert np.isfinite(calibration.apply(logits)).all()

    def test_not_a_number_is_refused(self):
        with pytest.raises(AnlageError, match=r"2 of the network's 3 outputs are not numbers.*lower learning rate"):
            fit_platt([np.nan, 1.0, np.nan], [True, False, True])
        with pytest.raises(AnlageError, match="not numbers"):
            Calibration().apply([0.0, np.nan])

    def test_lengths_must_agree(self):
        with pytest.raises(AnlageError, match="3 predictions but 2 truths"):
            fit_platt([0.0, 1.0, 2.0], [True, False])


class TestApply:
    def test_identity_is_the_sigmoid_and_keeps_the_shape(self):
        logits = np.array([[0.0, math.log(3)], [-math.log(3), 800.0]], dtype=np.float32)
        np.testing.assert_allclose(Calibration().apply(logits), [[0.5, 0.75], [0.25, 1.0]], atol=1e-6)

    def test_order_is_kept_down_to_the_tails(self):
        p = Calibration(slope=2.0, intercept=-1.0).apply(np.linspace(-8, 8, 1001))
        assert (np.diff(p) > 0).all()

    @pytest.mark.parametrize("slope", [0.0, -1.0, math.inf, math.nan])
    def test_a_slope_that_would_reverse_or_destroy_is_refused(self, slope):
        with pytest.raises(ValueError, match="slope"):
            Calibration(slope=slope)


class TestReliability:
    def test_bins_tell_what_came_true(self):
        bins = reliability([0.05, 0.1, 0.95, 1.0, 0.97, 0.93], [False, True, True, True, True, False])
        assert [(b.low, b.high, b.n) for b in bins] == [(0.0, 0.1, 1), (0.1, 0.2, 1), (0.9, 1.0, 4)]
        assert bins[-1].mean_probability == pytest.approx(0.9625)
        assert bins[-1].fraction_true == pytest.approx(0.75)

    def test_error_of_a_known_case(self):
        # 100 claims of 0.9, of which 80 hold; 100 claims of 0.15, of which 25 hold
        p = np.r_[np.full(100, 0.9), np.full(100, 0.15)]
        truth = np.r_[np.arange(100) < 80, np.arange(100) < 25]
        assert expected_calibration_error(p, truth) == pytest.approx(0.1)

    def test_without_examples_it_is_unknown(self):
        assert math.isnan(expected_calibration_error([], []))
        assert reliability([], []) == ()

    @pytest.mark.parametrize("wrong", [-0.1, 1.1, math.nan])
    def test_what_is_no_probability_is_refused(self, wrong):
        with pytest.raises(AnlageError, match="1 of 2 probabilities are not between 0 and 1"):
            reliability([0.5, wrong], [True, False])


class TestThreshold:
    def f1(self, p, found, n_truth, threshold):
        kept = p >= threshold
        return 2 * found[kept].sum() / (kept.sum() + n_truth)

    def test_it_separates_right_from_wrong(self):
        p = np.r_[np.linspace(0.8, 0.99, 100), np.linspace(0.05, 0.4, 100)]
        threshold = choose_threshold(p, np.arange(200) < 100, 100)
        assert 0.4 < threshold < 0.8
        assert threshold == pytest.approx(0.5)

    def test_it_is_nearly_the_best_on_held_out_and_on_new_data(self):
        logits, found = examples(3000, seed=3)
        p, n_truth = Calibration().apply(logits), int(found.sum() * 1.1)
        threshold = choose_threshold(p, found, n_truth)
        best = max(self.f1(p, found, n_truth, t) for t in p)
        assert self.f1(p, found, n_truth, threshold) >= 0.985 * best

    def test_one_lucky_example_does_not_decide(self):
        # the best single value is 0.9; all from 0.1 to 0.95 are nearly as good
        p = np.r_[np.full(200, 0.95), 0.89, np.full(20, 0.1)]
        found = np.r_[np.ones(200, dtype=bool), False, np.zeros(20, dtype=bool)]
        assert choose_threshold(p, found, 200) == pytest.approx(0.5, abs=0.01)

    def test_equal_probabilities_stay_together(self):
        # to keep the 20 right ones of the 80 at 0.7 and drop the others would be perfect, and is impossible
        p = np.array([0.9] * 40 + [0.7] * 80)
        found = np.array([True] * 60 + [False] * 60)
        assert choose_threshold(p, found, 60) == pytest.approx(0.8)

    def test_few_nuclei_draw_it_to_a_half(self):
        p, found = np.array([0.99, 0.98, 0.97, 0.96]), np.array([True, True, True, False])
        few = choose_threshold(p, found, 3)
        assert few == pytest.approx(0.1 * 0.965 + 0.9 * 0.5, abs=0.02)
        assert abs(few - 0.5) < abs(choose_threshold(np.repeat(p, 20), np.repeat(found, 20), 60) - 0.5)

    @pytest.mark.parametrize(
        ("p", "found", "n_truth"),
        [([], [], 10), ([0.3, 0.4], [False, False], 10), ([0.9], [True], 0)],
        ids=["no candidates", "none right", "no truth"],
    )
    def test_where_nothing_can_be_chosen_it_is_a_half(self, p, found, n_truth):
        assert choose_threshold(p, found, n_truth) == 0.5


class TestIntervals:
    def test_wilson_of_a_textbook_case(self):
        # Newcombe (1998), method 3: 81 of 263
        assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)

    def test_ends_stay_inside_and_nothing_known_is_everything(self):
        assert wilson_interval(0, 10)[0] == 0
        assert wilson_interval(10, 10)[1] == 1
        assert wilson_interval(0, 0) == (0.0, 1.0)

    def test_f1_lies_in_its_interval_which_narrows_with_the_count(self):
        few, many = f1_interval(9, 1, 1), f1_interval(900, 100, 100)
        assert few[0] < 0.9 < few[1]
        assert many[0] < 0.9 < many[1]
        assert many[1] - many[0] < 0.2 * (few[1] - few[0])

    def test_f1_interval_covers_as_promised(self):
        rng = np.random.default_rng(0)
        truly = 2 * 0.8 / (0.8 + 1)
        inside = 0
        for _ in range(500):
            tp = rng.binomial(150, 0.8)
            low, high = f1_interval(tp, 150 - tp, 0)
            inside += low <= truly <= high
        assert 0.92 < inside / 500 < 0.98
