"""OME-Zarr 0.4 and 0.5 as other programs write them, and arrays without metadata."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from numcodecs import Blosc
from zarr.codecs import BloscCodec

from anlage import AnlageError, Box, Spacing
from anlage.io import open_annotations, open_image, reading
from anlage.io.zarr_files.ome_zarr import is_zipped, label_groups, open_zarr

DATA = np.random.default_rng(0).integers(0, 200, (3, 2, 4, 16, 18)).astype(np.uint16)
AXES = [
    {"name": "t", "type": "time", "unit": "minute"},
    {"name": "c", "type": "channel"},
    {"name": "z", "type": "space", "unit": "micrometer"},
    {"name": "y", "type": "space", "unit": "nanometer"},
    {"name": "x", "type": "space", "unit": "millimeter"},
]


def write(path: Path, version: str, data: np.ndarray = DATA, **about: Any) -> Path:
    zarr_format: Any = 2 if version == "0.4" else 3
    group = zarr.create_group(path, zarr_format=zarr_format, overwrite=True)
    group.create_array("0", data=data, chunks=(1,) * (data.ndim - 3) + data.shape[-3:])
    group.create_array("1", data=data[..., ::2, ::2])
    scale = about.pop("scale", [1.0] * data.ndim)
    multiscale = {
        "axes": about.pop("axes", AXES),
        "datasets": [
            {"path": "0", "coordinateTransformations": [{"type": "scale", "scale": scale}]},
            {"path": "1", "coordinateTransformations": [{"type": "scale", "scale": [2 * s for s in scale]}]},
        ],
        **about.pop("multiscale", {}),
    }
    ome = {"multiscales": [{"version": version, **multiscale}], **about}
    group.attrs.update(ome if version == "0.4" else {"ome": {"version": version, **ome}})
    return path


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_level_zero_is_read_with_scale_units_and_channels(tmp_path: Path, version: str) -> None:
    path = write(
        tmp_path / "a.zarr", version, scale=[2, 1, 2, 500, 0.0005],
        omero={"channels": [{"label": "H2B", "color": "FF0000"}, {"label": "membrane", "color": "00FF00"}]},
    )  # fmt: skip
    image = open_image(path)
    assert image.shape == DATA.shape
    assert image.spacing is not None
    assert image.spacing.zyx == pytest.approx((2, 0.5, 0.5))
    assert image.interval_s == 120
    assert image.channels == ("H2B", "membrane")
    assert "(axes from the OME-Zarr metadata)" in reading(image)
    np.testing.assert_array_equal(image.read(Box((1, 2), (1, 3), (3, 9), (0, 5)), [1]), DATA[1:2, 1:2, 1:3, 3:9, :5])


def test_scales_of_level_and_image_are_multiplied(tmp_path: Path) -> None:
    outer = {"coordinateTransformations": [{"type": "scale", "scale": [0.5, 1, 1, 1, 1]}]}
    image = open_image(write(tmp_path / "a.zarr", "0.4", scale=[1, 1, 2, 500, 0.0005], multiscale=outer))
    assert image.interval_s == 30


def test_a_movie_without_channels(tmp_path: Path) -> None:
    axes = [AXES[0], *AXES[2:]]
    image = open_image(write(tmp_path / "a.zarr", "0.5", DATA[:, 0], axes=axes))
    assert image.shape == (3, 1, 4, 16, 18)


def test_scales_without_unit_are_taken_as_um_and_said(tmp_path: Path) -> None:
    axes = [{"name": a["name"], "type": a["type"]} for a in AXES]
    image = open_image(write(tmp_path / "a.zarr", "0.4", axes=axes, scale=[1, 1, 2, 0.5, 0.5]))
    assert image.spacing == Spacing(2, 0.5, 0.5)
    assert "no unit there, so taken as µm" in reading(image)
    assert image.interval_s is None
    image = open_image(write(tmp_path / "b.zarr", "0.4", axes=axes))
    assert image.spacing is None


def test_a_level_given_by_its_path_knows_its_group(tmp_path: Path) -> None:
    path = write(tmp_path / "a.zarr", "0.5", scale=[2, 1, 2, 500, 0.0005])
    image = open_image(path / "1")
    assert image.shape == (3, 2, 4, 8, 9)
    assert image.spacing is not None
    assert image.spacing.zyx == pytest.approx((4, 1, 1))


def test_arrays_without_metadata(tmp_path: Path) -> None:
    zarr.create_array(tmp_path / "a.zarr", data=DATA[:, 0])
    assert open_image(tmp_path / "a.zarr").axes == "tzyx"
    zarr.create_array(tmp_path / "b.zarr", data=DATA[:, :, 0], dimension_names=["t", "c", "y", "x"])
    assert open_image(tmp_path / "b.zarr").shape == (3, 2, 1, 16, 18)
    old = zarr.create_array(tmp_path / "c.zarr", data=DATA[0], zarr_format=2)
    old.attrs["_ARRAY_DIMENSIONS"] = ["time", "z", "y", "x"]
    assert open_image(tmp_path / "c.zarr").axes == "tzyx"
    assert open_image(tmp_path / "c.zarr", axes="czyx").shape == (1, 2, 4, 16, 18)


def test_a_group_with_one_array_is_that_array(tmp_path: Path) -> None:
    group = zarr.create_group(tmp_path / "a.zarr")
    group.create_array("raw", data=DATA)
    assert open_image(tmp_path / "a.zarr").shape == DATA.shape
    group.create_array("other", data=DATA)
    with pytest.raises(AnlageError, match=r"holds 2 images \['other', 'raw'\]; open one, for example '.*other'"):
        open_image(tmp_path / "a.zarr")


def test_the_image_of_a_store(tmp_path: Path) -> None:
    group = zarr.create_group(tmp_path / "store.zarr")
    group.create_array("image", data=DATA)
    group.create_array("weight", data=DATA[:, 0])
    group.attrs["anlage_store"] = {"spacing_um_zyx": [2, 1, 1], "interval_s": 60.0, "channels": ["a", "b"]}
    image = open_image(tmp_path / "store.zarr")
    assert (image.spacing, image.interval_s, image.channels) == (Spacing(2, 1, 1), 60, ("a", "b"))


def test_a_plate_is_refused_with_the_way_to_a_field(tmp_path: Path) -> None:
    zarr.create_group(tmp_path / "p.zarr").attrs["ome"] = {"version": "0.5", "plate": {"wells": []}}
    with pytest.raises(AnlageError, match="is a plate of many images; open one of its fields"):
        open_image(tmp_path / "p.zarr")


def test_a_missing_level_is_a_sentence(tmp_path: Path) -> None:
    path = write(tmp_path / "a.zarr", "0.5")
    del zarr.open_group(path, mode="a")["0"]
    with pytest.raises(AnlageError, match="is an OME-Zarr without its largest level"):
        open_image(path)


def test_broken_metadata_is_a_sentence(tmp_path: Path) -> None:
    path = write(tmp_path / "a.zarr", "0.5")
    (path / "zarr.json").write_text("{")
    with pytest.raises(AnlageError, match="cannot be read: it is not JSON"):
        open_image(path)


def test_a_damaged_chunk_is_a_sentence(tmp_path: Path) -> None:
    path = write(tmp_path / "a.zarr", "0.5")
    chunk = next(p for p in (path / "0" / "c").rglob("*") if p.is_file())
    chunk.write_bytes(b"garbage, no zstd")
    with pytest.raises(AnlageError, match=r"A part of .*a\.zarr' cannot be read"):
        open_image(path).read()


LYING_HEADERS = {
    "a negative size": (4, b"\xff\xff\xff\xff"),
    "more packed bytes than there are": (12, b"\x23\x52\xa6\x29"),
    "fewer": (12, b"\x10\x00\x00\x00"),
}


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("lie", LYING_HEADERS)
def test_a_chunk_that_lies_about_its_size_is_a_sentence(tmp_path: Path, version: Any, lie: str) -> None:
    """The decompressor believes it and reads beyond the end, which ended the program."""
    path = tmp_path / "a.zarr"
    compressor: Any = BloscCodec(cname="zstd") if version == 3 else Blosc(cname="zstd")
    array = zarr.create_array(
        path, shape=(2, 3, 16, 16), chunks=(1, 3, 16, 16), dtype="uint16", compressors=compressor, zarr_format=version
    )
    array[:] = 7
    chunk = path / ("c/0/0/0/0" if version == 3 else "0.0.0.0")
    at, lying = LYING_HEADERS[lie]
    content = bytearray(chunk.read_bytes())
    content[at : at + 4] = lying
    image = open_image(path, axes="tzyx", spacing=Spacing(1, 1, 1))
    for damaged in (bytes(content), b"short"):
        chunk.write_bytes(damaged)
        with pytest.raises(AnlageError, match=r"A part of .*a\.zarr' cannot be read .*the chunk .*; it is damaged"):
            image.read(Box((0, 1), (0, 3), (0, 16), (0, 16)))
    assert (image.read(Box((1, 2), (0, 3), (0, 16), (0, 16))) == 7).all()


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_labels_inside_an_image_are_its_annotations(tmp_path: Path, version: str) -> None:
    path = write(tmp_path / "a.zarr", version)
    root = zarr.open_group(path, mode="a")
    painted = np.zeros((3, 4, 16, 18), np.uint16)
    painted[:, 1:3, 4:7, 5:8] = 9
    labels = root.create_group("labels")
    labels.attrs.update(
        {"labels": ["nuclei"]} if version == "0.4" else {"ome": {"version": "0.5", "labels": ["nuclei"]}}
    )
    write(path / "labels" / "nuclei", version, painted, axes=[AXES[0], *AXES[2:]])
    image = open_image(path)
    found = open_annotations(path, image=image)
    np.testing.assert_allclose(found.positions[0], [0, 1.5, 5, 6])
    assert found.links.tolist() == [[1, 2], [2, 3]]


def test_the_image_is_not_taken_for_its_labels(tmp_path: Path) -> None:
    path = write(tmp_path / "a.zarr", "0.5")
    with pytest.raises(AnlageError, match="is the image itself and carries no labels"):
        open_annotations(path, image=open_image(path))


def store(path: Path, data: np.ndarray = DATA, **about: object) -> Path:
    group = zarr.create_group(path)
    group.create_array("image", data=data)
    group.attrs["anlage_store"] = about
    return path


def test_a_store_says_what_it_knows_and_no_more(tmp_path: Path) -> None:
    image = open_image(
        store(tmp_path / "a.zarr", spacing_um_zyx=[0.5, 0.25, 0.25], interval_s=0.5, channels=["a", "b"])
    )
    assert (image.spacing, image.interval_s, image.channels) == (Spacing(0.5, 0.25, 0.25), 0.5, ("a", "b"))
    assert (image.spacing_from, image.interval_from, image.axes_from) == ("the store", "the store", "their count")
    bare = open_image(store(tmp_path / "b.zarr", channels=["a", "b", "c"]))
    assert (bare.spacing, bare.interval_s, bare.channels) == (None, None, ("channel 0", "channel 1"))
    assert (bare.spacing_from, bare.interval_from) == ("", "")
    one = open_image(store(tmp_path / "c.zarr", DATA[:, 0], channels=["only"]))
    assert (one.axes, one.channels) == ("tzyx", ("only",))
    given = open_image(store(tmp_path / "d.zarr", DATA[0]), axes="tzyx")
    assert (given.shape, given.axes_from) == ((2, 1, 4, 16, 18), "given")


@pytest.mark.parametrize(
    ("about", "where"),
    [
        ({"spacing_um_zyx": [0, 1, 1]}, "spacing_um_zyx.0"),
        ({"spacing_um_zyx": [1, 1, 1e9]}, "spacing_um_zyx.2"),
        ({"spacing_um_zyx": [1, 1]}, "spacing_um_zyx.2"),
        ({"interval_s": -1}, "interval_s"),
        ({"channels": "ab"}, "channels"),
    ],
)
def test_a_store_whose_description_cannot_be_is_a_sentence(tmp_path: Path, about: dict[str, Any], where: str) -> None:
    path = store(tmp_path / "a.zarr", **about)
    with pytest.raises(
        AnlageError, match=rf"The description of '.*a\.zarr' is damaged at '{where}' \(.*\); copy it again"
    ):
        open_image(path)


def test_what_a_store_says_cannot_be_changed() -> None:
    from anlage.io.zarr_files.ome_zarr import _StoreImage

    with pytest.raises(ValueError, match="frozen"):
        _StoreImage().interval_s = 1.0  # type: ignore[misc]


def test_a_group_called_image_is_no_store(tmp_path: Path) -> None:
    path = tmp_path / "a.zarr"
    zarr.create_group(path)
    write(path / "image", "0.5", scale=[2, 1, 2, 500, 0.0005])
    assert open_image(path).interval_s == 120


def test_a_series_in_a_group_is_found_and_text_is_no_image(tmp_path: Path) -> None:
    path = tmp_path / "a.zarr"
    zarr.create_group(path, zarr_format=2).create_array("names", data=np.array(["a", "b"]))
    zarr.open_group(path, mode="a").create_group("nothing")
    with pytest.raises(AnlageError, match=r"holds no image; its members are \['names', 'nothing'\]"):
        open_image(path)
    write(path / "0", "0.4", scale=[2, 1, 2, 500, 0.0005])
    image = open_image(path)
    assert image.shape == DATA.shape
    assert image.interval_s == 120


def test_given_axes_come_before_those_of_the_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a.zarr", "0.5", DATA[:, 0], axes=[AXES[0], *AXES[2:]])
    image = open_image(path, axes="czyx")
    assert (image.shape, image.axes_from) == ((1, 3, 4, 16, 18), "given")
    level = open_image(path / "1", axes="czyx")
    assert (level.shape, level.spacing) == ((1, 3, 4, 8, 9), None)
    for axes in ("zyx", "tczyx"):
        with pytest.raises(AnlageError, match=rf"axes '{axes}' do not fit .* name each of its 4 axes"):
            open_image(path, axes=axes)


def test_old_versions_name_no_axes(tmp_path: Path) -> None:
    path = write(tmp_path / "a.zarr", "0.4", axes=[], scale=[1, 1, 2, 500, 0.0005])
    assert open_image(path).shape == DATA.shape
    path = write(tmp_path / "b.zarr", "0.4", DATA[:, 0], axes=[])
    image = open_image(path)
    assert (image.axes, image.axes_from, image.spacing) == ("tzyx", "their count", None)


def test_the_only_channel_of_an_image_without_that_axis_has_a_name(tmp_path: Path) -> None:
    axes = [AXES[0], *AXES[2:]]
    path = write(tmp_path / "a.zarr", "0.5", DATA[:, 0], axes=axes, omero={"channels": [{"label": "H2B"}]})
    assert open_image(path).channels == ("H2B",)


@pytest.mark.parametrize(
    ("names", "axes"),
    [
        (["Time", "Channel", "y", "x"], "tcyx"),
        (["time", "t", "y", "x"], "tzyx"),  # one twice
        (["t", "w", "y", "x"], "tzyx"),  # none of ours
        (["z", "y", "x"], "tzyx"),  # too few
        ("tcyx", "tzyx"),  # no list
    ],
)
def test_names_of_an_array_are_taken_if_they_are_axes(tmp_path: Path, names: Any, axes: str) -> None:
    array = zarr.create_array(tmp_path / "a.zarr", data=DATA[:, :, 0], zarr_format=2)
    array.attrs["_ARRAY_DIMENSIONS"] = names
    image = open_image(tmp_path / "a.zarr")
    assert image.axes == axes
    assert image.axes_from == ("the names in the array" if axes == "tcyx" else "their count")


def without_chunks(path: Path, *keys: str) -> Path:
    for key in keys:
        (path / "c" / key).unlink()
    return path


def test_absent_chunks_are_told_with_their_frames(tmp_path: Path) -> None:
    array = zarr.create_array(tmp_path / "a.zarr", shape=(4, 16, 18), chunks=(1, 16, 18), dtype="u1")
    array[...] = 7
    path = without_chunks(tmp_path / "a.zarr", "2/0/0")
    assert "1 of 4 chunks" in open_zarr(path, "tyx").notes[0]
    assert "is missing (frame 2); it reads as 0" in open_zarr(path, "tyx").notes[0]
    assert "is missing; it reads as 0" in open_zarr(path, "zyx").notes[0]
    with pytest.raises(AnlageError, match="axes 'zyxt' do not fit"):
        open_zarr(path, "zyxt")


def test_of_images_most_must_be_there_and_of_labels_little(tmp_path: Path) -> None:
    array = zarr.create_array(tmp_path / "a.zarr", shape=(40, 16, 18), chunks=(1, 16, 18), dtype="u1")
    array[0] = 7  # chunks of zeros are not written
    with pytest.raises(AnlageError, match=r"39 of 40 chunks .* too little to work with"):
        open_zarr(tmp_path / "a.zarr", "tyx").require_pixels()
    labels = open_zarr(tmp_path / "a.zarr", "tyx", is_labels=True)
    labels.require_pixels()
    assert labels.read()[:, 0, 0].max() == 7


def test_a_level_that_is_no_array_is_a_missing_one(tmp_path: Path) -> None:
    path = write(tmp_path / "a.zarr", "0.5")
    del zarr.open_group(path, mode="a")["0"]
    zarr.open_group(path, mode="a").create_group("0")
    with pytest.raises(AnlageError, match=r"is an OME-Zarr without its largest level \('0'\); copy it again"):
        open_image(path)


def test_labels_are_those_that_are_listed_and_there(tmp_path: Path) -> None:
    path = write(tmp_path / "a.zarr", "0.5")
    assert label_groups(path) == []
    labels = zarr.open_group(path, mode="a").create_group("labels")
    labels.create_array("nuclei", data=DATA[:, 0])
    labels.create_array("other", data=DATA[:, 0])
    labels.attrs["ome"] = {"version": "0.5", "labels": ["nuclei", "gone"]}
    assert label_groups(path) == [path / "labels" / "nuclei"]


def test_names_of_packed_zarrs() -> None:
    assert all(is_zipped(Path(name)) for name in ("a.zip", "A.ZARR.ZIP", "a.zarr.tar.gz", "a.ozx"))
    assert not is_zipped(Path("a.zarr"))


def test_an_array_may_name_all_five_axes(tmp_path: Path) -> None:
    zarr.create_array(tmp_path / "a.zarr", data=DATA, dimension_names=["channel", "time", "z", "y", "x"])
    assert open_image(tmp_path / "a.zarr").shape == (2, 3, 4, 16, 18)
