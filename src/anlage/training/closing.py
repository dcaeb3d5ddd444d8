"""After the last look: which weights to judge, and, where a task wants it, a few steps that learn from everything."""

from __future__ import annotations

import torch

from anlage.networks.device import running_on
from anlage.tasks.task import Examples
from anlage.training.arithmetic import Purpose, reseed
from anlage.training.checkpoint import Record
from anlage.training.job import Job
from anlage.training.learner import Learner
from anlage.training.preparation import learner_from, task_config
from anlage.training.schedule import decay_at, learning_rate_at

__all__ = ["learn_from_everything", "settle", "share_of_everything"]

_RATE = 0.25
"""Highest learning rate over that of the training."""


def settle(job: Job, examples: Examples, learner: Learner) -> None:
    """Take the best weights; of a training from a model halfway back to it, if held-out examples are told no worse so."""
    learner.use_best()
    mixed = learner.mixture()
    if mixed is None:
        return
    with torch.no_grad():
        plain, half = (job.task.validate(network, examples).loss for network in (learner.average, mixed))
    if half <= plain:
        learner.average.load_state_dict(mixed.state_dict())
        job.note("The weights lie halfway between the model that the training started from and what was learnt.")


def share_of_everything(job: Job) -> float:
    """Steps that learn from everything, as a part of those before them; 0 where the task wants none, or several processes train."""
    share = getattr(job.task, "everything", None)
    if share is None or not job.world.is_alone:
        return 0.0
    return float(share(task_config(job)))


def learn_from_everything(
    job: Job, examples: Examples, network: torch.nn.Module, record: Record, device: str, number: torch.dtype
) -> torch.nn.Module:
    """A copy of a judged and calibrated network that has learnt from the held-out examples too.

    What was measured on them was measured before, and stands for it: it has seen a little more, at a gentle rate. The same
    weights in always give the same weights out.

    Parameters
    ----------
    job
        The run.
    examples
        With the method `everything`: the same examples with none held out.
    network
        The best weights; they stay as they are.
    record
        Where the training stands.
    device, number
        Where and in which number type to compute.
    """
    n = round(share_of_everything(job) * record.step)
    if n < 1:
        return network
    config = job.run.config.training
    whole = examples.everything()  # type: ignore[attr-defined]
    learner = learner_from(job, whole, device, network.state_dict())
    for i in range(n):
        reseed(config.seed, Purpose.STEP, record.step + i)
        rate = learning_rate_at(i, n, _RATE * job.learning_rate, config.warmup)
        batches = (
            whole.batch((record.step + i) * config.accumulate + j, record.batch_size) for j in range(config.accumulate)
        )
        with running_on(device, number):
            learner.step(batches, job.task.loss, rate, decay_at(i, config.average_decay), n=config.accumulate)
    job.note(f"The last {n} steps learnt from the held-out examples too; all figures are from before them.")
    return learner.average
