"""A user goes through the tutorial in a real viewer, by mouse and keys; each step is pictured in ``docs/img``.

    xvfb-run -a -s "-screen 0 1366x768x24" python docs/screenshots/tutorial.py [STEPS]

STEPS is the number of optimiser steps of each of the two trainings, which are real. Everything is written to a temporary
project; only the pictures are kept. The test of the whole loop goes the same way, with a few steps.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QKeyEvent, QMouseEvent
from qtpy.QtWidgets import QApplication, QMainWindow, QScrollArea, QWidget

IMG = Path(__file__).parents[1] / "img"
SIZE = (1180, 768)
"""A little narrower than a small laptop's screen, so that the text can be read in a page."""
ANNOTATED = (0, 1)
"""Frames that the user annotates ..."""
PART = 76
"""... as far as this voxel along x, of 128: a part of the image is enough."""
FAR = 5
"""The frame that the network is tried on."""
SECONDS = 1800
"""A machine may be busy; whoever waits for longer waits in vain."""

Position = tuple[float, float, float, float]


def main() -> None:
    """Go through the steps, with a picture of each."""
    import napari

    steps = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    IMG.mkdir(exist_ok=True)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        viewer = napari.Viewer(show=True)
        viewer.window.resize(*SIZE)

        def picture(name: str) -> None:
            settle()
            save(viewer.screenshot(canvas_only=False, flash=False), IMG / f"{name}.png")
            print(f"{time.monotonic() - began:5.0f} s  {name}", flush=True)

        user = User(viewer, Path(folder) / "embryo-2.anlage", picture)
        user.whole_loop(steps)
        viewer.close()


class Hand:
    """A mouse and a keyboard over the viewer's canvas.

    Parameters
    ----------
    viewer
        The viewer.
    session
        Knows where the image's voxels lie.
    inside
        A widget of the viewer's window.
    """

    def __init__(self, viewer: Any, session: Any, inside: QWidget) -> None:
        self.viewer, self.session, self.inside = viewer, session, inside

    @property
    def canvas(self) -> QWidget:
        window = self.inside.window()
        assert isinstance(window, QMainWindow)
        return next(w for w in window.findChildren(QWidget) if type(w).__name__.startswith("CanvasBackend"))

    def show(self, t: float, z: float) -> None:
        """Pull the sliders to a frame and a plane."""
        world = self.session.grid().world((t, z, 0, 0))
        self.viewer.dims.set_point((0, 1), world[:2])
        QApplication.processEvents()

    def at(self, position: Position) -> QPoint:
        """The pixel of the canvas where a voxel (t, z, y, x) is seen."""
        camera, canvas = self.viewer.scene.camera, self.canvas
        y, x = self.session.grid().world(position)[-2:]
        middle_y, middle_x = camera.center[-2:]
        right, down = (x - middle_x) * camera.zoom, (y - middle_y) * camera.zoom
        return QPoint(round(canvas.width() / 2 + right), round(canvas.height() / 2 + down))

    def point(self, position: Position) -> None:
        """Move the mouse over a voxel of the plane that is shown."""
        self._mouse(QEvent.Type.MouseMove, self.at(position))

    def click(self, position: Position) -> None:
        """Show a voxel's frame and plane, and click it."""
        self.show(*position[:2])
        self.point(position)
        self._mouse(QEvent.Type.MouseButtonPress, self.at(position), Qt.MouseButton.LeftButton)
        self._mouse(QEvent.Type.MouseButtonRelease, self.at(position), Qt.MouseButton.LeftButton)

    def drag(self, start: Position, end: Position) -> None:
        """Press at one voxel, move to another of the same plane, and let go."""
        self.show(*start[:2])
        first, last = self.at(start), self.at(end)
        self._mouse(QEvent.Type.MouseMove, first)
        self._mouse(QEvent.Type.MouseButtonPress, first, Qt.MouseButton.LeftButton)
        for k in range(1, 6):
            self._mouse(QEvent.Type.MouseMove, first + (last - first) * k / 5, Qt.MouseButton.LeftButton)
        self._mouse(QEvent.Type.MouseButtonRelease, last, Qt.MouseButton.LeftButton)

    @contextmanager
    def holding(self, key: Qt.Key, text: str = "") -> Iterator[None]:
        """Hold a key."""
        self._key(QEvent.Type.KeyPress, key, text)
        yield
        self._key(QEvent.Type.KeyRelease, key, text)

    def press(self, key: Qt.Key, text: str = "") -> None:
        """Press a key and release it."""
        with self.holding(key, text):
            pass

    def _mouse(self, kind: QEvent.Type, place: QPoint, button: Qt.MouseButton = Qt.MouseButton.NoButton) -> None:
        moves, up = kind == QEvent.Type.MouseMove, kind == QEvent.Type.MouseButtonRelease
        event = QMouseEvent(
            kind, QPointF(place), QPointF(self.canvas.mapToGlobal(place)), Qt.MouseButton.NoButton if moves else button,
            Qt.MouseButton.NoButton if up else button, Qt.KeyboardModifier.NoModifier,
        )  # fmt: skip
        QApplication.sendEvent(self.canvas, event)
        QApplication.processEvents()

    def _key(self, kind: QEvent.Type, key: Qt.Key, text: str) -> None:
        QApplication.sendEvent(self.canvas, QKeyEvent(kind, key, Qt.KeyboardModifier.NoModifier, text))
        QApplication.processEvents()


class User:
    """Somebody who follows the tutorial.

    Parameters
    ----------
    viewer
        An empty viewer, shown.
    folder
        Where the project goes.
    picture
        Called after each step, with the name of its picture.
    part
        Nuclei up to this voxel along x are annotated.
    """

    def __init__(self, viewer: Any, folder: Path, picture: Callable[[str], None], part: int = PART) -> None:
        self.viewer, self.folder, self.picture, self.part = viewer, folder, picture, part
        self.truth = _truth()

    def whole_loop(self, steps: int) -> None:
        """Everything, from the sample to the second network; both trainings take so many steps."""
        self.open_sample()
        self.measure()
        self.choose_channels()
        self.annotate()
        self.find_region()
        self.train(steps)
        self.preview()
        self.judge()
        self.train_again(steps)

    # ---- Data ----

    def open_sample(self) -> None:
        """File → Open Sample, Plugins → anlage."""
        self.viewer.open_sample("anlage", "embryo_bare")
        _, self.dock = self.viewer.window.add_plugin_dock_widget("anlage", "anlage")
        self.session = self.dock.session
        self.session.set_folder(self.folder)
        self.hand = Hand(self.viewer, self.session, self.dock)
        settle()
        self.viewer.reset_view()  # the dock takes room from the canvas
        self.hand.show(0, self._showy[1])
        self.picture("data")

    def measure(self) -> None:
        """Say how large a nucleus is."""
        self.dock.data.diameter.spin.setValue(8.0)
        wait(lambda: self.session.diameter_um is not None)

    def choose_channels(self) -> None:
        """Try the second channel, then learn from the nuclei alone."""
        self.viewer.layers["embryo 2 marker"].visible = False
        rows = self.dock.data.channels.rows
        rows[-1].tick.click()
        settle()
        self.picture("channels")
        rows[-1].tick.click()
        self.dock.data.next.button.click()

    # ---- Annotate ----

    def annotate(self) -> None:
        """Click the centres in one frame, and follow the nuclei into the next."""
        self.dock.annotate.mark.click()
        first, second = ([self._at(row) for row in self._rows(t)] for t in ANNOTATED)
        for position in first:
            self.hand.click(position)
        self.hand.show(0, self._showy[1])
        self.picture("annotate")
        followed = self._rows(ANNOTATED[0])[:3]
        for row in followed:
            self.follow(row)
        done = [self._at(row) for row in self._next(followed)]
        self.hand.press(Qt.Key.Key_N, "n")
        for position in second:
            if position not in done:
                self.hand.click(position)
        self.hand.show(1, self._showy[1])
        self.picture("follow")

    def follow(self, row: int) -> None:
        """Hold A over a nucleus, click where it went in the next frame, let go."""
        self.hand.press(Qt.Key.Key_N, "n")
        self.hand.show(*self._at(row)[:2])
        self.hand.point(self._at(row))
        with self.hand.holding(Qt.Key.Key_A, "a"):
            self.hand.click(self._at(*self._next([row])))

    def find_region(self) -> None:
        """Box around my annotations, in 2D and 3D."""
        regions = self.dock.annotate.regions
        regions.find.button.click()
        wait(lambda: bool(self.session.regions))
        self.hand.show(1, self._showy[1])
        self.scroll_to("annotate", regions)
        self.picture("region")
        self.viewer.dims.ndisplay = 3
        self.viewer.reset_view()
        self.viewer.scene.camera.angles = (8, -28, 55)
        self.viewer.scene.camera.zoom *= 0.7
        self.picture("region-3d")
        self.viewer.dims.ndisplay = 2
        self.viewer.reset_view()

    # ---- Train ----

    def train(self, steps: int) -> None:
        """The first network."""
        tab = self.dock.train
        self.dock.go_to("train")
        self.hand.show(1, self._showy[1])
        wait(lambda: tab.start.button.isEnabled())
        tab.length.choose(0)
        self.picture("train")
        self._set(steps)
        self._run("training")
        self.scroll_to("train", tab.view)
        self.picture("trained")

    def train_again(self, steps: int) -> None:
        """Correct → train again, from the first network."""
        self.dock.predict.judging.again.button.click()
        wait(lambda: self.dock.train.start.button.isEnabled())
        self.scroll_to("train", self.dock.train.cards)
        self.picture("again")
        self._set(steps)
        self._run("")
        self.scroll_to("train", self.dock.train.view)
        self.picture("trained-again")

    def _set(self, steps: int) -> None:
        tab = self.dock.train
        tab.length.choose(1)
        tab.general.set_value("steps", steps)
        tab.general.set_value("validate_every", max(1, steps // 6))

    def _run(self, during: str) -> None:
        """Train, with a picture when there is a curve."""
        tab, before = self.dock.train, self.session.run
        tab.start.button.click()
        wait(lambda: self.session.run is not before)
        over = ("finished", "failed", "stopped")
        if during:
            wait(lambda: len(tab.watcher.curve.score) >= 4 or tab.watcher.state in over)
            self.picture(during)
        wait(lambda: tab.watcher.state in over)
        if tab.watcher.state != "finished":
            raise RuntimeError(f"the training ended as {tab.watcher.state}: {tab.status.plain}")

    # ---- Predict ----

    def preview(self) -> None:
        """What the network finds in a frame that it never saw."""
        tab = self.dock.predict
        self.dock.go_to("predict")
        self.hand.show(FAR, self._showy[1])
        wait(lambda: tab.preview.button.isEnabled())
        tab.preview.button.click()
        wait(lambda: not tab.cancel.isVisibleTo(tab))
        if tab.acceptance.candidates is None:
            raise RuntimeError(f"there is no preview: {tab.status.plain}")
        self.picture("preview")

    def judge(self) -> None:
        """Reject what is no nucleus with a key, accept the others, and make them a region."""
        tab, judging = self.dock.predict, self.dock.predict.judging
        self.scroll_to("predict", judging)
        self.rejected = self._reject_one()
        self.viewer.reset_view()
        self.hand.show(FAR, self._showy[1])
        judging.scope.setCurrentText("in this frame")
        judging.accept.button.click()
        wait(lambda: not len(tab.acceptance.inside()))
        if judging.region.isVisibleTo(judging):
            judging.region.button.click()
        self.picture("judged")

    def _reject_one(self) -> bool:
        """Pull the threshold down until something wrong is proposed, and reject it; False if nothing is wrong."""
        tab, review = self.dock.predict, self.dock.predict.acceptance
        found = review.candidates.nuclei
        wrong = [row for row in np.flatnonzero(review.unjudged) if self._is_wrong(found.positions[row])]
        if not wrong:
            return False
        likeliest = max(wrong, key=lambda row: found.probability[row])
        tab.threshold.spin.setValue(np.floor(100 * found.probability[likeliest]) / 100)
        settle(0.2)
        for _ in review.inside():
            self.hand.press(Qt.Key.Key_K, "k")  # to the least likely one, then to the next
            here = self._looked_at()
            if np.abs(np.array(here) - found.positions[likeliest]).max() < 1:
                self.hand.point(here)
                self.hand.press(Qt.Key.Key_X, "x")
                break
        tab.threshold.back.click()
        settle(0.2)
        return bool(review.counts()[2])

    def _is_wrong(self, position: Any) -> bool:
        """Whether a human sees no nucleus there."""
        um = np.array(self.session.scaled_image().spacing.zyx)
        there = self.truth.positions[self.truth.frames == round(position[0]), 1:]
        return bool(np.linalg.norm((there - position[1:]) * um, axis=1).min() > 4)

    def _looked_at(self) -> Position:
        """The voxel in the middle of the view."""
        grid, point, camera = self.session.grid(), self.viewer.dims.point, self.viewer.scene.camera
        world = (*point[:2], *camera.center[-2:])
        return tuple((w - o) / s for w, o, s in zip(world, grid.offset, grid.scale, strict=True))

    # ---- what a human sees ----

    @property
    def _showy(self) -> Position:
        """A nucleus in the middle of the annotated part, whose plane shows many."""
        rows = self._rows(0)
        middle = np.array([12.0, 64.0, self.part / 2]) * (4, 1, 1)
        distance = [np.linalg.norm(np.array(self._at(row)[1:]) * (4, 1, 1) - middle) for row in rows]
        return self._at(rows[int(np.argmin(distance))])

    def _rows(self, t: int) -> list[int]:
        """Nuclei of a frame in the part that is annotated."""
        positions = self.truth.positions
        return [int(row) for row in np.flatnonzero((positions[:, 0] == t) & (positions[:, 3] < self.part))]

    def _at(self, row: int) -> Position:
        t, z, y, x = (float(value) for value in self.truth.positions[row])
        return t, float(round(z)), y, x

    def _next(self, rows: list[int]) -> list[int]:
        """Where nuclei went in the next frame."""
        ids, links = self.truth.ids, self.truth.links
        after = [links[links[:, 0] == ids[row]][0, 1] for row in rows]
        return [int(np.flatnonzero(ids == one)[0]) for one in after]

    def scroll_to(self, step: str, part: QWidget) -> None:
        """Scroll a tab until a part of it is in view."""
        self.dock.go_to(step)
        settle(0.2)
        area: Any = part.parentWidget()
        while area is not None and not isinstance(area, QScrollArea):
            area = area.parentWidget()
        if area is not None:
            area.verticalScrollBar().setValue(part.mapTo(area.widget(), QPoint(0, 0)).y())


def _truth() -> Any:
    """The truth of the sample that is not annotated: what a human would see in it."""
    from anlage import Optics, embryo

    return embryo(1, n_frames=6, shape_zyx=(24, 128, 128), n_nuclei=40, optics=Optics(n_channels=2)).truth


def save(picture: Any, path: Path) -> None:
    """Write a picture with the 256 colours that suit it: a third of the size, and no eye sees the difference."""
    from PIL import Image

    colours = Image.fromarray(picture[..., :3])
    few = colours.quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=3, dither=Image.Dither.NONE)
    few.save(path, optimize=True)


def settle(seconds: float = 0.6) -> None:
    """Let Qt draw."""
    end = time.monotonic() + seconds
    wait(lambda: time.monotonic() > end)


def wait(until: Callable[[], bool], seconds: float = SECONDS) -> None:
    """Let Qt work until something is so."""
    end = time.monotonic() + seconds
    while not until():
        if time.monotonic() > end:
            raise TimeoutError("the step did not end in time")
        QApplication.processEvents()
        time.sleep(0.02)


if __name__ == "__main__":
    main()
