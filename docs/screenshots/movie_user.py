"""Somebody who looks at a synthetic movie in a real viewer; what the scripts that picture such a user share."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from qtpy.QtWidgets import QScrollArea, QWidget
from tutorial import IMG, Hand, save, settle

from anlage import SyntheticMovie

__all__ = ["MovieUser"]


class MovieUser:
    """A viewer with the movie, the dock beside it, and a project.

    Parameters
    ----------
    viewer
        An empty viewer, shown.
    movie
        What is looked at.
    folder
        Where the project goes.
    name
        Of the image's layer.
    more
        About the image's layer.
    """

    def __init__(self, viewer: Any, movie: SyntheticMovie, folder: Path, name: str, **more: Any) -> None:
        self.viewer, self.movie, self.began = viewer, movie, time.monotonic()
        z, y, x = movie.spacing.zyx
        viewer.add_image(
            movie.image.read()[:, 0],
            name=name,
            scale=(300, z, y, x),
            units=("s", "µm", "µm", "µm"),
            axis_labels=tuple("tzyx"),
            **more,
        )
        _, self.dock = viewer.window.add_plugin_dock_widget("anlage", "anlage")
        self.session = self.dock.session
        self.session.set_folder(folder / "embryo.anlage")
        self.session.set_diameter(8.0)
        self.hand = Hand(viewer, self.session, self.dock)
        settle()
        viewer.reset_view()

    def picture(self, name: str, part: QWidget | None = None) -> None:
        """Keep what is on screen, with this part of a tab in sight."""
        if part is not None:
            settle(0.3)
            area = _area(part)
            area.verticalScrollBar().setValue(part.mapTo(area.widget(), part.rect().topLeft()).y() - 6)
        settle()
        save(self.viewer.screenshot(canvas_only=False, flash=False), IMG / f"{name}.png")
        print(f"{time.monotonic() - self.began:5.0f} s  {name}", flush=True)


def _area(part: QWidget) -> QScrollArea:
    parent = part.parentWidget()
    while not isinstance(parent, QScrollArea):
        parent = parent.parentWidget()
    return parent
