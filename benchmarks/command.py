"""The command line, as the benchmarks use it: in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path


def anlage(*words: object) -> str:
    """What a command prints; the benchmark ends where the command fails."""
    command = [sys.executable, "-m", "anlage", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout}\n{done.stderr}")
    return done.stdout


class RefusedError(Exception):
    """A command said what is wrong, and did nothing."""


def timed(*words: object) -> float:
    """Seconds of CPU (user and system, of all its processes) that a command of Python takes on one thread.

    Raises
    ------
    RefusedError
        If it refuses what it was asked for, with its last line. The benchmark ends where it fails otherwise.
    """
    command = [sys.executable, *map(str, words)]
    with tempfile.TemporaryDirectory() as folder:
        said = Path(folder) / "said"
        with said.open("w") as log:
            child = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "OMP_NUM_THREADS": "1"})
            _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        lines = said.read_text().strip().splitlines()
    if child.returncode == 2:
        raise RefusedError(lines[-1] if lines else "")
    if child.returncode:
        sys.exit(f"{' '.join(command)}\n" + "\n".join(lines[-20:]))
    return used.ru_utime + used.ru_stime
