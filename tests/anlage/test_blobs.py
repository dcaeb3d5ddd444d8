"""The detector that needs no training: centres, sizes, and what it refuses to see."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from scipy import ndimage
from scipy.optimize import linear_sum_assignment

from anlage.axes import Spacing
from anlage.blobs import detect, doubt_diameter, estimate_diameter, find_peaks, liveliest, match_diameter, suppress
from anlage.blobs.voxel_grid import noise_where_bright
from anlage.errors import AnlageError

Image = npt.NDArray[np.float32]
Points = npt.NDArray[np.float64]


def tissue(
    diameter: float,
    *,
    anisotropy: float = 1.0,
    n: int = 12,
    gap: float = 1.0,
    noise: float = 0.1,
    flat: bool = False,
    seed: int = 0,
) -> tuple[Image, Points, Spacing]:
    """Blurred balls (discs) of a diameter in voxels of the plane, no nearer than `gap` diameters, in noise."""
    rng = np.random.default_rng(seed)
    edge = (n * 1.6) ** 0.5 * diameter * gap if flat else (n * 1.3) ** (1 / 3) * diameter * gap
    extent = np.array([0.0 if flat else edge, edge, edge]) + np.array([0.0 if flat else 1.0, 2.0, 2.0]) * diameter
    spacing = np.array([anisotropy, 1.0, 1.0])
    centres: list[Points] = []
    for _ in range(20_000):
        at = (
            rng.uniform(0.75, extent / diameter - 0.75) * diameter
            if not flat
            else np.r_[0, rng.uniform(0.75, extent[1:] / diameter - 0.75) * diameter]
        )
        if all(np.linalg.norm(at - other) >= gap * diameter for other in centres):
            centres.append(at)
        if len(centres) == n:
            break
    shape = (1 if flat else max(2, round(extent[0] / anisotropy)), round(extent[1]), round(extent[2]))
    grid = np.stack(np.meshgrid(*(np.arange(k) for k in shape), indexing="ij"), axis=-1) * spacing
    image = np.zeros(shape)
    for at in centres:
        body = np.clip(diameter / 2 + 0.5 - np.linalg.norm(grid - at, axis=-1), 0, 1)
        image = np.maximum(image, body * rng.uniform(0.7, 1.3))
    blur = 0.1 * diameter
    image = ndimage.gaussian_filter(image, [0 if flat else blur / anisotropy, blur, blur])
    image += rng.normal(0, noise, shape)
    return (100 + 200 * image).astype(np.float32), np.array(centres) / spacing, Spacing(*spacing)


def hits(found: Points, truth: Points, spacing: Spacing, radius_um: float) -> int:
    distance = np.linalg.norm((found[:, None] - truth[None]) * spacing.um, axis=2)
    rows, columns = linear_sum_assignment(np.where(distance <= radius_um, distance, 1e6))
    return int((distance[rows, columns] <= radius_um).sum())


def f1(found: Points, truth: Points, spacing: Spacing, radius_um: float) -> float:
    return 2 * hits(found, truth, spacing, radius_um) / (len(found) + len(truth))


SCENES = [
    pytest.param({"diameter": d, "anisotropy": a, "flat": flat, "gap": gap, "noise": noise}, id=f"{d}px-z{a}-{'2d' if flat else '3d'}-gap{gap}-noise{noise}")
    for d, a, flat, gap, noise in [
        (5, 1, False, 1.0, 0.1), (8, 2, False, 1.0, 0.3), (12, 5, False, 1.0, 0.1), (16, 5, False, 1.6, 0.3),
        (24, 2.2, False, 1.0, 0.1), (40, 5, False, 1.0, 0.1), (5, 1, True, 1.6, 0.3), (12, 1, True, 1.0, 0.1),
        (40, 1, True, 1.0, 0.3), (10, 1, False, 1.6, 0.1),
    ]
]  # fmt: skip


@pytest.mark.parametrize("scene", SCENES)
def test_the_diameter_is_measured(scene: dict[str, float]) -> None:
    image, centres, spacing = tissue(**scene)  # type: ignore[arg-type]
    true = scene["diameter"]
    at_centres = estimate_diameter(image, spacing, centres_zyx=centres)
    alone = estimate_diameter(image, spacing)
    assert at_centres == pytest.approx(true, rel=0.15)
    assert alone == pytest.approx(true, rel=0.25)


def test_the_diameter_is_in_um() -> None:
    image, centres, spacing = tissue(12)
    fine = Spacing(*(0.25 * spacing.um))
    coarse = estimate_diameter(image, spacing, centres_zyx=centres)
    assert coarse is not None
    assert estimate_diameter(image, fine, centres_zyx=centres) == pytest.approx(0.25 * coarse)


def test_dark_nuclei_are_measured_at_their_centres() -> None:
    """In a bright tissue: what is bright is the tissue, many nuclei wide."""
    image, centres, spacing = tissue(14, n=20, gap=1.2)
    shape = np.array(image.shape)
    tissue_mask = ndimage.gaussian_filter(np.pad(np.ones(shape - 16), 8), 6)
    dark = 500 * tissue_mask - image
    assert estimate_diameter(dark.astype(np.float32), spacing, centres_zyx=centres) == pytest.approx(14, rel=0.25)


@pytest.mark.parametrize("known", [True, False])
def test_haze_around_the_nuclei_is_not_taken_for_a_nucleus(known: bool) -> None:
    image, centres, spacing = tissue(12, n=25, gap=1.1, noise=0.02)
    hazy = image + 6 * ndimage.gaussian_filter(image, 11)
    measured = estimate_diameter(hazy, spacing, centres_zyx=centres if known else None)
    assert measured == pytest.approx(12, rel=0.3)


def test_noise_is_compared_with_that_of_bright_places() -> None:
    rng = np.random.default_rng(0)
    step = np.repeat([0.0, 10.0], [190, 10])[None, :, None] + np.zeros((8, 200, 60))
    alike = (step + rng.normal(0, 1, step.shape)).astype(np.float32)
    noisier = (step + rng.normal(0, np.where(step > 0, 3, 1))).astype(np.float32)
    assert noise_where_bright(alike) == pytest.approx(1, abs=0.15)
    assert noise_where_bright(noisier) == pytest.approx(3, rel=0.15)


def test_a_real_embryo_of_two_photons_is_measured(shared_data: Callable[[str], Path]) -> None:
    """Its bright nuclei are so noisy that single voxels passed for nuclei."""
    (path,) = (shared_data("bbbc050-mouse-embryo") / "images").glob("*07*t501*.tif")
    image = tifffile.imread(path).astype(np.float32)
    low, high = np.percentile(image, [1, 99.8])
    rng = np.random.default_rng([1, sum(map(ord, "ph2"))])
    few = rng.poisson((np.clip((image - low) / (high - low), 0, None) + 0.15) * 2) + rng.normal(0, 0.5, image.shape)
    assert estimate_diameter(few.astype(np.float32), Spacing(1.75, 0.8, 0.8)) == pytest.approx(12, rel=0.2)


def test_a_nucleus_reaches_no_further_than_to_its_neighbours() -> None:
    """Points marked everywhere in one large ball: its size is not theirs."""
    ball, _, spacing = tissue(40, n=1, noise=0.01)
    middle = np.array(ball.shape) / 2
    marks = middle + np.random.default_rng(0).uniform(-12, 12, (40, 3))
    measured = estimate_diameter(ball, spacing, centres_zyx=marks)
    assert measured is None or measured < 15


@pytest.mark.parametrize(
    ("diameter", "gap", "words"),
    [
        (63, 15, "63 µm across cannot lie 15 µm"),
        (13, 15, None),
        (13, None, None),
        (400, 15, "400 µm across are unlikely"),
    ],
)
def test_a_diameter_that_the_distance_to_the_neighbours_contradicts_is_doubted(
    diameter: float, gap: float | None, words: str | None
) -> None:
    said = doubt_diameter(diameter, gap)
    assert said is None if words is None else said is not None and words in said


def test_around_known_centres_the_smallest_part_that_holds_a_dozen_is_measured() -> None:
    image = np.zeros((40, 200, 200), np.float32)
    many = np.random.default_rng(0).random((200, 3)) * image.shape
    assert math.prod(liveliest(image, 3_000_000, many, enough=500_000).shape) <= 500_000
    few = many[:20]  # half of them would be too few to trust
    assert math.prod(liveliest(image, 3_000_000, few, enough=500_000).shape) > 500_000
    assert math.prod(liveliest(image, 1_000_000, few, enough=500_000).shape) <= 1_000_000


def test_of_a_large_image_the_part_with_nuclei_is_measured() -> None:
    image, centres, spacing = tissue(12, flat=True)
    whole = np.random.default_rng(0).normal(100, 20, (1, 2000, 2500)).astype(np.float32)
    offset = np.array([0, 1700, 30])
    whole[:, offset[1] : offset[1] + image.shape[1], offset[2] : offset[2] + image.shape[2]] = image
    assert estimate_diameter(whole, spacing, centres_zyx=centres + offset) == pytest.approx(12, rel=0.15)
    assert estimate_diameter(whole, spacing) == pytest.approx(12, rel=0.25)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((8, 40, 40), np.float32),
        np.full((1, 40, 40), 7.0, np.float32),
        np.full((4, 20, 20), np.nan, np.float32),
    ],
    ids=["dark", "constant", "NaN"],
)
def test_an_image_without_anything_has_no_diameter_and_no_nuclei(image: Image) -> None:
    assert estimate_diameter(image, Spacing(1, 1, 1)) is None
    positions, score = detect(image, Spacing(1, 1, 1), 8.0)
    assert (positions.shape, score.shape) == ((0, 3), (0,))


def test_pure_noise_has_no_nuclei() -> None:
    image = np.random.default_rng(0).normal(100, 10, (20, 80, 80)).astype(np.float32)
    assert len(detect(image, Spacing(2, 1, 1), 10.0)[0]) <= 2
    assert estimate_diameter(image, Spacing(2, 1, 1)) is None
    assert estimate_diameter(image, Spacing(2, 1, 1), centres_zyx=np.zeros((0, 3))) is None


@pytest.mark.parametrize("scene", SCENES)
def test_touching_nuclei_are_found_one_by_one(scene: dict[str, float]) -> None:
    image, centres, spacing = tissue(**scene)  # type: ignore[arg-type]
    positions, score = detect(image, spacing, scene["diameter"])
    assert f1(positions, centres, spacing, scene["diameter"] / 3) >= 0.9
    assert (np.diff(score) <= 0).all()


def test_centres_are_finer_than_a_voxel_and_unbiased() -> None:
    rng = np.random.default_rng(1)
    errors = []
    for _ in range(20):
        true = np.array([10, 20, 20]) + rng.uniform(-0.5, 0.5, 3)
        grid = np.stack(np.meshgrid(np.arange(21), np.arange(41), np.arange(41), indexing="ij"), axis=-1)
        distance = np.linalg.norm((grid - true) * [2, 1, 1], axis=-1)
        image = 1 / (1 + np.exp(2 * (distance - 6)))
        positions, _ = detect(image.astype(np.float32), Spacing(2, 1, 1), 12.0)
        assert len(positions) == 1
        errors.append(positions[0] - true)
    assert np.abs(errors).max() < 0.2
    assert np.abs(np.mean(errors, axis=0)).max() < 0.05


def test_large_nuclei_are_placed_as_well_as_small_ones() -> None:
    """Averaging voxels to cells must not shift the centres by half a cell."""
    grid = np.stack(np.meshgrid(np.arange(1), np.arange(200), np.arange(200), indexing="ij"), axis=-1)
    image = 1 / (1 + np.exp(np.linalg.norm(grid - [0, 90.3, 110.6], axis=-1) - 25))
    positions, _ = detect(image.astype(np.float32), Spacing(1, 1, 1), 50.0)
    assert np.allclose(positions, [[0, 90.3, 110.6]], atol=0.5)


def test_a_bright_mitosis_does_not_outshine_dim_nuclei() -> None:
    image, centres, spacing = tissue(12, gap=1.4)
    brightest = np.rint(centres[0]).astype(int)
    grid = np.stack(np.meshgrid(*(np.arange(n) for n in image.shape), indexing="ij"), axis=-1)
    image[np.linalg.norm(grid - brightest, axis=-1) < 4] *= 15
    positions, _ = detect(image, spacing, 12.0)
    assert hits(positions, centres, spacing, 4.0) >= len(centres) - 1


def test_nuclei_cut_by_the_wall_are_found_inside_the_image() -> None:
    grid = np.stack(np.meshgrid(np.arange(10), np.arange(40), np.arange(40), indexing="ij"), axis=-1)
    image = np.zeros((10, 40, 40))
    for at in ([0, 0, 20], [9, 20, 39], [5, 20, 8]):
        image += np.linalg.norm((grid - at) * [2, 1, 1], axis=-1) < 5
    positions, _ = detect(image.astype(np.float32), Spacing(2, 1, 1), 10.0)
    assert len(positions) == 3
    assert (positions >= 0).all()
    assert (positions <= np.array(image.shape) - 1).all()


def test_holes_in_the_image_are_dark() -> None:
    image, centres, spacing = tissue(12)
    image[:, :3, :] = np.nan
    assert f1(detect(image, spacing, 12.0)[0], centres, spacing, 4.0) >= 0.9


@pytest.mark.parametrize("diameter", [0.0, -1.0, float("nan"), float("inf")])
def test_an_impossible_diameter_is_one_sentence(diameter: float) -> None:
    with pytest.raises(AnlageError, match=r"diameter .* must be a positive number"):
        detect(np.zeros((5, 9, 9), np.float32), Spacing(1, 1, 1), diameter)


def test_a_movie_instead_of_a_frame_is_one_sentence() -> None:
    with pytest.raises(AnlageError, match="one frame"):
        detect(np.zeros((2, 5, 9, 9), np.float32), Spacing(1, 1, 1), 5.0)


def test_a_frame_takes_less_than_half_a_second() -> None:
    image = np.random.default_rng(0).normal(100, 5, (51, 130, 130)).astype(np.float32)
    start = time.process_time()
    detect(image, Spacing(1.75, 0.8, 0.8), 14.0)
    assert time.process_time() - start < 0.5


def test_peaks_are_local_maxima_and_a_plateau_counts_once() -> None:
    volume = np.zeros((5, 9, 9), np.float32)
    volume[2, 2, 2] = 3.0
    volume[2, 2, 6] = volume[2, 2, 7] = 2.0
    volume[0, 8, 8] = 1.0
    positions, values = find_peaks(volume, 0.5)
    assert sorted(values) == [1.0, 2.0, 3.0]
    assert [2, 2, 2] in np.rint(positions).astype(int).tolist()
    assert len(find_peaks(volume, 2.5)[1]) == 1


def test_suppression_keeps_the_strongest_and_does_not_chain() -> None:
    along = np.array([[0.0, 0, 0], [0, 0, 4], [0, 0, 8], [0, 0, 30]])
    # the weakest of the first three is 4 from the middle one, which itself gives way to the strongest
    assert suppress(along, np.array([3.0, 2.0, 1.0, 0.5]), 5.0).tolist() == [0, 2, 3]
    assert suppress(np.zeros((0, 3)), np.zeros(0), 5.0).tolist() == []


def test_suppression_is_anisotropic_in_voxels() -> None:
    voxels = np.array([[10.0, 20, 20], [12, 20, 20], [10, 22, 20]])
    kept = suppress(voxels * Spacing(5, 1, 1).um, np.array([3.0, 2.0, 1.0]), 5.0)
    assert kept.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("estimated", "known", "used", "words"),
    [
        (None, 10.0, 10.0, "model's own diameter of 10.0 µm was assumed"),
        (14.0, 10.0, 10.0, "like those the model was trained on"),
        (7.0, 10.0, 10.0, "like those the model was trained on"),
        (20.0, 10.0, 20.0, "rescaled by 0.50"),
        (5.0, 10.0, 5.0, "rescaled by 2.00"),
    ],
)
def test_a_foreign_image_is_matched_by_diameter(estimated: float | None, known: float, used: float, words: str) -> None:
    diameter, sentence = match_diameter(estimated, known)
    assert diameter == used
    assert words in sentence


@pytest.mark.data
def test_real_embryos_are_found_by_one_rule(shared_data: Callable[[str], Path]) -> None:
    """Mean F1 within 5 µm over every fifth of the 25 volumes; all 25 give 0.91, each with its own measured diameter."""
    spacing, scores = Spacing(1.75, 0.8, 0.8), []
    for path in sorted((shared_data("bbbc050-mouse-embryo") / "images").glob("*.tif"))[1::5]:
        labels = tifffile.imread(path.parents[1] / "labels" / path.name)
        truth = np.array(ndimage.center_of_mass(labels > 0, labels, np.unique(labels)[1:]))
        image = tifffile.imread(path).astype(np.float32)
        diameter = estimate_diameter(image, spacing)
        assert diameter == pytest.approx(17, rel=0.3)
        scores.append(f1(detect(image, spacing, diameter)[0], truth, spacing, 5.0))
    assert np.mean(scores) >= 0.95  # of these five young embryos
