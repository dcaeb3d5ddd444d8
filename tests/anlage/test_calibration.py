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
    logit,
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


def worse_than(calibration, x, wanted, *, intercept=True):
    """How much larger the penalised cross-entropy is a little beside a fit, in each direction."""
    n_true, n_false = int(wanted.sum()), int((~wanted).sum())
    target = np.where(wanted, (n_true + 1) / (n_true + 2), 1 / (n_false + 2))

    def cost(log_slope, shift):
        score = math.exp(log_slope) * x + shift
        return np.sum(np.logaddexp(0, score) - target * score) + 0.5 * log_slope**2 + 0.5 * (shift / 2) ** 2

    at, shift = math.log(calibration.slope), calibration.intercept
    steps = [(0.02, 0), (-0.02, 0), *([(0, 0.02), (0, -0.02)] if intercept else [])]
    return [cost(at + a, shift + b) - cost(at, shift) for a, b in steps]


class TestPriors:
    """Fits from few examples lie where cross-entropy and priors balance: ln slope within 1, intercept within 2 of the identity."""

    @pytest.mark.parametrize(("n_true", "n_false"), [(8, 8), (8, 30), (40, 9)])
    def test_the_penalised_cross_entropy_is_smallest_at_the_fit(self, n_true, n_false):
        rng = np.random.default_rng(n_true)
        wanted = np.arange(n_true + n_false) < n_true
        x = rng.normal(0, 1, len(wanted)) + np.where(wanted, 0.7, -0.2)
        assert min(worse_than(fit_platt(x, wanted), x, wanted)) > 0

    @pytest.mark.parametrize(("n_true", "n_false"), [(5, 5), (5, 40), (7, 8), (8, 7)])
    def test_with_fewer_than_eight_of_a_kind_the_slope_alone_is_fitted(self, n_true, n_false):
        rng = np.random.default_rng(n_true)
        wanted = np.arange(n_true + n_false) < n_true
        x = rng.normal(0, 1, len(wanted)) + np.where(wanted, 1.5, 0.5)
        calibration = fit_platt(x, wanted)
        assert calibration.intercept == 0
        assert min(worse_than(calibration, x, wanted, intercept=False)) > 0

    @pytest.mark.parametrize(("n_true", "n_false"), [(4, 100), (100, 4)])
    def test_with_fewer_than_five_of_a_kind_nothing_is_fitted(self, n_true, n_false):
        wanted = np.arange(104) < n_true
        assert fit_platt(np.where(wanted, 3.0, 0.1), wanted) == Calibration()

    def test_slopes_have_an_end(self):
        truth = np.arange(20_000) < 10_000
        assert fit_platt(np.where(truth, 1e-4, -1e-4), truth).slope <= 50 + 1e-9
        assert fit_platt(np.where(truth, -3.0, 3.0), truth).slope == pytest.approx(0.02)

    def test_logits_are_looked_at_up_to_thirty(self):
        assert Calibration().apply(31.0) == Calibration().apply(30.0) == Calibration().apply(math.inf)
        assert Calibration(slope=0.1).apply(30.0) == pytest.approx(1 / (1 + math.exp(-3)))
        assert Calibration(slope=0.1).apply(-31.0) == pytest.approx(1 / (1 + math.exp(3)))
        assert Calibration(slope=0.1).apply(29.0) < Calibration(slope=0.1).apply(30.0)


class TestDetails:
    def test_the_bins_may_be_of_another_width(self):
        bins = reliability([0.1, 0.3, 0.55, 1.0], [True, False, True, True], n_bins=4)
        assert [(b.low, b.high, b.n, b.fraction_true) for b in bins] == [
            (0.0, 0.25, 1, 1.0), (0.25, 0.5, 1, 0.0), (0.5, 0.75, 1, 1.0), (0.75, 1.0, 1, 1.0),
        ]  # fmt: skip
        assert expected_calibration_error([0.1, 0.3], [True, False], n_bins=1) == pytest.approx(0.3)

    def test_odds_are_finite_also_where_all_is_sure(self):
        assert logit([0.5, 0.75]) == pytest.approx([0, math.log(3)])
        assert logit([0.0, 1.0], surest=0.01) == pytest.approx([-math.log(99), math.log(99)])
        assert np.isfinite(logit([0.0, 1.0])).all()
        assert logit(1e-12) == pytest.approx(-12 * math.log(10))

    def test_the_first_value_that_is_no_probability_is_named(self):
        with pytest.raises(AnlageError, match=r"2 of 3 probabilities are not between 0 and 1, the first is 1\.5"):
            reliability([1.5, 0.5, -1], [True, True, True])

    def test_wilson_at_another_certainty(self):
        assert wilson_interval(5, 10, z=1.0) == pytest.approx((0.3492, 0.6508), abs=1e-4)
        assert wilson_interval(0, 1)[1] == pytest.approx(0.7935, abs=1e-3)

    def test_f1_interval_of_a_known_case(self):
        low, high = wilson_interval(9, 11)
        assert f1_interval(9, 1, 1) == pytest.approx((2 * low / (1 + low), 2 * high / (1 + high)))
        assert f1_interval(0, 0, 0) == (0.0, 1.0)


class TestChoice:
    """Where the chosen threshold lies, of held-out data that leave no doubt."""

    def test_half_the_best_f1_where_that_is_as_good(self):
        p = np.r_[np.full(60, 0.9), np.full(60, 0.1)]
        found = np.r_[np.ones(60, dtype=bool), np.zeros(60, dtype=bool)]
        assert choose_threshold(p, found, 100) == pytest.approx(2 * 60 / 160 / 2)

    def test_else_the_middle_of_what_is_nearly_as_good(self):
        p = np.r_[np.full(60, 0.9), np.full(60, 0.7)]
        found = np.r_[np.ones(60, dtype=bool), np.zeros(60, dtype=bool)]
        assert choose_threshold(p, found, 60) == pytest.approx(0.8)
        assert choose_threshold(np.full(60, 0.3), np.ones(60, dtype=bool), 60) == pytest.approx(0.15)

    @pytest.mark.parametrize(("n_wrong", "chosen"), [(6, 0.5), (7, 0.65)])
    def test_nearly_as_good_is_within_five_per_cent(self, n_wrong, chosen):
        """60 right ones at 0.8. Six wrong ones at 0.5 cost 4.8 % of F1, so half of the best will do; seven cost 5.5 %."""
        p = np.r_[np.full(60, 0.8), np.full(n_wrong, 0.5), np.full(300, 0.45)]
        assert choose_threshold(p, np.arange(len(p)) < 60, 60) == pytest.approx(chosen)

    def test_thirty_nuclei_decide_alone_and_fewer_in_proportion(self):
        p = np.r_[np.full(30, 0.9), np.full(30, 0.7)]
        found = np.arange(60) < 30
        assert choose_threshold(p, found, 30) == pytest.approx(0.8)
        assert choose_threshold(p[:-1], found[:-1], 29) == pytest.approx(29 / 30 * 0.8 + 1 / 30 * 0.5)
        assert choose_threshold(p, found, 15) == pytest.approx(0.5 * 0.8 + 0.5 * 0.5)

    def test_it_is_never_all_or_nothing(self):
        sure = choose_threshold(np.r_[np.full(90, 1.0), np.full(90, 0.999)], np.arange(180) < 90, 90)
        assert sure == 0.99
        faint = choose_threshold(np.full(90, 0.004), np.ones(90, dtype=bool), 90)
        assert faint == 0.01

    def test_a_single_right_candidate_is_enough_to_choose(self):
        assert choose_threshold([0.9], [True], 1) == pytest.approx(1 / 30 * 0.5 + 29 / 30 * 0.5, abs=0.02)
