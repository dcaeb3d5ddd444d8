"""Pairing in order: what any threshold would pair, and no more."""

from __future__ import annotations

import numpy as np
import pytest

from anlage.matching import match, match_in_order


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


def test_nothing_to_pair() -> None:
    assert match_in_order(np.zeros((0, 3)), np.zeros((4, 3)), 1.0).shape == (0,)
    assert not match_in_order(np.zeros((2, 3)), np.zeros((0, 3)), 1.0).any()
