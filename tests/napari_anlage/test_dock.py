"""The dock: opens at once, its steps follow, what one step does the others see, and it can be closed and opened again."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QApplication

from anlage import Run
from napari_anlage.dock import Dock
from napari_anlage.session.session import Session
from napari_anlage.viewer import layer_roles

pytestmark = pytest.mark.viewer
STEPS = ("data", "annotate", "train", "predict", "track", "review")


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def docked(make_napari_viewer_proxy, home):
    """A viewer with the dock in it, opened as napari does; nothing was painted, so only the first step is made."""
    viewer = make_napari_viewer_proxy()
    _, widget = viewer.window.add_plugin_dock_widget("anlage", "anlage")
    yield viewer, widget
    widget.close()
    widget.session.close()


def with_blobs(viewer, odd, blobs):
    image = viewer.add_image(blobs[0], name="movie", **odd)
    world = np.array([image.data_to_world(c) for c in blobs[1]])
    return image, viewer.add_points(world, name="nuclei", units=odd["units"], axis_labels=odd["axis_labels"])


def test_without_an_image_every_step_says_what_to_do(docked) -> None:
    _, dock = docked
    assert isinstance(dock, Dock)
    steps = ["Data", "Annotate", "Train", "Predict", "Track", "Review", "Signals"]
    assert [button.text() for button in dock.steps.buttons] == steps
    for button in (dock.data.next, dock.annotate.find, dock.predict.preview, dock.track.run):
        assert not button.button.isEnabled()
        assert "No image is chosen" in button.reason.text()
    assert not dock.train.start.button.isEnabled()
    assert dock.train.start.reason.text()


class Paints(QObject):
    """Counts how often each widget is painted."""

    def __init__(self) -> None:
        super().__init__()
        self.counts = Counter[str]()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Paint:
            self.counts[type(watched).__name__] += 1
        return False


def test_a_dock_that_nobody_touches_paints_nothing(make_napari_viewer_proxy, home, odd, blobs, qtbot) -> None:
    """What is painted again and again keeps a core busy, and the fan of a laptop."""
    viewer = make_napari_viewer_proxy(show=True)
    viewer.window.resize(800, 560)
    _, dock = viewer.window.add_plugin_dock_widget("anlage", "anlage")
    with_blobs(viewer, odd, blobs)
    paints, app = Paints(), QApplication.instance()

    def is_quiet() -> bool:
        paints.counts.clear()
        app.installEventFilter(paints)
        qtbot.wait(300)
        app.removeEventFilter(paints)
        return max(paints.counts.values(), default=0) <= 2

    for step in range(dock.tabs.count()):
        dock.tabs.setCurrentIndex(step)
        for _ in range(30):  # what it shows may come late
            if is_quiet():
                break
        else:
            pytest.fail(f"the tab {step} paints without end: {paints.counts}")
    dock.close()
    dock.session.close()


def test_a_step_is_made_when_it_is_wanted(docked) -> None:
    _, dock = docked
    assert set(vars(dock)) & set(STEPS) == {"data"}
    dock.tabs.setCurrentIndex(1)
    assert set(vars(dock)) & set(STEPS) == {"data", "annotate"}
    assert dock.tabs.widget(1).widget() is dock.annotate
    dock.go_to("predict")
    assert dock.tabs.currentIndex() == 3
    assert dock.tabs.widget(3).widget() is dock.predict


def test_once_painted_all_steps_are_made(make_napari_viewer_proxy, home, qtbot) -> None:
    viewer = make_napari_viewer_proxy(show=True)
    _, dock = viewer.window.add_plugin_dock_widget("anlage", "anlage")
    qtbot.waitUntil(lambda: set(STEPS) <= set(vars(dock)), timeout=60000)
    assert dock.tabs.currentIndex() == 0
    assert dock.autosave.timer.isActive()
    dock.close()
    assert not dock.autosave.timer.isActive()


def test_each_tab_carries_the_colour_of_its_status(docked, odd, blobs) -> None:
    viewer, dock = docked

    def dot(place: int) -> tuple[int, int, int]:
        colour = dock.steps.buttons[place].icon().pixmap(8, 8).toImage().pixelColor(4, 4)
        return colour.red(), colour.green(), colour.blue()

    grey = dot(0)
    with_blobs(viewer, odd, blobs)
    green = dot(0)
    assert dock.data.status.kind == "good"
    assert green != grey
    assert green[1] > max(green[0], green[2])
    dock.data.status.say("Something is not right.", "warning")
    amber = dot(0)
    assert amber[0] > amber[1] > amber[2]
    assert dot(2) == grey


def test_the_first_image_and_the_first_annotation_are_chosen(docked, odd, blobs, qtbot) -> None:
    viewer, dock = docked
    image, points = with_blobs(viewer, odd, blobs)
    assert dock.session.image_layer == image
    assert dock.session.nuclei_layer == points
    assert dock.data.image.currentText() == "movie"
    viewer.layers.remove(image)
    qtbot.waitUntil(lambda: dock.session.image_layer is None)  # once napari has done with removing
    assert "No image is chosen" in dock.data.status.plain


@pytest.mark.usefixtures("fake_anlage")
def test_what_one_step_does_the_others_see(docked, odd, blobs, qtbot, home) -> None:
    """Box, train, stop, resume: the regions reach the Train tab, the run the footer, the project's folder all of them."""
    viewer, dock = docked
    with_blobs(viewer, odd, blobs)
    dock.annotate.find.button.click()
    qtbot.waitUntil(lambda: bool(dock.session.cuboids), timeout=90000)
    assert dock.session.cuboids[0].n_nuclei == 54
    assert [layer for layer in viewer.layers if layer_roles.role_of(layer) == "cuboid"]
    folder = home / "anlage" / "movie.anlage"
    assert dock.footer.project.text() == "movie.anlage"
    assert dock.data.project.name.text() == "movie → movie.anlage"
    assert dock.session.project.folder == folder

    qtbot.waitUntil(dock.train.start.button.isEnabled, timeout=60000)
    dock.train.start.button.click()
    qtbot.waitUntil(lambda: dock.session.run is not None, timeout=90000)
    assert dock.session.run.path.parent == folder / "runs"
    qtbot.waitUntil(lambda: dock.footer.training.isVisibleTo(dock.footer), timeout=60000)
    dock.footer.training.stop.click()
    qtbot.waitUntil(lambda: dock.train.watcher.state == "stopped", timeout=60000)
    qtbot.waitUntil(lambda: not dock.footer.training.isVisibleTo(dock.footer), timeout=60000)
    assert dock.train.resume.button.isEnabled()
    dock.train.resume.button.click()
    qtbot.waitUntil(lambda: dock.train.watcher.state == "finished", timeout=90000)
    assert dock.train.status.kind == "good"


def test_it_can_be_closed_and_opened_again(docked, odd, blobs, run, qtbot) -> None:
    viewer, first = docked
    with_blobs(viewer, odd, blobs)
    first.show_run(run)
    first.data.diameter.spin.setValue(6.5)
    viewer.window.remove_dock_widget(first)
    QApplication.processEvents()
    _, second = viewer.window.add_plugin_dock_widget("anlage", "anlage")
    assert second is not first
    assert second.session is Session.of(viewer)
    viewer.add_image(blobs[0], name="another")
    assert second.train.watcher.run is run
    assert second.data.image.count() == 2
    assert second.data.diameter.spin.value() == 6.5
    second.close()


def test_a_run_is_shown_wherever_it_lies(docked, run: Run) -> None:
    _, dock = docked
    dock.show_run(run)
    assert dock.session.run is run
    assert dock.train.watcher.run is run
    assert dock.train.watcher.state == "new"


def test_opening_what_the_manifest_has_loads_no_torch() -> None:
    """In a fresh process: every widget, painted, over an image, and nothing that is slow to load."""
    code = (
        "import sys, time, napari, numpy as np\n"
        "from qtpy.QtWidgets import QApplication\n"
        "viewer = napari.Viewer(show=True)\n"
        "viewer.add_image(np.zeros((2, 4, 8, 8)), units=('s', 'µm', 'µm', 'µm'))\n"
        "for name in ('anlage', 'Annotate nuclei', 'Find annotated cuboid', 'Choose channels', 'Train networks'):\n"
        "    _, widget = viewer.window.add_plugin_dock_widget('anlage', name)\n"
        "    for _ in range(10):\n"
        "        QApplication.processEvents(); time.sleep(0.01)\n"
        "    for step in ('data', 'annotate', 'train', 'predict'):\n"
        "        getattr(widget, step, None)\n"
        "print('LOADED', sorted(m for m in ('torch', 'matplotlib.pyplot') if m in sys.modules))\n"
        "viewer.close()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=240, check=False)
    assert "LOADED []" in done.stdout, done.stderr
