"""Images that we write are valid for others and come back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile
import yaozarrs
import zarr

from anlage import AnlageError, Spacing
from anlage.annotations import Annotations
from anlage.io import open_annotations, open_image, write_annotations, write_image, write_tiff

DATA = np.random.default_rng(0).integers(0, 60000, (3, 2, 4, 20, 30)).astype(np.uint16)


def test_an_ome_zarr_is_valid_and_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "new" / "movie.ome.zarr"
    write_image(path, DATA, spacing=Spacing(2, 0.5, 0.25), interval_s=30, channels=("H2B", "membrane"))
    yaozarrs.validate_zarr_store(str(path))
    assert zarr.open_array(path / "0", mode="r").chunks == (1, 1, 4, 20, 30)
    image = open_image(path)
    assert (image.spacing, image.interval_s, image.channels) == (Spacing(2, 0.5, 0.25), 30, ("H2B", "membrane"))
    np.testing.assert_array_equal(image.read(), DATA)


def test_frames_are_written_as_they_come(tmp_path: Path) -> None:
    alive = 0

    def frames() -> Iterator[np.ndarray]:
        nonlocal alive
        for frame in DATA:
            alive += 1
            yield frame

    write_image(tmp_path / "a.zarr", frames())
    assert alive == 3
    image = open_image(tmp_path / "a.zarr")
    np.testing.assert_array_equal(image.read(), DATA)
    assert (image.spacing, image.interval_s) == (None, None)


def test_labels_have_no_channels(tmp_path: Path) -> None:
    write_image(tmp_path / "a.zarr", DATA[:, 0].astype(np.uint32), axes="tzyx", spacing=Spacing(2, 1, 1))
    yaozarrs.validate_zarr_store(str(tmp_path / "a.zarr"))
    assert zarr.open_array(tmp_path / "a.zarr" / "0", mode="r").shape == (3, 4, 20, 30)
    write_tiff(tmp_path / "a.tif", DATA[:, 0].astype(np.uint32), axes="tzyx")
    assert open_image(tmp_path / "a.tif").shape == (3, 1, 4, 20, 30)


def test_an_ome_tiff_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "new" / "movie.tif"
    write_tiff(path, iter(DATA), n_frames=3, spacing=Spacing(2, 0.5, 0.25), interval_s=30, channels=("H2B", "membrane"))
    image = open_image(path)
    assert (image.spacing, image.interval_s, image.channels) == (Spacing(2, 0.5, 0.25), 30, ("H2B", "membrane"))
    np.testing.assert_array_equal(image.read(), DATA)
    with tifffile.TiffFile(path) as file:
        assert file.is_ome


def test_what_was_there_survives_a_failure(tmp_path: Path) -> None:
    path = tmp_path / "a.zarr"
    write_image(path, DATA)

    def broken() -> Iterator[np.ndarray]:
        yield DATA[0]
        raise RuntimeError("the network fell over")

    with pytest.raises(RuntimeError, match="fell over"):
        write_image(path, broken())
    np.testing.assert_array_equal(open_image(path).read(), DATA)
    assert [p.name for p in tmp_path.iterdir()] == ["a.zarr"]


def test_frames_of_different_shape_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AnlageError, match=r"Frame 1 .* has the shape \(2, 4, 20, 29\)"):
        write_image(tmp_path / "a.zarr", iter([DATA[0], DATA[1, ..., 1:]]))
    with pytest.raises(AnlageError, match="There is no frame to write"):
        write_image(tmp_path / "a.zarr", iter([]))
    with pytest.raises(AnlageError, match="announced with 5 frames, but 3 came"):
        write_tiff(tmp_path / "a.tif", iter(DATA), n_frames=5)
    with pytest.raises(AnlageError, match="axes 'xyzct' are not some of tczyx in this order"):
        write_image(tmp_path / "a.zarr", DATA, axes="xyzct")
    assert list(tmp_path.iterdir()) == []


def test_only_an_image_of_the_same_kind_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.zarr"
    data = np.zeros((1, 1, 2, 8, 8), np.uint8)
    write_image(path, data, kind="heat-map")
    write_image(path, data + 7, kind="heat-map")
    assert open_image(path).read().max() == 7
    with pytest.raises(AnlageError, match="is not replaced"):
        write_image(path, data)
    with pytest.raises(AnlageError, match="is not replaced"):
        write_annotations(path.rename(tmp_path / "a.geff"), Annotations.of([[0, 1, 2, 3]]))
    assert open_image(tmp_path / "a.geff").read().max() == 7


def test_a_geff_is_replaced_by_a_geff(tmp_path: Path) -> None:
    path = tmp_path / "a.geff"
    write_annotations(path, Annotations.of([[0, 1, 2, 3]]))
    write_annotations(path, Annotations.of([[0, 1, 2, 3], [0, 4, 5, 6]]))
    assert len(open_annotations(path)) == 2
