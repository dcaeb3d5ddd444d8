"""Scores of events, and what events say of a population, on cases that can be counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from anlage.errors import AnlageError
from anlage.evaluation.event_statistics import aligned_mean, event_rate, survival
from anlage.evaluation.events import evaluate_events, evaluate_windows, precision_recall, roc
from anlage.io.signal_files.event_tables import is_event_table, read_events, write_events
from anlage.signals.events import Events
from anlage.signals.signals import Signals


def once(classes, frames, *, tracks=None, probability=None, interval_s=120.0, **properties):
    n = len(classes)
    return Events(
        np.arange(1, n + 1) if tracks is None else np.array(tracks), "once", np.array(classes),
        np.array(frames, dtype=float), np.full(n, 0.9) if probability is None else np.array(probability), interval_s,
        {name: np.array(column) for name, column in properties.items()},
    )  # fmt: skip


def occurrences(*frames):
    n = len(frames)
    return Events(np.ones(n, int), "repeated", np.zeros(n, int), np.array(frames, float), np.full(n, 0.9), 0.5)


def test_classes_and_times_are_counted():
    truth = once([0, 0, 1, 2, 42], [10, 20, np.nan, np.nan, np.nan])
    predicted = once([0, 1, 0, 2, 0], [11.5, np.nan, 5, np.nan, 3], probability_event=[0.9, 0.4, 0.6, 0.1, 0.5])
    report = evaluate_events(predicted, truth)
    assert report.confusion == ((1, 1, 0), (1, 0, 0), (0, 0, 1))
    assert (report.n, report.tp, report.fp, report.fn, report.accuracy) == (4, 1, 1, 1, 0.5)
    assert (report.median_error_frames, report.median_error_min) == (1.5, 3.0)
    assert report.auc == pytest.approx(0.75)
    assert "median 1.5 frames = 3 min" in report.to_text()
    assert report.notes == ("1 tracks of the truth were removed or have no result; they are left out.",)


def test_occurrences_are_paired_one_to_one():
    report = evaluate_events(occurrences(10, 11, 52, 90), occurrences(10.5, 50, 70), tolerance_frames=3)
    assert (report.tp, report.fp, report.fn) == (2, 2, 1)
    assert report.median_error_frames == pytest.approx(1.25)
    assert report.mean_error_min == pytest.approx(1.25 * 0.5 / 60)


def test_different_kinds_are_not_compared():
    with pytest.raises(AnlageError, match=r"kind 'repeated', the truth of the kind 'once'"):
        evaluate_events(occurrences(1), once([0], [1]))
    with pytest.raises(AnlageError, match="no track in common"):
        evaluate_events(once([0], [1], tracks=[5]), once([0], [1], tracks=[6]))


def test_windows_are_scored_without_the_unclear_ones():
    report = evaluate_windows(np.array([0.9, 0.8, 0.3, 0.6, 0.99]), np.array([1, 0, 1, 1, 2]))
    assert (report.n, report.tp, report.fp, report.fn) == (4, 2, 1, 1)
    with pytest.raises(AnlageError, match="There are 2 results but 3 windows"):
        evaluate_windows(np.zeros(2), np.zeros(3, int))


def test_curves_run_from_nothing_to_everything():
    p, truth = np.array([0.9, 0.9, 0.5, 0.1]), np.array([True, False, True, False])
    alarms, hits, thresholds = roc(p, truth)
    assert list(zip(alarms, hits, strict=True)) == [(0, 0), (0.5, 0.5), (0.5, 1), (1, 1)]
    assert thresholds.tolist() == [np.inf, 0.9, 0.5, 0.1]
    precision, recall, _ = precision_recall(p, truth)
    assert precision.tolist() == pytest.approx([0.5, 2 / 3, 0.5])
    assert recall.tolist() == [0.5, 1, 1]


def test_survival_counts_tracks_that_end_early_as_long_as_they_were_seen():
    signals = Signals.of(np.zeros((4, 10)))
    curve = survival(once([0, 0, 1, 2], [2, 6, np.nan, np.nan]), signals)
    assert (curve.n, curve.n_events) == (3, 2)  # the one that had happened before the first frame tells nothing
    assert curve.times.tolist() == [2, 6]
    assert curve.share.tolist() == pytest.approx([2 / 3, 1 / 3])
    assert (curve.low <= curve.share).all()
    assert (curve.high >= curve.share).all()
    assert curve.median == 6
    short = signals.values.copy()
    short[2, 0, 4:] = np.nan  # seen for 4 frames only: at risk at the first event, not at the second
    assert survival(once([0, 0, 1], [2, 6, np.nan]), Signals.of(short[:3])).share.tolist() == pytest.approx([2 / 3, 0])
    since = survival(once([0, 0], [5, 9]), Signals.of(np.zeros((2, 10))), since=once([0, 0], [2, 4]))
    assert since.times.tolist() == [3, 5]
    with pytest.raises(AnlageError, match="No track has the event"):
        survival(once([1], [np.nan]), Signals.of(np.zeros((1, 5))))


def test_a_rate_counts_the_time_under_observation():
    signals = Signals.of(np.zeros((3, 30)), interval_s=120.0)  # an hour each
    rate, (low, high) = event_rate(once([0, 1, 1], [15, np.nan, np.nan]), signals)
    assert rate == pytest.approx(1 / 2.5)
    assert low < rate < high


def test_the_aligned_mean_finds_the_step_where_it_is():
    rng = np.random.default_rng(0)
    times = rng.uniform(20, 40, 50)
    t = np.arange(60)
    values = (t[None] >= times[:, None]).astype(float) + 0.1 * rng.normal(size=(50, 60))
    signals = Signals.of(values, ("x",))
    mean = aligned_mean(signals, "x", once([0] * 50, times, tracks=signals.ids), before=10, after=10)
    before, after = mean.mean[mean.frames <= -2], mean.mean[mean.frames >= 2]
    assert abs(before).max() < 0.1
    assert abs(after - 1).max() < 0.1
    assert (mean.low < mean.mean).all()
    assert mean.n.tolist() == [50] * 21
    alone = aligned_mean(signals, "x", once([0], [25.0]), before=2, after=2)
    assert np.isnan(alone.mean).all()  # one track is no mean


def test_events_come_back_after_some_were_removed_and_added_by_hand(tmp_path):
    events = once([0, 1, 2], [3.25, np.nan, np.nan], t=[3.0, np.nan, np.nan])
    write_events(tmp_path / "e.csv", events)
    again = read_events(tmp_path / "e.csv")
    assert is_event_table(tmp_path / "e.csv")
    assert (again.kind, again.classes.tolist(), again.interval_s) == ("once", [0, 1, 2], pytest.approx(120.0))
    kept = again.select(np.array([True, False, True]))
    write_events(tmp_path / "e.csv", kept)
    assert read_events(tmp_path / "e.csv").tracks.tolist() == [1, 3]
    nothing = kept.select(np.zeros(2, bool))
    write_events(tmp_path / "none.csv", nothing)
    assert (tmp_path / "none.csv").read_text().startswith("track_id,class,frame,time_s,probability")
    traces = occurrences(5, 90.5)
    write_events(tmp_path / "r.csv", traces)
    assert read_events(tmp_path / "r.csv").frames.tolist() == [5, 90.5]


def test_a_table_that_is_none_is_one_sentence(tmp_path):
    (tmp_path / "a.csv").write_text("track_id,class\n1,0\n")
    with pytest.raises(AnlageError, match=r"lacks the column frame; a table of events needs"):
        read_events(tmp_path / "a.csv")
    (tmp_path / "b.csv").write_text("track_id,class,frame\n1,0,3\n1,1,\n")
    with pytest.raises(AnlageError, match=r"Track 1 has two rows"):
        read_events(tmp_path / "b.csv")
