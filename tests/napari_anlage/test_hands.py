"""A real viewer under real hands: the mouse in its canvas and the keys of its keyboard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QWidget

from anlage import Box
from napari_anlage.session.session import Session
from napari_anlage.viewer import layer_roles

pytestmark = pytest.mark.viewer
LEFT, NONE = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier


class Hands:
    """Mouse and keyboard over the canvas of a viewer."""

    def __init__(self, viewer: Any, session: Session, qtbot: Any) -> None:
        self.viewer, self.session, self.qtbot = viewer, session, qtbot
        self.canvas: QWidget = next(
            w for w in QApplication.allWidgets() if type(w).__name__ == "CanvasBackendDesktop" and w.isVisible()
        )

    def at(self, y: float, x: float) -> QPoint:
        """Where a voxel of the shown plane is on the canvas."""
        grid, camera = self.session.grid(), self.viewer.scene.camera
        world = grid.world((0, 0, y, x))[-2:]
        middle = np.array([self.canvas.height(), self.canvas.width()]) / 2
        dy, dx = middle + (np.array(world) - np.array(camera.center)[-2:]) * camera.zoom
        return QPoint(round(dx), round(dy))

    def move(self, y: float, x: float) -> None:
        QTest.mouseMove(self.canvas, self.at(y, x))
        self.qtbot.wait(20)

    def click(self, y: float, x: float) -> None:
        self.move(y, x)
        QTest.mouseClick(self.canvas, LEFT, NONE, self.at(y, x))
        self.qtbot.wait(20)

    def drag(self, *path: tuple[float, float]) -> None:
        self.move(*path[0])
        QTest.mousePress(self.canvas, LEFT, NONE, self.at(*path[0]))
        for place in path[1:]:
            QTest.mouseMove(self.canvas, self.at(*place))
            self.qtbot.wait(20)
        QTest.mouseRelease(self.canvas, LEFT, NONE, self.at(*path[-1]))
        self.qtbot.wait(20)

    def key(self, key: Any, modifiers: Any = NONE) -> None:
        QTest.keyClick(self.canvas, key, modifiers)
        self.qtbot.wait(20)


@pytest.fixture
def hands(make_napari_viewer_proxy, odd, blobs, tmp_path: Path, qtbot, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    viewer = make_napari_viewer_proxy(show=True)
    viewer.add_image(blobs[0], name="movie", **odd)
    _, dock = viewer.window.add_plugin_dock_widget("anlage", "anlage")
    dock.go_to("annotate")
    session = dock.session
    session.set_folder(tmp_path / "movie.anlage")
    qtbot.wait(200)
    hands = Hands(viewer, session, qtbot)
    hands.dock = dock
    yield hands
    session.close()


def test_clicks_keys_strokes_and_walls(hands) -> None:
    """One evening of annotating, each thing as a hand does it."""
    viewer, session, tab = hands.viewer, hands.session, hands.dock.annotate
    viewer.dims.set_point((0, 1), session.image_layer.data_to_world((0, 5, 0, 0))[:2])
    tab.mark.click()
    hands.click(20, 20)
    hands.click(30, 35)
    document, editor = session.document, session.editor
    np.testing.assert_allclose(document.nuclei.positions, [[0, 5, 20, 20], [0, 5, 30, 35]], atol=0.5)

    ctrl, shift = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier
    hands.key(Qt.Key.Key_Z, ctrl)
    assert len(document.nuclei) == 1
    hands.key(Qt.Key.Key_Z, ctrl | shift)
    assert len(document.nuclei) == 2

    hands.move(20, 20)  # A over a nucleus, held while the mouse goes to where it went
    QTest.keyPress(hands.canvas, Qt.Key.Key_A)
    hands.qtbot.wait(20)
    assert editor.place.frame(viewer) == 1
    hands.move(26, 24)
    QTest.keyRelease(hands.canvas, Qt.Key.Key_A)
    hands.qtbot.wait(20)
    np.testing.assert_allclose(document.nuclei.positions[-1], [1, 5, 26, 24], atol=0.5)
    assert document.nuclei.links.tolist() == [[1, 3]]

    editor.place.show_frame(viewer, 0)
    editor.show_nuclei().mode = "select"
    hands.click(30, 35)
    hands.drag((30, 35), (33, 38), (36, 40))
    np.testing.assert_allclose(document.nuclei.positions[1], [0, 5, 36, 40], atol=1)
    assert document.undo_text == "move 1 nucleus"

    tab.paint.click()
    labels = viewer.layers.selection.active
    assert layer_roles.role_of(labels) == "painted labels"
    labels.brush_size = 6
    hands.drag((10, 40), (12, 42), (14, 44))
    assert document.undo_text == "paint in frame 0"
    assert np.asarray(labels.data[0, 5])[12, 42] == 1
    assert len(document.nuclei) == 4
    hands.key(Qt.Key.Key_Z, ctrl)  # on the layer of labels, where napari's own undo would be another
    assert not np.asarray(labels.data[0]).any()
    assert len(document.nuclei) == 3

    number = session.bench.add_region(Box.of((0, 2, 5, 8), (3, 9, 40, 44)))
    session.select_region(number)
    tab.regions.mouse.click()
    hands.drag((20, 43.5), (20, 40), (20, 36.4))
    hands.qtbot.waitUntil(lambda: session.regions[0].box.x == (8, 37), timeout=3000)
    hands.key(Qt.Key.Key_Z, ctrl)
    assert session.regions[0].box.x == (8, 44)


def test_layers_of_the_project_are_locked_and_free_of_private_doings(hands) -> None:
    """`make_napari_viewer_proxy` lets nobody touch what is private; the layers cannot be deleted by a slip of the hand."""
    editor = hands.session.need_editor()
    editor.show_nuclei()
    editor.show_labels()
    hands.session.bench.add_region(Box.of((0, 2, 5, 8), (3, 9, 40, 44)))
    managed = [layer for layer in hands.viewer.layers if layer_roles.is_managed(layer)]
    assert len(managed) == 4
    assert all(layer.locked for layer in managed)
