"""Options that say where the work is done: ``--on`` and what belongs to it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anlage.cli.arguments import Parser, positive
from anlage.errors import AnlageError

__all__ = ["JobSettings", "add_places", "add_slurm", "check_places", "job_settings"]

_SLURM_ONLY = ("partition", "hours", "gpus", "cpus", "job_memory_gb", "slurm")


@dataclass(frozen=True, slots=True)
class JobSettings:
    """What each job of an array gets.

    Parameters
    ----------
    n
        Jobs in the array.
    partition
        Partition; None: the cluster's own choice.
    hours
        Time limit.
    gpus, cpus
        Of each job.
    memory_gb
        Of each job, in GB; None: what the cluster gives.
    more
        Other settings of sbatch, by name.
    """

    n: int = 2
    partition: str | None = None
    hours: float = 1.0
    gpus: int = 0
    cpus: int = 2
    memory_gb: float | None = None
    more: tuple[tuple[str, str], ...] = ()

    @property
    def minutes(self) -> int:
        return max(1, round(self.hours * 60))

    def parameters(self) -> dict[str, Any]:
        """As submitit takes them."""
        shared: dict[str, Any] = {"name": "anlage", "timeout_min": self.minutes, "cpus_per_task": self.cpus}
        # a unit that is broken off is made anew, so there is little to be done before the end
        shared["slurm_signal_delay_s"] = 30
        if self.gpus:
            shared["gpus_per_node"] = self.gpus
        if self.memory_gb is not None:
            shared["mem_gb"] = self.memory_gb
        if self.partition is not None:
            shared["slurm_partition"] = self.partition
        if self.more:
            shared["slurm_additional_parameters"] = dict(self.more)
        return shared


def add_places(parser: Parser) -> None:
    """The options that say where many processes do the work."""
    group = add_slurm(parser, ("dask", "slurm"))
    group.add_argument(
        "--workers", type=_count, metavar="N",
        help="how many processes (default: 2, or all workers of --scheduler)",
    )  # fmt: skip
    group.add_argument("--scheduler", metavar="ADDRESS", help="of dask: a scheduler that runs, tcp://host:8786")
    # of the processes that a scheduler starts: an output that is newer than this file is the one that was asked for
    group.add_argument("--submitted", type=Path, help=argparse.SUPPRESS)


def add_slurm(parser: Parser, places: Sequence[str]) -> argparse._ArgumentGroup:
    """The options that say where one process does the work."""
    group = parser.add_argument_group("on a cluster (extra `cluster`)")
    texts = {
        "dask": "dask: in workers of dask.distributed, started here or those of --scheduler",
        "slurm": "slurm: in jobs that are submitted to SLURM",
    }
    group.add_argument("--on", choices=places, help="; ".join(texts[place] for place in places))
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
    return group


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
    idle += [] if options.on == "dask" or getattr(options, "scheduler", None) is None else ["scheduler"]
    idle += [] if options.on or getattr(options, "workers", None) is None else ["workers"]
    if idle:
        name = f"--{idle[0].replace('_', '-')}"
        raise AnlageError(
            f"{name} has no meaning {f'with --on {options.on}' if options.on else 'without --on'}; leave it out."
        )
    if options.on and (getattr(options, "part", None) is not None or getattr(options, "collect", False)):
        raise AnlageError("--part and --collect are for processes that you start yourself; leave them out with --on.")


def job_settings(options: argparse.Namespace) -> JobSettings:
    """What jobs of SLURM get."""
    given = {
        "n": getattr(options, "workers", None), "partition": options.partition, "hours": options.hours, "gpus": options.gpus,
        "cpus": options.cpus, "memory_gb": options.job_memory_gb, "more": options.slurm and tuple(options.slurm),
    }  # fmt: skip
    return JobSettings(**{name: value for name, value in given.items() if value is not None})
