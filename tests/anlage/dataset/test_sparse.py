from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from anlage.annotations import Annotations, State
from anlage.axes import Spacing
from anlage.timelapse import TimeLapse

SHAPE = (1, 20, 120, 120)
Make = Callable[..., Any]


def known_at(store: Any, positions: np.ndarray) -> np.ndarray:
    """Weight at positions given in voxels of the movie."""
    at = np.rint(positions - store.meta.origin_tzyx).astype(int)
    return np.asarray(store.weight[:])[tuple(at.T)]


def grid(n: int) -> np.ndarray:
    """Nuclei 12 voxels apart in one plane."""
    return np.array([[0, 10, 12 + 12 * i, 12 + 12 * j] for i in range(n) for j in range(n)], dtype=float)


def test_unmarked_nuclei_are_unknown_and_the_dark_between_is_known(movie: Make, store_of: Make) -> None:
    every = grid(9)
    marked, unmarked = every[::5], np.delete(every, np.s_[::5], axis=0)
    store = store_of(marked, SHAPE, image=movie(every, SHAPE), cuboid="auto", sparse=True)
    assert store.meta.sparse
    assert store.shape_tzyx == (1, 13, 120, 120), "1.5 diameters around what was marked, inside the image"
    assert (known_at(store, marked) == 1).all()
    assert (known_at(store, unmarked) == 0).all()
    # no voxel of an unmarked nucleus that belongs to its bright inside is taken for background
    for dy, dx in ((2, 0), (-2, 0), (0, 2), (0, -2)):
        assert (known_at(store, np.add(unmarked, [0, 0, dy, dx])) == 0).all()
    # ... while the dark gaps between nuclei are
    assert known_at(store, np.add(every[:72], [0, 0, 6, 0])).mean() > 0.95
    assert 0.3 < store.weight[:].mean() < 0.95


def test_a_neighbour_that_touches_a_marked_nucleus_is_unknown(movie: Make, store_of: Make) -> None:
    pair = np.array([[0, 10, 50, 50], [0, 10, 50, 57.0]])  # 7 µm apart, 8 µm across
    store = store_of(pair[:1], SHAPE, image=movie(pair, SHAPE), cuboid="auto", sparse=True)
    assert known_at(store, pair).tolist() == [1, 0]
    assert known_at(store, np.array([[0, 10, 50, 60], [0, 10, 53, 57.0]])).max() == 0
    assert known_at(store, np.array([[0, 10, 50, 44.0]])) == 1, "the dark side of the shell"


@pytest.mark.parametrize("dim", [0.35, 0.6])
def test_dim_unmarked_nuclei_are_unknown_too(movie: Make, store_of: Make, dim: float) -> None:
    every = grid(6)
    brightness = np.where(np.arange(len(every)) % 5 == 0, 1.0, dim)
    store = store_of(every[::5], SHAPE, image=movie(every, SHAPE, brightness=brightness), cuboid="auto", sparse=True)
    assert (known_at(store, np.delete(every, np.s_[::5], axis=0)) == 0).all()


def test_rejected_nuclei_are_background_also_where_they_are_bright(movie: Make, store_of: Make) -> None:
    every = grid(4)
    annotations = Annotations.of(every[:6], state=[State.ACCEPTED] * 5 + [State.REJECTED])
    store = store_of(every, SHAPE, image=movie(every, SHAPE), annotations=annotations, cuboid="auto", sparse=True)
    assert known_at(store, every[5:6]) == 1
    assert len(store.positives) == 5
    assert (known_at(store, every[6:10]) == 0).all()


def test_nuclei_that_are_not_bright_give_no_background(store_of: Make) -> None:
    rng = np.random.default_rng(0)
    flat = TimeLapse.of(rng.normal(100, 5, (1, 1, 20, 60, 60)).astype(np.float32), spacing=Spacing(2, 1, 1))
    marked = np.array([[0, 10, 20, 20], [0, 10, 40, 40.0]])
    store = store_of(marked, SHAPE, image=flat, cuboid="auto", sparse=True)
    weight = store.weight[0]
    ball = 4 / 3 * np.pi * 4**3 / 2
    assert weight.sum() == pytest.approx(2 * ball, rel=0.1), "only the marked nuclei are known"


def test_nuclei_are_found_bright_in_the_right_channel(movie: Make, store_of: Make) -> None:
    every = grid(6)
    nuclear = movie(every, SHAPE)
    membrane = 2000 - nuclear.data.astype(np.int32)
    both = np.concatenate([np.clip(membrane, 0, None).astype(np.uint16), nuclear.data], axis=1)
    image = TimeLapse.of(both, spacing=nuclear.spacing)
    store = store_of(every[::4], SHAPE, image=image, cuboid="auto", sparse=True)
    assert (known_at(store, np.delete(every, np.s_[::4], axis=0)) == 0).all()
    assert known_at(store, np.add(every[:20], [0, 0, 6, 0])).mean() > 0.9


def test_distant_frames_become_blocks_of_their_own(movie: Make, store_of: Make) -> None:
    shape = (12, 10, 40, 40)
    marked = np.array([[0, 5, 20, 20], [1, 5, 20, 20], [10, 5, 20, 20.0]])
    store = store_of(marked, shape, image=movie(marked, shape), cuboid="auto", sparse=True)
    assert [c.frames for c in store.meta.cuboids] == [(0, 1), (10,)]
    assert [bool(store.image[t].any()) for t in range(11)] == [True] * 3 + [False] * 6 + [True] * 2
    assert [bool(store.weight[t].any()) for t in range(11)] == [True] * 2 + [False] * 8 + [True]
