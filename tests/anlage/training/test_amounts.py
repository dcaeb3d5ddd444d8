"""How much is learnt in a step, and how many steps: accumulation, epochs, checkpoints by number."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import torch

from anlage.errors import AnlageError
from anlage.model import load_model
from anlage.training.config import TrainingConfig
from anlage.training.distributed import World
from anlage.training.learner import Learner
from anlage.training.process import train
from anlage.training.run import Run
from anlage.training.schedule import learning_rate_at

Make = Callable[..., Run]


def weights_of(run: Run) -> dict[str, Any]:
    [path] = run.path.glob("*.anlage")
    return load_model(path).weights()


def test_gradients_of_several_batches_make_the_step_of_one_large_batch() -> None:
    torch.manual_seed(0)
    x, y = torch.randn(3, 8, 3), torch.randn(3, 8, 1)

    def after(*parts: slice) -> torch.Tensor:
        """The weights after three steps: AdamW's first knows only a gradient's sign."""
        torch.manual_seed(1)
        learner = Learner(torch.nn.Linear(3, 1), TrainingConfig(), World(), "cpu")

        def loss_of(network: Any, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
            loss = (network(batch["x"]) - batch["y"]).square().mean()
            return loss, {"square": loss.detach()}

        for step in range(3):
            batches = [{"x": x[step, part], "y": y[step, part]} for part in parts]
            result = learner.step(batches, loss_of, 0.1, 0.0, n=len(batches))
            assert result.parts["square"] == pytest.approx(result.loss)
        return learner.network.weight.detach().clone()

    whole = after(slice(0, 8))
    torch.testing.assert_close(after(slice(0, 4), slice(4, 8)), whole)
    assert not torch.allclose(after(slice(0, 4)), whole, rtol=0.01)


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
