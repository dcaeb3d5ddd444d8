"""From weights to a model with its card: after the last step, and at every look for those who watch."""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping

import torch

import anlage
from anlage.calibration import Calibration
from anlage.card import Card, TrainedOn
from anlage.dataset.store import Store
from anlage.errors import AnlageError
from anlage.model import save_model
from anlage.tasks.task import Evidence, Examples
from anlage.training.checkpoint import Record
from anlage.training.job import Job
from anlage.training.preparation import task_config

__all__ = ["show", "uncalibrated", "write_model"]


def uncalibrated(seen: Mapping[str, float], when: str = "before the training was stopped") -> Evidence:
    """What is known of weights without a calibration: their last look at held-out data."""
    metrics = {name: value for name, value in seen.items() if math.isfinite(value)}
    return Evidence(
        held_out=f"the validation data, at the last look {when}; not calibrated",
        n_positive=0,
        metrics=metrics,
        threshold=min(1.0, max(0.0, metrics.get("threshold", 0.5))),
        calibration=Calibration(),
        ece=None,
    )


def write_model(
    job: Job, stores: list[Store], examples: Examples, network: torch.nn.Module, record: Record, evidence: Evidence
) -> None:
    """Write the run's model; it appears whole or not at all."""
    steps = record.best_step if record.best_step is not None else record.step
    card = _card(job, stores, examples, steps, evidence)
    save_model(job.run.target_path, card, network.state_dict())


def show(
    job: Job,
    stores: list[Store],
    examples: Examples,
    network: torch.nn.Module,
    record: Record,
    seen: Mapping[str, float],
) -> None:
    """Write the newest weights for those who watch, calibrated by nothing; where that cannot be, say so and go on."""
    evidence = uncalibrated(seen, "while the training went on")
    card = _card(job, stores, examples, record.step, evidence)
    limits = f"Results to keep: it shows how a training went at step {record.step}."
    try:
        save_model(job.run.preview_path, card.model_copy(update={"limits": limits}), network.state_dict())
    except (AnlageError, OSError) as error:
        job.note_once(f"The newest weights could not be written for a preview; the training goes on. {error}")


def _card(job: Job, stores: list[Store], examples: Examples, steps: int, evidence: Evidence) -> Card:
    config = task_config(job)
    first = stores[0].meta
    learnt = [store for store in stores if store.meta.use != "validation"]
    return Card(
        name=job.run.config.name,
        task=job.task.name,
        head=str(getattr(config, "head", "")),
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        version=anlage.__version__,
        channels=first.channels,
        combine=first.combine,
        spacing_um_zyx=first.spacing_um_zyx,
        interval_s=first.interval_s,
        intensity=first.intensity,
        diameter_um=getattr(examples.plan, "diameter_um", first.diameter_um),
        plan=examples.plan.model_dump(mode="json"),
        config=config.model_dump(mode="json"),
        trained_on=tuple(_remembered(store) for store in learnt),
        evidence=evidence,
        steps=steps,
        seconds=job.seconds,
        limits=_limits(learnt, evidence),
    )


def _remembered(store: Store) -> TrainedOn:
    return TrainedOn(
        name=store.name,
        source=store.meta.source.image,
        store_hash=store.hash,
        n_nuclei=len(store.positives),
        n_frames=len(store.frames),
        sparse=store.meta.sparse,
        spacing_um_zyx=store.meta.spacing_um_zyx,
        diameter_um=store.meta.diameter_um,
        noise=round(store.noise, 4),
    )


def _limits(stores: list[Store], evidence: Evidence) -> str:
    movies = {store.meta.source.movie for store in stores}
    if len(movies) == 1:
        return "Movies of other embryos or days without a look at the result: it has seen a single one."
    return "" if evidence.ece is not None else "Probabilities taken at their word: they were not calibrated."
