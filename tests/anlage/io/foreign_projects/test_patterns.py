"""Images that are named by a pattern."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from anlage import AnlageError
from anlage.io.foreign_projects.patterns import files_of_pattern


def saved(folder: Path, *names: str) -> Path:
    folder.mkdir(exist_ok=True)
    for i, name in enumerate(names):
        tifffile.imwrite(folder / name, np.full((2, 4, 4), i, np.uint8), photometric="minisblack")
    return folder


@pytest.mark.parametrize(
    ("pattern", "names", "times", "channels"),
    [
        ("t{time:03}.tif", ["t001.tif", "t002.tif", "other.tif"], [1, 2], [0]),
        ("t{time}.tif", ["t9.tif", "t10.tif"], [9, 10], [0]),
        ("t%03d.tif", ["t000.tif", "t001.tif"], [0, 1], [0]),
        ("t{time:02}c{channel}.tif", ["t01c1.tif", "t01c3.tif", "t02c1.tif", "t02c3.tif"], [1, 2], [1, 3]),
        ("p(1)_t{time}.tif", ["p(1)_t1.tif", "p11_t1.tif"], [1], [0]),
    ],
)
def test_a_pattern_finds_its_files(
    tmp_path: Path, pattern: str, names: list[str], times: list[int], channels: list[int]
) -> None:
    found = files_of_pattern(saved(tmp_path / "a", *names), pattern)
    assert (found.times, found.channels) == (times, channels)
    frames = list(found.frames())
    assert [frame.shape for frame in frames] == [(len(channels), 2, 4, 4)] * len(times)


def test_only_the_time_points_that_count_are_read_in_their_order(tmp_path: Path) -> None:
    found = files_of_pattern(saved(tmp_path / "a", "t1.tif", "t2.tif", "t3.tif", "t10.tif"), "t{time}.tif", 2, 10)
    assert [int(frame[0, 0, 0, 0]) for frame in found.frames()] == [1, 2, 3]
    assert not found.are_the_folder


@pytest.mark.parametrize(
    ("pattern", "names", "sentence"),
    [
        ("x{time}.tif", ["t1.tif"], "no TIFF in .* whose name fits"),
        ("x{channel}.tif", ["x1.tif"], "numbers no time points"),
        ("t{time}c{channel}.tif", ["t1c1.tif", "t1c2.tif", "t2c1.tif"], "Time point 2 in .* lacks channel 2"),
        ("../t{time}.tif", ["t1.tif"], "does not lie inside"),
    ],
)
def test_what_does_not_fit_is_a_sentence(tmp_path: Path, pattern: str, names: list[str], sentence: str) -> None:
    with pytest.raises(AnlageError, match=sentence):
        files_of_pattern(saved(tmp_path / "a", *names), pattern)
