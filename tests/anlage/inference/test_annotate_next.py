"""Annotate here next: the cuboids with the most doubtful nuclei."""

from __future__ import annotations

import numpy as np

from anlage.annotations import Annotations, State
from anlage.axes import Box, Spacing
from anlage.inference.annotate_next import contradicted, contradictions, least_sure

SHAPE = (6, 20, 200, 200)
SPACING = Spacing(2.0, 0.5, 0.5)
RNG = np.random.default_rng(0)


def cluster(t, centre, n, probability, spread=(1, 8, 8)):
    """Candidates around a place."""
    positions = np.column_stack([np.full(n, t), centre + RNG.normal(size=(n, 3)) * spread])
    return positions, np.full(n, probability)


def candidates(*clusters, **columns):
    positions, probability = (np.concatenate(parts) for parts in zip(*clusters, strict=True))
    positions[:, 1:] = np.clip(positions[:, 1:], 0, np.array(SHAPE[1:]) - 1)
    about = {"radius_um": 4.0, "state": State.PROPOSED, "origin": "a model", **columns}
    return Annotations.of(positions, probability=probability, **about)


def test_the_most_doubtful_place_comes_first_and_is_said_with_its_counts():
    found = candidates(
        cluster(1, (10, 50, 50), 12, 0.35), cluster(1, (10, 150, 150), 5, 0.40), cluster(4, (10, 100, 100), 30, 0.99)
    )
    first, second = least_sure(found, SHAPE, SPACING, 0.4)
    assert first.frame == 1
    assert first.box.contains(np.array([[1, 10, 50, 50]]))[0]
    assert (first.n_doubtful, first.n_candidates) == (12, 12)
    # 4 × 6 × 6 diameters of 8 µm, as much of it as the image holds
    assert first.box.shape == (1, 16, 96, 96)
    assert "Frame 1, around z" in first.sentence
    assert (
        "(32 × 48 × 48 µm): 12 of 12 candidates are unsure (probability 0.35 to 0.35; the threshold is 0.40)"
        in first.sentence
    )
    assert second.box.contains(np.array([[1, 10, 150, 150]]))[0]
    assert second.n_doubtful == 5


def test_certain_ones_are_counted_but_not_sought():
    found = candidates(
        cluster(0, (10, 60, 60), 4, 0.5), cluster(0, (10, 60, 60), 6, 0.98), cluster(3, (10, 60, 60), 50, 0.98)
    )
    (only,) = least_sure(found, SHAPE, SPACING, 0.5)
    assert only.frame == 0
    assert (only.n_doubtful, only.n_candidates) == (4, 10)
    assert "4 of 10 candidates" in only.sentence


def test_nearer_to_the_threshold_weighs_more():
    found = candidates(cluster(0, (10, 40, 40), 6, 0.72), cluster(5, (10, 160, 160), 5, 0.5))
    assert least_sure(found, SHAPE, SPACING, 0.5)[0].frame == 5


def test_the_same_place_a_frame_later_is_not_proposed_again():
    found = candidates(*(cluster(t, (10, 60, 60), 8, 0.5) for t in range(5)))
    assert [p.frame for p in least_sure(found, SHAPE, SPACING, 0.5)] in (
        [0, 3],
        [1, 4],
        [2],
        [0, 4],
        [3, 0],
        [4, 1],
        [4, 0],
    )


def test_what_is_annotated_or_decided_already_is_left_out():
    found = candidates(cluster(0, (10, 40, 40), 8, 0.5), cluster(0, (10, 160, 160), 3, 0.5))
    done = Box((0, 1), (0, 20), (0, 100), (0, 100))
    (only,) = least_sure(found, SHAPE, SPACING, 0.5, exclude=[done])
    assert only.n_doubtful == 3
    state = np.where(found.positions[:, 2] < 100, State.REJECTED, State.PROPOSED)
    decided = candidates((found.positions, found.probability), state=state)
    assert [p.n_doubtful for p in least_sure(decided, SHAPE, SPACING, 0.5)] == [3]


def test_nothing_doubtful_gives_nothing():
    assert least_sure(candidates(cluster(0, (10, 40, 40), 8, 0.99)), SHAPE, SPACING, 0.5) == ()
    assert least_sure(Annotations.of([]), SHAPE, SPACING, 0.5) == ()


def test_a_box_stays_inside_a_small_or_flat_image_and_takes_the_size_that_was_asked_for():
    flat = (2, 1, 64, 64)
    found = Annotations.of([[1, 0, 2, 3]], probability=0.5, state=State.PROPOSED)
    (only,) = least_sure(found, flat, Spacing(1, 0.5, 0.5), 0.5, size_um=(50, 10, 10))
    assert only.box == Box((1, 2), (0, 1), (0, 20), (0, 20))
    assert "the only candidate is unsure (probability 0.50;" in only.sentence


def test_many_candidates_take_little_time():
    import time

    n = 30_000
    positions = np.column_stack([RNG.integers(0, 100, n), RNG.random((n, 3)) * (20, 2000, 2000)])
    found = Annotations.of(positions, probability=RNG.random(n), radius_um=4.0, state=State.PROPOSED)
    began = time.process_time()
    assert len(least_sure(found, (100, 20, 2000, 2000), SPACING, 0.5, n=10)) == 10
    assert time.process_time() - began < 5


def nuclei(*positions):
    return Annotations.of(positions, state=State.PROPOSED)


BOTH = [(0, 10, 20, 20), (0, 10, 60, 60), (0, 10, 150, 150), (0, 10, 180, 150)]
EDGES_UM = (20.0, 20.0, 20.0)


def held_against(network, blobs, **more):
    return contradictions(nuclei(*BOTH, *network), nuclei(*np.add(BOTH, (0, 0.4, 1, 1)), *blobs), SPACING, 8.0, **more)


def test_what_only_one_of_network_and_blobs_reports_is_told_apart_frame_by_frame():
    # 2.8 µm of a diameter of 8 µm still are the same nucleus
    seen = held_against([(0, 10, 100, 100), (1, 10, 20, 20)], [(0, 10, 100, 106), (2, 10, 20, 20)])
    assert seen.both.tolist() == [list(p) for p in BOTH]
    assert seen.network.tolist() == [[0, 10, 100, 100], [1, 10, 20, 20]]
    assert seen.blobs.tolist() == [[0, 10, 100, 106], [2, 10, 20, 20]]
    assert seen.agreement == 8 / 12
    assert seen.are_worth_a_look
    assert not contradictions(nuclei(*BOTH), nuclei((0, 10, 100, 106)), SPACING, 8.0).are_worth_a_look
    assert contradictions(nuclei(), nuclei(), SPACING, 8.0).agreement == 0


def test_what_somebody_judged_is_in_doubt_no_more():
    known = Annotations.of([(0, 10, 101, 100), (0, 10, 20, 100)], state=[State.ACCEPTED, State.REJECTED])
    seen = held_against([(0, 10, 100, 100), (1, 10, 100, 100)], [(0, 10, 21, 99)], known=known)
    assert seen.network.tolist() == [[1, 10, 100, 100]]  # known in frame 0 alone
    assert len(seen.blobs) == 0


def test_the_place_with_most_contradictions_comes_first_and_says_whose_they_are():
    seen = held_against(
        [(0, 10, 55, 55), (3, 10, 100, 100)], [(0, 10, 64, 66), (0, 10, 55, 66), (3, 10, 108, 100), (5, 10, 9, 9)]
    )
    first, second, third = contradicted(seen, SHAPE, SPACING, size_um=EDGES_UM)
    assert (first.frame, first.n_doubtful, first.n_candidates) == (0, 3, 4)
    assert first.sentence.endswith(
        "(20 × 20 × 20 µm): of the nuclei, the model alone reports 1, the blob detector alone 2, both 1."
    )
    assert (second.frame, second.n_doubtful, third.frame) == (3, 2, 5)
    done = Box((0, 1), (0, 20), (0, 100), (0, 100))
    assert [p.frame for p in contradicted(seen, SHAPE, SPACING, size_um=EDGES_UM, exclude=[done])] == [3, 5]
    assert contradicted(held_against([], []), SHAPE, SPACING, size_um=EDGES_UM) == ()
