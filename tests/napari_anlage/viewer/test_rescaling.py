"""A voxel size that is typed is the layer's own from then on, and all that lies over it goes along."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel

from anlage import Spacing
from napari_anlage.session.session import Session
from napari_anlage.viewer import layer_roles

SHAPE = (3, 6, 24, 26)


def placed(layer: Any) -> tuple[list[float], list[str]]:
    return [float(v) for v in layer.scale], [str(unit) for unit in layer.units]


def world(layer: Any, voxel: tuple[float, ...]) -> list[float]:
    return [float(v) for v in layer.data_to_world(voxel)]


@pytest.fixture
def session() -> Session:
    viewer = ViewerModel()
    session = Session.of(viewer)
    session.kept = viewer  # a session lives as long as its viewer
    session.choose_image(viewer.add_image(np.random.default_rng(0).random(SHAPE), name="movie"))
    return session


def test_the_layer_gets_what_is_typed_and_gives_it_back(session: Session) -> None:
    layer = session.image_layer
    session.set_scale(Spacing(2, 0.5, 0.4), 30.0)
    assert placed(layer) == ([30, 2, 0.5, 0.4], ["second", "micrometer", "micrometer", "micrometer"])
    assert (session.grid().spacing, session.grid().interval_s) == (Spacing(2, 0.5, 0.4), 30.0)
    assert session.opened_grid.spacing is None
    session.set_scale(Spacing(3, 0.5, 0.4), None)
    assert placed(layer) == ([1, 3, 0.5, 0.4], ["pixel", "micrometer", "micrometer", "micrometer"])
    session.set_scale(None, None)
    assert placed(layer) == ([1, 1, 1, 1], ["pixel"] * 4)
    assert session.image().spacing is None


def test_everything_over_the_image_stays_on_its_voxels(session: Session) -> None:
    viewer = session.viewer
    whole = viewer.add_labels(np.ones(SHAPE, np.uint8), name="masks")
    half = viewer.add_labels(np.ones((3, 3, 12, 13), np.uint8), scale=(1, 2, 2, 2), translate=(0, 0.5, 0.5, 0.5))
    points = viewer.add_points([[1, 2, 10, 11]], translate=(0, 1, 0, 0))
    tracks = viewer.add_tracks([[1, 0, 1, 5, 5], [1, 1, 2, 6, 6]])
    shapes = viewer.add_shapes([[[1, 2, 3, 3], [1, 2, 8, 9]]], shape_type="line", ndim=4)
    turned = viewer.add_points([[1, 2, 10, 11]], affine=np.diag([1, 1, 2, 3, 1]))
    corners = {
        layer: (world(layer, (0, 0, 0, 0)), world(layer, (2, 3, 4, 5)))
        for layer in (whole, half, points, tracks, shapes, turned)
    }
    session.set_scale(Spacing(2, 0.5, 0.4), 30.0)
    for layer, before in corners.items():
        assert [str(unit) for unit in layer.units][1:] == ["micrometer"] * 3
        for voxel, was in zip(((0, 0, 0, 0), (2, 3, 4, 5)), before, strict=True):
            np.testing.assert_allclose(world(layer, voxel), np.array(was) * (30, 2, 0.5, 0.4))
    assert session.read(points).positions.tolist() == [[1, 3, 10, 11]]
    assert viewer.layers.units is not None  # one kind of unit for all
    session.set_scale(None, None)
    for layer, (origin, corner) in corners.items():
        np.testing.assert_allclose([world(layer, (0, 0, 0, 0)), world(layer, (2, 3, 4, 5))], [origin, corner])


def test_other_images_and_layers_in_true_units_stay(session: Session) -> None:
    viewer = session.viewer
    other = viewer.add_image(np.zeros(SHAPE), name="another movie")
    true = viewer.add_points([[0, 4, 5, 5.2]], units=("s", "µm", "µm", "µm"), scale=(1, 1, 1, 1))
    session.set_scale(Spacing(2, 0.5, 0.4))
    assert placed(other) == ([1, 1, 1, 1], ["pixel"] * 4)
    assert placed(true) == ([1, 1, 1, 1], ["second", "micrometer", "micrometer", "micrometer"])
    np.testing.assert_allclose(session.read(true).positions, [[0, 2, 10, 13]])


def test_channels_in_layers_of_one_file_get_it_together(session: Session, tmp_path) -> None:
    viewer = session.viewer
    (tmp_path / "m.tif").touch()
    both = [viewer.add_image(np.zeros((3, 8, 9)), name=f"m {i}") for i in range(2)]
    for layer in both:
        layer.metadata["anlage"] = {"path": str(tmp_path / "m.tif")}
    session.choose_image(both[1])
    session.set_scale(Spacing(2, 0.5, 0.4))
    assert placed(both[0]) == placed(both[1]) == ([2, 0.5, 0.4], ["micrometer"] * 3)
    session.choose_channels([0, 1], "separate")
    assert session.scaled_image().n_channels == 2


def test_the_view_stays_where_it_was(session: Session) -> None:
    viewer = session.viewer
    viewer.dims.set_point([0, 1], [2, 4])
    viewer.scene.camera.center, viewer.scene.camera.zoom = (0, 12, 13), 8.0
    session.set_scale(Spacing(2, 0.5, 0.5), 30.0)
    assert viewer.dims.point[:2] == (60, 8)
    assert viewer.scene.camera.center == (0, 6, 6.5)
    assert viewer.scene.camera.zoom == 16


def test_nuclei_follow_a_voxel_size_that_is_typed_again(session: Session, tmp_path) -> None:
    session.set_scale(Spacing(2, 0.5, 0.4), 30.0)
    session.set_folder(tmp_path / "m.anlage")
    editor = session.need_editor()
    editor.show_nuclei().add(editor.place.to_points(np.array([1.0, 2, 10, 11])))
    session.set_scale(Spacing(4, 1.0, 0.8), 30.0)
    layer = next(layer for layer in session.viewer.layers if layer_roles.role_of(layer) == layer_roles.NUCLEI)
    assert np.asarray(layer.data)[0, 1:].tolist() == [8, 10, 8.8]
    assert session.document.nuclei.positions.tolist() == [[1, 2, 10, 11]]
    assert session.project.settings.spacing == Spacing(4, 1.0, 0.8)  # typed by the user, so the project has it
    session.close()


def test_a_plane_keeps_the_thickness_that_was_typed() -> None:
    session = Session.of(viewer := ViewerModel())
    session.choose_image(viewer.add_image(np.zeros((20, 30))))
    session.set_scale(Spacing(3, 0.5, 0.5))
    assert session.scaled_image().spacing == Spacing(3, 0.5, 0.5)
    assert placed(session.image_layer) == ([0.5, 0.5], ["micrometer"] * 2)
