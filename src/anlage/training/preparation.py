"""Before the first step: the training data, the plan, the network, and the number of steps."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from pydantic import Field, JsonValue, ValidationError

from anlage.errors import AnlageError
from anlage.frozen import Finite, Frozen, first_problem
from anlage.inference.keras_start import model_to_start_from
from anlage.model import Model
from anlage.tasks.task import Examples, Setting
from anlage.training.config import MOST_AT_ONCE, MOST_THREADS, StoreRef
from anlage.training.context import TrainingContext
from anlage.training.files import write_whole
from anlage.training.learner import Learner
from anlage.training.numerics import Purpose, reseed
from anlage.training.run import Run
from anlage.training.schedule import Budget, Pace

__all__ = ["Decisions", "TrainingData", "make_budget", "make_learner", "prepare", "read_decisions"]


class Decisions(Finite):
    """What a run decides once, at its start, and keeps however often it is resumed: ``plan.json``."""

    plan: dict[str, JsonValue]
    """The task's plan."""
    batch_size: Annotated[int, Field(ge=1, le=MOST_AT_ONCE)]
    threads: Annotated[int, Field(ge=1, le=MOST_THREADS)]
    """CPU threads; the order of summation depends on them."""


@dataclass(frozen=True, slots=True)
class TrainingData:
    """What a run learns from."""

    sources: list[Any]
    """Its training data, opened; each a `Source`."""
    examples: Examples
    """What the task made of them."""


def read_decisions(run: Run) -> Decisions | None:
    """What an earlier process of this run decided; None if there is nothing yet.

    Raises
    ------
    AnlageError
        If the file cannot be read.
    """
    try:
        return Decisions.model_validate_json(run.plan_path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise _unreadable(run, error) from error


def prepare(context: TrainingContext, device: str, earlier: Decisions | None) -> TrainingData:
    """Open the training data, and let the task decode, plan and split them; a resumed run keeps what it decided earlier.

    Raises
    ------
    AnlageError
        If the data have changed since the run was made, do not suffice, or no longer give the same plan.
    """
    run, task, training = context.run, context.task, context.config
    sources = [_opened(reference, context) for reference in run.config.stores]
    base = None if earlier is not None else _start_model(context)
    cache = run.path / "cache" / (f"rank{context.world.rank}" if not context.world.is_first else "")
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
    examples = task.prepare(sources, context.task_config, setting)
    found = Decisions(
        plan=examples.plan.model_dump(mode="json"), batch_size=examples.batch_size, threads=torch.get_num_threads()
    )
    if earlier is None and context.world.is_first:
        write_whole(run.plan_path, found.model_dump_json(indent=2).encode())
    elif earlier is not None and found.plan != earlier.plan:
        raise AnlageError(
            f"The plan of {run.path} no longer follows from its data, so it cannot go on exactly; was anlage updated? "
            "Make a new run."
        )
    return TrainingData(sources, examples)


def make_learner(context: TrainingContext, examples: Examples, device: str, *, fresh: bool) -> Learner:
    """Make the network and its optimiser; a fresh network starts from the run's model, where it names one.

    Raises
    ------
    AnlageError
        If plan and settings make no network, or the model's weights do not fit it.
    """
    reseed(context.config.seed, Purpose.NETWORK)
    try:
        network = context.task.network(examples.plan, context.task_config)
    except (ValueError, IndexError, TypeError) as error:
        raise AnlageError(
            f"{context.run.plan_path} does not go with the settings of its run (no network can be made of both); delete it and the "
            "checkpoints beside it to train this run from the start."
        ) from error
    network = network.to(device)
    learner = Learner(network, context.config, context.world, device)
    model = _start_model(context) if fresh and context.run.config.from_weights else None
    if model is not None:
        learner.start_from(
            _weights(context, model, network, examples.plan), str(model.path), remember=context.task.interpolates
        )
        context.note(f"Starting from the weights of {model.card.name}.")
    return learner


def make_budget(context: TrainingContext, examples: Examples, pace: Pace) -> Budget:
    """The steps and the time that a run may take: as the user set them, else as many steps as the task says, however long.

    Raises
    ------
    AnlageError
        If both steps and epochs are set, or the task counts no epochs.
    """
    config = context.config
    most = config.steps
    if config.epochs is not None:
        most = _steps_of_epochs(context, examples, config.epochs)
    elif most is None and config.minutes is None:
        most = context.usual_steps
    limit_s = math.inf if config.minutes is None else 60 * config.minutes
    return Budget(limit_s, most, config.validate_every, pace, context.task.validations, context.least_steps)


def _steps_of_epochs(context: TrainingContext, examples: Examples, epochs: float) -> int:
    """Steps in which each example is seen so many times, on average."""
    config = context.config
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


def _opened(reference: StoreRef, context: TrainingContext) -> Any:
    """One `Source`, which has to be the one that the run was made for."""
    material, path = context.task.material, reference.place(context.run.path)
    source = material.open(path, context.task_config)
    if source.hash != reference.hash:
        raise AnlageError(
            f"The {material.noun} {path} has changed since this run was made (hash {reference.hash[:12]} then, {source.hash[:12]} now); "
            "start a new run with it."
        )
    return source


def _earlier_plan(context: TrainingContext, earlier: Decisions) -> Frozen:
    try:
        return context.task.plan.model_validate(earlier.plan)
    except ValidationError as error:
        raise _unreadable(context.run, error) from error


def _unreadable(run: Run, error: ValidationError) -> AnlageError:
    return AnlageError(
        f"{run.plan_path} cannot be read ({first_problem(error)}); delete it and the checkpoints beside it to train this run "
        "from the start."
    )


def _start_model(context: TrainingContext) -> Model | None:
    path = context.run.config.start_from
    return None if path is None else model_to_start_from(path, context.task.name)


def _plan_of(model: Model, kind: type[Frozen]) -> Frozen:
    try:
        return kind.model_validate(model.card.plan)
    except ValidationError as error:
        raise AnlageError(
            f"The model {model.path} was planned by another version of anlage ({model.card.version}); "
            "train without starting from it."
        ) from error


def _weights(context: TrainingContext, model: Model, network: torch.nn.Module, plan: Any) -> dict[str, Any]:
    """The model's weights; where the run has other inputs or another kind of output, those that fit, and the others fresh."""
    weights: dict[str, Any] = model.weights()
    task, mine = context.task, context.run.config.settings
    other = [n for n in task.adapted if n in mine and model.card.config.get(n, mine[n]) != mine[n]]
    wider = task.material.widens and model.card.n_inputs != getattr(plan, "n_channels", model.card.n_inputs)
    if not other and not wider:
        return weights
    own = network.state_dict()
    taken = task.adopt({name: torch.as_tensor(array) for name, array in weights.items()}, own, plan)
    context.note(_adopted_in_words(model, other, plan, wider=wider))
    return {**own, **taken}


def _adopted_in_words(model: Model, other: list[str], plan: Any, *, wider: bool) -> str:
    """What of a model is taken over by a run that has other inputs or outputs."""
    said = []
    outputs = [name for name in other if name != "frames"]
    if outputs:
        said.append(f"The model has {outputs[0]}={model.card.config[outputs[0]]}: its last layer is learnt anew.")
    if wider or "frames" in other:
        said.append(
            f"The model looks at one channel of one frame: that is input {plan.leading_channel + 1} of {plan.n_channels} here, where "
            "nuclei stand out most; what the others add is learnt."
        )
    return " ".join(said)
