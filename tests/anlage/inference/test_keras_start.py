"""A training that starts from a network of miniML."""

from __future__ import annotations

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from scipy.signal import resample

from anlage.cli import main
from anlage.errors import AnlageError
from anlage.inference.keras_model import open_keras
from anlage.inference.keras_start import model_to_start_from
from anlage.inference.loading import network_of
from anlage.inference.signal_events import score_windows, window_for
from anlage.io.signal_files.signals import write_signals
from anlage.model import load_model
from anlage.signals.signals import Signals
from anlage.training.process import train
from anlage.training.run import Run


def windows(n: int) -> Signals:
    rng = np.random.default_rng(0)
    scores = np.arange(n) % 2
    t = np.arange(750)
    shape = np.where(t >= 250, (1 - np.exp(-(t - 250) / 10)) * np.exp(-(t - 250) / 90), 0)
    values = rng.normal(0, 1, (n, 750)) - 8 * scores[:, None] * shape
    return Signals.of(values, kind="repeated", scores=scores, group=[f"r{i % 5}" for i in range(n)])


@pytest.mark.data
def test_the_architecture_that_is_trained_says_what_minimls_network_says(shared_data):
    path = shared_data("miniml") / "models" / "GC_lstm_model.h5"
    made = windows(6).values[:, :, :600]
    network, _ = network_of(model_to_start_from(path), "cpu")
    x = torch.from_numpy(made.astype(np.float32))
    with torch.inference_mode():
        told = torch.sigmoid(network(x, torch.ones_like(x)).track[:, 0]).numpy()
        along = network.slide(x[:1], torch.ones_like(x[:1]), 30)[0, 0]
    np.testing.assert_allclose(told, open_keras(path).score(Signals.of(made[:, 0])), atol=1e-5)
    assert along.shape == (30,)
    assert float(torch.sigmoid(along[15])) == pytest.approx(float(told[0]), abs=1e-4)  # the window around the middle


@pytest.mark.data
def test_a_training_starts_from_it_and_its_model_sees_windows_as_it_learnt(shared_data, tmp_path):
    path = shared_data("miniml") / "models" / "GC_lstm_model.h5"
    write_signals(tmp_path / "w.h5", windows(20))
    settings = ["steps=2", "batch_size=8"]
    run = Run.create(tmp_path / "run", "events", [tmp_path / "w.h5"], settings, start_from=path)
    assert run.config.training.freeze_encoder  # usual for such a start
    learns = Run.create(
        tmp_path / "all", "events", [tmp_path / "w.h5"], [*settings, "freeze_encoder=false"], start_from=path
    )
    assert not learns.config.training.freeze_encoder
    train(run)
    model = load_model(run.target_path)
    start, end = model_to_start_from(path).weights(), model.weights()
    held = "members.0.encoder.0.look.weight"
    np.testing.assert_array_equal(end[held], start[held])
    assert (end["members.0.out.weight"] != start["members.0.out.weight"]).any()
    assert model.card.plan["direction"] == -1
    # 750 samples became the 600 of the network, and do so again
    assert (window_for(model, windows(4)).samples, model.card.plan["window"]) == (750, 600)
    assert len(score_windows(model, windows(4))) == 4
    with pytest.raises(AnlageError, match="which finds events"):
        model_to_start_from(path, "nuclei")


@pytest.mark.long
@pytest.mark.data
def test_a_recording_that_was_sampled_five_times_as_often_is_searched_at_a_window_five_times_as_long(
    shared_data, tmp_path
):
    """Measured events of granule cells whose troughs lie 8 standard deviations deep, planted in measured noise, 250 kHz for 50."""
    folder, rng, faster = shared_data("miniml"), np.random.default_rng(0), 5
    with h5py.File(folder / "gc_example" / "B_2020-06-09_002_example_training_data.h5") as file:
        cut, scores = file["events"][:], file["scores"][:]
    cut -= cut[:, :60].mean(axis=1, keepdims=True)
    deep = -cut.min(axis=1) > 8 * np.median(cut[:, :60].std(axis=1))
    planted, quiet = cut[(scores == 1) & deep], cut[scores == 0]
    fade = np.interp(np.arange(600), [0, 30, 570, 599], [0, 1, 1, 0])
    n = len(planted)
    trace = np.concatenate([quiet[i] * fade for i in rng.integers(0, len(quiet), 4 * (n + 1))])
    begins = 2400 * np.arange(n) + rng.integers(600, 1800, n)
    for begin, event in zip(begins, planted, strict=True):
        trace[begin : begin + 600] += event * fade
    fast = resample(trace, faster * len(trace))
    write_signals(tmp_path / "fast.h5", Signals.of(fast[None], kind="repeated", interval_s=2e-5 / faster))
    network, out = folder / "models" / "GC_lstm_model.h5", tmp_path / "events.csv"
    assert main(["predict", str(network), str(tmp_path / "fast.h5"), "-o", str(out), "--window", "3000"]) == 0
    away = np.abs(pd.read_csv(out)["frame"].to_numpy()[:, None] / faster - (begins + planted.argmin(axis=1)))
    found, others = (away.min(axis=0) < 100).sum(), (away.min(axis=1) >= 100).sum()
    assert n == 44
    assert found >= 0.95 * n, f"{found} of {n}, {others} others"
    assert others <= 0.1 * n
