"""Painted labels and the folders of the Cell Tracking Challenge."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr

from anlage import AnlageError, Spacing, TimeLapse
from anlage.io import open_annotations, open_image

IMAGE = TimeLapse.of(np.zeros((3, 4, 20, 30), np.uint8), spacing=Spacing(2, 1, 1), source="movie.tif")


def painted(dtype: str = "uint16") -> np.ndarray:
    """Value 5 in all frames, moving in x; value 7 in the first."""
    labels = np.zeros((3, 4, 20, 30), dtype)
    for t in range(3):
        labels[t, 1:3, 4:7, 5 + t : 8 + t] = 5
    labels[0, 0, 10, 10:12] = 7
    return labels


def save(path: Path, data: np.ndarray) -> Path:
    tifffile.imwrite(path, data, photometric="minisblack")
    return path


@pytest.mark.parametrize("kind", ["tif", "zarr", "folder"])
def test_a_nucleus_is_the_centroid_of_a_value_in_a_frame(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"labels.{kind}"
    if kind == "tif":
        save(path, painted())
    elif kind == "zarr":
        zarr.create_array(path, data=painted())
    else:
        path.mkdir()
        for t, frame in enumerate(painted()):
            save(path / f"t{t}.tif", frame.astype(np.uint8) if t else frame)  # masks may differ in type
    found = open_annotations(path, image=IMAGE)
    assert found.positions.tolist() == [[0, 1.5, 5, 6], [0, 0, 10, 10.5], [1, 1.5, 5, 7], [2, 1.5, 5, 8]]
    assert found.label.tolist() == [5, 7, 5, 5]
    assert found.links.tolist() == [[1, 3], [3, 4]]
    np.testing.assert_allclose(4 / 3 * np.pi * found.radius_um**3, np.array([18, 2, 18, 18]) * 2.0)
    assert found.labels is not None
    np.testing.assert_array_equal(found.labels.read()[:, 0], painted())


def test_labels_take_the_axes_of_the_image(tmp_path: Path) -> None:
    movie = TimeLapse.of(np.zeros((3, 20, 30), np.uint8), "tyx", spacing=Spacing(1, 1, 1), source="movie.tif")
    found = open_annotations(save(tmp_path / "a.tif", painted().max(axis=1)), image=movie)
    assert found.labels is not None
    assert found.labels.axes == "tyx"
    assert found.frames.tolist() == [0, 0, 1, 2]
    np.testing.assert_allclose(found.radius_um[0], np.sqrt(9 / np.pi))  # in 2D the disc of the same area


def test_labels_take_the_axes_of_the_image_even_against_imagej(tmp_path: Path) -> None:
    movie = TimeLapse.of(np.zeros((3, 20, 30), np.uint8), "tyx", source="movie.tif")
    tifffile.imwrite(tmp_path / "a.tif", painted().max(axis=1), imagej=True, metadata={"axes": "ZYX"})
    assert open_annotations(tmp_path / "a.tif", image=movie).annotated_frames == (0, 1, 2)


@pytest.mark.parametrize("axes", ["tcyx", "tyx"])
def test_axes_given_for_the_image_do_for_its_labels(tmp_path: Path, axes: str) -> None:
    path = save(tmp_path / "a.tif", painted().max(axis=1))
    movie = TimeLapse.of(np.zeros((3, 2, 20, 30), np.uint8), "tcyx", source="movie.tif")
    assert open_annotations(path, image=movie, axes=axes).annotated_frames == (0, 1, 2)


def test_a_single_stack_belongs_to_a_movie_of_one_frame(tmp_path: Path) -> None:
    movie = TimeLapse.of(np.zeros((1, 4, 20, 30), np.uint8), "tzyx", source="movie.tif")
    assert len(open_annotations(save(tmp_path / "a.tif", painted()[0]), image=movie)) == 2


def test_labels_of_another_shape_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.tif", painted()[:, :, :19])
    with pytest.raises(
        AnlageError, match=r"a\.tif' have the shape \(3, 4, 19, 30\) .* but the image 'movie\.tif' has \(3, 4, 20, 30\)"
    ):
        open_annotations(path, image=IMAGE)


def test_floats_are_labels_only_if_whole(tmp_path: Path) -> None:
    found = open_annotations(save(tmp_path / "a.tif", painted("float32")), image=IMAGE)
    assert found.labels is not None
    assert found.labels.read().dtype == np.int64
    half = painted("float32") + 0.5
    with pytest.raises(AnlageError, match=r"contain the value 0\.5; labels must be whole numbers"):
        open_annotations(save(tmp_path / "b.tif", half), image=IMAGE)


def test_negative_labels_are_refused(tmp_path: Path) -> None:
    labels = painted("int16")
    labels[1, 0, 0, 0] = -3
    with pytest.raises(AnlageError, match=r"contain the value -3; labels must be 0 \(background\) or larger"):
        open_annotations(save(tmp_path / "a.tif", labels), image=IMAGE)


def test_several_channels_are_no_labels(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((20, 30, 3), np.uint8), photometric="rgb")
    with pytest.raises(AnlageError, match="have 3 channels; labels are a single channel"):
        open_annotations(tmp_path / "a.tif")


def test_the_image_is_not_taken_for_its_labels(tmp_path: Path) -> None:
    path = save(tmp_path / "a.tif", painted())
    with pytest.raises(AnlageError, match="is the image itself and carries no labels"):
        open_annotations(path, image=open_image(path))


def test_empty_labels_may_be_read(tmp_path: Path) -> None:
    assert len(open_annotations(save(tmp_path / "a.tif", painted() * 0), image=IMAGE)) == 0


def test_other_formats_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG")
    with pytest.raises(AnlageError, match=r"give a CSV, a GEFF, .* a CTC folder or label images"):
        open_annotations(tmp_path / "a.png")
    (tmp_path / "empty").mkdir()
    with pytest.raises(AnlageError, match="holds no TIFF"):
        open_annotations(tmp_path / "empty")


def ctc(folder: Path, table: str, *, name: str = "man_track", without: tuple[int, ...] = ()) -> Path:
    folder.mkdir()
    labels = np.zeros((4, 20, 30), np.uint16)
    labels[:2, 2:5, 2:5] = 1
    labels[2:, 2:5, 7:9] = 2
    labels[2:, 8:11, 2:5] = 3
    for t, frame in enumerate(labels):
        if t not in without:
            save(folder / f"{name}{t:03}.tif", frame)
    (folder / f"{'man' if 'man' in name else 'res'}_track.txt").write_text(table)
    return folder


@pytest.mark.parametrize("name", ["man_track", "mask"])
def test_a_ctc_folder_has_its_divisions(tmp_path: Path, name: str) -> None:
    found = open_annotations(ctc(tmp_path / "TRA", "1 0 1 0\n2 2 3 1\n3 2 3 1\n", name=name))
    assert found.frames.tolist() == [0, 1, 2, 2, 3, 3]
    assert found.divisions.tolist() == [[2, 3, 4]]
    assert len(found.links) == 5


def test_a_ctc_folder_as_it_is_published_has_its_masks_in_tra(tmp_path: Path) -> None:
    (tmp_path / "01_GT").mkdir()
    ctc(tmp_path / "01_GT" / "TRA", "1 0 1 0\n2 2 3 1\n3 2 3 1\n")
    (tmp_path / "01_GT" / "SEG").mkdir()
    found = open_annotations(tmp_path / "01_GT")
    assert len(found) > 0
    assert len(found.divisions) == 1


@pytest.mark.parametrize("floor", [0, 100])
def test_an_image_in_place_of_its_labels_is_refused(tmp_path: Path, floor: int) -> None:
    noise = np.random.default_rng(1).poisson(8, (2, 4, 30, 30)).clip(0, 200)
    path = save(tmp_path / "image.tif", (noise + floor).astype(np.uint8))
    with pytest.raises(AnlageError, match="is this the image instead of its labels"):
        open_annotations(path)


def test_a_ctc_folder_may_lack_masks(tmp_path: Path) -> None:
    movie = TimeLapse.of(np.zeros((6, 20, 30), np.uint8), "tyx", source="movie.tif")
    found = open_annotations(ctc(tmp_path / "TRA", "1 0 0 0\n2 2 3 1\n3 2 3 1\n", without=(1,)), image=movie)
    assert found.annotated_frames == (0, 2, 3)
    assert found.labels is not None
    assert found.labels.n_frames == 6
    assert found.divisions.tolist() == [[1, 2, 3]]


def test_a_ctc_track_goes_on_after_a_missing_mask(tmp_path: Path) -> None:
    for t in (0, 2, 3):
        save(tmp_path / f"man_track{t:03}.tif", painted().max(axis=1)[min(t, 2)])
    (tmp_path / "man_track.txt").write_text("5 0 3 0\n7 0 0 0\n")
    found = open_annotations(tmp_path)
    assert found.frames.tolist() == [0, 0, 2, 3]
    assert found.links.tolist() == [[1, 3], [3, 4]]


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ("1 0 1 0\n9 2 3 1\n", r"line 2 names the track 9 \(frames 2 to 3\), which no mask shows"),
        ("1 0 1 0\n2 2 3 9\n", r"line 2 gives the track 2 the parent 9, which no mask shows"),
        ("1 0 1 2\n", r"1 link of 'TRA' was left out: 1 not forward in time"),
    ],
)
def test_a_line_that_contradicts_the_masks_is_left_out_and_said(tmp_path: Path, table: str, sentence: str) -> None:
    found = open_annotations(ctc(tmp_path / "TRA", table))
    assert len(found) == 6
    assert any(re.search(sentence, note) for note in found.notes)


def test_a_parent_below_zero_is_none(tmp_path: Path) -> None:
    found = open_annotations(ctc(tmp_path / "TRA", "1 0 1 -1\n2 2 3 -1\n"))
    assert len(found.divisions) == 0
    assert found.notes == ()


def test_a_line_that_is_no_track_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AnlageError, match=r"line 1 is '1 0 1', not four whole numbers"):
        open_annotations(ctc(tmp_path / "TRA", "1 0 1\n"))


def test_masks_of_some_frames_are_placed_by_their_numbers(tmp_path: Path) -> None:
    for t in (1, 2):
        save(tmp_path / f"man_seg{t:03}.tif", painted()[t])
    found = open_annotations(tmp_path, image=IMAGE)
    assert found.annotated_frames == (1, 2)
    save(tmp_path / "man_seg017.tif", painted()[0])
    (tmp_path / "man_seg001.tif").unlink()
    with pytest.raises(
        AnlageError, match=r"man_seg017\.tif' is the mask of frame 17, but the image has the frames 0 to 2"
    ):
        open_annotations(tmp_path, image=IMAGE)


@pytest.mark.data
def test_real_3d_instances(shared_data: Callable[[str], Path]) -> None:
    folder = shared_data("bbbc050-mouse-embryo")
    total = 0
    for path in sorted((folder / "labels").glob("*_t301.tif")):
        image = open_image(folder / "images" / path.name, spacing=Spacing(1.75, 0.8, 0.8))
        found = open_annotations(path, image=image)
        total += len(found)
        assert 3 < np.median(found.radius_um) < 20
    assert total == sum(
        int(line.split(",")[-1]) for line in (folder / "counts.csv").read_text().splitlines() if "_t301" in line
    )


@pytest.mark.data
def test_real_movies_in_2d_and_3d(shared_data: Callable[[str], Path]) -> None:
    folder = shared_data("mitocheck-movie-2dt")
    movie = open_image(folder / "images")
    assert movie.shape == (30, 1, 1, 190, 211)
    assert len(open_annotations(folder / "labels_silver.tif", image=movie)) == 654
    assert len(open_annotations(folder / "lineage.csv", image=movie).divisions) == 3
    folder = shared_data("tgmm-mini-drosophila")
    movie = open_image(folder / "images")
    assert movie.shape == (31, 1, 29, 101, 151)
    tracks = open_annotations(folder / "tracks_silver.csv", image=movie)
    assert (len(tracks), len(tracks.links)) == (3087, 2981)
    folder = shared_data("ctc-hela02")
    movie = open_image(folder / "image.tif", axes="tyx")
    assert len(open_annotations(folder / "lineage.csv", image=movie)) == 1672


class TestSEG:
    def folder(self, place: Path, *names: str) -> Path:
        place.mkdir(parents=True)
        for i, name in enumerate(names):
            mask = np.zeros((20, 20), np.uint16)
            mask[5:9, 5 + i : 9 + i] = i + 1
            tifffile.imwrite(place / name, mask)
        return place

    def test_outlines_of_some_frames_are_of_the_frames_in_their_names(self, tmp_path: Path) -> None:
        self.folder(tmp_path / "01_GT" / "SEG", "man_seg002.tif", "man_seg013.tif")
        for path in (tmp_path / "01_GT" / "SEG", tmp_path / "01_GT"):
            nuclei = open_annotations(path)
            assert nuclei.frames.tolist() == [2, 13]
            assert len(nuclei.links) == 0

    def test_outlines_of_single_planes_are_refused(self, tmp_path: Path) -> None:
        path = self.folder(tmp_path / "SEG", "man_seg_002_011.tif")
        with pytest.raises(AnlageError, match="single planes"):
            open_annotations(path)


def test_large_values_are_exact(tmp_path: Path) -> None:
    data = np.zeros((2, 1, 16, 16), np.uint64)
    data[:, 0, 2:6, 2:6], data[:, 0, 9:13, 9:13], data[:, 0, 2:5, 10:13] = 2**53, 2**53 + 1, 2**63 - 1
    save(tmp_path / "a.tif", data)
    found = open_annotations(tmp_path / "a.tif", axes="tzyx")
    assert sorted(set(found.label.tolist())) == [2**53, 2**53 + 1, 2**63 - 1]
    assert len(found.links) == 3
    assert found.labels is not None
    assert set(np.unique(found.labels.frame(0)).tolist()) == {0, 2**53, 2**53 + 1, 2**63 - 1}


def test_labels_whose_file_contradicts_the_image_are_said(tmp_path: Path) -> None:
    data = np.zeros((1, 4, 16, 16), np.uint16)
    data[0, 1:3, 4:9, 4:9] = 3
    tifffile.imwrite(
        tmp_path / "a.tif", data, imagej=True, resolution=(2, 2), metadata={"axes": "TZYX", "unit": "um", "spacing": 2}
    )
    image = TimeLapse.of(np.zeros(data.shape, np.uint8), "tzyx", spacing=Spacing(2, 0.25, 0.25), source="i.tif")
    (note,) = open_annotations(tmp_path / "a.tif", image=image).notes
    assert "'a.tif' says a voxel size of 2 × 0.5 × 0.5 µm (z, y, x), but the image says 2 × 0.25 × 0.25 µm" in note
    assert open_annotations(tmp_path / "a.tif").notes == ()
