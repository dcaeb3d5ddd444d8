from __future__ import annotations

import numpy as np
import pytest

from anlage.candidates import (
    Candidates,
    find_candidates,
    local_motion,
    neighbour_distance_um,
    neighbour_distances_um,
    proposal_recall,
)


@pytest.fixture
def film():
    """200 nuclei, ten frames; all drift by most of a nearest-neighbour distance, each with a jitter of its own."""
    rng = np.random.default_rng(0)
    first = rng.uniform(0, 100, (200, 3))
    drift = np.array([0.0, 6.0, -3.0])
    points = np.concatenate([first + t * drift + rng.normal(0, 0.6, first.shape) for t in range(10)])
    rows = np.arange(200 * 9)
    return np.repeat(np.arange(10), 200), points, np.column_stack([rows, rows + 200])


def test_neighbour_distances_are_medians_of_each_frame():
    frames = [0, 0, 0, 1, 2, 2]
    points = [(0, 0, 0), (0, 0, 2), (0, 0, 5), (0, 0, 0), (1, 0, 0), (1, 0, 4)]
    assert neighbour_distance_um(frames, points) == {0: 2.0, 2: 4.0}
    assert neighbour_distances_um(frames, points) == pytest.approx([2, 2, 2, 3, 4, 4])  # a lone nucleus: in between
    assert np.isnan(neighbour_distances_um([0, 1], points[:2])).all()


def test_a_common_drift_is_expected_and_found(film):
    frames, points, links = film
    motion = local_motion(frames, points)
    inside = frames < 9
    assert np.abs(motion.expected_um[inside] - [0, 6, -3]).mean() < 1
    assert np.isnan(motion.spread_um[~inside]).all()
    still = find_candidates(frames, points, 4.0, motion=type(motion)(0 * motion.expected_um, motion.spread_um))
    assert proposal_recall(still, links) < 0.2
    assert proposal_recall(find_candidates(frames, points, 4.0), links) > 0.99


def test_nothing_is_expected_where_neighbours_tell_nothing():
    rng = np.random.default_rng(1)
    first = rng.uniform(0, 100, (100, 3))
    points = np.concatenate([first, first + rng.normal(0, 1, first.shape)])
    motion = local_motion(np.repeat([0, 1], 100), points)
    assert np.abs(motion.expected_um).max() < 1.5


def test_candidates_keep_to_radius_number_and_order(film):
    frames, points, _ = film
    found = find_candidates(frames, points, 12.0, most=4, gaps=False)
    assert set(found.steps.tolist()) == {1}
    assert (frames[found.pairs[:, 1]] - frames[found.pairs[:, 0]] == 1).all()
    assert np.bincount(found.pairs[:, 0]).max() == 4
    assert (np.diff(found.pairs[:, 0]) >= 0).all()
    assert len(np.unique(found.pairs, axis=0)) == len(found)
    expected = local_motion(frames, points).expected_um
    earlier, later = found.pairs.T
    assert np.linalg.norm(points[earlier] + expected[earlier] - points[later], axis=1).max() <= 12.0


def test_a_radius_for_each_nucleus_holds_for_it_alone():
    points = [(0, 0, 0), (0, 0, 50), (0, 0, 3), (0, 0, 53)]
    found = find_candidates([0, 0, 1, 1], points, [4.0, 2.0, 4.0, 4.0])
    assert found.pairs.tolist() == [[0, 2]]


def test_a_missing_nucleus_is_bridged(film):
    frames, points, _links = film
    kept = np.ones(len(points), dtype=bool)
    kept[5 * 200 + 7] = False  # not found in frame 5
    number = np.cumsum(kept) - 1
    over = np.array([[number[4 * 200 + 7], number[6 * 200 + 7]]])
    assert proposal_recall(find_candidates(frames[kept], points[kept]), over) == 1
    assert proposal_recall(find_candidates(frames[kept], points[kept], gaps=False), over) == 0


def test_candidates_do_not_change_with_the_unit_of_length(film):
    """The usual radius is told in nearest-neighbour distances."""
    frames, points, links = film
    found, scaled = find_candidates(frames, points), find_candidates(frames, points * 3)
    assert np.array_equal(found.pairs, scaled.pairs)
    assert proposal_recall(found, links) > 0.99


def test_few_or_no_nuclei():
    assert len(find_candidates([], np.zeros((0, 3)))) == 0
    assert len(find_candidates([0, 5], np.zeros((2, 3)))) == 0
    assert find_candidates([0, 1], [(0, 0, 0), (0, 0, 9)]).pairs.tolist() == [[0, 1]]
    nothing = Candidates(np.zeros((0, 2), dtype=np.int64), np.zeros(0, dtype=np.int64))
    assert proposal_recall(nothing, [[0, 1]]) == 0
    assert np.isnan(proposal_recall(nothing, []))


def test_nuclei_in_one_place_are_no_obstacle():
    found = find_candidates([0, 0, 1, 1], np.zeros((4, 3)))
    assert found.pairs.tolist() == [[0, 2], [0, 3], [1, 2], [1, 3]]
