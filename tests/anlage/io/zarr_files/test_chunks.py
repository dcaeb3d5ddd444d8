"""Chunks that are not there, in every layout that zarr knows."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import zarr

from anlage import AnlageError
from anlage.io import open_image, open_label_image, write_image
from anlage.io.image_doubts import doubt_image

NAMES = {"v2 dots": (2, "."), "v2 folders": (2, "/"), "v3 dots": (3, "."), "v3 folders": (3, "/")}


def write(path: Path, zarr_format: Literal[2, 3], separator: Literal[".", "/"], **more: Any) -> Path:
    """8 frames of 2 × 2 chunks each."""
    group = zarr.create_group(path, zarr_format=zarr_format)
    array = group.create_array(
        "0", shape=(8, 4, 16, 16), dtype="uint16", chunks=(1, 4, 8, 8),
        chunk_key_encoding={"name": "v2" if zarr_format == 2 else "default", "separator": separator}, **more,
    )  # fmt: skip
    array[...] = np.random.default_rng(0).integers(100, 200, array.shape)
    axes = [{"name": n, "type": "time" if n == "t" else "space"} for n in "tzyx"]
    scale = [{"type": "scale", "scale": [1, 1, 0.5, 0.5]}]
    about = {"multiscales": [{"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": scale}]}]}
    group.attrs.update(about if zarr_format == 2 else {"ome": {"version": "0.5", **about}})
    return path


def chunks(path: Path) -> list[Path]:
    """Files of pixels, in order."""
    return sorted(p for p in (path / "0").rglob("*") if p.is_file() and not p.name.startswith((".", "zarr")))


@pytest.mark.parametrize("names", NAMES)
def test_absent_chunks_are_counted_with_their_frames(tmp_path: Path, names: str) -> None:
    path = write(tmp_path / "a.zarr", *NAMES[names])  # type: ignore[arg-type]
    assert doubt_image(open_image(path)) == ()
    for file in chunks(path)[12:22]:  # frames 3 and 4, and half of 5
        file.unlink()
    (doubt,) = open_image(path).notes
    assert "10 of 32 chunks" in doubt
    assert "are missing (frames 3 to 5); they read as 0" in doubt


def test_absent_shards_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.zarr"
    array = zarr.create_array(path, shape=(8, 16, 16), dtype="uint8", chunks=(1, 8, 8), shards=(1, 16, 16))
    array[...] = 1
    (path / "c/7/0/0").unlink()
    (doubt,) = open_image(path).notes
    assert "1 of 8 chunks" in doubt
    assert "is missing; it reads as 0" in doubt


@pytest.mark.parametrize("names", NAMES)
def test_an_image_without_its_chunks_is_refused_where_it_is_used(tmp_path: Path, names: str) -> None:
    path = write(tmp_path / "a.zarr", *NAMES[names])  # type: ignore[arg-type]
    for file in chunks(path)[1:]:
        file.unlink()
    with pytest.raises(AnlageError, match=r"31 of 32 chunks .* copy the image again"):
        doubt_image(open_image(path))
    chunks(path)[0].unlink()
    with pytest.raises(AnlageError, match=r"32 of 32 chunks .* copy the image again"):
        open_image(path).require_pixels()


@pytest.mark.parametrize("wrong", [".", "/"])
def test_chunks_under_another_separator_are_told_apart_from_none(tmp_path: Path, wrong: str) -> None:
    path = write(tmp_path / "a.zarr", 2, "/" if wrong == "." else ".")
    about = path / "0" / ".zarray"
    other = "/" if wrong == "." else "."
    about.write_text(
        about.read_text().replace(f'"dimension_separator": "{other}"', f'"dimension_separator": "{wrong}"')
    )
    with pytest.raises(AnlageError, match="chunks lie in its folder under other names: its dimension_separator"):
        open_image(path).require_pixels()


def test_label_images_may_be_empty_for_the_most_part(tmp_path: Path) -> None:
    path = write(tmp_path / "a.zarr", 3, "/")
    for file in chunks(path)[2:]:
        file.unlink()
    labels = open_label_image(path)
    assert labels.read().any()
    assert "30 of 32 chunks" in labels.notes[0]


def test_what_we_left_out_ourselves_is_not_told(tmp_path: Path) -> None:
    movie = np.zeros((4, 1, 2, 8, 8), np.uint16)
    movie[1] = 7
    write_image(tmp_path / "a.zarr", movie)
    assert open_image(tmp_path / "a.zarr").notes == ()
    shutil.rmtree(tmp_path / "a.zarr/0/c/1")
    with pytest.raises(AnlageError, match="1 of the 1 chunks that were written"):
        open_image(tmp_path / "a.zarr").require_pixels()


@pytest.mark.parametrize("names", NAMES)
def test_what_vanishes_while_the_image_is_open_does_not_read_as_0(tmp_path: Path, names: str) -> None:
    path = write(tmp_path / "a.zarr", *NAMES[names])  # type: ignore[arg-type]
    image, other = open_image(path), open_image(path)
    chunks(path)[-1].unlink()
    assert image.frame(0).all()
    with pytest.raises(AnlageError, match="was there when the image was opened, and is gone"):
        image.frame(7)
    shutil.rmtree(path)
    with pytest.raises(AnlageError, match="no longer there; connect its drive"):
        other.frame(0)


@pytest.mark.parametrize("names", NAMES)
def test_chunks_that_were_not_there_read_as_0_to_the_end(tmp_path: Path, names: str) -> None:
    path = write(tmp_path / "a.zarr", *NAMES[names])  # type: ignore[arg-type]
    chunks(path)[0].unlink()
    frame = open_image(path).frame(0)[0]
    assert not frame[:, :8, :8].any()
    assert frame[:, 8:].all()
