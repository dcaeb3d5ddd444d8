"""The loop: batch, loss, step; look at held-out data; save; until the plan is fulfilled or a stop is asked for."""

from __future__ import annotations

import math
import shutil
import time
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Any

import torch

from anlage.errors import AnlageError
from anlage.networks.device import choose_device, running_on
from anlage.shell import command
from anlage.tasks.task import Evidence, Examples, Validation
from anlage.training.checkpoint import TrainingState, newest_checkpoint, save_checkpoint
from anlage.training.context import TrainingContext
from anlage.training.export import evidence_of, keep_held_out, settle, show, uncalibrated, write_model
from anlage.training.learner import StepResult
from anlage.training.numerics import Purpose, arithmetic, free_memory, is_out_of_memory, number_type, reseed
from anlage.training.preparation import (
    decided,
    least_steps,
    make_learner,
    open_stores,
    prepare,
    steps_of_epochs,
    task_config,
)
from anlage.training.progress import Finished, Resumed, Saved, StepReporter, Stopped, Validated
from anlage.training.schedule import Budget, Pace, decay_at, learning_rate_at, looks_every
from anlage.training.stopping import StopRequestedError

__all__ = ["learn"]

_MOST_SKIPPED = 10
"""Steps in a row whose loss may be NaN or infinite."""
_UNPLANNED_STEPS = 2000
"""Length of the schedule until the machine's speed is known."""
_LEARNING_SHARE = 0.8
"""Least share of a task's usual time that is left for learning, however long the preparation took."""
_STOP_CALIBRATION_S = 1.3
"""Seconds that a stop waits for a calibration."""


def learn(context: TrainingContext) -> Path | None:
    """Train until the plan is fulfilled (→ the model) or a stop is asked for (→ the model of the best weights, if any)."""
    config = context.run.config.training
    device = context.world.device(choose_device(config.device))
    earlier = decided(context)
    threads = earlier.threads if earlier is not None else config.threads or torch.get_num_threads()
    with context.world.joined(device), arithmetic(device, threads):
        stores = open_stores(context)
        try:
            with context.stopping.breaking_off():
                examples = prepare(context, stores, device)
                for text in examples.notes if earlier is None else ():
                    context.note(text)
        except StopRequestedError:
            return _stopped_early(context)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            raise AnlageError(
                "Memory ran out while the training data were prepared; use fewer or smaller stores."
            ) from error
        training = _Training(context, stores, examples, device)
        try:
            training.run()
            model = training.finish()
        except StopRequestedError:
            model = training.stop()
    return model


class _Training:
    """A training under way: the learner, the state of where it stands, and the clock."""

    def __init__(self, context: TrainingContext, stores: list[Any], examples: Examples, device: str) -> None:
        self._context, self._stores, self._examples, self._device = context, stores, examples, device
        self._config = context.run.config.training
        self._number = number_type(self._config, device)
        self._pace = Pace()
        most = _most_steps(context, examples)
        self._least_warmup = context.task.warmup_steps(task_config(context))
        self._budget = Budget(
            _limit_s(context),
            most,
            self._config.validate_every,
            self._pace,
            context.task.validations,
            least_steps(context),
        )
        self._reporter = StepReporter(self._budget)
        found = newest_checkpoint(context.run.checkpoint_path)
        self._learner = make_learner(context, examples, device, fresh=found is None)
        if found is None:
            if (lost := context.run.saved_step()) > 0:
                context.note(f"The checkpoint of step {lost} is gone; the training begins anew.")
            self._state = TrainingState(batch_size=examples.batch_size)
            self._plan_by_number()
            self._save()
        else:
            (tensors, self._state), note = found
            if note:
                context.note(note)
            self._learner.restore(tensors)
            context.before_s += self._state.seconds
            before = self._state.learning_seconds
            context.learning_before_s = self._state.seconds if before is None else before
            context.report(Resumed(step=self._state.step))
        context.learning_began = self._saved_at = time.monotonic()

    def run(self) -> None:
        """Take all steps. Raises StopRequestedError if a stop is asked for."""
        while not self._state.complete:
            self._listen()
            if self._state.steps is None and self._pace.is_known:
                self._plan_by_time()
            if self._is_look_due():
                self._look()
            if self._state.steps is not None and self._state.step >= self._state.steps:
                break
            self._step()
            every = self._config.checkpoint_steps
            due = every is not None and self._state.step % every == 0
            if due or time.monotonic() - self._saved_at >= self._config.checkpoint_seconds:
                self._save()
        if not self._state.complete:
            self._note(complete=True)
            self._save()

    def finish(self) -> Path | None:
        """Calibrate the best weights and write the model."""
        context = self._context
        if not context.world.is_first:
            return None
        reseed(self._config.seed, Purpose.FINISH)
        with self._breaking_off():
            with running_on(self._device, self._number):
                settle(context, self._examples, self._learner)
            evidence = self._evidence()
            keep_held_out(context, self._examples, self._learner.average, evidence)
        write_model(context, self._stores, self._examples, self._learner.average, self._state, evidence)
        name = context.run.target_path.name
        counts = {"n": evidence.n_positive, "n_of": evidence.n_of}
        context.report(
            Finished(step=self._state.step, model=name, metrics=evidence.metrics, seconds=context.seconds, **counts)
        )
        context.stopping.clear()  # a stop asked for in the last moment has nothing left to stop
        shutil.rmtree(context.run.path / "cache", ignore_errors=True)
        return context.run.target_path

    def stop(self) -> Path | None:
        """Save, and write a model of the best weights so far."""
        context = self._context
        if not context.world.is_first:
            return None
        self._save()
        if self._state.step > 0:
            self._learner.use_best()
            write_model(
                context, self._stores, self._examples, self._learner.average, self._state, self._quick_evidence()
            )
        model = context.run.model_path
        name = None if model is None else model.name
        context.report(Stopped(step=self._state.step, model=name, seconds=context.seconds))
        context.stopping.clear()
        return model

    # --- one step ---------------------------------------------------------------------------------------------------

    def _step(self) -> None:
        began = time.monotonic()
        step, steps = self._state.step, self._state.steps or _UNPLANNED_STEPS
        rate = learning_rate_at(step, steps, self._context.learning_rate, self._config.warmup, self._least_warmup)
        result = self._attempt(rate)
        if isinstance(result, str):
            self._halve(result)
            return
        self._note(step=step + 1, skipped=0 if result.is_finite else self._state.skipped + 1)
        self._pace.stepped(time.monotonic() - began)
        if not result.is_finite:
            self._skipped(result.loss)
        else:
            self._reporter.add(result.loss, result.parts)
        self._watch_the_clock()  # before the event, which says how many steps there are
        plan = self._state.steps, self._state.validate_every
        event = self._reporter.event(step + 1, plan, rate, self._context.seconds)
        if event is not None:
            self._context.report(event)

    def _attempt(self, rate: float) -> StepResult | str:
        """Take a step; a text if memory ran out."""
        world, state = self._context.world, self._state
        number = state.step * world.size + world.rank
        reseed(self._config.seed, Purpose.STEP, number)
        decay = decay_at(state.step, self._config.average_decay)
        try:
            n = self._config.accumulate
            batches = (self._examples.batch(number * n + i, state.batch_size) for i in range(n))
            with running_on(self._device, self._number):
                return self._learner.step(batches, self._context.task.loss, rate, decay, n=n)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            # a text, not the error, which holds on to the memory of the failed step
            return str(error).split("\n")[0] or type(error).__name__

    def _halve(self, problem: str) -> None:
        size = self._state.batch_size
        self._learner.forget_gradients()
        free_memory()
        if self._state.halved or size < 2 or not self._context.world.is_alone:
            raise AnlageError(
                f"Memory ran out with {size} examples in a batch ({problem}); choose fewer with --set batch_size=…, smaller "
                "patches, or another device, in a new run."
            )
        self._note(batch_size=size // 2, halved=True)
        self._context.note(f"Memory ran out with {size} examples in a batch; going on with {size // 2}.")
        self._save()

    def _skipped(self, loss: float) -> None:
        if self._state.skipped > _MOST_SKIPPED:
            raise AnlageError(
                f"The loss or its gradient was not a finite number ({loss}) {self._state.skipped} times in a row, up to step "
                f"{self._state.step}; try a lower learning rate than {self._context.learning_rate:g} in a new run."
            )
        if self._state.skipped == 1:
            self._context.note(
                f"The loss or its gradient was not a finite number ({loss}) at step {self._state.step}; skipped."
            )

    # --- looking at held-out data -----------------------------------------------------------------------------------

    def _is_look_due(self) -> bool:
        step, every = self._state.step, self._state.validate_every
        if every is None or step == 0 or self._state.validated_step == step:
            return False
        return step % every == 0 or step == self._state.steps

    def _look(self) -> None:
        if self._context.world.is_first:
            self._judge(self._validate())
            state = self._state
            if state.steps is not None and state.validate_every is not None:
                steps = self._budget.replan(state.step, self._context.learning_s, state.steps, state.validate_every)
                self._note(steps=steps)
        self._agree()
        self._save()

    def _validate(self) -> Validation:
        reseed(self._config.seed, Purpose.LOOK, self._state.step)
        began = time.monotonic()
        try:
            with self._breaking_off(), torch.no_grad(), running_on(self._device, self._number):
                seen = self._context.task.validate(self._learner.average, self._examples)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            raise AnlageError(
                "Memory ran out while looking at held-out data; use another device, or a store with smaller cuboids."
            ) from error
        self._pace.look_s = time.monotonic() - began
        return seen

    def _judge(self, seen: Validation) -> None:
        state = self._state
        score = seen.score if math.isfinite(seen.score) else -math.inf
        highest = state.best_score if state.highest_score is None else state.highest_score
        # the loss decides between equal scores, such as an F1 of 0 at first or of 1 at last
        better = (score, -seen.loss) > (highest, -state.best_loss) and math.isfinite(seen.loss)
        better = better or (seen.tie > 0 and score >= highest - seen.tie and math.isfinite(seen.loss))
        self._note(validated_step=state.step, looks_without_gain=0 if better else state.looks_without_gain + 1)
        if better:
            self._learner.keep_best()
            # all of one look, the one of the weights that are kept, even where another had a higher score
            self._note(
                best_step=state.step,
                best_score=score,
                best_loss=seen.loss,
                best_metrics=dict(seen.metrics),
                best_n=seen.n,
                highest_score=max(score, highest),
            )
        # before the event: whoever reads it finds these weights
        show(self._context, self._stores, self._examples, self._learner.average, self._state, seen)
        event = Validated(
            step=state.step,
            loss=seen.loss,
            score=seen.score,
            metrics=dict(seen.metrics),
            n=seen.n,
            best=better,
            seconds=self._context.seconds,
        )
        self._context.report(event)
        patience = self._config.patience
        if patience is not None and self._state.looks_without_gain >= patience and state.step != state.steps:
            self._note(steps=state.step)
            self._context.note(f"Stopping early at step {state.step}: {patience} looks in a row were no better.")

    # --- the plan ---------------------------------------------------------------------------------------------------

    def _plan_by_number(self) -> None:
        steps = self._budget.most
        if steps is not None and not self._budget.is_timed:
            self._note(
                steps=steps,
                validate_every=self._config.validate_every or looks_every(steps, looks=self._context.task.validations),
            )

    def _plan_by_time(self) -> None:
        """The machine's speed is known: look once, to know what a look takes, and fix the number of steps."""
        if self._context.world.is_first:
            seen = self._validate()
            steps, every = self._budget.plan(self._state.step, self._context.learning_s)
            self._note(steps=steps, validate_every=every)
            self._warn_if_late()
            self._judge(seen)
        self._agree()
        self._save()

    def _watch_the_clock(self) -> None:
        state, spent = self._state, self._context.learning_s
        if state.steps == state.step:
            return
        if self._budget.ends(state.step, spent):
            self._note(steps=state.step, validate_every=state.validate_every or state.step)
        elif self._budget.is_spent(spent):
            self._warn_if_late()

    def _warn_if_late(self) -> None:
        """Say once that the time limit gives way to the least number of steps, and by how much."""
        state, budget = self._state, self._budget
        if state.steps is None or state.validate_every is None:
            return
        late_s = budget.late_s(state.step, self._context.learning_s, state.steps, state.validate_every)
        if late_s < 0.05 * budget.limit_s or state.steps > budget.least:
            return
        self._context.note_once(
            f"In the {budget.limit_s / 60:.3g} minutes that were given, this machine does not make the {state.steps} steps without "
            f"which nothing of use is learnt; the training goes on until they are made, about {math.ceil(late_s / 60)} min longer. "
            "Other programs may keep it busy."
        )

    # --- speaking, listening, saving --------------------------------------------------------------------------------

    def _listen(self) -> None:
        """Take in a stop, and what the first process decided."""
        stop = int(self._context.stopping.requested)
        if not self._context.world.is_alone:
            (stop,) = self._context.world.first_says(stop, device=self._device)
            self._agree()
        if stop:
            raise StopRequestedError

    def _breaking_off(self) -> AbstractContextManager[None]:
        # not where others wait for what comes after: they would wait for ever
        return self._context.stopping.breaking_off() if self._context.world.is_alone else nullcontext()

    def _agree(self) -> None:
        """All processes go on with the first one's plan."""
        if self._context.world.is_alone:
            return
        r = self._state
        said = [-1 if v is None else v for v in (r.steps, r.validate_every, r.validated_step)]
        heard = [None if v < 0 else v for v in self._context.world.first_says(*said, device=self._device)]
        self._note(steps=heard[0], validate_every=heard[1], validated_step=heard[2])

    def _evidence(self, *, tracks: bool = True) -> Evidence:
        try:
            with torch.no_grad(), running_on(self._device, self._number):
                return evidence_of(self._context.task, self._learner.average, self._examples, tracks=tracks)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            raise AnlageError(
                "Memory ran out while calibrating on held-out data; free some, then continue with "
                f"`{command('resume', self._context.run.path)}`."
            ) from error

    def _quick_evidence(self) -> Evidence:
        """Calibrate if that is a matter of a moment; a stop must not take longer."""
        if 2 * self._pace.look_s < _STOP_CALIBRATION_S:
            reseed(self._config.seed, Purpose.FINISH)
            with suppress(StopRequestedError), self._context.stopping.breaking_off(_STOP_CALIBRATION_S):
                return self._evidence(tracks=False)
        self._context.note(
            "Stopped before the calibration: the model's probabilities are a ranking. Resume to calibrate."
        )
        return uncalibrated(self._state.best_metrics, self._state.best_n)

    def _note(self, **changes: object) -> None:
        self._state = self._state.model_copy(update=changes)

    def _save(self) -> None:
        if not self._context.world.is_first:
            return
        self._note(seconds=self._context.seconds, learning_seconds=self._context.learning_s)
        save_checkpoint(self._context.run.checkpoint_path, self._learner.tensors(), self._state)
        self._saved_at = time.monotonic()
        self._context.report(Saved(step=self._state.step))


def _most_steps(context: TrainingContext, examples: Examples) -> int | None:
    """Steps that are enough: as set, else what the task says where the user set no time either."""
    config = context.run.config.training
    if config.epochs is not None:
        return steps_of_epochs(context, examples, config.epochs)
    if config.steps is not None or config.minutes is not None:
        return config.steps
    return context.task.most_steps


def _limit_s(context: TrainingContext) -> float:
    """Seconds that learning may take, once everything is prepared."""
    config = context.run.config.training
    if config.minutes is not None:
        return 60 * config.minutes
    if config.steps is not None or config.epochs is not None:
        return math.inf
    limit_s = 60 * context.task.minutes_for(task_config(context))
    # the usual time is a promise for the whole; on a busy machine, preparing takes no more than a fifth of it from learning
    return max(_LEARNING_SHARE * limit_s, limit_s - context.seconds)


def _stopped_early(context: TrainingContext) -> Path | None:
    """A stop during preparation: there is nothing new to keep."""
    if not context.world.is_first:
        return None
    found = newest_checkpoint(context.run.checkpoint_path)
    step, before = (0, 0.0) if found is None else (found[0][1].step, found[0][1].seconds)
    model = context.run.model_path
    context.report(Stopped(step=step, model=None if model is None else model.name, seconds=before + context.seconds))
    context.stopping.clear()
    return model
