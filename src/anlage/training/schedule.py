"""The learning rate, the number of steps, and when to validate: arithmetic on steps and seconds, without torch."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["MEASURED_STEPS", "VALIDATIONS", "Budget", "Pace", "decay_at", "learning_rate_at", "validation_interval"]

MEASURED_STEPS = 6
"""Steps after which the machine's speed is known; the first, which warm up, do not count."""
VALIDATIONS = 20
"""How often a training is validated on held-out data, unless its task says otherwise."""
_VALIDATION_SHARE = 0.12
"""Largest share of the time that validation may take."""
_RESERVE = 0.04
"""Share of the time limit kept for what cannot be foreseen."""
_ENDLESS = 10**9
"""Steps, where nothing limits them."""


def learning_rate_at(step: int, steps: int, highest: float, warmup: float, least: int = 0) -> float:
    """Learning rate of one optimiser step: a linear rise, then half a cosine down to 1 % of the highest.

    Parameters
    ----------
    step
        0 for the first.
    steps
        Steps in all.
    highest
        Learning rate after the rise.
    warmup
        Share of the steps over which it rises.
    least
        Steps over which it rises at least, but for a quarter of all.
    """
    rise = max(1, round(warmup * steps), min(least, steps // 4))
    if step < rise:
        return highest * (step + 1) / rise
    done = min(1.0, (step - rise) / max(1, steps - rise))
    return highest * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))


def decay_at(step: int, highest: float) -> float:
    """Decay of the running average at one step; smaller at first, so that it forgets the random start."""
    return min(highest, (1 + step) / (10 + step))


def validation_interval(
    steps: int, step_s: float = 0, validation_s: float = 0, *, validations: int = VALIDATIONS
) -> int:
    """Steps between two validations.

    Parameters
    ----------
    steps
        Steps in all.
    step_s, validation_s
        Seconds that a step and a validation take; 0 where unknown.
    validations
        Validations in all, where they do not take too long.
    """
    if validation_s > 0:
        validations = min(validations, max(3, int(_VALIDATION_SHARE * steps * step_s / validation_s)))
    return max(1, min(steps, max(10, math.ceil(steps / validations))))


@dataclass
class Pace:
    """Seconds that things take on this machine, measured as the run goes on."""

    step_s: float = 0
    """An optimiser step, running mean; 0 until known."""
    validation_s: float = 0
    """The last validation; 0 until known."""
    n: int = 0
    """Steps that were measured."""
    choosing: int = 0
    """Validations at the end by which weights on the way back to a model are chosen; 0 without a model."""

    def add_step(self, seconds: float) -> None:
        """Add the duration of one step to the mean."""
        self.n += 1
        if self.n <= MEASURED_STEPS // 2:
            return  # warming up
        weight = max(0.02, 1 / (self.n - MEASURED_STEPS // 2))
        self.step_s += weight * (seconds - self.step_s)

    @property
    def is_known(self) -> bool:
        return self.n >= MEASURED_STEPS

    @property
    def finish_s(self) -> float:
        """Estimate for the end: weights are chosen, calibration predicts the held-out data once or twice more, the model is written."""
        return 1.0 + (self.choosing + 2.5) * self.validation_s


@dataclass(frozen=True)
class Budget:
    """How many steps are made: as many as are wanted, else as many as fit into the time.

    Parameters
    ----------
    limit_s
        Seconds that learning may take: steps, validations and the end, without the preparation; infinite without a limit.
    most
        Steps wanted; with a limit fewer, where so many do not fit. None: as many as fit.
    every
        Steps wanted between two validations; None: chosen.
    pace
        What things take on this machine.
    validations
        Validations in all, where `every` is not given.
    least
        Steps that are made in any case, but for `most`: with fewer nothing of use is learnt, so the time was spent in vain.
    """

    limit_s: float
    most: int | None
    every: int | None
    pace: Pace
    validations: int = VALIDATIONS
    least: int = 1

    @property
    def is_timed(self) -> bool:
        return math.isfinite(self.limit_s)

    def plan(self, step: int, seconds: float) -> tuple[int, int]:
        """Steps in all, and steps between two validations, once the pace is known.

        Parameters
        ----------
        step
            Steps done.
        seconds
            Time spent on learning.
        """
        roughly = max(self.least, step + self._affordable(seconds, every=_ENDLESS))
        every = self.every or validation_interval(
            roughly, self.pace.step_s, self.pace.validation_s, validations=self.validations
        )
        steps = max(self.least, step + 1, step + self._affordable(seconds, every))
        return (steps if self.most is None else max(step, min(steps, self.most))), every

    def replan(self, step: int, seconds: float, steps: int, every: int) -> int:
        """Steps in all, by what is known now: fewer where the machine turned out slower, early on also more."""
        if not self.is_timed or step >= steps:
            return steps
        now = max(self.least, step + 1, step + self._affordable(seconds, every))
        if now > steps and 3 * step > steps:
            return steps
        return now if self.most is None else min(now, self.most)

    def is_spent(self, seconds: float) -> bool:
        """Whether there is no time for another step: the last line of defence against a machine that stalls."""
        pace = self.pace
        return seconds + pace.step_s + pace.validation_s + pace.finish_s > 0.99 * self.limit_s

    def ends(self, step: int, seconds: float) -> bool:
        """Whether the training ends after this step: the time is spent, and the least steps are made."""
        return step >= self.least and self.is_spent(seconds)

    def late_s(self, step: int, seconds: float, steps: int, every: int) -> float:
        """By how many seconds a training of so many steps ends after its time; 0 where it does not."""
        left = self.eta_s(step, steps, every)
        return 0 if left is None else max(0, seconds + left - self.limit_s)

    def eta_s(self, step: int, steps: int | None, every: int | None) -> float | None:
        """Seconds that remain; None until known."""
        if steps is None or every is None or self.pace.step_s == 0:
            return None
        validations = math.ceil((steps - step) / every)
        return (steps - step) * self.pace.step_s + validations * self.pace.validation_s + self.pace.finish_s

    def _affordable(self, seconds: float, every: int) -> int:
        """Further steps that fit into the time that is left."""
        if not self.is_timed:
            return _ENDLESS
        usable = self.limit_s * (1 - _RESERVE) - seconds - self.pace.finish_s
        return max(0, int(usable / max(1e-6, self.pace.step_s + self.pace.validation_s / every)))
