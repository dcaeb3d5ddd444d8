"""Why a run failed, as one sentence with what to do, and what its log says of it.

What a trainer notices it says itself, in its last event. What ends it without a word (a kill, a crash in a library, a full
disk, a power cut) is concluded here from what it left behind. Nothing here imports torch.
"""

from __future__ import annotations

import re
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from anlage.shell import command
from anlage.training.progress import Failed, Started

if TYPE_CHECKING:
    from anlage.training.run import Run

__all__ = ["Failure", "explain", "log_tail"]

_TAIL = 30
"""Lines of the log that are shown."""
_REACH = 65536
"""Bytes at the end of the log in which they are looked for."""
_FULL_B = 2**20
"""With fewer bytes free, a disk is full."""
_REFUSED = re.compile(r"memory allocation of \d+ bytes failed")
"""What a library says before it ends the process because it got no memory."""
_CRASHES = {"SIGSEGV", "SIGBUS", "SIGILL", "SIGABRT", "SIGFPE"}


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a training ended that should not have."""

    sentence: str
    """What is wrong, the value seen, and what to do."""
    details: str
    """The last lines of the run's log; empty if it has none."""


def explain(run: Run, exit_code: int | None) -> Failure:
    """Say why a run that has failed did so.

    Parameters
    ----------
    run
        The run, known to have failed.
    exit_code
        That of its trainer, negative the signal that ended it; None where it is not known, since another process started it.
    """
    details = log_tail(run.log_path, _TAIL)
    last = run.last_event
    if isinstance(last, Failed):
        return Failure(last.text, details)
    return Failure(_concluded(run, exit_code, details), details)


def log_tail(path: Path, lines: int) -> str:
    """The last lines of a log that say something; of a progress bar its last state."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - _REACH))
            text = file.read().decode("utf-8", errors="replace")
    except (FileNotFoundError, IsADirectoryError):
        return ""
    said = [line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n")]
    return "\n".join([line for line in said if line.strip()][-lines:])


def _concluded(run: Run, exit_code: int | None, details: str) -> str:
    step = run.saved_step()
    where = f"after step {step}" if run.has_checkpoint else "before its first checkpoint"
    on = f"continue with `{command('resume', run.path)}`"
    name = _signal(exit_code)
    began = max((event.time for event in run.events()[0] if isinstance(event, Started)), default=0.0)
    complaint = details.rpartition("\n")[2]
    # said on the terminal, before there was an event to say it in; not by an earlier trainer
    if complaint.startswith("anlage: ") and run.log_path.stat().st_mtime >= began:
        return complaint.removeprefix("anlage: ")
    if name != "SIGKILL" and (free := _free(run.path)) < _FULL_B:
        return (
            f"The disk is full ({free / 1e6:.1f} MB are free at {run.path}), so the training ended {where}; free some space, "
            f"then {on}."
        )
    if 0 < began < _booted() - 60:
        return f"The computer was switched off or restarted while the training was under way, {where}; {on}."
    if name == "SIGABRT" and (refused := _REFUSED.search(details)):
        return (
            f"Memory ran out {where} ({refused[0]}, {_free_memory_gb():.1f} GB are free now): close other programs, then {on}, or "
            "train anew with a smaller batch_size."
        )
    if name == "SIGKILL":
        return (
            f"The training was killed from outside (signal 9) {where}, mostly because the computer's memory ran out "
            f"({_free_memory_gb():.1f} GB are free now): close other programs, then {on}, or train anew with a smaller batch_size."
        )
    if name in _CRASHES:
        return (
            f"The training crashed in one of its libraries ({name}) {where}; {on}, and if it happens again see what "
            "`anlage doctor` says and bring torch and the graphics driver up to date."
        )
    ended = f"The training ended {where} without a word" + (
        f" ({name or f'exit code {exit_code}'})" if exit_code else ""
    )
    return (
        f"{ended}; the computer's memory may have run out ({_free_memory_gb():.1f} GB are free now), or somebody ended the "
        f"process: {on}."
    )


def _signal(exit_code: int | None) -> str:
    if exit_code is None or exit_code >= 0:
        return ""
    try:
        return signal.Signals(-exit_code).name
    except ValueError:
        return f"signal {-exit_code}"


def _free(folder: Path) -> float:
    return shutil.disk_usage(folder).free


def _free_memory_gb() -> float:
    from anlage.devices import processor

    return processor().free_gb


def _booted() -> float:
    """When the computer was started, in seconds since 1970."""
    import psutil

    return psutil.boot_time()
