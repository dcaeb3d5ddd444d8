"""Where annotation is complete: each way in which the ancestor's rule fails is a test here."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anlage.annotations import Annotations, State
from anlage.axes import Box, Spacing
from anlage.cuboid import Cuboid, detect_cuboid, doubts, examine_cuboid
from anlage.cuboid import cuboid as cuboid_module
from anlage.cuboid.extent import Extents, measure_extents
from anlage.errors import AnlageError
from anlage.issues import Issue
from anlage.timelapse import TimeLapse

SPACING = Spacing(2.0, 0.5, 0.5)
SHAPE = (30, 40, 400, 400)
RADIUS_UM = 5.0
MARGIN = (3, 10, 10)  # one radius in voxels, rounded up


def found(positions: npt.ArrayLike, shape: tuple[int, int, int, int] = SHAPE, **columns: object) -> tuple[Cuboid, ...]:
    columns = {"radius_um": RADIUS_UM, **columns}
    return detect_cuboid(Annotations.of(positions, **columns), spacing=SPACING, shape_tzyx=shape)  # type: ignore[arg-type]


def crowd(
    n: int, corner: tuple[int, int, int], size: tuple[int, int, int], frames: range, seed: int = 0
) -> npt.NDArray[np.float64]:
    """The same nuclei (t, z, y, x), wandering a little, in every frame."""
    rng = np.random.default_rng(seed)
    at = rng.uniform(0, size, (n, 3)) + corner
    return np.concatenate([np.column_stack([np.full(n, t), at + rng.normal(0, 0.3, (n, 3))]) for t in frames])


def texts(cuboids: tuple[Cuboid, ...]) -> str:
    return "\n".join(doubt.text for cuboid in cuboids for doubt in cuboid.doubts)


def balls(
    shape: tuple[int, int, int], centres: npt.ArrayLike, radius: float = 5.0, seed: int = 0
) -> npt.NDArray[np.float32]:
    """Bright balls (radius in µm) in noise."""
    grid = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), axis=-1) * SPACING.um
    image = np.random.default_rng(seed).normal(100, 3, shape)
    for centre in np.asarray(centres, dtype=float).reshape(-1, 3):
        image += 100 / (1 + np.exp(4 * (np.linalg.norm(grid - centre * SPACING.um, axis=-1) - radius)))
    return image.astype(np.float32)


# --- the ancestor's failures


def test_nuclei_at_the_rim_are_not_cut_through_their_centres() -> None:
    (cuboid,) = found([[2, 10, 100, 100], [2, 20, 160, 180], [2, 15, 130, 150]])
    assert cuboid.core == Box((2, 3), (10, 21), (100, 161), (100, 181))
    assert cuboid.box == cuboid.core.grown(MARGIN)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_z_is_treated_like_y_and_x(axis: int) -> None:
    size = [16, 64, 64]
    size[axis] //= 4
    (cuboid,) = found(crowd(30, (12, 100, 100), tuple(size), range(1)))  # type: ignore[arg-type]
    extent = np.subtract(cuboid.core.stop, cuboid.core.start)[1:]
    assert (extent <= np.array(size) + 2).all()
    assert cuboid.core.start[1 + axis] >= (12, 100, 100)[axis] - 1


def test_one_nucleus_gives_a_box_one_radius_around_it() -> None:
    (cuboid,) = found([[3, 20, 100, 100]])
    assert cuboid.box == Box((3, 4), (17, 24), (90, 111), (90, 111))
    assert (cuboid.n_nuclei, cuboid.frames) == (1, (3,))
    assert "only one nucleus" in texts((cuboid,))


def test_centres_are_rounded_not_truncated() -> None:
    (cuboid,) = found([[0, 9.7, 99.6, 99.6], [0, 12.4, 150.4, 150.4]])
    assert cuboid.core.ranges[1:] == ((10, 13), (100, 151), (100, 151))


def test_frames_without_annotation_are_not_learnt_from() -> None:
    positions = crowd(11, (10, 100, 100), (20, 100, 100), range(20))
    (cuboid,) = found(positions[positions[:, 0] != 7])
    assert cuboid.frames == tuple(t for t in range(20) if t != 7)
    assert "frame 7 has no annotated nucleus" in texts((cuboid,))


def test_a_frame_with_few_of_many_nuclei_is_doubted() -> None:
    positions = crowd(11, (10, 100, 100), (20, 100, 100), range(20))
    few = (positions[:, 0] == 13) & (np.arange(len(positions)) % 11 >= 4)
    (cuboid,) = found(positions[~few])
    (doubt,) = cuboid.doubts
    assert doubt.text == "frame 13 has 4 nuclei where its neighbours have 11"
    assert doubt.position is not None
    assert cuboid.core.contains(np.array([doubt.position])).all()


def test_a_lone_mark_in_a_crowded_movie_is_doubted_even_in_the_last_frame() -> None:
    positions = np.concatenate([crowd(30, (10, 100, 100), (20, 100, 100), range(4)), [[4, 20, 150, 150]]])
    assert "frame 4 has 1 nucleus where its neighbours have 30" in texts(found(positions))


# --- blocks of frames, regions of space


def test_an_area_that_moves_in_time_gives_a_block_for_each_place() -> None:
    early = crowd(11, (10, 100, 100), (20, 80, 80), range(5))
    late = crowd(11, (10, 140, 100), (20, 80, 80), range(5, 10), seed=1)
    first, second = found(np.concatenate([early, late]))
    assert (first.frames, second.frames) == (tuple(range(5)), tuple(range(5, 10)))
    assert first.core.y[1] <= 182
    assert second.core.y[0] >= 138


def test_wandering_nuclei_in_a_fixed_area_stay_one_block() -> None:
    for seed in range(10):
        rng = np.random.default_rng(seed)
        positions = np.column_stack(
            [
                np.repeat(np.arange(12.0), 11),
                rng.uniform(10, 30, 132),
                rng.uniform(100, 300, 132),
                rng.uniform(100, 300, 132),
            ]
        )
        assert len(found(positions)) <= 2, seed
        assert len(found(crowd(11, (10, 100, 100), (20, 200, 200), range(12), seed=seed))) == 1, seed


def test_a_pause_in_annotation_separates_blocks() -> None:
    positions = crowd(11, (10, 100, 100), (20, 100, 100), range(20))
    first, second = found(positions[(positions[:, 0] < 4) | (positions[:, 0] > 15)])
    assert (first.core.t, second.core.t) == ((0, 4), (16, 20))


def test_every_fifth_frame_annotated_is_one_block_without_doubts() -> None:
    (cuboid,) = found(crowd(11, (10, 100, 100), (20, 100, 100), range(0, 20, 5)))
    assert cuboid.frames == (0, 5, 10, 15)
    assert not cuboid.doubts


@pytest.mark.parametrize("n", [1, 2, 3, 10, 40])
def test_two_separate_areas_give_two_cuboids(n: int) -> None:
    left = crowd(n, (10, 40, 40), (8, 60, 60), range(3))
    right = crowd(n, (10, 300, 300), (8, 60, 60), range(3), seed=1)
    first, second = found(np.concatenate([left, right]))
    assert first.n_nuclei == second.n_nuclei == 3 * n
    assert first.box.intersection(second.box) is None


def test_nuclei_far_apart_everywhere_are_one_sparse_tissue() -> None:
    grid = np.stack(np.meshgrid([20.0], np.arange(50, 400, 70), np.arange(50, 400, 70), indexing="ij"), axis=-1)
    positions = np.column_stack([np.zeros(25), grid.reshape(-1, 3)])
    assert len(found(positions)) == 1


def test_an_area_inside_the_box_of_another_joins_it() -> None:
    arm = [[0, 20, y, 20] for y in range(20, 381, 20)] + [[0, 20, 380, x] for x in range(40, 381, 20)]
    nest = [[0, 20, y, x] for y in (80, 100) for x in (300, 320)]
    (cuboid,) = found(arm + nest)
    assert cuboid.n_nuclei == len(arm) + len(nest)


# --- walls, planes, labels


def test_a_centre_nearer_than_a_radius_is_cut_by_the_wall_and_the_core_reaches_it() -> None:
    (cuboid,) = found([[0, 1, 100, 396], [0, 20, 150, 350], [0, 10, 120, 370]])
    assert cuboid.cut_walls == ("z0", "x1")
    assert cuboid.core.z[0] == 0
    assert cuboid.core.x[1] == SHAPE[3]
    assert cuboid.core.y == (100, 151)


@pytest.mark.parametrize("corner", [(0, 0, 0, 0), (29, 39, 399, 399), (0, -0.4, 399.4, 0)])
def test_annotations_touching_the_border_stay_inside_the_image(corner: tuple[float, ...]) -> None:
    (cuboid,) = found([list(corner)])
    assert cuboid.box.intersection(Box.whole(SHAPE)) == cuboid.box


def test_a_single_plane_works_and_its_plane_is_no_wall() -> None:
    positions = crowd(11, (0, 100, 100), (0, 100, 100), range(3))
    positions[:, 1] = 0
    (cuboid,) = found(positions, shape=(3, 1, 400, 400))
    assert cuboid.box.z == cuboid.core.z == (0, 1)
    assert not cuboid.cut_walls


@pytest.mark.parametrize("off", [0.0, 0.5])
def test_a_centre_is_cut_by_a_wall_that_is_nearer_than_its_radius_and_not_at_the_radius_itself(off: float) -> None:
    """A voxel's centre lies half a voxel inside it: at 3.5 voxels from the first one, the wall is 4 voxels away."""
    low, high = 3.0 + off, 100 - 4.0 - off
    centres = [[0, 10, low, 50], [0, 10, high, 50], [0, 10, 50, low], [0, 10, 50, high]]
    annotations = Annotations.of(centres, radius_um=4.0)
    image = TimeLapse.of(np.zeros((1, 1, 20, 100, 100), np.uint8), "tczyx", spacing=Spacing(1, 1, 1))
    (cuboid,) = detect_cuboid(annotations, image)
    assert cuboid.cut_walls == (() if off else ("y0", "y1", "x0", "x1"))


def labelled(boxes: dict[int, Box], shape: tuple[int, int, int, int] = (1, 20, 100, 100)) -> Annotations:
    labels = np.zeros(shape, dtype=np.uint16)
    for value, box in boxes.items():
        labels[box.slices] = value
    centres = [[b.t[0], *((low + high - 1) / 2 for low, high in b.ranges[1:])] for b in boxes.values()]
    return Annotations.of(centres, label=list(boxes), labels=TimeLapse.of(labels))


def test_painted_nuclei_lie_in_the_core_with_all_their_voxels() -> None:
    annotations = labelled({5: Box((0, 1), (4, 8), (20, 36), (20, 36)), 70: Box((0, 1), (6, 10), (50, 66), (40, 56))})
    (cuboid,) = detect_cuboid(annotations, spacing=SPACING)
    assert cuboid.core == Box((0, 1), (4, 10), (20, 66), (20, 56))
    assert (np.array(cuboid.box.shape) > np.array(cuboid.core.shape))[1:].all()
    assert not cuboid.cut_walls


def test_a_painted_nucleus_on_the_wall_is_cut_by_it() -> None:
    annotations = labelled({1: Box((0, 1), (4, 8), (0, 10), (84, 100)), 2: Box((0, 1), (4, 8), (20, 36), (70, 80))})
    (cuboid,) = detect_cuboid(annotations, spacing=SPACING)
    assert cuboid.cut_walls == ("y0", "x1")


def test_a_painted_nucleus_one_voxel_from_the_walls_is_whole() -> None:
    annotations = labelled({1: Box((0, 1), (1, 8), (1, 10), (84, 99)), 2: Box((0, 1), (4, 19), (20, 99), (70, 80))})
    (cuboid,) = detect_cuboid(annotations, spacing=SPACING)
    assert not cuboid.cut_walls
    assert cuboid.core == Box((0, 1), (1, 19), (1, 99), (70, 99))


def test_a_label_that_is_gone_counts_as_a_bare_centre() -> None:
    annotations = labelled({1: Box((0, 1), (4, 8), (20, 36), (20, 36))})
    annotations = Annotations.of(
        [[0, 5, 28, 28], [0, 6, 50, 50]], label=[1, 9], labels=annotations.labels, radius_um=RADIUS_UM
    )
    (cuboid,) = detect_cuboid(annotations, spacing=SPACING)
    assert cuboid.core.ranges[1:] == ((4, 8), (20, 51), (20, 51))


def test_the_margin_can_be_said() -> None:
    (cuboid,) = detect_cuboid(Annotations.of([[0, 20, 100, 100]]), spacing=SPACING, shape_tzyx=SHAPE, margin_um=0.0)
    assert cuboid.box == cuboid.core


def test_without_size_or_image_the_margin_is_half_the_nearest_distance() -> None:
    positions = [[0, 20, y, x] for y in (100, 120, 140) for x in (100, 120, 140)]
    (cuboid,) = detect_cuboid(Annotations.of(positions), spacing=SPACING, shape_tzyx=SHAPE)
    assert cuboid.box.y == (90, 151)  # 20 voxels of 0.5 µm apart: 5 µm


# --- the image as a witness


CENTRES = [[10, y, x] for y in (30, 60, 90) for x in (30, 60, 90)]


def test_the_margin_is_one_radius_as_seen_in_the_image() -> None:
    image = TimeLapse.of(balls((20, 120, 120), CENTRES)[None], spacing=SPACING)
    (cuboid,) = detect_cuboid(Annotations.of(np.column_stack([np.zeros(9), CENTRES])), image)
    margin = cuboid.core.y[0] - cuboid.box.y[0]
    assert margin == pytest.approx(RADIUS_UM / SPACING.y, abs=2)
    assert not cuboid.doubts


def test_an_unannotated_nucleus_inside_is_named_with_its_place() -> None:
    image = TimeLapse.of(balls((20, 120, 120), CENTRES)[None], spacing=SPACING)
    missing = 4  # the middle one
    annotations = Annotations.of(np.column_stack([np.zeros(8), np.delete(CENTRES, missing, axis=0)]))
    (cuboid,) = detect_cuboid(annotations, image)
    (doubt,) = cuboid.doubts
    assert doubt.text.startswith("a bright blob at (t, z, y, x) = (0, 10, 60, 60) inside the cuboid")
    assert np.allclose(doubt.position, (0, 10, 60, 60), atol=1.0)


def test_neither_debris_nor_rejected_nor_outside_blobs_are_doubted() -> None:
    pixels = balls((20, 120, 120), [*CENTRES, [10, 45, 45], [10, 10, 10]])
    pixels[8:12, 72:78, 72:78] += 25  # debris
    annotations = Annotations.of(
        np.column_stack([np.zeros(10), [*CENTRES, [10, 45, 45]]]),
        state=[State.ACCEPTED] * 9 + [State.REJECTED],
    )
    (cuboid,) = detect_cuboid(annotations, TimeLapse.of(pixels[None], spacing=SPACING))
    assert cuboid.n_nuclei == 9
    assert not texts((cuboid,))


def test_paint_is_paint_whatever_the_number_of_the_label() -> None:
    labels = np.zeros((1, 4, 8, 8), np.uint16)
    labels[0, 0, 0, 0], labels[0, 3, 7, 7] = 1, 2
    nuclei = Annotations.of([[0, 0, 0, 0]], label=[1], labels=TimeLapse.of(labels, "tzyx"))
    places = np.array([[0, 0, 0], [3, 7, 7], [-0.4, 0.4, -0.4], [3.4, 7.4, 7.4], [0, 0, 1.0]])
    assert doubts._painted(nuclei, 0, places).tolist() == [True, True, True, True, False]
    assert not doubts._painted(nuclei, 1, places).any(), "of a frame that has no labels nothing is known"


def test_what_was_rejected_in_a_frame_is_not_doubted_there() -> None:
    pixels = np.stack([balls((20, 120, 120), CENTRES), balls((20, 120, 120), CENTRES)])
    rows = np.concatenate([np.column_stack([np.full(9, t), CENTRES]) for t in (0, 1)])
    states = [State.ACCEPTED] * 18
    states[13] = State.REJECTED  # the middle one of the second frame
    (cuboid,) = detect_cuboid(Annotations.of(rows, state=states), TimeLapse.of(pixels, spacing=SPACING))
    assert not texts((cuboid,))


def test_the_channel_that_shows_the_nuclei_is_looked_at() -> None:
    nuclei, other = balls((20, 120, 120), CENTRES), balls((20, 120, 120), [[10, 45, 45], [10, 75, 75]], seed=1)
    image = TimeLapse.of(np.stack([other, nuclei])[None], spacing=SPACING)
    (cuboid,) = detect_cuboid(Annotations.of(np.column_stack([np.zeros(9), CENTRES])), image)
    assert not cuboid.doubts


def test_a_channel_that_shows_few_of_them_is_not_looked_at_instead() -> None:
    """Whichever stands first: the channel that shows all that are marked finds the one that is not."""
    marked = [centre for centre in CENTRES if list(centre) != [10, 60, 60]]
    nuclei, few = balls((20, 120, 120), CENTRES), balls((20, 120, 120), marked[:2], seed=1)
    for channels in ([nuclei, few], [few, nuclei]):
        image = TimeLapse.of(np.stack(channels)[None], spacing=SPACING)
        (cuboid,) = detect_cuboid(Annotations.of(np.column_stack([np.zeros(8), marked]), radius_um=RADIUS_UM), image)
        assert "a bright blob at (t, z, y, x) = (0, 10, 60, 60)" in texts((cuboid,))


# --- sentences


def test_an_empty_annotation_is_one_sentence() -> None:
    with pytest.raises(AnlageError, match="No nucleus is annotated; annotate some"):
        found(np.zeros((0, 4)))


def test_only_rejected_nuclei_are_an_empty_annotation() -> None:
    with pytest.raises(AnlageError, match="all 2 are rejected"):
        found([[0, 1, 1, 1], [0, 5, 5, 5]], state=State.REJECTED)


def test_rejected_nuclei_do_not_widen_the_cuboid() -> None:
    positions = [[0, 20, 100, 100], [0, 20, 140, 140], [0, 20, 180, 180]]
    (cuboid,) = found(positions, state=[State.ACCEPTED, State.PROPOSED, State.REJECTED])
    assert cuboid.core.y == (100, 141)
    assert cuboid.n_nuclei == 2


def test_nuclei_all_outside_the_image_are_one_sentence() -> None:
    with pytest.raises(AnlageError, match=r"All 2 annotated nuclei lie outside the image.*\(0, 50, 500, 500\)"):
        found([[0, 50, 500, 500], [90, 1, 1, 1]])


def test_some_nuclei_outside_the_image_are_left_out_and_said() -> None:
    (cuboid,) = found([[0, 20, 100, 100], [0, 20, 120, 120], [0, 20, 1000, 100], [0, np.nan, 1, 1]])
    assert cuboid.n_nuclei == 2
    assert "2 annotated nuclei lie outside the image" in texts((cuboid,))


def test_an_unknown_voxel_size_is_one_sentence() -> None:
    with pytest.raises(AnlageError, match="voxel size is unknown"):
        detect_cuboid(Annotations.of([[0, 1, 1, 1]]), TimeLapse.of(np.zeros((1, 5, 9, 9))))


def test_a_negative_margin_is_one_sentence() -> None:
    with pytest.raises(AnlageError, match="margin of -1"):
        detect_cuboid(Annotations.of([[0, 1, 1, 1]]), spacing=SPACING, margin_um=-1)


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.floats(0, 19), st.floats(0, 199), st.floats(0, 199)), min_size=1, max_size=40
    ),
    st.sampled_from([None, 2.0, 5.0, 20.0]),
    st.booleans(),
)
def test_every_nucleus_lies_in_exactly_one_core_inside_its_box_inside_the_image(
    positions: list[tuple[int, float, float, float]], radius_um: float | None, flat: bool
) -> None:
    shape = (6, 1 if flat else 20, 200, 200)
    at = np.array(positions, dtype=float)
    at[:, 1] *= not flat
    cuboids = found(at, shape, radius_um=np.nan if radius_um is None else radius_um)
    rounded = np.rint(at)
    holders = np.sum([c.core.contains(rounded) for c in cuboids], axis=0)
    assert (holders == 1).all()
    assert sum(c.n_nuclei for c in cuboids) == len(at)
    for c in cuboids:
        assert c.box.intersection(c.core) == c.core
        assert c.box.clipped(shape) == c.box
        inside = at[c.core.contains(rounded)]
        assert c.frames == tuple(np.unique(inside[:, 0]).astype(int))
        assert (c.core.t[0], c.core.t[1] - 1) == (c.frames[0], c.frames[-1])


# --- the size of a nucleus, from whatever tells it


class Watched:
    """An image that remembers which part of it was read."""

    def __init__(self, pixels: npt.NDArray[np.float32]) -> None:
        self.pixels, self.shape, self.dtype = pixels, pixels.shape, pixels.dtype
        self.read: list[tuple[slice, ...]] = []

    def __getitem__(self, index: tuple[slice, ...]) -> npt.NDArray[np.float32]:
        self.read.append(index)
        return self.pixels[index]


def extents(annotations: Annotations, image: TimeLapse | None = None, **about: object) -> Extents:
    about = {"spacing": SPACING, "shape": None, **about}
    return measure_extents(annotations, image, **about)  # type: ignore[arg-type]


def test_a_lone_nucleus_that_nothing_tells_the_size_of_has_a_radius_of_four_voxels_in_the_plane() -> None:
    assert extents(Annotations.of([[0, 20, 100, 100]])).diameter_um == 8 * 0.5
    assert extents(Annotations.of([[0, 20, 100, 100]]), spacing=Spacing(1, 0.5, 0.25)).diameter_um == 8 * 0.25


def test_two_nuclei_at_one_place_tell_no_size() -> None:
    assert extents(Annotations.of([[0, 20, 100, 100], [0, 20, 100, 100]])).diameter_um == 8 * 0.5


def test_known_radii_tell_the_size_and_unknown_ones_do_not_count() -> None:
    nuclei = Annotations.of([[0, 20, y, 100] for y in (50, 60, 90)], radius_um=[3.0, np.nan, 5.0])
    assert extents(nuclei).diameter_um == 2 * 4.0


def test_frames_with_a_single_nucleus_say_nothing_of_distances() -> None:
    positions = [[0, 20, 100, 100], [0, 20, 100, 120], [1, 20, 10, 10], [2, 20, 390, 390]]
    assert extents(Annotations.of(positions)).diameter_um == pytest.approx(20 * 0.5)


def test_painted_voxels_tell_the_size_in_space_and_in_the_plane() -> None:
    block = {1: Box((0, 1), (4, 8), (20, 36), (20, 36))}
    volume = 4 * 16 * 16 * np.prod(SPACING.zyx)
    assert extents(labelled(block)).diameter_um == pytest.approx((6 * volume / np.pi) ** (1 / 3))
    flat = labelled({1: Box((0, 1), (0, 1), (20, 36), (20, 36))}, shape=(1, 1, 100, 100))
    assert extents(flat).diameter_um == pytest.approx(np.sqrt(4 * 16 * 16 * 0.25 / np.pi))


def test_radii_that_are_known_go_before_paint() -> None:
    annotations = labelled({1: Box((0, 1), (4, 8), (20, 36), (20, 36))})
    known = Annotations.of(annotations.positions, label=[1], labels=annotations.labels, radius_um=3.0)
    assert extents(known).diameter_um == 6.0


def test_nuclei_beyond_the_painted_frames_are_bare_centres() -> None:
    labels = labelled({1: Box((0, 1), (4, 8), (20, 36), (20, 36))}).labels
    found = extents(Annotations.of([[0, 6, 28, 28], [1, 6, 50, 50]], label=[1, 1], labels=labels))
    assert found.painted.tolist() == [True, False]
    assert (found.low[1] == found.high[1]).all()


def test_frames_painted_empty_have_bare_centres() -> None:
    labels = TimeLapse.of(np.zeros((1, 20, 100, 100), np.uint16))
    assert not extents(Annotations.of([[0, 6, 28, 28]], label=[3], labels=labels)).painted.any()


def test_a_centre_at_the_rim_counts_as_the_voxel_at_the_wall() -> None:
    nuclei = Annotations.of([[0, -0.4, -0.4, 199.4], [0, 19.4, 100, 100]])
    found = extents(nuclei, shape=(1, 20, 200, 200))
    assert found.low.tolist() == [[0, 0, 199], [19, 100, 100]]
    beyond = extents(Annotations.of([[0, 19.6, 199.7, 5]]), shape=(1, 20, 200, 200))
    assert beyond.low.tolist() == [[19, 199, 5]]
    assert extents(Annotations.of([[0, 25, 250, 5]])).low.tolist() == [[25, 250, 5]]


def test_the_image_is_read_only_around_the_marks() -> None:
    watched = Watched(np.zeros((90, 300, 300), np.uint8)[None])
    nuclei = Annotations.of([[0, 40, 150, 140], [0, 42, 150, 160]])
    extents(nuclei, TimeLapse.of(watched, spacing=SPACING), shape=(1, 90, 300, 300))
    assert watched.read[0] == (slice(0, 1), slice(8, 75), slice(22, 279), slice(12, 289))


def test_the_frames_with_most_marks_are_measured() -> None:
    watched = Watched(np.stack([balls((20, 120, 120), CENTRES)] * 2))
    positions = [[0, *CENTRES[0]], *([1, *c] for c in CENTRES)]
    extents(Annotations.of(positions), TimeLapse.of(watched, spacing=SPACING), shape=(2, 20, 120, 120))
    assert [index[0] for index in watched.read] == [slice(1, 2), slice(0, 1)]


# --- where doubt begins


def doubts_of(counts: list[int], step: int = 1) -> list[str]:
    """Doubts about frames that hold so many nuclei each, seen without the image."""
    every = crowd(max(counts), (10, 100, 100), (20, 100, 100), range(0, step * len(counts), step))
    number = np.arange(len(every)) % max(counts)
    kept = number < np.repeat(counts, max(counts))
    return [d.text for cuboid in found(every[kept]) for d in cuboid.doubts]


def test_five_nuclei_are_enough_and_four_are_few() -> None:
    assert not doubts_of([5])
    assert doubts_of([4]) == ["only 4 nuclei are annotated, which is little to learn from"]


def test_a_frame_is_doubted_from_three_fifths_of_its_neighbours_downwards() -> None:
    assert doubts_of([10, 10, 6, 10, 10]) == ["frame 2 has 6 nuclei where its neighbours have 10"]
    assert not doubts_of([10, 10, 7, 10, 10])


def test_a_frame_is_doubted_from_three_missing_nuclei_upwards() -> None:
    assert doubts_of([7, 7, 4, 7, 7]) == ["frame 2 has 4 nuclei where its neighbours have 7"]
    assert not doubts_of([5, 5, 3, 5, 5])


def test_two_frames_before_and_after_are_the_neighbours() -> None:
    assert "frame 3 has 4 nuclei where its neighbours have 7" in doubts_of([4, 10, 10, 4, 4, 4, 4])


def test_the_first_and_last_frame_have_neighbours_on_one_side() -> None:
    assert doubts_of([4, 10, 10]) == ["frame 0 has 4 nuclei where its neighbours have 10"]
    assert doubts_of([10, 10, 4]) == ["frame 2 has 4 nuclei where its neighbours have 10"]


def test_a_doubted_frame_is_shown_in_the_middle_of_the_core() -> None:
    (cuboid,) = found([[t, z, y, 100] for t in range(3) for z in (10, 14) for y in (100, 110, 120)][:-5])
    (doubt,) = [d for d in cuboid.doubts if d.text.startswith("frame 2")]
    assert doubt.position == (2, 12, 110, 100)


def test_frames_left_out_are_named() -> None:
    frames = crowd(11, (10, 100, 100), (20, 100, 100), range(0, 30, 2))
    (cuboid,) = found(frames[frames[:, 0] != 14])
    (doubt,) = cuboid.doubts
    assert doubt.text.startswith("frames 13 to 15 have no annotated nucleus, unlike frames 12 and 16")
    assert doubt.position is not None
    assert doubt.position[0] == 13


class Unreadable:
    """An image whose pixels are never to be read."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape, self.dtype = shape, np.dtype(np.uint8)

    def __getitem__(self, index: object) -> npt.NDArray[np.uint8]:
        raise EOFError


def test_a_crop_too_large_to_be_searched_is_not_read() -> None:
    def look(n_columns: int) -> Cuboid:
        whole = Box((0, 1), (0, 1), (0, 1), (0, n_columns))
        image = TimeLapse.of(Unreadable((1, 1, 1, n_columns)), spacing=SPACING)
        one = Annotations.of([[0, 0, 0, 5]], radius_um=RADIUS_UM)
        return examine_cuboid(whole, whole, one, image)

    assert look(16_000_001).n_nuclei == 1
    with pytest.raises(EOFError):
        look(16_000_000)


def test_blobs_are_looked_for_in_twelve_frames_from_first_to_last() -> None:
    watched = Watched(np.broadcast_to(balls((12, 40, 40), [[6, 20, 20]]), (30, 12, 40, 40)))
    marks = Annotations.of([[t, 6, 20, 20] for t in range(30)], radius_um=RADIUS_UM)
    detect_cuboid(marks, TimeLapse.of(watched, spacing=SPACING))
    predicted_box = sorted({index[0].start for index in watched.read})
    assert (len(predicted_box), predicted_box[0], predicted_box[-1]) == (12, 0, 29)


def dimmed(strength: npt.ArrayLike, centres: npt.ArrayLike, marked: int) -> str:
    """Doubts about an image of nuclei of different brightness, of which the first so many are marked."""
    pixels = 100 + sum(
        s * (balls((12, 130, 130), c, radius=4.0, seed=i) - 100)
        for i, (s, c) in enumerate(zip(np.atleast_1d(strength), np.atleast_2d(centres), strict=True))
    )
    marks = Annotations.of([[0, *c] for c in np.atleast_2d(centres)[:marked]], radius_um=4.0)
    return texts(detect_cuboid(marks, TimeLapse.of(pixels[None].astype(np.float32), spacing=SPACING)))


SPREAD = [[6, y, x] for y in (20, 50, 80, 110) for x in (20, 50, 80, 110)]


def test_only_blobs_as_bright_as_the_dimmer_quarter_of_the_marked_ones_are_named() -> None:
    """Marked at the corners and elsewhere; brightness 1 to 4, the lower quartile lies near 1.75."""
    order = [0, 3, 12, 15, 1, 2, 4, 7, 8, 11, 13, 14, 5, 6, 9, 10]
    centres = [SPREAD[i] for i in order]
    marked = [1, 4, 1, 4, 4, 4, 4, 4, 1, 4, 4, 4]  # a quarter of them is dim
    assert not dimmed([*marked, 0.5, 0.5, 0.5, 0.5], centres, 12)
    assert dimmed([*marked, 4, 0.5, 4, 0.5], centres, 12).count("a bright blob") == 2


def test_of_many_unmarked_blobs_the_five_brightest_are_named_and_the_rest_counted() -> None:
    order = [0, 3, 12, 15, 1, 2, 4, 5, 6, 7, 8, 9]
    said = dimmed([1, 1, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9], [SPREAD[i] for i in order], 4)
    assert said.count("a bright blob at") == 5
    assert "3 more bright blobs inside the cuboid are not annotated" in said
    assert said.splitlines()[1].startswith("a bright blob at (t, z, y, x) = (0, 6, 80, 50)")
    assert "(0, 6, 20, 50)" not in said


def test_a_mark_off_centre_is_still_that_nucleus() -> None:
    """Half a diameter away it is, a whole diameter away it is not."""
    corners = [[10, 20, 20], [10, 20, 140], [10, 140, 20], [10, 140, 140]]
    image = TimeLapse.of(balls((20, 160, 160), [*corners, [10, 80, 80]], radius=4.0)[None], spacing=SPACING)

    def said(offset: int) -> str:
        marks = [[0, *c] for c in [*corners, [10, 80, 80 + offset]]]
        return texts(detect_cuboid(Annotations.of(marks, radius_um=4.0), image))

    assert not said(8)
    assert "a bright blob at (t, z, y, x) = (0, 10, 80, 80)" in said(16)


def test_blobs_under_paint_are_annotated() -> None:
    corners = [[10, 20, 20], [10, 20, 140], [10, 140, 20], [10, 140, 140]]
    pixels = balls((20, 160, 160), [*corners, [10, 80, 80]], radius=4.0)
    labels = np.zeros((1, 20, 160, 160), np.uint16)
    labels[0, 8:13, 75:86, 75:86] = 7
    marks = Annotations.of([[0, *c] for c in corners], radius_um=4.0, labels=TimeLapse.of(labels))
    assert "bright blob" not in texts(detect_cuboid(marks, TimeLapse.of(pixels[None], spacing=SPACING)))


def test_one_nucleus_outside_is_said_in_the_singular() -> None:
    cuboids = found([[0, 20, 100, 100], [0, 20, 1000, 100]])
    assert "1 annotated nucleus lies outside the image and is left out" in texts(cuboids)


# --- a cuboid that somebody drew


def drawn(*corner: tuple[int, int]) -> Cuboid:
    image = TimeLapse.of(balls((20, 120, 120), CENTRES)[None], spacing=SPACING)
    box = Box(*corner)
    nuclei = Annotations.of(
        np.column_stack([np.zeros(9), CENTRES]), radius_um=RADIUS_UM, state=[State.ACCEPTED] * 8 + [State.REJECTED]
    )
    return examine_cuboid(box, box, nuclei, image)


def test_a_drawn_cuboid_counts_what_it_holds() -> None:
    assert drawn((0, 1), (0, 20), (0, 120), (0, 120)).n_nuclei == 8
    upper = drawn((0, 1), (0, 20), (0, 50), (0, 120))
    assert (upper.n_nuclei, upper.frames, upper.cut_walls) == (3, (0,), ())
    assert "only 3 nuclei" in texts((upper,))


def test_a_drawn_cuboid_without_a_nucleus_or_a_voxel_size_is_one_sentence() -> None:
    with pytest.raises(AnlageError, match="holds no nucleus"):
        drawn((0, 1), (0, 20), (40, 50), (40, 50))
    box = Box((0, 1), (0, 5), (0, 9), (0, 9))
    with pytest.raises(AnlageError, match="voxel size is unknown"):
        examine_cuboid(box, box, Annotations.of([[0, 1, 1, 1]]), TimeLapse.of(np.zeros((1, 5, 9, 9))))


def test_a_margin_that_is_no_number_is_one_sentence() -> None:
    for margin in (np.inf, np.nan):
        with pytest.raises(AnlageError, match="margin"):
            detect_cuboid(Annotations.of([[0, 1, 1, 1]]), spacing=SPACING, margin_um=margin)


def test_cuboids_come_in_the_order_of_their_first_frame() -> None:
    late = crowd(6, (10, 40, 40), (8, 60, 60), range(5, 8))
    early = crowd(6, (10, 300, 300), (8, 60, 60), range(3), seed=1)
    assert [c.frames[0] for c in found(np.concatenate([late, early]))] == [0, 5]


def test_what_is_few_or_lost_is_said_once() -> None:
    cuboids = found([[0, 20, 40, 40], [0, 20, 1000, 100], [5, 20, 300, 300]])
    assert len(cuboids) == 2
    assert texts(cuboids).count("outside the image") == 1
    assert texts(cuboids).count("only 2 nuclei") == 1


@pytest.mark.parametrize("record", [Cuboid, Issue, Extents])
def test_findings_cannot_be_changed_afterwards(record: type) -> None:
    assert record.__dataclass_params__.frozen
    assert "__slots__" in vars(record)


def test_only_regions_that_overlap_are_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of three, the last overlaps the second and lies apart from the first."""
    where = {0: (0, 10), 1: (20, 30), 2: (25, 35)}

    def core(_nuclei: Annotations, rows: npt.NDArray[np.int64], _extents: object) -> tuple[Box, tuple[str, ...]]:
        low, high = min(where[int(r)][0] for r in rows), max(where[int(r)][1] for r in rows)
        return Box((0, 1), (0, 1), (0, 1), (low, high)), ()

    monkeypatch.setattr(cuboid_module, "_core", core)
    regions = [np.array([row]) for row in where]
    joined = cuboid_module._disjoint(regions, Annotations.of([]), None)  # type: ignore[arg-type]
    assert sorted(rows.tolist() for rows in joined) == [[0], [1, 2]]
