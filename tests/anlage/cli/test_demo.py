"""The demo, with far too short a training, and the pictures it draws."""

from __future__ import annotations

import json
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from types import SimpleNamespace

import numpy as np
import pytest

from anlage import Annotations, Writer, open_annotations, open_image, write_annotations
from anlage.cli import main
from anlage.cli.demo import _MADE, _make_room, _open_viewer, _shortfall
from anlage.cli.demo_movie import BY, real_movie, write_movie
from anlage.errors import AnlageError
from anlage.samples import HOME


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    with (
        pytest.MonkeyPatch.context() as patch,
        redirect_stdout(StringIO()) as said,
        redirect_stderr(StringIO()) as told,
    ):
        patch.chdir(folder)
        patch.setattr("anlage.cli.demo_movie.N_FRAMES", 4)
        patch.setattr("anlage.cli.demo_movie.ANNOTATED", range(2))
        patch.setattr("anlage.cli.demo_movie.UNSEEN", range(3, 4))
        patch.setattr("anlage.cli.demo.SETTINGS", ("width=8", "levels=1", "patch_um=20"))
        code = main(["demo", "-o", "out/demo", "--no-viewer", "--steps", "3"])
    out, err = said.getvalue(), told.getvalue()
    assert code == 1  # three steps find nothing, which is said
    assert "The demo did not come to what it should: its network finds less than the 0.95 that it should reach" in err
    assert " nuclei, 0." in err
    assert "after 3 steps" in err
    return folder / "out" / "demo", out


def test_demo_does_the_whole_job_and_reports(demo):
    folder, out = demo
    report = json.loads((folder / "report.json").read_text())
    assert report["seed"] == 0
    assert {"f1", "precision", "recall", "median_error_um", "n_truth", "n_predicted"} <= set(report["detection"])
    assert report["detection"]["n_truth"] > 50
    assert report["classical"]["f1"] > 0.9
    assert {"render", "build", "train", "predict", "evaluate", "pictures", "total"} <= set(report["seconds"])
    assert report["versions"]["anlage"]
    assert [pair["axis"] for pair in report["touching_pairs"]] == ["z", "y", "x"]
    assert sorted(path.name for path in folder.iterdir() if not path.name.startswith(".")) == sorted(_MADE)
    for name in ("result.png", "slices.png", "training.png"):
        assert (folder / name).read_bytes().startswith(b"\x89PNG")
    assert "$ anlage build out/demo/image.ome.zarr" in out
    assert "The picture is out/demo/result.png" in out
    assert [line.strip()[:2] for line in out.split("Try next:")[1].splitlines()[1:4]] == ["1.", "2.", "3."]
    assert "anlage demo --real" in out


def test_the_demo_fails_when_its_network_is_worse_than_none(demo):
    folder, _ = demo

    def score(tp, fp, fn):
        return SimpleNamespace(tp=tp, fp=fp, fn=fn, f1=2 * tp / (2 * tp + fp + fn))

    fine, better, poor = score(98, 2, 2), score(99, 1, 1), score(90, 10, 10)
    assert _shortfall(folder, fine, poor, 0.95) is None
    assert _shortfall(folder, fine, fine, 0.95) is None
    worse = _shortfall(folder, fine, better, 0.95)
    assert worse is not None
    assert "finds less than without training (0.990), F1 0.98, 100 nuclei, 0.95 to 0.99" in worse
    assert "the 0.95 that it should reach" in (_shortfall(folder, poor, score(50, 50, 50), 0.95) or "")


def test_a_real_embryo_promises_nothing(demo):
    poor, better = SimpleNamespace(f1=0.5), SimpleNamespace(f1=0.9)
    assert _shortfall(demo[0], poor, better, None) is None


def test_the_real_embryo_comes_with_its_source_and_licence(tmp_path, capsys):
    movie = real_movie()
    assert movie.image.shape_tzyx == (3, 51, 124, 127)
    assert movie.spacing.zyx == (1.75, 0.8, 0.8)
    assert [int((movie.truth.frames == t).sum()) for t in range(3)] == [25, 34, 50]
    write_movie(tmp_path, movie)
    assert open_image(tmp_path / "image.ome.zarr").spacing == movie.spacing
    annotated, unseen = (open_annotations(tmp_path / f"{name}.csv") for name in ("annotations", "truth_unseen"))
    assert (len(annotated), len(unseen)) == (76, 33)
    assert annotated.positions[:, 3].max() < 69.5 < unseen.positions[:, 3].min()
    assert movie.asked == ["--frames", "0:3", "--region", "0:51,0:124,70:127"]
    assert "BBBC050" in capsys.readouterr().out
    card = (HOME / "CARD.md").read_text("utf-8")
    assert "CC BY 3.0" in card
    assert "CC BY 3.0" in movie.attribution
    assert sum(file.stat().st_size for file in HOME.iterdir() if file.is_file()) < 2e6  # it is part of the wheel
    # centres lie on bright voxels
    at = np.round(movie.truth.positions).astype(int)
    bright = movie.image.read()[at[:, 0], 0, at[:, 1], at[:, 2], at[:, 3]]
    assert np.median(bright) > 5 * np.median(movie.image.read())


def test_room_is_made_where_a_demo_was_and_nowhere_else(tmp_path):
    _make_room(tmp_path / "new" / "demo", overwrite=False)
    (tmp_path / "new" / "demo" / "report.json").write_text("{}")
    (tmp_path / "new" / "demo" / "run").mkdir()
    (tmp_path / "new" / "demo" / "mine.txt").write_text("keep")
    _make_room(tmp_path / "new" / "demo", overwrite=True)
    assert sorted(path.name for path in (tmp_path / "new" / "demo").iterdir()) == [".anlage-demo", "mine.txt"]
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "run").mkdir()
    with pytest.raises(AnlageError, match="is not empty; choose another folder"):
        _make_room(tmp_path / "other", overwrite=False)
    assert (tmp_path / "other" / "run").is_dir()


def test_annotations_that_were_corrected_in_a_demo_stay(tmp_path):
    folder = tmp_path / "demo"
    _make_room(folder)
    write_annotations(folder / "annotations.csv", Annotations.of([[0, 1, 2, 3]]), by=Writer("demo"))
    _make_room(folder)
    assert not (folder / "annotations.csv").exists()
    (folder / "annotations.csv").write_text("id,t,z,y,x\n1,0,1,2,3\n")
    with pytest.raises(AnlageError, match="was changed since the demo wrote it"):
        _make_room(folder)
    assert (folder / "annotations.csv").exists()
    _make_room(folder, overwrite=True)
    assert not (folder / "annotations.csv").exists()


def test_without_a_screen_no_viewer_is_opened(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("anlage.cli.demo.display", lambda: None)
    _open_viewer(tmp_path)
    assert "There is no screen here" in capsys.readouterr().out


def test_pictures_of_a_single_plane_and_of_nothing(tmp_path):
    from anlage.axes import Spacing
    from anlage.pictures.results import Scene, draw_result, draw_slices, draw_training

    nothing = np.zeros((0, 3))
    scene = Scene(np.zeros((1, 20, 30)), np.zeros((1, 20, 30)), nothing, nothing, Spacing(1, 1, 1))
    draw_result(tmp_path / "a.png", scene, "empty", BY)
    draw_slices(tmp_path / "b.png", scene, BY)
    draw_training(tmp_path / "c.png", [], BY)
    assert len(list(tmp_path.glob("*.png"))) == 3
