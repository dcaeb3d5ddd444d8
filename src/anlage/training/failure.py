"""Why a run failed, as one sentence with what to do, and the last lines of its log.

What a trainer notices it reports itself, in its last event. What ends it without a word (a kill, a crash in a library, a full
disk, a power cut) is concluded here from what it left behind. Nothing here imports torch.
"""

from __future__ import annotations

import re
import shutil
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from anlage.devices import processor
from anlage.full_disk import full_disk_sentence
from anlage.shell import command
from anlage.training.progress import Event, Failed, Started, saved_step

__all__ = ["Failure", "explain"]

_TAIL = 30
"""Lines of the log that are shown."""
_REACH = 65536
"""Bytes at the end of the log in which they are looked for."""
_FULL_B = 2**20
"""With fewer bytes free, a disk is full."""
_REFUSED = re.compile(r"memory allocation of \d+ bytes failed")
"""What a library prints before it ends the process because it got no memory."""
_CRASHES = {"SIGSEGV", "SIGBUS", "SIGILL", "SIGABRT", "SIGFPE"}


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a training ended that should not have."""

    sentence: str
    """What is wrong, the value seen, and what to do."""
    details: str
    """The last lines of the run's log; empty if it has none."""


def explain(
    folder: Path, log: Path, events: Sequence[Event], exit_code: int | None, *, has_checkpoint: bool
) -> Failure:
    """Say why a run that has failed did so.

    Parameters
    ----------
    folder
        Of the run, known to have failed.
    log
        Its log file.
    events
        All that its trainers reported.
    exit_code
        That of its trainer, negative the signal that ended it; None where it is not known, since another process started it.
    has_checkpoint
        Whether there is anything to go on from.
    """
    details = _log_tail(log)
    if events and isinstance(events[-1], Failed):
        return Failure(events[-1].text, details)
    began = max((event.time for event in events if isinstance(event, Started)), default=0.0)
    complaint = details.rpartition("\n")[2]
    # printed before there was an event log to write it to; not by an earlier trainer
    if complaint.startswith("anlage: ") and log.stat().st_mtime >= began:
        return Failure(complaint.removeprefix("anlage: "), details)
    where = f"after step {saved_step(events)}" if has_checkpoint else "before its first checkpoint"
    return Failure(_concluded(folder, where, began, exit_code, details), details)


def _log_tail(path: Path) -> str:
    """The last lines of a log that are not empty; of a progress bar its last state."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - _REACH))
            text = file.read().decode("utf-8", errors="replace")
    except (FileNotFoundError, IsADirectoryError):
        return ""
    shown = [line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n")]
    return "\n".join([line for line in shown if line.strip()][-_TAIL:])


def _concluded(folder: Path, where: str, began: float, exit_code: int | None, details: str) -> str:
    """What ended a training without a word, by what it left behind: the exit code, the log's end and the free space."""
    on = f"continue with `{command('resume', folder)}`"
    name = _signal(exit_code)
    if name != "SIGKILL" and (free := _free(folder)) < _FULL_B:
        found = f"({free / 1e6:.1f} MB are free at {folder}), so the training ended {where}"
        return full_disk_sentence(found, f", then {on}")
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
    return processor().free_gb


def _booted() -> float:
    """When the computer was started, in seconds since 1970."""
    return psutil.boot_time()
