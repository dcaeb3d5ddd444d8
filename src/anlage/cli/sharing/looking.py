"""``anlage watch`` and ``anlage stop`` for a prediction, wherever its processes run."""

from __future__ import annotations

import time
from pathlib import Path

from anlage.cli.progress_bar import bar
from anlage.cli.sharing.slurm_jobs import cancel, jobs_folder
from anlage.errors import AnlageError
from anlage.inference.frame_store import PredictionParts
from anlage.sharing.claims import Crew
from anlage.wording import plural

__all__ = ["is_prediction", "stop_prediction", "watch_prediction"]

_POLL_S = 1.0
_PATIENCE_S = 30.0


def is_prediction(output: str | Path) -> bool:
    """Whether a prediction to this output has begun or was submitted, and it is no run's folder."""
    parts = PredictionParts.beside(output)
    return not (Path(output) / "run.json").exists() and (parts.folder.exists() or jobs_folder(Path(output)).exists())


def watch_prediction(output: Path) -> int:
    """Show how far it is until its output is there; returns the exit code."""
    parts, jobs = PredictionParts.beside(output), jobs_folder(output)
    shown = None
    while parts.folder.exists() or (jobs.exists() and not output.exists()):
        total, at_work = parts.n_units, Crew(parts.folder).at_work()
        if not at_work and not jobs.exists():
            raise AnlageError(
                f"Nothing predicts {output} now; {parts.n_done} of {total} frames or tiles are kept in {parts.folder}: the same command "
                "as before goes on."
            )
        if shown is None and total:
            shown = bar(total, "predicting", initial=parts.n_done)
        if shown is not None:
            shown.set_postfix_str(plural(len(at_work), "process", "processes"))
            shown.update(parts.n_done - shown.n)
        time.sleep(_POLL_S)
    if shown is not None:
        shown.close()
    print(f"{output} is written." if output.exists() else f"{output} is not there, and nothing predicts it now.")
    return 0


def stop_prediction(output: Path) -> int:
    """Ask all its processes for an end, and cancel jobs that wait; returns the exit code."""
    parts = PredictionParts.beside(output)
    cancelled = cancel(jobs_folder(output))
    if parts.is_running:
        parts.request_stop()
    until = time.monotonic() + _PATIENCE_S
    while parts.is_running and time.monotonic() < until:
        time.sleep(_POLL_S / 4)
    if parts.is_running:
        raise AnlageError(
            f"The processes that predict {output} were asked to stop, and some are still at work (on another computer they are heard of "
            "for 90 s after a sudden end)."
        )
    jobs = f" {plural(cancelled, 'job')} of SLURM cancelled." if cancelled else ""
    print(
        f"Stopped.{jobs} {parts.n_done} frames or tiles are kept in {parts.folder}; the same command as before goes on."
    )
    return 0
