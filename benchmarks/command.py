"""The command line, as the benchmarks use it: in a process of its own."""

from __future__ import annotations

import subprocess
import sys


def anlage(*words: object) -> str:
    """What a command prints; the benchmark ends where the command fails."""
    command = [sys.executable, "-m", "anlage", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout}\n{done.stderr}")
    return done.stdout
