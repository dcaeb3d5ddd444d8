"""From weights to a model with its card: a preview at every validation; after the last step, or a stop, the model itself."""

from __future__ import annotations

import datetime
import math
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import torch

import anlage
from anlage.calibration import Calibration
from anlage.card import Card
from anlage.errors import AnlageError
from anlage.model import save_model
from anlage.shell import command
from anlage.tasks.task import Evidence, Examples, Task, Validation
from anlage.tracking.temperature import fit_temperature_scaling
from anlage.training.checkpoint import TrainingState
from anlage.training.context import TrainingContext
from anlage.training.learner import Learner
from anlage.training.numerics import Numerics, Purpose, out_of_memory_as, reseed
from anlage.training.preparation import TrainingData
from anlage.training.progress import Finished
from anlage.training.stopping import StopRequestedError

__all__ = ["Exporter", "evidence_of", "nearest_to_start"]

_SHARES = (0.5, 0.75, 1.0)
"""Parts of the way from the model that a training started from to what was learnt, among which the weights are chosen."""
_STOP_CALIBRATION_S = 1.3
"""Seconds that a stop waits for a calibration."""


class Exporter:
    """Writes the weights of one training as models.

    Parameters
    ----------
    context
        The run, its task and settings.
    data
        What it learns from, and is calibrated on.
    numerics
        Device and number type.
    """

    def __init__(self, context: TrainingContext, data: TrainingData, numerics: Numerics) -> None:
        self._context, self._data, self._numerics = context, data, numerics

    def write_preview(self, network: torch.nn.Module, state: TrainingState, validation: Validation) -> None:
        """Write the newest weights, uncalibrated, for those who watch; where that cannot be, say so and go on."""
        evidence = _uncalibrated(validation.metrics, validation.n, "while the training went on")
        limits = f"Results to keep: it shows how a training went at step {state.step}."
        card = self._card(state, state.step, evidence).model_copy(update={"limits": limits})
        try:
            save_model(self._context.run.preview_path, card, network.state_dict())
        except (AnlageError, OSError) as error:
            self._context.note_once(
                "preview", f"The newest weights could not be written for a preview; the training goes on. {error}"
            )

    def choosing(self, learner: Learner) -> int:
        """How many validations it takes at the end to choose the weights."""
        return len(_SHARES) * len(self._context.task.views(self._data.examples)) if learner.start else 0

    def finish(self, learner: Learner, state: TrainingState) -> Path | None:
        """After the last step: choose the weights, calibrate them and write the model; None in a process that follows the first.

        Raises
        ------
        StopRequestedError
            If a stop is asked for before the calibration is done.
        """
        context, task, run = self._context, self._context.task, self._context.run
        if not context.world.is_first:
            return None
        reseed(context.config.seed, Purpose.FINISH)
        with context.interruptible():
            self._choose_weights(learner)
            evidence = self._calibrate(learner.average)
            if evidence.n_positive > 0:
                task.save_held_out(learner.average, self._data.examples, evidence, run.path)
        self._write_model(learner.average, state, evidence)
        event = Finished(
            step=state.step,
            model=run.target_path.name,
            metrics=evidence.metrics,
            n=evidence.n_positive,
            n_of=evidence.n_of,
            seconds=context.seconds,
        )
        context.report(event)
        context.stopping.clear()  # a stop asked for in the last moment has nothing left to stop
        shutil.rmtree(run.path / "cache", ignore_errors=True)
        return run.target_path

    def stop(self, learner: Learner, state: TrainingState, validation_s: float) -> Path | None:
        """After a stop: write a model of the best weights so far; None if there are none, or another process is the first.

        Parameters
        ----------
        learner
            Its weights are replaced by the best ones.
        state
            Where the training stands.
        validation_s
            Seconds that the last validation took: a stop waits for a calibration only where that is quick.
        """
        context = self._context
        if not context.world.is_first:
            return None
        if state.step > 0:
            learner.use_best()
            self._write_model(learner.average, state, self._calibrate_quickly(learner.average, state, validation_s))
        return context.report_stopped(state.step)

    def _choose_weights(self, learner: Learner) -> None:
        """Take the best weights; after a start from a model part of the way back to it, if those predict held-out examples hardly worse."""
        learner.use_best()
        if not learner.start:
            return
        task, views = self._context.task, self._context.task.views(self._data.examples)
        networks = {share: learner.interpolated(share) for share in _SHARES}
        with torch.no_grad(), self._numerics.autocast():
            losses = {
                share: sum(task.validate(network, view).loss for view in views) for share, network in networks.items()
            }
        share = nearest_to_start(losses, task.way_tie)
        if share < 1:
            learner.average.load_state_dict(networks[share].state_dict())
            self._context.note(
                f"Weights: {share:.0%} of the way from the model that the training started from to what was learnt, where held-out "
                f"examples are predicted best{f' or at most {task.way_tie:.0%} worse' if task.way_tie else ''}."
            )

    def _calibrate(self, network: torch.nn.Module, *, tracks: bool = True) -> Evidence:
        resume = command("resume", self._context.run.path)
        message = f"Memory ran out while calibrating on held-out data; free some, then continue with `{resume}`."
        with out_of_memory_as(message), torch.no_grad(), self._numerics.autocast():
            return evidence_of(self._context.task, network, self._data.examples, tracks=tracks)

    def _calibrate_quickly(self, network: torch.nn.Module, state: TrainingState, validation_s: float) -> Evidence:
        """Calibrate if that is a matter of a moment; a stop must not take longer."""
        if 2 * validation_s < _STOP_CALIBRATION_S:
            reseed(self._context.config.seed, Purpose.FINISH)
            with suppress(StopRequestedError), self._context.stopping.interruptible(_STOP_CALIBRATION_S):
                return self._calibrate(network, tracks=False)
        self._context.note(
            "Stopped before the calibration: the model's probabilities are a ranking. Resume to calibrate."
        )
        return _uncalibrated(state.best_metrics, state.best_n, "before the training was stopped")

    def _write_model(self, network: torch.nn.Module, state: TrainingState, evidence: Evidence) -> None:
        """It appears whole or not at all."""
        steps = state.best_step if state.best_step is not None else state.step
        save_model(self._context.run.target_path, self._card(state, steps, evidence), network.state_dict())

    def _card(self, state: TrainingState, steps: int, evidence: Evidence) -> Card:
        """The card of weights of step `steps`, of a training that stands where `state` says."""
        context, sources, plan = self._context, self._data.sources, self._data.examples.plan
        material = context.task.material
        limits = "" if evidence.ece is not None else "Probabilities taken at their word: they were not calibrated."
        return Card(
            name=context.run.config.name,
            task=context.task.name,
            head=str(getattr(context.task_config, "head", "")),
            created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            version=anlage.__version__,
            plan=plan.model_dump(mode="json"),
            config=context.task_config.model_dump(mode="json"),
            evidence=evidence,
            steps=steps,
            steps_done=state.step,
            steps_planned=state.steps,
            least_steps=context.least_steps,
            seconds=context.seconds,
            limits=material.limits(sources) or limits,
            **material.card_fields(sources, plan),
        )


def evidence_of(task: Task, network: torch.nn.Module, examples: Examples, *, tracks: bool = True) -> Evidence:
    """What held-out data say of finished weights and, where `tracks` is wanted and the task's answers make some, of the tracks."""
    evidence = task.finish(network, examples)
    if not tracks:
        return evidence
    films = task.held_out_films(network, examples, evidence)
    return evidence.model_copy(update={"tracking": fit_temperature_scaling(films)}) if films else evidence


def nearest_to_start(losses: Mapping[float, float], tie: float) -> float:
    """The least part of the way whose loss is above the least of all by no more than `tie`, as a part of it."""
    most = (1 + tie) * min(losses.values())
    return min((share for share, loss in losses.items() if loss <= most), default=1.0)


def _uncalibrated(metrics: Mapping[str, float], n: int, when: str) -> Evidence:
    """What is known of weights without a calibration: their last validation, on `n` held-out examples."""
    finite = {name: value for name, value in metrics.items() if math.isfinite(value)}
    return Evidence(
        held_out=f"the validation data, at the last look {when}; not calibrated",
        n_positive=n,
        metrics=finite,
        threshold=min(1.0, max(0.0, finite.get("threshold", 0.5))),
        calibration=Calibration(),
        ece=None,
    )
