"""TIFFs as they come from Fiji, Bio-Formats, tifffile and half-finished copies."""

from __future__ import annotations

import gc
import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from anlage import AnlageError, Box, Spacing
from anlage.io import open_image, reading
from anlage.io.tiff_integrity import count_pages, is_tiff


def movie(*shape: int, dtype: str = "uint16") -> np.ndarray:
    return np.random.default_rng(0).integers(0, 200, shape).astype(dtype)


def write(path: Path, data: np.ndarray, **options: Any) -> Path:
    tifffile.imwrite(path, data, **{"photometric": "minisblack", **options})
    return path


@pytest.mark.parametrize(
    ("shape", "axes"), [((6, 7), "yx"), ((5, 6, 7), "zyx"), ((4, 5, 6, 7), "tzyx"), ((4, 3, 5, 6, 7), "tczyx")]
)
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_unnamed_axes_follow_their_count(
    tmp_path: Path, shape: tuple[int, ...], axes: str, compression: str | None
) -> None:
    data = movie(*shape)
    image = open_image(write(tmp_path / "plain.tif", data, compression=compression))
    assert (image.axes, image.axes_from) == (axes, "their count")
    whole = image.read()
    assert whole.dtype == np.uint16
    np.testing.assert_array_equal(whole.reshape(shape), data)
    assert image.spacing is None


def test_given_axes_override_the_file(tmp_path: Path) -> None:
    data = movie(5, 6, 7)
    image = open_image(write(tmp_path / "movie.tif", data), axes="TYX")
    assert image.shape == (5, 1, 1, 6, 7)
    np.testing.assert_array_equal(image.frame(3)[0, 0], data[3])
    assert "axes from given" in reading(image)


def test_given_axes_may_name_axes_of_length_one(tmp_path: Path) -> None:
    data = movie(4, 1, 3, 6, 7)
    path = write(tmp_path / "ome.tif", data, ome=True, metadata={"axes": "TCZYX"}, compression="zlib")
    image = open_image(path, axes="tczyx")
    assert image.shape == (4, 1, 3, 6, 7)
    np.testing.assert_array_equal(image.read(Box((1, 3), (1, 2), (0, 6), (2, 5))), data[1:3, :, 1:2, :, 2:5])


@pytest.mark.parametrize("axes", ["tyxx", "tyq", ""])
def test_axes_that_are_none_are_refused(tmp_path: Path, axes: str) -> None:
    path = write(tmp_path / "movie.tif", movie(5, 6, 7))
    with pytest.raises(AnlageError, match="are not some of the letters t, c, z, y, x"):
        open_image(path, axes=axes)


def test_axes_of_the_wrong_number_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "movie.tif", movie(5, 6, 7))
    with pytest.raises(AnlageError, match=r"axes 'tzyx' do not fit .* shape \(5, 6, 7\): name each of its 3 axes"):
        open_image(path, axes="tzyx")


def test_a_crop_is_read_alike_from_memory_map_and_pages(tmp_path: Path) -> None:
    data = movie(4, 3, 5, 40, 50)
    box = Box((1, 3), (2, 5), (7, 30), (11, 50))
    for compression in (None, "zlib"):
        image = open_image(write(tmp_path / f"{compression}.tif", data, compression=compression))
        np.testing.assert_array_equal(image.read(box, channels=[2, 0]), data[1:3, [2, 0], 2:5, 7:30, 11:50])


def test_tiles_and_big_endian_come_in_the_machines_order(tmp_path: Path) -> None:
    data = movie(3, 64, 80)
    image = open_image(write(tmp_path / "tiles.tif", data, tile=(32, 32), byteorder=">", compression="zlib"))
    mapped = open_image(write(tmp_path / "flat.tif", data, byteorder=">"))
    for found in (image, mapped):
        assert found.dtype == np.dtype("uint16")
        assert found.frame(0).dtype.isnative
        np.testing.assert_array_equal(found.read(Box((0, 1), (1, 3), (5, 40), (0, 80)))[0, 0], data[1:3, 5:40])


def test_threads_may_read_at_once(tmp_path: Path) -> None:
    data = movie(12, 6, 64, 64)
    image = open_image(write(tmp_path / "movie.tif", data, compression="zlib"))
    with ThreadPoolExecutor(4) as pool:
        frames = list(pool.map(lambda t: image.frame(t)[0], [*range(12)] * 3))
    for i, frame in enumerate(frames):
        np.testing.assert_array_equal(frame, data[i % 12])


def test_a_bigtiff_is_mapped_not_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.tif"
    mapped = tifffile.memmap(path, shape=(60, 40, 1024, 1024), dtype="uint16", bigtiff=True)  # 5 GB, sparse on disk
    mapped[59, 39, 1000, 1000] = 7
    mapped.flush()
    del mapped
    gc.collect()
    image = open_image(path)
    assert image.shape == (60, 1, 40, 1024, 1024)
    assert image.read(Box((59, 60), (38, 40), (999, 1002), (999, 1002))).max() == 7


def test_ome_metadata_is_read_with_its_units(tmp_path: Path) -> None:
    about = {
        "axes": "TCZYX", "PhysicalSizeX": 250, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 0.00025,
        "PhysicalSizeYUnit": "mm", "PhysicalSizeZ": 2, "TimeIncrement": 1.5, "TimeIncrementUnit": "min",
        "Channel": {"Name": ["H2B", "membrane"]},
    }  # fmt: skip
    image = open_image(write(tmp_path / "a.ome.tif", movie(3, 2, 4, 8, 9), ome=True, metadata=about))
    assert image.shape == (3, 2, 4, 8, 9)
    assert image.spacing is not None
    assert image.spacing.zyx == pytest.approx((2, 0.25, 0.25))
    assert image.interval_s == 90
    assert image.channels == ("H2B", "membrane")
    assert "OME metadata" in reading(image)


def test_ome_in_pixels_has_no_voxel_size(tmp_path: Path) -> None:
    about = {
        "axes": "ZYX",
        **{f"PhysicalSize{a}": 1 for a in "XYZ"},
        **{f"PhysicalSize{a}Unit": "pixel" for a in "XYZ"},
    }
    assert open_image(write(tmp_path / "a.ome.tif", movie(4, 8, 9), ome=True, metadata=about)).spacing is None


def test_ome_times_of_planes_give_the_interval(tmp_path: Path) -> None:
    about = {"axes": "TYX", "Plane": {"DeltaT": [0.0, 30.0, 60.0, 90.0], "DeltaTUnit": ["s"] * 4, "TheT": [0, 1, 2, 3],
                                      "TheC": [0] * 4, "TheZ": [0] * 4}}  # fmt: skip
    image = open_image(write(tmp_path / "a.ome.tif", movie(4, 8, 9), ome=True, metadata=about))
    assert image.interval_s == pytest.approx(30)
    assert image.interval_from == "the times of its planes"


@pytest.mark.parametrize("unit", ["\\u00B5m", "um", "micron", "µm", "microns"])
def test_imagej_metadata_is_read(tmp_path: Path, unit: str) -> None:
    about = {"axes": "TZCYX", "unit": unit, "spacing": 2.5, "finterval": 30.0}
    path = tmp_path / "ij.tif"
    if unit == "µm":  # tifffile writes ASCII only; other programs put Latin-1
        write(path, movie(3, 4, 2, 8, 9), imagej=True, resolution=(2, 4), metadata={**about, "unit": "XX"})
        path.write_bytes(path.read_bytes().replace(b"unit=XX", b"unit=\xb5m"))
    else:
        write(path, movie(3, 4, 2, 8, 9), imagej=True, resolution=(2, 4), metadata=about)
    image = open_image(path)
    assert image.shape == (3, 2, 4, 8, 9)
    assert image.spacing is not None
    assert image.spacing.zyx == pytest.approx((2.5, 0.25, 0.5))
    assert image.interval_s == 30


def test_imagej_other_units_and_frames_per_second(tmp_path: Path) -> None:
    about = {"axes": "TZYX", "unit": "mm", "spacing": -0.002, "fps": 4}
    image = open_image(
        write(tmp_path / "ij.tif", movie(3, 4, 8, 9), imagej=True, resolution=(2000, 2000), metadata=about)
    )
    assert image.spacing is not None
    assert image.spacing.zyx == pytest.approx((2, 0.5, 0.5))
    assert image.interval_s == pytest.approx(0.25)


def test_imagej_without_unit_has_no_voxel_size(tmp_path: Path) -> None:
    path = write(
        tmp_path / "ij.tif", movie(4, 8, 9), imagej=True, resolution=(2, 2), metadata={"axes": "ZYX", "spacing": 2}
    )
    image = open_image(path)
    assert image.spacing is None
    assert "voxel size unknown" in reading(image)
    assert open_image(path, spacing=Spacing(2, 1, 1)).spacing == Spacing(2, 1, 1)


def test_imagej_without_distance_of_planes_means_one_unit_and_this_is_said(tmp_path: Path) -> None:
    about = {"axes": "ZYX", "unit": "um"}
    image = open_image(write(tmp_path / "ij.tif", movie(4, 8, 9), imagej=True, resolution=(2, 2), metadata=about))
    assert image.spacing == Spacing(1, 0.5, 0.5)
    assert "no distance of planes there, so 1 um as in ImageJ" in reading(image)


def test_a_single_plane_is_as_thick_as_a_pixel_is_wide(tmp_path: Path) -> None:
    about = {"axes": "TYX", "unit": "um", "finterval": 5}
    image = open_image(write(tmp_path / "ij.tif", movie(4, 8, 9), imagej=True, resolution=(2, 2), metadata=about))
    assert image.spacing == Spacing(0.5, 0.5, 0.5)


def test_given_scale_overrides_the_file(tmp_path: Path) -> None:
    about = {"axes": "TZYX", "unit": "um", "spacing": 2, "finterval": 30}
    path = write(tmp_path / "ij.tif", movie(3, 4, 8, 9), imagej=True, resolution=(2, 2), metadata=about)
    image = open_image(path, spacing=Spacing(3, 1, 1), interval_s=7)
    assert (image.spacing, image.interval_s) == (Spacing(3, 1, 1), 7)
    assert "voxels of 3 × 1 × 1 µm (z, y, x) (given); a frame every 7 s (given)" in reading(image)


@pytest.mark.parametrize("bad", [0.0, -3.0, float("nan")])
def test_a_time_step_that_is_none_is_refused(tmp_path: Path, bad: float) -> None:
    path = write(tmp_path / "a.tif", movie(4, 8, 9))
    with pytest.raises(AnlageError, match="must be a positive number"):
        open_image(path, interval_s=bad)


def test_colours_are_channels(tmp_path: Path) -> None:
    data = movie(5, 8, 9, 3, dtype="uint8")
    image = open_image(write(tmp_path / "rgb.tif", data, photometric="rgb"))
    assert image.shape == (1, 3, 5, 8, 9)
    assert image.channels == ("red", "green", "blue")
    np.testing.assert_array_equal(image.read(channels=[1])[0, 0], data[..., 1])


@pytest.mark.parametrize("kind", ["plain", "pages", "zlib", "imagej", "ome"])
@pytest.mark.parametrize("share", [0.1, 0.4, 0.7, 0.98])
def test_a_cut_file_is_noticed(tmp_path: Path, kind: str, share: float) -> None:
    options: dict[str, Any] = {
        "plain": {}, "pages": {"metadata": None}, "zlib": {"compression": "zlib"},
        "imagej": {"imagej": True, "metadata": {"axes": "ZYX"}}, "ome": {"ome": True, "metadata": {"axes": "ZYX"}},
    }[kind]  # fmt: skip
    path = write(tmp_path / "a.tif", movie(6, 32, 48), **options)
    whole = path.read_bytes()
    assert open_image(path).shape == (1, 1, 6, 32, 48)
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(AnlageError, match=r"'.*a\.tif' is cut short: its \d+ bytes end before the pixels it promises"):
        open_image(path)


def test_a_cut_imagej_stack_of_one_directory_is_noticed(tmp_path: Path) -> None:
    # above 4 GB ImageJ writes one directory and lets the pixels of all planes follow it
    path = write(tmp_path / "a.tif", movie(1, 32, 48), imagej=True, metadata={"axes": "ZYX"})
    head = path.read_bytes().replace(b"images=1\n", b"images=9\n")
    path.write_bytes(head)
    with pytest.raises(AnlageError, match="is cut short"):
        open_image(path)


def test_damaged_pixels_are_one_sentence_when_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", movie(6, 32, 48), compression="zlib", metadata=None)
    raw = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as file:
        offset = file.pages[3].dataoffsets[0]
    raw[offset : offset + 40] = bytes(40)
    path.write_bytes(bytes(raw))
    image = open_image(path)
    assert image.read(Box((0, 1), (0, 3), (0, 32), (0, 48))).any()
    with pytest.raises(AnlageError, match=r"A part of .* cannot be read"):
        image.read()


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.tif", b"", "is an empty file"),
        ("a.tif", b"hello, this is no TIFF", "is no TIFF although its name says so"),
        ("a.oib", b"\xd0\xcf\x11\xe0", r"cannot be read \('.oib'\); save it as OME-Zarr or TIFF"),
    ],
)
def test_what_is_no_image_is_refused(tmp_path: Path, name: str, content: bytes, sentence: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(AnlageError, match=sentence):
        open_image(tmp_path / name)


def test_a_missing_file_is_named_with_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "movie.tif").touch()
    with pytest.raises(AnlageError, match=r"There is no file or folder '.*move\.tif' \(in that folder are movie\.tif"):
        open_image(tmp_path / "move.tif")


def test_a_missing_codec_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", movie(6, 32, 48), compression="zlib", metadata=None)
    raw = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as file:
        for page in file.pages:
            where = page.tags["Compression"].valueoffset
            raw[where : where + 2] = (34712 + 1).to_bytes(2, "little")  # a number that no codec has
    path.write_bytes(bytes(raw))
    with pytest.raises(AnlageError, match=r"is compressed with .*, which needs the package imagecodecs"):
        open_image(path)


@pytest.mark.filterwarnings("ignore:.*are stored as RGB:DeprecationWarning")
def test_three_planes_that_tifffile_took_for_colours_are_planes(tmp_path: Path) -> None:
    data = movie(3, 32, 48, dtype="uint8")
    tifffile.imwrite(tmp_path / "a.tif", data)
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.series[0].axes == "SYX"
    image = open_image(tmp_path / "a.tif")
    assert (image.axes, image.axes_from) == ("zyx", "their count")
    np.testing.assert_array_equal(image.read()[0, 0], data)


def test_of_several_images_in_a_file_the_first_is_read_and_this_is_said(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(movie(5, 32, 48), photometric="minisblack")
        file.write(movie(16, 24), photometric="minisblack")
    image = open_image(tmp_path / "a.tif")
    assert image.shape == (1, 1, 5, 32, 48)
    assert "the first of 2 images in the file" in reading(image)


def test_files_are_closed_with_the_image(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", movie(6, 32, 48), compression="zlib")
    image = open_image(path)
    image.frame(0)
    del image
    gc.collect()  # an unclosed file would be a warning, and so an error
    path.unlink()


# --- directories, written by hand ------------------------------------------------------------------------------------

Entry = tuple[int, int, int, int | bytes]
"""Tag, type, count, and the offset of the values or the values themselves."""


def directories(path: Path, pages: list[list[Entry]], *, order: str = "<", big: bool = False, size: int = 0, loop: bool = False) -> Path:  # fmt: skip
    """A TIFF of these directories, one after the other, with zeros after them up to a size of `size` bytes."""
    count, entry, offset = ("Q", "HHQ", "Q") if big else ("H", "HHI", "I")
    first = 16 if big else 8
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}H", 43 if big else 42)
    content = head + (struct.pack(f"{order}HH", 8, 0) if big else b"") + struct.pack(order + offset, first)
    for i, entries in enumerate(pages):
        block = struct.pack(order + count, len(entries))
        for tag, kind, n, value in entries:
            plain = struct.pack(order + offset, value) if isinstance(value, int) else value
            block += struct.pack(order + entry, tag, kind, n) + plain.ljust(struct.calcsize(offset), b"\0")
        end = len(content) + len(block) + struct.calcsize(offset)
        after = end if i + 1 < len(pages) else first if loop else 0
        content += block + struct.pack(order + offset, after)
    path.write_bytes(content.ljust(size, b"\0"))
    return path


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
def test_pages_are_counted_along_their_chain(tmp_path: Path, order: str, big: bool) -> None:
    width: Entry = (256, 3, 1, struct.pack(f"{order}H", 5))
    pages = [[width], [width, width], [width, width, width]]
    path = directories(tmp_path / "a.tif", pages, order=order, big=big)
    assert is_tiff(path)
    assert count_pages(path) == 3
    path.write_bytes(path.read_bytes()[:-1])
    assert count_pages(path) is None
    assert count_pages(directories(tmp_path / "b.tif", pages, order=order, big=big, loop=True)) == 3


@pytest.mark.parametrize("content", [b"II*", b"II", b"", b"II*\0\x08\0\0", b"II*\0\xff\xff\xff\0"])
def test_a_file_cut_within_its_head_has_no_pages(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.tif").write_bytes(content)
    assert count_pages(tmp_path / "a.tif") is None
    assert is_tiff(tmp_path / "a.tif") is (len(content) > 3)


TYPES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8, 99: 1}
"""Bytes of a value of each type of TIFF 6.0 and BigTIFF; of one that is not known at least one."""


@pytest.mark.parametrize(("kind", "n_bytes"), TYPES.items())
def test_values_beyond_the_end_are_missed_for_every_type(tmp_path: Path, kind: int, n_bytes: int) -> None:
    count, at = 20, 100
    pages: list[list[Entry]] = [[(700, kind, count, at)]]
    assert count_pages(directories(tmp_path / "a.tif", pages, size=at + count * n_bytes)) == 1
    assert count_pages(directories(tmp_path / "b.tif", pages, size=at + count * n_bytes - 1)) is None


def test_tags_of_makers_may_point_anywhere(tmp_path: Path) -> None:
    for tag, pages in ((32767, None), (32768, 1), (50000, 1)):
        assert count_pages(directories(tmp_path / "a.tif", [[(tag, 4, 9, 10**6)]])) == pages
    # four bytes stand in the entry itself, five do not
    assert count_pages(directories(tmp_path / "a.tif", [[(700, 1, 4, 10**6)]])) == 1
    assert count_pages(directories(tmp_path / "a.tif", [[(700, 1, 5, 10**6)]])) is None


@pytest.mark.parametrize("tags", [(273, 279), (324, 325)])
@pytest.mark.parametrize(("kind", "form"), [(3, "H"), (4, "I"), (16, "Q")])
def test_pixels_beyond_the_end_are_missed(tmp_path: Path, tags: tuple[int, int], kind: int, form: str) -> None:
    big = kind == 16
    starts, lengths = struct.pack(f"<{form}", 500), struct.pack(f"<{form}", 70)
    page: list[Entry] = [(tags[0], kind, 1, starts), (tags[1], kind, 1, lengths)]
    assert count_pages(directories(tmp_path / "a.tif", [page], big=big, size=570)) == 1
    assert count_pages(directories(tmp_path / "b.tif", [page], big=big, size=569)) is None


def test_each_piece_of_the_pixels_is_looked_for(tmp_path: Path) -> None:
    def with_pieces(starts: list[int], lengths: list[int], size: int) -> int | None:
        page: list[Entry] = [(273, 4, len(starts), 100), (279, 4, len(lengths), 120)]
        path = directories(tmp_path / "a.tif", [page], size=size)
        raw = bytearray(path.read_bytes())
        raw[100 : 100 + 4 * len(starts)] = struct.pack(f"<{len(starts)}I", *starts)
        raw[120 : 120 + 4 * len(lengths)] = struct.pack(f"<{len(lengths)}I", *lengths)
        path.write_bytes(bytes(raw))
        return count_pages(path)

    assert with_pieces([200, 300, 250], [50, 60, 20], 360) == 1
    assert with_pieces([200, 300, 250], [50, 61, 20], 360) is None
    assert with_pieces([200, 250, 330], [50, 40], 340) == 1  # of the third no length is known


def test_pixels_whose_place_is_no_whole_number_are_left_to_the_reader(tmp_path: Path) -> None:
    page: list[Entry] = [(273, 11, 1, struct.pack("<f", 1e9)), (279, 11, 1, struct.pack("<f", 1e9)), (256, 4, 1, 10**6)]
    assert count_pages(directories(tmp_path / "a.tif", [page])) == 1
