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
from anlage.training.checkpoint import Record, newest_checkpoint, save_checkpoint
from anlage.training.context import Job
from anlage.training.export import evidence_of, keep_held_out, settle, show, uncalibrated, write_model
from anlage.training.learner import Outcome
from anlage.training.meter import Meter
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
from anlage.training.progress import Finished, Resumed, Saved, Stopped, Validated
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


def learn(job: Job) -> Path | None:
    """Train until the plan is fulfilled (→ the model) or a stop is asked for (→ the model of the best weights, if any)."""
    config = job.run.config.training
    device = job.world.device(choose_device(config.device))
    earlier = decided(job)
    threads = earlier.threads if earlier is not None else config.threads or torch.get_num_threads()
    with job.world.joined(device), arithmetic(device, threads):
        stores = open_stores(job)
        try:
            with job.stopping.breaking_off():
                examples = prepare(job, stores, device)
                for text in examples.notes if earlier is None else ():
                    job.note(text)
        except StopRequestedError:
            return _stopped_early(job)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            raise AnlageError(
                "Memory ran out while the training data were prepared; use fewer or smaller stores."
            ) from error
        training = _Training(job, stores, examples, device)
        try:
            training.run()
            model = training.finish()
        except StopRequestedError:
            model = training.stop()
    return model


class _Training:
    """A training under way: the learner, the record of where it stands, and the clock."""

    def __init__(self, job: Job, stores: list[Any], examples: Examples, device: str) -> None:
        self._job, self._stores, self._examples, self._device = job, stores, examples, device
        self._config = job.run.config.training
        self._number = number_type(self._config, device)
        self._pace = Pace()
        most = _most_steps(job, examples)
        self._least_warmup = job.task.warmup_steps(task_config(job))
        self._budget = Budget(
            _limit_s(job), most, self._config.validate_every, self._pace, job.task.validations, least_steps(job)
        )
        self._meter = Meter(self._budget)
        found = newest_checkpoint(job.run.checkpoint_path)
        self._learner = make_learner(job, examples, device, fresh=found is None)
        if found is None:
            if (lost := job.run.saved_step()) > 0:
                job.note(f"The checkpoint of step {lost} is gone; the training begins anew.")
            self._record = Record(batch_size=examples.batch_size)
            self._plan_by_number()
            self._save()
        else:
            (tensors, self._record), note = found
            if note:
                job.note(note)
            self._learner.restore(tensors)
            job.before_s += self._record.seconds
            before = self._record.learning_seconds
            job.learning_before_s = self._record.seconds if before is None else before
            job.tell(Resumed(step=self._record.step))
        job.learning_began = self._saved_at = time.monotonic()

    def run(self) -> None:
        """Take all steps. Raises StopRequestedError if a stop is asked for."""
        while not self._record.complete:
            self._listen()
            if self._record.steps is None and self._pace.is_known:
                self._plan_by_time()
            if self._is_look_due():
                self._look()
            if self._record.steps is not None and self._record.step >= self._record.steps:
                break
            self._step()
            every = self._config.checkpoint_steps
            due = every is not None and self._record.step % every == 0
            if due or time.monotonic() - self._saved_at >= self._config.checkpoint_seconds:
                self._save()
        if not self._record.complete:
            self._note(complete=True)
            self._save()

    def finish(self) -> Path | None:
        """Calibrate the best weights and write the model."""
        job = self._job
        if not job.world.is_first:
            return None
        reseed(self._config.seed, Purpose.FINISH)
        with self._breaking_off():
            with running_on(self._device, self._number):
                settle(job, self._examples, self._learner)
            evidence = self._evidence()
            keep_held_out(job, self._examples, self._learner.average, evidence)
        write_model(job, self._stores, self._examples, self._learner.average, self._record, evidence)
        name = job.run.target_path.name
        counts = {"n": evidence.n_positive, "n_of": evidence.n_of}
        job.tell(Finished(step=self._record.step, model=name, metrics=evidence.metrics, seconds=job.seconds, **counts))
        job.stopping.clear()  # a stop asked for in the last moment has nothing left to stop
        shutil.rmtree(job.run.path / "cache", ignore_errors=True)
        return job.run.target_path

    def stop(self) -> Path | None:
        """Save, and write a model of the best weights so far."""
        job = self._job
        if not job.world.is_first:
            return None
        self._save()
        if self._record.step > 0:
            self._learner.use_best()
            write_model(job, self._stores, self._examples, self._learner.average, self._record, self._quick_evidence())
        model = job.run.model_path
        name = None if model is None else model.name
        job.tell(Stopped(step=self._record.step, model=name, seconds=job.seconds))
        job.stopping.clear()
        return model

    # --- one step ---------------------------------------------------------------------------------------------------

    def _step(self) -> None:
        began = time.monotonic()
        step, steps = self._record.step, self._record.steps or _UNPLANNED_STEPS
        rate = learning_rate_at(step, steps, self._job.learning_rate, self._config.warmup, self._least_warmup)
        outcome = self._attempt(rate)
        if isinstance(outcome, str):
            self._halve(outcome)
            return
        self._note(step=step + 1, skipped=0 if outcome.is_finite else self._record.skipped + 1)
        self._pace.stepped(time.monotonic() - began)
        if not outcome.is_finite:
            self._skipped(outcome.loss)
        self._meter.add(outcome)
        self._watch_the_clock()  # before the event, which says how many steps there are
        plan = self._record.steps, self._record.validate_every
        event = self._meter.event(step + 1, plan, rate, self._job.seconds)
        if event is not None:
            self._job.tell(event)

    def _attempt(self, rate: float) -> Outcome | str:
        """Take a step; a text if memory ran out."""
        world, record = self._job.world, self._record
        number = record.step * world.size + world.rank
        reseed(self._config.seed, Purpose.STEP, number)
        decay = decay_at(record.step, self._config.average_decay)
        try:
            n = self._config.accumulate
            batches = (self._examples.batch(number * n + i, record.batch_size) for i in range(n))
            with running_on(self._device, self._number):
                return self._learner.step(batches, self._job.task.loss, rate, decay, n=n)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            # a text, not the error, which holds on to the memory of the failed step
            return str(error).split("\n")[0] or type(error).__name__

    def _halve(self, problem: str) -> None:
        size = self._record.batch_size
        self._learner.forget_gradients()
        free_memory()
        if self._record.halved or size < 2 or not self._job.world.is_alone:
            raise AnlageError(
                f"Memory ran out with {size} examples in a batch ({problem}); choose fewer with --set batch_size=…, smaller "
                "patches, or another device, in a new run."
            )
        self._note(batch_size=size // 2, halved=True)
        self._job.note(f"Memory ran out with {size} examples in a batch; going on with {size // 2}.")
        self._save()

    def _skipped(self, loss: float) -> None:
        if self._record.skipped > _MOST_SKIPPED:
            raise AnlageError(
                f"The loss or its gradient was not a finite number ({loss}) {self._record.skipped} times in a row, up to step "
                f"{self._record.step}; try a lower learning rate than {self._job.learning_rate:g} in a new run."
            )
        if self._record.skipped == 1:
            self._job.note(
                f"The loss or its gradient was not a finite number ({loss}) at step {self._record.step}; skipped."
            )

    # --- looking at held-out data -----------------------------------------------------------------------------------

    def _is_look_due(self) -> bool:
        step, every = self._record.step, self._record.validate_every
        if every is None or step == 0 or self._record.validated_step == step:
            return False
        return step % every == 0 or step == self._record.steps

    def _look(self) -> None:
        if self._job.world.is_first:
            self._judge(self._validate())
            record = self._record
            if record.steps is not None and record.validate_every is not None:
                steps = self._budget.replan(record.step, self._job.learning_s, record.steps, record.validate_every)
                self._note(steps=steps)
        self._agree()
        self._save()

    def _validate(self) -> Validation:
        reseed(self._config.seed, Purpose.LOOK, self._record.step)
        began = time.monotonic()
        try:
            with self._breaking_off(), torch.no_grad(), running_on(self._device, self._number):
                seen = self._job.task.validate(self._learner.average, self._examples)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            raise AnlageError(
                "Memory ran out while looking at held-out data; use another device, or a store with smaller cuboids."
            ) from error
        self._pace.look_s = time.monotonic() - began
        return seen

    def _judge(self, seen: Validation) -> None:
        record = self._record
        score = seen.score if math.isfinite(seen.score) else -math.inf
        highest = record.best_score if record.highest_score is None else record.highest_score
        # the loss decides between equal scores, such as an F1 of 0 at first or of 1 at last
        better = (score, -seen.loss) > (highest, -record.best_loss) and math.isfinite(seen.loss)
        better = better or (seen.tie > 0 and score >= highest - seen.tie and math.isfinite(seen.loss))
        self._note(validated_step=record.step, looks_without_gain=0 if better else record.looks_without_gain + 1)
        if better:
            self._learner.keep_best()
            # all of one look, the one of the weights that are kept, even where another had a higher score
            self._note(
                best_step=record.step,
                best_score=score,
                best_loss=seen.loss,
                best_metrics=dict(seen.metrics),
                best_n=seen.n,
                highest_score=max(score, highest),
            )
        # before the event: whoever reads it finds these weights
        show(self._job, self._stores, self._examples, self._learner.average, self._record, seen)
        event = Validated(
            step=record.step,
            loss=seen.loss,
            score=seen.score,
            metrics=dict(seen.metrics),
            n=seen.n,
            best=better,
            seconds=self._job.seconds,
        )
        self._job.tell(event)
        patience = self._config.patience
        if patience is not None and self._record.looks_without_gain >= patience and record.step != record.steps:
            self._note(steps=record.step)
            self._job.note(f"Stopping early at step {record.step}: {patience} looks in a row were no better.")

    # --- the plan ---------------------------------------------------------------------------------------------------

    def _plan_by_number(self) -> None:
        steps = self._budget.most
        if steps is not None and not self._budget.is_timed:
            self._note(
                steps=steps,
                validate_every=self._config.validate_every or looks_every(steps, looks=self._job.task.validations),
            )

    def _plan_by_time(self) -> None:
        """The machine's speed is known: look once, to know what a look takes, and fix the number of steps."""
        if self._job.world.is_first:
            seen = self._validate()
            steps, every = self._budget.plan(self._record.step, self._job.learning_s)
            self._note(steps=steps, validate_every=every)
            self._warn_if_late()
            self._judge(seen)
        self._agree()
        self._save()

    def _watch_the_clock(self) -> None:
        record, spent = self._record, self._job.learning_s
        if record.steps == record.step:
            return
        if self._budget.ends(record.step, spent):
            self._note(steps=record.step, validate_every=record.validate_every or record.step)
        elif self._budget.is_spent(spent):
            self._warn_if_late()

    def _warn_if_late(self) -> None:
        """Say once that the time limit gives way to the least number of steps, and by how much."""
        record, budget = self._record, self._budget
        if record.steps is None or record.validate_every is None:
            return
        late_s = budget.late_s(record.step, self._job.learning_s, record.steps, record.validate_every)
        if late_s < 0.05 * budget.limit_s or record.steps > budget.least:
            return
        self._job.note_once(
            f"In the {budget.limit_s / 60:.3g} minutes that were given, this machine does not make the {record.steps} steps without "
            f"which nothing of use is learnt; the training goes on until they are made, about {math.ceil(late_s / 60)} min longer. "
            "Other programs may keep it busy."
        )

    # --- speaking, listening, saving --------------------------------------------------------------------------------

    def _listen(self) -> None:
        """Take in a stop, and what the first process decided."""
        stop = int(self._job.stopping.requested)
        if not self._job.world.is_alone:
            (stop,) = self._job.world.first_says(stop, device=self._device)
            self._agree()
        if stop:
            raise StopRequestedError

    def _breaking_off(self) -> AbstractContextManager[None]:
        # not where others wait for what comes after: they would wait for ever
        return self._job.stopping.breaking_off() if self._job.world.is_alone else nullcontext()

    def _agree(self) -> None:
        """All processes go on with the first one's plan."""
        if self._job.world.is_alone:
            return
        r = self._record
        said = [-1 if v is None else v for v in (r.steps, r.validate_every, r.validated_step)]
        heard = [None if v < 0 else v for v in self._job.world.first_says(*said, device=self._device)]
        self._note(steps=heard[0], validate_every=heard[1], validated_step=heard[2])

    def _evidence(self, *, tracks: bool = True) -> Evidence:
        try:
            with torch.no_grad(), running_on(self._device, self._number):
                return evidence_of(self._job.task, self._learner.average, self._examples, tracks=tracks)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            raise AnlageError(
                "Memory ran out while calibrating on held-out data; free some, then continue with "
                f"`{command('resume', self._job.run.path)}`."
            ) from error

    def _quick_evidence(self) -> Evidence:
        """Calibrate if that is a matter of a moment; a stop must not take longer."""
        if 2 * self._pace.look_s < _STOP_CALIBRATION_S:
            reseed(self._config.seed, Purpose.FINISH)
            with suppress(StopRequestedError), self._job.stopping.breaking_off(_STOP_CALIBRATION_S):
                return self._evidence(tracks=False)
        self._job.note("Stopped before the calibration: the model's probabilities are a ranking. Resume to calibrate.")
        return uncalibrated(self._record.best_metrics, self._record.best_n)

    def _note(self, **changes: object) -> None:
        self._record = self._record.model_copy(update=changes)

    def _save(self) -> None:
        if not self._job.world.is_first:
            return
        self._note(seconds=self._job.seconds, learning_seconds=self._job.learning_s)
        save_checkpoint(self._job.run.checkpoint_path, self._learner.tensors(), self._record)
        self._saved_at = time.monotonic()
        self._job.tell(Saved(step=self._record.step))


def _most_steps(job: Job, examples: Examples) -> int | None:
    """Steps that are enough: as set, else what the task says where the user set no time either."""
    config = job.run.config.training
    if config.epochs is not None:
        return steps_of_epochs(job, examples, config.epochs)
    if config.steps is not None or config.minutes is not None:
        return config.steps
    return job.task.most_steps


def _limit_s(job: Job) -> float:
    """Seconds that learning may take, once everything is prepared."""
    config = job.run.config.training
    if config.minutes is not None:
        return 60 * config.minutes
    if config.steps is not None or config.epochs is not None:
        return math.inf
    limit_s = 60 * job.task.minutes_for(task_config(job))
    # the usual time is a promise for the whole; on a busy machine, preparing takes no more than a fifth of it from learning
    return max(_LEARNING_SHARE * limit_s, limit_s - job.seconds)


def _stopped_early(job: Job) -> Path | None:
    """A stop during preparation: there is nothing new to keep."""
    if not job.world.is_first:
        return None
    found = newest_checkpoint(job.run.checkpoint_path)
    step, before = (0, 0.0) if found is None else (found[0][1].step, found[0][1].seconds)
    model = job.run.model_path
    job.tell(Stopped(step=step, model=None if model is None else model.name, seconds=before + job.seconds))
    job.stopping.clear()
    return model
