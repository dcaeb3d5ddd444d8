"""Imaris' IMS, written here as its makers describe it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from anlage import AnlageError, Spacing, open_image
from anlage.cli import main

PIXELS = np.arange(12 * 2 * 3 * 4 * 5, dtype=np.uint16).reshape(12, 2, 3, 4, 5)
"""t, c, z, y, x; more than ten time points, whose names do not sort like their numbers."""


def letters(text: str) -> np.ndarray:
    """A text as Imaris writes it: an array of single letters."""
    return np.frombuffer(text.encode(), "S1")


def write(path: Path) -> None:
    with h5py.File(path, "w") as file:
        for t, frame in enumerate(PIXELS):
            for c, volume in enumerate(frame):
                group = file.create_group(f"DataSet/ResolutionLevel 0/TimePoint {t}/Channel {c}")
                blocks = np.zeros((4, 8, 8), np.uint16)  # whole blocks, beyond the image
                blocks[:3, :4, :5] = volume
                group["Data"] = blocks
        image = file.create_group("DataSetInfo/Image").attrs
        for axis, n in zip("XYZ", (5, 4, 3), strict=True):
            image[axis] = letters(str(n))
        for axis, (low, high) in enumerate([(10.0, 12.5), (-1.0, 1.0), (0.0, 6.0)]):
            image[f"ExtMin{axis}"], image[f"ExtMax{axis}"] = letters(str(low)), letters(str(high))
        image["Unit"] = letters("um")
        for c, name in enumerate(("H2B", "membrane")):
            file.create_group(f"DataSetInfo/Channel {c}").attrs["Name"] = letters(name)
        times = file.create_group("DataSetInfo/TimeInfo").attrs
        for t in range(len(PIXELS)):
            times[f"TimePoint{t + 1}"] = letters(f"2026-01-31 12:{5 * t % 60:02}:00.000")


def test_pixels_voxels_times_and_names_are_those_of_the_file(tmp_path: Path) -> None:
    write(tmp_path / "a.ims")
    image = open_image(tmp_path / "a.ims")
    assert (image.shape, image.spacing, image.interval_s) == ((12, 2, 3, 4, 5), Spacing(2, 0.5, 0.5), 300.0)
    assert image.channels == ("H2B", "membrane")
    assert (image.read() == PIXELS).all()
    assert (image.frame(11, [1]) == PIXELS[11, 1:]).all()
    for index in [(slice(1, 9, 3), 0), (-1, 1, slice(0, 0)), 5, (2, slice(None), 2, slice(1, 3), -2)]:  # as dask asks
        assert np.array_equal(image.data[index], PIXELS[index])


def test_info_says_how_it_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "a.ims")
    assert main(["info", str(tmp_path / "a.ims")]) == 0
    said = capsys.readouterr().out
    assert "12 t × 2 c × 3 z × 4 y × 5 x" in said
    assert "2 × 0.5 × 0.5 µm" in said
    assert "Imaris" in said


def empty(file: h5py.File) -> None:
    del file["DataSet"]


def odd(file: h5py.File) -> None:
    del file["DataSet/ResolutionLevel 0/TimePoint 3/Channel 1/Data"]
    file["DataSet/ResolutionLevel 0/TimePoint 3/Channel 1/Data"] = np.zeros((2, 2, 2), np.uint16)


def elsewhere(file: h5py.File) -> None:
    del file["DataSet/ResolutionLevel 0/TimePoint 0/Channel 0/Data"]
    file["DataSet/ResolutionLevel 0/TimePoint 0/Channel 0/Data"] = h5py.ExternalLink("b.h5", "x")


@pytest.mark.parametrize(
    ("spoil", "sentence"), [(empty, "holds no image"), (odd, "differ in shape"), (elsewhere, "another file")]
)
def test_what_is_wrong_is_a_sentence(tmp_path: Path, spoil: Callable[[h5py.File], None], sentence: str) -> None:
    write(tmp_path / "a.ims")
    with h5py.File(tmp_path / "b.h5", "w") as other:
        other["x"] = np.zeros((4, 8, 8), np.uint16)
    with h5py.File(tmp_path / "a.ims", "r+") as file:
        spoil(file)
    with pytest.raises(AnlageError, match=sentence):
        open_image(tmp_path / "a.ims")


def test_a_file_of_another_kind_with_that_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.ims").write_bytes(b"no HDF5 at all")
    with pytest.raises(AnlageError, match="cannot be read"):
        open_image(tmp_path / "a.ims")
