from __future__ import annotations

import numpy as np
import pytest

from anlage.axes import Box, Spacing
from anlage.dataset.holdout import choose_block

SPACING = Spacing(2, 1, 1)
SHAPE = (1, 10, 60, 100)


def test_the_longest_axis_of_the_plane_is_cut_at_one_end() -> None:
    x = np.linspace(5, 95, 10)
    positions = np.c_[np.zeros(10), np.full(10, 5), np.full(10, 30), x]
    box = choose_block(positions, SHAPE, SPACING, 8.0, fraction=0.2)
    assert box is not None
    assert box.ranges[:3] == ((0, 1), (0, 10), (0, 60))
    assert box.contains(positions).sum() == 2
    assert 0 in box.x or 100 in box.x


def test_another_axis_is_cut_where_the_longest_leaves_no_gap() -> None:
    positions = np.array([[0, 5, 10, 50], [0, 5, 40, 55.0]])
    box = choose_block(positions, SHAPE, SPACING, 8.0)
    assert box is not None
    assert box.x == (0, 100)
    assert box.shape[2] < 60
    assert box.contains(positions).sum() == 1


def test_the_gap_is_measured_in_micrometres() -> None:
    # 5 planes are 10 µm: enough for a gap of 8 µm; along x 7 voxels are not
    positions = np.array([[0, 2, 30, 50], [0, 7, 30, 57.0]])
    box = choose_block(positions, SHAPE, SPACING, 8.0)
    assert box is not None
    assert box.shape[1] < 10
    assert box.shape[3] == 100


def test_no_depth_is_held_out_where_a_side_can_be() -> None:
    """The upper planes of a tall cuboid look unlike the rest: a network that never saw them would be judged by them alone."""
    z, y, x = np.meshgrid(np.arange(5, 100, 10.0), *2 * [np.arange(5, 40, 10.0)], indexing="ij")
    crowd = np.column_stack([np.zeros(z.size), z.ravel(), y.ravel(), x.ravel()])
    box = choose_block(crowd, (1, 100, 40, 40), Spacing(1, 1, 1), 8.0)
    assert box is not None
    assert box.z == (0, 100)


def test_frames_with_more_nuclei_decide_which_end_is_kept() -> None:
    counts = [1, 4, 4, 4, 30]
    t = np.repeat(np.arange(5), counts)
    rng = np.random.default_rng(0)
    positions = np.c_[t, rng.uniform(0, 9, (len(t), 3))]
    box = choose_block(positions, (5, 10, 10, 10), SPACING, 8.0, fraction=0.2)
    assert box == Box((0, 1), (0, 10), (0, 10), (0, 10)), "1 of 43 is nearer to a fifth than 30 of 43"


def test_one_nucleus_cannot_be_parted() -> None:
    assert choose_block(np.array([[0, 5, 10, 50.0]]), SHAPE, SPACING, 8.0) is None
    assert choose_block(np.array([[0, 5, 10, 50.0]] * 2), SHAPE, SPACING, 8.0) is None


@pytest.mark.parametrize("seed", range(5))
def test_of_a_small_crowd_enough_are_kept_to_say_something(seed: int) -> None:
    rng = np.random.default_rng(seed)
    z, y, x = np.meshgrid(*3 * [np.arange(5, 45, 10.0)], indexing="ij")
    crowd = np.column_stack([np.zeros(z.size), z.ravel(), y.ravel(), x.ravel()])[:56]
    crowd[:, 1:] += rng.uniform(-4, 4, (56, 3))
    box = choose_block(crowd, (1, 50, 50, 50), Spacing(1, 1, 1), 10.0)
    assert box is not None
    assert 6 <= box.contains(crowd).sum() <= 20


def test_of_a_film_whose_nuclei_multiply_as_many_frames_are_kept_as_hold_the_share() -> None:
    counts = np.round(2 ** np.linspace(2, 7, 40)).astype(int)
    t = np.repeat(np.arange(40), counts)
    positions = np.c_[t, np.random.default_rng(0).uniform(0, 9, (len(t), 3))]
    box = choose_block(positions, (40, 10, 10, 10), SPACING, 8.0, fraction=0.2)
    assert box is not None
    assert abs(box.contains(positions).mean() - 0.2) < 0.03
