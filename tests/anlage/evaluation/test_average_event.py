"""The average of events: amplitude, rise and decay come out as they were put in."""

from __future__ import annotations

import numpy as np
import pytest

from anlage.errors import AnlageError
from anlage.evaluation.average_event import average_event, write_average
from anlage.signals.events import Events
from anlage.signals.signals import Signals
from anlage.synthetic.signals import trace_of_events


def events_at(frames: np.ndarray, interval_s: float | None = 2e-5) -> Events:
    n = len(frames)
    none = np.full(n, np.nan)
    return Events(np.ones(n, dtype=np.int64), "repeated", np.zeros(n, dtype=np.int64), frames, none, interval_s)


def test_the_decay_that_was_put_in_is_found(tmp_path):
    t = np.arange(4000.0)
    onsets = np.array([500.0, 1500.0, 2500.0])
    trace = np.full(4000, 7.0)
    for onset in onsets:
        after = np.clip(t - onset, 0, None)
        trace -= 12.0 * (t >= onset) * (1 - np.exp(-after / 2)) * np.exp(-after / 80)
    signals = Signals.of(trace, ("current_pA",), kind="repeated", interval_s=1e-4)
    average = average_event(signals, events_at(onsets, 1e-4), before=100, after=600)
    assert average.n == 3
    assert average.decay == pytest.approx(80, rel=0.03)
    assert average.amplitude == pytest.approx(-12 * 0.89, rel=0.05)
    assert "decays with a time constant of 8" in average.sentence
    assert "ms (R² 1.000)" in average.sentence
    assert average.mean[:90] == pytest.approx(0, abs=1e-3)
    assert np.isnan(average.fit[:100]).all()
    write_average(tmp_path / "a.csv", average)
    lines = (tmp_path / "a.csv").read_text().splitlines()
    assert lines[0] == "frame,time_s,mean,low,high,fit,anlage"
    assert len(lines) == 702
    write_average(tmp_path / "a.png", average)
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_noise_and_drift_leave_the_decay_about_right():
    made = trace_of_events(8, seed=5)
    average = average_event(made.signals, events_at(made.onsets), before=100, after=500)
    assert average.decay * 2e-5 == pytest.approx(0.0016, rel=0.3)
    assert average.amplitude < 0
    band = average.high - average.low
    assert 0 < np.median(band) < abs(average.amplitude)


def test_too_few_events_are_refused():
    made = trace_of_events(1, seed=0)
    with pytest.raises(
        AnlageError, match=r"An average needs at least 3 events that lie wholly in their trace; there are 0\."
    ):
        average_event(made.signals, events_at(np.array([3.0, 49990.0])), before=100, after=500)
