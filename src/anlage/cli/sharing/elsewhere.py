"""``--on dask`` and ``--on slurm``: hand the command to a scheduler."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from anlage.cli.arguments import Parser, positive
from anlage.cli.interruption import until_halted
from anlage.cli.nuclei_output import GOES_ON
from anlage.cli.sharing.dask_workers import run_on_dask
from anlage.cli.sharing.slurm_jobs import JobSettings, jobs_folder, submit
from anlage.cli.sharing.taking_part import Order, is_written_since
from anlage.errors import AnlageError
from anlage.shell import command
from anlage.wording import plural

if TYPE_CHECKING:
    from anlage.cli.prediction_output import ProgressReporter
    from anlage.inference.frame_store import PredictionParts

__all__ = ["add_places", "run_elsewhere"]

_SLURM_ONLY = ("partition", "hours", "gpus", "cpus", "job_memory_gb", "slurm")


def add_places(parser: Parser) -> None:
    """The options that say where the work is done."""
    group = parser.add_argument_group("on a cluster (extra `cluster`)")
    group.add_argument(
        "--on", choices=("dask", "slurm"),
        help="dask: in workers of dask.distributed, started here or those of --scheduler; slurm: as an array of jobs",
    )  # fmt: skip
    group.add_argument(
        "--workers", type=_count, metavar="N",
        help="how many processes (default: 2, or all workers of --scheduler)",
    )  # fmt: skip
    group.add_argument("--scheduler", metavar="ADDRESS", help="of dask: a scheduler that runs, tcp://host:8786")
    group.add_argument("--partition", metavar="NAME", help="of SLURM: partition (default: the cluster's own)")
    group.add_argument("--hours", type=positive, metavar="H", help="of SLURM: time limit of a job (default: 1)")
    group.add_argument("--gpus", type=_count, metavar="N", help="of SLURM: GPUs of a job (default: none)")
    group.add_argument("--cpus", type=_count, metavar="N", help="of SLURM: processors of a job (default: 2)")
    group.add_argument(
        "--job-memory-gb", type=positive, metavar="GB", help="of SLURM: memory of a job (default: the cluster's own)"
    )
    group.add_argument(
        "--slurm", action="append", type=_setting, metavar="NAME=VALUE", default=None,
        help="of SLURM: any other setting of sbatch, such as account=lab; may be repeated",
    )  # fmt: skip
    # of the processes that a scheduler starts: an output that is newer than this file is the one that was asked for
    group.add_argument("--submitted", type=Path, help=argparse.SUPPRESS)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise AnlageError(f"'{text}' is not a whole number from 1 on.")
    return int(text)


def _setting(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign or not name.replace("-", "").replace("_", "").isalnum():
        raise AnlageError(f"'{text}' is not of the form NAME=VALUE, for example account=lab.")
    return name, value


def check_places(options: argparse.Namespace) -> None:
    """Refuse options that have no meaning without another one.

    Raises
    ------
    AnlageError
        If there are some.
    """
    idle = [] if options.on == "slurm" else [name for name in _SLURM_ONLY if getattr(options, name) is not None]
    idle += [] if options.on == "dask" or options.scheduler is None else ["scheduler"]
    idle += [] if options.on or options.workers is None else ["workers"]
    if idle:
        name = f"--{idle[0].replace('_', '-')}"
        raise AnlageError(
            f"{name} has no meaning {f'with --on {options.on}' if options.on else 'without --on'}; leave it out."
        )
    if options.on and (options.part is not None or options.collect):
        raise AnlageError("--part and --collect are for processes that you start yourself; leave them out with --on.")


def run_elsewhere(options: argparse.Namespace, parts: PredictionParts, reporter: ProgressReporter) -> int:
    """Hand the command to a scheduler; returns the exit code."""
    folder = jobs_folder(options.output)
    folder.mkdir(parents=True, exist_ok=True)
    order = Order.of(options.words, folder / "submitted")
    Path(order.submitted).touch()
    if options.on == "slurm":
        return _on_slurm(options, order, folder, reporter)
    code = _on_dask(options, order, parts, reporter)
    Path(order.submitted).unlink(missing_ok=True)
    if not any(folder.iterdir()):
        folder.rmdir()
    return code


def _on_slurm(options: argparse.Namespace, order: Order, folder: Path, reporter: ProgressReporter) -> int:
    given = {
        "n": options.workers, "partition": options.partition, "hours": options.hours, "gpus": options.gpus,
        "cpus": options.cpus, "memory_gb": options.job_memory_gb, "more": options.slurm and tuple(options.slurm),
    }  # fmt: skip
    settings = JobSettings(**{name: value for name, value in given.items() if value is not None})
    jobs = submit(order, settings, folder)
    for line in jobs.script.splitlines():
        if line.startswith("#SBATCH"):
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
    if code == 0 and not is_written_since(output, Path(order.submitted)):
        raise AnlageError(f"The workers have ended, and {output} is not there; the same command goes on.")
    if code == 0:
        reporter.end("finished", f"Written to {output}.")
    return code
