"""Proposals: what a template, a slope and a step find in signals whose events are known."""

from __future__ import annotations

import numpy as np
import pytest

from anlage.errors import AnlageError
from anlage.signals.event_proposals import propose_by_slope, propose_by_step, propose_by_template, windows_around
from anlage.signals.signals import Signals
from anlage.synthetic.signals import stepped_tracks, trace_of_events


@pytest.fixture(scope="module")
def trace():
    return trace_of_events(8, seed=4, signal_to_noise=7)


def near(samples, onsets, reach=80):
    return np.abs(samples[:, None] - onsets[None]).min(axis=1) < reach


def test_three_thresholds_make_three_scores(trace):
    found = propose_by_template(trace.signals.values[0, 0], 600, direction=-1)
    sure, nothing = found.samples[found.scores == 1], found.samples[found.scores == 0]
    assert near(found.samples[found.scores > 0], trace.onsets).sum() >= 0.9 * len(trace.onsets)
    assert len(nothing)
    assert len(nothing) <= len(sure)
    assert not near(nothing, trace.onsets).any()
    assert (np.diff(found.samples) >= 0).all()
    strict = propose_by_template(trace.signals.values[0, 0], 600, direction=-1, thresholds=(12.0, 9.0, 1.6))
    assert near(strict.samples[strict.scores == 1], trace.onsets).mean() > 0.9
    with pytest.raises(AnlageError, match="are not in falling order"):
        propose_by_template(trace.signals.values[0, 0], 600, thresholds=(3, 4.5, 1.6))


def test_the_direction_matters(trace):
    up = propose_by_template(trace.signals.values[0, 0], 600, direction=1, thresholds=(9.0, 8.0, 1.6))
    assert near(up.samples[up.scores == 1], trace.onsets, 30).sum() <= 1


def test_steep_rises_are_proposed(trace):
    found = propose_by_slope(trace.signals.values[0, 0], 600, direction=-1)
    assert near(found.samples, trace.onsets).mean() > 0.7
    assert (found.scores == 2).all()


def test_windows_are_cut_around_the_beginning(trace):
    cut, kept = windows_around(trace.signals, 0, [10, 5000, 399_990], 600)
    assert kept.tolist() == [1]
    np.testing.assert_array_equal(cut.values[0, 0], trace.signals.values[0, 0, 4900:5500])
    assert (cut.kind, cut.interval_s, cut.group.tolist()) == ("repeated", 2e-5, ["trace 4"])


def test_a_step_is_fitted_with_its_time_and_quality():
    tracks = stepped_tracks(60, seed=2, noise=0.04)
    found = propose_by_step(tracks, "signal", least_r2=0.8)
    truth = tracks.scores == 0
    assert ((found.classes == 0) == truth).mean() > 0.9
    both = found.happened & truth
    assert np.median(np.abs(found.frames[both] - tracks.times[both])) < 0.5
    assert (found.properties["r2"][both] >= 0.8).all()


def test_a_condition_that_is_never_true_is_no_event():
    signals = Signals.of([[0, 0, 0, 0, 1, 1, 1, 1], [0] * 8, [1] * 8, [np.nan] * 8], ("x",))
    found = propose_by_step(signals, "x", lambda v: v > 0.5)
    assert found.classes.tolist() == [0, 1, 2, 2]
    assert found.frames[0] == pytest.approx(3.5, abs=0.1)
