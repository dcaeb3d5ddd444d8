"""What a training works with, and how it speaks."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field

from anlage.tasks.task import Task
from anlage.training.distributed import World
from anlage.training.progress import Event, EventLog, Note
from anlage.training.run import Run
from anlage.training.stopping import Stopping

__all__ = ["TrainingContext"]

_log = logging.getLogger(__name__)


@dataclass
class TrainingContext:
    """One process's work on a run."""

    run: Run
    task: Task
    event_log: EventLog | None
    """None in a process that follows the first."""
    stopping: Stopping
    world: World
    began: float = field(default_factory=time.monotonic)
    """Clock when this process's work began."""
    before_s: float = 0.0
    """Seconds that earlier processes spent on the run."""
    learning_before_s: float = 0.0
    """Seconds of these that they spent on learning, without preparing the data."""
    learning_began: float | None = None
    """Clock when everything was prepared; None before."""
    _said: set[str] = field(default_factory=set)

    @property
    def seconds(self) -> float:
        """Time spent on the run so far, in all its processes."""
        return self.before_s + time.monotonic() - self.began

    @property
    def learning_s(self) -> float:
        """Time spent on learning so far, looks at held-out data included, in all processes; what a time limit counts."""
        now = 0.0 if self.learning_began is None else time.monotonic() - self.learning_began
        return self.learning_before_s + now

    @property
    def learning_rate(self) -> float:
        """Highest learning rate: as set; else, from a model's weights, as the task says; else as usual."""
        config, of_task = self.run.config, self.task.rate_from_model
        if of_task is None or config.start_from is None or config.training.learning_rate is not None:
            return config.learning_rate
        return of_task

    def report(self, event: Event) -> None:
        """Append an event to the event log, for everybody who watches the run."""
        if self.event_log is not None:
            self.event_log.write(event)

    def note(self, text: str) -> None:
        """Tell the user a sentence, and write it to the log."""
        if self.event_log is not None:
            _log.info(text)
        self.report(Note(text=text))

    def note_once(self, text: str) -> None:
        """Tell the user a sentence, unless this process did so before."""
        if text not in self._said:
            self._said.add(text)
            self.note(text)
