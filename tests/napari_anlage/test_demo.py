"""What ``anlage demo`` opens at its end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from anlage import AnlageError, Annotations, Box, Run, build_store, embryo, write_annotations, write_image
from napari_anlage.demo import main, open_demo
from napari_anlage.viewer import layer_roles


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A demo's folder, its training not begun."""
    movie = embryo(n_frames=3, shape_zyx=(8, 48, 48), n_nuclei=6)
    scale = {"spacing": movie.spacing, "interval_s": movie.image.interval_s}
    pixels = movie.image.read()
    write_image(tmp_path / "image.ome.zarr", pixels, **scale)
    write_image(tmp_path / "heatmap.zarr", (pixels / pixels.max()).astype(np.float32), **scale)
    write_annotations(tmp_path / "truth.csv", movie.truth, **scale)
    write_annotations(tmp_path / "annotations.csv", movie.truth.select(movie.truth.frames == 0), **scale)
    found = Annotations.of(movie.truth.positions[movie.truth.frames == 2], probability=0.9)
    write_annotations(tmp_path / "found.csv", found, **scale)
    box = Box.whole(movie.image.shape_tzyx)
    store = build_store(tmp_path / "training.zarr", movie.image, movie.truth, cuboid=box, diameter_um=8.0)
    Run.create(tmp_path / "run", "nuclei", [store.path])
    return tmp_path


@pytest.mark.viewer
def test_the_finished_demo_is_shown_with_its_run(make_napari_viewer_proxy, folder: Path) -> None:
    viewer = make_napari_viewer_proxy()
    open_demo(viewer, folder)
    assert [layer.name for layer in viewer.layers] == [
        "embryo", "truth", "annotated nuclei", "heat-map", "preview: centres (demo)"
    ]  # fmt: skip
    (dock,) = viewer.window.dock_widgets.values()
    assert dock.session.run.path == folder / "run"
    assert dock.session.nuclei_layer.name == "annotated nuclei"
    assert dock.session.image().spacing.zyx == (2.0, 0.5, 0.5)
    centres = next(layer for layer in viewer.layers if layer_roles.role_of(layer) == "preview centres")
    truth = Annotations.of(embryo(n_frames=3, shape_zyx=(8, 48, 48), n_nuclei=6).truth.positions)
    world = truth.positions[truth.frames == 2] * (300, 2, 0.5, 0.5)
    np.testing.assert_allclose([centres.data_to_world(p) for p in centres.data], world, atol=1e-3)
    assert viewer.dims.point[0] == 600  # a frame that was predicted
    dock.train.watcher.stop()


def test_another_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AnlageError, match=r"is no finished demo: image.ome.zarr is missing; make it with `anlage demo"):
        open_demo(None, tmp_path)


def test_it_wants_one_folder(capsys) -> None:
    assert main([]) == 2
    assert "Give the folder that `anlage demo -o DIR` made" in capsys.readouterr().err
