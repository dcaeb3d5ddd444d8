"""``convert`` between all formats, and what it says is lost."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from anlage.cli import main
from anlage.io import open_annotations, open_image
from anlage.io.nuclei_files.nuclei import own_scale


@pytest.mark.parametrize("name", ["a.geff", "a.xml", "a.aut", "a.ctc", "a_RES", "ctc", "a.tif", "a.zarr"])
def test_links_survive_every_format_there_and_back(name, folder, movie, capsys):
    assert main(["convert", "truth.csv", name, "--image", "image.ome.zarr"]) == 0
    said = capsys.readouterr().out
    assert f"{len(movie.truth)} nuclei and {len(movie.truth.links)} links, written to {name}." in said
    assert main(["convert", name, "again.csv", "--image", "image.ome.zarr"]) == 0
    again = open_annotations("again.csv")
    assert len(again) == len(movie.truth)
    if name not in ("a.tif", "a.zarr"):
        assert len(again.links) == len(movie.truth.links)
        assert len(again.divisions) == len(movie.truth.divisions)
    distance = np.linalg.norm(again.positions[:, None] - movie.truth.positions[None], axis=2).min(axis=1)
    assert np.median(distance) < (0.01 if name in ("a.geff", "a.xml", "a.aut") else 1.0)


def test_masks_have_the_shape_of_the_image(folder, movie):
    assert main(["convert", "truth.csv", "01_RES", "--image", "image.ome.zarr"]) == 0
    assert tifffile.imread(folder / "01_RES" / "mask000.tif").shape == movie.image.shape_tzyx[1:]
    assert main(["convert", "truth.csv", "labels.zarr", "--image", "image.ome.zarr"]) == 0
    labels = open_image("labels.zarr")
    assert labels.shape_tzyx == movie.image.shape_tzyx
    assert labels.spacing == movie.spacing


def test_the_scale_of_the_image_is_kept(folder, movie):
    assert main(["convert", "truth.csv", "a.xml", "--image", "image.ome.zarr"]) == 0
    assert own_scale(folder / "a.xml") == (movie.spacing, 300)
    assert main(["convert", "a.xml", "b.aut"]) == 0
    spacing, interval = own_scale(folder / "b.aut")
    np.testing.assert_allclose(spacing.zyx, movie.spacing.zyx)
    assert interval == pytest.approx(300)


def test_what_is_lost_is_said(folder, capsys):
    assert main(["convert", "truth.csv", "somewhere", "--format", "ctc"]) == 0
    said = capsys.readouterr().out
    assert "ids, probabilities and other columns are not kept" in said
    assert "drawn as balls" in said
    assert "say --image IMAGE" in said
    assert "say --spacing Z,Y,X" in said


def test_a_format_that_the_name_does_not_say(folder):
    assert main(["convert", "truth.csv", "tracks", "--format", "geff"]) == 0
    assert len(open_annotations(folder / "tracks.geff")) == len(open_annotations("truth.csv"))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["truth.csv", "a.docx"], "cannot be written as '.docx'"),
        (["nothing.csv", "a.geff"], "There is no file or folder 'nothing.csv'"),
        (["truth.csv", "truth.csv"], "only read"),
        (["truth.csv", "image.ome.zarr"], "was not written as"),
    ],
)
def test_what_cannot_be_done_is_a_sentence(arguments, sentence, folder, capsys):
    assert main(["convert", *arguments]) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ("1,0,1,5,5,\n1,1,1,5,5,\n", "row 3 has the id 1, which row 2 has already"),
        ("1,0,1,nan,5,\n", "nan"),
    ],
)
def test_tracks_that_contradict_themselves_are_told_with_their_ids(rows, sentence, folder, capsys):
    (folder / "bad.csv").write_text(f"id,t,z,y,x,parent_id\n{rows}")
    assert main(["convert", "bad.csv", "a.geff"]) == 2
    assert sentence in capsys.readouterr().err
    assert not (folder / "a.geff").exists()


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ("1,0,1,5,5,2\n2,1,1,5,5,1\n", "1 link of 'bad.csv' was left out: 1 not forward in time (2 → 1)."),
        ("1,0,1,5,5,\n2,1,1,5,5,9\n", "1 link of 'bad.csv' was left out: 1 to a nucleus that is not there (9 → 2)."),
    ],
)
def test_one_bad_link_does_not_refuse_a_file(rows, sentence, folder, capsys):
    (folder / "bad.csv").write_text(f"id,t,z,y,x,parent_id\n{rows}")
    assert main(["convert", "bad.csv", "a.geff"]) == 0
    assert sentence in capsys.readouterr().out


def test_info_knows_what_was_written(folder, capsys):
    for name in ("a.xml", "a.aut"):
        main(["convert", "truth.csv", name, "--image", "image.ome.zarr"])
        capsys.readouterr()
        assert main(["info", name]) == 0
        assert "nuclei" in capsys.readouterr().out


def test_what_was_assumed_is_printed(folder, capsys):
    (folder / "napari.csv").write_text("id,track_id,t,z,y,x\n1,7,0,1,5,5\n2,7,1,1,5,6\n3,7,2,1,5,7\n")
    assert main(["convert", "napari.csv", "o.xml", "--spacing", "2,0.5,0.5"]) == 0
    said = capsys.readouterr().out
    assert "3 nuclei and 2 links" in said
    assert "'napari.csv' has no parent_id: 2 links were made between successive rows of the same track_id." in said
    assert main(["info", "napari.csv"]) == 0
    assert "has no parent_id" in capsys.readouterr().out
    assert main(["convert", "o.xml", "o.csv", "--spacing", "2,1,1"]) == 0
    assert "'o.xml' says a voxel size of 2 × 0.5 × 0.5 µm (z, y, x), but 2 × 1 × 1 µm" in capsys.readouterr().out
    assert open_annotations("o.csv").positions[0].tolist() == [0, 1, 2.5, 2.5]


@pytest.mark.parametrize(
    "options", [["--spacing", "0,1,1"], ["--spacing", "1,1,1e308"], ["--spacing", "1,-1,1"], ["--interval", "1e308"], ["--interval", "0"]]
)  # fmt: skip
def test_a_scale_that_cannot_be_is_refused(folder, capsys, options):
    assert main(["convert", "truth.csv", "o.geff", *options]) == 2
    said = capsys.readouterr().err
    assert "positive number" in said or "must lie between" in said
    assert not (folder / "o.geff").exists()
