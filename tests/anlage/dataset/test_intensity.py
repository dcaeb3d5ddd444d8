from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from anlage.axes import Box
from anlage.dataset import intensity as module
from anlage.dataset.intensity import ChannelIntensity, Intensity, measure_intensity
from anlage.errors import AnlageError
from anlage.timelapse import TimeLapse


def image_of(data: np.ndarray, axes: str = "tczyx") -> TimeLapse:
    return TimeLapse.of(data, axes, source="movie.tif")


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(200, 1200, shape).astype(np.uint16)


def test_percentiles_become_zero_and_one() -> None:
    data = noise(3, 1, 8, 40, 40)
    found = measure_intensity(image_of(data))
    assert found.channels[0].low == pytest.approx(np.percentile(data, 1), abs=3)
    assert found.channels[0].high == pytest.approx(np.percentile(data, 99.8), abs=3)
    normal = found.apply(data)
    assert normal.dtype == np.float32
    assert normal.shape == data.shape
    assert np.percentile(normal, 1) == pytest.approx(0, abs=0.01)
    assert np.percentile(normal, 99.8) == pytest.approx(1, abs=0.01)


def test_the_whole_movie_counts_not_its_first_frame() -> None:
    data = np.stack([noise(1, 4, 32, 32, seed=t) + 500 * t for t in range(10)]).astype(np.uint16)
    assert measure_intensity(image_of(data)).channels[0].high > 5000


def test_bright_mitoses_are_not_cut_at_one() -> None:
    intensity = Intensity(channels=(ChannelIntensity(name="a", index=0, low=0, high=100),))
    raw = np.array([-1000, 0, 100, 250, 1000], dtype=np.int16).reshape(1, 1, 1, 5)
    assert intensity.apply(raw).ravel().tolist() == pytest.approx([-1, 0, 1, 2.5, 4])


def test_the_sum_gives_each_channel_the_same_say_whatever_its_range() -> None:
    dim, bright = noise(2, 1, 4, 32, 32), noise(2, 1, 4, 32, 32, seed=1) * 50
    data = np.concatenate([dim.astype(np.uint16), bright.astype(np.uint16)], axis=1)
    together = measure_intensity(image_of(data), combine="sum")
    apart = measure_intensity(image_of(data))
    assert together.n_inputs == 1
    assert together.names == ("channel 0 + channel 1",)
    assert np.allclose(together.apply(data)[:, 0], apart.apply(data).mean(axis=1), atol=1e-6)


@pytest.mark.parametrize("combine", ["separate", "sum"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float32, np.float64])
def test_the_users_array_is_left_bit_for_bit(combine: Any, dtype: Any) -> None:
    data = (noise(2, 2, 4, 16, 16) % 200).astype(dtype)
    before = data.tobytes()
    image = image_of(data)
    found = measure_intensity(image, combine=combine)
    found.apply(data)
    found.frame(image, 1)
    assert data.tobytes() == before


def test_large_numbers_keep_their_differences() -> None:
    data = (1e9 + np.arange(1024).reshape(1, 1, 1, 32, 32)).astype(np.float64)
    normal = measure_intensity(image_of(data)).apply(data)
    assert len(np.unique(normal)) > 1000


def test_a_constant_channel_becomes_zero() -> None:
    data = noise(2, 2, 4, 16, 16)
    data[:, 1] = 77
    normal = measure_intensity(image_of(data)).apply(data)
    assert (normal[:, 1] == 0).all()
    assert normal[:, 0].max() > 0.9


def test_one_bright_spot_on_an_empty_image_is_seen() -> None:
    data = np.zeros((1, 1, 10, 64, 64), dtype=np.uint8)
    data[0, 0, 5, 30:33, 30:33] = 200
    normal = measure_intensity(image_of(data)).apply(data)
    assert normal.max() == pytest.approx(1)
    assert np.count_nonzero(normal) == 9


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_is_refused_with_its_frame_and_channel(value: float) -> None:
    data = noise(4, 3, 2, 16, 16).astype(np.float32)
    data[2, 1, 0, 3, 3] = value
    with pytest.raises(AnlageError, match=r"Frame 2, channel 1 of the image 'movie.tif' has 1 voxels that are NaN"):
        measure_intensity(image_of(data))


def test_nan_in_a_channel_that_is_not_used_does_no_harm() -> None:
    data = noise(2, 2, 2, 16, 16).astype(np.float32)
    data[:, 1] = np.nan
    assert measure_intensity(image_of(data), [0]).indices == (0,)


def test_nan_is_refused_when_a_frame_is_read() -> None:
    data = noise(2, 1, 2, 16, 16).astype(np.float32)
    found = measure_intensity(image_of(data))
    data[1, 0, 1, 1, 1] = np.nan
    found.frame(image_of(data), 0)
    with pytest.raises(AnlageError, match="Frame 1, channel 0"):
        found.frame(image_of(data), 1)


def test_large_finite_floats_are_not_taken_for_infinite() -> None:
    data = np.full((1, 1, 2, 8, 8), 3e38, dtype=np.float32)
    data[..., 0] = -3e38
    assert np.isfinite(measure_intensity(image_of(data)).channels[0].high)


@pytest.mark.parametrize(
    ("channels", "sentence"),
    [([2], r"Channel 2 does not exist: the image 'movie.tif' has 2 \(0 to 1\)"), ([-1], "Channel -1"),
     ([0, 0], "named twice"), ([], "No channel")],
)  # fmt: skip
def test_wrong_channels_are_refused(channels: list[int], sentence: str) -> None:
    with pytest.raises(AnlageError, match=sentence):
        measure_intensity(image_of(noise(1, 2, 2, 8, 8)), channels)


def test_channels_keep_the_order_asked_for() -> None:
    data = noise(1, 3, 2, 8, 8)
    data[:, 2] += 5000
    found = measure_intensity(image_of(data), [2, 0])
    assert found.indices == (2, 0)
    assert found.channels[0].low > 5000 > found.channels[1].high
    assert np.array_equal(found.frame(image_of(data), 0), found.apply(data[0, [2, 0]]))


def test_a_part_of_a_frame_is_normalised_like_the_whole() -> None:
    image = image_of(noise(2, 1, 4, 16, 16))
    found = measure_intensity(image)
    box = Box((0, 1), (1, 3), (4, 9), (0, 16))
    assert np.array_equal(found.frame(image, 1, box), found.frame(image, 1)[:, 1:3, 4:9])


def test_wrong_number_of_channels_is_a_sentence() -> None:
    found = measure_intensity(image_of(noise(1, 2, 2, 8, 8)))
    with pytest.raises(AnlageError, match="2 channels"):
        found.apply(np.zeros((1, 2, 8, 8), np.uint16))


def test_it_survives_the_disk() -> None:
    found = measure_intensity(image_of(noise(1, 2, 2, 8, 8)), [1], "sum")
    assert Intensity.model_validate_json(found.model_dump_json()) == found


class Watched:
    """An array of any size that notes how much of it is asked for at once."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape, self.dtype = shape, np.dtype(np.uint16)
        self.largest, self.frames = 0, set[int]()

    def __getitem__(self, index: Any) -> np.ndarray:
        ranges = [range(*s.indices(n)) for s, n in zip(index, self.shape, strict=True)]
        self.frames.update(ranges[0])
        size = int(np.prod([len(r) for r in ranges]))
        self.largest = max(self.largest, size)
        return np.broadcast_to(np.uint16(7), [len(r) for r in ranges])


def test_a_huge_movie_is_sampled_frame_by_frame() -> None:
    data = Watched((500, 1, 20, 100, 100))
    measure_intensity(TimeLapse(data, "tczyx"))
    assert data.largest <= 20 * 100 * 100
    assert len(data.frames) == 16
    assert {0, 499} <= data.frames


def test_a_huge_frame_is_sampled_plane_by_plane(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WHOLE_FRAME", 10_000)
    data = Watched((3, 1, 200, 50, 50))
    measure_intensity(TimeLapse(data, "tczyx"))
    assert data.largest == 50 * 50
