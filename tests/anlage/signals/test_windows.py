"""A recording as a network wants to see it: how long its window is there, and resampled."""

from __future__ import annotations

import numpy as np
import pytest

from anlage.errors import AnlageError
from anlage.signals.signals import Signals
from anlage.signals.windows import resampled, samples_of, seen_window


def recording(interval_s: float | None) -> Signals:
    return Signals.of(np.zeros(1000), kind="repeated", interval_s=interval_s)


def test_the_window_follows_from_both_sampling_intervals_unless_it_is_said():
    assert seen_window(600, 2e-5, recording(4e-6)).samples == 3000
    assert seen_window(600, 2e-5, recording(4e-6), 1200).ratio == 0.5
    same = seen_window(600, 2e-5, recording(2.001e-5))
    assert (same.samples, same.ratio, same.said) == (600, 1.0, "")
    unknown = seen_window(600, None, recording(4e-6))
    assert unknown.samples == 600
    assert "unknown" in unknown.said
    with pytest.raises(AnlageError, match="cannot be seen"):
        seen_window(600, 1.0, recording(1e-6))


def test_milliseconds_need_a_sampling_interval():
    assert samples_of(60, 2e-5) == 3000
    with pytest.raises(AnlageError, match="--interval"):
        samples_of(60, None)
    with pytest.raises(AnlageError, match="at least 8"):
        samples_of(60, 0.1)


@pytest.mark.parametrize("ratio", [0.2, 0.37, 0.8, 1.5, 3.0])
def test_what_changes_slowly_is_the_same_after_resampling(ratio):
    t = np.arange(2000)
    slow = np.sin(t / 90) + 100
    made = resampled(slow[None], ratio)
    assert made.shape == (1, round(2000 * ratio))
    np.testing.assert_allclose(made[0, 5:-5], np.sin(np.arange(made.shape[1]) / ratio / 90)[5:-5] + 100, atol=0.01)


def test_fast_noise_does_not_come_back_as_something_slow():
    fast = np.tile([1.0, -1.0], 500)
    assert np.abs(resampled(fast, 0.1)[2:-2]).max() < 0.11


def test_missing_samples_stay_missing_and_count_for_nothing():
    values = np.full(100, 3.0)
    values[40:60] = np.nan
    values[5] = np.nan
    made = resampled(values, 0.2)
    assert np.isnan(made[9:12]).all()
    np.testing.assert_allclose(made[:8], 3.0)
    assert np.isnan(resampled(values, 2.0)[90:110]).all()
