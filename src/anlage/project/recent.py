"""The recently opened projects, in the user's settings folder."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from pathlib import Path

from anlage.errors import AnlageError
from anlage.io.atomic import own, replacing
from anlage.project.folder import PROJECT

__all__ = ["note_recent", "recent_projects", "settings_folder"]

_FILE = "recent-projects.json"
_MOST = 50
_LARGEST = 1_000_000
"""Bytes; a longer list is none of ours."""


def settings_folder() -> Path:
    """The user's own settings of anlage: where ``ANLAGE_SETTINGS`` says, else where the system keeps such things."""
    given = os.environ.get("ANLAGE_SETTINGS")
    if given:
        return Path(given)
    if sys.platform == "win32":
        return Path(os.environ.get("APPDATA") or Path.home() / "AppData" / "Roaming") / "anlage"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "anlage"
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "anlage"


def recent_projects() -> tuple[Path, ...]:
    """Project folders that are still there, the one that was open last first."""
    return tuple(place for place in _kept() if (place / PROJECT).is_file())


def note_recent(folder: Path) -> None:
    """A project was opened. A settings folder that cannot be written is no reason not to work."""
    place = folder.resolve()
    kept = [place, *(other for other in _kept() if other != place)][:_MOST]
    file = settings_folder() / _FILE
    with contextlib.suppress(OSError, AnlageError):
        file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(file, own) as temporary:
            temporary.write_text(json.dumps([other.as_posix() for other in kept], indent=1), encoding="utf-8")


def _kept() -> list[Path]:
    file = settings_folder() / _FILE
    try:
        if file.stat().st_size > _LARGEST:
            return []
        found = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return []
    texts = [text for text in found if isinstance(text, str) and "\0" not in text] if isinstance(found, list) else []
    return [Path(text) for text in texts[:_MOST] if Path(text).is_absolute()]
