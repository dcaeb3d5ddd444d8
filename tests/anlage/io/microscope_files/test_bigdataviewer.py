"""BigDataViewer's XML with HDF5 and N5."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from anlage import AnlageError, Box, Spacing, open_image

XML = """<SpimData><SequenceDescription><ImageLoader format="bdv.hdf5"><hdf5 type="relative">a.h5</hdf5></ImageLoader><ViewSetups>
<ViewSetup><id>0</id><name>h2b</name><voxelSize><unit>micron</unit><size>0.5 0.5 2</size></voxelSize></ViewSetup>
<ViewSetup><id>1</id><name>mem</name></ViewSetup></ViewSetups></SequenceDescription></SpimData>"""


def test_time_points_and_setups_are_frames_and_channels(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(XML)
    pixels = np.arange(2 * 2 * 3 * 4 * 5, dtype=np.uint16).reshape(2, 2, 3, 4, 5) + 40_000
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for t in range(2):
            for s in range(2):
                file[f"t{t:05}/s{s:02}/0/cells"] = pixels[t, s].view(np.int16)
    image = open_image(tmp_path / "a.xml")
    assert (image.shape, image.spacing, image.channels) == ((2, 2, 3, 4, 5), Spacing(2, 0.5, 0.5), ("h2b", "mem"))
    assert (image.read() == pixels).all()


def test_n5_is_read_like_hdf5(tmp_path: Path) -> None:
    tensorstore = pytest.importorskip("tensorstore", reason="tensorstore, the extra 'fast', is not installed")
    (tmp_path / "a.xml").write_text(XML.replace("hdf5", "n5").replace("a.h5", "a.n5"))
    pixels = np.arange(2 * 2 * 3 * 4 * 5, dtype=np.uint16).reshape(2, 2, 3, 4, 5) + 40_000
    for t in range(2):
        for s in range(2):
            place = {"driver": "file", "path": str(tmp_path / "a.n5" / f"setup{s}" / f"timepoint{t}" / "s0")}
            about = {
                "dimensions": [5, 4, 3],
                "blockSize": [2, 2, 2],
                "dataType": "uint16",
                "compression": {"type": "gzip"},
            }
            array = tensorstore.open({"driver": "n5", "kvstore": place, "metadata": about}, create=True).result()
            array.write(pixels[t, s].T).result()
    image = open_image(tmp_path / "a.xml")
    assert (image.shape, image.spacing, image.channels) == ((2, 2, 3, 4, 5), Spacing(2, 0.5, 0.5), ("h2b", "mem"))
    assert (image.read() == pixels).all()
    part = image.read(Box((1, 2), (1, 3), (0, 2), (3, 5)), [1])
    assert (part == pixels[1:2, 1:2, 1:3, 0:2, 3:5]).all()
    (tmp_path / "a.n5" / "setup1" / "timepoint1" / "s0" / "attributes.json").write_text("{")
    with pytest.raises(AnlageError, match=r"N5 array .* cannot be read"):
        open_image(tmp_path / "a.xml")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (XML, "cannot be read"),
        (XML.replace("a.h5", "../a.h5"), "does not lie inside"),
        (XML.replace("hdf5", "filemap2"), "describes neither HDF5"),
        (XML.replace("hdf5", "n5"), "holds no time point"),
        ("<!DOCTYPE x>" + XML, "declares a document type"),
        (XML[:200], "cannot be read"),
    ],
)
def test_what_is_wrong_is_a_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "a.xml").write_text(text)
    with pytest.raises(AnlageError, match=sentence):
        open_image(tmp_path / "a.xml")


def test_cells_in_another_file_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(XML)
    with h5py.File(tmp_path / "b.h5", "w") as other:
        other["x"] = np.zeros((3, 4, 5), np.int16)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["t00000/s00/0/cells"] = h5py.ExternalLink("b.h5", "x")
    with pytest.raises(AnlageError, match="lies in another file"):
        open_image(tmp_path / "a.xml")
