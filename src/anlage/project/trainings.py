"""The trainings of a project."""

from __future__ import annotations

import contextlib
from pathlib import Path

from anlage.errors import AnlageError
from anlage.training.run import Run

__all__ = ["runs_in"]


def runs_in(folder: Path) -> tuple[Run, ...]:
    """The runs in a folder, the newest first; what cannot be read as a run is left out."""
    found = []
    for path in folder.glob("*/run.json"):
        with contextlib.suppress(AnlageError):
            found.append(Run.open(path.parent))
    return tuple(sorted(found, key=lambda run: (run.config.created, run.name), reverse=True))
