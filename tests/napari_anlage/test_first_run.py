"""The first minutes of somebody who knows nothing: few clicks, no number typed, one next action, nothing cut off."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QDockWidget,
    QFileDialog,
    QLabel,
    QLineEdit,
    QPushButton,
    QScrollArea,
    QWidget,
)

from anlage import Spacing, embryo, write_image
from napari_anlage.dock import Dock
from napari_anlage.shell.host import MIN_WIDTH

pytestmark = pytest.mark.viewer
STEPS = ("data", "annotate", "train", "predict", "track", "review", "signals")


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def docked(make_napari_viewer_proxy: Any, home: Path) -> Iterator[tuple[Any, Dock]]:
    """A viewer of 1280 × 720 that is shown, with the dock in it and nothing else."""
    viewer = make_napari_viewer_proxy(show=True)
    viewer.window.resize(1280, 720)
    _, dock = viewer.window.add_plugin_dock_widget("anlage", "anlage")
    yield viewer, dock
    dock.session.jobs.running and [job.stop() for job in dock.session.jobs.running]
    dock.close()
    dock.session.close()


@pytest.fixture
def movie(tmp_path: Path) -> Path:
    """A file that says how large its voxels are."""
    made = embryo(3, n_frames=2, shape_zyx=(12, 64, 64), n_nuclei=10)
    scale = {"spacing": made.spacing, "interval_s": made.image.interval_s}
    write_image(tmp_path / "movie.ome.zarr", made.image.read(), **scale)
    return tmp_path / "movie.ome.zarr"


class User:
    """Clicks, and counts it."""

    def __init__(self) -> None:
        self.clicks = 0

    def click(self, button: QAbstractButton) -> None:
        assert button.isVisible(), button.text()
        assert button.isEnabled(), button.text()
        self.clicks += 1
        QTest.mouseClick(button, Qt.MouseButton.LeftButton, pos=QPoint(8, 8))


def test_an_own_file_is_previewed_within_four_clicks_and_no_number(
    docked: tuple[Any, Dock], movie: Path, monkeypatch: pytest.MonkeyPatch, qtbot: Any
) -> None:
    viewer, dock = docked
    user, begin = User(), dock.data.beginning
    assert [button.text() for button in begin.findChildren(QPushButton) if button.isVisible()] == [
        "Open an image …", "Open a folder …", "Open a sample", "Tutorial",
    ]  # fmt: skip
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(movie))
    user.click(begin.folder)
    assert not begin.isVisible()
    assert dock.session.image().spacing == Spacing(2, 0.5, 0.5)
    user.click(dock.steps.buttons[STEPS.index("predict")])
    user.click(dock.predict.preview.button)
    qtbot.waitUntil(lambda: dock.predict.acceptance.candidates is not None, timeout=60_000)
    assert user.clicks <= 4
    assert any("preview" in layer.name for layer in viewer.layers)

    # the first rings fit the nuclei
    dock.go_to("annotate")
    User().click(dock.annotate.mark)
    editor = dock.session.need_editor()
    qtbot.waitUntil(lambda: editor.radius_um is not None, timeout=20_000)
    assert 0.7 * 8 <= 2 * editor.default_radius_um() <= 1.4 * 8  # nuclei of this embryo are 8 µm across
    assert "µm across, as measured" in dock.annotate.status.plain


def test_after_a_training_one_click_shows_what_its_model_finds(
    docked: tuple[Any, Dock], movie: Path, monkeypatch: pytest.MonkeyPatch, qtbot: Any
) -> None:
    _, dock = docked
    dock.data.beginning.open_path(movie)
    dock.session.need_editor()  # there is a project
    kept = dock.session.folder / "models" / "mine.anlage"
    kept.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(files("anlage") / "models" / "starter.anlage", kept)
    asked: list[Path | None] = []
    monkeypatch.setattr(dock.predict, "preview_here", lambda: asked.append(dock.predict.models.choice.path))
    view = dock.train.view
    run = SimpleNamespace(config=SimpleNamespace(task="nuclei"), model_path=kept, path=kept)
    monkeypatch.setattr(view, "watcher", SimpleNamespace(run=run, state="finished", curve=view.watcher.curve))
    monkeypatch.setattr("napari_anlage.train.run_view.report_pictures", lambda _: ())
    monkeypatch.setattr(view, "running", list)
    dock.go_to("train")
    view.refresh()
    assert view.use.button.text() == "Preview this model"
    User().click(view.use.button)
    assert asked == [kept]
    assert dock.tabs.currentIndex() == STEPS.index("predict")
    monkeypatch.undo()  # the dock is closed with its own watcher


def test_a_stack_without_names_is_asked_about_time_and_a_plane_never_about_z(docked: tuple[Any, Dock]) -> None:
    viewer, dock = docked
    viewer.add_image(np.random.default_rng(0).random((5, 32, 32)))
    question = dock.data.is_time
    assert question.isVisible()
    User().click(question.time)
    assert not question.isVisible()
    image = dock.session.image()
    assert (image.n_frames, image.is_flat) == (5, True)
    z, y, x = dock.data.scale.voxel_fields.spins
    assert not z.isVisible()
    assert "z" not in dock.data.scale.hint.text().split(":")[1]
    y.setValue(0.5)
    x.setValue(0.5)
    User().click(dock.data.scale.voxel_fields.apply)
    assert dock.session.scaled_image().spacing == Spacing(0.5, 0.5, 0.5)
    assert dock.data.scale.voxel.text() == "0.5 × 0.5 µm"


def test_jobs_are_in_the_activity_dock_and_widgets_share_one_place_as_tabs(
    docked: tuple[Any, Dock], qtbot: Any
) -> None:
    from napari.utils import progress

    viewer, dock = docked
    job = dock.session.jobs.begin("Predicting 4 frames")
    job.update(0.5, "2 of 4")
    (bar,) = progress._all_instances
    assert bar.desc.startswith("Predicting 4 frames")
    assert bar.n == 50
    job.end()
    assert not progress._all_instances

    _, panel = viewer.window.add_plugin_dock_widget("anlage", "Find annotated cuboid")
    window = dock.window()
    own = next(one for one in window.findChildren(QDockWidget) if one.widget() is panel)
    qtbot.waitUntil(lambda: len(window.tabifiedDockWidgets(own)) == 1, timeout=5000)
    qtbot.waitUntil(lambda: panel.height() > 300, timeout=5000)
    assert dock.minimumHeight() >= 200


# ---- nothing is cut off, and everything has a name ----


def shown(dock: Dock, kind: type[QWidget] | tuple[type[QWidget], ...]) -> list[Any]:
    return [widget for widget in dock.findChildren(QWidget) if isinstance(widget, kind) and widget.isVisible()]


def cut_off(dock: Dock) -> list[str]:
    """Words that do not fit their button or label, and steps that are wider than their scroll area, with what makes them so."""
    found = []
    for words in shown(dock, (QPushButton, QLabel)):
        shortens = isinstance(words, QLabel) and (words.wordWrap() or "Eliding" in type(words).__name__)
        if shortens or words.text().startswith("<"):
            continue
        lines = words.text().replace("&", "").splitlines()
        needed = max((words.fontMetrics().horizontalAdvance(line) for line in lines), default=0)
        if needed > words.width() + 1:
            found.append(f"'{words.text()}' needs {needed} of {words.width()}")
    for area in shown(dock, QScrollArea):
        inside, room = area.widget(), area.viewport().width()
        if inside is not None and inside.width() > room + 1:
            wide = [
                one
                for one in inside.findChildren(QWidget)
                if one.isVisible() and one.minimumSizeHint().width() > room - 32
            ]
            names = [f"{type(one).__name__} in {type(one.parentWidget()).__name__}" for one in wide]
            found.append(f"{type(inside).__name__} is {inside.width()} wide where there is room for {room}: {names}")
    return found


def nameless(dock: Dock) -> list[str]:
    """Controls that a screen reader cannot name, or whose tooltip says nothing."""
    kinds = (QAbstractButton, QComboBox, QAbstractSpinBox, QLineEdit)
    own = [
        one
        for one in shown(dock, kinds)
        if not isinstance(one.parentWidget(), (QAbstractSpinBox, QComboBox))
        and one.objectName() != "qt_spinbox_lineedit"
    ]
    return [
        f"{type(one).__name__} '{one.text() if hasattr(one, 'text') else ''}' of {type(one.parentWidget()).__name__}"
        for one in own
        if not one.accessibleName() or not one.toolTip()
    ]


def each_step(dock: Dock, check: Callable[[Dock], list[str]]) -> dict[str, list[str]]:
    found = {}
    for step in STEPS:
        dock.go_to(step)
        QApplication.processEvents()
        found[step] = check(dock)
    return {step: what for step, what in found.items() if what}


def in_lines(found: dict[str, list[str]]) -> str:
    return "\n".join(f"{step}: {one}" for step, ones in found.items() for one in ones)


def test_nothing_is_cut_off_in_a_narrow_dock_on_a_small_screen_and_all_has_a_name(
    docked: tuple[Any, Dock], movie: Path
) -> None:
    viewer, dock = docked
    dock.data.beginning.open_path(movie)
    dock.setFixedWidth(MIN_WIDTH)
    for theme in ("dark", "light"):
        viewer.theme = theme
        QApplication.processEvents()
        assert dock.window().height() <= 720
        assert not in_lines(each_step(dock, cut_off)), theme
    assert not in_lines(each_step(dock, nameless))
