"""A network of miniML on a recording: window after window, the same table of events as from our own networks."""

from __future__ import annotations

import h5py
import numpy as np
import pandas as pd
import pytest

from anlage.cli import main
from anlage.inference.signal_events import are_recordings
from anlage.io.kinds import FileKind, kind_of
from anlage.signals.signals import Signals

SAMPLES, N = 30_000, 14


@pytest.fixture
def recording(shared_data):
    """Events that were really measured (granule cells, downwards), laid into noise at known samples: the trace, and where."""
    folder = shared_data("miniml")
    with h5py.File(folder / "gc_example" / "gc_mini_trace_results.h5") as file:
        events = np.asarray(file["events"])
    events = events[np.argsort(events[:, 150:260].min(axis=1) - events[:, :150].mean(axis=1))][:N]
    trace = np.convolve(np.random.default_rng(1).normal(0, 1, SAMPLES), np.ones(5) / 5, "same")
    at = 1000 + 2000 * np.arange(N)
    fading = np.concatenate([np.ones(600), np.linspace(1, 0, 400)])
    for start, event in zip(at, events, strict=True):
        trace[start : start + 1000] += (event - event[:150].mean()) * fading
    return folder / "models" / "GC_lstm_model.h5", trace, at + 195


@pytest.mark.data
def test_the_events_of_a_recording_are_found_by_sliding_over_it(recording, tmp_path, capsys):
    model, trace, onsets = recording
    with h5py.File(tmp_path / "trace.h5", "w") as file:
        file["current"] = trace
        file.attrs["interval_s"] = 2e-5
    assert main([str(w) for w in ("predict", model, tmp_path / "trace.h5", "-o", tmp_path / "events.csv")]) == 0
    assert "events in 1 trace" in capsys.readouterr().out
    told = pd.read_csv(tmp_path / "events.csv")
    assert kind_of(tmp_path / "events.csv") is FileKind.EVENTS
    distance = np.abs(told["frame"].to_numpy()[:, None] - onsets[None])
    assert (distance.min(axis=0) < 60).sum() >= N - 1
    assert (distance.min(axis=1) < 500).all()  # what was measured with an event holds its neighbours, too
    assert (told["amplitude"] < 0).all()


def test_a_recording_is_told_from_windows_by_what_is_in_the_file():
    trace = Signals.of(np.zeros(9000), kind="repeated")
    longer = Signals.of(np.zeros((5, 1000)), kind="repeated")
    assert are_recordings(trace, 600, FileKind.TRACE)
    assert are_recordings(trace, 600, FileKind.SIGNALS)
    assert are_recordings(trace, 600, FileKind.WINDOWS)  # a single row of many windows' length
    assert not are_recordings(longer, 600, FileKind.WINDOWS)
    assert not are_recordings(trace, 0, FileKind.SIGNALS)
