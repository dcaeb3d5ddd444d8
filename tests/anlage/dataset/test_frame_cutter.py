"""What is cut out of a movie: which windows, which pixels, what of them is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from anlage.annotations import Annotations, State
from anlage.axes import Box, Spacing
from anlage.dataset.frame_cutter import FrameCutter, Plan
from anlage.dataset.intensity import measure_intensity
from anlage.dataset.region import StoreRegion
from anlage.errors import AnlageError
from anlage.timelapse import TimeLapse

SPACING = Spacing(2.0, 1.0, 1.0)
DIAMETER_UM = 6.0
SHAPE = (8, 6, 40, 80)
HULL = Box.whole(SHAPE)


MOVIE = (1 + np.arange(np.prod(SHAPE), dtype=np.uint32)).reshape(SHAPE)
LEFT = StoreRegion(Box((2, 5), (0, 6), (5, 25), (5, 25)), Box((2, 5), (1, 5), (9, 21), (9, 21)), (2, 4))
RIGHT = StoreRegion(Box((2, 4), (0, 6), (5, 25), (50, 70)), Box((2, 4), (1, 5), (9, 21), (54, 66)), (2, 3))


def cutter_of(
    regions: tuple[StoreRegion, ...] = (LEFT, RIGHT), inside: Annotations | None = None, outside: Annotations | None = None,
    *, hull: Box = HULL, context: int = 1, sparse: bool = False, image: TimeLapse | None = None, combine: Any = "separate",
) -> FrameCutter:  # fmt: skip
    image = image or TimeLapse.of(MOVIE, spacing=SPACING, source="movie")
    inside = inside if inside is not None else Annotations.of([[2, 3, 15, 15]])
    plan = Plan(regions, hull, inside, outside or Annotations.of([]), context, SPACING, DIAMETER_UM)
    return FrameCutter(image, measure_intensity(image, None, combine), plan, sparse=sparse)


# --- windows


def test_each_frame_is_kept_in_windows_and_one_frame_of_context_beside_them() -> None:
    cutter = cutter_of()
    assert cutter.frames == (1, 2, 3, 4, 5)
    left, right = ((b.z, b.y, b.x) for b in (LEFT.box, RIGHT.box))
    assert cutter.windows(1) == (Box((1, 2), *left), Box((1, 2), *right))
    assert cutter.windows(4) == (Box((4, 5), *left), Box((4, 5), *right)), "the right one's frame after"
    assert cutter.windows(5) == (Box((5, 6), *left),)
    assert cutter.n_voxels == (5 + 4) * 6 * 20 * 20


def test_more_context_is_kept_where_it_is_wanted_but_never_beyond_the_hull() -> None:
    assert cutter_of(context=2).frames == tuple(range(7))
    assert cutter_of(context=9).frames == tuple(range(8))
    narrow = cutter_of(context=9, hull=Box((3, 5), *HULL.ranges[1:]))
    assert narrow.frames == (3, 4)
    assert narrow.shape_tczyx == (2, 1, 6, 40, 80)


@pytest.mark.parametrize(("apart", "together"), [(6, True), (7, False)])
def test_boxes_no_further_apart_than_a_nucleus_are_one_window(apart: int, together: bool) -> None:
    """Six voxels of 1 µm are the diameter: the boxes grown by it must touch."""
    second = StoreRegion(Box((2, 3), (0, 6), (5, 25), (25 + apart - 1, 60)), LEFT.core, (2,))
    windows = cutter_of((LEFT, second)).windows(2)
    assert len(windows) == (1 if together else 2)
    if together:
        assert windows[0] == Box((2, 3), (0, 6), (5, 25), (5, 60))


def test_windows_that_meet_through_a_third_are_one() -> None:
    boxes = [Box((2, 3), (0, 6), (5, 15), (x, x + 10)) for x in (0, 40, 20)]
    near = [StoreRegion(box, box, (2,)) for box in (boxes[0], boxes[1])]
    assert len(cutter_of(tuple(near)).windows(2)) == 2
    bridge = Box((2, 3), (0, 6), (5, 15), (12, 38))
    assert cutter_of((*near, StoreRegion(bridge, bridge, (2,)))).windows(2) == (Box((2, 3), (0, 6), (5, 15), (0, 50)),)


# --- pixels


def test_pixels_are_those_of_the_movie_inside_the_boxes_and_0_between_them() -> None:
    second = StoreRegion(Box((2, 3), (0, 6), (5, 25), (28, 40)), LEFT.core, (2,))
    cutter = cutter_of((LEFT, second))
    (window,) = cutter.windows(2)
    found = cutter.pixels(window)
    assert found.shape == (1, 6, 20, 35)
    assert found.dtype == np.uint32
    expected = MOVIE[2, :, 5:25, 5:40].copy()
    expected[:, :, 20:23] = 0
    assert np.array_equal(found[0], expected)


def test_each_window_holds_its_own_box_only() -> None:
    cutter = cutter_of()
    _, right = cutter.windows(2)
    assert np.array_equal(cutter.pixels(right)[0], MOVIE[2, :, 5:25, 50:70])


def test_channels_may_be_summed() -> None:
    two = np.stack([MOVIE, MOVIE[::-1]], axis=1).astype(np.float32)
    cutter = cutter_of(image=TimeLapse.of(two, spacing=SPACING), combine="sum")
    assert cutter.dtype == np.float32
    assert cutter.shape_tczyx[1] == 1
    window = cutter.windows(2)[0]
    raw = two[(2, slice(None), *window.slices[1:])]
    assert np.allclose(cutter.pixels(window), cutter.intensity.apply(raw))


def test_another_byte_order_becomes_the_machine_s_own() -> None:
    swapped = MOVIE.astype(MOVIE.dtype.newbyteorder("S"))
    cutter = cutter_of(image=TimeLapse.of(swapped, spacing=SPACING))
    assert cutter.dtype.isnative
    assert np.array_equal(cutter.pixels(cutter.windows(2)[0])[0], MOVIE[2, :, 5:25, 5:25])


def test_not_a_number_is_refused_with_its_frame() -> None:
    broken = MOVIE.astype(np.float32)
    broken[2, 3, 10, 10] = np.nan
    intact = cutter_of(image=TimeLapse.of(MOVIE.astype(np.float32), spacing=SPACING))
    cutter = FrameCutter(TimeLapse.of(broken, spacing=SPACING), intact.intensity, intact.plan, sparse=False)
    with pytest.raises(AnlageError, match="Frame 2, channel 0"):
        cutter.pixels(cutter.windows(2)[0])
    cutter.pixels(cutter.windows(2)[1])


# --- what is known


def known(cutter: FrameCutter, t: int, which: int = 0, labels: npt.NDArray[Any] | None = None) -> npt.NDArray[np.bool_]:
    window = cutter.windows(t)[which]
    return cutter.weight(window, cutter.pixels(window), labels) == 1


def test_cores_are_known_in_annotated_frames_only() -> None:
    cutter = cutter_of()
    core = np.zeros((6, 20, 20), dtype=bool)
    core[1:5, 4:16, 4:16] = True
    assert np.array_equal(known(cutter, 4), core)
    assert not known(cutter, 3).any(), "frame 3 of the left region is not annotated"
    assert not known(cutter, 1).any(), "context"
    assert np.array_equal(known(cutter, 3, which=1), core)
    assert not known(cutter, 4, which=1).any()


def test_nuclei_of_the_margin_are_known_and_those_outside_are_not() -> None:
    inside = Annotations.of(
        [[4, 3, 7, 7], [4, 3, 7, 18], [4, 3, 15, 60]], state=[State.ACCEPTED, State.REJECTED, State.ACCEPTED]
    )
    outside = Annotations.of([[4, 3, 15, 26], [3, 3, 15, 15]], radius_um=[12.0, 50.0])
    weight = known(cutter_of(inside=inside, outside=outside), 4)
    assert weight[3, 2, 2]
    assert weight[3, 2, 4], "within a radius of 3 µm"
    assert weight[3, 2, 13], "rejected ones are known, too"
    assert not weight[3, 10, 12], "what reaches in of a nucleus outside"
    assert weight[3, 10, 6], "a nucleus outside in another frame does not matter"


def test_a_nucleus_is_known_to_the_rim_of_its_paint() -> None:
    labels = np.zeros(SHAPE, np.uint16)
    labels[4, 2:5, 6:24, 6:9] = 7
    labels[4, 2:5, 6:24, 20:23] = 8
    labels[4, 2:5, 6:24, 15:17] = 9
    inside = Annotations.of(
        [[4, 3, 15, 7], [4, 3, 15, 21], [4, 3, 7, 12]], label=[7, 8, 0],
        state=[State.ACCEPTED, State.REJECTED, State.ACCEPTED], labels=TimeLapse.of(labels),
    )  # fmt: skip
    cutter = cutter_of(inside=inside)
    window = cutter.windows(4)[0]
    painted = cutter.labels(window)
    assert set(np.unique(painted)) == {0, 7, 9}, "a rejected nucleus leaves no label"
    assert np.array_equal(painted == 7, labels[4, :, 5:25, 5:25] == 7)
    weight = known(cutter, 4, labels=painted)
    assert weight[2:5, 1:19, 1:4].all()
    assert not weight[2:5, 18, 10:12].any(), "a label that is no nucleus makes nothing known"


def test_labels_are_cut_out_of_annotated_frames_only() -> None:
    labels = TimeLapse.of(np.full(SHAPE, 5, np.uint16))
    cutter = cutter_of(inside=Annotations.of([[2, 3, 15, 15]], label=[5], labels=labels))
    assert (cutter.labels(cutter.windows(2)[0]) == 5).all()
    assert (cutter.labels(cutter.windows(3)[0]) == 0).all()
    assert (cutter.labels(cutter.windows(3)[1]) == 5).all()


@pytest.mark.parametrize(
    ("dtype", "most", "kept"),
    [
        ("u1", 200, "u1"),
        (">u2", 5, "u2"),
        ("u8", 5, "u8"),
        ("i4", 5, "u4"),
        ("i8", 2**32 - 1, "u4"),
        ("i8", 2**32, "i8"),
    ],
)
def test_labels_keep_a_type_that_holds_them(dtype: str, most: int, kept: str) -> None:
    labels = TimeLapse.of(np.full(SHAPE, most, dtype))
    for both in ({"inside": most, "outside": 1}, {"inside": 1, "outside": most}):
        tables = {name: Annotations.of([[2, 3, 15, 15]], label=[value], labels=labels) for name, value in both.items()}
        plan = Plan((LEFT,), HULL, tables["inside"], tables["outside"], 1, SPACING, DIAMETER_UM)
        assert plan.label_type == np.dtype(kept)


@pytest.mark.parametrize("wrong", [-1, 2**32])
def test_labels_that_the_type_does_not_hold_are_refused(wrong: int) -> None:
    labels = np.ones(SHAPE, np.int64)
    labels[2, 0, 6, 6] = wrong
    cutter = cutter_of(inside=Annotations.of([[2, 3, 15, 15]], label=[1], labels=TimeLapse.of(labels)))
    with pytest.raises(AnlageError, match=r"labels of frame 2 reach from -?\d+ to \d+"):
        cutter.labels(cutter.windows(2)[0])
    labels[2, 0, 6, 6] = 2**32 - 1
    assert cutter.labels(cutter.windows(2)[0]).max() == 2**32 - 1
    labels[2, 0, 6, 6] = 0
    assert cutter.labels(cutter.windows(2)[0]).min() == 0


def test_without_labels_there_are_none_to_cut() -> None:
    cutter = cutter_of()
    with pytest.raises(ValueError, match="no labels"):
        cutter.labels(cutter.windows(2)[0])
    with pytest.raises(ValueError, match="no labels"):
        _ = cutter.plan.label_type


# --- sparse annotation


def spots(brightness: dict[tuple[int, int, int, int], float]) -> TimeLapse:
    """Dark frames with bright balls of 6 µm."""
    grid = np.stack(np.meshgrid(*(np.arange(n) for n in SHAPE[1:]), indexing="ij"), axis=-1)
    image = np.random.default_rng(0).normal(100, 1, (SHAPE[0], 2, *SHAPE[1:])).astype(np.float32)
    for (t, z, y, x), bright in brightness.items():
        near = np.linalg.norm((grid - np.array([z, y, x])) * SPACING.um, axis=-1) <= 3
        image[t, 1][near] += bright
    return TimeLapse.of(image, spacing=SPACING)


def test_brightness_is_measured_where_marked_nuclei_are_bright() -> None:
    places = {(2, 3, 15, 15): 900.0, (4, 3, 15, 12): 900.0, (2, 3, 15, 60): 900.0, (3, 3, 15, 62): 900.0}
    inside = Annotations.of(list(places))
    cutter = cutter_of(inside=inside, image=spots(places), sparse=True)
    assert cutter.dark is not None
    assert cutter.dark.channel == 1
    assert cutter.dark.is_clear
    weight = known(cutter, 4)
    assert weight[3, 10, 7], "the marked nucleus"
    assert weight[3, 1, 18], "the dark"
    assert not known(cutter, 5)[3, 10, 7], "a frame without marks is unknown"


def test_rejected_marks_do_not_tell_how_bright_nuclei_are() -> None:
    places = {(2, 3, 15, 15): 900.0, (2, 3, 15, 60): 900.0}
    marks = Annotations.of([*places, [2, 3, 7, 8]], state=[State.ACCEPTED, State.ACCEPTED, State.REJECTED])
    with_it = cutter_of(inside=marks, image=spots(places), sparse=True).dark
    without = cutter_of(inside=marks.select([True, True, False]), image=spots(places), sparse=True).dark
    assert with_it == without


def test_a_plan_is_immutable() -> None:
    assert Plan.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert "__slots__" in vars(Plan)
