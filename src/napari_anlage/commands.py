"""Menu entries."""

from __future__ import annotations

import napari

__all__ = ["open_dock"]


def open_dock(viewer: napari.Viewer) -> None:
    """Open the dock, or bring it to the front."""
    viewer.window.add_plugin_dock_widget("anlage", "anlage")
