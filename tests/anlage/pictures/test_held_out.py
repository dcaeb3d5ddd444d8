"""Pictures of how good a network is on held-out examples."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.image import imread

from anlage.calibration import Answers
from anlage.io.signal_files.held_out import HeldOut
from anlage.pictures import held_out
from anlage.pictures.held_out import Subject, draw_answers, draw_events

ALL = ["calibration.png", "confusion.png", "precision-recall.png", "roc.png"]


@pytest.fixture
def texts(monkeypatch):
    """What is written in the pictures, by their names."""
    found: dict[str, list[str]] = {}
    save = held_out._save

    def listen(figure, path):
        plot = figure.axes[0]
        found[path.name] = [plot.get_title(), plot.get_xlabel(), *(text.get_text() for text in plot.texts)]
        return save(figure, path)

    monkeypatch.setattr(held_out, "_save", listen)
    return found


def test_counts_of_answers_keep_what_the_pictures_need():
    rng = np.random.default_rng(0)
    chance = rng.random(500)
    truth = rng.random(500) < chance
    answers = Answers.of(chance, truth, int(truth.sum()) + 7)
    assert (sum(answers.true), sum(answers.false), answers.missed) == (truth.sum(), (~truth).sum(), 7)
    assert sum(answers.true[25:]) == (truth & (chance >= 0.5)).sum()
    assert Answers.of([], []).missed == 0


def test_any_network_that_finds_something_has_four_pictures(tmp_path, texts):
    answers = Answers.of([0.9, 0.8, 0.7, 0.2, 0.1], [True, True, False, True, False], 5)
    drawn = draw_answers(tmp_path, answers, Subject("nuclei", 0.5, "5 nuclei in 1 of 2 movies"))
    assert sorted(path.name for path in drawn) == ALL
    assert all(imread(path).shape[:2] == (460, 500) for path in drawn)
    words = texts["confusion.png"]
    assert [word.split("\n")[0] for word in words[2:]] == ["2", "3", "1", "1"]  # two missed were never candidates
    assert "area under the curve 0.833" in texts["roc.png"]
    assert "reported from 0.50" in texts["calibration.png"][-1]
    none = draw_answers(tmp_path, Answers.of([], []), Subject("nuclei", 0.5, ""))
    assert none == []
    classes = draw_answers(tmp_path, answers, Subject("voxels", 0.5, "", finds=False))
    assert [path.name for path in classes] == ["calibration.png"]


def held(n: int, *, windows: bool, interval_s: float | None = None) -> HeldOut:
    rng = np.random.default_rng(1)
    scores = np.arange(n) % (2 if windows else 3)
    right = np.where(rng.random(n) < 0.8, 0.9, 0.2)
    if windows:
        chances = np.where(scores == 1, right, 1 - right)[:, None]
    else:
        chances = np.full((n, 3), 0.05)
        chances[np.arange(n), scores] = right
        chances /= chances.sum(axis=1, keepdims=True)
    times = np.where(scores == 0, 10.0, np.nan) + np.arange(n) % 7
    names = np.full(n, "a")
    return HeldOut(names, names, np.arange(n), scores, times, chances, times + 0.5, interval_s)


def test_tracks_have_the_times_of_their_events_too(tmp_path, texts):
    drawn = draw_events(tmp_path, held(90, windows=False, interval_s=120.0), Subject("events", 0.5, "90 tracks"))
    assert sorted(path.name for path in drawn) == [*ALL, "times.png"]
    assert "error median 1, mean 1 min (0.5 and 0.5 frames)" in texts["times.png"][0]
    assert len(texts["confusion.png"]) == 2 + 9


def test_windows_are_told_by_the_threshold_of_the_network(tmp_path, texts):
    one = held(90, windows=True)
    draw_events(tmp_path, one, Subject("events", 0.95, "90 windows"))
    counts = [int(word.split("\n")[0]) for word in texts["confusion.png"][2:]]
    assert counts == [45, 0, 45, 0]
    draw_events(tmp_path, one, Subject("events", 0.5, "90 windows"))
    counts = [int(word.split("\n")[0]) for word in texts["confusion.png"][2:]]
    assert counts[3] == (one.chances[one.scores == 1, 0] >= 0.5).sum() > 20
