"""The plugin's settings in napari's Preferences. The manifest ``napari.yaml`` holds their defaults and texts."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from napari.settings import get_plugin_settings, get_settings

__all__ = ["Preferences", "follow", "limit_memory", "prefer_reader", "read"]

_PLUGIN = "anlage"
_LIMIT = "ANLAGE_MEMORY_GB"
_PROJECTS = ("*.anlage", f"*.anlage{os.sep}")
"""Files and folders, as napari writes them."""


@dataclass(frozen=True, slots=True)
class Preferences:
    """The plugin's page of napari's Preferences.

    Parameters
    ----------
    device
        Where to train and predict: auto, cpu, cuda:0, mps.
    memory_gb
        The most memory that a training or prediction may take, in GB; None: what is free.
    autosave_minutes
        Time between two savings of the project.
    """

    device: str
    memory_gb: float | None
    autosave_minutes: int


def read() -> Preferences:
    """The preferences as they are now."""
    kept = get_plugin_settings(_PLUGIN)
    return Preferences(
        device=str(kept.computing.device),
        memory_gb=float(kept.computing.memory_gb) or None,
        autosave_minutes=int(kept.saving.autosave_minutes),
    )


def follow(changed: Callable[[], None]) -> None:
    """Call a bound method when any of them changes, for as long as its object lives."""
    kept = get_plugin_settings(_PLUGIN)
    for events in (kept.computing.events, kept.saving.events):
        events.connect(changed)


def limit_memory() -> None:
    """Hand the memory limit to the processes that are started from here on; they inherit it."""
    limit = read().memory_gb
    if limit is None:
        os.environ.pop(_LIMIT, None)
    else:
        os.environ[_LIMIT] = f"{limit:g}"


def prefer_reader() -> None:
    """Let napari open project folders that are dropped on it without asking which plugin shall read them.

    Otherwise it asks for every folder that more than one plugin may read. A choice that the user made stays.
    """
    plugins = get_settings().plugins
    missing = {pattern: _PLUGIN for pattern in _PROJECTS if pattern not in plugins.extension2reader}
    if missing:
        plugins.extension2reader = {**plugins.extension2reader, **missing}
