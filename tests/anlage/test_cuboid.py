"""Where annotation is complete: each way in which the ancestor's rule fails is a test here."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anlage.annotations import Annotations, State
from anlage.axes import Box, Spacing
from anlage.cuboid import Cuboid, detect_cuboid
from anlage.errors import AnlageError
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


def test_the_channel_that_shows_the_nuclei_is_looked_at() -> None:
    nuclei, other = balls((20, 120, 120), CENTRES), balls((20, 120, 120), [[10, 45, 45], [10, 75, 75]], seed=1)
    image = TimeLapse.of(np.stack([other, nuclei])[None], spacing=SPACING)
    (cuboid,) = detect_cuboid(Annotations.of(np.column_stack([np.zeros(9), CENTRES])), image)
    assert not cuboid.doubts


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
