"""The training loop: batch, loss, gradient, clipping, AdamW, running average; validation on held-out data; checkpoints.

`Training.run` is the loop and `Training._step` one optimiser step. Below them stand which weights are kept, how many steps there
are, and what several processes agree on. What comes before the loop is in `preparation`, what comes after it in `export`.
"""

from __future__ import annotations

import math
import time
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from anlage.errors import AnlageError
from anlage.tasks.task import Validation
from anlage.training.checkpoint import Checkpoint, TrainingState, newest_checkpoint, save_checkpoint
from anlage.training.context import TrainingContext
from anlage.training.export import Exporter
from anlage.training.learner import StepResult
from anlage.training.numerics import (
    Numerics,
    OutOfMemory,
    Purpose,
    free_memory,
    out_of_memory_as,
    reproducible,
    reseed,
)
from anlage.training.preparation import TrainingData, make_budget, make_learner, prepare, read_decisions
from anlage.training.progress import Resumed, Saved, StepReporter, Validated
from anlage.training.schedule import Pace, decay_at, learning_rate_at, validation_interval
from anlage.training.stopping import StopRequestedError

__all__ = ["Training", "learn"]

_MOST_SKIPPED = 10
"""Steps in a row whose loss may be NaN or infinite."""
_UNPLANNED_STEPS = 2000
"""Length of the schedule until the machine's speed is known."""


def learn(context: TrainingContext) -> Path | None:
    """Train until the planned steps are made (→ the model) or a stop is asked for (→ the model of the best weights, if any)."""
    decisions = read_decisions(context.run)
    numerics = Numerics.choose(context.config, context.world, None if decisions is None else decisions.threads)
    with context.world.process_group(numerics.device), reproducible(numerics.device, numerics.threads):
        try:
            message = "Memory ran out while the training data were prepared; use fewer or smaller stores."
            with out_of_memory_as(message), context.stopping.interruptible():
                data = prepare(context, numerics.device, decisions)
        except StopRequestedError:
            return _stop_before_the_first_step(context)
        if decisions is None:
            for text in data.examples.notes:
                context.note(text)
        training = Training(context, data, numerics)
        try:
            training.run()
            return training.exporter.finish(training.learner, training.state)
        except StopRequestedError:
            training.save()
            return training.exporter.stop(training.learner, training.state, training.pace.validation_s)


class Training:
    """A training under way: the learner, the state that is saved with it, and the number of steps.

    Parameters
    ----------
    context
        The run, its task and settings.
    data
        What it learns from.
    numerics
        Device and number type.
    """

    def __init__(self, context: TrainingContext, data: TrainingData, numerics: Numerics) -> None:
        self._context, self._examples, self._numerics = context, data.examples, numerics
        self._config, self._task, self._world = context.config, context.task, context.world
        self._warmup_steps = context.task.warmup_steps(context.task_config)
        self.pace = Pace()
        self._budget = make_budget(context, data.examples, self.pace)
        self._reporter = StepReporter(self._budget)
        self.exporter = Exporter(context, data, numerics)
        found = newest_checkpoint(context.run.checkpoint_path)
        self.learner = make_learner(context, data.examples, numerics.device, fresh=found is None)
        if found is None:
            self.state = TrainingState(batch_size=data.examples.batch_size)
            self._begin()
        else:
            self.state = self._resume(*found)
        self.pace.choosing = self.exporter.choosing(self.learner)
        context.learning_began = self._saved_at = time.monotonic()

    def run(self) -> None:
        """Make all steps. Raises StopRequestedError if a stop is asked for."""
        while not self.state.complete:
            self._check_for_stop()
            if self._is_validation_due():
                self._validate()
                self.save()
            if self.state.all_steps_made:
                self._set(complete=True)
                self.save()
                break
            began, rate = time.monotonic(), self._learning_rate()
            with OutOfMemory() as memory:
                result = self._step(rate)
            if memory.message:
                self._halve_batch(memory.message)
                continue
            self._set(step=self.state.step + 1, skipped=0 if result.is_finite else self.state.skipped + 1)
            self.pace.add_step(time.monotonic() - began)
            self._end_in_time()  # before the report, which says how many steps there are
            self._report(result, rate)
            if self._is_checkpoint_due():
                self.save()

    def _step(self, rate: float) -> StepResult:
        """One optimiser step: batch, loss, backward; clip; AdamW; running average."""
        learner, n = self.learner, self._config.accumulate
        number = self.state.step * self._world.size + self._world.rank  # each process makes batches of its own
        reseed(self._config.seed, Purpose.STEP, number)
        learner.prepare_step()
        losses = []
        with self._numerics.autocast():
            for i in range(n):
                batch = self._examples.batch(number * n + i, self.state.batch_size)
                loss, parts = self._task.loss(learner.parallel, batch)
                (loss / n if n > 1 else loss).backward()  # type: ignore[no-untyped-call]
                losses.append((loss.detach(), parts))
            norm = nn.utils.clip_grad_norm_(learner.parameters, self._config.clip)
            result = StepResult.of(losses, norm)
            if self._world.all_true(result.is_finite, self._numerics.device):
                learner.optimiser_step(rate)
                learner.update_average(decay_at(self.state.step, self._config.average_decay))
                return result
        return replace(result, is_finite=False)

    # --- around a step ----------------------------------------------------------------------------------------------

    def _check_for_stop(self) -> None:
        """Raise if a stop is asked for, in all processes at the same step."""
        stop = int(self._context.stopping.requested)
        if not self._world.is_alone:
            (stop,) = self._world.broadcast_first(stop, device=self._numerics.device)
            self._agree_on_plan()
        if stop:
            raise StopRequestedError

    def _learning_rate(self) -> float:
        steps, highest = self.state.steps or _UNPLANNED_STEPS, self._context.learning_rate
        return learning_rate_at(self.state.step, steps, highest, self._config.warmup, self._warmup_steps)

    def _halve_batch(self, problem: str) -> None:
        """Go on with half the batch; once only, and not where other processes would go on with the whole one."""
        size = self.state.batch_size
        self.learner.clear_gradients()
        free_memory()
        if self.state.halved or size < 2 or not self._world.is_alone:
            raise AnlageError(
                f"Memory ran out with {size} examples in a batch ({problem}); choose fewer with --set batch_size=…, smaller "
                "patches, or another device, in a new run."
            )
        self._set(batch_size=size // 2, halved=True)
        self._context.note(f"Memory ran out with {size} examples in a batch; going on with {size // 2}.")
        self.save()

    def _report(self, result: StepResult, rate: float) -> None:
        """Add a step to the next event, and report that if it is due."""
        if result.is_finite:
            self._reporter.add(result.loss, result.parts)
        else:
            self._report_skipped(result.loss)
        plan = self.state.steps, self.state.validate_every
        event = self._reporter.event(self.state.step, plan, rate, self._context.seconds)
        if event is not None:
            self._context.report(event)

    def _report_skipped(self, loss: float) -> None:
        what = f"The loss or its gradient was not a finite number ({loss})"
        if self.state.skipped > _MOST_SKIPPED:
            raise AnlageError(
                f"{what} {self.state.skipped} times in a row, up to step {self.state.step}; try a lower learning rate than "
                f"{self._context.learning_rate:g} in a new run."
            )
        if self.state.skipped == 1:
            self._context.note(f"{what} at step {self.state.step}; skipped.")

    # --- validation -------------------------------------------------------------------------------------------------

    def _is_validation_due(self) -> bool:
        step, every = self.state.step, self.state.validate_every
        if every is None:
            # the time alone decides: how long a validation takes says how many steps there are
            return self.pace.is_known
        return step > 0 and self.state.validated_step != step and (step % every == 0 or step == self.state.steps)

    def _validate(self) -> None:
        """Score the running average on held-out data, keep it if it is the best so far, and plan the steps that remain."""
        if self._world.is_first:
            validation = self._scores()
            if self.state.steps is None:
                self._plan_by_time()
            self._keep_if_best(validation)
            self._replan()
        self._agree_on_plan()

    def _scores(self) -> Validation:
        reseed(self._config.seed, Purpose.VALIDATION, self.state.step)
        began = time.monotonic()
        message = "Memory ran out while looking at held-out data; use another device, or a store with smaller cuboids."
        with out_of_memory_as(message), self._context.interruptible(), torch.no_grad(), self._numerics.autocast():
            validation = self._task.validate(self.learner.average, self._examples)
        self.pace.validation_s = time.monotonic() - began
        return validation

    def _keep_if_best(self, validation: Validation) -> None:
        """Keep the running average if its score is the best so far, write it for a preview, and report it."""
        step, metrics = self.state.step, dict(validation.metrics)
        is_best, score = self._is_best(validation), _finite(validation.score)
        self._set(validated_step=step, looks_without_gain=0 if is_best else self.state.looks_without_gain + 1)
        if is_best:
            self.learner.keep_best()
            # all of one validation, that of the weights that are kept, even where another had a higher score
            self._set(
                best_step=step,
                best_score=score,
                best_loss=validation.loss,
                best_metrics=metrics,
                best_n=validation.n,
                highest_score=max(score, self.state.highest),
            )
        # before the event: whoever reads it finds these weights
        self.exporter.write_preview(self.learner.average, self.state, validation)
        event = Validated(
            step=step,
            loss=validation.loss,
            score=validation.score,
            metrics=metrics,
            n=validation.n,
            best=is_best,
            seconds=self._context.seconds,
        )
        self._context.report(event)
        patience, without_gain = self._config.patience, self.state.looks_without_gain
        if patience is not None and without_gain >= patience and step != self.state.steps:
            self._set(steps=step)
            self._context.note(f"Stopping early at step {step}: {patience} validations in a row were no better.")

    def _is_best(self, validation: Validation) -> bool:
        if not math.isfinite(validation.loss):
            return False
        score, highest = _finite(validation.score), self.state.highest
        if validation.tie > 0 and score >= highest - validation.tie:
            return True
        # the loss decides between equal scores, such as an F1 of 0 at first or of 1 at last
        return (score, -validation.loss) > (highest, -self.state.best_loss)

    # --- the number of steps ----------------------------------------------------------------------------------------

    def _plan_by_number(self) -> None:
        """A number of steps is the plan from the first of them on, whatever the machine; a time limit can only shorten it."""
        steps = self._budget.most
        if steps is not None:
            every = self._config.validate_every or validation_interval(steps, validations=self._task.validations)
            self._set(steps=steps, validate_every=every)

    def _plan_by_time(self) -> None:
        """The seconds that a step and a validation take are known: as many steps as fit into the time."""
        steps, every = self._budget.plan(self.state.step, self._context.learning_s)
        self._set(steps=steps, validate_every=every)
        self._warn_if_late()

    def _replan(self) -> None:
        state = self.state
        if state.steps is not None and state.validate_every is not None:
            self._set(
                steps=self._budget.replan(state.step, self._context.learning_s, state.steps, state.validate_every)
            )
            self._warn_if_late()

    def _end_in_time(self) -> None:
        """End the training with this step if the time is up and the least number of steps is made."""
        state, spent_s = self.state, self._context.learning_s
        if state.steps == state.step:
            return
        if self._budget.ends(state.step, spent_s):
            self._set(steps=state.step, validate_every=state.validate_every or state.step)
        elif self._budget.is_spent(spent_s):
            self._warn_if_late()

    def _warn_if_late(self) -> None:
        """Say once that the time limit gives way to the least number of steps, and by how much."""
        state, budget = self.state, self._budget
        if state.steps is None or state.validate_every is None or state.steps == state.step:
            return
        late_s = budget.late_s(state.step, self._context.learning_s, state.steps, state.validate_every)
        if late_s < 0.05 * budget.limit_s or state.steps > budget.least:
            return
        least = "without which nothing of use is learnt" if state.steps == budget.least else "that were asked for"
        self._context.note_once(
            "late",
            f"In the {budget.limit_s / 60:.3g} minutes that were given, this machine does not make the {state.steps} steps {least}; "
            f"the training goes on until they are made, about {math.ceil(late_s / 60)} min longer. "
            "Other programs may keep it busy.",
        )

    # --- what is saved, and what the processes share ----------------------------------------------------------------

    def _begin(self) -> None:
        if (lost := self._context.run.saved_step()) > 0:
            self._context.note(f"The checkpoint of step {lost} is gone; the training begins anew.")
        self._plan_by_number()
        self.save()

    def _resume(self, checkpoint: Checkpoint, note: str) -> TrainingState:
        """Restore what a checkpoint holds; `note` says where it is not the newest one."""
        tensors, state = checkpoint
        if note:
            self._context.note(note)
        self.learner.restore(tensors)
        self._context.before_s += state.seconds
        self._context.learning_before_s = state.seconds if state.learning_seconds is None else state.learning_seconds
        self._context.report(Resumed(step=state.step))
        return state

    def _set(self, **changes: object) -> None:
        self.state = self.state.model_copy(update=changes)

    def _is_checkpoint_due(self) -> bool:
        every = self._config.checkpoint_steps
        if every is not None and self.state.step % every == 0:
            return True
        return time.monotonic() - self._saved_at >= self._config.checkpoint_seconds

    def save(self) -> None:
        """Write a checkpoint: all that a resumed training needs to go on exactly."""
        if not self._world.is_first:
            return
        self._set(seconds=self._context.seconds, learning_seconds=self._context.learning_s)
        save_checkpoint(self._context.run.checkpoint_path, self.learner.tensors(), self.state)
        self._saved_at = time.monotonic()
        self._context.report(Saved(step=self.state.step))

    def _agree_on_plan(self) -> None:
        """All processes go on with the first one's plan."""
        if self._world.is_alone:
            return
        state = self.state
        own = [-1 if v is None else v for v in (state.steps, state.validate_every, state.validated_step)]
        first = [None if v < 0 else v for v in self._world.broadcast_first(*own, device=self._numerics.device)]
        self._set(steps=first[0], validate_every=first[1], validated_step=first[2])


def _stop_before_the_first_step(context: TrainingContext) -> Path | None:
    """A stop during preparation: there is nothing new to keep."""
    if not context.world.is_first:
        return None
    found = newest_checkpoint(context.run.checkpoint_path)
    step, before_s = (0, 0) if found is None else (found[0][1].step, found[0][1].seconds)
    return context.report_stopped(step, before_s)


def _finite(score: float) -> float:
    return score if math.isfinite(score) else -math.inf
