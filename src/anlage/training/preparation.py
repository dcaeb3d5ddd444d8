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
from anlage.training.context import Job
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


def decided(job: Job) -> Decisions | None:
    """What an earlier process of this run decided; None if nothing yet."""
    try:
        return Decisions.model_validate_json(job.run.plan_path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise _unreadable(job, error) from error


def _unreadable(job: Job, error: ValidationError) -> AnlageError:
    return AnlageError(
        f"{job.run.plan_path} cannot be read ({first_problem(error)}); delete it and the checkpoints beside it to train this run "
        "from the start."
    )


def open_stores(job: Job) -> list[Any]:
    """Open the training data of a run and check that they are those it was made for."""
    config, material = task_config(job), job.task.material
    return [_opened(reference, job.run.path, material, config) for reference in job.run.config.stores]


def prepare(job: Job, stores: list[Any], device: str) -> Examples:
    """Let the task decode, plan and split; on a resumed run with the plan that it made then."""
    training, task = job.run.config.training, job.task
    earlier = decided(job)
    base = None if earlier is not None else _start_model(job)
    cache = job.run.path / "cache" / (f"rank{job.world.rank}" if not job.world.is_first else "")
    cache.mkdir(parents=True, exist_ok=True)
    setting = Setting(
        cache=cache,
        seed=training.seed,
        device=device,
        batch_size=training.batch_size if earlier is None else earlier.batch_size,
        augment=training.augment,
        plan=None if earlier is None else _earlier_plan(job, earlier),
        base=None if base is None else _plan_of(base, task.plan),
    )
    examples = task.prepare(stores, task_config(job), setting)
    found = Decisions(
        plan=examples.plan.model_dump(mode="json"), batch_size=examples.batch_size, threads=torch.get_num_threads()
    )
    if earlier is None and job.world.is_first:
        write_whole(job.run.plan_path, found.model_dump_json(indent=2).encode())
    elif earlier is not None and found.plan != earlier.plan:
        raise AnlageError(
            f"The plan of {job.run.path} no longer follows from its data, so it cannot go on exactly; was anlage updated? "
            "Make a new run."
        )
    return examples


def _earlier_plan(job: Job, earlier: Decisions) -> Frozen:
    try:
        return job.task.plan.model_validate(earlier.plan)
    except ValidationError as error:
        raise _unreadable(job, error) from error


def make_learner(job: Job, examples: Examples, device: str, *, fresh: bool) -> Learner:
    """Make the network; a fresh one starts from the run's model, where it names one."""
    training = job.run.config.training
    reseed(training.seed, Purpose.NETWORK)
    try:
        network = job.task.network(examples.plan, task_config(job))
    except (ValueError, IndexError, TypeError) as error:
        raise AnlageError(
            f"{job.run.plan_path} does not go with the settings of its run (no network can be made of both); delete it and the "
            "checkpoints beside it to train this run from the start."
        ) from error
    network = network.to(device)
    learner = Learner(network, training, job.world, device)
    model = _start_model(job) if fresh else None
    if model is not None:
        learner.start_from(_weights(job, model, network), str(model.path), remember=job.task.interpolates)
        job.note(f"Starting from the weights of {model.card.name}.")
    return learner


def task_config(job: Job) -> Any:
    """The task's own configuration in this run."""
    try:
        return job.task.config.model_validate(job.run.config.settings)
    except ValidationError as error:
        raise AnlageError(
            f"The settings of the run {job.run.path} are not those of {job.task.name}: {first_problem(error)}; was run.json changed, or "
            "made by another version of anlage? Make a new run."
        ) from error


def least_steps(job: Job) -> int:
    """Optimiser steps below which this run would learn nothing of use, as the task says."""
    return job.task.least_steps_for(task_config(job), from_model=job.run.config.start_from is not None)


def _opened(reference: StoreRef, folder: Path, material: Material, config: Any) -> Any:
    path = reference.place(folder)
    source = material.open(path, config)
    if source.hash != reference.hash:
        raise AnlageError(
            f"The {material.noun} {path} has changed since this run was made (hash {reference.hash[:12]} then, {source.hash[:12]} now); "
            "start a new run with it."
        )
    return source


def _weights(job: Job, model: Model, network: torch.nn.Module) -> dict[str, Any]:
    """The model's weights; where the run chose another kind of output, those that fit, and the others fresh."""
    weights: dict[str, Any] = model.weights()
    mine = job.run.config.settings
    other = [n for n in job.task.adapted if n in mine and model.card.config.get(n, mine[n]) != mine[n]]
    if not other:
        return weights
    own = network.state_dict()
    taken = job.task.adopt({name: torch.as_tensor(array) for name, array in weights.items()}, own)
    job.note(f"The model has {other[0]}={model.card.config[other[0]]}: its last layer is learnt anew.")
    return {**own, **taken}


def _start_model(job: Job) -> Model | None:
    path = job.run.config.start_from
    return None if path is None else load_model(path, task=job.task.name)


def _plan_of(model: Model, kind: type[Frozen]) -> Frozen:
    try:
        return kind.model_validate(model.card.plan)
    except ValidationError as error:
        raise AnlageError(
            f"The model {model.path} was planned by another version of anlage ({model.card.version}); "
            "train without starting from it."
        ) from error


def steps_of_epochs(job: Job, examples: Examples, epochs: float) -> int:
    """Steps in which each example is seen so many times, on average.

    Raises
    ------
    AnlageError
        If steps are set too, or the task counts no examples.
    """
    config = job.run.config.training
    if config.steps is not None:
        raise AnlageError(
            f"Both steps={config.steps} and epochs={epochs:g} are set; give one of them: epochs count how often each example is "
            "seen, steps how often the weights are changed."
        )
    n: int | None = getattr(examples, "n_examples", None)
    if n is None:
        raise AnlageError(f"Training {job.task.name} counts no epochs; give steps=… or minutes=… instead.")
    at_once = examples.batch_size * config.accumulate * job.world.size
    steps = max(1, math.ceil(epochs * n / at_once))
    job.note(f"{epochs:g} epochs are {steps} steps: {n} examples, {at_once} in each step.")
    return steps
