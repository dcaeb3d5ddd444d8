"""Objects in numbers: bodies whose size is known from their formula, in voxels of any shape."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.measure import regionprops_table

import anlage.objects.label_objects
from anlage.axes import Spacing
from anlage.errors import AnlageError
from anlage.objects.measure import ObjectTable, measure_objects
from anlage.timelapse import TimeLapse

ANISOTROPIC = Spacing(1.75, 0.8, 0.8)


def ellipsoid(axes_um: tuple[float, float, float], spacing: Spacing, off: float = 0.0) -> np.ndarray:
    """A mask (z, y, x) around an ellipsoid of these half-axes."""
    half = [int(np.ceil(a / s)) + 3 for a, s in zip(axes_um, spacing.zyx, strict=True)]
    grid = np.meshgrid(
        *[(np.arange(-n, n + 1) + off) * s for n, s in zip(half, spacing.zyx, strict=True)], indexing="ij"
    )
    return sum((g / a) ** 2 for g, a in zip(grid, axes_um, strict=True)) <= 1


def measure(labels: np.ndarray, image: np.ndarray | None = None, spacing: Spacing = ANISOTROPIC, **how) -> ObjectTable:
    pixels = None if image is None else TimeLapse.of(image)
    return measure_objects(TimeLapse.of(labels, spacing=spacing), pixels, **how)


@pytest.mark.parametrize("spacing", [Spacing(1, 1, 1), ANISOTROPIC, Spacing(2, 0.5, 0.5)])
def test_a_ball_is_a_ball_in_voxels_of_any_shape(spacing: Spacing) -> None:
    table = measure(ellipsoid((8, 8, 8), spacing, 0.3).astype(np.uint8), spacing=spacing)
    one = {name: float(column[0]) for name, column in table.columns.items()}
    assert one["volume_um3"] == pytest.approx(4 / 3 * np.pi * 8**3, rel=0.02)
    assert one["surface_um2"] == pytest.approx(4 * np.pi * 8**2, rel=0.04)
    assert one["equivalent_diameter_um"] == pytest.approx(16, rel=0.01)
    assert [one[f"axis_{a}_um"] for a in ("major", "middle", "minor")] == pytest.approx([16, 16, 16], rel=0.03)
    assert one["sphericity"] == pytest.approx(1, abs=0.04)


def test_the_axes_of_an_ellipsoid() -> None:
    table = measure(ellipsoid((12, 5, 8), ANISOTROPIC).astype(np.uint8))
    axes = [float(table.columns[f"axis_{a}_um"][0]) for a in ("major", "middle", "minor")]
    assert axes == pytest.approx([24, 16, 10], rel=0.03)
    p = 1.6075  # Thomsen's formula, right within 1.1 %
    area = 4 * np.pi * (((12 * 5) ** p + (12 * 8) ** p + (5 * 8) ** p) / 3) ** (1 / p)
    assert table.columns["surface_um2"][0] == pytest.approx(area, rel=0.05)
    assert table.columns["sphericity"][0] < 0.97


def test_what_scikit_image_measures_too_is_the_same() -> None:
    labels = np.zeros((26, 40, 40), np.int32)
    body = ellipsoid((12, 5, 8), ANISOTROPIC)
    labels[2 : 2 + body.shape[0], 3 : 3 + body.shape[1], 5 : 5 + body.shape[2]][body] = 70_001
    labels[1, 1:4, 1:3] = 5
    image = np.random.default_rng(0).integers(0, 4000, (1, 2, *labels.shape)).astype(np.uint16)
    table = measure(labels, image)
    theirs = regionprops_table(
        labels, image[0].transpose(1, 2, 3, 0), spacing=ANISOTROPIC.zyx,
        properties=("label", "area", "centroid", "bbox", "intensity_mean", "intensity_min", "intensity_max", "intensity_std"),
    )  # fmt: skip
    mine = table.columns
    assert mine["label"].tolist() == theirs["label"].tolist() == [5, 70_001]
    np.testing.assert_allclose(mine["volume_um3"], theirs["area"])
    for i, axis in enumerate("zyx"):
        np.testing.assert_allclose(mine[f"{axis}_um"], theirs[f"centroid-{i}"])
        np.testing.assert_allclose(mine[axis], theirs[f"centroid-{i}"] / ANISOTROPIC.zyx[i])
        assert mine[f"{axis}_min"].tolist() == theirs[f"bbox-{i}"].tolist()
        assert mine[f"{axis}_max"].tolist() == theirs[f"bbox-{i + 3}"].tolist()
    for c in range(2):
        for ours, name in (("mean", "mean"), ("min", "min"), ("max", "max"), ("sd", "std")):
            np.testing.assert_allclose(mine[f"channel_{c}_{ours}"], theirs[f"intensity_{name}-{c}"])
        inside = image[0, c][labels == 70_001]
        assert mine[f"channel_{c}_median"][1] == np.median(inside)
        assert mine[f"channel_{c}_sum"][1] == inside.sum()


def test_background_is_no_object_and_an_empty_image_has_none() -> None:
    labels = np.zeros((4, 8, 8), np.uint8)
    assert len(measure(labels)) == 0
    assert "volume_um3" in measure(labels).columns
    labels[1:3, 2:5, 2:5] = 9
    assert measure(labels).columns["label"].tolist() == [9]


def test_a_flat_image_has_areas_and_outlines() -> None:
    y, x = np.mgrid[-30:31, -30:31] * 0.5
    labels = ((y / 12) ** 2 + (x / 6) ** 2 <= 1).astype(np.uint8)
    labels[0, 0] = 2
    table = measure(labels, spacing=Spacing(1, 0.5, 0.5)).columns
    assert table["area_um2"][0] == pytest.approx(np.pi * 12 * 6, rel=0.02)
    assert [table["axis_major_um"][0], table["axis_minor_um"][0]] == pytest.approx([24, 12], rel=0.02)
    h = ((12 - 6) / (12 + 6)) ** 2
    assert table["perimeter_um"][0] == pytest.approx(np.pi * 18 * (1 + 3 * h / (10 + np.sqrt(4 - 3 * h))), rel=0.03)
    assert table["cut_by_border"].tolist() == [0, 1]
    assert not {"volume_um3", "surface_um2", "axis_middle_um"} & set(table)
    disc = measure((y**2 + x**2 <= 100).astype(np.uint8), spacing=Spacing(1, 0.5, 0.5)).columns
    assert disc["circularity"][0] == pytest.approx(1, abs=0.04)


def test_single_voxels_planes_and_rods_have_finite_numbers() -> None:
    labels = np.zeros((6, 12, 12), np.uint8)
    labels[2, 2, 2] = 1
    labels[3, 5:9, 5:9] = 2
    labels[1:5, 10, 1] = 3
    table = measure(labels).columns
    for name, column in table.items():
        assert np.isfinite(column).all(), name
    assert table["n_voxels"].tolist() == [1, 16, 4]
    assert (table["axis_minor_um"] > 0).all()
    assert table["volume_um3"][0] == pytest.approx(1.75 * 0.8 * 0.8)


def test_frames_have_their_own_rows() -> None:
    labels = np.zeros((3, 4, 10, 10), np.uint8)
    labels[0, 1:3, 2:5, 2:5] = 3
    labels[2, 1:3, 3:6, 2:5] = 3
    labels[2, 1:3, 7:9, 7:9] = 1
    movie = TimeLapse.of(labels, spacing=ANISOTROPIC, interval_s=30)
    table = measure_objects(movie)
    assert table.columns["t"].tolist() == [0, 2, 2]
    assert table.columns["label"].tolist() == [3, 1, 3]
    assert table.columns["id"].tolist() == [1, 2, 3]
    assert table.columns["t_s"].tolist() == [0, 60, 60]
    np.testing.assert_allclose(table.positions[2], [2, 1.5, 4, 3])
    assert measure_objects(movie, frames=[0]).columns["t"].tolist() == [0]


def test_reading_block_by_block_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    labels = np.zeros((10, 60, 60), np.int64)
    for value in range(1, 30):
        z, y, x = (int(rng.integers(0, n)) for n in (8, 55, 55))
        labels[z : z + 3, y : y + 5, x : x + 5] = value * 1000
    labels[9, :, 59] = 7  # longer than a block
    image = rng.random((1, 1, 10, 60, 60))
    whole = measure(labels, image)
    monkeypatch.setattr(anlage.objects.label_objects, "_WHOLE_VOXELS", 100)
    monkeypatch.setattr(anlage.objects.label_objects, "_BLOCK", (4, 16, 16))
    told: list[tuple[int, int]] = []
    blocks = measure(labels, image, on_progress=lambda done, of: told.append((done, of)))
    assert list(blocks.columns) == list(whole.columns)
    for name in whole.columns:
        np.testing.assert_allclose(blocks.columns[name], whole.columns[name], err_msg=name)
    assert told[-1] == (len(whole), len(whole))


def test_what_is_wrong_is_one_sentence() -> None:
    labels = np.zeros((4, 8, 8), np.uint8)
    with pytest.raises(AnlageError, match=r"voxel size of '' is unknown.*--spacing Z,Y,X"):
        measure_objects(TimeLapse.of(labels))
    with pytest.raises(AnlageError, match=r"of type float64.*whole numbers"):
        measure(labels.astype(float))
    with pytest.raises(AnlageError, match=r"contain the value -3"):
        measure(labels.astype(int) - 3)
    with pytest.raises(AnlageError, match="must be the same"):
        measure(labels, np.zeros((4, 8, 9)))
    with pytest.raises(AnlageError, match="Channel 2 is to be measured"):
        measure(labels, np.zeros((4, 8, 8)), channels=[2])
