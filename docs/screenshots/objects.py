"""Pictures of outlining objects, measuring them and checking labels, in a real viewer: ``docs/img/outlines*.png``, ``objects*.png``.

    xvfb-run -a -s "-screen 0 1366x900x24" python docs/screenshots/objects.py [FOLDER] [MODEL]

MODEL outlines nuclei; without it one is trained first, from the labels of another embryo, which takes a while.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from qtpy.QtWidgets import QScrollArea, QWidget
from tutorial import IMG, save, settle, wait

from anlage import Box, Spacing, SyntheticMovie, build_store, embryo

SEED, LEARNT = 3, 4
"""The embryo that is looked at, and the one that the model learns from."""
STEPS = 300
SPACING = Spacing(1.5, 0.6, 0.6)


def main() -> None:
    """Outlines, tuned and compared; objects, measured and shown; labels, checked."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else IMG
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        model = Path(sys.argv[2]) if len(sys.argv) > 2 else trained(Path(scratch))
        outlines(folder, model, Path(scratch))
    objects(folder)


def trained(scratch: Path) -> Path:
    """A model that learnt to outline nuclei from the painted labels of another embryo."""
    movie = scene(LEARNT)
    whole = Box.whole(movie.image.shape_tzyx)
    build_store(scratch / "painted.zarr", movie.image, movie.labelled_truth, cuboid=whole, diameter_um=8.0)
    words = ["train", "nuclei", "painted.zarr", "-o", "run", "--set", "head=instances", f"steps={STEPS}"]
    subprocess.run([sys.executable, "-m", "anlage", *words], cwd=scratch, check=True)
    return scratch / "run" / "run.anlage"


def outlines(folder: Path, model: Path, scratch: Path) -> None:
    """Preview a model that paints, tune it, and look at what it outlines worst."""
    import napari

    movie = scene(SEED)
    viewer = napari.Viewer(show=True)
    viewer.window.resize(1180, 880)
    about: dict[str, Any] = {"scale": SPACING.zyx, "units": ("µm",) * 3, "axis_labels": ("z", "y", "x")}
    viewer.add_image(movie.image.frame(0)[0], name="embryo", **about)
    viewer.add_labels(movie.labels.frame(0)[0].astype(np.uint16), name="painted", visible=False, **about)
    _, dock = viewer.window.add_plugin_dock_widget("anlage", "anlage")
    dock.session.set_folder(scratch / "embryo.anlage")
    dock.go_to("predict")
    tab = dock.predict
    tab.models.add(model)
    settle()
    viewer.reset_view()
    viewer.dims.set_point(0, 14 * SPACING.z)

    tab.preview.button.click()
    wait(lambda: tab.labels.part is not None or tab.status.kind == "error")
    print(tab.status.plain, tab.labels.status.plain)
    seen(viewer, tab.preview, folder / "outlines.png")
    tab.labels.contour.click()
    tab.labels.inside.spin.setValue(0.3)
    wait(lambda: not tab.labels.busy)
    print(tab.labels.status.plain)
    tab.labels.inside.back.click()
    wait(lambda: not tab.labels.busy)
    tab.worst.compare.button.click()
    wait(lambda: tab.worst.list.count() > 0 or tab.worst.status.kind == "error")
    print(tab.worst.status.plain)
    tab.worst.list.itemClicked.emit(tab.worst.list.item(0))
    seen(viewer, tab.labels, folder / "outlines-worst.png")
    dock.session.close()
    viewer.close()


def seen(viewer: Any, top: QWidget, path: Path) -> None:
    """Keep what is on screen, with this part of the tab on top."""
    settle(0.5)
    area = top.parentWidget()
    while not isinstance(area, QScrollArea):
        area = area.parentWidget()
    area.verticalScrollBar().setValue(top.mapTo(area.widget(), top.rect().topLeft()).y() - 6)
    settle()
    save(viewer.screenshot(canvas_only=False, flash=False), path)


def objects(folder: Path) -> None:
    """Measure, go to an object, show surfaces, check faulty labels; a picture of each."""
    import napari

    movie = scene(SEED)
    image, labels = movie.image.frame(0)[0], movie.labels.frame(0)[0].astype(np.uint16)
    viewer = napari.Viewer(show=True)
    viewer.window.resize(1180, 768)
    about: dict[str, Any] = {"scale": SPACING.zyx, "units": ("µm",) * 3, "axis_labels": ("z", "y", "x")}
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


def scene(seed: int) -> SyntheticMovie:
    """An embryo of one frame, with its nuclei as labels."""
    return embryo(seed=seed, n_frames=1, shape_zyx=(28, 120, 120), spacing=SPACING, n_nuclei=45)


if __name__ == "__main__":
    main()
