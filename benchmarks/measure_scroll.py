"""Measure what a training on the processor costs whoever scrolls through z meanwhile.

    xvfb-run -a -s "-screen 0 1400x900x24" python benchmarks/measure_scroll.py [ROUNDS] [--threads N] [--preview]

A real viewer with the dock open at its Train tab and a real training, started from the button. By turns the trainer is
let go and held (SIGSTOP), and each time the canvas is scrolled through z; so a busy machine disturbs both alike. Prints
the median time from a step in z until it is drawn, of both, and their ratio. Needs a screen (Xvfb is enough).
"""

from __future__ import annotations

import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import napari
import psutil
from qtpy.QtWidgets import QApplication

STEPS = 30
"""Planes that are scrolled through in each turn."""
WARM_UP_S = 1.5
"""Time that the trainer has to come up to speed, or to fall silent, before each turn."""


def main(arguments: list[str]) -> int:
    """Measure, and print the medians."""
    rounds = int(next((text for text in arguments if text.isdigit()), "8"))
    threads = int(arguments[arguments.index("--threads") + 1]) if "--threads" in arguments else None
    with tempfile.TemporaryDirectory() as folder:
        viewer = napari.Viewer(show=True)
        viewer.window.resize(1366, 768)
        image = viewer.open_sample("anlage", "embryo")[0]
        _, dock = viewer.window.add_plugin_dock_widget("anlage", "anlage")
        dock.session.set_folder(Path(folder) / "embryo.anlage")
        begin(dock, threads, preview="--preview" in arguments)
        times = measure(viewer, image, trainer_of(dock), rounds)
        dock.train.view.request_stop()
        wait(lambda: dock.train.view.state != "running", 60)
        dock.session.close()
        viewer.close()
    held, training = (1e3 * statistics.median(times[which]) for which in ("held", "training"))
    print(
        f"{len(times['held'])} steps each: idle {held:.1f} ms, while it trains {training:.1f} ms, ratio {training / held:.2f}"
    )
    return 0


def begin(dock: Any, threads: int | None, *, preview: bool) -> None:
    """Find the cuboid and start a long training, as a user does."""
    dock.go_to("annotate")
    dock.annotate.find.button.click()
    wait(lambda: bool(dock.session.regions), 60)
    dock.go_to("train")
    train = dock.train
    wait(lambda: train.start.button.isEnabled(), 60)
    train.length.choose(2)
    train.device.choose("cpu")
    train.view.preview.setChecked(preview)
    if threads is not None:
        train.general.set_value("threads", threads)
    train.start.button.click()
    wait(lambda: len(train.watcher.curve.train) > 2, 900)


def trainer_of(dock: Any) -> psutil.Process:
    """The process that trains."""
    path = str(dock.train.watcher.run.path)
    return next(p for p in psutil.process_iter(["cmdline"]) if path in (p.info["cmdline"] or []))


def measure(viewer: Any, image: Any, trainer: psutil.Process, rounds: int) -> dict[str, list[float]]:
    """Seconds of each step in z, with the trainer at work and held."""
    times: dict[str, list[float]] = {"training": [], "held": []}
    try:
        for i in range(rounds):
            for which in ("training", "held") if i % 2 == 0 else ("held", "training"):
                os.kill(trainer.pid, signal.SIGCONT if which == "training" else signal.SIGSTOP)
                wait_for(WARM_UP_S)
                times[which] += scroll(viewer, image)
            print(
                *(f"{which} {1e3 * statistics.median(found[-STEPS:]):.1f} ms" for which, found in times.items()),
                flush=True,
            )
    finally:
        os.kill(trainer.pid, signal.SIGCONT)
    return times


def scroll(viewer: Any, image: Any) -> list[float]:
    """Go through z, plane by plane, and take the time until each is drawn."""
    n = image.data.shape[-3]
    found = []
    for step in range(STEPS):
        z = step % (2 * n - 2)
        plane = z if z < n else 2 * n - 2 - z
        world = image.data_to_world((0, plane, 0, 0))
        began = time.perf_counter()
        viewer.dims.set_point(1, world[1])
        QApplication.processEvents()  # draws the canvas
        found.append(time.perf_counter() - began)
        time.sleep(0.02)  # between two clicks of a wheel
    return found


def wait_for(seconds: float) -> None:
    """Let Qt work for a while."""
    end = time.monotonic() + seconds
    wait(lambda: time.monotonic() > end, seconds + 60)


def wait(until: Callable[[], bool], seconds: float) -> None:
    """Let Qt work until something is so."""
    end = time.monotonic() + seconds
    while not until():
        if time.monotonic() > end:
            raise TimeoutError("it did not come to this in time")
        QApplication.processEvents()
        time.sleep(0.02)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
