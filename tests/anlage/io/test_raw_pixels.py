"""Uncompressed pixels: every slice as numpy takes it, and a file that is cut while it is open."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import tifffile

from anlage import AnlageError
from anlage.io import open_image
from anlage.io.raw_pixels import RawPixels


@pytest.mark.parametrize("shape", [(3, 4, 5, 6), (1, 4, 1, 6), (5, 6), (7,), (2, 0, 3)])
@pytest.mark.parametrize("dtype", [">u2", "<f4", "u1"])
def test_slices_are_those_of_numpy(tmp_path: Path, shape: tuple[int, ...], dtype: str) -> None:
    rng = np.random.default_rng(0)
    data = rng.integers(0, 200, shape).astype(dtype)
    (tmp_path / "a").write_bytes(b"head" + data.tobytes())
    pixels = RawPixels(tmp_path / "a", np.dtype(dtype), 4, shape)
    for _ in range(60):
        index = tuple(
            slice(
                *(None if rng.random() < 0.3 else int(rng.integers(-n - 1, n + 2)) for _ in range(2)),
                int(rng.choice([1, 1, 2, -1])),
            )
            for n in shape
        )
        np.testing.assert_array_equal(pixels[index], data[index])


def test_a_file_that_is_cut_while_open_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.ones((50, 64, 64), np.uint16), photometric="minisblack")
    image = open_image(path)
    assert image.read().all()
    os.truncate(path, 20_000)
    with pytest.raises(AnlageError, match="the file has become shorter while it was open"):
        image.read()
