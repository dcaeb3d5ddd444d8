"""Curves for TensorBoard: what its own reader finds is what the run told."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from types import ModuleType

import pytest

from anlage.errors import AnlageError
from anlage.training.process import train
from anlage.training.progress import Validated
from anlage.training.run import Run

pytest.importorskip("tensorboard")


def test_the_curves_are_those_of_the_run(make_run: Callable[..., Run], toy: ModuleType) -> None:
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    run = make_run("curves", "steps=20", "tensorboard=true")
    train(run, tasks=toy.TASKS)
    found: dict[str, list[tuple[int, float]]] = {}
    for file in (run.path / "tensorboard").iterdir():
        for entry in EventFileLoader(str(file)).Load():
            for value in entry.summary.value:
                found.setdefault(value.tag, []).append((entry.step, value.tensor.float_val[0]))
    told = [(e.step, e.loss) for e in run.events()[0] if isinstance(e, Validated)]
    assert found["held_out/loss"] == [(step, pytest.approx(loss, rel=1e-6)) for step, loss in told]
    assert {"training/loss", "training/learning_rate", "held_out/score"} <= set(found)


def test_without_being_asked_nothing_is_written(make_run: Callable[..., Run], toy: ModuleType) -> None:
    run = make_run("plain", "steps=3")
    train(run, tasks=toy.TASKS)
    assert not (run.path / "tensorboard").exists()


def test_without_the_package_a_sentence_says_how_to_get_it(
    make_run: Callable[..., Run], toy: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name, *rest: None if name == "tensorboard" else find(name, *rest)
    )
    with pytest.raises(AnlageError, match=r"tensorboard=true needs the package tensorboard; install it with"):
        train(make_run("absent", "steps=3", "tensorboard=true"), tasks=toy.TASKS)
