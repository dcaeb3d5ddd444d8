from __future__ import annotations

import time

import numpy as np
import pytest

from anlage.annotations import Annotations, State
from anlage.axes import Spacing
from anlage.errors import AnlageError
from anlage.evaluation.tracks import score_tracks
from anlage.timelapse import TimeLapse

UNIT = Spacing(1, 1, 1)


def lineage(*nuclei, links=(), **columns) -> Annotations:
    """Nuclei as (t, x), counted from 1."""
    return Annotations.of([(t, 0, 0, x) for t, x in nuclei], links=links, **columns)


#  1 – 2 – 3 – 4
#        \ 5 – 6
DIVIDING = lineage(
    (0, 0), (1, 0), (2, 0), (3, 0), (2, 20), (3, 20), links=[(1, 2), (2, 3), (3, 4), (2, 5), (5, 6)]
)  # fmt: skip


class TestScores:
    def test_the_truth_itself_is_perfect(self):
        score = score_tracks(DIVIDING, DIVIDING, UNIT)
        assert score.paired_by == "centres"
        assert (score.det, score.tra, score.lnk, score.complete_tracks) == (1, 1, 1, 1)
        assert (score.division_f1, score.division_f1_exact, score.link_f1) == (1, 1, 1)
        assert score.branching == (1, 1, 1, 1)
        assert (score.n_tracks_truth, score.aogm) == (3, 0)

    def test_nothing_found(self):
        score = score_tracks(lineage(), DIVIDING, UNIT)
        assert (score.det, score.tra, score.lnk, score.complete_tracks, score.division_f1) == (0, 0, 0, 0, 0)
        assert score.link_precision is None
        assert score.aogm == 6 * 10 + 5 * 1.5

    def test_a_lost_link_is_counted_by_hand(self):
        score = score_tracks(DIVIDING.linked(DIVIDING.links[:-1]), DIVIDING, UNIT)
        assert score.lnk == pytest.approx(1 - 1.5 / 7.5)
        assert score.tra == pytest.approx(1 - 1.5 / 67.5)
        assert score.det == 1
        assert score.link_recall == 4 / 5
        assert score.complete_tracks == pytest.approx(2 * 2 / (4 + 3))  # the track of 5 ends early, 6 is one of its own

    def test_a_late_division_is_right_within_a_frame_only(self):
        late = lineage(
            (0, 0), (1, 0), (2, 0), (3, 0), (3, 20), links=[(1, 2), (2, 3), (3, 4), (3, 5)]
        )  # fmt: skip
        score = score_tracks(late, DIVIDING, UNIT)
        assert (score.division_f1_exact, score.division_f1) == (0, 1)
        assert score.branching == (0, 1, 1, 1)
        assert [d.tp for d in score.divisions] == [0, 1]
        assert score.errors.wrong_meaning == 2  # 2 – 3 is a mother's link in the truth alone, 3 – 4 in the result alone

    def test_a_division_with_a_wrong_daughter_is_wrong(self):
        other = lineage((0, 0), (1, 0), (2, 0), (2, 40), links=[(1, 2), (2, 3), (2, 4)])
        assert score_tracks(other, DIVIDING, UNIT).division_f1 == 0

    def test_a_daughter_that_is_found_a_frame_later_is_the_same_division(self):
        gap = lineage((0, 0), (1, 0), (2, 0), (3, 20), links=[(1, 2), (2, 3), (2, 4)])
        score = score_tracks(gap, DIVIDING, UNIT)
        assert (score.division_f1_exact, score.division_f1) == (0, 1)

    def test_divisions_where_the_truth_has_none(self):
        line = lineage((0, 0), (1, 0), (2, 0), links=[(1, 2), (2, 3)])
        score = score_tracks(DIVIDING, line, UNIT)
        assert score.division_f1 == 0
        assert score.branching == (None,) * 4
        assert score_tracks(line, line, UNIT).division_f1 is None

    def test_distances_are_in_micrometres(self):
        moved = DIVIDING.shifted((0, 2, 0, 0))
        assert score_tracks(moved, DIVIDING, Spacing(2, 1, 1)).det == 1
        assert score_tracks(moved, DIVIDING, Spacing(3, 1, 1)).det == 0

    def test_frames_without_truth_are_left_out_unless_somebody_looked(self):
        truth = lineage((0, 0), (1, 0), links=[(1, 2)])
        longer = lineage((0, 0), (1, 0), (2, 0), links=[(1, 2), (2, 3)])
        assert score_tracks(longer, truth, UNIT).complete_tracks == 1
        seen = score_tracks(longer, truth, UNIT, frames=range(3))
        assert seen.complete_tracks == 0
        assert seen.errors.false == 1

    def test_rejected_nuclei_count_on_neither_side(self):
        state = [*[State.ACCEPTED] * 5, State.REJECTED]
        less = lineage(*[(p[0], p[3]) for p in DIVIDING.positions], links=DIVIDING.links, state=state)
        score = score_tracks(DIVIDING, less, UNIT)
        assert (score.n_truth, score.errors.false, score.n_links_truth) == (5, 1, 4)

    def test_a_mask_over_three_nuclei_needs_two_cuts(self):
        truth = np.zeros((1, 20, 40), np.uint16)
        for value, x in ((1, 2), (2, 12), (3, 22)):
            truth[0, 2:8, x : x + 6] = value
        result = np.zeros_like(truth)
        result[0, 2:8, 2:28] = 7
        tables = [Annotations.from_labels(TimeLapse.of(a, "tyx", source="a")) for a in (result, truth)]
        score = score_tracks(*tables, UNIT)
        assert score.paired_by == "masks"
        assert (score.errors.splits, score.errors.missed, score.errors.false) == (2, 0, 0)
        assert score.det == pytest.approx(1 - 10 / 30)
        assert score.lnk is None

    def test_centres_are_compared_on_demand(self):
        masks = np.zeros((2, 20, 20), np.uint16)
        masks[:, 5:9, 5:9] = 1
        nuclei = Annotations.from_labels(TimeLapse.of(masks, "tyx", source="a"))
        assert score_tracks(nuclei, nuclei, UNIT, by_centres=True).paired_by == "centres"


class TestRefusals:
    def test_merges_are_told_with_their_ids(self):
        merged = DIVIDING.linked(np.array([(1, 2), (3, 6), (5, 6)]))
        with pytest.raises(AnlageError, match=r"the result.*id 6.*2 parents, \[3, 5\]"):
            score_tracks(merged, DIVIDING, UNIT)

    def test_cycles_are_told_with_their_ids(self):
        cycle = DIVIDING.linked(np.array([(1, 2), (2, 1)]))
        with pytest.raises(AnlageError, match=r"the truth.*id 1.*linked back to its parent"):
            score_tracks(DIVIDING, cycle, UNIT)

    @pytest.mark.parametrize("radius", [0, -1, np.nan])
    def test_a_radius_that_is_none(self, radius):
        with pytest.raises(AnlageError, match="radius"):
            score_tracks(DIVIDING, DIVIDING, UNIT, radius)


def test_three_hundred_thousand_nuclei_take_seconds():
    rng = np.random.default_rng(0)
    n_tracks, n_frames = 1500, 200
    start = rng.uniform(0, 1500, (n_tracks, 3))
    points = start[None] + np.cumsum(rng.normal(0, 0.3, (n_frames, n_tracks, 3)), axis=0)
    t = np.repeat(np.arange(n_frames), n_tracks)
    ids = np.arange(1, n_frames * n_tracks + 1)
    links = np.column_stack([ids[:-n_tracks], ids[n_tracks:]])
    truth = Annotations.of(np.column_stack([t, points.reshape(-1, 3)]), ids=ids, links=links)
    result = truth.linked(links[rng.random(len(links)) > 0.01]).select(rng.random(len(ids)) > 0.01)
    begin = time.process_time()
    score = score_tracks(result, truth, UNIT)
    assert time.process_time() - begin < 15
    assert score.lnk == pytest.approx(0.97, abs=0.005)
