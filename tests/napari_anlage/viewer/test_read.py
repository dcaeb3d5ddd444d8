"""Layers to images and annotations: everything that a user can load, in the right place and with the right units."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
import zarr
from napari.components import ViewerModel
from napari.layers import Image, Labels, Points, Tracks

from anlage import AnlageError, Box, Spacing
from napari_anlage.viewer.grid import LayerGrid
from napari_anlage.viewer.read import annotations_of, axes_of, image_of, may_join

UM = ("s", "µm", "µm", "µm")
RNG = np.random.default_rng(0)


def image_layer(shape=(3, 4, 5, 6), **kwargs) -> Image:
    return Image(RNG.integers(0, 99, shape).astype(np.uint16), **kwargs)


def read(layer, annotations, **kwargs):
    grid = LayerGrid.of(layer, kwargs.get("axes") or axes_of(layer))
    return annotations_of(annotations, grid, image_of([layer], **kwargs))


# ---- images ----


@pytest.mark.parametrize(
    ("unit", "scale", "um"), [("nm", 500, 0.5), ("µm", 0.5, 0.5), ("um", 0.5, 0.5), ("mm", 0.0005, 0.5)]
)
def test_voxel_size_is_read_in_whatever_unit_the_layer_has(unit: str, scale: float, um: float) -> None:
    layer = image_layer(scale=(30, scale * 4, scale, scale), units=("s", unit, unit, unit))
    image = image_of([layer])
    assert image.spacing is not None
    np.testing.assert_allclose(image.spacing.zyx, (um * 4, um, um))
    assert image.interval_s == pytest.approx(30)


def test_time_step_in_minutes() -> None:
    assert image_of([image_layer(scale=(5, 1, 1, 1), units=("min", "µm", "µm", "µm"))]).interval_s == pytest.approx(300)


def test_pixels_are_no_voxel_size() -> None:
    image = image_of([image_layer(scale=(1, 2, 0.5, 0.5))])
    assert image.spacing is None
    assert image.interval_s is None
    assert image_of([image_layer()], spacing=Spacing(2, 1, 1)).spacing == Spacing(2, 1, 1)


@pytest.mark.parametrize(
    ("shape", "labels", "expected"),
    [
        ((5, 6), None, (1, 1, 1, 5, 6)),
        ((4, 5, 6), None, (1, 1, 4, 5, 6)),
        ((3, 4, 5, 6), None, (3, 1, 4, 5, 6)),
        ((3, 2, 4, 5, 6), None, (3, 2, 4, 5, 6)),
        ((3, 5, 6), ("t", "y", "x"), (3, 1, 1, 5, 6)),
        ((2, 4, 5, 6), ("channel", "Z", "y", "x"), (1, 2, 4, 5, 6)),
        ((3, 4, 2, 5, 6), ("time", "z", "c", "y", "x"), (3, 2, 4, 5, 6)),
    ],
)
def test_axes_come_from_the_labels_else_from_the_count(shape, labels, expected) -> None:
    layer = image_layer(shape, axis_labels=labels)
    assert image_of([layer]).shape == expected


def test_pixels_are_the_layers_own_in_another_order() -> None:
    layer = image_layer((3, 4, 2, 5, 6), axis_labels=("t", "z", "c", "y", "x"))
    got = image_of([layer]).read(Box.of((1, 2, 0, 1), (2, 4, 5, 3)), channels=[1])
    np.testing.assert_array_equal(got[0, 0], layer.data[1, 2:4, 1, :, 1:3])


def test_colours_of_an_rgb_layer_are_its_channels() -> None:
    layer = Image(RNG.integers(0, 255, (4, 5, 6, 3)).astype(np.uint8), rgb=True)
    image = image_of([layer])
    assert image.channels == ("red", "green", "blue")
    np.testing.assert_array_equal(image.frame(0)[1], layer.data[..., 1])


def test_multiscale_is_read_at_full_resolution() -> None:
    full = RNG.integers(0, 9, (8, 64, 64))
    layer = Image([full, full[::2, ::2, ::2]], multiscale=True, scale=(2, 1, 1), units=("µm",) * 3)
    image = image_of([layer])
    assert image.shape == (1, 1, 8, 64, 64)
    assert image.spacing == Spacing(2, 1, 1)


def test_lazy_arrays_stay_lazy(tmp_path) -> None:
    touched = []

    def load(block_info=None):
        where = block_info[None]["array-location"]
        touched.append(where[0][0])
        return np.full([b - a for a, b in where], where[0][0], np.uint8)

    lazy = da.map_blocks(load, chunks=((1,) * 4, (5,), (6,), (7,)), dtype=np.uint8)
    layer = Image(lazy, contrast_limits=(0, 9), axis_labels=tuple("tzyx"))
    touched.clear()
    image = image_of([layer])
    assert not touched
    assert image.frame(2).max() == 2
    assert set(touched) == {2}
    stored = zarr.open_array(str(tmp_path / "a.zarr"), mode="w", shape=(2, 3, 4, 5), dtype="uint8")
    assert image_of([Image(stored, contrast_limits=(0, 9))]).data is stored


@pytest.mark.parametrize("how", [{"rotate": 30}, {"shear": [0.3]}, {"affine": [[1, 0.2, 0], [0, 1, 0], [0, 0, 1]]}])
def test_rotated_and_sheared_layers_are_refused_with_the_reason(how) -> None:
    layer = Image(np.zeros((5, 6)), name="tilted", **how)
    with pytest.raises(AnlageError, match=r"^The layer 'tilted' is rotated or sheared.*set its rotation"):
        image_of([layer])


def test_a_scaling_affine_is_followed() -> None:
    layer = Image(np.zeros((5, 6)), affine=np.diag([2.0, 0.5, 1.0]), units=("µm", "µm"))
    assert image_of([layer]).spacing == Spacing(2.0, 2.0, 0.5)


def test_separate_layers_become_channels() -> None:
    first, second = image_layer(name="nuclei"), image_layer(name="membrane")
    image = image_of([first, second])
    assert image.channels == ("nuclei", "membrane")
    np.testing.assert_array_equal(image.frame(2)[1], second.data[2])
    np.testing.assert_array_equal(image.read(Box.of((1, 0, 2, 0), (2, 2, 4, 6)), [1])[0, 0], second.data[1, :2, 2:4])


def test_layers_that_lie_elsewhere_are_no_channels_of_each_other() -> None:
    first = image_layer(name="nuclei")
    other = image_layer(name="shifted", translate=(0, 0, 1, 0))
    assert not may_join(first, other)
    with pytest.raises(AnlageError, match="'shifted' cannot be a channel beside 'nuclei'"):
        image_of([first, other])


# ---- points ----

PLACES = [
    {},
    {"scale": (1, 2, 0.5, 0.5), "units": UM},
    {"scale": (60, 0.7, 0.31, 0.29), "translate": (120, -11.5, 3.3, 1e3), "units": UM},
    {"scale": (1, 2, -0.5, 0.5), "translate": (0, 0, 40, 0), "units": UM},
]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("own", PLACES[:3])
def test_a_point_is_where_the_viewer_shows_it(place, own) -> None:
    layer = image_layer(**place)
    wanted = np.array([[2, 3.0, 1.25, 4.5], [0, 0.5, 2.0, 2.0]])
    world = np.array([layer.data_to_world(p) for p in wanted])
    points = Points(**own, ndim=4)
    points.data = np.array([points.world_to_data(w) for w in world])
    if not own or not place:  # bare numbers are compared where one of the units is pixels, as napari does
        assert str(points.units[1]) == "pixel" or str(layer.units[1]) == "pixel"
    np.testing.assert_allclose(read(layer, points).positions, wanted, atol=1e-9)


def test_units_of_the_points_are_converted() -> None:
    layer = image_layer(scale=(1, 2, 0.5, 0.5), units=UM)
    points = Points([[1, 2000, 500, 1000]], units=("s", "nm", "nm", "nm"))
    np.testing.assert_allclose(read(layer, points).positions, [[1, 1, 1, 2]])


def test_points_over_an_image_with_channels() -> None:
    layer = image_layer((3, 2, 4, 5, 6), axis_labels=tuple("tczyx"))
    five = Points([[2, 1, 3, 1, 4]])
    four = Points([[2, 3, 1, 4]])
    for points in (five, four):
        np.testing.assert_allclose(read(layer, points).positions, [[2, 3, 1, 4]])


def test_points_without_time_over_a_movie_are_refused() -> None:
    with pytest.raises(AnlageError, match=r"'dots' has only the axes z y x, but the image .* has time \(3 long\)"):
        read(image_layer(), Points([[1, 2, 3]], name="dots"))


def test_points_without_time_over_a_single_frame() -> None:
    assert read(image_layer((1, 4, 5, 6)), Points([[1, 2, 3]])).positions.tolist() == [[0, 1, 2, 3]]


def test_flat_points() -> None:
    layer = image_layer((3, 5, 6), axis_labels=("t", "y", "x"))
    assert read(layer, Points([[2, 1, 4]])).positions.tolist() == [[2, 0, 1, 4]]


def test_columns_of_the_points_are_kept() -> None:
    features = {"radius_um": [4.0, 5.0], "state": ["accepted", "rejected"], "id": [7, 9], "fate": ["a", "b"]}
    found = read(image_layer(), Points([[0, 1, 1, 1], [1, 1, 1, 1]], features=features))
    assert found.ids.tolist() == [7, 9]
    assert found.radius_um.tolist() == [4, 5]
    assert found.state.tolist() == [1, 2]
    assert found.properties["fate"].tolist() == ["a", "b"]


def test_no_points_are_no_nuclei() -> None:
    assert len(read(image_layer(), Points(ndim=4))) == 0


def test_a_shapes_layer_is_refused() -> None:
    from napari.layers import Shapes

    with pytest.raises(AnlageError, match="of the kind shapes; nuclei are read from Points, Labels or Tracks"):
        read(image_layer(), Shapes(ndim=4))


# ---- labels ----


def painted(shape=(3, 4, 5, 6)) -> np.ndarray:
    data = np.zeros(shape, np.uint16)
    data[..., 1:3, 2:4] = 0
    data[1, 2, 3, 4] = 7
    return data


def test_labels_on_the_images_own_voxels_are_taken_as_they_are() -> None:
    place = PLACES[2]
    found = read(image_layer(**place), Labels(painted(), **place))
    assert found.positions.tolist() == [[1, 2, 3, 4]]
    assert found.label.tolist() == [7]
    assert found.labels is not None
    assert int(found.labels.frame(1)[0, 2, 3, 4]) == 7
    assert np.isfinite(found.radius_um).all()


def test_labels_elsewhere_are_brought_onto_the_images_voxels() -> None:
    """Labels of half the resolution, shifted: the same world points, nearest label, 0 outside."""
    layer = image_layer((2, 4, 8, 8), scale=(1, 2, 0.5, 0.5), translate=(0, 10, 20, 30), units=UM)
    data = np.zeros((2, 4, 4, 3), np.uint8)
    data[1, 2, 1, 2] = 5
    labels = Labels(data, scale=(1, 2, 1, 1), translate=(0, 10, 20.25, 31.25), units=UM)
    found = read(layer, labels)
    world = labels.data_to_world((1, 2, 1, 2))
    np.testing.assert_allclose(layer.data_to_world(found.positions[0]), world)
    assert found.labels is not None
    assert found.labels.shape == (2, 1, 4, 8, 8)
    onto = found.labels.read()[:, 0]
    assert np.argwhere(onto).tolist() == [[1, 2, y, x] for y in (2, 3) for x in (6, 7)]
    piece = found.labels.read(Box.of((1, 2, 2, 5), (2, 3, 4, 8)))[0, 0, 0]
    np.testing.assert_array_equal(piece, onto[1, 2, 2:4, 5:8])
    radius = (3 * 2 * 1 * 1 / (4 * np.pi)) ** (1 / 3)
    np.testing.assert_allclose(found.radius_um, radius)


def test_labels_with_a_channel_axis_are_one_image() -> None:
    layer = image_layer((3, 2, 4, 5, 6), axis_labels=tuple("tczyx"))
    data = np.zeros((3, 2, 4, 5, 6), np.uint8)
    data[1, 0, 2, 3, 4], data[2, 1, 1, 1, 1] = 3, 4
    found = read(layer, Labels(data))
    assert found.positions.tolist() == [[1, 2, 3, 4], [2, 1, 1, 1]]


# ---- tracks ----


def test_tracks_become_nuclei_with_links_and_divisions() -> None:
    rows = [[1, 0, 1, 1, 1], [1, 1, 1, 1, 2], [2, 2, 1, 1, 3], [3, 2, 1, 3, 3], [3, 3, 1, 4, 3]]
    layer = image_layer((4, 4, 5, 6), scale=(1, 2, 1, 1), units=UM)
    tracks = Tracks(rows, graph={2: [1], 3: [1]})
    found = read(layer, tracks)
    assert len(found) == 5
    assert found.divisions.tolist() == [[2, 3, 4]]
    assert found.positions[0].tolist() == [0, 0.5, 1, 1]
    assert sorted(map(tuple, found.links.tolist())) == [(1, 2), (2, 3), (2, 4), (4, 5)]


def test_axes_of_a_layer_as_the_viewer_names_it() -> None:
    viewer = ViewerModel()
    assert axes_of(viewer.add_image(np.zeros((2, 3, 4, 5)))) == "tzyx"
