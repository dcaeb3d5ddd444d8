"""``--on slurm``: the same command as an array of jobs, submitted by submitit."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from anlage.cli.sharing.places import JobSettings
from anlage.cli.sharing.taking_part import Order, take_part
from anlage.errors import AnlageError
from anlage.io.atomic import own, replacing

__all__ = ["Submission", "cancel", "jobs_folder", "submit"]

CLUSTER = "slurm"
"""The executor of submitit that is used; ``local`` runs the same jobs as processes of this computer."""
_IDS = "jobs.json"


@dataclass(frozen=True, slots=True)
class Submission:
    """Jobs that were submitted.

    Parameters
    ----------
    ids
        One for each.
    script
        What was given to sbatch; empty where there was none.
    """

    ids: tuple[str, ...]
    script: str

    @property
    def settings(self) -> list[str]:
        """What the scheduler was asked for, line by line."""
        return [line for line in self.script.splitlines() if line.startswith("#SBATCH")]


def jobs_folder(output: Path) -> Path:
    """Where the logs of an output's jobs are."""
    return output.with_name(f"{output.name}.jobs")


def submit(order: Order, settings: JobSettings, folder: Path) -> Submission:
    """Submit an array of jobs.

    Parameters
    ----------
    order
        What each does.
    settings
        What each gets.
    folder
        For scripts, logs and numbers.

    Raises
    ------
    AnlageError
        If submitit or SLURM is missing, or sbatch refuses.
    """
    try:
        import submitit  # an extra, which few have
    except ImportError as error:
        raise AnlageError("submitit is not installed: `pip install 'anlage[cluster]'`.") from error
    if CLUSTER == "slurm" and shutil.which("sbatch") is None:
        raise AnlageError(
            "There is no `sbatch` here: run the command on a computer from which SLURM jobs are submitted."
        )
    executor = submitit.AutoExecutor(folder=folder, cluster=CLUSTER)
    try:
        executor.update_parameters(**settings.parameters())
        jobs = executor.map_array(take_part, [order] * settings.n)
    except (submitit.core.utils.FailedJobError, submitit.core.utils.FailedSubmissionError) as error:
        raise AnlageError(f"SLURM refused the jobs: {' '.join(str(error).split())[-300:]}") from error
    ids = tuple(job.job_id for job in jobs)
    with replacing(folder / _IDS, own) as temporary:
        temporary.write_text(json.dumps({"cluster": CLUSTER, "ids": [*_ids(folder), *ids]}), encoding="utf-8")
    script = jobs[0].paths.submission_file
    return Submission(ids, script.read_text(encoding="utf-8") if script.exists() else "")


def cancel(folder: Path) -> int:
    """Cancel the jobs that were submitted, running and waiting ones; gives how many were told so."""
    ids = _ids(folder)
    if not ids or shutil.which("scancel") is None:
        return 0
    subprocess.run(["scancel", *ids], check=False, capture_output=True)
    return len(ids)


def _ids(folder: Path) -> list[str]:
    """Jobs of SLURM that were submitted from here."""
    try:
        told = json.loads((folder / _IDS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return [str(one) for one in told.get("ids", [])] if told.get("cluster") == "slurm" else []
