"""Before napari closes while something trains: keep training, stop, or do not close."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication, QMainWindow

from anlage import Annotations, Box, Run, Spacing, TimeLapse, build_store
from napari_anlage.session.session import Session
from napari_anlage.train.close_guard import ClosingQuestion
from napari_anlage.train.run_view import RunView
from napari_anlage.widgets.basic import StatusLine

SLOW = """
import sys, time
from anlage import Run
from anlage.training.progress import EventLog, Started, Stopped
run = Run.open(sys.argv[5])
with run.lock(), EventLog(run.events_path) as log:
    log.write(Started(time=time.time(), pid=1, version="0"))
    for _ in range(1200):
        time.sleep(0.1)
        if run.stop_path.exists():
            log.write(Stopped(step=0, model=None, seconds=1.0))
            break
"""
"""A trainer that takes two minutes."""


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory):
    """A training under way in a process of its own; the last test ends it."""
    folder = tmp_path_factory.mktemp("slow")
    script, program = folder / "slow.py", folder / "slow-python"
    script.write_text(SLOW)
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{script}" "$@"\n')
    program.chmod(0o755)
    image = TimeLapse.of(np.random.default_rng(0).integers(0, 99, (2, 4, 16, 16)), spacing=Spacing(2, 1, 1))
    nuclei = Annotations.of([(0, 2, 8, 8), (1, 2, 8, 8)])
    store = build_store(folder / "s.zarr", image, nuclei, cuboid=Box.whole(image.shape_tzyx), diameter_um=5.0)
    run = Run.create(folder / "first", "nuclei", [store.path])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "executable", str(program))
        child = run.start()
    while not run.is_locked():
        assert child.poll() is None
        time.sleep(0.05)
    yield run, child
    run.request_stop()
    child.wait(timeout=60)


@pytest.fixture
def window(slow, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, qtbot):
    """A window in which that training is watched."""
    monkeypatch.setenv("HOME", str(tmp_path))
    viewer = ViewerModel()
    viewer.add_image(np.zeros((2, 2)))
    session, main = Session.of(viewer), QMainWindow()
    view = RunView(session, StatusLine())
    main.setCentralWidget(view)
    main.show()
    view.watch(slow[0])
    main.kept = viewer
    yield main
    view.leave()
    viewer.layers.clear()  # nobody is there to answer
    main.close()
    main.deleteLater()


def answer(button: str, heard: list[str]) -> None:
    """Press a button of the question as soon as it is there."""

    def press() -> None:
        question = QApplication.activeModalWidget()
        if isinstance(question, ClosingQuestion):
            heard.append(question.text())
            getattr(question, button).click()
        else:
            QTimer.singleShot(50, press)

    QTimer.singleShot(50, press)


def test_do_not_close_leaves_everything_as_it_is(window, slow) -> None:
    heard: list[str] = []
    answer("stay", heard)
    assert not window.close()
    assert window.isVisible()
    assert heard == ["first is being trained."]
    assert slow[0].state == "running"


def test_keep_training_closes_and_the_training_goes_on(window, slow) -> None:
    answer("keep", [])
    assert window.close()
    time.sleep(0.5)
    assert slow[1].poll() is None
    assert slow[0].state == "running"


def test_nothing_is_asked_when_a_program_closes_the_viewer(window, slow) -> None:
    window.kept.layers.clear()  # as napari's own Viewer.close does before it closes the window
    assert window.close()
    assert slow[1].poll() is None


REAL = """
import sys, napari, numpy as np
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication, QMainWindow
from anlage import Annotations, Box, Run, Spacing, TimeLapse, build_store
from napari_anlage.train.close_guard import ClosingQuestion
viewer = napari.Viewer()
viewer.add_image(np.zeros((2, 2)))
_, panel = viewer.window.add_plugin_dock_widget("anlage", "Train networks")
panel.tab.watch(Run.open(sys.argv[1]))
def close():
    window = panel.parentWidget()
    while not isinstance(window, QMainWindow):
        window = window.parentWidget()
    QTimer.singleShot(100, press)
    window.close()
def press():
    question = QApplication.activeModalWidget()
    if isinstance(question, ClosingQuestion):
        print("ASKED", question.text(), flush=True)
        question.keep.click()
    else:
        QTimer.singleShot(100, press)
QTimer.singleShot(500, close)
napari.run()
print("CLOSED", flush=True)
"""


@pytest.mark.viewer
def test_the_training_outlives_a_napari_that_was_closed(slow) -> None:
    run, child = slow
    done = subprocess.run(
        [sys.executable, "-c", REAL, str(run.path)], capture_output=True, text=True, timeout=280, check=False
    )
    assert "ASKED first is being trained." in done.stdout, done.stderr[-2000:]
    assert "CLOSED" in done.stdout, done.stderr[-2000:]
    assert child.poll() is None
    assert run.state == "running"
    assert os.getsid(child.pid) != os.getsid(0)  # nor does it end with the terminal that napari was started from


def test_stop_training_closes_and_the_training_ends_within_three_seconds(window, slow) -> None:
    run, child = slow
    answer("stop", [])
    began = time.monotonic()
    assert window.close()
    child.wait(timeout=20)
    assert time.monotonic() - began < 3
    assert run.state == "stopped"
    window.show()
    assert window.close(), "nothing trains any more, and nothing is asked"
