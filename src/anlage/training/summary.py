"""A run in a few numbers, to compare it with others. Nothing here imports torch."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import PureWindowsPath
from typing import TYPE_CHECKING, Any

from pydantic import Field, JsonValue, ValidationError

from anlage.errors import AnlageError
from anlage.frozen import Frozen
from anlage.model import read_card
from anlage.training.config import RunConfig, task_named
from anlage.training.progress import Event, Finished, Resumed, Saved, Step, Stopped, Validated
from anlage.verdict import Verdict

if TYPE_CHECKING:
    from anlage.tasks.task import Task
    from anlage.training.run import Run

__all__ = ["RunSummary", "summarise"]


class RunSummary(Frozen):
    """What a run was told, and what came of it."""

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
    """Step of the best weights; None before the first look at held-out data."""
    best_score: float | None = None
    """Score of the best weights at their look, higher is better; comparable between runs of the same task and stores."""
    metrics: dict[str, float] = Field(default_factory=dict)
    """What held-out data say: of the finished, calibrated model, else of the best weights at their look."""
    verdict: Verdict | None = None
    """Whether the run's model is worth using; None while there is none, or none that can be read."""
    settings: dict[str, JsonValue] = Field(default_factory=dict)
    """The settings that differ from the defaults, those of the training and of the task together."""
    stores: tuple[str, ...] = ()
    """Names of the training data."""
    start_from: str | None = None
    """Name of the model whose weights it started from; None: fresh weights."""


def summarise(run: Run, tasks: Mapping[str, Task] | None = None) -> RunSummary:
    """Read a run's record and events.

    Parameters
    ----------
    run
        The run.
    tasks
        The tasks there are, by name; None: those of `anlage.tasks`. Of a task that is not among them all settings are given.
    """
    config = run.config
    events, _ = run.events()
    return RunSummary(
        name=config.name,
        task=config.task,
        created=config.created,
        state=run.state,
        settings=_changed(config, tasks),
        stores=tuple(store.stem for store in config.stores),
        start_from=None if config.start_from is None else PureWindowsPath(config.start_from).stem,
        verdict=_verdict(run),
        **_reached(events),
    )


def _verdict(run: Run) -> Verdict | None:
    if run.model_path is None:
        return None
    with contextlib.suppress(AnlageError):
        return read_card(run.model_path).verdict
    return None


def _reached(events: list[Event]) -> dict[str, Any]:
    """Where a run stands; what a crash undid does not count."""
    found: dict[str, Any] = {}
    looks: list[Validated] = []
    metrics: dict[str, float] | None = None
    for event in events:
        if isinstance(event, Step | Saved | Finished | Stopped | Validated | Resumed):
            found["step"] = event.step
        if isinstance(event, Step | Finished | Stopped | Validated):
            found["seconds"] = event.seconds
        if isinstance(event, Step):
            found["steps"] = event.steps
        elif isinstance(event, Resumed):
            looks, metrics = [look for look in looks if look.step <= event.step], None
        elif isinstance(event, Validated):
            looks = [*(look for look in looks if look.step < event.step), event]
        elif isinstance(event, Finished):
            found["steps"], metrics = event.step, event.metrics
    best = next((look for look in reversed(looks) if look.best), None)
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
