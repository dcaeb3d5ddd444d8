"""Pictures of measuring objects and of checking labels, in a real viewer: ``docs/img/objects*.png``.

xvfb-run -a -s "-screen 0 1366x768x24" python docs/screenshots_objects.py [FOLDER]
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from qtpy.QtWidgets import QApplication

from anlage import Spacing, embryo

IMG = Path(__file__).with_name("img")
SECONDS = 600


def main() -> None:
    """Measure, go to an object, show surfaces, check faulty labels; a picture of each."""
    import napari

    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else IMG
    folder.mkdir(parents=True, exist_ok=True)
    image, labels = scene()
    viewer = napari.Viewer(show=True)
    viewer.window.resize(1180, 768)
    about: dict[str, Any] = {"scale": (1.5, 0.6, 0.6), "units": ("µm",) * 3, "axis_labels": ("z", "y", "x")}
    viewer.add_image(image, name="embryo", **about)
    viewer.add_labels(labels, name="nuclei", opacity=0.45, **about)
    _, host = viewer.window.add_plugin_dock_widget("anlage", "Measure objects")
    panel = host.tab

    def picture(name: str) -> None:
        settle()
        viewer.screenshot(str(folder / f"{name}.png"), canvas_only=False, flash=False)

    panel.measure.button.click()
    wait(lambda: panel.measure.button.isEnabled())
    panel.view.sortByColumn(1, panel.view.horizontalHeader().sortIndicatorOrder().DescendingOrder)
    panel.view.selectRow(2)
    picture("objects-table")
    viewer.dims.ndisplay = 3
    panel.surfaces.click()
    wait(lambda: panel.measure.button.isEnabled())
    viewer.layers["nuclei"].visible = viewer.layers["embryo"].visible = False
    viewer.reset_view()
    viewer.scene.camera.angles = (20, 25, 140)
    picture("objects-surfaces")
    viewer.window.remove_dock_widget(host)
    viewer.dims.ndisplay = 2
    viewer.layers.remove("nuclei: surfaces")
    viewer.layers["nuclei"].data = spoilt(labels)
    for name in ("nuclei", "embryo"):
        viewer.layers[name].visible = True
    viewer.reset_view()
    _, host = viewer.window.add_plugin_dock_widget("anlage", "Annotate nuclei")
    check = host.tab.labels
    check.check.button.click()
    wait(lambda: check.check.button.isEnabled())
    check.list.itemClicked.emit(check.list.item(1))
    picture("objects-check")
    viewer.close()


def spoilt(labels: np.ndarray) -> np.ndarray:
    """The labels with a number on two objects, an object with two numbers, and a crumb."""
    wrong = labels.copy()
    values = np.unique(labels)[1:]
    wrong[labels == values[3]] = values[0]
    middle = int(np.argwhere(labels == values[5])[:, 0].mean())
    wrong[middle:][labels[middle:] == values[5]] = 900
    wrong[2, 4:6, 4:6] = values[6]
    return wrong


def wait(over: Callable[[], bool]) -> None:
    """Let the window live until something is over."""
    end = time.monotonic() + SECONDS
    settle()
    while not over() and time.monotonic() < end:
        QApplication.processEvents()
        time.sleep(0.02)
    settle()


def scene() -> tuple[np.ndarray, np.ndarray]:
    """An image (z, y, x) of an embryo, and its nuclei as labels."""
    movie = embryo(seed=3, n_frames=1, shape_zyx=(28, 120, 120), spacing=Spacing(1.5, 0.6, 0.6), n_nuclei=45)
    return movie.image.frame(0)[0], movie.labels.frame(0)[0].astype(np.uint16)


def settle() -> None:
    """Let Qt draw."""
    end = time.monotonic() + 1.5
    while time.monotonic() < end:
        QApplication.processEvents()
        time.sleep(0.02)


if __name__ == "__main__":
    main()
