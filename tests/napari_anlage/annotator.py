"""A napari of its own, in which somebody annotates without end until it is killed: ``annotator.py IMAGE PROJECT``.

Prints one line of JSON for each edit that is done.
"""

from __future__ import annotations

import json
import sys
import time

import napari
import numpy as np

from anlage import Box, open_image
from napari_anlage.session.session import Session
from napari_anlage.viewer.open_movie import add_image


def say(**what: object) -> None:
    """One line at once."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def main(image: str, folder: str) -> None:
    """Annotate."""
    from pathlib import Path

    viewer = napari.Viewer(show=True)
    viewer.window.resize(800, 560)  # a software renderer takes long for a large one
    viewer.window.add_plugin_dock_widget("anlage", "anlage")
    session = Session.of(viewer)
    session.choose_image(add_image(viewer, open_image(image), Path(image)))
    session.set_folder(Path(folder))
    editor = session.need_editor()
    nuclei, labels = editor.show_nuclei(), editor.show_labels()
    labels.brush_size = 4
    session.bench.add_region(Box.of((0, 1, 2, 3), (3, 8, 30, 40)))
    rng = np.random.default_rng(0)
    app = napari.qt.get_qapp()
    done = 0
    while True:
        t = done % 4
        kind = done % 5
        if kind < 3:
            nuclei.add(editor.place.to_points(np.array([t, *rng.uniform(1, 10, 3).round(2)])))
        elif kind == 3:
            labels.paint((t, int(rng.integers(0, 8)), *rng.integers(5, 35, 2)), int(rng.integers(1, 9)))
        else:
            session.bench.keys.gestures.actions.undo() if done % 10 == 4 else editor.document.redo()
        done += 1
        app.processEvents()
        document = editor.document
        say(
            done=done, ids=document.nuclei.ids.tolist(), positions=document.nuclei.positions.tolist(),
            links=document.nuclei.links.tolist(), label=document.nuclei.label.tolist(),
            painted=int(np.asarray(labels.data[:]).astype(np.int64).sum()),
        )  # fmt: skip
        time.sleep(0.002)


if __name__ == "__main__":
    main(*sys.argv[1:])
