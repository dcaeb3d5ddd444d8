"""A scripted user trains outlines from masks, then one network from three movies; pictured in ``docs/img``.

    xvfb-run -a -s "-screen 0 1366x1100x24" python docs/screenshots/outlines.py [STEPS]

The movies are synthetic embryos; two frames of each are painted. Clicks are real; only the dialogs of the system, which no script
can see, are answered for it. *Advanced* stays closed.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QFileDialog, QScrollArea, QWidget
from tutorial import IMG, save, settle, wait

from anlage import AddRegion, Box, Paint, Project, Region, SyntheticMovie, embryo, write_image

SIZE = (1180, 900)
PAINTED = (0, 1)
"""Frames with masks ..."""
FAR = 4
"""... and the one that the network is tried on."""


def main() -> None:
    """Go the whole way."""
    import napari

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        viewer = napari.Viewer(show=True)
        viewer.window.resize(*SIZE)
        user = Painter(viewer, folder)
        user.bring_masks()
        user.train("train-outlines")
        user.preview()
        user.add_movies()
        user.train("train-movies")
        user.dock.session.close()
        viewer.close()


def movie_of(seed: int) -> SyntheticMovie:
    """A small embryo over time."""
    return embryo(seed, n_frames=6, shape_zyx=(16, 96, 96), n_nuclei=30)


def masks_of(movie: SyntheticMovie) -> Any:
    """Its masks (t, z, y, x), as far as somebody painted them."""
    labels = np.array(movie.labels.data)[:, 0].astype(np.int32)
    labels[[t for t in range(len(labels)) if t not in PAINTED]] = 0
    return labels


class Painter:
    """Somebody with masks, before the dock."""

    def __init__(self, viewer: Any, folder: Path) -> None:
        self.viewer, self.folder = viewer, folder
        movie = movie_of(1)
        s = movie.spacing
        place = {"scale": (60, s.z, s.y, s.x), "units": ("s", "µm", "µm", "µm"), "axis_labels": ("t", "z", "y", "x")}
        viewer.add_image(np.asarray(movie.image.data)[:, 0], name="embryo", **place)
        viewer.add_labels(masks_of(movie), name="my masks", **place)
        _, self.dock = viewer.window.add_plugin_dock_widget("anlage", "anlage")
        self.dock.session.set_folder(folder / "monday.anlage")
        viewer.dims.set_point((0, 1), (0, 8 * s.z))
        settle()
        viewer.reset_view()

    def bring_masks(self) -> None:
        """The masks are the annotation, and a box goes around them."""
        self.go_to("annotate")
        tab = self.dock.annotate
        wait(tab.nuclei.isEnabled)
        tab.nuclei.setFocus()
        QTest.keyClicks(tab.nuclei, "my masks")
        wait(lambda: self.dock.session.nuclei_layer is not None)
        self.click(tab.regions.find.button)
        wait(lambda: bool(self.dock.session.regions))

    def train(self, picture: str) -> None:
        """See what is offered, press the button, and wait for the end."""
        self.go_to("train")
        tab = self.dock.train
        wait(lambda: tab.start.button.isEnabled())
        if tab.cards.kind != "outlines" or tab.advanced.isExpanded():
            raise RuntimeError(f"the card that is chosen is {tab.cards.kind}")
        self.click(tab.length.group.button(0))
        if len(sys.argv) > 1:
            tab.general.set_value("steps", int(sys.argv[1]))
        self.top(tab.cards)
        self.keep(picture)
        before = self.dock.session.run
        self.click(tab.start.button)
        wait(lambda: self.dock.session.run is not before or tab.status.kind == "error")
        if tab.status.kind == "error":
            raise RuntimeError(tab.status.plain)
        wait(lambda: tab.watcher.state in ("finished", "failed", "stopped"))
        print(tab.status.plain, [store.stem for store in tab.watcher.run.config.stores], flush=True)
        if tab.watcher.state != "finished":
            raise RuntimeError(f"the training ended as {tab.watcher.state}: {tab.status.plain}")

    def preview(self) -> None:
        """Masks of a frame that nobody painted."""
        self.viewer.layers["my masks"].visible = False
        self.viewer.dims.set_point(0, FAR * 60)
        self.go_to("predict")
        tab = self.dock.predict
        wait(lambda: tab.preview.button.isEnabled())
        self.click(tab.preview.button)
        wait(lambda: not tab.cancel.isVisibleTo(tab) and tab.status.plain.startswith("Frame"))
        settle()
        print(tab.status.plain, [layer.name for layer in self.viewer.layers], flush=True)
        self.keep("outlines-preview")

    def add_movies(self) -> None:
        """Two more movies of other days, each a project of its own."""
        for day, seed in (("tuesday", 2), ("wednesday", 3)):
            write_project(self.folder / "other days" / f"{day}.anlage", movie_of(seed))
        self.go_to("train")
        tab = self.dock.train
        QFileDialog.getExistingDirectory = lambda *_: str(self.folder / "other days")
        self.click(tab.movies.add_project)
        wait(lambda: len(tab.movies.others) == 2)

    def go_to(self, step: str) -> None:
        """Click a tab."""
        bar = self.dock.steps
        button = next(one for one in bar.buttons if one.text().strip().lower() == step)
        self.click(button)
        settle()

    def click(self, widget: QWidget) -> None:
        """Scroll it into sight and click it."""
        area = _area(widget)
        if area is not None:
            area.ensureWidgetVisible(widget)
        settle(0.2)
        QTest.mouseClick(widget, Qt.MouseButton.LeftButton, pos=widget.rect().center())
        settle(0.2)

    def top(self, part: QWidget) -> None:
        """Scroll a tab until this part is on top."""
        area = _area(part)
        if area is not None:
            area.verticalScrollBar().setValue(part.mapTo(area.widget(), QPoint(0, 0)).y())

    def keep(self, name: str) -> None:
        """Keep the window as it is on screen."""
        settle()
        save(self.viewer.screenshot(canvas_only=False, flash=False), IMG / f"{name}.png")


def write_project(folder: Path, movie: SyntheticMovie) -> None:
    """A project as somebody else left it: masks of two frames in a box."""

    image = folder.with_suffix(".ome.zarr")
    write_image(image, np.asarray(movie.image.data), spacing=movie.spacing, interval_s=60.0)
    labels = masks_of(movie)
    shape = movie.image.shape_tzyx
    with Project.create(folder, image=image, spacing=movie.spacing, interval_s=60.0, shape_tzyx=shape) as project:
        document = project.document
        document.start_painting()
        for t in PAINTED:
            document.apply(Paint(t, (0, 0, 0), np.zeros(shape[1:], np.int32), labels[t]))
        box = Box((0, len(PAINTED)), *((0, n) for n in shape[1:]))
        document.apply(AddRegion(Region.around(document.new_region_id(), "painted", box)))


def _area(part: QWidget) -> QScrollArea | None:
    parent = part.parentWidget()
    while parent is not None and not isinstance(parent, QScrollArea):
        parent = parent.parentWidget()
    return parent


if __name__ == "__main__":
    main()
