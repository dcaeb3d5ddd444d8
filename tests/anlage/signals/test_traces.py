"""A trace before events are looked for: the filter, and whether it is the right way up."""

from __future__ import annotations

import numpy as np
import pytest

from anlage.errors import AnlageError
from anlage.signals.traces import filter_samples, hann_filtered, looks_upside_down
from anlage.synthetic.signals import trace_of_events


def test_a_filter_takes_noise_away_and_moves_nothing():
    rng = np.random.default_rng(0)
    trace = np.where(np.arange(1000) >= 500, 1.0, 0.0)
    smooth = hann_filtered(trace + rng.normal(0, 0.2, 1000), 41)
    assert smooth.shape == (1000,)
    assert smooth[:450].std() < 0.08
    assert np.abs(np.flatnonzero(hann_filtered(trace, 41) >= 0.5 - 1e-9)[0] - 500) <= 1
    assert hann_filtered(trace, 1) is trace


def test_milliseconds_of_a_filter_need_the_time_between_samples():
    assert filter_samples(2, 2e-5) == 100
    with pytest.raises(AnlageError, match="--interval"):
        filter_samples(2, None)


def test_a_trace_the_other_way_up_is_noticed():
    falling = trace_of_events(3, seed=4, rate_hz=5, signal_to_noise=8).signals.values[0, 0]
    assert looks_upside_down(falling, 1, 600)
    assert not looks_upside_down(falling, -1, 600)
    assert not looks_upside_down(-falling, 1, 600)
    assert not looks_upside_down(falling, 0, 600)
    assert not looks_upside_down(np.random.default_rng(0).normal(size=100_000), 1, 600)
