"""One TIFF a frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from anlage import AnlageError, Box
from anlage.io import open_image


def fill(folder: Path, frames: np.ndarray, names: list[str]) -> Path:
    folder.mkdir(exist_ok=True)
    for name, frame in zip(names, frames, strict=True):
        tifffile.imwrite(folder / name, frame, photometric="minisblack")
    return folder


def movie(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 200, shape).astype(np.uint16)


def test_frames_stand_in_natural_order(tmp_path: Path) -> None:
    data = movie(12, 3, 8, 9)
    folder = fill(tmp_path / "m", data, [f"T{i}.tif" for i in range(12)])
    (folder / "notes.txt").write_text("not an image")
    (folder / "._T0.tif").write_bytes(b"left by a Mac")
    image = open_image(folder)
    assert image.shape == (12, 1, 3, 8, 9)
    np.testing.assert_array_equal(image.read()[:, 0], data)
    np.testing.assert_array_equal(image.read(Box((9, 12), (1, 2), (2, 5), (0, 9)))[:, 0], data[9:12, 1:2, 2:5])


@pytest.mark.parametrize(("shape", "axes"), [((8, 9), "tyx"), ((3, 8, 9), "tzyx"), ((2, 3, 8, 9), "tczyx")])
def test_unnamed_axes_of_a_frame(tmp_path: Path, shape: tuple[int, ...], axes: str) -> None:
    data = movie(4, *shape)
    image = open_image(fill(tmp_path / "m", data, [f"{i}.tif" for i in range(4)]))
    assert image.axes == axes
    np.testing.assert_array_equal(image.read().reshape(data.shape), data)


@pytest.mark.parametrize("axes", ["cyx", "tcyx"])
def test_given_axes_are_those_of_a_frame_or_of_all(tmp_path: Path, axes: str) -> None:
    folder = fill(tmp_path / "m", movie(4, 2, 8, 9), [f"{i}.tif" for i in range(4)])
    assert open_image(folder, axes=axes).shape == (4, 2, 1, 8, 9)


def test_metadata_comes_from_the_first_file(tmp_path: Path) -> None:
    for i in range(3):
        tifffile.imwrite(tmp_path / f"{i}.tif", movie(4, 8, 9), imagej=True, resolution=(2, 2),
                         metadata={"axes": "ZYX", "unit": "um", "spacing": 2})  # fmt: skip
    image = open_image(tmp_path)
    assert image.shape == (3, 1, 4, 8, 9)
    assert image.spacing is not None
    assert image.spacing.zyx == (2, 0.5, 0.5)


def test_a_frame_of_another_shape_is_named(tmp_path: Path) -> None:
    folder = fill(tmp_path / "m", movie(3, 8, 9), ["a1.tif", "a2.tif", "a3.tif"])
    tifffile.imwrite(folder / "a2.tif", movie(8, 10))
    with pytest.raises(AnlageError, match=r"a2\.tif' has the shape \(8, 10\) \(yx\), but the first file .* \(8, 9\)"):
        open_image(folder)


def test_a_frame_of_another_type_is_named(tmp_path: Path) -> None:
    folder = fill(tmp_path / "m", movie(3, 8, 9), ["a1.tif", "a2.tif", "a3.tif"])
    tifffile.imwrite(folder / "a3.tif", movie(8, 9).astype(np.float32))
    with pytest.raises(AnlageError, match=r"a3\.tif' holds float32, but the first file of the folder holds uint16"):
        open_image(folder)


def test_a_cut_frame_is_named(tmp_path: Path) -> None:
    folder = fill(tmp_path / "m", movie(3, 8, 9), ["a1.tif", "a2.tif", "a3.tif"])
    (folder / "a3.tif").write_bytes((folder / "a3.tif").read_bytes()[:-30])
    with pytest.raises(AnlageError, match=r"a3\.tif' is cut short"):
        open_image(folder)


def test_a_file_with_several_frames_is_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", movie(4, 8, 9), imagej=True, metadata={"axes": "TYX"})
    with pytest.raises(AnlageError, match=r"a\.tif' holds 4 frames, but in a folder each file must be one"):
        open_image(tmp_path)
    assert open_image(tmp_path, axes="zyx").shape == (1, 1, 4, 8, 9)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AnlageError, match="holds neither TIFFs nor a zarr"):
        open_image(tmp_path)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["t00", "t01", "t03"], "number 2 is missing"),
        (["a_5", "a_10", "a_20", "a_40"], "number 15, 25, 30, 35 are missing"),
        (["t00_c0", "t00_c1", "t01_c0", "t01_c1"], "look like 2 channels"),
        (["x_w1_t1", "x_w1_t2", "x_w2_t1", "x_w2_t2"], "look like 2 channels"),
        (["img_t0_z0", "img_t0_z1", "img_t1_z0", "img_t1_z1"], "look like 2 planes"),
        (["t0", "t5", "t10"], None),
        (["t1", "t2", "t3"], None),
        (["first", "second"], None),
        (["c1_t1", "c1_t2"], None),
    ],
)
def test_what_names_say_otherwise_is_told(names: list[str], said: str | None) -> None:
    from anlage.io.folder_names import doubt_names

    found = doubt_names([Path(f"{name}.tif") for name in names])
    assert (found == ()) if said is None else said in found[0]
