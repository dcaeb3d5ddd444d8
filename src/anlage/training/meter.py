"""Gathers what the steps did into events that a person can follow."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from anlage.training.learner import Outcome
from anlage.training.progress import Step
from anlage.training.schedule import Budget

__all__ = ["Meter"]

_TOLD_S = 0.5
_TOLD_SHARE = 0.002
"""Of the time spent so far: a week's training need not be told twice a second."""


@dataclass
class Meter:
    """Mean loss since the last event, and whether it is time for the next.

    Parameters
    ----------
    budget
        Knows the pace and the time left.
    """

    budget: Budget
    _outcomes: list[Outcome] = field(default_factory=list)
    _told_at: float = field(default_factory=time.monotonic)

    def add(self, outcome: Outcome) -> None:
        """Take in one step."""
        if outcome.is_finite:
            self._outcomes.append(outcome)

    def event(self, step: int, plan: tuple[int | None, int | None], rate: float, seconds: float) -> Step | None:
        """The next event; None while it is too early.

        Parameters
        ----------
        step
            Steps done.
        plan
            Steps in all, and steps between two looks.
        rate
            Learning rate of the last step.
        seconds
            Time spent on the run.
        """
        now, (steps, every) = time.monotonic(), plan
        is_early = now - self._told_at < max(_TOLD_S, _TOLD_SHARE * seconds)
        if not self._outcomes or (is_early and step != steps):
            return None
        outcomes, self._outcomes, self._told_at = self._outcomes, [], now
        pace = self.budget.pace
        return Step(
            step=step,
            steps=steps,
            loss=sum(o.loss for o in outcomes) / len(outcomes),
            parts={name: sum(o.parts[name] for o in outcomes) / len(outcomes) for name in outcomes[-1].parts},
            learning_rate=rate,
            steps_per_s=1 / pace.step_s if pace.step_s > 0 else 0.0,
            seconds=seconds,
            eta_s=self.budget.eta_s(step, steps, every),
        )
