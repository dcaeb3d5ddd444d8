"""Before the first step: stores, plan, examples, network."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import Field, JsonValue, ValidationError

from anlage.errors import AnlageError
from anlage.frozen import Finite, Frozen, first_problem
from anlage.model import Model, load_model
from anlage.tasks.sources import Material
from anlage.tasks.task import Examples, Setting
from anlage.training.config import MOST_AT_ONCE, MOST_THREADS, StoreRef
from anlage.training.context import TrainingContext
from anlage.training.files import write_whole
from anlage.training.learner import Learner
from anlage.training.numerics import Purpose, reseed

__all__ = [
    "Decisions", "decided", "least_steps", "make_learner", "open_stores", "prepare", "steps_of_epochs", "task_config",
]  # fmt: skip


class Decisions(Finite):
    """What a run decides once, at its start, and keeps however often it is resumed: ``plan.json``."""

    plan: dict[str, JsonValue]
    """The task's plan."""
    batch_size: Annotated[int, Field(ge=1, le=MOST_AT_ONCE)]
    threads: Annotated[int, Field(ge=1, le=MOST_THREADS)]
    """CPU threads; the order of summation depends on them."""


def decided(context: TrainingContext) -> Decisions | None:
    """What an earlier process of this run decided; None if nothing yet."""
    try:
        return Decisions.model_validate_json(context.run.plan_path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise _unreadable(context, error) from error


def _unreadable(context: TrainingContext, error: ValidationError) -> AnlageError:
    return AnlageError(
        f"{context.run.plan_path} cannot be read ({first_problem(error)}); delete it and the checkpoints beside it to train this run "
        "from the start."
    )


def open_stores(context: TrainingContext) -> list[Any]:
    """Open the training data of a run and check that they are those it was made for."""
    config, material = task_config(context), context.task.material
    return [_opened(reference, context.run.path, material, config) for reference in context.run.config.stores]


def prepare(context: TrainingContext, stores: list[Any], device: str) -> Examples:
    """Let the task decode, plan and split; on a resumed run with the plan that it made then."""
    training, task = context.run.config.training, context.task
    earlier = decided(context)
    base = None if earlier is not None else _start_model(context)
    cache = context.run.path / "cache" / (f"rank{context.world.rank}" if not context.world.is_first else "")
    cache.mkdir(parents=True, exist_ok=True)
    setting = Setting(
        cache=cache,
        seed=training.seed,
        device=device,
        batch_size=training.batch_size if earlier is None else earlier.batch_size,
        augment=training.augment,
        plan=None if earlier is None else _earlier_plan(context, earlier),
        base=None if base is None else _plan_of(base, task.plan),
    )
    examples = task.prepare(stores, task_config(context), setting)
    found = Decisions(
        plan=examples.plan.model_dump(mode="json"), batch_size=examples.batch_size, threads=torch.get_num_threads()
    )
    if earlier is None and context.world.is_first:
        write_whole(context.run.plan_path, found.model_dump_json(indent=2).encode())
    elif earlier is not None and found.plan != earlier.plan:
        raise AnlageError(
            f"The plan of {context.run.path} no longer follows from its data, so it cannot go on exactly; was anlage updated? "
            "Make a new run."
        )
    return examples


def _earlier_plan(context: TrainingContext, earlier: Decisions) -> Frozen:
    try:
        return context.task.plan.model_validate(earlier.plan)
    except ValidationError as error:
        raise _unreadable(context, error) from error


def make_learner(context: TrainingContext, examples: Examples, device: str, *, fresh: bool) -> Learner:
    """Make the network; a fresh one starts from the run's model, where it names one."""
    training = context.run.config.training
    reseed(training.seed, Purpose.NETWORK)
    try:
        network = context.task.network(examples.plan, task_config(context))
    except (ValueError, IndexError, TypeError) as error:
        raise AnlageError(
            f"{context.run.plan_path} does not go with the settings of its run (no network can be made of both); delete it and the "
            "checkpoints beside it to train this run from the start."
        ) from error
    network = network.to(device)
    learner = Learner(network, training, context.world, device)
    model = _start_model(context) if fresh else None
    if model is not None:
        learner.start_from(_weights(context, model, network), str(model.path), remember=context.task.interpolates)
        context.note(f"Starting from the weights of {model.card.name}.")
    return learner


def task_config(context: TrainingContext) -> Any:
    """The task's own configuration in this run."""
    try:
        return context.task.config.model_validate(context.run.config.settings)
    except ValidationError as error:
        raise AnlageError(
            f"The settings of the run {context.run.path} are not those of {context.task.name}: {first_problem(error)}; was run.json changed, or "
            "made by another version of anlage? Make a new run."
        ) from error


def least_steps(context: TrainingContext) -> int:
    """Optimiser steps below which this run would learn nothing of use, as the task says."""
    return context.task.least_steps_for(task_config(context), from_model=context.run.config.start_from is not None)


def _opened(reference: StoreRef, folder: Path, material: Material, config: Any) -> Any:
    path = reference.place(folder)
    source = material.open(path, config)
    if source.hash != reference.hash:
        raise AnlageError(
            f"The {material.noun} {path} has changed since this run was made (hash {reference.hash[:12]} then, {source.hash[:12]} now); "
            "start a new run with it."
        )
    return source


def _weights(context: TrainingContext, model: Model, network: torch.nn.Module) -> dict[str, Any]:
    """The model's weights; where the run chose another kind of output, those that fit, and the others fresh."""
    weights: dict[str, Any] = model.weights()
    mine = context.run.config.settings
    other = [n for n in context.task.adapted if n in mine and model.card.config.get(n, mine[n]) != mine[n]]
    if not other:
        return weights
    own = network.state_dict()
    taken = context.task.adopt({name: torch.as_tensor(array) for name, array in weights.items()}, own)
    context.note(f"The model has {other[0]}={model.card.config[other[0]]}: its last layer is learnt anew.")
    return {**own, **taken}


def _start_model(context: TrainingContext) -> Model | None:
    path = context.run.config.start_from
    return None if path is None else load_model(path, task=context.task.name)


def _plan_of(model: Model, kind: type[Frozen]) -> Frozen:
    try:
        return kind.model_validate(model.card.plan)
    except ValidationError as error:
        raise AnlageError(
            f"The model {model.path} was planned by another version of anlage ({model.card.version}); "
            "train without starting from it."
        ) from error


def steps_of_epochs(context: TrainingContext, examples: Examples, epochs: float) -> int:
    """Steps in which each example is seen so many times, on average.

    Raises
    ------
    AnlageError
        If steps are set too, or the task counts no examples.
    """
    config = context.run.config.training
    if config.steps is not None:
        raise AnlageError(
            f"Both steps={config.steps} and epochs={epochs:g} are set; give one of them: epochs count how often each example is "
            "seen, steps how often the weights are changed."
        )
    n: int | None = getattr(examples, "n_examples", None)
    if n is None:
        raise AnlageError(f"Training {context.task.name} counts no epochs; give steps=… or minutes=… instead.")
    at_once = examples.batch_size * config.accumulate * context.world.size
    steps = max(1, math.ceil(epochs * n / at_once))
    context.note(f"{epochs:g} epochs are {steps} steps: {n} examples, {at_once} in each step.")
    return steps
