"""A real viewer under real hands: several images, each with a project of its own, and nothing crossed over."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QAbstractButton, QApplication, QWidget

from anlage import Project
from napari_anlage.viewer import layer_roles

pytestmark = pytest.mark.viewer
LEFT, NONE = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
SHAPES = {"A": (3, 5, 60, 80), "B": (3, 5, 60, 80), "C": (2, 4, 40, 50)}
PIXEL_UM = {"A": 0.3, "B": 0.9, "C": 0.5}


class Desk:
    """A viewer with the dock, and what a hand does there."""

    def __init__(self, viewer: Any, qtbot: Any, folder: Path) -> None:
        self.viewer, self.qtbot, self.folder = viewer, qtbot, folder
        _, self.dock = viewer.window.add_plugin_dock_widget("anlage", "anlage")
        self.session = self.dock.session
        qtbot.wait(300)
        self.canvas: QWidget = next(
            w for w in QApplication.allWidgets() if type(w).__name__ == "CanvasBackendDesktop" and w.isVisible()
        )

    def open(self, name: str, folder: str, **how: Any) -> Any:
        um = PIXEL_UM[name]
        placed = {"scale": (60, 2 * um, um, um), "units": ("s", "µm", "µm", "µm")}
        (layer,) = self.viewer.open(str(self.folder / folder / f"{name}.tif"), plugin="napari", **{**placed, **how})
        self.qtbot.wait(150)
        return layer

    def remove_all(self) -> None:
        self.viewer.layers.select_all()
        self.viewer.layers.remove_selected()
        self.qtbot.wait(100)

    def press(self, button: QAbstractButton) -> None:
        assert button.isVisible(), button.text()
        assert button.isEnabled(), button.toolTip()
        QTest.mouseClick(button, LEFT, NONE, button.rect().center())
        self.qtbot.wait(150)

    def click(self, y: float, x: float) -> None:
        """Click on a voxel of the plane that is shown."""
        world = self.session.grid().world((0, 0, y, x))[-2:]
        camera = self.viewer.scene.camera
        middle = np.array([self.canvas.height(), self.canvas.width()]) / 2
        dy, dx = middle + (np.array(world) - np.array(camera.center)[-2:]) * camera.zoom
        at = QPoint(round(dx), round(dy))
        QTest.mouseMove(self.canvas, at)
        self.qtbot.wait(30)
        QTest.mouseClick(self.canvas, LEFT, NONE, at)
        self.qtbot.wait(60)

    def mark(self, *places: tuple[float, float]) -> None:
        """Press Mark nuclei, and click them."""
        self.press(self.dock.steps.buttons[1])
        self.press(self.dock.annotate.mark)
        self.viewer.reset_view()
        self.qtbot.wait(50)
        for place in places:
            self.click(*place)

    def choose(self, name: str) -> None:
        """Choose an image on the Data tab with the mouse."""
        self.press(self.dock.steps.buttons[0])
        combo = self.dock.data.image
        combo.showPopup()
        self.qtbot.wait(100)
        view = combo.view()
        at = view.visualRect(combo.model().index(combo.findText(name), 0)).center()
        QTest.mouseClick(view.viewport(), LEFT, NONE, at)
        self.qtbot.wait(150)

    @property
    def shown(self) -> list[list[int]]:
        """y and x of the nuclei in the viewer, to whole voxels."""
        layers = [layer for layer in self.viewer.layers if layer_roles.role_of(layer) == layer_roles.NUCLEI]
        if not layers:
            return []
        voxels = self.session.editor.place.from_points(np.asarray(layers[0].data))
        return sorted(np.rint(voxels[:, 2:]).astype(int).tolist())


def facts(folder: Path) -> tuple[list[list[int]], float]:
    """What a project on the disk holds: y and x of its nuclei, and its pixel size."""
    project = Project.open(folder)
    try:
        places = sorted(np.rint(project.document.nuclei.positions[:, 2:]).astype(int).tolist())
        return places, project.settings.spacing.x
    finally:
        project.abandon()


@pytest.fixture
def desk(make_napari_viewer_proxy, qtbot, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for number, (name, shape) in enumerate(SHAPES.items()):
        (tmp_path / name).mkdir()
        tifffile.imwrite(
            tmp_path / name / f"{name}.tif",
            np.random.default_rng(number).poisson(50, shape).astype(np.uint16),
            photometric="minisblack",
        )
    viewer = make_napari_viewer_proxy(show=True)
    viewer.window.resize(900, 700)
    desk = Desk(viewer, qtbot, tmp_path)
    yield desk
    desk.session.close()


@pytest.mark.long
def test_three_images_and_a_renamed_folder_are_four_openings_and_nothing_crosses_over(desk: Desk) -> None:
    """Annotate A, remove it, annotate B of the same shape and C of another; rename A's folder: each finds its own."""
    marks = {"A": [(10, 12), (30, 40)], "B": [(20, 20)], "C": [(8, 9), (25, 30), (12, 33)]}
    data, annotate = desk.dock.data, desk.dock.annotate
    for name, places in marks.items():
        desk.open(name, name)
        desk.press(desk.dock.steps.buttons[0])
        assert data.project.name.text() == f"{name}.tif → {name}.anlage"
        assert desk.shown == []
        assert annotate.status.plain.startswith("No annotation yet")
        desk.mark(*places)
        assert desk.shown == sorted([list(place) for place in places])
        desk.remove_all()
    (desk.folder / "A").rename(desk.folder / "A of last year")
    for name, folder in (("A", "A of last year"), ("B", "B"), ("C", "C")):
        desk.open(name, folder)
        assert desk.shown == sorted([list(place) for place in marks[name]])  # no button was pressed
        assert desk.session.project.folder == desk.folder / folder / f"{name}.anlage"
        assert annotate.status.plain.startswith(f"{len(marks[name])} nucle")
        desk.remove_all()

    # A and B side by side: choosing the other changes the project
    desk.open("A", "A of last year")
    desk.open("B", "B")
    for name in ("B", "A", "B"):
        desk.choose(name)
        assert data.image.currentText() == name
        assert data.project.name.text() == f"{name}.tif → {name}.anlage"
        assert desk.shown == sorted([list(place) for place in marks[name]])
    desk.mark((40, 44))
    desk.session.close()
    marks["B"].append((40, 44))
    for name, folder in (("A", "A of last year"), ("B", "B"), ("C", "C")):
        places, um = facts(desk.folder / folder / f"{name}.anlage")
        assert places == sorted([list(place) for place in marks[name]])
        assert um == PIXEL_UM[name]
    assert not (desk.folder / "A").exists()
    assert sorted(path.name for path in desk.folder.glob("*/*.anlage")) == ["A.anlage", "B.anlage", "C.anlage"]


def test_a_question_is_answered_by_a_click_and_new_recent_and_close_do_as_they_say(desk: Desk) -> None:
    desk.open("A", "A")
    desk.mark((10, 12))
    desk.remove_all()
    before = (desk.folder / "A/A.anlage/project.json").read_bytes()
    desk.open("A", "A", scale=(60, 9, 9, 9))
    asked = desk.dock.question
    assert asked.isVisible()
    assert "the voxel size is" in asked.text.text()
    for tab in (desk.dock.annotate, desk.dock.data):
        assert tab.status.plain.endswith("Answer above the tabs.")
    assert (desk.folder / "A/A.anlage/project.json").read_bytes() == before
    desk.press(next(button for button in asked.buttons if button.text() == "Image's"))
    assert not asked.isVisible()
    assert desk.shown == [[10, 12]]
    assert json.loads((desk.folder / "A/A.anlage/project.json").read_text())["settings"]["spacing_um_zyx"] == [9, 9, 9]

    desk.press(desk.dock.steps.buttons[0])
    row = desk.dock.data.project
    desk.press(row.new)
    assert row.name.text() == "A.tif → A-2.anlage"
    assert desk.shown == []
    row._fill()
    first = next(action for action in row.menu.actions() if action.text().startswith("A.anlage"))
    first.trigger()
    desk.qtbot.wait(100)
    assert (row.name.text(), desk.shown) == ("A.tif → A.anlage", [[10, 12]])
    desk.press(row.close_button)
    assert (desk.session.project, desk.shown) == (None, [])
    assert not row.close_button.isEnabled()
    assert "is closed" in desk.dock.annotate.status.plain
