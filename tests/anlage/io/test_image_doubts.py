"""What is doubtful about an image before anything is computed from it, whatever its format."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from anlage import Spacing, TimeLapse
from anlage.io import open_image, write_image
from anlage.io.image_doubts import doubt_image, doubt_spacing

NOISE = np.random.default_rng(0).integers(0, 200, (5, 4, 16, 16)).astype(np.uint16)


def test_an_image_with_pixels_is_not_doubted() -> None:
    assert doubt_image(TimeLapse.of(NOISE, spacing=Spacing(2, 0.5, 0.5))) == ()


@pytest.mark.parametrize("form", ["tiff", "folder", "zarr"])
def test_one_value_everywhere_is_told_in_every_format(tmp_path: Path, form: str) -> None:
    flat = np.full((4, 8, 8), 7, np.uint16)
    path = tmp_path / "a"
    if form == "tiff":
        path = tmp_path / "a.tif"
        tifffile.imwrite(path, flat, photometric="minisblack")
    elif form == "folder":
        path.mkdir()
        for t in range(2):
            tifffile.imwrite(path / f"{t}.tif", flat, photometric="minisblack")
    else:
        write_image(path, flat[None, None])
    (doubt,) = doubt_image(open_image(path))
    assert "is 7 everywhere: nothing can be seen there" in doubt


def test_black_frames_channels_and_nan_are_told() -> None:
    movie = NOISE.copy()
    movie[4] = 0
    assert "is 0 everywhere in frame 4 (looked at: 0, 2, 4)" in doubt_image(TimeLapse.of(movie))[0]
    two = np.stack([NOISE, np.zeros_like(NOISE)], axis=1)
    assert "Channel 1 of '' is 0 everywhere" in doubt_image(TimeLapse.of(two))[0]
    real = NOISE.astype(np.float32)
    real[0, 2, :4] = np.nan
    assert "no numbers (NaN or infinite), up to 25.0%" in doubt_image(TimeLapse.of(real))[0]


@pytest.mark.parametrize(
    ("zyx", "flat", "credible"),
    [
        ((2, 0.5, 0.5), False, True),
        ((0.1, 0.01, 0.01), False, True),
        ((352.8, 352.8, 352.8), False, False),
        ((1, 325, 325), False, False),
        ((2, 0.0005, 0.0005), False, False),
        ((400, 0.5, 0.5), False, False),
        ((400, 0.5, 0.5), True, True),
        ((2, 0.5, 50), False, False),
    ],
)
def test_voxels_that_no_microscope_has_are_doubted(zyx: tuple[float, float, float], flat: bool, credible: bool) -> None:
    doubt = doubt_spacing(Spacing(*zyx), flat=flat)
    assert (doubt is None) == credible
    assert credible or "is the voxel size right?" in str(doubt)
