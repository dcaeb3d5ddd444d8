"""Files of microscope makers through bioio: CZI, written here by Zeiss' own library; LIF and ND2, which nothing free writes."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anlage import AnlageError, Box, Spacing, open_image
from anlage.io.images import image_paths

PIXELS = np.random.default_rng(0).integers(0, 4000, (3, 2, 4, 24, 32)).astype(np.uint16)
"""t, c, z, y, x."""


@pytest.fixture(scope="module")
def writer() -> Any:
    pytest.importorskip("bioio_czi", reason="bioio-czi, of the extra 'vendor', is not installed")
    return pytest.importorskip("pylibCZIrw.czi")


def write(writer: Any, path: Path) -> None:
    with writer.create_czi(str(path)) as file:
        for t, c, z in np.ndindex(PIXELS.shape[:3]):
            file.write(PIXELS[t, c, z][..., None], plane={"T": t, "C": c, "Z": z})
        file.write_metadata("a", channel_names={0: "H2B", 1: "membrane"}, scale_x=3e-7, scale_y=3e-7, scale_z=1.5e-6)


def test_a_czi_is_read_lazily_with_its_voxels_and_names(writer: Any, tmp_path: Path) -> None:
    write(writer, tmp_path / "a.czi")
    image = open_image(tmp_path / "a.czi")
    assert (image.shape, image.channels) == (PIXELS.shape, ("H2B", "membrane"))
    assert image.spacing is not None
    assert image.spacing.um == pytest.approx(Spacing(1.5, 0.3, 0.3).um)
    assert (image.frame(2) == PIXELS[2]).all()
    assert (image.read(Box((1, 2), (1, 3), (4, 9), (5, 8)), [1]) == PIXELS[1:2, 1:2, 1:3, 4:9, 5:8]).all()
    assert image_paths(tmp_path / "a.czi") == (tmp_path / "a.czi",)


def test_of_several_images_in_a_file_one_is_named(writer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The free writer of CZI names no images, so that the reader is told that there are three."""
    file = tmp_path / "a.czi"
    write(writer, file)
    monkeypatch.setattr("bioio_czi.Reader.scenes", ("left", "right", "7"))
    with pytest.raises(
        AnlageError, match=r"holds 3 images \('left', 'right', '7'\): give one, for example '.*a.czi.left'"
    ):
        open_image(file)
    for name in ("left", "0"):
        assert (open_image(file / name).frame(2) == PIXELS[2]).all()
    with pytest.raises(AnlageError, match="holds no image 'middle'; its images are 'left', 'right', '7', or 0 to 2"):
        open_image(file / "middle")
    assert image_paths(file) == (file / "0", file / "1", file / "2")


@pytest.mark.parametrize("suffix", [".czi", ".lif", ".nd2"])
def test_a_file_that_is_none_is_refused_in_a_sentence(tmp_path: Path, suffix: str) -> None:
    if importlib.util.find_spec("bioio_base") is None:
        pytest.skip("bioio's readers, the extra 'vendor', are not installed")
    (tmp_path / f"a{suffix}").write_bytes(b"nothing of that kind" * 40)
    with pytest.raises(AnlageError, match="cannot be read"):
        open_image(tmp_path / f"a{suffix}")


@pytest.mark.parametrize(("suffix", "package"), [(".czi", "bioio-czi"), (".lif", "bioio-lif"), (".nd2", "bioio-nd2")])
def test_without_the_package_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, package: str
) -> None:
    (tmp_path / f"a{suffix}").write_bytes(b"x")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(AnlageError, match=f"needs the package {package}: .*pip install"):
        open_image(tmp_path / f"a{suffix}")
