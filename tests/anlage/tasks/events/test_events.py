"""The events task: honest examples, held-out recordings, training, transfer, and what is refused."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from anlage.errors import AnlageError
from anlage.evaluation.held_out import held_out_report, worst_held_out, worst_sentences
from anlage.inference.loading import network_of
from anlage.inference.signal_events import score_windows, track_events, window_for
from anlage.io.signal_files.held_out import HELD_OUT, read_held_out
from anlage.io.signal_files.signals import write_signals
from anlage.model import load_model
from anlage.signals.signals import Signals
from anlage.synthetic.signals import stepped_tracks
from anlage.tasks import TASKS
from anlage.tasks.events.config import EventsConfig
from anlage.tasks.events.files import SignalFiles
from anlage.tasks.events.validation import best_threshold, read_tracks
from anlage.tasks.task import Setting
from anlage.training.checkpoint import load_checkpoint
from anlage.training.context import TrainingContext
from anlage.training.distributed import World
from anlage.training.process import train
from anlage.training.run import Run
from anlage.training.stopping import StopWatcher

EVENTS = TASKS["events"]


def bumps(n: int, seed: int, length: int = 120) -> Signals:
    """Windows of which half hold a falling bump, of six recordings."""
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 2, n)
    t = np.arange(length)
    shape = np.where(t >= 30, (1 - np.exp(-(t - 30) / 4)) * np.exp(-(t - 30) / 20), 0)
    size = rng.uniform(4, 8, (n, 1))
    values = rng.normal(0, 1, (n, length)) - size * scores[:, None] * shape + rng.normal(0, 5, (n, 1))
    return Signals.of(values, kind="repeated", scores=scores, group=[f"r{i % 6}" for i in range(n)])


def prepared(tmp_path, signals: Signals, /, *, seed: int = 0, **config):
    suffix = "h5" if signals.kind == "repeated" else "csv"
    write_signals(tmp_path / f"s.{suffix}", signals)
    settings = EventsConfig(**config)
    source = SignalFiles().open(tmp_path / f"s.{suffix}", settings)
    setting = Setting(cache=tmp_path, seed=seed, device="cpu", batch_size=64, augment=True)
    return EVENTS.prepare([source], settings, setting)


def test_each_network_is_judged_by_whole_recordings_that_it_never_sees(tmp_path):
    signals = bumps(120, 0)
    examples = prepared(tmp_path, signals, members=3)
    assert sorted(np.bincount(examples.folds)) == [40, 40, 40]
    groups = [set(signals.group[examples.folds == fold]) for fold in range(3)]
    assert not groups[0] & groups[1] | groups[0] & groups[2] | groups[1] & groups[2]
    assert examples.held_out == "120 windows of 6 of 6 recordings, each judged by the network that never saw it"
    # a batch holds so many for each network, one after the other, and none of those by which it is judged
    plain = replace(examples, setting=replace(examples.setting, augment=False))
    row_of = {values.tobytes(): row for row, values in enumerate(examples.tracks.values)}
    drawn = np.concatenate([plain.batch(step, 20)["signals"].numpy() for step in range(20)]).reshape(20, 3, 20, -1)
    for fold in range(3):
        seen = {row_of[values.tobytes()] for values in drawn[:, fold].reshape(400, -1)}
        assert set(examples.folds[list(seen)]) == {0, 1, 2} - {fold}


def test_a_single_network_holds_out_a_fifth(tmp_path):
    signals = bumps(120, 0)
    examples = prepared(tmp_path, signals, members=1)
    assert set(examples.folds) == {-1, 0}
    held = set(signals.group[examples.folds == 0])
    assert not held & set(signals.group[examples.folds < 0])
    assert examples.held_out == "20 windows of 1 of 6 recordings"
    assert len(examples.batch(0, 16)["score"]) == 16


def test_a_recording_without_which_too_little_is_left_is_never_held_out(tmp_path):
    signals = bumps(120, 0)
    large = replace(signals, group=np.array(["large"] * 80 + ["a"] * 20 + ["b"] * 20))
    examples = prepared(tmp_path, large, members=3)
    assert set(examples.folds[:80]) == {-1}
    assert len(set(examples.folds[80:100])) == len(set(examples.folds[100:])) == 1
    assert examples.folds[80] != examples.folds[100]
    assert examples.held_out.startswith("40 windows of 2 of 3 recordings")


def test_of_a_single_recording_stretches_are_held_out_and_that_is_said(tmp_path):
    signals = bumps(60, 0)
    one = Signals.of(signals.values, kind="repeated", scores=signals.scores, group="only")
    examples = prepared(tmp_path, one, members=3)
    assert examples.notes[0].startswith(
        "All examples come from one recording, so 3 parts of them are, one from each network, held out to validate"
    )
    for score in (0, 1):
        assert (np.diff(examples.folds[signals.scores == score]) >= 0).all()
    assert np.bincount(examples.folds).min() >= 18
    single = prepared(tmp_path, one, members=1)
    assert "so 20 % of them are held out to validate" in single.notes[0]
    assert 8 <= (single.folds == 0).sum() <= 16


def test_the_plan_says_what_the_windows_are(tmp_path):
    plan = prepared(tmp_path, bumps(120, 0)).plan
    assert (plan.kind, plan.window, plan.direction) == ("repeated", 120, -1)
    assert plan.onset == pytest.approx(0.26, abs=0.01)
    assert plan.scales[0].how == "noise"


def test_a_piece_of_a_track_shows_what_it_honestly_can(tmp_path):
    examples = prepared(tmp_path, stepped_tracks(90, n_movies=6), crop=1.0)
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(600):
        row = int(rng.integers(len(examples.tracks)))
        low, high, score = examples._piece(rng, row)
        true, time = int(examples.tracks.scores[row]), examples.tracks.times[row]
        seen.add((true, score))
        if true != 0:
            assert score == true
        else:
            assert score == (2 if time < low else 1 if time >= high else 0)
    assert seen == {(0, 0), (0, 1), (0, 2), (1, 1), (2, 2)}


def test_augmentation_acts_and_can_be_switched_off(tmp_path):
    examples = prepared(tmp_path, bumps(120, 0), flip_sign=True)
    first, second = examples.batch(0, 64), examples.batch(1, 64)
    assert torch.equal(examples.batch(0, 64)["signals"], first["signals"])
    assert not torch.equal(first["signals"], second["signals"])
    known = {v.tobytes() for v in examples.tracks.values}
    assert not any(v.tobytes() in known for v in first["signals"].numpy())
    still = examples.setting.__class__(cache=tmp_path, seed=0, device="cpu", batch_size=64, augment=False)
    plain = EVENTS.prepare([SignalFiles().open(tmp_path / "s.h5", EventsConfig())], EventsConfig(), still)
    assert all(v.tobytes() in known for v in plain.batch(0, 64)["signals"].numpy())


def test_the_amount_of_variation_acts_and_0_shows_everything_as_it_is(tmp_path):
    plain, much = (prepared(tmp_path, bumps(120, 0), variation=amount) for amount in (0.0, 2.0))
    known = {v.tobytes() for v in plain.tracks.values}
    assert all(v.tobytes() in known for v in plain.batch(0, 64)["signals"].numpy())
    assert not any(v.tobytes() in known for v in much.batch(0, 64)["signals"].numpy())


def test_epochs_count_what_a_network_learns_from(tmp_path):
    assert prepared(tmp_path, bumps(120, 0), members=3).n_examples == 80
    assert prepared(tmp_path, bumps(120, 0), members=1, held_out=0.4).n_examples == 80


@pytest.fixture(scope="module")
def windows_model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("windows")
    write_signals(folder / "w.h5", bumps(240, 1))
    run = Run.create(
        folder / "run", "events", [folder / "w.h5"], ["steps=40", "members=2", "batch_size=32", "width=16"]
    )
    train(run)
    return load_model(run.target_path)


def test_windows_are_learnt_and_probabilities_mean_what_they_say(windows_model):
    test = bumps(300, 7)
    probability = score_windows(windows_model, test)
    right = (probability >= 0.5) == (test.scores == 1)
    assert right.mean() > 0.9
    assert abs(probability.mean() - 0.5) < 0.08
    assert windows_model.card.channels == ("signal",)
    assert windows_model.card.trained_on[0].n_examples == 240
    assert "240 scored windows" in windows_model.card.to_markdown()


def test_windows_that_are_too_short_are_refused(windows_model):
    with pytest.raises(
        AnlageError, match=r"looks at windows of 120 samples, which are 120 here, but these have 60; cut longer ones"
    ):
        score_windows(windows_model, bumps(4, 0, length=60))


def test_windows_of_another_sampling_rate_are_resampled_to_the_networks(windows_model):
    fine = bumps(100, 8)
    fine = replace(fine, values=np.repeat(fine.values, 5, axis=2))
    right = (score_windows(windows_model, fine, window=window_for(windows_model, fine, 600)) >= 0.5) == (
        fine.scores == 1
    )
    assert right.mean() > 0.9


def test_files_and_models_of_other_sampling_rates_are_brought_together_and_it_is_said(tmp_path):
    slow = replace(bumps(40, 1), interval_s=1e-3)
    fast = replace(bumps(40, 2, length=600), interval_s=2e-4)
    for name, signals in (("slow", slow), ("fast", fast)):
        write_signals(tmp_path / f"{name}.h5", signals)
    settings = EventsConfig()
    setting = Setting(cache=tmp_path, seed=0, device="cpu", batch_size=None, augment=True)
    sources = [SignalFiles().open(tmp_path / f"{name}.h5", settings) for name in ("slow", "fast")]
    examples = EVENTS.prepare(sources, settings, setting)
    assert examples.plan.window == 120
    assert examples.plan.interval_s == 1e-3
    assert "fast.h5 was sampled every 0.0002 s: resampled to every 0.001 s, as slow.h5." in examples.notes

    # from a model the window is its window, by the sampling intervals or as it is said
    base = replace(setting, base=examples.plan)
    again = EVENTS.prepare([sources[1]], settings, base)
    assert again.plan.window == again.tracks.values.shape[2] == 120
    assert any("600 samples here (120 ms, as it learnt) and 120" in note for note in again.notes)
    half = EVENTS.prepare([sources[1]], EventsConfig(window_ms=60), base)
    assert half.plan.window == half.tracks.values.shape[2] == 120
    assert any("up to 600 samples, of which the first 300" in note for note in half.notes)


def test_the_best_threshold_of_the_roc_moves_only_by_more_than_luck():
    rng = np.random.default_rng(0)
    truth = np.repeat([True, False], 100)
    assert best_threshold(np.where(truth, 0.8, 0.1), truth) == 0.5
    # as many false positives at 0.6 as make a higher threshold better
    shifted = np.where(truth, rng.uniform(0.7, 1, 200), rng.uniform(0.0, 0.65, 200))
    assert 0.63 < best_threshold(shifted, truth) < 0.72
    assert best_threshold(shifted[90:110], truth[90:110]) == 0.5  # too few to say


def test_signals_are_turned_upside_down_where_that_is_asked(tmp_path):
    as_is, turned = prepared(tmp_path, bumps(60, 3)), prepared(tmp_path, bumps(60, 3), invert=True)
    assert (as_is.plan.direction, turned.plan.direction, turned.plan.invert) == (-1, 1, True)
    np.testing.assert_allclose(turned.tracks.values, -as_is.tracks.values, atol=1e-5)


@pytest.mark.long
def test_tracks_are_told_with_their_times(tmp_path):
    write_signals(tmp_path / "t.csv", stepped_tracks(150, seed=1))
    run = Run.create(tmp_path / "run", "events", [tmp_path / "t.csv"], ["steps=200", "members=1", "width=16"])
    train(run)
    test = stepped_tracks(150, seed=9)
    told = track_events(load_model(run.target_path), test)
    assert (told.classes == test.scores).mean() > 0.9
    both = told.happened & (test.scores == 0)
    assert np.median(np.abs(told.frames[both] - test.times[both])) < 1.0
    assert told.interval_s == pytest.approx(300.0)
    # of two frames nobody could tell anything
    values = test.values[:3].copy()
    values[0, :, 2:] = np.nan
    few = track_events(load_model(run.target_path), replace(test.select(np.arange(3)), values=values))
    assert (few.classes[0], few.probability[0]) == (2, pytest.approx(1 / 3))
    assert few.probability[1:] == pytest.approx(told.probability[1:3], abs=0.01)


def test_a_training_from_a_model_uses_its_weights_and_a_frozen_encoder_stays(windows_model, tmp_path):
    write_signals(tmp_path / "w.h5", bumps(60, 3))
    theirs = windows_model.weights()

    def weights(name: str, *settings: str, start=None):
        run = Run.create(tmp_path / name, "events", [tmp_path / "w.h5"], list(settings), start_from=start)
        train(run)
        return load_model(run.target_path).weights()

    # hardly any learning: what comes out is what went in
    still = weights("still", "steps=1", "learning_rate=1e-12", start=windows_model.path)
    assert max(np.abs(still[name] - theirs[name]).max() for name in theirs) < 1e-6
    frozen = weights("frozen", "steps=10", "freeze_encoder=true", start=windows_model.path)
    moved = {name for name in theirs if not np.array_equal(frozen[name], theirs[name])}
    assert moved
    assert not any(name.split(".")[2] in ("enter", "encoder") for name in moved)
    fresh, first = weights("fresh", "steps=1", "learning_rate=1e-12", "width=16"), "members.0.enter.weight"
    assert np.abs(fresh[first] - theirs[first]).max() > 0.01

    def first_loss(name: str) -> float:
        events, _ = Run.open(tmp_path / name).events()
        return next(event.loss for event in events if event.event == "step")

    context = TrainingContext(
        Run.open(tmp_path / "frozen"), EVENTS, None, StopWatcher(tmp_path / "stop"), World.from_environment()
    )
    assert context.learning_rate == pytest.approx(5e-4)
    assert first_loss("still") < 0.5 * first_loss("fresh")


def test_from_a_model_it_ends_halfway_unless_that_is_worse(windows_model, tmp_path):
    write_signals(tmp_path / "w.h5", bumps(60, 3))
    theirs = windows_model.weights()
    said = (
        "Weights: 50% of the way from the model that the training started from to what was learnt, where held-out examples are "
        "predicted best."
    )

    def trained(name: str, file: str, *settings: str):
        run = Run.create(tmp_path / name, "events", [tmp_path / file], list(settings), start_from=windows_model.path)
        train(run)
        return run, [event.text for event in run.events()[0] if event.event == "note"]

    run, notes = trained("alike", "w.h5", "steps=2", "learning_rate=1e-12")  # halfway is as good
    last = load_checkpoint(run.checkpoint_path)[0]
    ours = load_model(run.target_path).weights()
    assert said in notes
    for name in theirs:
        assert ours[name] == pytest.approx((theirs[name] + last[f"best.{name}"].numpy()) / 2, abs=1e-6)
    # events that go the other way: what the model knew is wrong here
    turned = bumps(120, 5)
    write_signals(tmp_path / "t.h5", replace(turned, scores=1 - turned.scores))
    _, notes = trained("turned", "t.h5", "steps=40", "learning_rate=0.004", "batch_size=32")
    assert said not in notes


def test_what_was_held_out_is_kept_with_what_the_network_says_that_never_saw_it(tmp_path):
    signals = bumps(120, 4)
    write_signals(tmp_path / "w.h5", signals)
    run = Run.create(tmp_path / "run", "events", [tmp_path / "w.h5"], ["steps=20", "members=3", "width=16"])
    train(run)
    model = load_model(run.target_path)
    held = read_held_out(run.path / HELD_OUT)
    assert held.numbers.tolist() == list(range(120))
    assert held_out_report(held).f1 == pytest.approx(model.card.evidence.metrics["f1"])
    examples = prepared(tmp_path, signals, seed=run.config.training.seed, members=3)
    network, _ = network_of(model, "cpu")
    for fold, member in enumerate(network.members):
        rows = examples.folds == fold
        own = read_tracks(member, examples.tracks.select(rows), "cpu").logits[:, 0]
        assert held.chances[rows, 0] == pytest.approx(model.card.evidence.calibration.apply(own), abs=2e-6)
    # applied to others, all networks answer together
    every = [read_tracks(member, examples.tracks, "cpu").logits[:, 0] for member in network.members]
    together = model.card.evidence.calibration.apply(np.mean(every, axis=0))
    assert score_windows(model, signals) == pytest.approx(together, abs=2e-6)
    assert not np.allclose(every[0], every[1], atol=0.01)


def test_held_out_tracks_are_kept_with_their_numbers_and_times(tmp_path):
    signals = stepped_tracks(90, seed=2, n_movies=6)
    signals = replace(signals, ids=signals.ids * 7)  # numbers of the file, not of the rows
    write_signals(tmp_path / "t.csv", signals)
    run = Run.create(tmp_path / "run", "events", [tmp_path / "t.csv"], ["steps=12", "members=2", "width=16"])
    train(run)
    held = read_held_out(run.path / HELD_OUT)
    row_of = {int(number): row for row, number in enumerate(signals.ids)}
    rows = [row_of[number] for number in held.numbers.tolist()]
    assert set(held.files) == {"t.csv"}
    assert np.array_equal(held.scores, signals.scores[rows])
    assert held.times == pytest.approx(signals.times[rows], nan_ok=True)
    assert held.groups.tolist() == signals.group[rows].tolist()
    assert held.interval_s == 300.0
    report = held_out_report(held)
    assert (report.n, report.accuracy) == (len(held), pytest.approx((held.predicted == held.scores).mean()))
    assert len(worst_held_out(held)) >= int((held.predicted != held.scores).sum())
    assert all(sentence.startswith("track ") for sentence in worst_sentences(held))
    told = held.events("t.csv")
    assert set(told.tracks) == set(held.numbers)
    assert (held.events("t.csv").classes == held.predicted[np.argsort(held.numbers)]).all()


def test_a_stopped_training_goes_on_exactly(tmp_path):
    write_signals(tmp_path / "w.h5", bumps(60, 3))
    settings = ["steps=12", "members=2", "width=16", "validate_every=4", "checkpoint_seconds=0"]
    whole = Run.create(tmp_path / "whole", "events", [tmp_path / "w.h5"], settings)
    train(whole)
    broken = Run.create(tmp_path / "broken", "events", [tmp_path / "w.h5"], settings)

    def stop(event) -> None:
        if event.event == "validated" and event.step == 4:
            broken.request_stop()
            time.sleep(0.2)  # it looks ten times a second, and a step takes less

    train(broken, on_event=stop)
    assert broken.state == "stopped"
    train(broken)
    a, b = (load_model(run.target_path).card.weights_sha256 for run in (whole, broken))
    assert a == b


@pytest.mark.parametrize(
    ("signals", "settings", "sentence"),
    [
        (bumps(6, 0).scored(np.array([1, 1, 1, 1, 1, 0])), {}, r"too few scored windows to learn from \(1 of 0, 5 of 1\)"),
        (stepped_tracks(30).scored(np.zeros(30, int), np.full(30, np.nan)), {}, r"too few scored tracks"),
        (stepped_tracks(30), {"kind": "repeated"}, r"kind=repeated does not go with files that hold classes of tracks"),
        (stepped_tracks(30), {"signals": ("area",)}, r"There is no signal 'area'; there are signal\."),
        (stepped_tracks(30), {"normalise": ("none", "none")}, r"normalise has 2 entries for 1 signals"),
        (stepped_tracks(30), {"limits": ((5.0, 5.0),)}, r"The limits 5 and 5 of 'signal' are not in order"),
        (bumps(30, 0), {"window": 500}, r"Windows of 500 samples are wanted, but the shortest has 120"),
    ],
)  # fmt: skip
def test_what_cannot_be_learnt_from_is_one_sentence(tmp_path, signals, settings, sentence):
    with pytest.raises(AnlageError, match=sentence):
        prepared(tmp_path, signals, **settings)


def test_an_event_without_a_time_is_named(tmp_path):
    signals = stepped_tracks(30)
    times = signals.times.copy()
    times[np.flatnonzero(signals.scores == 0)[0]] = np.nan
    with pytest.raises(AnlageError, match=r"1 tracks with the class 0 \(event\) have no time"):
        prepared(tmp_path, signals.scored(signals.scores, times))


def test_files_that_are_no_signals_or_not_scored_make_no_run(tmp_path):
    (tmp_path / "a.zarr").mkdir()
    with pytest.raises(AnlageError, match=r"holds no signals, from which events are learnt"):
        Run.create(tmp_path / "run", "events", [tmp_path / "a.zarr"])
    write_signals(tmp_path / "u.csv", stepped_tracks(9).scored(np.full(9, -1), np.full(9, np.nan)))
    with pytest.raises(AnlageError, match=r"Nothing in 'u.csv' is scored"):
        Run.create(tmp_path / "run", "events", [tmp_path / "u.csv"])
    assert not (tmp_path / "run").exists()
