"""Measure what the plugin costs napari: how much later it starts, and how soon the dock is seen.

    xvfb-run -a -s "-screen 0 1400x900x24" python benchmarks/measure_gui.py [ROUNDS]

Each number is the median over fresh processes, with and without the plugin by turns so that a busy machine disturbs both
alike. Needs a screen (Xvfb is enough). Byte code is cached, as it is after installation with pip.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile

START = """
import time; begun, spent = time.perf_counter(), time.process_time()
import npe2
if {without}:
    npe2.PluginManager.instance().disable('anlage')
import napari
viewer = napari.Viewer(show=True)
from qtpy.QtWidgets import QApplication
QApplication.processEvents()
import json
print(json.dumps([time.perf_counter() - begun, time.process_time() - spent]))
viewer.close()
"""

DOCK = """
import time, json, sys
import napari
from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QApplication
viewer = napari.Viewer(show=True)
settled = time.perf_counter() + 1.0
while time.perf_counter() < settled:
    QApplication.processEvents()

class FirstPaint(QObject):
    seen = None
    def eventFilter(self, watched, event):
        if event.type() == QEvent.Type.Paint and self.seen is None:
            self.seen = watched
        return False

paint = FirstPaint()
begun, spent = time.perf_counter(), time.process_time()
_, dock = viewer.window.add_plugin_dock_widget('anlage', {name!r})
dock.installEventFilter(paint)
while paint.seen is None:
    QApplication.processEvents()
print(json.dumps([time.perf_counter() - begun, time.process_time() - spent]))
assert 'torch' not in sys.modules
viewer.close()
"""


def main() -> None:
    """Print a line for each figure."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    with tempfile.TemporaryDirectory() as cache:
        for code in (START.format(without=False), DOCK.format(name="anlage")):
            run(code, cache)  # fills the caches
        kinds = {
            "start without": START.format(without=True),
            "start with": START.format(without=False),
            "dock": DOCK.format(name="anlage"),
            "Choose channels": DOCK.format(name="Choose channels"),
        }
        found: dict[str, list[tuple[float, float]]] = {kind: [] for kind in kinds}
        for _ in range(rounds):
            for kind, code in kinds.items():
                found[kind].append(run(code, cache))
    wall = {kind: statistics.median(seconds for seconds, _ in times) for kind, times in found.items()}
    cpu = {kind: statistics.median(seconds for _, seconds in times) for kind, times in found.items()}
    for kind in ("start without", "start with"):
        print(f"{kind} the plugin: {1e3 * wall[kind]:.0f} ms ({1e3 * cpu[kind]:.0f} ms of CPU)")
    later = [
        (with_[0] - without[0]) for with_, without in zip(found["start with"], found["start without"], strict=True)
    ]
    more = cpu["start with"] - cpu["start without"]
    print(
        f"napari starts later by {1e3 * statistics.median(later):.0f} ms ({1e3 * more:.0f} ms of CPU), median of {rounds}"
    )
    for kind in ("dock", "Choose channels"):
        print(f"first paint of {kind}: {1e3 * wall[kind]:.0f} ms ({1e3 * cpu[kind]:.0f} ms of CPU), median of {rounds}")


def run(code: str, cache: str) -> tuple[float, float]:
    """Seconds, and CPU seconds, that a fresh process prints."""
    surroundings = {**os.environ, "PYTHONPYCACHEPREFIX": cache}
    surroundings.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False, env=surroundings
    )
    if done.returncode != 0:
        raise SystemExit(done.stderr)
    wall, cpu = json.loads(done.stdout.strip().splitlines()[-1])
    return wall, cpu


if __name__ == "__main__":
    main()
