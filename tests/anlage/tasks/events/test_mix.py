"""The mix of a training of events: what kinds there are, how often each is drawn, and what that does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from anlage.errors import AnlageError
from anlage.io.signal_files.signals import write_signals
from anlage.signals.signals import Signals
from anlage.tasks import TASKS
from anlage.tasks.events.config import EventsConfig
from anlage.tasks.events.files import SignalFiles
from anlage.tasks.events.mix import draw_weights, kinds_of, mix_sentence, recording_of
from anlage.tasks.events.validation import finish
from anlage.tasks.task import Setting
from anlage.training.config import assign

CLEAR, FAINT, FALSE, NOISE = range(4)


def windows(sizes: list[float], scores: list[int], group: str | list[str] = "r") -> Signals:
    """Falling bumps of these sizes over noise of 1."""
    t = np.arange(200)
    shape = np.where(t >= 50, (1 - np.exp(-(t - 50) / 4)) * np.exp(-(t - 50) / 30), 0)
    noise = np.random.default_rng(0).normal(0, 1, (len(sizes), len(t)))
    return Signals.of(noise - np.array(sizes)[:, None] * shape, kind="repeated", scores=scores, group=group)


MIXED = windows([30] * 6 + [10] * 3 + [14] * 2 + [0] * 5 + [30], [1] * 9 + [0] * 7 + [2])


@pytest.mark.parametrize(
    ("name", "kind", "recording"),
    [
        ("nice_events/0_cell_example_training_data_nice.h5", CLEAR, "0_cell"),
        ("not_so_nice_events/8_cell_example_training_data_unscored_okey.h5", FAINT, "8_cell"),
        ("x/not_so_nice.h5", FAINT, ""),
        ("false_positives/0_cell_example_training_datafalse_pos.h5", FALSE, "0_cell"),
        ("noise/12_cell_noise.h5", NOISE, "12_cell"),
        ("noise/12.h5", NOISE, "12"),
    ],
)
def test_the_name_of_a_file_or_its_folder_says_the_kind_and_the_recording(name, kind, recording):
    score = 1 if kind in (CLEAR, FAINT) else 0
    assert set(kinds_of(windows([10] * 4, [score] * 4), Path(name))) == {kind}
    assert recording_of(Path(name)) == recording


def test_without_such_a_name_size_decides_beside_the_events_of_the_recording():
    found = kinds_of(MIXED, Path("nuclear/scored.h5"))
    assert found.tolist() == [CLEAR] * 6 + [FAINT] * 3 + [FALSE] * 2 + [NOISE] * 5 + [-1]


def test_a_mix_draws_each_kind_as_asked_and_each_recording_alike():
    kinds = np.array([0] * 10 + [1] * 2 + [2] * 4 + [3] * 4)
    scores, groups = (kinds < 2).astype(int), np.array(["a", "b"] + ["a"] * 18)
    drawn = draw_weights(kinds, scores, groups, (2, 1, 1, 0), even=False)
    assert np.bincount(kinds, drawn).tolist() == pytest.approx([0.5, 0.25, 0.25, 0])
    even = draw_weights(kinds, scores, groups, None, even=True)
    assert even[groups == "b"].sum() == pytest.approx(0.5)
    both = draw_weights(kinds, scores, groups, (2, 1, 1, 0), even=True)
    assert np.bincount(kinds, both).tolist() == pytest.approx([0.5, 0.25, 0.25, 0])
    assert both[1] > 3 * both[2]


def prepared(folder: Path, signals: Signals, *assignments: str):
    write_signals(folder / "s.h5", signals)
    _, config = assign("events", ["members=1", *assignments])
    setting = Setting(cache=folder, seed=0, device="cpu", batch_size=64, augment=False)
    return TASKS["events"].prepare([SignalFiles().open(folder / "s.h5", config)], config, setting)


def test_the_mix_of_the_command_line_reaches_the_batches_and_the_threshold(tmp_path):
    signals = windows([30, 10, 9, 0] * 20, [1, 1, 0, 0] * 20)
    liberal = prepared(tmp_path, signals, "mix=3,0,1,0")
    seen = liberal.batch(0, 256)["score"].numpy()
    assert 0.65 < seen.mean() < 0.85
    network = TASKS["events"].network(liberal.plan, liberal.config).eval()
    assert finish(network, liberal).threshold == pytest.approx(0.25)
    assert finish(network, prepared(tmp_path, signals, "mix=1,0,3,0")).threshold == pytest.approx(0.75)
    assert finish(network, prepared(tmp_path, signals)).threshold == 0.5


@pytest.mark.parametrize(
    ("mix", "sentence"),
    [
        ("1,1,1", "The mix has 3 parts, but that of windows has 4"),
        ("1,1,0,0", "would not see both events and others"),
        ("1,-1,1,1", "mix=1,-1,1,1 is not possible"),
    ],
)
def test_a_mix_that_cannot_be_learnt_from_is_refused(tmp_path, mix, sentence):
    with pytest.raises(AnlageError, match=sentence):
        prepared(tmp_path, windows([30, 10, 9, 0] * 20, [1, 1, 0, 0] * 20), f"mix={mix}")


def test_it_is_said_what_a_mix_does():
    counts = [6, 3, 2, 5]
    assert "neither restrictive nor liberal" in mix_sentence(counts, (1, 1, 1, 1), "repeated")
    assert "2 windows with an event for each without: liberal" in mix_sentence(counts, (2, 2, 1, 1), "repeated")
    assert "4 windows without an event for each with one: restrictive" in mix_sentence(counts, (1, 0, 2, 2), "repeated")
    assert "1.3 windows with an event for each without" in mix_sentence(counts, None, "repeated")
    assert "only those without one" in mix_sentence([0, 0, 2, 5], None, "repeated")


def test_the_kinds_of_one_recording_in_several_files_are_never_torn_apart(tmp_path):
    paths = []
    for k, ending in enumerate(("nice", "noise")):
        for cell in range(5):
            signals = windows([20 * (1 - k)] * 8, [1 - k] * 8, f"{cell}_cell_{ending}")
            paths.append(tmp_path / f"{cell}_cell_{ending}.h5")
            write_signals(paths[-1], signals)
    config = EventsConfig(members=5)
    setting = Setting(cache=tmp_path, seed=0, device="cpu", batch_size=8, augment=False)
    sources = [SignalFiles().open(path, config) for path in paths]
    examples = TASKS["events"].prepare(sources, config, setting)
    for cell in range(5):
        mine = np.array([str(g).startswith(f"{cell}_cell") for g in examples.groups])
        assert len(set(examples.folds[mine])) == 1
    assert sources[0].counts == {
        "0_cell": {"clear events": 8, "less clear events": 0, "false positives": 0, "noise": 0}
    }
    assert replace(sources[0], path=tmp_path / "x.h5").counts["0_cell_nice"]["clear events"] == 8
