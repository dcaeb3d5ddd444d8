"""What is known of a frame, voxel by voxel, compared with what geometry says."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from anlage.axes import Spacing
from anlage.blobs import brightest_channel, values_at
from anlage.dataset.weight import (
    Dark,
    Marked,
    Nuclei,
    clear_balls,
    complete_weight,
    measure_dark,
    smooth,
    sparse_weight,
)

SPACING = Spacing(2.0, 1.0, 0.5)
SHAPE = (12, 24, 40)
WHOLE = (slice(0, 12), slice(0, 24), slice(0, 40))
NONE = np.zeros((0, 3))


def marked(centres: npt.ArrayLike, radius_um: float = 3.0) -> Marked:
    points = np.asarray(centres, dtype=float).reshape(-1, 3)
    return Marked(points, np.full(len(points), radius_um))


def nuclei(of: npt.ArrayLike = NONE, rejected: npt.ArrayLike = NONE, outside: npt.ArrayLike = NONE) -> Nuclei:
    return Nuclei(marked(of), marked(rejected), marked(outside))


def ball(centre: npt.ArrayLike, radius_um: float = 3.0) -> npt.NDArray[np.bool_]:
    """Voxels whose middle lies within so many µm of a centre (z, y, x), in voxels."""
    grid = np.stack(np.meshgrid(*(np.arange(n) for n in SHAPE), indexing="ij"), axis=-1)
    inside: npt.NDArray[np.bool_] = (((grid - np.asarray(centre)) * SPACING.um / radius_um) ** 2).sum(-1) <= 1
    return inside


def complete(
    of: Nuclei, cores: list[tuple[slice, ...]], boxes: list[tuple[slice, ...]] | None = None
) -> npt.NDArray[np.uint8]:
    return complete_weight(SHAPE, boxes or [WHOLE], cores, SPACING, of)  # type: ignore[arg-type]


CORE = (slice(2, 8), slice(4, 20), slice(6, 30))


def in_core() -> npt.NDArray[np.bool_]:
    mask = np.zeros(SHAPE, dtype=bool)
    mask[CORE] = True
    return mask


def test_the_core_is_known_and_around_it_nothing_but_marked_and_rejected_balls() -> None:
    weight = complete(nuclei(of=[[8, 10, 30]], rejected=[[2, 20, 10]]), [CORE])
    assert weight.dtype == np.uint8
    assert np.array_equal(weight == 1, in_core() | ball([8, 10, 30]) | ball([2, 20, 10]))
    assert weight.max() == 1


@pytest.mark.parametrize("centre", [[6, 12, 20], [6.4, 11.6, 20.3], [0, 0, 0], [11.4, 23.4, 39.4], [5.5, 12.5, 20.5]])
def test_a_ball_holds_the_voxels_within_its_radius_also_at_the_walls(centre: list[float]) -> None:
    assert np.array_equal(complete(nuclei(of=[centre]), []) == 1, ball(centre))


def test_the_smallest_nucleus_is_one_voxel() -> None:
    weight = complete(Nuclei(marked([[6, 12, 20]], radius_um=0.01), marked(NONE), marked(NONE)), [])
    assert np.argwhere(weight).tolist() == [[6, 12, 20]]


def test_a_nucleus_far_outside_leaves_everything_as_it_is() -> None:
    assert complete(nuclei(of=[[-40, 12, 20], [6, 90, 20]]), []).sum() == 0


def test_what_reaches_in_of_nuclei_outside_is_unknown_unless_marked_nuclei_lie_there() -> None:
    weight = complete(nuclei(of=[[4, 10, 10]], outside=[[4, 10, 14]]), [CORE])
    assert np.array_equal(weight == 1, (in_core() & ~ball([4, 10, 14])) | ball([4, 10, 10]))


def test_outside_every_box_nothing_is_known() -> None:
    left, right = (slice(0, 12), slice(0, 24), slice(0, 10)), (slice(0, 12), slice(0, 24), slice(28, 40))
    weight = complete(nuclei(of=[[8, 10, 33]]), [CORE], [left, right])
    kept = np.zeros(SHAPE, dtype=bool)
    kept[left] = kept[right] = True
    assert np.array_equal(weight == 1, (in_core() | ball([8, 10, 33])) & kept)


def test_balls_are_taken_from_a_mask_in_place() -> None:
    mask = np.ones(SHAPE, dtype=bool)
    clear_balls(mask, marked([[6, 12, 20]]), SPACING)
    assert np.array_equal(mask, ~ball([6, 12, 20]))


# --- where only some nuclei are marked

DARK = Dark(channel=0, background=0.0, nucleus=1.0)


def sparse(
    image: npt.NDArray[np.float32], of: Nuclei, dark: Dark = DARK, diameter_um: float = 6.0
) -> npt.NDArray[np.uint8]:
    return sparse_weight(image, [WHOLE], SPACING, diameter_um, dark, of)


def test_what_is_clearly_dark_is_known() -> None:
    image = np.linspace(0, 1, int(np.prod(SHAPE)), dtype=np.float32).reshape(SHAPE)
    weight = sparse(image, nuclei(of=[[11, 23, 39]]))
    away = ~ball([11, 23, 39], radius_um=6.0)
    assert np.array_equal(weight[away] == 1, image[away] < 0.2)
    assert DARK.threshold == pytest.approx(0.2)
    assert Dark(0, 1.0, 3.0).threshold == pytest.approx(1.4)


def test_around_a_marked_nucleus_what_is_less_than_half_as_bright_is_known() -> None:
    image = np.full(SHAPE, 0.35, dtype=np.float32)
    image[:, :, 24:] = 0.45
    image[6, 12, 20] = 0.8  # half of it is 0.4
    weight = sparse(image, nuclei(of=[[6, 12, 20]]))
    left = np.zeros(SHAPE, dtype=bool)
    left[:, :, :24] = True
    assert np.array_equal(weight == 1, (ball([6, 12, 20], radius_um=6.0) & left) | ball([6, 12, 20]))


def test_half_way_is_measured_from_the_background() -> None:
    image = np.full(SHAPE, 0.55, dtype=np.float32)
    image[:, :, 24:] = 0.65
    image[6, 12, 20] = 0.8
    raised = Dark(0, background=0.4, nucleus=1.0)  # half way up to 0.8 lies 0.6
    near = ball([6, 12, 20], radius_um=6.0)
    near[:, :, 24:] = False
    assert np.array_equal(sparse(image, nuclei(of=[[6, 12, 20]]), raised) == 1, near | ball([6, 12, 20]))


def test_exactly_at_a_threshold_nothing_is_dark() -> None:
    image = np.full(SHAPE, 0.25, dtype=np.float32)
    image[6, 12, 20] = 0.5
    dark = Dark(0, background=0.0, nucleus=1.25)  # both thresholds lie at 0.25
    assert np.array_equal(sparse(image, nuclei(of=[[6, 12, 20]]), dark) == 1, ball([6, 12, 20]))


def test_rejected_balls_are_known_and_those_outside_unknown_however_dark() -> None:
    image = np.zeros(SHAPE, dtype=np.float32)
    image[6, 12, 20] = 1.0
    image[2, 4, 8] = 0.9
    weight = sparse(image, nuclei(of=[[6, 12, 20]], rejected=[[2, 4, 8]], outside=[[6, 12, 23]]))
    unknown = ball([6, 12, 23]) & ~ball([6, 12, 20])
    assert np.array_equal(weight == 0, unknown)


@pytest.mark.parametrize(("nucleus", "clear"), [(0.05, False), (0.06, True), (-1.0, False)])
def test_nuclei_no_brighter_than_the_background_tell_nothing_of_it(nucleus: float, clear: bool) -> None:
    dark = Dark(0, 0.0, nucleus)
    assert dark.is_clear is clear
    assert Dark(0, 0.5, nucleus + 0.5 - 1e-9).is_clear is clear
    image = np.zeros(SHAPE, dtype=np.float32)
    n_known = int(sparse(image, nuclei(of=[[6, 12, 20]]), dark).sum())
    assert n_known == (image.size if clear else ball([6, 12, 20]).sum())


def test_a_frame_without_a_marked_nucleus_is_unknown() -> None:
    assert sparse(np.zeros(SHAPE, dtype=np.float32), nuclei()).sum() == 0


# --- how bright they are


def test_values_are_those_of_the_voxels_that_centres_fall_on() -> None:
    image = np.arange(np.prod(SHAPE)).reshape(SHAPE)
    found = values_at(image, np.array([[0.4, 1.6, 2.4], [-3, 0, 0], [11.4, 99, 39.4]]))
    assert found.tolist() == [image[0, 2, 2], image[0, 0, 0], image[11, 23, 39]]


def test_the_channel_in_which_marked_nuclei_stand_out_is_found() -> None:
    rng = np.random.default_rng(0)
    image = rng.normal(0, 1, (3, *SHAPE)).astype(np.float32)
    image[1] *= 20  # loud, but the nuclei are nothing special in it
    image[2, 6, 12, 20] = image[2, 3, 5, 9] = 8
    image[1, 6, 12, 20] = image[1, 3, 5, 9] = 30
    centres = np.array([[6, 12, 20], [3, 5, 9.0]])
    assert brightest_channel(image, centres) == 2
    assert brightest_channel(np.stack([-image[2], image[0]]), centres) == 1, "dark marks do not stand out"


def test_an_even_channel_stands_out_in_nothing() -> None:
    image = np.zeros((2, *SHAPE), np.float32)
    image[1, 6, 12, 20] = 1
    image[1, 0] = 0.5
    assert brightest_channel(image, np.array([[6, 12, 20.0]])) == 1


def test_background_and_dimmest_nuclei_are_measured_over_frames() -> None:
    frames = []
    for base in (0.0, 1.0, 5.0):
        image = np.full(SHAPE, base + 10, dtype=np.float32)
        image.reshape(-1)[: image.size // 10] = base
        image[5, 5, 5:16] = base + np.arange(20, 31)
        frames.append((image, np.array([[5, 5, x] for x in range(5, 16)], dtype=float)))
    found = measure_dark(iter(frames), 3)
    assert (found.channel, found.background) == (3, 1.0)
    levels = np.concatenate([b + np.arange(20, 31) for b in (0, 1, 5)])
    assert found.nucleus == pytest.approx(np.percentile(levels, 10))


def test_blurring_reaches_a_sixth_of_a_diameter_in_micrometres() -> None:
    image = np.zeros((25, 25, 49), dtype=np.float32)
    image[12, 12, 24] = 1
    blurred = smooth(image, SPACING, diameter_um=12.0)
    assert blurred.dtype == np.float32
    for axis, step in enumerate(SPACING.zyx):
        profile = np.moveaxis(blurred, axis, 0).reshape(blurred.shape[axis], -1).sum(axis=1)
        at = np.arange(len(profile)) - (len(profile) - 1) / 2
        assert np.sqrt((profile * at**2).sum() / profile.sum()) * step == pytest.approx(2.0, rel=0.03)


def test_a_single_plane_is_blurred_in_the_plane_only() -> None:
    image = np.random.default_rng(0).random((1, 20, 20)).astype(np.float32)
    assert smooth(image, SPACING, 6.0).shape == image.shape
    assert smooth(image, SPACING, 6.0).std() < image.std() / 2


@pytest.mark.parametrize("record", [Marked, Nuclei, Dark])
def test_what_was_measured_is_immutable(record: type) -> None:
    assert record.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert "__slots__" in vars(record)


def test_the_background_is_the_fifth_percentile() -> None:
    image = np.arange(101, dtype=np.float32).reshape(1, 1, 101)
    assert measure_dark([(image, np.array([[0.0, 0, 90]]))], 0).background == 5
