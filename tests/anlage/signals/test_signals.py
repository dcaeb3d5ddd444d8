"""Signals in memory: shapes, missing frames, what may be learnt from."""

from __future__ import annotations

import numpy as np
import pytest

from anlage.errors import AnlageError
from anlage.signals.signals import Signals, unit_of


def test_a_missing_frame_is_missing_and_not_zero():
    signals = Signals.of([[np.nan, 0.0, 1.0, np.nan, 2.0, np.nan]])
    assert signals.present.tolist() == [[False, True, True, False, True, False]]
    assert signals.spans.tolist() == [[1, 5]]


def test_a_trace_is_one_track_of_one_signal():
    trace = Signals.of(np.arange(5.0), ("current_pA",), interval_s=2e-5)
    assert trace.values.shape == (1, 1, 5)
    assert trace.units == ("pA",)
    assert trace.seconds(np.array([2.5])).tolist() == pytest.approx([5e-5])


def test_removed_tracks_and_unclear_windows_are_not_learnt_from():
    tracks = Signals.of(np.zeros((5, 4)), scores=[0, 1, 2, 42, -1])
    windows = Signals.of(np.zeros((4, 4)), kind="repeated", scores=[0, 1, 2, -1])
    assert tracks.is_scored.tolist() == [True, True, True, False, False]
    assert windows.is_scored.tolist() == [True, True, False, False]


def test_signals_are_chosen_by_name_and_an_unknown_one_names_those_there_are():
    signals = Signals.of(np.zeros((2, 3, 4)), ("area_um2", "speed_um_per_min", "depth_um"))
    assert signals.chosen(["depth_um", "area_um2"]).units == ("µm", "µm²")
    with pytest.raises(
        AnlageError, match=r"There is no signal 'size'; there are area_um2, speed_um_per_min, depth_um\."
    ):
        signals.chosen(["size"])


def test_files_joined_keep_their_groups_apart_and_their_frames():
    a = Signals.of([[1.0, 2.0]], ("x",), group="m1", first_frame=3, scores=0, times=[3.5])
    b = Signals.of([[5.0, 6.0, 7.0]], ("x",), group="m1", scores=1)
    both = Signals.joined([a, b])
    assert both.ids.tolist() == [1, 2]
    assert len(set(both.group)) == 2
    assert both.first_frame == 0
    np.testing.assert_array_equal(both.values[0, 0], [np.nan] * 3 + [1, 2])
    np.testing.assert_array_equal(both.values[1, 0], [5, 6, 7, np.nan, np.nan])


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ({"ids": [1, 1]}, "Two tracks of the signals have the same number; each needs its own."),
        ({"interval_s": -1.0}, r"The time between two frames is -1\.0 s; it must lie between"),
        ({"names": ("a", "b")}, "There are 1 signals but 2 names and 2 units."),
        ({"places": np.zeros((2, 3, 5))}, r"The column 'places' of the signals has the shape"),
    ],
)
def test_what_does_not_fit_is_refused_with_a_sentence(columns, sentence):
    with pytest.raises(AnlageError, match=sentence):
        Signals.of(np.zeros((2, 4)), **columns)


@pytest.mark.parametrize(
    ("name", "unit"), [("volume_um3", "µm³"), ("speed_um_per_min", "µm/min"), ("mean_0", ""), ("depth_um", "µm")]
)
def test_the_unit_stands_at_the_end_of_the_name(name, unit):
    assert unit_of(name) == unit
