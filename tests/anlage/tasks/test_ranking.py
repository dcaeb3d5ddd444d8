"""Average precision and the best F1 of ranked answers."""

from __future__ import annotations

import numpy as np
import pytest

from anlage.tasks.ranking import average_precision, best_f1


def test_of_a_ranking_with_one_wrong_and_one_missed():
    ranked = np.array([True, False, True])
    # of four: a quarter at precision 1, another at 2/3
    assert average_precision(ranked, 4) == pytest.approx(1 / 4 + 1 / 4 * 2 / 3)
    assert best_f1(ranked, 4) == pytest.approx(2 * 2 / (3 + 4))


def test_what_is_wrong_before_costs_and_behind_does_not():
    assert average_precision(np.array([True, True, False]), 2) == 1.0 == best_f1(np.array([True, True, False]), 2)
    assert average_precision(np.array([False, True, True]), 2) == pytest.approx(2 / 3)


def test_nothing_reported_or_nothing_there_is_0():
    nothing = np.zeros(0, dtype=bool)
    assert average_precision(nothing, 3) == 0.0 == best_f1(nothing, 3)
    assert average_precision(np.array([False]), 0) == 0.0 == best_f1(np.array([False]), 0)
