"""Whatever lies behind a time-lapse, its pixels are (t, c, z, y, x)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from anlage import AnlageError, Box, Spacing, TimeLapse

DATA = np.random.default_rng(0).integers(0, 200, (3, 2, 4, 6, 7)).astype(np.uint16)


@pytest.fixture(params=["numpy", "dask", "zarr"])
def array(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    if request.param == "dask":
        import dask.array

        return dask.array.from_array(DATA, chunks=(1, 1, 4, 3, 7))
    if request.param == "zarr":
        return zarr.create_array(tmp_path / "a.zarr", data=DATA, chunks=(1, 1, 4, 3, 7))
    return DATA


def test_a_box_of_any_array(array: Any) -> None:
    image = TimeLapse.of(array)
    box = Box((1, 3), (0, 2), (2, 5), (3, 7))
    piece = image.read(box, [1])
    assert type(piece) is np.ndarray
    np.testing.assert_array_equal(piece, DATA[1:3, 1:2, 0:2, 2:5, 3:7])
    np.testing.assert_array_equal(image.frame(2), DATA[2])
    piece[:] = 0
    np.testing.assert_array_equal(image.read(box, [1]), DATA[1:3, 1:2, 0:2, 2:5, 3:7])


@pytest.mark.parametrize("axes", ["tczyx", "xyzct", "ctxyz", "zyxtc"])
def test_axes_in_any_order(axes: str) -> None:
    image = TimeLapse(DATA.transpose(["tczyx".index(a) for a in axes]), axes)
    assert image.shape == DATA.shape
    np.testing.assert_array_equal(image.read(Box((0, 2), (1, 3), (2, 4), (0, 7)), [1, 0]), DATA[:2, ::-1, 1:3, 2:4])


@pytest.mark.parametrize("axes", ["yx", "xy", "tyx", "zyx", "yxc", "cyx", "tzyx", "czyx"])
def test_absent_axes_have_length_one(axes: str) -> None:
    index = tuple(slice(None) if a in axes else 0 for a in "tczyx")
    present = [a for a in "tczyx" if a in axes]
    image = TimeLapse(DATA[index].transpose([present.index(a) for a in axes]), axes)
    assert image.shape == tuple(n if a in axes else 1 for a, n in zip("tczyx", DATA.shape, strict=True))
    np.testing.assert_array_equal(image.read().squeeze(), DATA[index].squeeze())
    assert image.is_flat == ("z" not in axes)


def test_reading_is_lazy() -> None:
    class Counting:
        shape, dtype, read = DATA.shape, DATA.dtype, 0

        def __getitem__(self, index: Any) -> np.ndarray:
            piece = DATA[index]
            self.read += piece.size
            return piece

    behind = Counting()
    image = TimeLapse.of(behind)
    assert behind.read == 0
    image.read(Box((0, 1), (0, 1), (0, 2), (0, 3)), [1])
    assert behind.read == 6


@pytest.mark.parametrize("axes", ["tczy", "tczyxx", "tczyq", "tczzx", "tcz"])
def test_axes_that_do_not_fit_are_refused(axes: str) -> None:
    with pytest.raises(AnlageError, match="do not fit the image 'movie'"):
        TimeLapse(DATA, axes, source="movie")


def test_other_impossible_images_are_refused() -> None:
    with pytest.raises(AnlageError, match="lack y or x"):
        TimeLapse(DATA[0, 0], "tzy")
    with pytest.raises(AnlageError, match="is empty: its shape is"):
        TimeLapse.of(DATA[:0])
    with pytest.raises(AnlageError, match="with 6 axes cannot be read"):
        TimeLapse.of(DATA[None])
    with pytest.raises(AnlageError, match="has 2 channels but 1 channel names"):
        TimeLapse.of(DATA, channels=("a",))


@pytest.mark.parametrize(("axes", "what"), [("cyx", "channels"), ("tyx", "frames")])
def test_a_number_of_channels_or_frames_that_nobody_records_is_refused_before_each_gets_a_name(axes, what) -> None:
    """A damaged file that claims 3·10⁹ channels would take all memory for their names."""
    claimed = np.broadcast_to(np.uint8(0), (3_000_000_000, 2, 2))
    with pytest.raises(AnlageError, match=f"number of {what} of the image 'movie' is 3,000,000,000, and at most"):
        TimeLapse(claimed, axes, source="movie")


def test_reading_outside_is_refused() -> None:
    image = TimeLapse.of(DATA, source="movie")
    with pytest.raises(AnlageError, match="reaches outside 'movie'"):
        image.read(Box((0, 4), (0, 1), (0, 1), (0, 1)))
    for channels in ([2], [-1], []):
        with pytest.raises(AnlageError, match="was asked for, but 'movie' has 2"):
            image.read(channels=channels)


def test_the_scale_is_kept_unless_given() -> None:
    image = TimeLapse.of(DATA, spacing=Spacing(2, 1, 1), interval_s=5, spacing_from="the layer")
    same = image.with_scale()
    assert (same.spacing, same.interval_s, same.spacing_from) == (Spacing(2, 1, 1), 5, "the layer")
    other = image.with_scale(Spacing(1, 1, 1), 7)
    assert (other.spacing, other.interval_s, other.spacing_from) == (Spacing(1, 1, 1), 7, "given")


@pytest.mark.parametrize("step", [0.0, -1.0, 1e308, float("nan"), float("inf")])
def test_a_time_step_that_cannot_be_is_refused(step: float) -> None:
    image = TimeLapse.of(np.zeros((2, 4, 4), np.uint8), "tyx")
    with pytest.raises(AnlageError, match="must be a positive number"):
        image.with_scale(interval_s=step)
    with pytest.raises(AnlageError, match="must be a positive number"):
        TimeLapse.of(np.zeros((2, 4, 4), np.uint8), "tyx", interval_s=step)
