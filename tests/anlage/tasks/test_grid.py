"""The working grid follows the nucleus, not the micrometre."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from anlage.axes import Spacing
from anlage.tasks.grid import plan_grid


@pytest.mark.parametrize("scale", [0.2, 1.0, 7.0])
def test_the_grid_does_not_change_when_everything_is_scaled(scale):
    grid = plan_grid(Spacing(2.0, 0.3, 0.3), 8.0, flat=False, cells=4.5)
    other = plan_grid(Spacing(2.0 * scale, 0.3 * scale, 0.3 * scale), 8.0 * scale, flat=False, cells=4.5)
    assert np.allclose(grid.cell_diameters, other.cell_diameters)
    assert (grid.stem, grid.strides) == (other.stem, other.strides)


def test_a_nucleus_spans_the_wanted_cells_in_the_plane():
    grid = plan_grid(Spacing(2.0, 0.3, 0.3), 8.0, flat=False, cells=4.5)
    assert np.allclose(1 / grid.cell_diameters[1:], 4.5)


def test_coarse_planes_are_kept_and_not_pooled_first():
    grid = plan_grid(Spacing(5.0, 0.3, 0.3), 8.0, flat=False, cells=4.5)
    assert grid.voxel_diameters_zyx[0] * 8.0 == pytest.approx(5.0)
    assert grid.stem[0] == 1
    assert grid.strides[0] == (1, 2, 2)
    assert grid.kernels[0] == (1, 3, 3)
    assert grid.kernels[-1] == (3, 3, 3)


def test_fine_planes_are_folded_like_rows():
    grid = plan_grid(Spacing(0.3, 0.3, 0.3), 8.0, flat=False, cells=4.5)
    assert grid.stem == (2, 2, 2)
    assert grid.strides == ((2, 2, 2), (2, 2, 2))


def test_a_single_plane_never_meets_z():
    grid = plan_grid(Spacing(1.0, 0.5, 0.5), 10.0, flat=True, cells=4.5)
    assert grid.stem[0] == 1
    assert {stride[0] for stride in grid.strides} == {1}
    assert {kernel[0] for kernel in grid.kernels} == {1}
    assert grid.place(Spacing(1.0, 0.5, 0.5), 10.0, (1, 200, 100)).shape_zyx[0] == 1


def test_places_go_there_and_back():
    grid = plan_grid(Spacing(1.0, 0.25, 0.25), 8.0, flat=False, cells=4.5)
    placement = grid.place(Spacing(0.7, 0.4, 0.4), 9.3, (31, 200, 170))
    points = np.random.default_rng(0).random((50, 3)) * [31, 200, 170]
    assert np.allclose(placement.to_image(placement.to_working(points)), points)
    cells = (placement.to_working(points) + 0.5) / grid.stem - 0.5
    assert np.allclose(placement.dense(np.zeros((1, 1, 1), np.float32)).to_image(cells), points)


def test_a_bright_voxel_stays_where_it_is():
    grid = plan_grid(Spacing(1.0, 0.25, 0.25), 8.0, flat=False, cells=4.5)
    image = torch.zeros(20, 120, 120)
    image[11:13, 60:64, 90:94] = 1
    placement = grid.place(Spacing(1.0, 0.25, 0.25), 8.0, (20, 120, 120))
    working = placement.resample(image).numpy()
    centre = np.array(
        [(working.sum(axis=tuple(set(range(3)) - {a})) * np.arange(working.shape[a])).sum() for a in range(3)]
    )
    assert np.allclose(placement.to_image(centre / working.sum()), [11.5, 61.5, 91.5], atol=0.05)
