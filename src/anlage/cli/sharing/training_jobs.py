"""``anlage train … --on slurm``: a training as a job."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from anlage.cli.sharing.places import job_settings
from anlage.cli.sharing.slurm_jobs import jobs_folder, submit
from anlage.cli.sharing.taking_part import Order
from anlage.shell import command

if TYPE_CHECKING:
    from anlage.training.run import Run

__all__ = ["submit_training"]


def submit_training(run: Run, options: argparse.Namespace) -> int:
    """Submit one job that trains a run, or goes on with it; returns the exit code."""
    order = Order(("resume", str(run.path.resolve())), str(Path.cwd()))
    folder = jobs_folder(run.path)
    jobs = submit(order, replace(job_settings(options), n=1), folder)
    for line in jobs.settings:
        print(line)
    print(
        f"Submitted job {jobs.ids[0]}, whose logs are in {folder}. Follow it with `{command('watch', run.path)}`, stop it with "
        f"`{command('stop', run.path)}`. Where the time limit ends it, `{command('resume', run.path)} --on slurm …` goes on."
    )
    return 0
