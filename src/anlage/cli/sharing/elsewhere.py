"""``--on dask`` and ``--on slurm``: hand the command to a scheduler."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from anlage.cli.interruption import until_halted
from anlage.cli.nuclei_output import GOES_ON
from anlage.cli.sharing.dask_workers import run_on_dask
from anlage.cli.sharing.places import job_settings
from anlage.cli.sharing.slurm_jobs import jobs_folder, submit
from anlage.cli.sharing.taking_part import Order, is_written_since
from anlage.errors import AnlageError
from anlage.shell import command
from anlage.wording import plural

if TYPE_CHECKING:
    from anlage.cli.prediction_output import ProgressReporter
    from anlage.inference.frame_store import PredictionParts

__all__ = ["run_elsewhere"]


def run_elsewhere(options: argparse.Namespace, parts: PredictionParts, reporter: ProgressReporter) -> int:
    """Hand the command to a scheduler; returns the exit code."""
    folder = jobs_folder(options.output)
    folder.mkdir(parents=True, exist_ok=True)
    submitted = folder / "submitted"
    order = Order.shared(options.words, submitted)
    submitted.touch()
    if options.on == "slurm":
        return _on_slurm(options, order, folder, reporter)
    code = _on_dask(options, order, parts, reporter)
    if code == 0 and not is_written_since(options.output, submitted):
        raise AnlageError(f"The workers have ended, and {options.output} is not there; the same command goes on.")
    submitted.unlink(missing_ok=True)
    if not any(folder.iterdir()):
        folder.rmdir()
    return code


def _on_slurm(options: argparse.Namespace, order: Order, folder: Path, reporter: ProgressReporter) -> int:
    settings = job_settings(options)
    jobs = submit(order, settings, folder)
    for line in jobs.settings:
        reporter.note(line)
    output = options.output
    reporter.end(
        "finished",
        f"Submitted {plural(settings.n, 'job')} ({', '.join(jobs.ids)}), whose logs are in {folder}. The last one writes {output}. Follow them "
        f"with `{command('watch', output)}`, end them with `{command('stop', output)}`. Where the time limit ends them, the same command "
        "goes on with what is finished.",
    )
    return 0


def _on_dask(options: argparse.Namespace, order: Order, parts: PredictionParts, reporter: ProgressReporter) -> int:
    output = options.output
    began = False

    def on_wait(cluster: str) -> None:
        nonlocal began
        if (total := parts.n_units) and not began:
            reporter.start(total, parts.n_done, "units")
            began = True
        if began:
            reporter.all_done(parts.n_done)

    def last_words() -> None:
        parts.request_stop()
        reporter.end("stopped", f"Stopped; {parts.n_done} frames or tiles are kept in {parts.folder}. {GOES_ON}")

    code = until_halted(
        parts.stop_path, last_words, lambda: run_on_dask(order, options.workers, options.scheduler, on_wait)
    )
    if code == 0:
        reporter.end("finished", f"The workers have written {output}.")
    return code
