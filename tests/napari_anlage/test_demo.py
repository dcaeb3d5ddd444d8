"""The demo's result in a viewer."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel

from anlage import write_annotations, write_image
from anlage.synthetic import embryo
from napari_anlage.demo import show


def test_points_lie_on_the_nuclei_of_the_image(tmp_path):
    movie = embryo(1, 3, (8, 48, 48), n_nuclei=5, diameter_um=6)
    pixels = movie.image.read()
    scale = {"spacing": movie.spacing, "interval_s": 300.0}
    write_image(tmp_path / "image.ome.zarr", pixels, **scale)
    write_image(tmp_path / "heatmap.zarr", pixels.astype(np.float32), **scale)
    late = movie.truth.select(movie.truth.frames > 0)
    for name in ("truth_unseen.csv", "found.csv"):
        write_annotations(tmp_path / name, late)
    viewer = ViewerModel()
    show(tmp_path, viewer)
    assert [layer.name for layer in viewer.layers] == ["embryo", "heat-map", "truth", "found"]
    assert viewer.dims.point[0] == pytest.approx(300.0)
    found, image = viewer.layers["found"], viewer.layers["embryo"]
    values = [image.get_value(found.data_to_world(point), world=True) for point in found.data]
    assert np.mean(values) > 2 * np.median(pixels)
