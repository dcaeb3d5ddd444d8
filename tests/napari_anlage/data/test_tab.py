"""The Data tab: what it reads from layers of every sort, what can be changed, and measuring a nucleus."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
import zarr
from napari.components import ViewerModel
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import QApplication, QMainWindow, QWidget

from anlage import Spacing
from napari_anlage.data.axis_chips import with_axis
from napari_anlage.data.diameter import diameter_of
from napari_anlage.data.tab import DataTab
from napari_anlage.dock import Dock
from napari_anlage.session.session import Session

UM = {"units": ("s", "µm", "µm", "µm"), "scale": (60.0, 2.0, 0.5, 0.5), "axis_labels": tuple("tzyx")}


@pytest.fixture
def tab(qtbot):
    """The tab over a viewer without a window."""
    viewer = ViewerModel()
    tab = DataTab(Session.of(viewer))
    tab.viewer = viewer  # viewers live as long as their windows
    qtbot.addWidget(tab)
    return tab


def show(tab: DataTab, *args, **kwargs):
    layer = tab.viewer.add_image(*args, **kwargs)
    tab._session.choose_image(layer)
    return layer


def axis_texts(tab: DataTab) -> list[str]:
    return [chip.text() for chip in tab.axes.chips]


def test_without_an_image_it_says_what_to_do(tab) -> None:
    assert tab.status.plain == "No image is chosen; open one in napari and choose it on the Data tab."
    assert not tab.next.button.isEnabled()
    assert not tab.channels.isVisibleTo(tab)


def test_axes_voxel_and_time_step_are_read_from_the_layer(tab, qtbot) -> None:
    layer = show(tab, np.zeros((6, 4, 10, 12)), name="movie", **UM)
    assert axis_texts(tab) == ["T 6", "Z 4", "Y 10", "X 12"]
    assert tab.scale.voxel.text() == "2 × 0.5 × 0.5 µm"
    assert tab.scale.interval.text() == "every 60 s"
    assert not tab.scale.hint.isVisibleTo(tab)
    assert tab.status.plain == "Ready: 1 channel."
    with qtbot.waitSignal(tab.proceed):
        tab.next.button.click()
    layer.name = "renamed"
    tab.refresh_layers()
    assert tab.image.currentText() == "renamed"


def test_units_are_converted(tab) -> None:
    show(tab, np.zeros((2, 4, 10, 12)), units=("min", "nm", "nm", "nm"), scale=(2, 1500, 200, 250))
    assert tab.scale.voxel.text() == "1.5 × 0.2 × 0.25 µm"
    assert tab.scale.interval.text() == "every 2 min"


def test_an_unknown_voxel_size_is_asked_for_and_what_the_layer_hints_at_is_offered(tab) -> None:
    show(tab, np.zeros((3, 4, 10, 12)), scale=(1, 2, 0.5, 0.25))
    fields = tab.scale.voxel_fields
    assert tab.scale.voxel.text() == "voxel size ?"
    assert fields.isVisibleTo(tab)
    assert [spin.value() for spin in fields.spins] == [2, 0.5, 0.25]  # offered, not assumed
    assert "if that is in µm, press Set" in tab.scale.hint.text()
    assert "voxel size" in tab.next.reason.text()
    assert tab._session.image().spacing is None
    fields.apply.click()
    assert tab._session.image().spacing == Spacing(2, 0.5, 0.25)
    assert tab.scale.voxel.text() == "2 × 0.5 × 0.25 µm"
    assert not fields.isVisibleTo(tab)
    assert tab.next.button.isEnabled()


def test_a_voxel_size_can_be_typed_in_other_units_and_taken_back(tab) -> None:
    show(tab, np.zeros((3, 4, 10, 12)), **UM)
    fields = tab.scale.voxel_fields
    tab.scale.voxel.click()
    fields.unit.setCurrentText("nm")
    for spin, value in zip(fields.spins, (1000, 250, 250), strict=True):
        spin.setValue(value)
    fields.apply.click()
    assert tab._session.image().spacing == Spacing(1, 0.25, 0.25)
    tab.scale.voxel.click()
    fields.reset.click()
    assert tab._session.image().spacing == Spacing(2, 0.5, 0.5)


def test_a_size_of_nothing_is_refused(tab) -> None:
    show(tab, np.zeros((3, 4, 10, 12)))
    tab.scale.voxel_fields.apply.click()
    assert tab._session.image().spacing is None
    assert tab.scale.voxel_fields._reason.isVisibleTo(tab)


def test_the_time_step_can_be_typed(tab) -> None:
    show(tab, np.zeros((3, 4, 10, 12)), units=("pixel", "µm", "µm", "µm"))
    assert tab.scale.interval.text() == "time step ?"
    assert tab.next.button.isEnabled()  # nothing needs it
    tab.scale.interval.click()
    fields = tab.scale.interval_fields
    fields.unit.setCurrentText("min")
    fields.spins[0].setValue(2.5)
    fields.apply.click()
    assert tab._session.image().interval_s == 150
    assert tab.scale.interval.text() == "every 2.5 min"
    assert tab._session.image().spacing == Spacing(1, 1, 1)


def test_what_is_being_typed_is_not_overwritten(tab) -> None:
    show(tab, np.zeros((3, 4, 10, 12)))
    tab.scale.voxel_fields.spins[0].setValue(7)
    tab.viewer.add_image(np.zeros((2, 2)))
    tab.refresh_layers()
    assert tab.scale.voxel_fields.spins[0].value() == 7


def test_axes_are_changed_from_a_chips_menu(tab) -> None:
    show(tab, np.zeros((6, 10, 12)), units=("µm",) * 3)
    assert axis_texts(tab) == ["Z 6", "Y 10", "X 12"]
    actions = {action.text(): action for action in tab.axes.chips[0].menu().actions()}
    actions["time"].trigger()
    assert axis_texts(tab) == ["T 6", "Y 10", "X 12"]
    assert tab._session.image().shape == (6, 1, 1, 10, 12)
    {action.text(): action for action in tab.axes.chips[1].menu().actions()}["x (columns)"].trigger()
    assert axis_texts(tab) == ["T 6", "X 10", "Y 12"]  # the two change places
    {action.text(): action for action in tab.axes.chips[1].menu().actions()}["all axes as the layer says"].trigger()
    assert axis_texts(tab) == ["Z 6", "Y 10", "X 12"]
    {action.text(): action for action in tab.axes.chips[1].menu().actions()}["channels"].trigger()
    assert "need" in tab.status.plain or "fit" in tab.status.plain  # y is gone: refused with the reason
    assert axis_texts(tab) == ["Z 6", "Y 10", "X 12"]


@pytest.mark.parametrize(
    ("axes", "place", "axis", "expected"),
    [("zyx", 0, "t", "tyx"), ("tzyx", 0, "z", "ztyx"), ("tczyx", 1, "c", "tczyx"), ("tzyx", 3, "y", "tzxy")],
)
def test_an_axis_that_takes_anothers_letter_gives_its_own(axes, place, axis, expected) -> None:
    assert with_axis(axes, place, axis) == expected


# ---- channels ----


def test_channels_are_ticked_named_and_given_roles(tab) -> None:
    two = show(tab, np.zeros((2, 3, 8, 8)), axis_labels=tuple("czyx"), units=("pixel", "µm", "µm", "µm"))
    rows = tab.channels.rows
    assert [row.name.text() for row in rows] == ["channel 0", "channel 1"]
    assert [row.role.currentText() for row in rows] == ["nuclei", "other"]
    assert tab.status.plain == "Ready: 2 channels, separate inputs."
    tab.channels.summed.setChecked(True)
    assert tab._session.combine == "sum"
    assert tab.status.plain == "Ready: 2 channels, summed."
    rows[0].tick.setChecked(False)
    assert tab._session.picked == (1,)
    assert not tab.channels.combine.isVisibleTo(tab)
    assert "None of them is said to show nuclei" in tab.status.plain
    rows[1].name.setText("DAPI")
    rows[1].name.editingFinished.emit()
    assert tab._session.channel_names() == ["channel 0", "DAPI"]
    rows[1].role.setCurrentText("other")
    rows[1].role.activated.emit(1)
    assert tab._session.image_layer is two
    assert rows[1].role.currentText() == "other"
    rows[1].tick.setChecked(False)
    assert "No channel is ticked" in tab.next.reason.text()


def test_separate_layers_are_offered_as_channels(tab) -> None:
    show(tab, np.zeros((3, 8, 8)), name="a", units=("µm",) * 3)
    tab.viewer.add_image(np.zeros((3, 8, 8)), name="b", units=("µm",) * 3)
    tab.viewer.add_image(np.zeros((4, 8, 8)), name="other shape", units=("µm",) * 3)
    tab.refresh_layers()
    rows = tab.channels.rows
    assert [row.name.text() for row in rows] == ["a", "b"]
    rows[1].tick.setChecked(True)
    assert tab._session.image().channels == ("a", "b")
    rows[1].name.setText("membrane")
    rows[1].name.editingFinished.emit()
    assert [layer.name for layer in tab.viewer.layers] == ["a", "membrane", "other shape"]


def test_thumbnails_are_read_when_the_tab_is_looked_at(tab, qtbot) -> None:
    pixels = np.zeros((3, 2, 4, 40, 40), np.uint16)
    pixels[1, 1, :, :20] = 100
    show(tab, pixels, axis_labels=tuple("tczyx"), units=("s", "pixel", "µm", "µm", "µm"))
    assert tab.channels.rows[0].picture.pixmap().isNull()
    tab.show()
    qtbot.waitUntil(lambda: not tab.channels.rows[1].picture.pixmap().isNull(), timeout=60000)
    image = tab.channels.rows[1].picture.pixmap().toImage()
    assert image.pixelColor(20, 5).red() > 200
    assert image.pixelColor(20, 35).red() < 50
    show(tab, pixels[:, :1] * 0, axis_labels=tuple("tczyx"))
    qtbot.waitUntil(lambda: len(tab.channels.rows) == 1 and not tab.channels._thread.busy, timeout=60000)


def test_an_image_that_cannot_be_read_is_one_sentence(tab, qtbot, monkeypatch) -> None:
    told = []
    monkeypatch.setattr("napari_anlage.widgets.basic.show_error", told.append)

    def broken(*_, **__):
        raise OSError(5, "Input/output error", "movie.tif")

    monkeypatch.setattr("napari_anlage.data.channel_list.thumbnail", broken)
    show(tab, np.zeros((3, 8, 8)), units=("µm",) * 3)
    tab.show()
    qtbot.waitUntil(lambda: bool(told), timeout=60000)
    assert told == ["A file cannot be read or written (movie.tif): Input/output error."]


# ---- layers of every sort ----


def kinds_of_layers(tmp_path) -> dict[str, tuple]:
    rng = np.random.default_rng(0)
    movie = rng.integers(0, 999, (3, 4, 32, 36), dtype=np.uint16)
    stored = zarr.create_array(tmp_path / "m.zarr", data=movie, chunks=(1, 2, 16, 16))
    colours = rng.integers(0, 255, (3, 4, 32, 36, 3), dtype=np.uint8)
    levels = [movie, movie[..., ::2, ::2], movie[..., ::4, ::4]]
    five = UM | {
        "units": ("s", "pixel", *UM["units"][1:]),
        "scale": (60, 1, 2, 0.5, 0.5),
        "axis_labels": tuple("tczyx"),
    }
    return {
        "numpy": (movie, UM, 1, ["T 3", "Z 4", "Y 32", "X 36"]),
        "dask": (da.from_array(movie, chunks=(1, 4, 16, 16)), UM, 1, ["T 3", "Z 4", "Y 32", "X 36"]),
        "zarr": (stored, UM, 1, ["T 3", "Z 4", "Y 32", "X 36"]),
        "multiscale": (levels, UM | {"multiscale": True}, 1, ["T 3", "Z 4", "Y 32", "X 36"]),
        "rgb": (colours, UM | {"rgb": True}, 3, ["T 3", "Z 4", "Y 32", "X 36"]),
        "channel axis": (np.stack([movie] * 2, axis=1), five, 2, ["T 3", "C 2", "Z 4", "Y 32", "X 36"]),
    }


@pytest.mark.parametrize("kind", ["numpy", "dask", "zarr", "multiscale", "rgb", "channel axis"])
def test_layers_of_every_sort_work(tab, qtbot, tmp_path, kind) -> None:
    data, about, n_channels, axes = kinds_of_layers(tmp_path)[kind]
    show(tab, data, **about)
    assert axis_texts(tab) == axes
    assert tab.scale.voxel.text() == "2 × 0.5 × 0.5 µm"
    assert len(tab.channels.rows) == n_channels
    assert tab.next.button.isEnabled(), tab.status.plain
    image = tab._session.scaled_image()
    assert image.shape == (3, n_channels, 4, 32, 36)
    whole = np.asarray(data[0] if kind == "multiscale" else data)
    expected = whole[1, ..., 0] if kind == "rgb" else whole[1, 0] if kind == "channel axis" else whole[1]
    np.testing.assert_array_equal(image.frame(1)[0], expected)
    tab.show()
    qtbot.waitUntil(lambda: not tab.channels.rows[-1].picture.pixmap().isNull(), timeout=60000)


@pytest.mark.parametrize(
    "turned",
    [{"rotate": 20}, {"shear": [0.3, 0, 0]}, {"affine": [[1, 0.2, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]}],
)
def test_a_rotated_or_sheared_layer_is_refused_with_the_reason(tab, turned) -> None:
    show(tab, np.zeros((4, 8, 8)), name="tilted", units=("µm",) * 3, **turned)
    assert tab.status.plain == (
        "The layer 'tilted' is rotated or sheared, which anlage does not follow; set its rotation and shear to zero, or "
        "resample it."
    )
    assert not tab.next.button.isEnabled()


# ---- the nucleus diameter ----


def test_the_diameter_can_be_typed(tab) -> None:
    show(tab, np.zeros((4, 8, 8)), units=("µm",) * 3)
    spin = tab.diameter.spin
    assert spin.text() == "measured by itself"
    spin.setValue(7.5)
    assert tab._session.diameter_um == 7.5
    assert spin.text() == "7.5 µm"
    show(tab, np.zeros((4, 8, 8)), units=("µm",) * 3)
    assert tab._session.diameter_um is None  # another image, other nuclei
    assert spin.text() == "measured by itself"


def test_without_a_voxel_size_nothing_can_be_measured(tab) -> None:
    show(tab, np.zeros((4, 8, 8)))
    assert not tab.diameter.draw.isEnabled()
    assert "voxel size" in tab.diameter.draw.toolTip()


def test_a_nucleus_is_measured_in_the_2d_view(tab) -> None:
    show(tab, np.zeros((4, 8, 8)), units=("µm",) * 3)
    tab.viewer.dims.ndisplay = 3
    tab.diameter.draw.click()
    assert "2D view" in tab.diameter.hint.text()
    assert len(tab.viewer.layers) == 1


def test_measuring_can_be_given_up_and_leaves_nothing(tab) -> None:
    image = show(tab, np.zeros((4, 8, 8)), units=("µm",) * 3)
    tab.diameter.draw.click()
    assert tab.diameter.draw.text() == "Cancel"
    assert len(tab.viewer.layers) == 2
    assert tab._session.image_layers() == [image]
    tab.diameter.draw.click()
    assert list(tab.viewer.layers) == [image]
    tab.diameter.draw.click()
    tab.viewer.layers.remove(tab.viewer.layers[1])  # the user throws it away
    assert tab.diameter.draw.text() == "Draw on one"
    assert tab.viewer.layers.selection.active is image


@pytest.mark.parametrize(
    ("shape", "corners", "diameter"),
    [("line", [[0, 1, 1], [0, 4, 5]], 5.0), ("ellipse", [[0, 0, 0], [0, 0, 6], [0, 8, 6], [0, 8, 0]], 7.0)],
)
def test_a_line_and_an_ellipse_have_a_diameter(shape, corners, diameter) -> None:
    assert diameter_of(np.array(corners, float), shape) == diameter


@pytest.mark.viewer
def test_a_nucleus_is_measured_by_dragging_across_it(make_napari_viewer_proxy, qtbot, monkeypatch, tmp_path) -> None:
    """Real mouse events on the real canvas, over an image whose voxels are 2 × 0.5 × 0.25 µm."""
    monkeypatch.setenv("HOME", str(tmp_path))
    viewer = make_napari_viewer_proxy(show=True)
    viewer.window.resize(800, 560)  # a software renderer takes long for a large one
    image = viewer.add_image(np.zeros((3, 5, 200, 400)), **UM | {"scale": (60, 2, 0.5, 0.25)})
    _, dock = viewer.window.add_plugin_dock_widget("anlage", "anlage")
    assert isinstance(dock, Dock)
    dock.data.diameter.draw.click()
    assert dock.data.diameter.hint.text() == "Drag a line across one nucleus, from edge to edge."
    ruler = viewer.layers[-1]
    QApplication.processEvents()
    canvas = canvas_of(dock)
    middle = QPoint(canvas.width() // 2, canvas.height() // 2)
    click(canvas, middle, middle)  # a mere click measures nothing
    assert ruler in viewer.layers
    assert len(ruler.data) == 0
    click(canvas, middle, middle + QPoint(40, 30))
    qtbot.waitUntil(lambda: dock.session.diameter_um is not None, timeout=5000)
    expected = 50 / viewer.scene.camera.zoom
    assert dock.session.diameter_um == pytest.approx(expected, rel=0.03)
    assert list(viewer.layers) == [image]
    assert viewer.layers.selection.active == image
    assert dock.data.diameter.spin.value() == dock.session.diameter_um
    assert dock.data.diameter.draw.text() == "Draw on one"


def canvas_of(inside: QWidget) -> QWidget:
    """The canvas of the window that a widget lies in."""
    window = inside.window()
    assert isinstance(window, QMainWindow)
    return next(w for w in window.findChildren(QWidget) if type(w).__name__.startswith("CanvasBackend"))


def click(canvas: QWidget, start: QPoint, end: QPoint) -> None:
    """Press at one place and release at another."""
    kinds = [(QEvent.Type.MouseMove, start, False), (QEvent.Type.MouseButtonPress, start, True)]
    if start != end:
        steps = [start + (end - start) * k / 5 for k in range(1, 6)]
        kinds += [(QEvent.Type.MouseMove, place, True) for place in steps]
    kinds.append((QEvent.Type.MouseButtonRelease, end, False))
    for kind, place, held in kinds:
        button = Qt.MouseButton.NoButton if kind == QEvent.Type.MouseMove else Qt.MouseButton.LeftButton
        buttons = Qt.MouseButton.LeftButton if held else Qt.MouseButton.NoButton
        there = QPointF(place)
        event = QMouseEvent(
            kind, there, QPointF(canvas.mapToGlobal(place)), button, buttons, Qt.KeyboardModifier.NoModifier
        )
        QApplication.sendEvent(canvas, event)
        QApplication.processEvents()


def test_missing_chunks_and_incredible_voxels_are_told(tab, tmp_path) -> None:
    array = zarr.create_array(tmp_path / "a.zarr", data=np.ones((6, 4, 8, 8), np.uint16), chunks=(1, 4, 8, 8))
    (tmp_path / "a.zarr/c/4/0/0/0").unlink()
    file = {"anlage": {"path": str(tmp_path / "a.zarr")}}
    layer = show(tab, da.from_zarr(array), metadata=file, **UM)
    assert "1 of 6 chunks" in tab.status.text()
    layer.scale = (60.0, 352.0, 352.0, 352.0)
    tab.refresh()
    assert "is the voxel size right?" in tab.status.text()
