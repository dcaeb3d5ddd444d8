"""Commands take whatever holds what they need, say what everything is, and what else would do."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest

from anlage.dataset.store import Store


@pytest.mark.parametrize("name", ["a.geff", "a.xml", "a.aut", "a.ctc", "a.tif"])
def test_a_store_is_built_from_annotations_of_every_format(name: str, folder: Path, command) -> None:
    assert command("convert", "early.csv", name, "--image", "image.ome.zarr")[0] == 0
    code, _, err = command("build", "image.ome.zarr", name, "-o", "s.zarr", "--cuboid", "0:3,0:12,0:72,0:72")
    assert code == 0, err
    assert Store.open(folder / "s.zarr").meta.n_nuclei > 20


def test_points_bring_their_own_voxel_size(folder: Path, command) -> None:
    assert command("convert", "early.csv", "a.csv", "--image", "image.ome.zarr")[0] == 0
    code, _, err = command("build", "-", "a.csv", "-o", "links.zarr")
    assert code == 0, err
    assert Store.open(folder / "links.zarr").meta.interval_s == 300


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("build", "image.ome.zarr", "m.anlage", "-o", "s.zarr"), "'m.anlage' is a model, but nuclei are needed here"),
        (("evaluate", "m.anlage", "truth.csv"), "'m.anlage' is a model, but nuclei are needed here"),
        (("track", "image.ome.zarr", "-o", "t.csv", "--nuclei", "e.csv"), "'e.csv' is a table of events, but nuclei"),
        (("signals", "truth.csv", "truth.csv", "-o", "s.csv"), "'truth.csv' is a table of nuclei, but an image is needed"),
        (("predict", "truth.csv", "image.ome.zarr", "-o", "o.csv"), "'truth.csv' is a table of nuclei, but a model is needed"),
        (("predict", "starter", "truth.csv", "-o", "o.csv"), "'truth.csv' is a table of nuclei, but an image is needed"),
        (("train", "nuclei", "image.ome.zarr", "-o", "r"), "image.ome.zarr' is an image, but a training needs a store"),
        (("train", "events", "truth.csv", "-o", "r"), "truth.csv' is a table of nuclei, but events are learnt from signals"),
        (("convert", "e.csv", "o.csv"), "'e.csv' is a table of events, but nuclei are needed here"),
        (("measure", "m.anlage", "-o", "o.csv"), "'m.anlage' is a model, but label images are needed here"),
    ],
)  # fmt: skip
def test_what_is_given_in_the_wrong_place_is_called_by_its_name(words, said, folder: Path, command, a_model) -> None:
    a_model(folder / "m.anlage")
    (folder / "e.csv").write_text("track_id,class,frame,probability\n1,0,3.5,0.9\n2,1,,0.8\n")
    code, _, err = command(*words)
    assert code == 2
    assert said in err


@pytest.mark.parametrize(
    ("name", "said"),
    [("starter", "# starter"), ("starter-2d", "# starter-2d"), ("classical", "bright blobs"), ("truth.csv", "Radius: median")],
)  # fmt: skip
def test_info_knows_what_can_be_named(name: str, said: str, folder: Path, command) -> None:
    code, out, err = command("info", name)
    assert code == 0, err
    assert said in out


def test_info_tells_each_file_of_a_folder_of_signals(folder: Path, command) -> None:
    sets = folder / "sets"
    sets.mkdir()
    for i in range(2):
        with h5py.File(sets / f"{i}.h5", "w") as file:
            file["events"], file["scores"] = np.zeros((4 + i, 20)), np.array([1, 0, 0, 1, 2][: 4 + i])
    code, out, err = command("info", "sets")
    assert code == 0, err
    assert "2 files of signals" in out
    assert "0.h5: 4 windows of up to 20 samples, 4 scored, of which 2 with an event" in out
    assert "1.h5: 5 windows of up to 20 samples, 4 scored, of which 2 with an event" in out


def test_a_plane_of_gigabytes_is_told_without_being_decoded(folder: Path, command) -> None:
    """A file of two megabytes may unfold to two gigabytes in a single piece."""
    strip = zlib.compress(bytes(2**20))
    tags = {256: 30_000, 257: 30_000, 258: 16, 259: 8, 262: 1, 273: 8, 277: 1, 278: 30_000, 279: len(strip)}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    directory = struct.pack("<H", len(tags)) + entries + struct.pack("<I", 0)
    (folder / "bomb.tif").write_bytes(struct.pack("<2sHI", b"II", 42, 8 + len(strip)) + strip + directory)
    code, out, err = command("info", "bomb.tif")
    assert code == 0, f"its only strip is damaged, which decoding would find: {err}"
    assert "30000 y × 30000 x" in out
