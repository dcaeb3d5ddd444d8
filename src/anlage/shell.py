"""Shell commands to copy, with every path quoted."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

__all__ = ["command", "shell_line"]


def command(*words: str | Path) -> str:
    """``anlage`` with these words, for a shell of this system.

    A path that begins with ``-`` would be taken for an option, so it is written from the current folder on.
    """
    return shell_line(["anlage", *(_path(word) if isinstance(word, Path) else word for word in words)])


def shell_line(words: Sequence[str | Path]) -> str:
    """Words as one line for a shell of this system, each quoted where it needs to be."""
    texts = [str(word) for word in words]
    return subprocess.list2cmdline(texts) if os.name == "nt" else shlex.join(texts)


def _path(path: Path) -> str:
    return f"./{path}" if str(path).startswith("-") else str(path)
