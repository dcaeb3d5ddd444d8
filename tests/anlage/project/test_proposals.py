"""Candidates: which are shown, which are the same nucleus, and what the annotation says of them."""

from __future__ import annotations

import numpy as np

from anlage import Annotations, Box, Spacing, State
from anlage.project.proposals import ProposalState, ProposedNuclei, proposal_states, without_duplicates

SPACING = Spacing(2.0, 0.5, 0.5)


def candidates(positions, probability, boxes=(), model: str = "m") -> ProposedNuclei:
    found = Annotations.of(positions, probability=probability, state=State.PROPOSED, origin=model)
    return ProposedNuclei(model, model, found, tuple(boxes), SPACING, 0.5, 8.0)


def test_of_two_near_each_other_the_likelier_stays_and_frames_are_apart() -> None:
    #   a chain 3 µm apart: the middle one is the likeliest, so both others go; one in the next frame stays
    some = candidates([(0, 5, 10, 4), (0, 5, 10, 10), (0, 5, 10, 16), (1, 5, 10, 10)], [0.6, 0.9, 0.7, 0.3])
    assert without_duplicates(some, 4.0).tolist() == [False, True, False, True]
    # where the likeliest takes out its neighbour, that one takes out nobody
    chain = candidates([(0, 5, 10, 4), (0, 5, 10, 10), (0, 5, 10, 16)], [0.9, 0.8, 0.7])
    assert without_duplicates(chain, 4.0).tolist() == [True, False, True]
    assert without_duplicates(chain, 0.0).all()


def test_depth_counts_in_micrometres() -> None:
    some = candidates([(0, 5, 10, 10), (0, 7, 10, 10)], [0.9, 0.8])  # two planes are 4 µm
    assert without_duplicates(some, 3.9).all()
    assert without_duplicates(some, 4.1).tolist() == [True, False]


def test_the_nearest_annotated_nucleus_of_the_same_frame_decides() -> None:
    some = candidates([(0, 5, 10, 10), (0, 5, 10, 30), (0, 5, 10, 50), (1, 5, 10, 10)], [0.9] * 4)
    marked = Annotations.of(
        [(0, 5, 10, 13), (0, 5, 10, 31), (0, 5, 10, 36)], state=[State.ACCEPTED, State.REJECTED, State.ACCEPTED]
    )
    assert proposal_states(some, marked, 4.0).tolist() == [
        ProposalState.ANNOTATED, ProposalState.REJECTED, ProposalState.OPEN, ProposalState.OPEN
    ]  # fmt: skip
    assert proposal_states(some, marked, 1.0).tolist() == [
        ProposalState.OPEN,
        ProposalState.REJECTED,
        ProposalState.OPEN,
        ProposalState.OPEN,
    ]
    assert proposal_states(some, marked, 4.0, frames=[1]).tolist() == [ProposalState.OPEN] * 4


def test_where_the_model_looked_again_only_the_new_answer_counts() -> None:
    first, second = Box.of((0, 0, 0, 0), (1, 9, 40, 20)), Box.of((0, 0, 0, 10), (1, 9, 40, 40))
    old = candidates(
        [(0, 5, 10, 5), (0, 5, 10, 15), (3, 5, 10, 15)], [0.9, 0.8, 0.7], [first, Box.of((3, 0, 0, 0), (4, 9, 40, 20))]
    )
    new = candidates([(0, 5, 10, 16), (0, 5, 10, 30)], [0.6, 0.5], [second])
    both = old.updated(new)
    assert both.nuclei.positions[:, 3].tolist() == [5, 15, 16, 30]
    assert both.nuclei.probability.tolist() == [0.9, 0.7, 0.6, 0.5]
    assert both.frames == (0, 3)
    assert len(both.boxes) == 3
    assert (
        len(both.updated(candidates([], [], [Box.of((0, 0, 0, 0), (1, 9, 40, 40))])).boxes) == 2
    )  # it covers both of frame 0
    assert np.array_equal(both.nuclei.ids, [1, 2, 3, 4])
