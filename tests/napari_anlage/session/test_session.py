"""What the tabs share, without a window."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path

import numpy as np
import pytest
from napari.components import ViewerModel

from anlage import AnlageError, Spacing
from napari_anlage.session.session import Session


def test_one_session_for_each_viewer_and_none_outlives_it() -> None:
    def work() -> tuple[weakref.ref[Session], weakref.ref[ViewerModel]]:
        viewer = ViewerModel()
        session = Session.of(viewer)
        assert Session.of(viewer) is session
        assert Session.of(ViewerModel()) is not session
        viewer.add_image(np.zeros((3, 4, 5)))
        session.choose_image(viewer.layers[0])
        return weakref.ref(session), weakref.ref(viewer)

    session, viewer = work()
    gc.collect()
    assert viewer() is None
    assert session() is None


def test_without_an_image_it_says_what_to_do() -> None:
    with pytest.raises(AnlageError, match="No image is chosen; open one in napari"):
        Session.of(ViewerModel()).image()


def test_an_unknown_voxel_size_is_asked_for_and_taken() -> None:
    viewer = ViewerModel()
    session = Session.of(viewer)
    session.choose_image(viewer.add_image(np.zeros((3, 4, 5)), name="raw"))
    with pytest.raises(AnlageError, match="The voxel size of 'raw' is unknown; type it in µm on the Data tab"):
        session.scaled_image()
    session.set_scale(Spacing(2, 1, 1), 30.0)
    assert session.scaled_image().spacing == Spacing(2, 1, 1)


def test_channels_of_an_axis_and_of_separate_layers() -> None:
    viewer = ViewerModel()
    session = Session.of(viewer)
    axis = viewer.add_image(np.zeros((2, 3, 4, 5)), axis_labels=tuple("czyx"))
    session.choose_image(axis)
    assert session.channel_names() == ["channel 0", "channel 1"]
    assert (session.picked, session.channels) == ((0, 1), None)
    session.choose_channels([1], "separate")
    assert (session.picked, session.channels, session.image().n_channels) == ((1,), (1,), 2)
    one = viewer.add_image(np.zeros((3, 4, 5)), name="one")
    two = viewer.add_image(np.zeros((3, 4, 5)), name="two")
    viewer.add_image(np.zeros((3, 4, 9)), name="of another shape")
    session.choose_image(two)
    assert session.channel_names() == ["two", "one"]
    assert session.picked == (0,)
    session.choose_channels([0, 1], "sum")
    assert session.image().channels == ("two", "one")
    viewer.layers.remove(one)
    assert session.image().channels == ("two",)
    session.choose_channels([], "sum")
    with pytest.raises(AnlageError, match="No channel is ticked"):
        session.image()


def test_axes_can_be_overruled() -> None:
    viewer = ViewerModel()
    session = Session.of(viewer)
    session.choose_image(viewer.add_image(np.zeros((3, 4, 5))))
    assert session.image().shape == (1, 1, 3, 4, 5)
    session.set_axes("tyx")
    assert session.image().shape == (3, 1, 1, 4, 5)
    with pytest.raises(AnlageError, match="The axes 'tzyx' do not fit the layer"):
        session.set_axes("tzyx")


def test_removed_layers_are_let_go() -> None:
    viewer = ViewerModel()
    session = Session.of(viewer)
    image, points = viewer.add_image(np.zeros((3, 4, 5))), viewer.add_points(ndim=3)
    session.choose_image(image)
    session.choose_nuclei(points)
    viewer.layers.clear()
    assert session.image_layer is None
    assert session.nuclei_layer is None


def test_nuclei_are_heard_when_they_are_added() -> None:
    viewer = ViewerModel()
    session = Session.of(viewer)
    session.choose_image(viewer.add_image(np.zeros((3, 4, 5))))
    points = viewer.add_points(ndim=3)
    session.choose_nuclei(points)
    heard = []
    session.nuclei_changed.connect(lambda: heard.append(len(points.data)))
    points.add((1, 1, 1))
    assert heard == [1]


def test_the_project_lies_beside_the_image_or_at_home(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    viewer = ViewerModel()
    session = Session.of(viewer)
    session.choose_image(viewer.add_image(np.zeros((3, 4, 5)), name="my movie [1]"))
    assert session.folder == tmp_path / "home" / "anlage" / "my-movie-1.anlage"
    session.set_folder(tmp_path / "chosen")
    store, run = session.new_paths()
    assert store.parent == tmp_path / "chosen" / "stores"
    assert run.parent == tmp_path / "chosen" / "runs"
    assert store.stem == run.name


def test_layers_that_come_later_are_not_blurred_by_the_points_depth() -> None:
    """napari averages images over the depth in which points are shown."""
    viewer = ViewerModel()
    session = Session.of(viewer)
    session.choose_image(viewer.add_image(np.zeros((3, 4, 5))))
    points = viewer.add_points(np.ones((1, 3)), projection_mode="rescale_spherical", size=4)
    session.choose_nuclei(points)
    assert viewer.dims.margin_left[0] == 2
    later = viewer.add_image(np.zeros((3, 4, 5)))
    assert [str(layer.projection_mode) for layer in (viewer.layers[0], later)] == ["none", "none"]
