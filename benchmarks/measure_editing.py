"""How long an edit takes until it is seen, with many nuclei, in a real viewer: ``python benchmarks/measure_editing.py [N]``.

Each edit is done through the layers or the keys as a user does it; the clock stops when the canvas has been drawn. Needs
a display (``xvfb-run -a python benchmarks/measure_editing.py`` without one); software rendering is the slowest case.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import napari
import numpy as np

from anlage import AddLinks, AddNuclei
from napari_anlage.session.session import Session

N_FRAMES, SHAPE_ZYX, REPEATS = 100, (32, 256, 256), 15


class Bench:
    """A real viewer with many linked nuclei, and a clock."""

    def __init__(self, n: int) -> None:
        self.viewer = napari.Viewer(show=True)
        self.app = napari.qt.get_qapp()
        rng = np.random.default_rng(0)
        frame = rng.integers(90, 160, (1, *SHAPE_ZYX), dtype=np.uint8)
        movie = np.broadcast_to(frame, (N_FRAMES, *SHAPE_ZYX))
        image = self.viewer.add_image(
            movie, name="movie", scale=(60, 2, 0.5, 0.5), axis_labels=tuple("tzyx"), units=("s", "µm", "µm", "µm")
        )
        self.session = Session.of(self.viewer)
        self.session.choose_image(image)
        self.session.set_folder(Path(tempfile.mkdtemp()) / "many.anlage")
        self.editor = self.session.need_editor()
        self.each = n // N_FRAMES
        start = rng.uniform((2, 8, 8), np.array(SHAPE_ZYX) - (3, 9, 9), (self.each, 3))
        drift = np.cumsum(rng.normal(0, 0.3, (N_FRAMES, self.each, 3)), axis=0).reshape(-1, 3)
        places = np.clip(np.tile(start, (N_FRAMES, 1)) + drift, 0, np.array(SHAPE_ZYX) - 1)
        t = np.repeat(np.arange(N_FRAMES), self.each)
        self.ids = np.arange(1, len(t) + 1)
        document = self.editor.document
        document.apply(AddNuclei(self.ids, np.column_stack([t, places]), radius_um=4.0))
        document.apply(AddLinks(np.column_stack([self.ids[: -self.each], self.ids[self.each :]])))
        self.layer = self.editor.show_nuclei()
        self.viewer.layers.selection.active = self.layer
        self.editor.place.show_frame(self.viewer, 50)
        self.viewer.dims.set_point(1, 30.0)
        self.app.processEvents()
        self.viewer.screenshot(flash=False)

    def measure(
        self, name: str, edit: Callable[[int], object], prepare: Callable[[int], object] = lambda i: None
    ) -> None:
        """Do it again and again, and print the median time until it is seen; to `prepare` takes no time."""
        times, calls, busy = [], [], []
        for i in range(REPEATS):
            prepare(i)
            self.app.processEvents()
            begin, at_work = time.perf_counter(), time.thread_time()
            edit(i)
            calls.append(time.perf_counter() - begin)
            self.app.processEvents()  # draws the canvas
            times.append(time.perf_counter() - begin)
            busy.append(time.thread_time() - at_work)
        total, call, work = (1e3 * float(np.median(values)) for values in (times, calls, busy))
        print(f"{name:34s} {total:7.0f} ms   edit alone {call:5.0f} ms, main thread at work {work:5.0f} ms")


def main(n: int) -> None:
    """Measure and print a table."""
    bench = Bench(n)
    viewer, editor, layer, ids, each = bench.viewer, bench.editor, bench.layer, bench.ids, bench.each
    place, measure = editor.place, bench.measure
    if "--dock" in sys.argv:
        _, dock = viewer.window.add_plugin_dock_widget("anlage", "anlage")
        dock.go_to("annotate")
    print(f"{len(ids)} nuclei in {N_FRAMES} frames, {len(layer.data)} of them in the layer; median of {REPEATS}")
    measure("draw the canvas, nothing edited", lambda i: viewer.dims.set_point(1, 30.0 + 2 * (i % 2)))
    measure("show the next frame", lambda i: place.show_frame(viewer, 40 + i))
    measure("click: add a nucleus", lambda i: layer.add(place.to_points(np.array([54.0, 15, 40 + 2 * i, 60]))))
    gestures = bench.session.bench.keys.gestures
    actions = gestures.actions
    measure("undo it", lambda i: actions.undo())
    measure("redo it", lambda i: actions.redo())
    row = int(np.flatnonzero(editor.nuclei.ids == ids[54 * each])[0])

    def drag(i: int) -> None:
        layer.data[row, 3] += 0.5
        layer.events.data(value=layer.data, action="changed", data_indices=(row,), vertex_indices=((),))

    def point(i: int) -> None:
        place.show_frame(viewer, 10 + i)
        viewer.cursor.position = place.grid.world((10 + i, 15, 20, 200))

    measure("drag a nucleus", drag)
    measure("delete a nucleus", lambda i: actions.remove(ids[54 * each + 1 + i : 54 * each + 2 + i]))
    pair = ids[[20 * each + 5, 21 * each + 5]]
    measure("link two nuclei", lambda i: (actions.unlink if i % 2 == 0 else actions.link)(pair))
    viewer.dims.set_point(1, float(layer.data[row, 1]))
    viewer.cursor.position = layer.data_to_world(layer.data[row])
    measure("change a radius", lambda i: actions.scale_radius(1.02))
    measure("A: add, link, next frame", lambda i: (gestures.grab(), gestures.release()), point)
    bench.session.close()
    viewer.close()


if __name__ == "__main__":
    main(int(next((a for a in sys.argv[1:] if a.isdigit()), "30000")))
