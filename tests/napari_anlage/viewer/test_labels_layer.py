"""Painting: strokes become edits, in images with any axes, without loading what was not touched."""

from __future__ import annotations

import numpy as np
import pytest

from anlage import Document, PaintedLabels
from napari_anlage.viewer.labels_layer import Seen

SIZES = {"t": 5, "c": 2, "z": 8, "y": 40, "x": 44}


def stroke(layer, *path, value: int) -> None:
    """What napari does between pressing and releasing the mouse."""
    with layer.block_history():
        for place in path:
            layer.paint(place, value, refresh=False)


@pytest.mark.parametrize("axes", ["tzyx", "tczyx", "zyx", "tyx", "yx", "ztyx"])
def test_a_stroke_lands_on_its_voxels_whatever_the_images_axes(desk, axes: str) -> None:
    d = desk(axes)
    layer = d.editor.show_labels()
    layer.brush_size = 1
    voxel = {"t": 2, "c": 0, "z": 3, "y": 10, "x": 11}
    place = tuple(voxel[a] for a in axes)
    stroke(layer, place, value=6)
    tzyx = tuple(voxel[a] if a in axes else 0 for a in "tzyx")
    assert np.argwhere(np.asarray(d.document.painted[:])).tolist() == [list(tzyx)]
    assert layer.data[place] == 6
    world = layer.data_to_world(place)
    expected = d.image.data_to_world(place)
    for axis, here, there in zip(axes, world, expected, strict=True):
        assert axis == "c" or here == pytest.approx(there)
    for c in range(SIZES["c"] if "c" in axes else 1):  # every channel shows it
        at = {**voxel, "c": c}
        assert layer.get_value(d.image.data_to_world([at[a] for a in axes]), world=True) == 6
    assert d.positions == [[float(v) for v in tzyx]]
    d.actions.undo()
    assert not np.asarray(d.document.painted[:]).any()
    assert d.positions == []


def test_one_stroke_is_one_step_in_3d_too(desk) -> None:
    d = desk()
    layer = d.editor.show_labels()
    layer.brush_size, layer.n_edit_dimensions = 14, 3
    stroke(layer, (1, 3, 10, 10), (1, 3, 12, 12), (1, 4, 14, 14), value=2)
    assert d.document.undo_text == "paint in frame 1"
    assert len(np.unique(np.argwhere(np.asarray(d.document.painted[:]))[:, 1])) > 2
    d.actions.undo()
    assert d.document.undo_text is None


def test_the_same_label_in_the_next_frame_is_the_same_nucleus_and_erasing_takes_it_away(desk) -> None:
    d = desk()
    layer = d.editor.show_labels()
    for t in range(3):
        stroke(layer, (t, 3, 10 + t, 10), value=4)
    assert d.links == [[1, 2], [2, 3]]
    layer.brush_size = 30
    stroke(layer, (1, 3, 11, 10), value=0)
    assert d.document.nuclei.ids.tolist() == [1, 3]
    assert d.links == []
    assert len(d.layer.data) == 2


def test_paint_over_a_point_describes_the_same_nucleus(desk) -> None:
    d = desk()
    d.click(0, 3, 10, 10)
    layer = d.editor.show_labels()
    layer.brush_size = 6
    stroke(layer, (0, 3, 11, 10), value=9)
    assert len(d.document.nuclei) == 1
    assert d.document.nuclei.label.tolist() == [9]
    assert d.positions == [[0, 3, 10, 10]]  # it stays where the hand had put it


def test_filling_and_polygons_are_steps_too(desk) -> None:
    d = desk()
    layer = d.editor.show_labels()
    d.show(0, 3)
    layer.paint_polygon([[0, 3, 5, 5], [0, 3, 5, 15], [0, 3, 15, 15], [0, 3, 15, 5]], 3)
    assert d.document.undo_text == "paint in frame 0"
    assert np.asarray(layer.data[0, 3])[10, 10] == 3
    layer.fill((0, 3, 10, 10), 8)
    assert (np.unique(np.asarray(layer.data[0, 3]))).tolist() == [0, 8]
    layer.data_setitem((np.array([0]), np.array([3]), np.array([30]), np.array([30])), 5)
    d.actions.undo()
    d.actions.undo()
    assert (np.unique(np.asarray(layer.data[0, 3]))).tolist() == [0, 3]


def test_a_large_movie_is_painted_without_being_read(tmp_path, desk) -> None:
    """A tera-voxel of labels: only the chunks under the brush and the plane in view are touched."""
    shape = (200, 400, 4000, 4000)
    document = Document(shape_tzyx=shape, labels_folder=tmp_path / "labels.zarr")
    seen = Seen(document.start_painting(), "tzyx")
    assert seen[7, 100, 2000:2004, 2000:2004].shape == (4, 4)
    seen[7:8, 100:101, 2000:2004, 2000:2004] = np.full((1, 1, 4, 4), 3, np.uint32)
    assert document.commit_stroke()
    document.painted.flush()
    assert sum(file.is_file() for file in (tmp_path / "labels.zarr").rglob("*")) <= 3
    assert document.nuclei.positions.tolist() == [[7, 100, 2001.5, 2001.5]]


def test_the_view_reads_and_writes_like_numpy() -> None:
    rng = np.random.default_rng(0)
    painted = PaintedLabels.in_memory((3, 4, 5, 6))
    seen = Seen(painted, "zctyx")
    truth = np.zeros((4, 1, 3, 5, 6), np.uint32)
    assert (seen.shape, seen.ndim, len(seen), seen.size) == (truth.shape, 5, 4, truth.size)
    for n in range(1, 60):
        index = tuple(
            int(rng.integers(size)) if rng.random() < 0.4 else slice(*sorted(rng.integers(0, size + 1, 2).tolist()))
            for size in truth.shape
        )
        seen[index] = n
        truth[index] = n
    np.testing.assert_array_equal(np.asarray(seen), truth)
    np.testing.assert_array_equal(seen[..., 2], truth[..., 2])
    np.testing.assert_array_equal(seen[1], truth[1])
    with pytest.raises(IndexError, match="steps of 1"):
        seen[::2]
