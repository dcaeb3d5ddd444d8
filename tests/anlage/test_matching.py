"""Pairing in order: what any threshold would pair, and no more."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from anlage.matching import MATCH_DIAMETERS, MATCH_UM, match, match_in_order, match_radius_um


def test_a_faint_candidate_takes_no_nucleus_from_a_likelier_one() -> None:
    """The faint one lies nearer; the likely one is right all the same."""
    predicted = [[0.0, 0.0, 3.0], [0.0, 0.0, 1.0]]
    assert match_in_order(predicted, [[0.0, 0.0, 0.0]], 5.0).tolist() == [True, False]


def test_an_earlier_one_moves_over_where_that_lets_a_later_one_in() -> None:
    """The first could have either truth and is given the left one; the second can have the left one only."""
    truth = [[0.0, 0.0, 0.0], [0.0, 0.0, 4.0]]
    predicted = [[0.0, 0.0, 2.0], [0.0, 0.0, -3.0]]
    assert match_in_order(predicted, truth, 3.5).all()


@pytest.mark.parametrize("seed", range(8))
def test_every_threshold_pairs_as_many_as_a_matching_of_its_own(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth, predicted = rng.random((40, 3)) * 20, rng.random((90, 3)) * 20
    paired = match_in_order(predicted, truth, 3.0)
    for k in range(0, 91, 6):
        assert paired[:k].sum() == len(match(predicted[:k], truth, 3.0)[0])


def test_the_radius_follows_the_diameter_and_is_usual_where_none_is_known() -> None:
    assert match_radius_um(None) == MATCH_UM
    assert match_radius_um(13.0) == 13.0 * MATCH_DIAMETERS


def test_nothing_to_pair() -> None:
    assert match_in_order(np.zeros((0, 3)), np.zeros((4, 3)), 1.0).shape == (0,)
    assert not match_in_order(np.zeros((2, 3)), np.zeros((0, 3)), 1.0).any()


# --- all at once


def test_as_many_pairs_as_possible_before_short_ones() -> None:
    """The first is at home with the first truth, but the second can have no other."""
    predicted = [[0.0, 0.0, 0.0], [0.0, 0.0, -10.0]]
    truth = [[0.0, 0.0, 0.0], [0.0, 0.0, 10.0]]
    pairs, distances = match(predicted, truth, 10.0)
    assert pairs.tolist() == [[0, 1], [1, 0]]
    assert distances.tolist() == [10.0, 10.0]


def test_of_equally_many_the_nearest_are_paired() -> None:
    pairs, distances = match([[0, 0, 2], [0, 0, 0]], [[0, 0, 0.5]], 5.0)
    assert (pairs.tolist(), distances.tolist()) == ([[1, 0]], [0.5])


def test_the_radius_itself_is_near_enough() -> None:
    assert len(match([[0, 0, 3]], [[0, 0, 0]], 3.0)[0]) == 1
    assert len(match([[0, 0, 3.001]], [[0, 0, 0]], 3.0)[0]) == 0


def test_places_that_agree_exactly_are_pairs() -> None:
    points = np.arange(12.0).reshape(4, 3)
    pairs, distances = match(points, points[::-1], 1.0)
    assert pairs.tolist() == [[0, 3], [1, 2], [2, 1], [3, 0]]
    assert not distances.any()


@pytest.mark.parametrize(("n", "m"), [(40, 60), (60, 40), (230, 190), (190, 230)])
def test_a_crowd_is_paired_as_by_the_table_of_all_distances(n: int, m: int) -> None:
    """Small crowds and those of more than 40,000 pairs are solved in different ways."""
    rng = np.random.default_rng(n)
    predicted, truth = rng.random((n, 3)), rng.random((m, 3))
    table = np.linalg.norm(predicted[:, None] - truth[None], axis=-1)
    radius = 2.0  # everything is near everything
    pairs, distances = match(predicted, truth, radius)
    best = table[linear_sum_assignment(table)].sum()
    assert len(pairs) == len(np.unique(pairs[:, 0])) == len(np.unique(pairs[:, 1])) == min(n, m)
    assert distances.sum() == pytest.approx(best)
    assert np.allclose(distances, table[tuple(pairs.T)])


@pytest.mark.parametrize("seed", range(4))
def test_scattered_points_are_paired_as_by_the_table_of_all_distances(seed: int) -> None:
    rng = np.random.default_rng(seed)
    predicted, truth = rng.random((150, 3)) * 30, rng.random((170, 3)) * 30
    radius, alone = 4.0, 1e4
    table = np.linalg.norm(predicted[:, None] - truth[None], axis=-1)
    cost = np.where(table <= radius, table, alone)
    chosen = cost[linear_sum_assignment(cost)]
    pairs, distances = match(predicted, truth, radius)
    assert len(pairs) == (chosen < alone).sum()
    assert distances.sum() == pytest.approx(chosen[chosen < alone].sum())
    assert (np.diff(pairs[:, 0]) > 0).all()


def test_points_may_have_a_fourth_coordinate() -> None:
    assert match_in_order([[0, 0, 0, 9.0]], [[0, 0, 0, 0.0]], 3.0).tolist() == [False]
    assert match_in_order([[0, 0, 0, 2.0]], [[0, 0, 0, 0.0]], 3.0).tolist() == [True]


def test_no_points_make_no_pairs() -> None:
    for predicted, truth in (([], [[0.0, 0, 0]]), ([[0.0, 0, 0]], []), ([], [])):
        pairs, distances = match(predicted, truth, 1.0)
        assert (pairs.shape, distances.shape) == ((0, 2), (0,))


def test_points_with_a_fourth_coordinate_and_none_at_all_make_no_pairs() -> None:
    four = np.zeros((2, 4))
    assert not match_in_order(four, [], 1.0).any()
    assert match_in_order([], four, 1.0).shape == (0,)
    assert len(match(four, [], 1.0)[0]) == len(match([], four, 1.0)[0]) == 0


def test_a_match_never_reaches_half_way_to_the_next_nucleus() -> None:
    assert match_radius_um(10) == pytest.approx(3.5)
    assert match_radius_um(10, 12) == pytest.approx(3.5)
    assert match_radius_um(63, 15) == pytest.approx(7.5)
    assert match_radius_um(None, 3) == pytest.approx(1.5)
