"""Which process this is, in words that another process, perhaps on another computer, can check."""

from __future__ import annotations

import os
import platform
from typing import Literal

__all__ = ["ProcessState", "process_state", "process_words", "this_process"]

_SAME_S = 2.0
"""Seconds by which two readings of a process's start time may differ."""

ProcessState = Literal["alive", "gone", "unknown"]


def this_process() -> str:
    """Number, when it began, and on which computer: ``4711 1764590000.12 node 4026531836``."""
    return f"{os.getpid()} {_began(os.getpid())} {_computer()}"


def process_state(words: str) -> ProcessState:
    """Whether the process of `this_process` still lives; unknown of another computer's, or where the words say something else."""
    parts = words.split(maxsplit=2)
    if len(parts) < 3 or parts[2] != _computer():
        return "unknown"
    try:
        number, began = int(parts[0]), float(parts[1])
    except ValueError:
        return "unknown"
    now = _began(number)
    if now is None:
        return "gone"
    # another one that was given the number of a dead one, or a clock that was set
    return "alive" if abs(now - began) <= _SAME_S else "unknown"


def process_words(words: str) -> str:
    """``process 4711 on node``, for a sentence."""
    parts = words.split()
    return f"process {parts[0]} on {parts[2]}" if len(parts) > 2 and parts[0].isdecimal() else "another process"


def _began(number: int) -> float | None:
    """When a process began, in seconds since 1970; None of one that is no more."""
    import psutil  # loads slowly, and few commands ask

    try:
        process = psutil.Process(number)
        return None if process.status() == psutil.STATUS_ZOMBIE else float(process.create_time())
    except (psutil.NoSuchProcess, OverflowError, ValueError):
        return None
    except psutil.AccessDenied:
        return -1.0


def _computer() -> str:
    """Name of this computer, and of the container in which process numbers count."""
    try:
        container = os.stat("/proc/self/ns/pid").st_ino  # noqa: PTH116 (a link that leads to no path)
    except OSError:
        container = 0
    return f"{platform.node()} {container}"
