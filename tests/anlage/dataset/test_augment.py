from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from anlage.dataset.augment import Augmentation, Warp, draw, shade, warp, warp_image, warp_points

GEOMETRY = Augmentation(flip_z=True, gamma=0, gain=0, offset=0, noise=0, dimming=0)


def blobs(points_N3: torch.Tensor, example_N: torch.Tensor, shape: tuple[int, ...], sigma: float = 1.5) -> torch.Tensor:
    """One Gaussian per point in its own channel, (B, N, Z, Y, X)."""
    b, (z, y, x) = int(example_N.max()) + 1, shape
    image = torch.zeros((b, len(points_N3), z, y, x))
    grid = torch.meshgrid(*(torch.arange(n, dtype=torch.float32) for n in shape), indexing="ij")
    for n, (point, example) in enumerate(zip(points_N3, example_N, strict=True)):
        squares = sum((g - p) ** 2 for g, p in zip(grid, point, strict=True))
        image[int(example), n] = torch.exp(-squares / (2 * sigma**2))
    return image


def centroid(channel_ZYX: torch.Tensor) -> np.ndarray:
    values = channel_ZYX.double().numpy()
    return np.array([(values * g).sum() / values.sum() for g in np.indices(values.shape)])


@pytest.mark.parametrize("shape_yx", [None, (44, 40)])
@pytest.mark.parametrize("spacing_yx", [(1.0, 1.0), (0.5, 1.0)])
def test_a_blob_follows_its_point(shape_yx: tuple[int, int] | None, spacing_yx: tuple[float, float]) -> None:
    shape = (9, 52, 48)
    # near the centre, where nothing is turned or stretched out of the crop
    points = torch.tensor([[4.0, 24.3, 22.0], [3.2, 29.0, 25.6], [4.8, 21.0, 27.4], [4.0, 26.5, 20.0]] * 3)
    example = torch.arange(3).repeat_interleave(4)
    by = draw(torch.Generator().manual_seed(3), 3, GEOMETRY, spacing_yx=spacing_yx)
    image, moved = warp(blobs(points, example, shape), points, example, by, shape_yx)
    assert image.shape == (3, 12, 9, *(shape_yx or shape[1:]))
    assert (moved - points).abs().amax() > 2, "the draw moved nothing, so the test shows nothing"
    for n in range(len(points)):
        assert np.abs(centroid(image[int(example[n]), n]) - moved[n].numpy()).max() < 0.05


def test_points_move_by_the_inverse_of_the_pixels_map() -> None:
    by = draw(torch.Generator().manual_seed(0), 1, GEOMETRY)
    out = torch.tensor([3.0, 10.0, 5.0])
    centre = torch.tensor([(40 - 1) / 2, (30 - 1) / 2])
    source = by.matrix[0] @ (out[1:] - centre) + centre
    z = 7 - 3.0 if by.flip_z[0] else 3.0
    point = torch.tensor([[z, *source.tolist()]])
    moved = warp_points(point, torch.tensor([0]), by, (8, 40, 30))
    assert torch.allclose(moved[0], out, atol=1e-3)


def test_rotation_keeps_distances_in_micrometres() -> None:
    spacing = torch.tensor([0.4, 0.8])
    config = GEOMETRY.model_copy(update={"scale": 0.0})
    by = draw(torch.Generator().manual_seed(5), 6, config, spacing_yx=(0.4, 0.8))
    points = torch.tensor([[0.0, 3.0, 4.0], [0.0, 20.0, 9.0]])
    before = torch.linalg.norm((points[0] - points[1])[1:] * spacing)
    for b in range(6):
        moved = warp_points(points, torch.full((2,), b), by, (1, 32, 32))
        assert torch.linalg.norm((moved[0] - moved[1])[1:] * spacing) == pytest.approx(float(before), rel=1e-4)


def test_where_sizes_are_not_varied_every_voxel_stays_whole() -> None:
    config = GEOMETRY.model_copy(update={"scale": 0.0})
    image = torch.rand((1, 1, 3, 12, 12), generator=torch.Generator().manual_seed(0))
    turns, quarter = set(), torch.rot90(image, 1, (3, 4))
    every = {tuple(v.flip(axes).flatten().tolist()) for v in (image, quarter) for axes in ((), (3,), (4,), (3, 4))}
    every |= {
        tuple(v.flip(axes).flatten().tolist()) for v in (image, quarter) for axes in ((2,), (2, 3), (2, 4), (2, 3, 4))
    }
    for seed in range(120):
        moved = warp_image(image, draw(torch.Generator().manual_seed(seed), 1, config)).flatten()
        (same,) = [one for one in every if torch.allclose(moved, torch.tensor(one), atol=1e-5)]
        turns.add(same)
    assert turns == every  # all 16 of them are seen


def test_scale_stays_in_its_range_and_uses_it() -> None:
    config = Augmentation.none().model_copy(update={"scale": 0.25})
    by = draw(torch.Generator().manual_seed(0), 400, config)
    enlarged = 1 / torch.sqrt(torch.linalg.det(by.matrix).abs())
    assert enlarged.min() >= 1 / 1.25 - 1e-5
    assert enlarged.max() <= 1.25 + 1e-5
    assert enlarged.min() < 0.82
    assert enlarged.max() > 1.22


def test_switched_off_it_changes_nothing() -> None:
    image = torch.rand((2, 1, 3, 12, 10))
    generator = torch.Generator().manual_seed(0)
    by = draw(generator, 2, Augmentation.none())
    assert by.is_identity
    assert torch.equal(warp_image(image, by), image)
    assert torch.equal(warp_image(image, by, (8, 6)), image[..., 2:10, 2:8])
    assert torch.equal(shade(image, generator, Augmentation.none()), image)


def test_an_odd_crop_of_an_unmoved_image_is_centred() -> None:
    image, points = torch.zeros((1, 1, 1, 12, 12)), torch.tensor([[0.0, 6.0, 6.0]])
    image[0, 0, 0, 6, 6] = 1
    by = draw(torch.Generator(), 1, Augmentation.none())
    moved_image, moved = warp(image, points, torch.tensor([0]), by, (9, 9))
    assert moved[0, 1:].tolist() == [4.5, 4.5]
    assert np.allclose(centroid(moved_image[0, 0])[1:], 4.5, atol=1e-3)


def test_the_same_generator_gives_the_same_batch() -> None:
    image = torch.rand((2, 2, 4, 16, 16))
    config = Augmentation()

    def once(seed: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(seed)
        return shade(warp_image(image, draw(generator, 2, config)), generator, config)

    assert torch.equal(once(7), once(7))
    assert not torch.equal(once(7), once(8))


def test_the_input_is_not_touched() -> None:
    image = torch.rand((2, 1, 4, 16, 16))
    before = image.clone()
    generator = torch.Generator().manual_seed(1)
    config = Augmentation()
    shade(image, generator, config)
    warp_image(image, draw(generator, 2, config))
    assert torch.equal(image, before)


def test_beyond_the_image_weights_are_zero_and_pixels_real() -> None:
    quarter = math.pi / 4
    turn = torch.tensor([[[math.cos(quarter), -math.sin(quarter)], [math.sin(quarter), math.cos(quarter)]]])
    by = Warp(turn, torch.tensor([False]))
    ones = torch.ones((1, 1, 1, 20, 20))
    known = warp_image(ones, by, outside="zeros")
    assert known[0, 0, 0, 0, 0] == 0
    assert known[0, 0, 0, 10, 10] == pytest.approx(1)
    assert warp_image(ones, by).min() == pytest.approx(1, abs=1e-5)


def test_brightness_varies_but_stays_finite_on_negative_and_bright_values() -> None:
    image = torch.linspace(-1, 4, 2 * 3 * 5 * 8 * 8).reshape(2, 3, 5, 8, 8)
    shaded = shade(image, torch.Generator().manual_seed(0), Augmentation())
    assert torch.isfinite(shaded).all()
    assert shaded.shape == image.shape
    assert (shaded - image).abs().mean() > 0.05


def test_dimming_falls_along_depth_only() -> None:
    config = Augmentation.none().model_copy(update={"dimming": 1.0})
    shaded = shade(torch.ones((8, 1, 6, 2, 2)), torch.Generator().manual_seed(2), config)
    assert torch.allclose(shaded, shaded[..., :1, :1].expand_as(shaded))
    slope = (shaded[:, 0, 1:, 0, 0] - shaded[:, 0, :-1, 0, 0]).sign()
    assert (slope == slope[:, :1]).all(), "brightness must fall or rise steadily"
    assert set(slope[:, 0].tolist()) == {-1.0, 1.0}, "either side may face the objective"
    assert shaded.min() >= math.exp(-1) - 1e-5
    assert shaded.max() <= 1 + 1e-5


def test_a_single_plane_and_a_single_row_work() -> None:
    by = draw(torch.Generator().manual_seed(0), 1, Augmentation())
    image = shade(warp_image(torch.rand((1, 1, 1, 1, 9)), by), torch.Generator(), Augmentation())
    assert torch.isfinite(image).all()


@pytest.mark.gpu
def test_on_a_gpu_the_same_draw_moves_the_same_way() -> None:
    shape, points = (6, 40, 36), torch.tensor([[3.0, 20.0, 18.0], [2.0, 24.0, 15.0]])
    example = torch.tensor([0, 1])
    image = blobs(points, example, shape)
    by = draw(torch.Generator().manual_seed(4), 2, GEOMETRY)
    here = warp(image, points, example, by, (32, 32))
    there = warp(image.cuda(), points.cuda(), example.cuda(), by, (32, 32))
    assert torch.allclose(there[0].cpu(), here[0], atol=1e-3)
    assert torch.allclose(there[1].cpu(), here[1], atol=1e-3)
    for device in ("cpu", "cuda"):
        first, second = (shade(there[0], torch.Generator(device).manual_seed(1), Augmentation()) for _ in range(2))
        assert first.is_cuda
        assert torch.equal(first, second)


def test_less_variation_changes_brightness_and_size_less_and_turns_as_far():
    usual = Augmentation()
    half, still = usual.scaled(0.5), usual.scaled(0.0)
    image = torch.rand((1, 1, 4, 16, 16), generator=torch.Generator().manual_seed(0))

    def change(by: Augmentation) -> float:
        return float((shade(image, torch.Generator().manual_seed(1), by) - image).abs().mean())

    assert change(still) == 0
    assert 0 < change(half) < 0.8 * change(usual)
    assert (half.rotate_degrees, half.flip, half.flip_z) == (usual.rotate_degrees, usual.flip, usual.flip_z)
    sizes = [
        torch.linalg.det(draw(torch.Generator().manual_seed(2), 8, by).matrix).abs() for by in (usual, half, still)
    ]
    assert (
        float(sizes[2].log().abs().max()) < 1e-5 < float(sizes[1].log().abs().max()) < float(sizes[0].log().abs().max())
    )
