"""The heat-map: what is drawn is found again, also of close pairs."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch

from anlage.axes import Spacing
from anlage.tasks.grid import plan_grid
from anlage.tasks.nuclei.centre_loss import AT_ONCE, centre_loss, centre_target, centres_of
from anlage.tasks.nuclei.centres import CentresHead
from anlage.tasks.nuclei.config import NucleiConfig, NucleiPlan
from anlage.tasks.nuclei.detections import decode_centres
from anlage.tasks.nuclei.working_frames import Patches

# nuclei of 25 × 25 × 4 voxels, the ones that the ancestor's networks were tuned to
SPACING = Spacing(2.0, 0.32, 0.32)
DIAMETER_UM = 8.0
SHAPE = (16, 160, 160)


def drawn_and_found(points_zyx):
    """Centres in voxels → the perfect target on the default grid → centres in voxels."""
    config = NucleiConfig()
    grid = plan_grid(SPACING, DIAMETER_UM, flat=False, cells=CentresHead.cells)
    placement = grid.place(SPACING, DIAMETER_UM, SHAPE)
    stem = np.array(grid.stem)
    cells = (placement.to_working(points_zyx) + 0.5) / stem - 0.5
    shape = [-(-n // s) for n, s in zip(placement.shape_zyx, stem, strict=True)]
    heat, offset = centre_target([torch.from_numpy(cells).float()], shape, grid.cell_diameters.tolist(), config.sigma)
    logits = torch.logit(heat[0, 0].clamp(1e-4, 1 - 1e-4)).numpy()
    found = decode_centres(logits, offset[0].numpy(), grid.cell_diameters)
    return placement.to_image((found.cells + 0.5) * stem - 0.5)


@pytest.mark.parametrize("apart", [(0, 8, 0), (0, 0, 8), (0, 6, 6), (2, 0, 0), (3, 4, 0), (0, 12, 0)])
def test_both_nuclei_of_a_close_pair_come_back(apart):
    """8 voxels in the plane or 2 planes: the ancestor's target and peak finder put such pairs 21 voxels and 4 planes apart."""
    rng = np.random.default_rng(1)
    for _ in range(20):
        first = np.array([7.0, 80.0, 80.0]) + rng.uniform(-3, 3, 3)
        pair = np.stack([first, first + apart])
        found = drawn_and_found(pair)
        assert len(found) == 2
        found = found[np.argsort(found @ np.array(apart))]
        assert np.abs(found - pair).max() < 1


def test_a_crowd_comes_back_to_a_tenth_of_a_voxel():
    grid = np.stack(np.meshgrid(range(2, 15, 4), range(12, 150, 25), range(12, 150, 25), indexing="ij"), -1).reshape(
        -1, 3
    )
    points = grid + np.random.default_rng(0).uniform(-1, 1, grid.shape) * [0.8, 5, 5]
    found = drawn_and_found(points)
    assert len(found) == len(points)
    nearest = np.linalg.norm((found[:, None] - points[None]) * SPACING.um, axis=2).min(axis=1)
    assert nearest.max() < 0.1


def test_nothing_drawn_nothing_found():
    heat, offset = centre_target([torch.zeros(0, 3)], (4, 8, 8), (0.25, 0.25, 0.25), 0.16)
    assert heat.sum() == 0
    assert len(decode_centres(np.full((4, 8, 8), -9, np.float32), offset[0].numpy(), (0.25,) * 3).cells) == 0


@pytest.mark.parametrize("shape", [(8, 30, 40), (1, 50, 60), (2, 3, 90)])
def test_each_cell_gets_the_warmth_and_the_way_of_its_nearest_centre(shape):
    rng, cell, sigma = np.random.default_rng(0), np.array([0.25, 0.2, 0.22]), 0.16
    # in the image and around it, more than are drawn at once, and none
    centres = [rng.uniform(-0.2, 1.2, (n, 3)) * shape for n in (40, AT_ONCE + 44, 0)]
    heat, offset = centre_target([torch.from_numpy(c).float() for c in centres], shape, cell.tolist(), sigma)
    cells = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1).reshape(-1, 3)
    for b, points in enumerate(centres[:2]):
        away = np.linalg.norm((cells[:, None] - points) * cell, axis=2)
        expected = np.exp(-(away.min(axis=1) ** 2) / (2 * sigma**2)).reshape(shape)
        assert np.abs(heat[b, 0].numpy() - expected).max() < 1e-5
        warm = expected > 1e-4
        way = (points[away.argmin(axis=1)] - cells).T.reshape(3, *shape)
        assert np.abs(offset[b].numpy() - way)[:, warm].max() < 1e-4
    assert heat[2].max() == 0


def test_centres_far_outside_a_patch_cost_nothing():
    """A crop of 16 × 48 × 48 cells in a frame of a hundred thousand nuclei: without leaving them out it takes gigabytes, and seconds."""
    plan = NucleiPlan.model_construct(
        grid=plan_grid(SPACING, DIAMETER_UM, flat=False, cells=CentresHead.cells), patch_zyx=(16, 96, 96), sigma=0.16
    )
    rng = np.random.default_rng(0)
    few = torch.from_numpy(rng.uniform(0, 1, (30, 3)) * plan.patch_zyx).float()
    far = torch.from_numpy(rng.uniform(0, 1, (100_000, 3)) * (16, 9000, 9000) + (0, 130, 0)).float()
    known = torch.ones(1, 1, *plan.patch_zyx)
    alone = centres_of(Patches(plan, [few], known))
    began = time.process_time()
    crowded = centres_of(Patches(plan, [torch.cat([few, far])], known))
    assert time.process_time() - began < 1
    assert all(torch.equal(alone[key], crowded[key]) for key in alone)


def test_no_centre_is_put_outside_the_image():
    offsets = np.full((3, 4, 4, 4), -3.0, np.float32)
    found = decode_centres(np.full((4, 4, 4), 2.0, np.float32), offsets, (0.2,) * 3)
    assert (found.cells >= -0.5).all()
    assert (found.cells < 3.5).all()


def test_the_unknown_teaches_nothing():
    heat, offset = centre_target([torch.tensor([[2.0, 4, 4]])], (4, 8, 8), (0.25,) * 3, 0.16)
    output = torch.randn(1, 4, 4, 8, 8, requires_grad=True)
    known = torch.ones(1, 1, 4, 8, 8)
    known[..., 4:] = 0
    sum(centre_loss(output, heat, offset, known).values()).backward()
    assert output.grad[..., 4:].abs().max() == 0
    assert output.grad[..., :4].abs().max() > 0


def test_a_perfect_output_costs_least():
    heat, offset = centre_target([torch.tensor([[2.0, 3.3, 4.6]])], (4, 8, 8), (0.25,) * 3, 0.16)
    perfect = torch.cat([torch.logit(heat.clamp(1e-4, 1 - 1e-4)), offset], dim=1)
    known = torch.ones_like(heat)
    best = sum(centre_loss(perfect, heat, offset, known).values())
    worse = sum(centre_loss(perfect + 0.3, heat, offset, known).values())
    assert best < 0.01
    assert worse > 10 * best


def test_looking_lower_adds_faint_centres_and_moves_none():
    rng = np.random.default_rng(0)
    logits = rng.normal(-3.5, 1.5, (6, 20, 20)).astype(np.float32)
    offsets = rng.normal(0, 0.4, (3, 6, 20, 20)).astype(np.float32)
    few = decode_centres(logits, offsets, (0.2, 0.2, 0.2))
    many = decode_centres(logits, offsets, (0.2, 0.2, 0.2), lowest=0.002)
    assert len(many.cells) > len(few.cells) > 10
    np.testing.assert_allclose(many.cells[: len(few.cells)], few.cells)
    np.testing.assert_array_equal(many.logits[: len(few.logits)], few.logits)
