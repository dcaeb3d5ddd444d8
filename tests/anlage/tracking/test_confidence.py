"""Probabilities given the competitors, and setting them right."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from anlage.annotations import Annotations, track_numbers
from anlage.calibration import Calibration
from anlage.calibration import logit as log_odds
from anlage.errors import AnlageError
from anlage.tracking.confidence import (
    confidence,
    fit_temperature,
    link_reliability,
    recalibrated,
    track_errors,
)  # fmt: skip
from anlage.tracking.marginals import Marginals, marginals
from anlage.tracking.problem import LinkingProblem, solution_of
from anlage.tracking.settings import TrackingSettings
from anlage.tracking.spot_check import rescaled_links

TREE = [[0, 2], [0, 3], [1, 4], [3, 5], [4, 6]]
LOOPS = [[0, 2], [0, 3], [1, 3], [1, 4], [2, 5], [3, 5], [3, 6], [4, 6]]


def random_problem(pairs: list[list[int]], seed: int = 0) -> LinkingProblem:
    rng = np.random.default_rng(seed)
    n = 7
    return LinkingProblem(
        np.array([0, 0, 1, 1, 1, 2, 2]), np.array(pairs), rng.normal(-1, 1, n), rng.normal(-0.5, 1.5, len(pairs)),
        np.full(n, 1.0), np.full(n, 1.2), np.full(n, 0.7), np.arange(n) == 1, np.zeros(len(pairs), np.int8),
    )  # fmt: skip


def by_counting(problem: LinkingProblem) -> Marginals:
    """All choices, each weighted by its probability."""
    n, n_edges = len(problem), len(problem.pairs)
    total, sums = 0.0, [np.zeros(n_edges), *(np.zeros(n) for _ in range(4))]
    for picked in itertools.product([False, True], repeat=n_edges):
        edges = np.array(picked)
        into = np.bincount(problem.pairs[edges, 1], minlength=n)
        onwards = np.bincount(problem.pairs[edges, 0], minlength=n)
        if (into > 1).any() or (onwards > 2).any():
            continue
        needed = (into > 0) | (onwards > 0) | problem.must
        for others in itertools.product([False, True], repeat=int((~needed).sum())):
            nodes = needed.copy()
            nodes[~needed] = others
            weight = np.exp(-solution_of(problem, nodes, edges).objective)
            total += weight
            states = (edges, nodes, nodes & (into == 0), nodes & (onwards == 0), onwards > 1)
            for one, state in zip(sums, states, strict=True):
                one += weight * state
    return Marginals(*(one / total for one in sums))


@pytest.mark.parametrize(("pairs", "within"), [(TREE, 1e-4), (LOOPS, 0.01)])
def test_marginals_are_those_of_all_choices(pairs: list[list[int]], within: float) -> None:
    for seed in range(3):
        problem = random_problem(pairs, seed)
        found, counted = marginals(problem), by_counting(problem)
        for name in ("edge", "node", "appear", "end", "division"):
            assert getattr(found, name) == pytest.approx(getattr(counted, name), abs=within), name


def test_a_competitor_makes_a_link_less_sure() -> None:
    problem = random_problem(LOOPS)
    rival = int(np.flatnonzero((problem.pairs == [3, 5]).all(axis=1))[0])
    link = int(np.flatnonzero((problem.pairs == [2, 5]).all(axis=1))[0])
    alone = marginals(problem.clamped([rival], -1)).edge[link]
    taken = marginals(problem.clamped([rival], 1)).edge
    assert marginals(problem).edge[link] < alone
    assert taken[link] < 1e-6
    assert taken[rival] > 1 - 1e-6


def test_a_higher_temperature_is_less_sure() -> None:
    problem = random_problem(TREE)
    cold, warm = marginals(problem, temperature=1.0).edge, marginals(problem, temperature=3.0).edge
    assert np.abs(warm - 0.5).mean() < np.abs(cold - 0.5).mean()


def test_boasting_costs_are_found_out() -> None:
    rng = np.random.default_rng(1)
    n = 1500  # nuclei that each have two possible successors of their own, one of them right
    pairs = np.array([[3 * i, 3 * i + 1 + k] for i in range(n) for k in (0, 1)])
    logit = rng.normal(0, 1.2, n)
    right = rng.random(n) < 1 / (1 + np.exp(-2 * logit))
    problem = LinkingProblem(
        np.tile([0, 1, 1], n), pairs, np.full(3 * n, -5.0), np.column_stack([-3 * logit, 3 * logit]).ravel(),
        np.full(3 * n, 6.0), np.full(3 * n, 6.0), np.full(3 * n, np.inf), np.ones(3 * n, bool), np.zeros(2 * n, np.int8),
    )  # fmt: skip
    truth = np.column_stack([right, ~right]).ravel()
    assert fit_temperature(problem, truth) == pytest.approx(3.0, rel=0.25)
    assert fit_temperature(problem, np.ones(2 * n, bool)) == 1.0  # one class says nothing
    plain = TrackingSettings(temperature=1.0, calibration=Calibration())
    raw = confidence(problem, plain).edge
    settings = recalibrated(plain, raw, truth)
    assert settings.calibration.slope == pytest.approx(1 / 3, rel=0.25)
    before, after = link_reliability(raw, truth), link_reliability(confidence(problem, settings).edge, truth)
    assert after.ece < 0.03 < before.ece
    assert sum(one.n for one in after.bins) == after.n == 2 * n


def test_a_checked_sample_scales_the_other_links() -> None:
    rng = np.random.default_rng(2)
    logit = rng.normal(2, 1.5, 4000)
    right = rng.random(4000) < 1 / (1 + np.exp(-logit + 1.0))  # all promise too much
    said = 1 / (1 + np.exp(-logit))
    links = np.column_stack([np.arange(1, 4001), np.arange(4001, 8001)])
    nuclei = Annotations.of(np.column_stack([np.repeat([0, 1], 4000), np.zeros((8000, 3))]), links=links)
    tracks = nuclei.linked(links, {"probability": np.where(np.arange(4000) < 10, np.nan, said)})
    drawn = rng.permutation(np.arange(10, 4000))[:400]
    pairs, probability = rescaled_links(tracks, said[drawn], right[drawn])
    np.testing.assert_array_equal(pairs, links[10:])
    before, after = (link_reliability(p, right[10:]).ece for p in (said[10:], probability))
    assert after < 0.03 < 0.1 < before
    with pytest.raises(AnlageError, match="20 links were right and 4 wrong; with fewer than 5 of each"):
        rescaled_links(tracks, [0.9] * 24, [True] * 20 + [False] * 4)


def test_too_few_corrections_change_nothing() -> None:
    settings = TrackingSettings()
    assert recalibrated(settings, [0.9] * 20, [True] * 20) is settings
    assert recalibrated(settings, [0.9] * 8, [True] * 4 + [False] * 4) is settings


def test_errors_add_up_along_tracks_and_lineages() -> None:
    # 0 → 1 divides into 2 and 3; 4 alone
    links = np.array([[0, 1], [1, 2], [1, 3]])
    tracks, lineages = track_numbers(5, links)
    assert tracks[0] == tracks[1]
    assert len(set(tracks.tolist())) == 4
    assert len(set(lineages.tolist())) == 2
    one = np.ones(5)
    division = np.array([1, 0.9, 1, 1, 1.0])
    track, lineage = track_errors(links, np.array([0.8, 0.7, np.nan]), one, np.array([1, 1, 1, 0.5, 1.0]), division)
    assert track == pytest.approx([1 - 0.8 * 0.9, 1 - 0.8 * 0.9, 1 - 0.7, 0.5, 0.0], abs=1e-9)
    assert lineage == pytest.approx([1 - 0.8 * 0.9 * 0.7 * 0.5] * 4 + [0.0], abs=1e-9)


def test_five_of_each_kind_are_enough_to_learn_a_scaling() -> None:
    settings = TrackingSettings()
    assert recalibrated(settings, [0.9] * 9, [True] * 5 + [False] * 4) is settings
    assert recalibrated(settings, [0.9] * 9, [True] * 4 + [False] * 5) is settings
    assert recalibrated(settings, [0.9] * 10, [True] * 5 + [False] * 5) is not settings


def test_a_scaling_is_learnt_on_top_of_the_one_that_was_there() -> None:
    """The same links, told by a scaled probability, lead to the same scaling."""
    rng = np.random.default_rng(0)
    raw = rng.normal(0, 2, 500)
    right = rng.random(500) < 1 / (1 + np.exp(-raw / 2))
    plain = TrackingSettings(calibration=Calibration())
    scaled = TrackingSettings(calibration=Calibration(slope=0.7, intercept=-1.5))
    first = recalibrated(plain, Calibration().apply(raw), right).calibration
    second = recalibrated(scaled, Calibration(slope=0.7, intercept=-1.5).apply(raw), right).calibration
    assert first is not None
    assert second is not None
    assert (second.slope, second.intercept) == pytest.approx((first.slope, first.intercept), rel=1e-4)


def test_what_was_looked_at_more_often_than_it_occurs_counts_less() -> None:
    rng = np.random.default_rng(1)
    raw = rng.normal(0, 1.5, 3000)
    right = rng.random(3000) < 1 / (1 + np.exp(-raw))
    given = np.where(right, 0.2, 0.5)  # of the right ones every fifth was looked at, of the wrong ones every second
    predicted_box = rng.random(3000) < given
    plain = TrackingSettings(calibration=Calibration())
    p = Calibration().apply(raw)
    naive = recalibrated(plain, p[predicted_box], right[predicted_box]).calibration
    fair = recalibrated(plain, p[predicted_box], right[predicted_box], given=given[predicted_box]).calibration
    assert naive is not None
    assert fair is not None
    assert naive.intercept < -0.6
    assert abs(fair.intercept) < 0.3


def test_links_that_occur_less_often_than_they_were_looked_at_count_once() -> None:
    rng = np.random.default_rng(1)
    p, right = rng.random(40), rng.random(40) < 0.5
    plain = TrackingSettings()
    assert recalibrated(plain, p, right, given=np.full(40, 3.0)) == recalibrated(plain, p, right)


def test_clamped_links_stay_certain_whatever_the_scaling() -> None:
    problem = random_problem(TREE).clamped([0], 1).clamped([3], -1)
    timid = TrackingSettings(temperature=1.0, calibration=Calibration(slope=0.1))
    edge = confidence(problem, timid).edge
    assert edge[0] > 1 - 1e-6
    assert edge[3] < 1e-6
    free = marginals(problem).edge
    assert np.allclose(edge[[1, 2, 4]], Calibration(slope=0.1).apply(log_odds(free))[[1, 2, 4]], atol=1e-6)


def test_without_a_scaling_the_marginals_are_told_as_they_are() -> None:
    problem = random_problem(TREE)
    plain = TrackingSettings(temperature=2.0, calibration=Calibration())
    assert np.array_equal(confidence(problem, plain).edge, marginals(problem, temperature=2.0).edge)


def test_only_known_links_decide_the_temperature() -> None:
    n = 60
    pairs = np.array([[3 * i, 3 * i + 1 + k] for i in range(n) for k in (0, 1)])
    logit = np.random.default_rng(0).normal(0, 2, n)
    problem = LinkingProblem(
        np.tile([0, 1, 1], n), pairs, np.full(3 * n, -5.0), np.column_stack([-logit, logit]).ravel(),
        np.full(3 * n, 6.0), np.full(3 * n, 6.0), np.full(3 * n, np.inf), np.ones(3 * n, bool), np.zeros(2 * n, np.int8),
    )  # fmt: skip
    sure = np.column_stack([logit > 0, logit <= 0]).ravel()  # the likelier one is always right: as cold as can be
    known = np.zeros(2 * n, bool)
    known[:40] = True
    mixed = np.where(known, sure, ~sure)
    assert fit_temperature(problem, mixed, known) == pytest.approx(0.5)
    assert fit_temperature(problem, mixed, ~known) == pytest.approx(6.0)
    few = np.zeros(2 * n, bool)
    few[:9] = True
    assert fit_temperature(problem, mixed, few) == 1.0
    few[:10] = True
    assert fit_temperature(problem, mixed, few) == pytest.approx(0.5)


def test_no_links_make_as_many_tracks_as_nuclei() -> None:
    none = np.zeros((0, 2), dtype=np.int64)
    assert [numbers.tolist() for numbers in track_numbers(3, none)] == [[0, 1, 2], [0, 1, 2]]
    track, lineage = track_errors(none, np.zeros(0), np.array([0.5, 1, 1]), np.array([0.5, 1, 0.9]), np.ones(3))
    assert track == pytest.approx([0.75, 0, 0.1])
    assert lineage == pytest.approx([0.75, 0, 0.1])


def test_an_impossible_beginning_is_nearly_surely_wrong() -> None:
    none = np.zeros((0, 2), dtype=np.int64)
    track, _ = track_errors(none, np.zeros(0), np.zeros(1), np.ones(1), np.ones(1))
    assert track == pytest.approx([1.0])
    assert np.isfinite(track).all()


def test_what_is_certain_is_certain_to_the_last_digit() -> None:
    none = np.zeros((0, 2), dtype=np.int64)
    track, lineage = track_errors(none, np.zeros(0), np.ones(2), np.ones(2), np.full(2, 0.3))
    assert track.tolist() == lineage.tolist() == [0, 0], "what does not divide claims no division"


def test_links_count_once_where_nothing_is_said_of_how_they_were_drawn() -> None:
    rng = np.random.default_rng(3)
    p, right = rng.random(30), rng.random(30) < 0.5
    plain = TrackingSettings()
    assert recalibrated(plain, p, right) == recalibrated(plain, p, right, given=np.ones(30))
    twice = recalibrated(plain, p, right, given=np.full(30, 0.5))
    assert twice == recalibrated(plain, np.repeat(p, 2), np.repeat(right, 2)) != recalibrated(plain, p, right)
