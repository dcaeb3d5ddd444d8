"""Bad input, end to end: one sentence on stderr, exit code 2, and nothing written or lost."""

from __future__ import annotations

import hashlib
import json
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import tifffile

from anlage.io import write_image

BOX = "0:3,0:12,0:72,0:72"


@pytest.fixture
def refused(folder, command):
    """Run a command that must fail; gives its sentence after checking that every file is as it was."""

    def run(*words: object) -> str:
        before = _content(folder)
        code, _, err = command(*words)
        assert code == 2
        assert err.startswith("anlage: ")
        assert err.count("\n") == 1, err
        assert "Traceback" not in err
        assert _content(folder) == before
        return err

    return run


@pytest.mark.parametrize(
    "words",
    [
        ("build", "no.tif", "truth.csv", "-o", "s.zarr"),
        ("build", "image.ome.zarr", "no.csv", "-o", "s.zarr"),
        ("train", "nuclei", "no.zarr", "-o", "run"),
        ("resume", "no"),
        ("stop", "no"),
        ("watch", "no"),
        ("predict", "no.anlage", "image.ome.zarr", "-o", "f.csv"),
        ("predict", "classical", "no.tif", "-o", "f.csv"),
        ("evaluate", "no.csv", "truth.csv", "--spacing", "2,0.5,0.5"),
        ("evaluate", "truth.csv", "no.csv", "--spacing", "2,0.5,0.5"),
        ("info", "no"),
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_missing_file(words, refused):
    assert "no" in refused(*words)


def test_empty_annotation(folder, refused):
    (folder / "empty.csv").write_text("id,t,z,y,x\n")
    assert "empty.csv" in refused("build", "image.ome.zarr", "empty.csv", "-o", "s.zarr")


def test_nan_image(folder, movie, refused):
    pixels = movie.image.read().astype(np.float32)
    pixels[1, 0, 3:6, 20:40, 20:40] = np.nan
    write_image(folder / "nan.ome.zarr", pixels, spacing=movie.spacing)
    err = refused("build", "nan.ome.zarr", "early.csv", "-o", "s.zarr", "--cuboid", BOX)
    assert "NaN" in err


def test_labels_of_another_shape(folder, movie, refused):
    tifffile.imwrite(folder / "labels.tif", movie.labels.read()[:, 0, :, :60, :60])
    err = refused("build", "image.ome.zarr", "labels.tif", "-o", "s.zarr")
    assert "60" in err
    assert "72" in err


def test_nucleus_outside_the_image(folder, refused):
    (folder / "far.csv").write_text("id,t,z,y,x\n1,0,5,20,20\n2,0,5,20,900\n")
    err = refused("build", "image.ome.zarr", "far.csv", "-o", "s.zarr")
    assert "900" in err


def test_truncated_tiff(folder, movie, refused):
    tifffile.imwrite(folder / "cut.tif", movie.image.read()[:, 0], imagej=True, metadata={"axes": "TZYX"})
    whole = (folder / "cut.tif").read_bytes()
    (folder / "cut.tif").write_bytes(whole[: len(whole) // 2])
    err = refused(
        "build", "cut.tif", "early.csv", "-o", "s.zarr", "--spacing", "2,0.5,0.5", "--axes", "tzyx", "--cuboid", BOX
    )
    assert "cut.tif" in err


def test_model_of_another_task(folder, a_model, refused):
    a_model(folder / "links.anlage", task="links", head="")
    err = refused("predict", "links.anlage", "image.ome.zarr", "-o", "f.csv")
    assert "links.anlage" in err
    assert "nuclei" in err


def test_model_with_a_pickled_member(folder, a_model, refused):
    path = a_model(folder / "bad.anlage")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("weights.pkl", pickle.dumps({"weight": 1}))
    err = refused("predict", "bad.anlage", "image.ome.zarr", "-o", "f.csv")
    assert "weights.pkl" in err


def test_model_with_a_member_that_escapes(folder, a_model, refused):
    path = a_model(folder / "bad.anlage")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("../../outside.txt", b"x")
    err = refused("predict", "bad.anlage", "image.ome.zarr", "-o", "f.csv")
    assert "../../outside.txt" in err
    assert not (folder.parent.parent / "outside.txt").exists()


def test_store_of_a_newer_schema(store, command, folder):
    description = json.loads((store / "zarr.json").read_text())
    description["attributes"]["anlage_store"]["schema_version"] = 99
    (store / "zarr.json").write_text(json.dumps(description))
    for words in (("train", "nuclei", store, "-o", "run"), ("info", store)):
        code, _, err = command(*words)
        assert code == 2
        assert "99" in err
        assert "newer" in err
    assert not (folder / "run").exists()


def test_unknown_spacing_is_refused_with_the_way_to_say_it(folder, movie, refused):
    tifffile.imwrite(folder / "plain.tif", movie.image.read()[:, 0])
    err = refused("build", "plain.tif", "early.csv", "-o", "s.zarr")
    assert "--spacing Z,Y,X" in err


def test_an_output_that_is_there_already_is_kept(store, command):
    before = _content(store)
    code, _, err = command("build", "image.ome.zarr", "early.csv", "-o", store, "--cuboid", BOX)
    assert code == 2
    assert "is there already; choose another name, or replace it with --overwrite" in err
    assert _content(store) == before
    code, _, err = command("build", "image.ome.zarr", "early.csv", "-o", store, "--cuboid", BOX, "--overwrite")
    assert code == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--channels", "3"), "3"),
        (("--cuboid", "0:3,0:12,100:172,0:72"), "100:172"),
        (("--axes", "zyx"), "zyx"),
    ],
)
def test_settings_of_build_that_do_not_fit_the_image(words, said, refused):
    assert said in refused("build", "image.ome.zarr", "early.csv", "-o", "s.zarr", *words)


@pytest.mark.parametrize(
    ("setting", "said"),
    [("stepz=3", "steps"), ("steps=-1", "steps"), ("steps", "name=value"), ("device=warp", "warp")],
)
def test_settings_of_training_that_are_not_possible(setting, said, store, command, folder):
    code, _, err = command("train", "nuclei", store, "-o", "run", "--set", setting, "minutes=0.1")
    assert code == 2
    assert said in err


def test_frames_and_region_outside_the_image(folder, a_model, refused):
    a_model(folder / "m.anlage")
    assert "0:4" in refused("predict", "m.anlage", "image.ome.zarr", "-o", "f.csv", "--frames", "2:9")
    err = refused("predict", "m.anlage", "image.ome.zarr", "-o", "f.csv", "--region", "0:12,0:72,50:100")
    assert "0:12,0:72,0:72" in err


def _content(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_image_is_never_replaced_by_a_prediction(folder, movie, refused, command):
    words = ("predict", "classical", "image.ome.zarr", "-o")
    assert "is 'image.ome.zarr', which is only read" in refused(*words, "f.csv", "--heatmap", "image.ome.zarr")
    assert "lies inside 'image.ome.zarr'" in refused(*words, "image.ome.zarr/f.csv")
    assert "contains" in refused(
        "predict", "classical", "image.ome.zarr/0", "-o", "f.csv", "--heatmap", "image.ome.zarr"
    )
    assert "ends in .zarr" in refused(*words, "f.csv", "--heatmap", "heat")
    write_image(folder / "other.ome.zarr", movie.image.read())
    assert "is not replaced" in refused(*words, "f.csv", "--heatmap", "other.ome.zarr")
    (folder / "other.ome.zarr").rename(folder / "other.geff")
    assert "is not replaced" in refused(*words, "other.geff")
    for _ in range(2):  # its own it does replace
        code, _, err = command(*words, "f.geff", "--heatmap", "heat.zarr", "--frames", "0")
        assert code == 0, err


def test_the_table_is_written_even_if_the_heat_map_is_not(folder, command, monkeypatch):
    import anlage.io

    def full(path, frames, **about):
        next(iter(frames))
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(anlage.io, "write_image", full)
    words = ("predict", "classical", "image.ome.zarr", "-o", "f.csv", "--heatmap", "heat.zarr", "--frames", "0:2")
    code, out, err = command(*words)
    assert code == 2
    assert "The disk is full" in err
    assert "in 2 frames" in out
    assert "\n1,0," in (folder / "f.csv").read_text()
