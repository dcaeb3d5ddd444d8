"""Must-show 1: every widget, menu entry, sample, reader and preference of the manifest, opened in a real viewer."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import npe2
import numpy as np
import pytest
from npe2.manifest.utils import import_python_name
from qtpy.QtCore import QMimeData, QPointF, Qt, QUrl
from qtpy.QtGui import QDropEvent
from qtpy.QtWidgets import QApplication, QComboBox, QDialog, QMainWindow, QSpinBox, QWidget

from anlage import AddNuclei, AnlageError, Project, RemoveNuclei, Spacing, write_image
from napari_anlage import preferences
from napari_anlage.dock import Dock
from napari_anlage.lineage.panel import LineagePanel
from napari_anlage.panels import (
    AnnotateNuclei,
    ChooseChannels,
    FindCuboid,
    MeasureObjects,
    PredictNuclei,
    ReviewTracks,
    SignalsAndEvents,
    TrackNuclei,
    TrainNetworks,
)
from napari_anlage.reader import image_reader, project_reader
from napari_anlage.session.image_choice import path_of
from napari_anlage.session.session import Session
from napari_anlage.shell.host import Host

ROOT = Path(__file__).resolve().parents[2]
MANIFEST = npe2.PluginManifest.from_file(ROOT / "napari.yaml")
WIDGETS = {
    "anlage": Dock,
    "Annotate nuclei": AnnotateNuclei,
    "Find annotated cuboid": FindCuboid,
    "Choose channels": ChooseChannels,
    "Train networks": TrainNetworks,
    "Predict nuclei": PredictNuclei,
    "Measure objects": MeasureObjects,
    "Track nuclei": TrackNuclei,
    "Review tracks": ReviewTracks,
    "Signals and events": SignalsAndEvents,
}
STEPS = ("data", "annotate", "train", "predict", "track", "review")
SAMPLES = {
    "mouse_embryo": ["mouse embryo", "mouse embryo nuclei"],
    "embryo": ["embryo", "embryo nuclei", "embryo truth"],
    "embryo_bare": ["embryo 2 nuclei", "embryo 2 marker"],
    "flat": ["culture", "culture nuclei"],
}
_STEPS = (Dock, AnnotateNuclei, FindCuboid, ChooseChannels, TrainNetworks, PredictNuclei, MeasureObjects)
MENUS = {
    "napari/layers/annotate": _STEPS,
    "napari/layers/segment": _STEPS,
    "napari/layers/measure": (MeasureObjects,),
    "napari/layers/track": (Dock, TrackNuclei, ReviewTracks, LineagePanel, SignalsAndEvents),
    "napari/layers/classify": (Dock, SignalsAndEvents),
}
PREFERENCES = {"computing": {"device", "memory_gb"}, "saving": {"autosave_minutes"}}


@pytest.fixture
def viewer(make_napari_viewer_proxy, monkeypatch, tmp_path) -> Iterator[Any]:
    """A window that really opens, of a user without settings of their own."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    viewer = make_napari_viewer_proxy(show=True)
    viewer.window.resize(1366, 768)
    yield viewer
    for host in hosts(viewer):
        host.close()


def hosts(viewer: Any) -> list[Host]:
    return [widget for widget in viewer.window.dock_widgets.values() if isinstance(widget, Host)]


def of_kind(viewer: Any, kind: type[QWidget]) -> list[QWidget]:
    return [widget for widget in viewer.window.dock_widgets.values() if type(widget) is kind]


def add_movie(viewer: Any) -> Any:
    rng = np.random.default_rng(0)
    return viewer.add_image(rng.random((2, 4, 32, 32)), name="movie", units=("s", "µm", "µm", "µm"))


# ---- the file ----


def test_the_manifest_is_valid_and_says_what_is_tested_here() -> None:
    validate = subprocess.run(
        [sys.executable, "-m", "npe2", "validate", str(ROOT / "napari.yaml")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert validate.returncode == 0, validate.stdout + validate.stderr
    contributions = MANIFEST.contributions
    assert MANIFEST.name == "anlage"
    assert [widget.display_name for widget in contributions.widgets] == list(WIDGETS)
    assert [sample.key for sample in contributions.sample_data] == list(SAMPLES)
    assert [reader.command for reader in contributions.readers] == [
        "anlage.read_project",
        "anlage.import",
        "anlage.read_image",
    ]
    assert set(contributions.menus) == set(MENUS)
    assert {key: set(page.properties) for key, page in contributions.configurations.items()} == PREFERENCES


def test_every_command_is_there_and_is_used() -> None:
    contributions = MANIFEST.contributions
    used = {
        item.command
        for part in (contributions.widgets, contributions.sample_data, contributions.readers)
        for item in part
    }
    used |= {item.command for menu in contributions.menus.values() for item in menu}
    assert {command.id for command in contributions.commands} == used
    for command in contributions.commands:
        assert callable(import_python_name(command.python_name)), command.id


# ---- widgets ----


@pytest.mark.viewer
def test_every_widget_opens_and_they_share_the_session(viewer, qtbot) -> None:
    add_movie(viewer)
    for name, kind in WIDGETS.items():
        _, widget = viewer.window.add_plugin_dock_widget("anlage", name)
        assert isinstance(widget, kind)
        qtbot.waitUntil(lambda widget=widget: widget._awake, timeout=30000)  # it was painted
        assert widget.session is Session.of(viewer)
        assert 320 <= widget.sizeHint().width() <= 380
        assert widget.maximumWidth() <= 380
        assert widget.footer.isVisible()
        viewer.window.remove_dock_widget(widget)
    QApplication.processEvents()


@pytest.mark.viewer
def test_the_dock_fits_a_small_screen_and_a_narrow_place(viewer, qtbot) -> None:
    """Nothing is wider than 320 pixels, so nothing is cut; what is taller scrolls."""
    add_movie(viewer)
    _, dock = viewer.window.add_plugin_dock_widget("anlage", "anlage")
    qtbot.waitUntil(lambda: set(STEPS) <= set(vars(dock)), timeout=60000)
    for step in STEPS:
        dock.go_to(step)
        QApplication.processEvents()
        tab = getattr(dock, step)
        assert tab.isVisible()
        assert tab.minimumSizeHint().width() <= dock.minimumWidth() - 8, step
        assert tab.status.plain or step in ("predict", "track")
    assert dock.minimumSizeHint().height() <= 400
    dock.go_to("data")
    dock.data.next.button.click()
    assert dock.tabs.currentWidget().widget() is dock.annotate


# ---- menus ----


@pytest.mark.viewer
def test_every_menu_entry_opens_its_widget(viewer, qtbot) -> None:
    add_movie(viewer)
    titles = {command.id: command.title for command in MANIFEST.contributions.commands}
    actions = {action.text().replace("&", ""): action for action in all_actions(viewer.window.layers_menu)}
    for menu, kinds in MENUS.items():
        for item, kind in zip(MANIFEST.contributions.menus[menu], kinds, strict=True):
            title = f"{titles[item.command]} (anlage)"
            assert title in actions, (menu, sorted(actions))
            actions[title].trigger()
            qtbot.waitUntil(lambda kind=kind: len(of_kind(viewer, kind)) > 0, timeout=30000)
            (opened,) = of_kind(viewer, kind)
            actions[title].trigger()  # a second time brings the same one to the front
            assert of_kind(viewer, kind) == [opened]
            viewer.window.remove_dock_widget(opened)


def all_actions(menu: Any) -> Iterator[Any]:
    menu.aboutToShow.emit()
    for action in menu.actions():
        yield action
        if action.menu() is not None:
            yield from all_actions(action.menu())


# ---- samples ----


@pytest.mark.long
@pytest.mark.viewer
def test_every_sample_opens_and_can_be_worked_on(viewer) -> None:
    session = Session.of(viewer)
    for key, names in SAMPLES.items():
        layers = viewer.open_sample("anlage", key)
        assert [layer.name for layer in layers] == names
        session.choose_image(layers[0])
        image = session.scaled_image()
        if key == "mouse_embryo":
            assert (image.spacing, image.interval_s) == (Spacing(1.75, 0.8, 0.8), None)
            assert "CC BY 3.0" in layers[0].metadata["attribution"]
        else:
            assert image.spacing == Spacing(0.5 if key == "flat" else 2, 0.5, 0.5)
            assert image.interval_s == 300
        assert image.is_flat == (key == "flat")
        for layer in layers[1:]:
            session.choose_nuclei(layer if key != "embryo_bare" else None)
            if key != "embryo_bare":
                check_nuclei(session, session.annotations(), layer.name)
        if key == "embryo_bare":
            assert session.channel_names() == names
        viewer.layers.clear()


def check_nuclei(session: Session, nuclei: Any, name: str) -> None:
    """They lie on nuclei: where they are it is brighter than elsewhere."""
    frames = {"embryo truth": 6}.get(name, 3)
    assert nuclei.annotated_frames == tuple(range(frames))
    assert name == "embryo truth" or np.isfinite(nuclei.radius_um).all()
    assert (len(nuclei.links) > 0) == (name == "embryo truth")
    pixels = session.image().read()[:, 0]
    there = pixels[tuple(np.rint(nuclei.positions).astype(int).T)]
    assert np.median(there) > 3 * np.median(pixels)


# ---- the reader ----


@pytest.fixture
def project_folder(tmp_path) -> Path:
    """A project of an image on disk, with two nuclei."""
    pixels = np.random.default_rng(0).integers(0, 999, (3, 1, 4, 32, 32), dtype=np.uint16)
    scale = {"spacing": Spacing(2, 0.5, 0.5), "interval_s": 60.0}
    write_image(tmp_path / "movie.ome.zarr", pixels, **scale)
    project = Project.create(
        tmp_path / "movie.anlage", image=tmp_path / "movie.ome.zarr", shape_tzyx=(3, 4, 32, 32), **scale
    )
    two = project.document.new_ids(2)
    project.document.apply(AddNuclei(ids=two, positions=[(0, 1, 8, 9), (2, 3, 20, 21)]))
    project.close()
    return tmp_path / "movie.anlage"


@pytest.mark.viewer
def test_a_dropped_project_opens_with_image_annotation_and_dock(viewer, project_folder, qtbot) -> None:
    preferences.prefer_reader()  # as every widget of the plugin does
    drop(viewer, project_folder)
    session = Session.of(viewer)
    assert session.project is not None
    assert session.project.folder == project_folder
    assert session.image().shape_tzyx == (3, 4, 32, 32)
    assert session.scaled_image().spacing == Spacing(2, 0.5, 0.5)
    assert session.file == project_folder.with_name("movie.ome.zarr")
    np.testing.assert_array_equal(session.annotations().positions, [(0, 1, 8, 9), (2, 3, 20, 21)])
    (dock,) = hosts(viewer)
    assert isinstance(dock, Dock)
    assert dock.footer.project.text() == "movie.anlage"
    assert dock.data.image.currentText() == session.image_layer.name
    layers = list(viewer.layers)
    drop(viewer, project_folder)  # again: nothing is doubled
    assert list(viewer.layers) == layers
    assert hosts(viewer) == [dock]
    session.close()


def drop(viewer: Any, folder: Path) -> None:
    """Let go of a folder over the window, as from a file manager."""
    window = next(w for w in QApplication.topLevelWidgets() if isinstance(w, QMainWindow) and w.isVisible())
    target = next(w for w in window.findChildren(QWidget) if type(w).__name__ == "QtViewer")
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(folder))])
    event = QDropEvent(
        QPointF(50, 50), Qt.DropAction.CopyAction, mime, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    )
    target.dropEvent(event)  # Qt sends it only after a drag that began with the mouse
    QApplication.processEvents()


def test_the_users_own_choice_of_a_reader_stays(settings) -> None:
    from napari.settings import get_settings

    plugins = get_settings().plugins
    plugins.extension2reader = {"*.zarr": "other", "*.anlage": "mine"}
    preferences.prefer_reader()
    assert plugins.extension2reader == {"*.zarr": "other", "*.anlage": "mine", f"*.anlage{os.sep}": "anlage"}


def test_a_project_is_read_as_layers_where_there_is_no_window(project_folder, monkeypatch) -> None:
    monkeypatch.setattr("napari.current_viewer", lambda: None)
    (pixels, image, kind), (points, about, _) = npe2.read([str(project_folder)], stack=False, plugin_name="anlage")
    assert kind == "image"
    assert pixels.shape[-2:] == (32, 32)
    assert np.asarray(pixels).std() > 0
    assert image["scale"][-3:] == [2, 0.5, 0.5]
    assert points.tolist() == [[0, 1, 8, 9], [2, 3, 20, 21]]
    assert about["units"] == ["s", "µm", "µm", "µm"]


def test_a_model_is_no_layer_and_it_says_where_it_belongs(tmp_path) -> None:
    (tmp_path / "net.anlage").write_bytes(b"PK")
    read = project_reader([str(tmp_path / "net.anlage")])
    assert read is not None
    with pytest.raises(
        AnlageError, match=r"'net\.anlage' is a trained network and no image; open it on the Predict tab"
    ):
        read(str(tmp_path / "net.anlage"))
    assert project_reader(str(tmp_path / "nothing.anlage")) is None
    assert project_reader([str(tmp_path), str(tmp_path)]) is None


@pytest.mark.viewer
def test_a_folder_that_is_no_project_is_one_sentence(viewer, tmp_path) -> None:
    (tmp_path / "empty.anlage").mkdir()
    with pytest.raises(AnlageError, match=r"'.*empty\.anlage' is no project: it has no project\.json"):
        viewer.open(str(tmp_path / "empty.anlage"), plugin="anlage")
    assert not viewer.layers


@pytest.mark.viewer
def test_a_movie_that_napari_does_not_read_opens_with_its_scale_and_can_be_chosen(viewer, tmp_path) -> None:
    (tmp_path / "m.xml").write_text(
        '<SpimData><SequenceDescription><ImageLoader format="bdv.hdf5"><hdf5 type="relative">m.h5</hdf5></ImageLoader>'
        "<ViewSetups><ViewSetup><id>0</id><name>h2b</name><voxelSize><unit>micron</unit><size>0.5 0.5 2</size></voxelSize>"
        "</ViewSetup><ViewSetup><id>1</id><name>mem</name></ViewSetup></ViewSetups></SequenceDescription></SpimData>"
    )
    pixels = np.arange(2 * 2 * 3 * 8 * 9, dtype=np.int16).reshape(2, 2, 3, 8, 9)
    with h5py.File(tmp_path / "m.h5", "w") as file:
        for t, setup in np.ndindex(2, 2):
            file[f"t{t:05}/s{setup:02}/0/cells"] = pixels[t, setup]
    layers = viewer.open(str(tmp_path / "m.xml"), plugin="anlage")
    assert [layer.name for layer in layers] == ["m h2b", "m mem"]
    assert layers[1].scale.tolist() == [1, 2, 0.5, 0.5]
    assert (np.asarray(layers[1].data[1]) == pixels[1, 1]).all()
    session = Session.of(viewer)
    session.choose_image(layers[0])
    assert path_of(layers[0]) == tmp_path / "m.xml"
    assert image_reader(str(tmp_path / "m.xml")) is not None
    (tmp_path / "tracks.xml").write_text("<TrackMate></TrackMate>")
    assert image_reader(str(tmp_path / "tracks.xml")) is None
    session.close()


# ---- preferences ----


@pytest.fixture
def settings(monkeypatch, tmp_path) -> Any:
    """Settings of a user who never changed any, written to a folder of their own."""
    import napari.settings

    monkeypatch.setattr(napari.settings, "_PLUGIN_SETTINGS", {})
    monkeypatch.setattr(napari.settings, "_CFG_PATH", str(tmp_path / "settings.yaml"))
    monkeypatch.delenv("ANLAGE_MEMORY_GB", raising=False)
    return napari.settings.get_plugin_settings("anlage")


def test_preferences_have_the_manifests_defaults_and_are_kept(settings, tmp_path) -> None:
    assert preferences.read() == preferences.Preferences(device="auto", memory_gb=None, autosave_minutes=5)
    settings.computing.device = "cpu"
    settings.computing.memory_gb = 2.5
    settings.saving.autosave_minutes = 12
    assert preferences.read() == preferences.Preferences(device="cpu", memory_gb=2.5, autosave_minutes=12)
    assert "autosave_minutes: 12" in (tmp_path / "anlage.yaml").read_text()
    for name, value in (("device", "tpu"), ("memory_gb", -1)):
        with pytest.raises(ValueError, match=name):
            setattr(settings.computing, name, value)


@pytest.mark.viewer
def test_preferences_do_something_at_once(settings, viewer, qtbot, monkeypatch) -> None:
    """The dialog shows them; the device is chosen on the Train tab, children inherit the limit, the timer follows."""
    add_movie(viewer)
    _, dock = viewer.window.add_plugin_dock_widget("anlage", "anlage")
    qtbot.waitUntil(lambda: dock.autosave.timer.isActive(), timeout=30000)
    assert dock.autosave.timer.interval() == 5 * 60_000
    assert dock.train.device.value == "auto"

    next(action for action in all_actions(viewer.window.file_menu) if action.text().startswith("Preferences")).trigger()
    qtbot.waitUntil(lambda: bool(dialogs()), timeout=10000)
    (dialog,) = dialogs()
    boxes = dialog.findChildren(QComboBox)
    device = next(box for box in boxes if "cuda:1" in [box.itemText(i) for i in range(box.count())])
    device.setCurrentText("cpu")
    minutes = next(spin for spin in dialog.findChildren(QSpinBox) if spin.maximum() == 120)
    assert minutes.value() == 5
    minutes.setValue(9)
    settings.computing.memory_gb = 1.5
    assert preferences.read() == preferences.Preferences(device="cpu", memory_gb=1.5, autosave_minutes=9)
    assert dock.train.device.value == "cpu"
    assert dock.autosave.timer.interval() == 9 * 60_000
    assert os.environ["ANLAGE_MEMORY_GB"] == "1.5"
    settings.computing.memory_gb = 0
    assert "ANLAGE_MEMORY_GB" not in os.environ
    dialog.close()


def dialogs() -> list[Any]:
    return [
        w for w in QApplication.topLevelWidgets() if type(w).__name__ == "PreferencesDialog" and isinstance(w, QDialog)
    ]


@pytest.mark.viewer
def test_the_project_is_saved_by_itself(settings, viewer, project_folder, qtbot) -> None:
    Session.of(viewer).open_project(project_folder)
    _, dock = viewer.window.add_plugin_dock_widget("anlage", "anlage")
    session = dock.session
    saved = (project_folder / "project.json").read_text()
    session.project.document.apply(RemoveNuclei(ids=[1]))
    assert (project_folder / "project.json").read_text() == saved
    qtbot.waitUntil(dock.autosave.timer.isActive, timeout=20000)  # the first paint starts it, whenever that comes
    dock.autosave.timer.start(50)
    qtbot.waitUntil(lambda: (project_folder / "project.json").read_text() != saved, timeout=20000)
    session.close()
    assert len(Project.open(project_folder).document.nuclei) == 1
