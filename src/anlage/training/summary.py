"""A run in a few numbers, to compare it with others. Nothing here imports torch."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path, PureWindowsPath
from typing import Any

from pydantic import Field, JsonValue, ValidationError

from anlage.errors import AnlageError
from anlage.frozen import Frozen
from anlage.model import read_card
from anlage.tasks import task_named
from anlage.tasks.task import Task
from anlage.training.config import RunConfig
from anlage.training.progress import Event, Finished, Resumed, Saved, Step, Stopped, Validated
from anlage.verdict import Verdict

__all__ = ["RunSummary", "summarise"]


class RunSummary(Frozen):
    """The settings of a run, and what came of it."""

    name: str
    task: str
    created: str
    """When the run was made, ISO 8601 in UTC."""
    state: str
    """new, running, stopped, finished or failed."""
    step: int = 0
    """Optimiser steps done."""
    steps: int | None = None
    """Optimiser steps planned; None until known."""
    seconds: float = 0.0
    """Time spent on the run, in all its processes."""
    best_step: int | None = None
    """Step of the best weights; None before the first validation."""
    best_score: float | None = None
    """Score of the best weights at their validation, higher is better; comparable between runs of the same task and stores."""
    metrics: dict[str, float] = Field(default_factory=dict)
    """What held-out data say: of the finished, calibrated model, else of the best weights at their validation."""
    verdict: Verdict | None = None
    """Whether the run's model is worth using; None while there is none, or none that can be read."""
    settings: dict[str, JsonValue] = Field(default_factory=dict)
    """The settings that differ from the defaults, those of the training and of the task together."""
    stores: tuple[str, ...] = ()
    """Names of the training data."""
    start_from: str | None = None
    """Name of the model whose weights it started from; None: fresh weights."""


def summarise(
    config: RunConfig,
    events: Sequence[Event],
    state: str,
    model: Path | None,
    tasks: Mapping[str, Task] | None = None,
) -> RunSummary:
    """Summarise a run by what it began with and what its trainers reported.

    Parameters
    ----------
    config
        What it began with.
    events
        All that its trainers reported.
    state
        new, running, stopped, finished or failed.
    model
        Its model; None while there is none.
    tasks
        The tasks there are, by name; None: those of `anlage.tasks`. Of a task that is not among them all settings are given.
    """
    return RunSummary(
        name=config.name,
        task=config.task,
        created=config.created,
        state=state,
        settings=_changed(config, tasks),
        stores=tuple(store.stem for store in config.stores),
        start_from=None if config.start_from is None else PureWindowsPath(config.start_from).stem,
        verdict=None if model is None else _verdict(model),
        **_reached(events),
    )


def _verdict(model: Path) -> Verdict | None:
    with contextlib.suppress(AnlageError):
        return read_card(model).verdict
    return None


def _reached(events: Sequence[Event]) -> dict[str, Any]:
    """Where a run stands; what a crash undid does not count."""
    found: dict[str, Any] = {}
    validations: list[Validated] = []
    metrics: dict[str, float] | None = None
    for event in events:
        if isinstance(event, Step | Saved | Finished | Stopped | Validated | Resumed):
            found["step"] = event.step
        if isinstance(event, Step | Finished | Stopped | Validated):
            found["seconds"] = event.seconds
        if isinstance(event, Step):
            found["steps"] = event.steps
        elif isinstance(event, Resumed):
            validations, metrics = [one for one in validations if one.step <= event.step], None
        elif isinstance(event, Validated):
            validations = [*(one for one in validations if one.step < event.step), event]
        elif isinstance(event, Finished):
            found["steps"], metrics = event.step, event.metrics
    best = next((one for one in reversed(validations) if one.best), None)
    if best is not None:
        found |= {"best_step": best.step, "best_score": best.score, "metrics": best.metrics}
    return found if metrics is None else {**found, "metrics": metrics}


def _changed(config: RunConfig, tasks: Mapping[str, Task] | None) -> dict[str, Any]:
    training = config.training.model_dump(mode="json", exclude_defaults=True)
    try:
        theirs = task_named(config.task, tasks).config.model_validate(config.settings)
    except (AnlageError, ValidationError):  # of another version
        return {**training, **config.settings}
    return {**training, **theirs.model_dump(mode="json", exclude_defaults=True)}
