"""What a training reports to those who watch it: JSON lines, one event each.

The trainer appends to ``events.jsonl`` of its run folder; anyone may read along. A line counts once it ends in a newline,
so a reader never sees half an event, and a line torn by a crash is cut off before the next trainer appends.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from anlage.errors import AnlageError
from anlage.frozen import Frozen, Name
from anlage.training.schedule import Budget

__all__ = [
    "Curve",
    "Event",
    "EventLog",
    "Failed",
    "Finished",
    "Note",
    "Resumed",
    "Saved",
    "Started",
    "Step",
    "StepReporter",
    "Stopped",
    "Validated",
    "read_run_events",
    "saved_step",
]


Steps = Annotated[int, Field(ge=0, le=10**12)]
Seconds = Annotated[float, Field(ge=-1e12, le=1e12, allow_inf_nan=False)]


class _EventModel(Frozen):
    # a loss may be NaN or infinite, for which JSON has no number
    model_config = ConfigDict(**Frozen.model_config, ser_json_inf_nan="strings")


class Started(_EventModel):
    """A trainer took over the run; preparation begins."""

    event: Literal["started"] = "started"
    time: Seconds
    """Seconds since 1970, UTC."""
    pid: Annotated[int, Field(ge=0, le=2**63)]
    """Process number of the trainer."""
    version: str
    """Version of anlage."""


class Note(_EventModel):
    """A sentence for the user."""

    event: Literal["note"] = "note"
    text: str


class Resumed(_EventModel):
    """The run continues from its checkpoint; what was reported of later steps no longer holds."""

    event: Literal["resumed"] = "resumed"
    step: Steps
    """Optimiser steps done."""


class Step(_EventModel):
    """How the optimisation goes; about two a second, less in long runs."""

    event: Literal["step"] = "step"
    step: Steps
    """Optimiser steps done."""
    steps: Steps | None
    """Optimiser steps planned; None until the machine's speed is known."""
    loss: float
    """Training loss, mean since the last such event."""
    parts: dict[str, float]
    """The same, part by part."""
    learning_rate: float
    steps_per_s: float
    """Optimiser steps a second, without validation."""
    seconds: Seconds
    """Time spent on this run so far, in all its processes."""
    eta_s: Seconds | None
    """Seconds that remain, validation and calibration included; None until known."""


class Validated(_EventModel):
    """The running average of the weights was scored on held-out data."""

    event: Literal["validated"] = "validated"
    step: Steps
    """Optimiser steps done."""
    loss: float
    score: float
    """Higher is better."""
    metrics: dict[str, float]
    n: int = 0
    """Held-out examples of the wanted kind that it was scored on; 0 where nobody counted."""
    best: bool
    """Whether these are the best weights so far."""
    seconds: Seconds
    """Time spent on this run so far."""


class Saved(_EventModel):
    """A checkpoint was written."""

    event: Literal["saved"] = "saved"
    step: Steps
    """Optimiser steps done."""


class Finished(_EventModel):
    """The training is complete and its model is written."""

    event: Literal["finished"] = "finished"
    step: Steps
    """Optimiser steps done."""
    model: Name
    """File name of the model in the run folder."""
    metrics: dict[str, float]
    """What held-out data say of the model."""
    n: Annotated[int, Field(ge=0)] = 0
    """Held-out examples of the wanted kind."""
    n_of: dict[str, Annotated[int, Field(ge=0)]] = Field(default_factory=dict)
    """Examples behind a metric, by its name, where these are not `n`."""
    seconds: Seconds
    """Time spent on this run."""


class Stopped(_EventModel):
    """The training was stopped on request; it can be resumed."""

    event: Literal["stopped"] = "stopped"
    step: Steps
    """Optimiser steps done."""
    model: Name | None
    """File name of the model of the best weights so far; None if there were none yet."""
    seconds: Seconds
    """Time spent on this run so far."""


class Failed(_EventModel):
    """The training ended by itself because something was wrong; it can be resumed once that is mended."""

    event: Literal["failed"] = "failed"
    text: str
    """What was wrong and what to do."""


Event = Annotated[
    Started | Note | Resumed | Step | Validated | Saved | Finished | Stopped | Failed,
    Field(discriminator="event"),
]

_EVENTS: TypeAdapter[Any] = TypeAdapter(Event)


def read_run_events(path: Path, after: int = 0) -> tuple[list[Event], int]:
    """Read the complete lines of an event file that begin at byte `after`.

    Returns
    -------
    events
        In order. A line that is no event (a disk error, a newer version's event) is passed over.
    next
        Where to go on reading.
    """
    try:
        with path.open("rb") as file:
            file.seek(after)
            data = file.read()
    except (FileNotFoundError, IsADirectoryError):
        return [], after
    end = data.rfind(b"\n") + 1
    events: list[Event] = []
    for line in data[:end].splitlines():
        try:
            events.append(_EVENTS.validate_json(line))
        except ValidationError:
            continue
    return events, after + end


def saved_step(events: Sequence[Event]) -> int:
    """Optimiser steps in the newest checkpoint, by the events."""
    return max((event.step for event in events if isinstance(event, Saved)), default=0)


class EventLog:
    """Appends events to a run's event file.

    Parameters
    ----------
    path
        The event file; its torn last line, if any, is cut off.
    on_event
        Called with each event after it was written.

    Raises
    ------
    AnlageError
        If the file cannot be written.
    """

    def __init__(self, path: Path, on_event: Callable[[Event], None] | None = None) -> None:
        self._on_event = on_event
        try:
            self._file = path.open("ab")
            _cut_torn_line(path)
        except OSError as error:
            raise AnlageError(f"The run {path.parent} cannot be written: {error.strerror}.") from error

    def write(self, event: Event) -> None:
        """Append one event; it is readable by others when this returns."""
        self._file.write(event.model_dump_json().encode() + b"\n")
        self._file.flush()
        if self._on_event is not None:
            self._on_event(event)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def _cut_torn_line(path: Path) -> None:
    data = path.read_bytes()
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        os.truncate(path, whole)


_REPORT_EVERY_S = 0.5
_REPORT_EVERY_SHARE = 0.002
"""Of the time spent so far: a training that lasts a week need not report twice a second."""


@dataclass
class StepReporter:
    """Averages the loss over the steps since the last `Step` event, and decides when the next one is due.

    Parameters
    ----------
    budget
        Knows the pace and the time left.
    """

    budget: Budget
    _steps: list[tuple[float, dict[str, float]]] = field(default_factory=list)
    """Loss and its parts of each step since the last event."""
    _reported_at: float = field(default_factory=time.monotonic)

    def add(self, loss: float, parts: dict[str, float]) -> None:
        """Add the loss of one step, which was finite."""
        self._steps.append((loss, parts))

    def event(self, step: int, plan: tuple[int | None, int | None], rate: float, seconds: float) -> Step | None:
        """The next event; None while it is too early.

        Parameters
        ----------
        step
            Steps done.
        plan
            Steps in all, and steps between two validations.
        rate
            Learning rate of the last step.
        seconds
            Time spent on the run.
        """
        now, (steps, every) = time.monotonic(), plan
        is_early = now - self._reported_at < max(_REPORT_EVERY_S, _REPORT_EVERY_SHARE * seconds)
        if not self._steps or (is_early and step != steps):
            return None
        since, self._steps, self._reported_at = self._steps, [], now
        pace = self.budget.pace
        return Step(
            step=step,
            steps=steps,
            loss=sum(loss for loss, _ in since) / len(since),
            parts={name: sum(parts[name] for _, parts in since) / len(since) for name in since[-1][1]},
            learning_rate=rate,
            steps_per_s=1 / pace.step_s if pace.step_s > 0 else 0,
            seconds=seconds,
            eta_s=self.budget.eta_s(step, steps, every),
        )


@dataclass
class Curve:
    """The learning curve, gathered from events; steps undone by a crash are dropped."""

    train: list[tuple[int, float]] = field(default_factory=list)
    """(step, training loss)."""
    validation: list[tuple[int, float]] = field(default_factory=list)
    """(step, validation loss)."""
    score: list[tuple[int, float]] = field(default_factory=list)
    """(step, validation score), higher is better."""
    best_step: int | None = None
    """Step of the best weights; None before the first validation."""
    best: Validated | None = None
    """The validation at which they were found."""
    last: Step | None = None
    """The newest step event: progress, speed and time left."""

    _best: list[Validated] = field(default_factory=list, repr=False)
    """Validations at which the weights were the best so far, in order."""

    def add(self, event: Event) -> None:
        """Take in the next event."""
        if isinstance(event, Resumed):
            for points in (self.train, self.validation, self.score):
                points[:] = [point for point in points if point[0] <= event.step]
            self._best = [one for one in self._best if one.step <= event.step]
            self._keep_best()
        elif isinstance(event, Step):
            self.last = event
            if math.isfinite(event.loss):
                self.train.append((event.step, event.loss))
        elif isinstance(event, Validated):
            # a validation that a crash undid is made again
            for points, value in ((self.validation, event.loss), (self.score, event.score)):
                points[:] = [point for point in points if point[0] < event.step]
                points.append((event.step, value))
            if event.best:
                self._best.append(event)
                self._keep_best()

    def _keep_best(self) -> None:
        self.best = self._best[-1] if self._best else None
        self.best_step = None if self.best is None else self.best.step
