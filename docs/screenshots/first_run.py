"""Look at the first minutes of a new user: an empty dock, rings that fit, a first preview, at 1280 × 720.

    xvfb-run -a -s "-screen 0 1280x720x24" python docs/screenshots/first_run.py FOLDER [THEME]

With ``QT_SCALE_FACTOR=2`` and a screen of 2560 × 1440 the same at twofold scale.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

STEPS = ("data", "annotate", "train", "predict", "track", "review", "signals")


def main() -> None:
    import napari

    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as home:
        viewer = napari.Viewer(show=True)
        viewer.theme = sys.argv[2] if len(sys.argv) > 2 else "dark"
        _, dock = viewer.window.add_plugin_dock_widget("anlage", "anlage")
        dock.session.set_folder(Path(home) / "first.anlage")
        window = dock.window()
        window.resize(1280, 720)
        shoot(window, folder / "empty.png")
        viewer.open_sample("anlage", "mouse_embryo")
        viewer.dims.set_point(0, 1)
        for step in STEPS:
            dock.go_to(step)
            shoot(window, folder / f"{step}.png")
        dock.go_to("annotate")
        QTest.mouseClick(dock.annotate.mark, Qt.MouseButton.LeftButton, pos=QPoint(8, 8))
        wait(lambda: dock.session.editor is not None and dock.session.editor.radius_um is not None)
        shoot(window, folder / "rings.png")
        dock.go_to("predict")
        dock.predict.preview_here()
        wait(lambda: dock.predict.acceptance.candidates is not None)
        shoot(window, folder / "preview.png")
        viewer.close()


def shoot(window: Any, path: Path) -> None:
    """Save what is on the screen, once everything was painted."""
    for _ in range(12):
        QApplication.processEvents()
        time.sleep(0.05)
    window.screen().grabWindow(0).save(str(path))


def wait(done: Any, seconds: float = 90.0) -> None:
    end = time.monotonic() + seconds
    while not done() and time.monotonic() < end:
        QApplication.processEvents()
        time.sleep(0.02)


if __name__ == "__main__":
    main()
