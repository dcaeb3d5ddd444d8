"""From weights to a model with its card: after the last step, and at every look for those who watch."""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping
from typing import Any

import torch

import anlage
from anlage.calibration import Calibration
from anlage.card import Card
from anlage.errors import AnlageError
from anlage.model import save_model
from anlage.tasks.task import Evidence, Examples, Task, Validation
from anlage.tracking.temperature import fit_temperature_scaling
from anlage.training.checkpoint import TrainingState
from anlage.training.context import TrainingContext
from anlage.training.learner import Learner
from anlage.training.preparation import least_steps, task_config

__all__ = ["evidence_of", "keep_held_out", "settle", "show", "uncalibrated", "write_model"]


def settle(context: TrainingContext, examples: Examples, learner: Learner) -> None:
    """Take the best weights; of a training from a model halfway back to it, if held-out examples are told no worse so."""
    learner.use_best()
    mixed = learner.mixture()
    if mixed is None:
        return
    with torch.no_grad():
        plain, half = (context.task.validate(network, examples).loss for network in (learner.average, mixed))
    if half <= plain:
        learner.average.load_state_dict(mixed.state_dict())
        context.note("The weights lie halfway between the model that the training started from and what was learnt.")


def uncalibrated(seen: Mapping[str, float], n: int, when: str = "before the training was stopped") -> Evidence:
    """What is known of weights without a calibration: their last look at so many held-out examples."""
    metrics = {name: value for name, value in seen.items() if math.isfinite(value)}
    return Evidence(
        held_out=f"the validation data, at the last look {when}; not calibrated",
        n_positive=n,
        metrics=metrics,
        threshold=min(1.0, max(0.0, metrics.get("threshold", 0.5))),
        calibration=Calibration(),
        ece=None,
    )


def evidence_of(task: Task, network: torch.nn.Module, examples: Examples, *, tracks: bool = True) -> Evidence:
    """What held-out data say of finished weights, and, where `tracks` is wanted and a task's answers make some, of these."""
    evidence = task.finish(network, examples)
    if not tracks:
        return evidence
    films = task.held_out_films(network, examples, evidence)
    return evidence.model_copy(update={"tracking": fit_temperature_scaling(films)}) if films else evidence


def keep_held_out(context: TrainingContext, examples: Examples, network: torch.nn.Module, evidence: Evidence) -> None:
    """Let the task keep what the judged network says of the held-out examples, where it does."""
    if evidence.n_positive > 0:
        context.task.save_held_out(network, examples, evidence, context.run.path)


def write_model(
    context: TrainingContext,
    sources: list[Any],
    examples: Examples,
    network: torch.nn.Module,
    state: TrainingState,
    evidence: Evidence,
) -> None:
    """Write the run's model; it appears whole or not at all."""
    steps = state.best_step if state.best_step is not None else state.step
    card = _card(context, sources, examples, (steps, state), evidence)
    save_model(context.run.target_path, card, network.state_dict())


def show(
    context: TrainingContext,
    sources: list[Any],
    examples: Examples,
    network: torch.nn.Module,
    state: TrainingState,
    seen: Validation,
) -> None:
    """Write the newest weights for those who watch, calibrated by nothing; where that cannot be, say so and go on."""
    evidence = uncalibrated(seen.metrics, seen.n, "while the training went on")
    card = _card(context, sources, examples, (state.step, state), evidence)
    limits = f"Results to keep: it shows how a training went at step {state.step}."
    try:
        save_model(context.run.preview_path, card.model_copy(update={"limits": limits}), network.state_dict())
    except (AnlageError, OSError) as error:
        context.note_once(f"The newest weights could not be written for a preview; the training goes on. {error}")


def _card(
    context: TrainingContext,
    sources: list[Any],
    examples: Examples,
    made: tuple[int, TrainingState],
    evidence: Evidence,
) -> Card:
    """The card of weights of that step, in a training that stands there."""
    config, material = task_config(context), context.task.material
    steps, state = made
    return Card(
        name=context.run.config.name,
        task=context.task.name,
        head=str(getattr(config, "head", "")),
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        version=anlage.__version__,
        plan=examples.plan.model_dump(mode="json"),
        config=config.model_dump(mode="json"),
        evidence=evidence,
        steps=steps,
        steps_done=state.step,
        steps_planned=state.steps,
        least_steps=least_steps(context),
        seconds=context.seconds,
        limits=material.limits(sources) or _limits(evidence),
        **material.remembered(sources, examples.plan),
    )


def _limits(evidence: Evidence) -> str:
    return "" if evidence.ece is not None else "Probabilities taken at their word: they were not calibrated."
