"""What a process that somebody else's scheduler started does: run the command that was given, as one of many."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from anlage.cli.interruption import HALTED
from anlage.errors import AnlageError

__all__ = ["Order", "is_written_since", "take_part"]

_VALUES = frozenset(("--on", "--workers", "--scheduler", "--partition", "--hours", "--gpus", "--cpus", "--job-memory-gb", "--slurm", "--progress"))  # fmt: skip
"""Options that say where to compute, each with a value: they are not handed on."""


@dataclass(frozen=True, slots=True)
class Order:
    """A command that other processes run.

    Parameters
    ----------
    arguments
        As typed, without where to compute.
    folder
        In which it was typed: paths may be relative to it.
    """

    arguments: tuple[str, ...]
    folder: str

    @classmethod
    def shared(cls, words: Sequence[str], submitted: Path) -> Self:
        """A command that many processes run together, from the words that were typed.

        Parameters
        ----------
        words
            Command and options.
        submitted
            A file that was made when it was submitted. An output that is newer is the one that was asked for.
        """
        handed_on: list[str] = []
        rest = iter(words)
        for word in rest:
            if word.split("=")[0] in _VALUES:
                if "=" not in word:
                    next(rest, None)
                continue
            handed_on.append(word)
        return cls((*handed_on, "--submitted", str(submitted.resolve()), "--progress", "json"), str(Path.cwd()))


def take_part(order: Order) -> int:
    """Run the command in this process, until it ends or a stop is asked for; gives its exit code.

    Raises
    ------
    AnlageError
        What would be said in a terminal, and if the command ended otherwise than it should.
    """
    from anlage.cli import run_command, set_up_process  # this module is imported by commands of the command line

    set_up_process()
    with contextlib.chdir(order.folder):
        code = run_command(order.arguments)
    if code not in (0, HALTED):
        raise AnlageError(f"`anlage {' '.join(order.arguments)}` ended with {code}.")
    return code


def is_written_since(output: Path, submitted: Path | None) -> bool:
    """Whether an output was written after an order, by the file server's clock."""
    if submitted is None:
        return False
    try:
        return output.stat().st_mtime >= submitted.stat().st_mtime
    except OSError:
        return False
