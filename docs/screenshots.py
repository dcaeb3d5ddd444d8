"""Make the pictures of the dock in ``docs/img``: a real viewer, a real short training, each step as a user sees it.

    xvfb-run -a -s "-screen 0 1600x1000x24" python docs/screenshots.py [STEPS]

Needs a screen (Xvfb is enough). Everything is written to a temporary project; only the pictures are kept.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

IMG = Path(__file__).with_name("img")
SIZE = (1366, 768)


def main() -> None:
    """Go through the steps and take a picture of each."""
    import napari

    steps = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    IMG.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        viewer = napari.Viewer(show=True)
        viewer.window.resize(*SIZE)
        image, _nuclei = viewer.open_sample("anlage", "embryo")
        _, dock = viewer.window.add_plugin_dock_widget("anlage", "anlage")
        dock.session.set_folder(Path(folder) / "embryo.anlage")
        viewer.layers.selection.active = image
        Steps(viewer, dock, image).take(steps)
        viewer.close()


class Steps:
    """The steps of the dock, one picture each."""

    def __init__(self, viewer: Any, dock: Any, image: Any) -> None:
        self.viewer, self.dock, self.image = viewer, dock, image

    def take(self, steps: int) -> None:
        self.show(0, frame=1)
        self.shoot("dock-data")
        self.show(1, frame=1)
        self.dock.annotate.find.button.click()
        wait(lambda: bool(self.dock.session.cuboids), 60)
        self.shoot("dock-annotate")
        self.viewer.dims.ndisplay = 3
        self.viewer.reset_view()
        self.viewer.scene.camera.angles = (8, -28, 55)
        self.viewer.scene.camera.zoom *= 0.75
        self.shoot("dock-cuboid-3d")
        self.viewer.dims.ndisplay = 2
        self.viewer.reset_view()
        self.train(steps)
        self.predict()

    def train(self, steps: int) -> None:
        train = self.dock.train
        self.show(2, frame=1)
        train.advanced.expand(animate=False)
        self.shoot("dock-train-advanced")
        train.advanced.collapse(animate=False)
        train.general.set_value("steps", steps)
        train.start.button.click()
        wait(
            lambda: len(train.watcher.curve.score) >= 4 or train.watcher.state in ("finished", "failed"),
            5 * steps + 600,
        )
        self.shoot("dock-training")
        wait(lambda: train.watcher.state in ("finished", "failed"), 10 * steps + 600)
        self.shoot("dock-trained")

    def predict(self) -> None:
        predict = self.dock.predict
        self.viewer.layers["embryo nuclei"].visible = False
        self.show(3, frame=5)
        for name, model in (("dock-preview", 0), ("dock-preview-classical", predict.model.count() - 1)):
            predict.model.setCurrentIndex(model)
            predict.preview.button.click()
            wait(lambda: not predict.cancel.isVisibleTo(predict), 300)
            self.shoot(name)

    def show(self, tab: int, frame: int) -> None:
        self.dock.tabs.setCurrentIndex(tab)
        self.viewer.dims.set_point((0, 1), self.image.data_to_world((frame, 12, 0, 0))[:2])

    def shoot(self, name: str) -> None:
        settle()
        self.viewer.screenshot(str(IMG / f"{name}.png"), canvas_only=False, flash=False)


def settle(seconds: float = 0.6) -> None:
    """Let Qt draw."""
    end = time.monotonic() + seconds
    wait(lambda: time.monotonic() > end, seconds + 5)


def wait(until: Callable[[], bool], seconds: float) -> None:
    """Let Qt work until something is so."""
    from qtpy.QtWidgets import QApplication

    end = time.monotonic() + seconds
    while not until():
        if time.monotonic() > end:
            raise TimeoutError("the step did not end in time")
        QApplication.processEvents()
        time.sleep(0.02)


if __name__ == "__main__":
    main()
