"""The menu commands of the manifest: each opens the dock or one of its tabs."""

from __future__ import annotations

import napari

__all__ = [
    "open_annotate",
    "open_channels",
    "open_cuboid",
    "open_dock",
    "open_lineages",
    "open_objects",
    "open_predict",
    "open_review",
    "open_signals",
    "open_track",
    "open_train",
]


def open_dock(viewer: napari.Viewer) -> None:
    """Open the dock with all steps."""
    _open(viewer, "anlage")


def open_annotate(viewer: napari.Viewer) -> None:
    """Open the annotation alone."""
    _open(viewer, "Annotate nuclei")


def open_cuboid(viewer: napari.Viewer) -> None:
    """Open the search for the annotated cuboid alone."""
    _open(viewer, "Find annotated cuboid")


def open_channels(viewer: napari.Viewer) -> None:
    """Open the choice of channels alone."""
    _open(viewer, "Choose channels")


def open_train(viewer: napari.Viewer) -> None:
    """Open the training alone."""
    _open(viewer, "Train networks")


def open_predict(viewer: napari.Viewer) -> None:
    """Open the prediction alone."""
    _open(viewer, "Predict nuclei")


def open_objects(viewer: napari.Viewer) -> None:
    """Open the measuring of objects alone."""
    _open(viewer, "Measure objects")


def open_track(viewer: napari.Viewer) -> None:
    """Open the tracking alone."""
    _open(viewer, "Track nuclei")


def open_review(viewer: napari.Viewer) -> None:
    """Open the review of tracks alone."""
    _open(viewer, "Review tracks")


def open_signals(viewer: napari.Viewer) -> None:
    """Open signals and events alone."""
    _open(viewer, "Signals and events")


def open_lineages(viewer: napari.Viewer) -> None:
    """Open the lineage tree below the image."""
    from napari_anlage.lineage.panel import open_lineage

    open_lineage(viewer)


def _open(viewer: napari.Viewer, widget: str) -> None:
    viewer.window.add_plugin_dock_widget("anlage", widget)
