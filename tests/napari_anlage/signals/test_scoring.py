"""Answers for tracks: kept at once, taken back, and in balance."""

from __future__ import annotations

import numpy as np
import pytest

from anlage import AnlageError, Events, Signals, read_events
from napari_anlage.signals.scoring import CENSORED, EVENT, NO_EVENT, NOT_YET, REMOVED, Scoring, SortOrder


@pytest.fixture
def signals() -> Signals:
    values = np.random.default_rng(0).normal(size=(6, 2, 20))
    values[2, :, :5] = np.nan  # this track begins in frame 5
    nuclei = np.arange(1, 121).reshape(6, 20)
    return Signals.of(values, ("mean", "area_um2"), ids=[11, 12, 13, 14, 15, 16], interval_s=300.0, nuclei=nuclei)


def test_every_answer_is_on_disk_at_once_and_comes_back(signals, tmp_path) -> None:
    path = tmp_path / "signals" / "division.csv"
    scoring = Scoring(signals, path)
    scoring.answer(EVENT, 7.0)
    kept = read_events(path)
    assert (kept.tracks.tolist(), kept.classes.tolist(), kept.frames.tolist()) == ([11], [EVENT], [7.0])
    scoring.go(1)
    scoring.answer(NO_EVENT)
    again = Scoring(signals, path)
    assert again.classes.tolist() == [EVENT, NO_EVENT, *[NOT_YET] * 4]
    assert again.times[0] == 7.0


def test_everything_can_be_taken_back_and_done_again(signals, tmp_path) -> None:
    scoring = Scoring(signals, tmp_path / "e.csv")
    scoring.answer(EVENT, 7.0)
    scoring.go_to(3)
    scoring.answer(CENSORED)
    scoring.shift([0], 4)
    scoring.propose([0, 1, 4], [NO_EVENT, EVENT, NO_EVENT], [np.nan, 3.5, np.nan], "proposals")
    after = scoring.classes.tolist(), scoring.times.copy()
    assert after[0] == [EVENT, EVENT, NOT_YET, CENSORED, NO_EVENT, NOT_YET]  # the scored track keeps its answer
    assert scoring.times[:2].tolist() == [11.0, 3.5]
    while scoring.undo() is not None:
        pass
    assert (scoring.classes == NOT_YET).all()
    assert np.isnan(scoring.times).all()
    while scoring.redo() is not None:
        pass
    assert scoring.classes.tolist() == after[0]
    np.testing.assert_array_equal(scoring.times, after[1])
    assert Scoring(signals, tmp_path / "e.csv").classes.tolist() == after[0]


def test_an_event_lies_where_the_track_has_signals(signals) -> None:
    scoring = Scoring(signals)
    scoring.go_to(2)
    with pytest.raises(AnlageError, match="Track 13 has signals in the frames 5 to 19, not in frame 2"):
        scoring.answer(EVENT, 2)
    scoring.answer(EVENT, 6)
    scoring.shift([2], -9)
    assert scoring.times[2] == 5  # no further than the track reaches


def test_the_classes_are_cycled_through(signals) -> None:
    scoring = Scoring(signals)
    seen = []
    for _ in range(4):
        scoring.cycle(3)
        seen.append(int(scoring.classes[0]))
    assert seen == [EVENT, NO_EVENT, CENSORED, EVENT]


def test_tracks_are_gone_through_in_the_wanted_order(signals) -> None:
    scoring = Scoring(signals)
    scoring.answer(REMOVED)
    scoring.sort(SortOrder.NOT_YET)
    assert scoring.row == 1
    scoring.predicted = Events(
        tracks=signals.ids, kind="once", classes=np.zeros(6, int), frames=np.full(6, 4.0),
        probability=np.array([0.9, 0.8, 0.99, 0.51, 0.97, np.nan]),
    )  # fmt: skip
    scoring.sort(SortOrder.DOUBT)
    assert scoring.row == 3
    scoring.go(1)
    assert scoring.row == 1
    scoring.last()
    assert scoring.row == 5  # nothing is known of it
    assert scoring.row_of_nucleus(45) == 2
    assert scoring.row_of_nucleus(0) is None


def test_the_balance_says_what_is_missing(signals) -> None:
    scoring = Scoring(signals)
    assert scoring.balance.sentence == "Nothing is scored yet."
    scoring.answer(EVENT, 3)
    assert "No track without an event" in scoring.balance.sentence
    scoring.propose(range(1, 6), [NO_EVENT] * 5, [np.nan] * 5, "all")
    assert scoring.balance.sentence == "Only 1 tracks with an event against 5: score more of them."
