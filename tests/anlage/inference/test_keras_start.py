"""A training that starts from a network of miniML."""

from __future__ import annotations

import numpy as np
import pytest
import torch

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
    settings = ["steps=2", "batch_size=8", "freeze_encoder=true"]
    run = Run.create(tmp_path / "run", "events", [tmp_path / "w.h5"], settings, start_from=path)
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
