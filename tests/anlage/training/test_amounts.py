"""How much is learnt in a step, and how many steps: accumulation, epochs, checkpoints by number."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from anlage.errors import AnlageError
from anlage.model import load_model
from anlage.training.config import TrainingConfig
from anlage.training.process import train
from anlage.training.run import Run
from anlage.training.schedule import learning_rate_at

Make = Callable[..., Run]


def weights_of(run: Run) -> dict[str, Any]:
    [path] = run.path.glob("*.anlage")
    return load_model(path).weights()


def test_gradients_of_several_batches_make_the_step_of_one_large_batch(
    make_run: Make, toy: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two batches of four, accumulated, are the halves of one batch of eight; three steps, since AdamW's first knows only a gradient's sign."""
    draw = toy.ToyExamples.draw

    def batch(examples: Any, number: int, batch_size: int) -> dict[str, torch.Tensor]:
        per_step = 8 // batch_size
        step, part = divmod(number, per_step) if accumulated else (number, 0)
        part = slice(part * batch_size, (part + 1) * batch_size)
        return {name: tensor[part] for name, tensor in draw(examples, step, 8).items()}

    monkeypatch.setattr(toy.ToyExamples, "batch", batch)
    monkeypatch.setattr(toy.ToyTask, "network", lambda *_: torch.nn.Linear(5, 1))  # no batch norm, no dropout
    ends = []
    for name, size, n in (("whole", 8, 1), ("summed", 4, 2), ("half", 4, 1)):
        accumulated = n > 1
        settings = (
            "steps=3",
            "learning_rate=0.1",
            "average_decay=0",
            "precision=float32",
            f"batch_size={size}",
            f"accumulate={n}",
        )
        run = make_run(name, *settings)
        train(run, tasks=toy.TASKS)
        ends.append(weights_of(run)["weight"])
        told = [event for event in run.events()[0] if event.event == "step"]
        assert all(event.parts["square"] == pytest.approx(event.loss) for event in told)
    whole, summed, half = ends
    np.testing.assert_allclose(summed, whole, rtol=1e-5)
    assert not np.allclose(half, whole, rtol=0.01)


def test_accumulation_changes_the_weights_and_resumes_bit_for_bit(make_run: Make, toy: ModuleType) -> None:
    settings = ("steps=12", "validate_every=6", "checkpoint_steps=4")
    plain, summed, broken = (
        make_run("plain", *settings), make_run("sum", *settings, "accumulate=3"), make_run("broken", *settings, "accumulate=3"),
    )  # fmt: skip
    for run in (plain, summed):
        train(run, tasks=toy.TASKS)

    class KilledError(BaseException): ...

    def kill(event: Any) -> None:
        if event.event == "saved" and event.step == 4:
            raise KilledError

    with pytest.raises(KilledError):
        train(broken, tasks=toy.TASKS, on_event=kill)
    train(broken, tasks=toy.TASKS)
    once, again, other = weights_of(summed), weights_of(broken), weights_of(plain)
    assert all((once[name] == again[name]).all() for name in once)
    assert any((once[name] != other[name]).any() for name in once)


def test_epochs_are_told_as_steps(make_run: Make, toy: ModuleType) -> None:
    """80 examples, 8 in a batch, two batches a step: five steps an epoch."""
    run = make_run("epochs", "epochs=2", "batch_size=8", "accumulate=2")
    train(run, tasks=toy.TASKS)
    events = run.events()[0]
    assert events[-1].event == "finished"
    assert events[-1].step == 10
    said = [event.text for event in events if event.event == "note"]
    assert "2 epochs are 10 steps: 80 examples, 16 in each step." in said


def test_steps_and_epochs_together_are_refused(make_run: Make, toy: ModuleType) -> None:
    with pytest.raises(AnlageError, match=r"Both steps=5 and epochs=2 are set; give one of them"):
        train(make_run("both", "steps=5", "epochs=2"), tasks=toy.TASKS)


def test_checkpoints_come_by_number_of_steps(make_run: Make, toy: ModuleType) -> None:
    run = make_run("saved", "steps=10", "validate_every=10", "checkpoint_steps=3", "checkpoint_seconds=1000")
    train(run, tasks=toy.TASKS)
    saved = {event.step for event in run.events()[0] if event.event == "saved"}
    assert {3, 6, 9} <= saved
    assert not {1, 2, 4, 5, 7, 8} & saved


def test_the_learning_rate_acts_on_every_step(make_run: Make, toy: ModuleType) -> None:
    ends = []
    for rate in ("0.001", "0.02"):
        run = make_run(f"rate-{rate}", "steps=6", "validate_every=6", f"learning_rate={rate}")
        train(run, tasks=toy.TASKS)
        told = {event.step: event.learning_rate for event in run.events()[0] if event.event == "step"}
        expected = learning_rate_at(max(told) - 1, 6, float(rate), TrainingConfig().warmup)
        assert told[max(told)] == pytest.approx(expected, rel=0.01)
        ends.append(weights_of(run))
    assert any((ends[0][name] != ends[1][name]).any() for name in ends[0])


def test_training_computes_on_as_many_threads_as_were_said(make_run: Make, toy: ModuleType) -> None:
    seen = []
    run = make_run("threads", "steps=2", "validate_every=2", "threads=2")
    train(run, tasks=toy.TASKS, on_event=lambda event: seen.append((event.event, torch.get_num_threads())))
    assert {n for event, n in seen if event == "step"} == {2}


def test_the_model_is_called_as_its_run(make_run: Make, toy: ModuleType) -> None:
    run = make_run("chloroplasts of leaf 3", "steps=2", "validate_every=2")
    train(run, tasks=toy.TASKS)
    [path] = run.path.glob("*.anlage")
    assert path.stem == load_model(path).card.name == "chloroplasts of leaf 3"
