"""A scripted user looks through the models of the program and of a lab, and takes one; pictured in ``docs/img``.

    xvfb-run -a -s "-screen 0 1280x720x24" python docs/screenshots/models.py

Clicks are real; only the dialog of the system, which no script can see, is answered for it.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtGui import QImage
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QFileDialog
from tutorial import IMG, save, settle

from anlage import embryo, starter_path

SIZE = (1180, 700)


def main() -> None:
    """Browse, add a folder, show a card, use the model."""
    import napari

    movie = embryo(3, 4, (12, 72, 72), n_nuclei=16)
    with tempfile.TemporaryDirectory() as name:
        lab = Path(name) / "lab"
        lab.mkdir()
        shutil.copy(starter_path(), lab / "zebrafish-2026.anlage")
        shutil.copy(starter_path(outlines=True), lab / "organoid-masks.anlage")
        viewer = napari.Viewer(show=True)
        viewer.window.resize(*SIZE)
        _, dock = viewer.window.add_plugin_dock_widget("anlage", "anlage")
        about = {"units": ("s", "µm", "µm", "µm"), "axis_labels": tuple("tzyx")}
        viewer.add_image(movie.image.read()[:, 0], name="embryo", scale=(300, *movie.spacing.zyx), **about)
        dock.session.set_folder(Path(name) / "embryo.anlage")
        dock.go_to("predict")
        settle()
        browse(dock.predict.models, lab)
        print(dock.predict.models.choice.path)
        dock.session.close()
        viewer.close()


def browse(panel: Any, lab: Path) -> None:
    """Click as a user does."""
    QFileDialog.getExistingDirectory = lambda *_: str(lab)
    click(panel.browse)
    catalogue = panel.catalogue
    click(catalogue.folder)
    line = catalogue.tree.topLevelItem(2).child(0)
    place = catalogue.tree.visualItemRect(line).center()
    QTest.mouseClick(catalogue.tree.viewport(), Qt.MouseButton.LeftButton, pos=place)
    click(catalogue.show_card)
    shown = catalogue.grab().toImage().convertToFormat(QImage.Format.Format_RGB888)
    rows = np.frombuffer(shown.constBits().asarray(shown.sizeInBytes()), np.uint8).reshape(shown.height(), -1)
    save(rows[:, : 3 * shown.width()].reshape(shown.height(), shown.width(), 3), IMG / "models.png")
    click(catalogue.use)


def click(button: Any) -> None:
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    settle(0.3)


if __name__ == "__main__":
    main()
