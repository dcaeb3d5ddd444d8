"""How far nuclei lie from each other."""

import numpy as np
import pytest

from anlage.neighbours import typical_gap_um

PLACES = np.array([[0, 0, 0], [0, 0, 0.3], [0, 0, 0.7]])


def test_the_distance_to_a_neighbour_is_of_the_last_one_where_there_are_few() -> None:
    assert typical_gap_um([0, 0, 0], PLACES) == pytest.approx(0.3)
    assert typical_gap_um([0, 0, 0], PLACES, neighbour=9) == pytest.approx(0.7)


def test_nuclei_of_other_frames_are_no_neighbours() -> None:
    assert typical_gap_um([0, 1, 1], PLACES) == pytest.approx(0.4)
    assert typical_gap_um([0, 1, 2], PLACES) is None
    assert typical_gap_um([0, 0], PLACES[[0, 0]]) is None
