"""What a training works with: the run and its settings, the task, the other processes, the stop, the clock and the event log."""

from __future__ import annotations

import logging
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from pydantic import ValidationError

from anlage.errors import AnlageError
from anlage.frozen import Frozen, first_problem
from anlage.tasks.task import Task
from anlage.training.config import TrainingConfig
from anlage.training.distributed import World
from anlage.training.progress import Event, EventLog, Note, Stopped
from anlage.training.run import Run
from anlage.training.stopping import StopWatcher

__all__ = ["TrainingContext"]

_log = logging.getLogger(__name__)


@dataclass
class TrainingContext:
    """One process's work on a run."""

    run: Run
    task: Task
    event_log: EventLog | None
    """None in a process that follows the first."""
    stopping: StopWatcher
    world: World
    began: float = field(default_factory=time.monotonic)
    """Clock when this process's work began."""
    before_s: float = 0.0
    """Seconds that earlier processes spent on the run."""
    learning_before_s: float = 0.0
    """Seconds of these that they spent on learning, without preparing the data."""
    learning_began: float | None = None
    """Clock when everything was prepared; None before."""
    _noted: set[str] = field(default_factory=set)

    @property
    def config(self) -> TrainingConfig:
        """The parameters that every training has."""
        return self.run.config.training

    @cached_property
    def task_config(self) -> Frozen:
        """The task's own parameters.

        Raises
        ------
        AnlageError
            If those of the run are not parameters of this task.
        """
        try:
            return self.task.config.model_validate(self.run.config.settings)
        except ValidationError as error:
            raise AnlageError(
                f"The settings of the run {self.run.path} are not those of {self.task.name}: {first_problem(error)}; was run.json changed, "
                "or made by another version of anlage? Make a new run."
            ) from error

    @property
    def least_steps(self) -> int:
        """Optimiser steps below which this run would learn nothing of use, as the task says."""
        return self.task.least_steps_for(self.task_config, from_model=self.run.config.from_weights)

    @property
    def usual_steps(self) -> int:
        """Optimiser steps of this run where the user sets nothing, as the task says."""
        return self.task.steps_for(self.task_config, from_model=self.run.config.from_weights)

    @property
    def learning_rate(self) -> float:
        """Highest learning rate: as set; else as the task says for such weights; else as usual."""
        config = self.run.config
        of_task = self.task.rate_from_model if config.from_weights else self.task.rate
        if of_task is None or config.training.learning_rate is not None:
            return config.learning_rate
        return of_task

    @property
    def seconds(self) -> float:
        """Time spent on the run so far, in all its processes."""
        return self.before_s + time.monotonic() - self.began

    @property
    def learning_s(self) -> float:
        """Time spent on learning so far, validation included, in all processes; what a time limit counts."""
        now = 0.0 if self.learning_began is None else time.monotonic() - self.learning_began
        return self.learning_before_s + now

    def interruptible(self) -> AbstractContextManager[None]:
        """Let a stop interrupt what is inside; not where other processes would wait for ever for what comes after it."""
        return self.stopping.interruptible() if self.world.is_alone else nullcontext()

    def report(self, event: Event) -> None:
        """Append an event to the event log, for everybody who watches the run."""
        if self.event_log is not None:
            self.event_log.write(event)

    def report_stopped(self, step: int, before_s: float = 0.0) -> Path | None:
        """Report that the training has stopped at this step, as it was asked to; gives the run's model, if there is one.

        Parameters
        ----------
        step
            Optimiser steps done.
        before_s
            Seconds that earlier processes spent on the run, where `before_s` of the context does not count them.
        """
        model = self.run.model_path
        name = None if model is None else model.name
        self.report(Stopped(step=step, model=name, seconds=before_s + self.seconds))
        self.stopping.clear()
        return model

    def note(self, text: str) -> None:
        """Tell the user a sentence, and write it to the log."""
        if self.event_log is not None:
            _log.info(text)
        self.report(Note(text=text))

    def note_once(self, topic: str, text: str) -> None:
        """Tell the user a sentence, unless this process already did so about this topic, whatever the numbers in it."""
        if topic not in self._noted:
            self._noted.add(topic)
            self.note(text)
