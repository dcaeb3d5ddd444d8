"""After the last look: which weights to judge and to keep."""

from __future__ import annotations

import torch

from anlage.tasks.task import Examples
from anlage.training.job import Job
from anlage.training.learner import Learner

__all__ = ["settle"]


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
