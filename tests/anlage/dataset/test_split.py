from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from anlage.annotations import Annotations, State
from anlage.axes import Box, Spacing
from anlage.dataset.split import LEAST_LEFT, ExampleKind, Split, SplitPart, split_stores
from anlage.dataset.store import Store
from anlage.errors import AnlageError
from anlage.timelapse import TimeLapse

Make = Callable[..., Store]


def noise(shape_tzyx: tuple[int, ...], seed: int) -> TimeLapse:
    t, z, y, x = shape_tzyx
    pixels = np.random.default_rng(seed).integers(0, 255, (t, 1, z, y, x)).astype(np.uint8)
    return TimeLapse.of(pixels, spacing=Spacing(2, 1, 1), source="raw")


def ids(parts: tuple[SplitPart, ...]) -> list[tuple[str, int]]:
    return [(part.store.name, int(i)) for part in parts for i in part.nuclei.ids]


def check(split: Split) -> None:
    """What every split must keep: both sides have nuclei, and no known voxel or nucleus is on both."""
    assert ids(split.train)
    assert ids(split.validation)
    assert not set(ids(split.train)) & set(ids(split.validation))
    for train in split.train:
        for held in split.validation:
            if train.store.path == held.store.path:
                masks = train.mask(), held.mask()
                for t in range(train.store.shape[0]):
                    assert not (masks[0](t) & masks[1](t)).any()


@pytest.fixture
def movies(store_of: Make) -> Callable[..., list[Store]]:
    def make(*counts: int) -> list[Store]:
        shape = (1, 6, 30, 30)
        rng = np.random.default_rng(0)
        return [
            store_of(np.c_[np.zeros(n), rng.uniform(0, 5, n), rng.uniform(0, 29, (n, 2))], shape, f"m{i}", image=noise(shape, i))
            for i, n in enumerate(counts)
        ]  # fmt: skip

    return make


def test_whole_movies_are_held_out(movies: Callable[..., list[Store]]) -> None:
    stores = movies(30, 31, 29, 30)
    split = split_stores(stores, seed=0)
    check(split)
    assert len(split.validation) == 1
    assert len(split.train) == 3
    n = len(split.validation[0].nuclei)
    assert split.held_out == f"{n} nuclei in 1 of 4 movies"
    assert all(part.box is None and part.exclude == () for part in split.train + split.validation)
    assert split_stores(stores, seed=0) == split, "the same seed, the same split"


def test_the_movie_nearest_to_the_wanted_share_is_taken(movies: Callable[..., list[Store]]) -> None:
    assert split_stores(movies(60, 15), seed=1).held_out == "15 nuclei in 1 of 2 movies"


def test_of_many_movies_a_share_is_held_out(movies: Callable[..., list[Store]]) -> None:
    stores = movies(*[12] * 10)
    split = split_stores(stores, seed=0)
    check(split)
    assert len(split.validation) == 2, "a fifth of ten"


def test_one_movie_at_least_is_learnt_from_however_much_is_to_be_held_out(movies: Callable[..., list[Store]]) -> None:
    split = split_stores(movies(20, 20), fraction=0.95)
    check(split)
    assert (len(split.train), len(split.validation)) == (1, 1)


def test_a_movie_with_hardly_a_nucleus_does_not_validate(movies: Callable[..., list[Store]]) -> None:
    split = split_stores(movies(60, 1), seed=0)
    check(split)
    assert len(ids(split.validation)) >= 6


def test_stores_of_the_same_movie_are_one_movie(store_of: Make) -> None:
    shape = (2, 6, 40, 60)
    image = noise(shape, 0)
    rng = np.random.default_rng(0)
    positions = np.c_[np.repeat([0, 1], 20), rng.uniform(0, 5, 40), rng.uniform(0, 39, 40), rng.uniform(0, 59, 40)]
    # the first is parted along x, the second, which lies inside it, along y
    boxes = [Box((0, 2), (0, 6), (0, 40), (0, 60)), Box((0, 2), (0, 6), (0, 40), (35, 60))]
    stores = [store_of(positions, shape, f"s{i}", image=image, cuboid=box) for i, box in enumerate(boxes)]
    split = split_stores(stores)
    assert "of the same movie" in split.held_out
    train, held = ({(int(i)) for part in parts for i in part.nuclei.ids} for parts in (split.train, split.validation))
    assert train
    assert held
    assert not train & held, "a nucleus in the overlap of two stores must not be on both sides"


def test_frames_are_held_out_with_a_gap_for_the_context(store_of: Make, positions_in: Any) -> None:
    shape = (10, 12, 40, 40)
    store = store_of(positions_in(4, 10, shape[1:]), shape, image=noise(shape, 0))
    split = split_stores([store], context_frames=2)
    check(split)
    held = {t for part in split.validation for t in part.frames}
    train = {t for part in split.train for t in part.frames}
    assert held == {8, 9}
    assert train == set(range(6)), "two frames of gap"
    assert split.held_out == "8 of 40 nuclei, in a block of time of the same movie"


def test_few_frames_are_split_in_space_with_a_gap_of_a_diameter(store_of: Make, positions_in: Any) -> None:
    shape = (2, 12, 30, 150)
    store = store_of(positions_in(18, 2, shape[1:]), shape, image=noise(shape, 0))
    split = split_stores([store])
    check(split)
    x_train = np.concatenate([part.nuclei.positions[:, 3] for part in split.train])
    x_held = np.concatenate([part.nuclei.positions[:, 3] for part in split.validation])
    assert x_train.max() + 8 <= x_held.min() or x_held.max() + 8 <= x_train.min()
    assert 4 <= len(x_held) <= 12
    assert "slab" in split.held_out
    assert not split.notes


@pytest.mark.parametrize(
    "positions",
    [
        [[0, 3, 10, 10], [0, 3, 10, 14]],
        [[0, 3, 10, 10], [0, 3, 10, 11]],
        [[0, 3, 10, 10], [1, 3, 10, 10]],
        [[0, 3, 10, 10], [0, 3, 10, 10.4], [1, 3, 10, 10]],
        [[t, 3, 10, 10] for t in range(3)],
        [[t, 3, 10, 10 + 2 * t] for t in range(7)],
        [[0, 3, 10, 10], [0, 3, 28, 28]],
        [[0, 1, 10, 10], [0, 5, 10, 10]],
    ],
)
def test_neither_side_is_ever_empty(store_of: Make, positions: list[list[float]]) -> None:
    shape = (8, 6, 30, 30)
    check(split_stores([store_of(np.array(positions, float), shape, image=noise(shape, 0))]))


@pytest.mark.parametrize("seed", range(6))
def test_neither_side_is_ever_empty_whatever_the_nuclei(store_of: Make, seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape = (int(rng.integers(1, 8)), int(rng.integers(1, 6)), 30, 24)
    n = int(rng.integers(2, 9))
    check(
        split_stores([store_of(rng.uniform(0, np.array(shape) - 1, (n, 4)).round(), shape, image=noise(shape, seed))])
    )


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1])
def test_nothing_or_everything_cannot_be_held_out(movies: Callable[..., list[Store]], fraction: float) -> None:
    with pytest.raises(AnlageError, match="must lie between 0 and 1"):
        split_stores(movies(12, 12), fraction=fraction)


def test_the_block_that_the_store_chose_for_itself_is_held_out_whatever_share_is_wanted(
    store_of: Make, positions_in: Any
) -> None:
    shape = (2, 12, 30, 150)
    store = store_of(positions_in(18, 2, shape[1:]), shape, image=noise(shape, 0))
    assert [part.box for part in split_stores([store], fraction=0.6).validation] == list(store.meta.validation)


def test_a_gap_that_would_take_most_of_the_nuclei_is_made_smaller_and_that_is_said(store_of: Make) -> None:
    """Of 24 nuclei in a row of 12 µm a gap of a diameter on each side of the block would leave hardly any."""
    positions = np.array([[0, 3, 10, 2 + 0.5 * i] for i in range(24)])
    split = split_stores([store_of(positions, (1, 6, 20, 26), image=noise((1, 6, 20, 26), 0))])
    check(split)
    assert "closer together than one nucleus diameter" in split.notes[0]
    assert len(ids(split.train)) >= LEAST_LEFT * 24


def test_one_nucleus_validates_on_itself_and_says_so(store_of: Make) -> None:
    store = store_of(np.array([[0, 3, 10, 10.0]]), (1, 6, 30, 30))
    split = split_stores([store])
    assert ids(split.train) == ids(split.validation) == [("a", 1)]
    assert "too few nuclei to hold some out" in split.notes[0]


def test_stores_of_one_nucleus_each_are_held_out_whole(store_of: Make) -> None:
    shape = (3, 6, 30, 30)
    image = noise(shape, 0)
    stores = [
        store_of(np.array([[t, 3, 10, 10.0]]), shape, f"s{t}", image=image, cuboid=Box((t, t + 1), (0, 6), (0, 30), (0, 30)))
        for t in range(3)
    ]  # fmt: skip
    split = split_stores(stores)
    check(split)
    assert "same movie" in split.notes[0]


# --- what the user chose for training and for validation -----------------------------------------------------------

WIDE = (1, 6, 30, 200)


@pytest.fixture
def regions(store_of: Make) -> Callable[..., list[Store]]:
    """Stores of one movie, 200 voxels long: ``regions((0, 80, "train"), (90, 200, "validation"))``."""

    def make(*pieces: tuple[int, int, str]) -> list[Store]:
        x = np.arange(5, 200, 10.0)
        nuclei = np.c_[np.zeros(len(x)), np.full((len(x), 2), (3, 15)), x]
        image = noise(WIDE, 0)
        return [
            store_of(nuclei, WIDE, f"s{i}", image=image, cuboid=Box((0, 1), (0, 6), (0, 30), (start, stop)), use=use)
            for i, (start, stop, use) in enumerate(pieces)
        ]

    return make


def where(parts: tuple[SplitPart, ...]) -> list[float]:
    """x of the nuclei in the movie."""
    return sorted(float(x) for p in parts for x in p.nuclei.positions[:, 3] + p.store.meta.origin_tzyx[3])


def test_what_was_chosen_for_validation_is_all_of_it_and_never_learnt(regions: Callable[..., list[Store]]) -> None:
    stores = regions((0, 60, "auto"), (60, 120, "validation"), (120, 200, "train"))
    split = split_stores(stores)
    assert [part.store.name for part in split.validation] == ["s1"]
    assert where(split.validation) == [65, 75, 85, 95, 105, 115]
    # a diameter of 8 voxels around it is left out, too
    assert where(split.train) == [5, 15, 25, 35, 45, *range(135, 200, 10)]
    assert split.chosen
    assert split.held_out == "6 of 20 nuclei, in 1 store chosen for validation"
    assert split.notes == ("Only 6 nuclei were chosen for validation: what is measured on them is rough.",)


def test_what_lies_in_both_is_not_learnt(regions: Callable[..., list[Store]]) -> None:
    split = split_stores(regions((0, 200, "train"), (100, 200, "validation")))
    assert where(split.train) == list(range(5, 90, 10))
    for part in split.train:
        assert not part.mask()(0)[:, :, 92:].any()
        assert part.mask()(0)[:, :, :84].all()


def test_another_movie_chosen_for_validation_costs_the_first_nothing(
    regions: Callable[..., list[Store]], store_of: Make
) -> None:
    [first] = regions((0, 200, "auto"))
    nuclei = np.c_[np.zeros(12), np.full((12, 2), (3, 15)), np.arange(5, 125, 10.0)]
    second = store_of(nuclei, WIDE, "other", image=noise(WIDE, 9), use="validation")
    split = split_stores([first, second])
    assert where(split.train) == where((SplitPart(first),))
    assert where(split.validation) == where((SplitPart(second),))
    assert split.notes == ()


def test_what_was_chosen_for_training_is_learnt_where_the_rest_can_validate(
    regions: Callable[..., list[Store]], movies: Callable[..., list[Store]]
) -> None:
    split = split_stores(regions((0, 100, "train"), (110, 200, "auto")))
    check(split)
    assert {part.store.name for part in split.validation} == {"s1"}
    assert set(range(5, 96, 10)) <= set(where(split.train))
    assert not split.chosen
    stores = _used(movies(30, 31, 29, 30), "train", "train", "auto", "train")
    held = [split_stores(stores, seed=i) for i in range(4)]
    assert {part.store.name for each in held for part in each.validation} == {"m2"}


def test_all_for_training_is_as_if_nothing_was_chosen_but_said(movies: Callable[..., list[Store]]) -> None:
    stores = movies(30, 31, 29, 30)
    split = split_stores(_used(stores, *["train"] * 4))
    assert ids(split.validation) == ids(split_stores(stores).validation)
    assert split.notes == (
        "Nothing but what was chosen for training could be held out to validate on, so a part of it was.",
    )


def test_a_choice_that_leaves_nothing_is_a_sentence(regions: Callable[..., list[Store]]) -> None:
    everything, half = regions((0, 200, "validation"), (0, 100, "train"))
    with pytest.raises(
        AnlageError, match=r"nothing to train on: 's0' is meant for validation; add a region, or a store,"
    ):
        split_stores([everything])
    with pytest.raises(
        AnlageError, match=r"all 10 other nuclei lie inside what was chosen for validation; choose a smaller"
    ):
        split_stores([half, everything])


def _used(stores: list[Store], *uses: str) -> list[Store]:
    """The same stores, meant for something else."""
    return [
        Store(store.path, store.meta.model_copy(update={"use": use})) for store, use in zip(stores, uses, strict=True)
    ]


def test_nothing_to_split_is_a_sentence(store_of: Make) -> None:
    with pytest.raises(AnlageError, match="no annotated nucleus"):
        split_stores([])
    store = store_of(np.array([[0, 3, 10, 10.0]]), (1, 6, 30, 30))
    with pytest.raises(AnlageError, match="between 0 and 1, not 1"):
        split_stores([store], fraction=1.0)


def test_a_part_leaves_out_what_belongs_to_others(store_of: Make) -> None:
    positions = np.array([[0, 3, 10, 10], [0, 3, 10, 22.0]])
    store = store_of(positions, (1, 6, 30, 30))
    part = SplitPart(store, None, (Box((0, 1), (0, 6), (0, 30), (20, 30)),))
    mask = part.mask()(0)
    assert not mask[:, :, 20:].any()
    assert not mask[3, 10, 19], "the held-out nucleus' rim reaches over the wall"
    assert mask[3, 0, 19]
    assert mask[3, 10, 10]
    assert part.nuclei.ids.tolist() == [1]
    held = SplitPart(store, Box((0, 1), (0, 6), (0, 30), (20, 30)))
    assert held.mask()(0)[3, 10, 22]
    assert not held.mask()(0)[:, :, :20].any()


def test_frames_with_nothing_but_rejected_nuclei_count(store_of: Make) -> None:
    positions = np.array([[0, 3, 10, 10], [2, 3, 10, 10.0]])
    annotations = Annotations.of(positions, state=[State.ACCEPTED, State.REJECTED])
    store = store_of(positions, (3, 6, 30, 30), annotations=annotations)
    assert SplitPart(store).frames == (0, 2)
    assert len(SplitPart(store).nuclei) == 1


@pytest.mark.parametrize("record", [ExampleKind, Split])
def test_a_split_is_immutable(record: type) -> None:
    assert record.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert "__slots__" in vars(record)


def test_a_part_of_a_split_is_immutable() -> None:
    assert SplitPart.__dataclass_params__.frozen  # type: ignore[attr-defined]
