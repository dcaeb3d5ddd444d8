"""Must-show 5: what is painted or clicked in napari comes back to the same point of the world.

Paint or click over a layer with odd scale and translation → store on disk → a 'network' that copies what the store says →
overlay layers: everything lands where it began, whatever scale the annotation layer has.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from napari.components import ViewerModel

from anlage import Box, DenseMap, Prediction, Store, build_store
from napari_anlage.session.session import Session
from napari_anlage.viewer import overlay

PLACES = [
    {},
    {"scale": (60, 2, 1.06, 0.47), "translate": (120, -9.0, 33.565, 1000), "units": ("s", "µm", "µm", "µm")},
    {"scale": (1, 2e3, 530, 470), "translate": (2, -11e3, 33.3e3, 1e6), "units": ("min", "nm", "nm", "nm")},
]


def copying_network(store: Store, frame: int) -> Prediction:
    """Predicts, of one frame of the whole image, exactly what the store says about it."""
    t, z, y, x = store.meta.origin_tzyx
    nuclei = store.nuclei.shifted((t, z, y, x))
    known = np.asarray(store.weight[frame - t]).astype(np.float32)
    heat = known if store.labels is None else (np.asarray(store.labels[frame - t]) > 0).astype(np.float32)
    return Prediction(
        frame,
        nuclei.select(nuclei.frames == frame),
        "copy",
        DenseMap(heat, (1.0, 1.0, 1.0), (float(z), float(y), float(x))),
    )


def scene(odd, blobs) -> tuple[ViewerModel, object, Session]:
    viewer = ViewerModel()
    image = viewer.add_image(blobs[0], **odd)
    session = Session.of(viewer)
    session.choose_image(image)
    return viewer, image, session


def come_home(session: Session, out, frame: int):
    store = build_store(
        out, session.scaled_image(), session.annotations(), cuboid=Box.of((1, 1, 4, 5), (3, 11, 44, 49))
    )
    prediction = copying_network(Store.open(store.path), frame)
    viewer, grid = session.viewer, session.grid()
    heat = overlay.show_heatmap(viewer, grid, frame, prediction.heatmap, 1, "copy")
    return overlay.show_centres(viewer, grid, prediction.nuclei, 5.0, 1, "copy"), heat


@pytest.mark.parametrize("place", PLACES[1:])
def test_points_come_home(odd, blobs, tmp_path, place) -> None:
    viewer, image, session = scene(odd, blobs)
    voxels = blobs[1][blobs[1][:, 0] > 0]
    world = np.array([image.data_to_world(voxel) for voxel in voxels])
    unit = np.array([1, 1, 1, 1]) if place["units"][1] == "µm" else np.array([1 / 60, 1e3, 1e3, 1e3])
    points = viewer.add_points(ndim=4, **place)
    points.data = np.array([points.world_to_data(w * unit) for w in world])
    session.choose_nuclei(points)
    centres, _ = come_home(session, tmp_path / "s.zarr", 2)
    expected = world[voxels[:, 0] == 2]
    got = np.array([centres.data_to_world(point) for point in centres.data])
    np.testing.assert_allclose(sorted(got.tolist()), sorted(expected.tolist()), atol=1e-5)
    assert tuple(map(str, centres.units)) == tuple(map(str, image.units))


def test_a_painted_voxel_comes_home(odd, blobs, tmp_path) -> None:
    """On the image's own voxels: the label's voxel itself, and its centre."""
    viewer, _, session = scene(odd, blobs)
    labels = viewer.add_labels(np.zeros(blobs[0].shape, np.uint16), **odd)
    labels.n_edit_dimensions = 3
    labels.brush_size = 1
    labels.paint((2, 7, 20, 31), 5)
    labels.data[1, 3:5, 8:12, 9:13] = 2
    session.choose_nuclei(labels)
    centres, heat = come_home(session, tmp_path / "s.zarr", 2)
    world = labels.data_to_world((2, 7, 20, 31))
    np.testing.assert_allclose(centres.data_to_world(centres.data[0]), world, atol=1e-6)
    assert len(centres.data) == 1
    lit = np.argwhere(heat.data)
    assert len(lit) == 1
    np.testing.assert_allclose(heat.data_to_world(lit[0]), world, atol=1e-6)


def test_a_voxel_painted_on_a_coarser_shifted_layer_comes_home(odd, blobs, tmp_path) -> None:
    """Two image voxels tall in y: the block that it covers, and its centre between them."""
    viewer, _, session = scene(odd, blobs)
    place = {"units": odd["units"], "translate": (120, -9.0, 33.3 + 0.265, 1000), "scale": (60, 2, 1.06, 0.47)}
    labels = viewer.add_labels(np.zeros((3, 10, 24, 52), np.uint8), **place)
    labels.data[2, 5, 9, 30] = 3
    labels.data[1, 5, 9, 30] = 3
    session.choose_nuclei(labels)
    centres, heat = come_home(session, tmp_path / "s.zarr", 2)
    world = labels.data_to_world((2, 5, 9, 30))
    np.testing.assert_allclose(centres.data_to_world(centres.data[0]), world, atol=1e-6)
    lit = np.array([heat.data_to_world(voxel) for voxel in np.argwhere(heat.data)])
    assert len(lit) == 2
    np.testing.assert_allclose(lit.mean(axis=0), world, atol=1e-6)
    np.testing.assert_allclose(np.ptp(lit, axis=0), (0, 0, 0.53, 0), atol=1e-6)


def test_a_channel_axis_does_not_move_anything(odd, blobs, tmp_path) -> None:
    viewer = ViewerModel()
    two = np.stack([blobs[0], blobs[0] // 2], axis=1)
    at = {
        key: (*odd[key][:1], {"scale": 1.0, "translate": 0.0, "units": "pixel", "axis_labels": "c"}[key], *odd[key][1:])
        for key in odd
    }
    image = viewer.add_image(two, **at)
    session = Session.of(viewer)
    session.choose_image(image)
    voxel = (2, 7, 20, 31)
    points = viewer.add_points(ndim=5, **at)
    points.add((2, 1, *voxel[1:]))
    points.add((1, 0, *voxel[1:]))
    session.choose_nuclei(points)
    store = build_store(
        tmp_path / "s.zarr", session.scaled_image(), session.annotations(), cuboid=Box.of((1, 1, 4, 5), (3, 11, 44, 49))
    )
    prediction = copying_network(store, 2)
    centres = overlay.show_centres(viewer, session.grid(), prediction.nuclei, 5.0, session.n_layer_channels, "copy")
    assert len(centres.data) == 2  # once for each channel that the viewer can show
    for c, point in enumerate(centres.data):
        np.testing.assert_allclose(centres.data_to_world(point), image.data_to_world((2, c, *voxel[1:])), atol=1e-6)


def test_what_a_prediction_proposed_can_be_trained_on(odd, blobs, tmp_path) -> None:
    """A preview is a Points layer like any other: chosen as annotation it is read back, with origin and state."""
    viewer, image, session = scene(odd, blobs)
    points = viewer.add_points(
        [image.data_to_world((2, 7, 20, 31)), image.data_to_world((1, 7, 20, 31))], units=odd["units"]
    )
    session.choose_nuclei(points)
    centres, _ = come_home(session, tmp_path / "s.zarr", 2)
    nuclei = session.annotations()
    nuclei = replace(nuclei, origin=np.array(["copy"] * len(nuclei)))
    centres = overlay.show_centres(viewer, session.grid(), nuclei, 5.0, 1, "copy")
    session.choose_nuclei(centres)
    back = session.annotations()
    np.testing.assert_allclose(back.positions, nuclei.positions, atol=1e-9)
    assert set(back.origin) == {"copy"}
