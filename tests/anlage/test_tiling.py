from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import uniform_filter

from anlage.errors import AnlageError
from anlage.tiling import tiles


def triple(low: int, high: int):
    return st.tuples(*[st.integers(low, high)] * 3)


@settings(max_examples=60, deadline=None)
@given(shape=triple(1, 40), core=triple(1, 24), halo=triple(0, 9), multiple=triple(1, 4))
def test_cores_cover_every_voxel_once_and_reads_hold_their_halo(shape, core, halo, multiple):
    seen = np.zeros(shape, dtype=int)
    for tile in tiles(shape, core, halo, multiple_zyx=multiple):
        seen[tile.core] += 1
        for axis in range(3):
            read, own, within = tile.read[axis], tile.core[axis], tile.core_in_read[axis]
            assert 0 <= read.start <= own.start < own.stop <= read.stop <= shape[axis]
            assert read.start % multiple[axis] == 0
            assert own.start % multiple[axis] == 0
            assert read.start <= max(0, own.start - halo[axis])
            assert read.stop >= min(shape[axis], own.stop + halo[axis])
            assert own.stop - own.start <= max(core[axis], multiple[axis])
            assert (within.start, within.stop) == (own.start - read.start, own.stop - read.start)
        assert tile.read_shape == np.empty(shape, dtype=bool)[tile.read].shape
        assert tile.offset_zyx == tuple(s.start for s in tile.read)
    assert (seen == 1).all()


@settings(max_examples=40, deadline=None)
@given(
    shape=triple(1, 30),
    core=triple(1, 17),
    positions=st.lists(st.tuples(*[st.floats(-2, 32, allow_nan=False, width=16)] * 3), min_size=1, max_size=20),
)
def test_every_position_belongs_to_exactly_one_tile_even_beyond_the_walls(shape, core, positions):
    kept = np.sum([tile.keeps(positions) for tile in tiles(shape, core, (2, 2, 2))], axis=0)
    assert (kept == 1).all()


def test_a_tile_keeps_the_voxels_of_its_core():
    first, second = tiles((1, 1, 10), (1, 1, 5), (0, 0, 0))
    x = np.array([0, 4, 4.49, 4.5, 5, 9])
    positions = np.stack([np.zeros(6), np.zeros(6), x], axis=1)
    assert first.keeps(positions).tolist() == [True, True, True, False, False, False]
    assert (second.keeps(positions) == ~first.keeps(positions)).all()


def test_a_volume_that_fits_is_one_tile():
    (tile,) = tiles((12, 100, 80), (32, 128, 128), (4, 16, 16))
    assert tile.read == tile.core == (slice(0, 12), slice(0, 100), slice(0, 80))


def test_there_are_no_slivers():
    widths = [tile.core[2].stop - tile.core[2].start for tile in tiles((1, 1, 130), (1, 1, 128), (0, 0, 8))]
    assert widths == [65, 65]


def test_a_filter_in_tiles_equals_the_filter_of_the_whole():
    volume = np.random.default_rng(0).normal(size=(11, 37, 29))
    whole = uniform_filter(volume, size=(3, 7, 5), mode="constant")
    stitched = np.empty_like(volume)
    for tile in tiles(volume.shape, (4, 16, 10), (1, 3, 2), multiple_zyx=(1, 2, 2)):
        stitched[tile.core] = uniform_filter(volume[tile.read], size=(3, 7, 5), mode="constant")[tile.core_in_read]
    np.testing.assert_allclose(stitched, whole, atol=1e-12)


@pytest.mark.parametrize(
    ("shape", "core", "halo"),
    [((0, 5, 5), (1, 1, 1), (0, 0, 0)), ((5, 5, 5), (0, 1, 1), (0, 0, 0)), ((5, 5, 5), (1, 1, 1), (-1, 0, 0))],
)
def test_impossible_lengths_are_refused(shape, core, halo):
    with pytest.raises(AnlageError, match="cannot be cut into tiles of core"):
        tiles(shape, core, halo)


@pytest.mark.parametrize(
    ("shape", "core", "halo"), [((5, 5), (1, 1, 1), (0, 0, 0)), ((5, 5, 5), (1, 1), (0, 0, 0)), ((5, 5, 5), (1, 1, 1), (0,))]
)  # fmt: skip
def test_every_axis_needs_its_length(shape, core, halo):
    with pytest.raises(ValueError, match="zip"):
        tiles(shape, core, halo)


def test_the_smallest_lengths_are_possible():
    (tile,) = tiles((1, 1, 1), (1, 1, 1), (0, 0, 0))
    assert tile.read == tile.core == (slice(0, 1),) * 3
    with pytest.raises(AnlageError, match="at multiples of"):
        tiles((5, 5, 5), (1, 1, 1), (0, 0, 0), multiple_zyx=(0, 1, 1))


def test_as_few_tiles_as_their_size_allows():
    assert len(tiles((1, 1, 128), (1, 1, 64), (0, 0, 9))) == 2
    assert len(tiles((1, 1, 129), (1, 1, 64), (0, 0, 9))) == 3
    assert len(tiles((1, 1, 129), (1, 1, 66), (0, 0, 9), multiple_zyx=(1, 1, 4))) == 3
    assert len(tiles((4, 8, 129), (4, 4, 129), (0, 0, 0))) == 2


def test_tiles_are_immutable():
    (tile,) = tiles((1, 1, 1), (1, 1, 1), (0, 0, 0))
    with pytest.raises(AttributeError):
        tile.read = ()
    assert not hasattr(tile, "__dict__")


def test_without_a_multiple_cores_begin_anywhere():
    assert [tile.core[2].start for tile in tiles((1, 1, 9), (1, 1, 3), (0, 0, 1))] == [0, 3, 6]


def test_no_more_than_the_halo_is_read():
    for tile in tiles((1, 1, 60), (1, 1, 12), (0, 0, 5), multiple_zyx=(1, 1, 4)):
        assert tile.read[2].start == max(0, tile.core[2].start - 8), "5 rounded up to a multiple of 4"
        assert tile.read[2].stop == min(60, tile.core[2].stop + 8)
