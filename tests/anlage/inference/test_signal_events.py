"""Events all along a trace, and miniML's networks without TensorFlow."""

from __future__ import annotations

import json
from dataclasses import replace

import h5py
import numpy as np
import pytest

from anlage.errors import AnlageError
from anlage.inference.keras_model import is_keras, open_keras
from anlage.inference.signal_events import are_traces, probability_along, score_windows, track_events, window_for
from anlage.inference.trace_events import TraceSettings, measure_events, trace_events
from anlage.io.signal_files.signals import open_signals, write_signals
from anlage.model import load_model
from anlage.signals.event_proposals import windows_around
from anlage.signals.signals import Signals
from anlage.synthetic.signals import trace_of_events
from anlage.training.process import train
from anlage.training.run import Run


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Learnt from the true events of two traces and from places without any."""
    folder = tmp_path_factory.mktemp("trace")
    files = []
    for seed in (1, 2):
        made = trace_of_events(6, seed=seed, rate_hz=10, signal_to_noise=6)
        rng = np.random.default_rng(seed)
        free = rng.integers(1000, 290_000, 400)
        free = free[np.abs(free[:, None] - made.onsets[None]).min(axis=1) > 500][:60]
        at = np.concatenate([made.onsets.astype(int), free])
        cut, _ = windows_around(made.signals, 0, at, 600, np.repeat([1, 0], [len(made.onsets), len(free)]))
        write_signals(folder / f"{seed}.h5", cut)
        files.append(folder / f"{seed}.h5")
    run = Run.create(folder / "run", "events", files, ["steps=120", "members=1", "width=16"])
    train(run)
    return load_model(run.target_path)


def test_events_of_a_trace_are_found_and_measured(model):
    made = trace_of_events(6, seed=11, rate_hz=4, signal_to_noise=8)
    assert are_traces(model, made.signals)
    told = trace_events(model, made.signals)
    distance = np.abs(told.frames[:, None] - made.onsets[None])
    assert (distance.min(axis=1) < 60).mean() > 0.8
    assert (distance.min(axis=0) < 60).mean() > 0.7
    right = distance.min(axis=1) < 60
    size = made.amplitudes[distance.argmin(axis=1)]
    assert np.median(-told.properties["amplitude"][right] / size[right]) == pytest.approx(1, abs=0.25)
    assert np.nanmedian(told.properties["half_decay_s"]) == pytest.approx(0.0016 * np.log(2), rel=0.5)
    nothing = trace_events(model, made.signals, TraceSettings(threshold=1.0))
    assert len(nothing) < len(told)


def test_a_recording_of_another_sampling_rate_is_seen_at_the_networks_window(model):
    made = trace_of_events(6, seed=11, rate_hz=4, signal_to_noise=8)
    fast = replace(made.signals, values=np.repeat(made.signals.values, 5, axis=2), interval_s=4e-6)
    own, told = trace_events(model, made.signals), trace_events(model, fast)
    assert len(told) == pytest.approx(len(own), abs=1)
    assert (np.abs(told.frames[:, None] / 5 - own.frames[None]).min(axis=0) < 20).mean() >= 0.95
    # where no file says how often it was sampled, the window says it
    unknown = replace(fast, interval_s=None)
    asked = trace_events(model, unknown, window=window_for(model, unknown, 3000))
    np.testing.assert_array_equal(asked.frames, told.frames)


def test_long_traces_are_seen_in_pieces_that_fit_together(model, monkeypatch):
    trace = trace_of_events(2, seed=5, rate_hz=5).signals.values[0]
    whole = probability_along(model, trace).probability
    monkeypatch.setattr("anlage.inference.signal_events._CHUNK", 8000)
    np.testing.assert_allclose(probability_along(model, trace).probability, whole, atol=1e-4)
    assert len(whole) == -(-trace.shape[1] // 8)


def test_a_window_in_a_trace_is_told_like_the_window_alone(model):
    made = trace_of_events(4, seed=6, rate_hz=6, signal_to_noise=8)
    cut, kept = windows_around(made.signals, 0, made.onsets.astype(int), 600)
    alone = score_windows(model, cut)
    along = probability_along(model, made.signals.values[0])
    middle = made.onsets[kept] - 100 + 300
    there = along.probability[np.rint(middle / along.stride).astype(int)]
    assert ((alone > 0.5) == (there > 0.5)).mean() > 0.85


def test_the_shape_of_one_clean_event_is_what_it_is():
    t = np.arange(4000.0)
    trace = np.where(t >= 1000, 10 * (1 - np.exp(-(t - 1000) / 10)) * np.exp(-(t - 1000) / 200), 0.0)
    signals = Signals.of(trace, interval_s=0.001, kind="repeated")
    told = measure_events(trace, np.array([1005]), np.array([0.9]), signals, 0, 1000, 1)
    peak = 1000 + 10 * np.log(21)
    assert told.frames[0] == pytest.approx(1001, abs=5)
    assert told.properties["peak"][0] == pytest.approx(peak, abs=4)
    assert told.properties["amplitude"][0] == pytest.approx(trace.max(), rel=0.03)
    half = t[(t > peak) & (trace < trace.max() / 2)][0]
    assert told.properties["half_decay_s"][0] == pytest.approx((half - peak) / 1000, abs=0.006)
    assert told.properties["area"][0] == pytest.approx(trace.sum() / 1000, rel=0.1)
    assert told.properties["overlaps"].tolist() == [0]
    twice = trace + np.roll(trace, 60)
    both = measure_events(twice, np.array([1005, 1065]), np.array([0.9, 0.9]), signals, 0, 1000, 1)
    assert both.properties["overlaps"].tolist() == [1, 0]
    assert np.isnan(both.properties["half_decay_s"][0])
    assert both.properties["amplitude"][1] == pytest.approx(trace.max(), rel=0.35)  # on the tail of the first


def test_a_model_of_windows_tells_nothing_of_tracks(model):
    with pytest.raises(AnlageError, match="is for events that repeat in a trace, not for events that happen once"):
        track_events(model, Signals.of(np.zeros((2, 50))))


# --- Keras ------------------------------------------------------------------------------------------------------------


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def by_hand(path, windows):
    """miniML's network in numpy and float64, from the papers of its layers."""
    with h5py.File(path) as file:
        w = {}
        file["model_weights"].visititems(
            lambda n, o: w.update({n: o[:].astype(float)}) if isinstance(o, h5py.Dataset) else None
        )

        layers = json.loads(file.attrs["model_config"])["config"]["layers"]
    names = {
        kind: [la["config"]["name"] for la in layers if la["class_name"] == kind]
        for kind in ("Conv1D", "BatchNormalization", "Dense")
    }

    def named(*parts):
        return next(v for k, v in w.items() if all(p in k for p in parts))

    x = windows[..., None]
    for i, pool in enumerate((3, 2, 2, 0)):
        kernel, bias = (named(f"{names['Conv1D'][i]}/", n) for n in ("kernel", "bias"))
        pad = kernel.shape[0] - 1
        padded = np.pad(x, ((0, 0), (pad // 2, pad - pad // 2), (0, 0)))
        x = sum(padded[:, k : k + x.shape[1]] @ kernel[k] for k in range(kernel.shape[0])) + bias
        g, b, m, v = (named(f"{names['BatchNormalization'][i]}/", n) for n in ("gamma", "beta", "mean", "variance"))
        x = (x - m) / np.sqrt(v + 1e-3) * g + b
        x = np.where(x > 0, x, 0.3 * x)
        if pool:
            n = x.shape[1] // pool
            x = x[:, : n * pool].reshape(len(x), n, pool, -1).mean(axis=2)
    total = 0
    for name, steps in (("forward", x), ("backward", x[:, ::-1])):
        kernel, again, bias = (named(name, n) for n in ("/kernel", "recurrent_kernel", "bias"))
        h = c = np.zeros((len(x), 96))
        for t in range(x.shape[1]):
            i, f, g, o = np.split(steps[:, t] @ kernel + h @ again + bias, 4, axis=1)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
        total = total + h
    first, last = names["Dense"]
    x = total @ named(f"{first}/", "kernel") + named(f"{first}/", "bias")
    x = np.where(x > 0, x, 0.3 * x)
    return sigmoid(x @ named(f"{last}/", "kernel") + named(f"{last}/", "bias"))[:, 0]


@pytest.mark.data
@pytest.mark.parametrize("name", ["GC_lstm_model", "GC_mEPSP_lstm_transfer", "human_L23_lstm_transfer_dec2024"])
def test_networks_of_miniml_say_the_same_without_tensorflow(shared_data, name):
    path = shared_data("miniml") / "models" / f"{name}.h5"
    windows = np.random.default_rng(0).random((6, 600))
    model = open_keras(path)
    assert model.window == 600
    assert np.abs(model.probability(windows) - by_hand(path, windows)).max() < 1e-5


@pytest.mark.data
def test_their_known_scores_come_out(shared_data):
    folder = shared_data("miniml")
    model = open_keras(folder / "models" / "human_L23_lstm_transfer_dec2024.h5")
    scored = folder / "human_L23_scored"
    nice, noise = (
        np.concatenate([model.score(open_signals(p)) for p in sorted((scored / n).glob("2_*.h5"))])
        for n in ("nice_events", "noise")
    )
    assert (nice > 0.5).mean() > 0.95
    assert (noise < 0.5).mean() > 0.7


def test_other_files_are_not_taken_for_networks(tmp_path):
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file["events"] = np.zeros((2, 3))
    assert not is_keras(tmp_path / "w.h5")
    with pytest.raises(AnlageError, match="is no Keras network in HDF5"):
        open_keras(tmp_path / "w.h5")
    with h5py.File(tmp_path / "k.h5", "w") as file:
        file.attrs["model_config"] = '{"config": {"layers": [{"class_name": "InputLayer", "config": {"batch_input_shape": [null, 600, 1]}}, {"class_name": "Lambda", "config": {"name": "l"}}]}}'  # fmt: skip
        file.create_group("model_weights/l")
    with pytest.raises(AnlageError, match="has a layer of the kind Lambda"):
        open_keras(tmp_path / "k.h5")


SMALL = [
    {"class_name": "InputLayer", "config": {"name": "in", "batch_input_shape": [None, 24, 1]}},
    {"class_name": "Conv1D", "config": {"name": "conv", "padding": "same"}},
    {"class_name": "BatchNormalization", "config": {"name": "norm", "epsilon": 1e-3}},
    {"class_name": "LeakyReLU", "config": {"name": "leaky", "alpha": 0.3}},
    {"class_name": "AveragePooling1D", "config": {"name": "pool", "pool_size": [2], "strides": [2]}},
    {
        "class_name": "Bidirectional",
        "config": {"name": "both", "merge_mode": "sum", "layer": {"class_name": "LSTM", "config": {"units": 3}}},
    },
    {"class_name": "Dense", "config": {"name": "out", "activation": "sigmoid"}},
]


def a_keras_file(path, layers=SMALL, change=None):
    """A network of miniML's layers, as small as can be."""
    rng = np.random.default_rng(0)
    shapes = {
        "conv/kernel": (5, 1, 4), "conv/bias": (4,), "out/kernel": (3, 1), "out/bias": (1,),
        **{f"norm/{name}": (4,) for name in ("gamma", "beta", "moving_mean")},
        **{f"both/{way}_lstm/{name}": shape for way in ("forward", "backward")
           for name, shape in (("kernel", (4, 12)), ("recurrent_kernel", (3, 12)), ("bias", (12,)))},
    }  # fmt: skip
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = layers if isinstance(layers, str) else json.dumps({"config": {"layers": layers}})
        for name, shape in shapes.items():
            file[f"model_weights/{name}:0"] = rng.normal(0, 0.3, shape).astype(np.float32)
        file["model_weights/norm/moving_variance:0"] = np.ones(4, np.float32)
        if change is not None:
            change(file)
    return path


def told_otherwise(name, /, **config):
    return [{**one, "config": {**one["config"], **config}} if one["config"]["name"] == name else one for one in SMALL]


def test_a_small_network_answers(tmp_path):
    model = open_keras(a_keras_file(tmp_path / "k.h5"))
    assert model.window == 24
    assert ((model.probability(np.random.default_rng(0).random((5, 24))) > 0) & True).all()


@pytest.mark.parametrize(
    "layers",
    [
        "[" * 30_000 + "]" * 30_000, "{}", "[]", '"x"', '{"config": {"layers": []}}', '{"config": {"layers": [1, 2]}}',
        told_otherwise("in", batch_input_shape=[None, 10**10, 1]), told_otherwise("in", batch_input_shape=[None, 0, 1]),
        told_otherwise("in", batch_input_shape=[None, -5, 1]), told_otherwise("in", batch_input_shape=[24]),
        told_otherwise("in", batch_input_shape=None), told_otherwise("in", batch_input_shape=[None, 24, 2]),
        told_otherwise("pool", pool_size=[0]), told_otherwise("pool", strides=[0]), told_otherwise("pool", pool_size=[10**9]),
        told_otherwise("pool", pool_size=[30]), told_otherwise("conv", padding="causal"), told_otherwise("conv", strides=[2]),
        told_otherwise("norm", epsilon=-1.0), told_otherwise("leaky", alpha=1e308), told_otherwise("conv", name="absent"),
        told_otherwise("both", layer={"class_name": "LSTM", "config": {"units": 10**9}}),
        told_otherwise("both", layer={"class_name": "LSTM", "config": {"units": 4}}),
        told_otherwise("both", layer={"class_name": "GRU", "config": {"units": 3}}), told_otherwise("both", merge_mode="concat"),
        told_otherwise("out", activation="eval"), told_otherwise("out", activation={"class_name": "Lambda", "config": {}}),
        [*SMALL, {"class_name": "\x1b[31m", "config": {"name": "x"}}],
    ],
)  # fmt: skip
def test_layers_that_miniml_does_not_have_are_refused_at_opening(tmp_path, layers):
    with pytest.raises(AnlageError) as caught:
        open_keras(a_keras_file(tmp_path / "k.h5", layers))
    assert "k.h5" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "\x1b" not in str(caught.value)


def _other(name, value):
    def change(file):
        del file[f"model_weights/{name}"]
        if value is not None:
            file[f"model_weights/{name}"] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        _other("conv/kernel:0", None), _other("conv/kernel:0", np.zeros((5, 7, 4), np.float32)),
        _other("conv/kernel:0", np.zeros(4, np.float32)), _other("out/bias:0", np.array([np.nan], np.float32)),
        _other("conv/bias:0", np.array([b"a"] * 4)), _other("out", h5py.ExternalLink("other.h5", "/out")),
        _other("out", h5py.SoftLink("/model_weights/conv")), _other("both/forward_lstm/kernel:0", np.zeros((4, 8), np.float32)),
    ],
)  # fmt: skip
def test_weights_that_do_not_fit_their_layers_are_refused_at_opening(tmp_path, change):
    with pytest.raises(AnlageError, match=r"k\.h5"):
        open_keras(a_keras_file(tmp_path / "k.h5", change=change))
