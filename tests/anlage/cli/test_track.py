"""`anlage track`: tables and images in, tracks in every format out, and an end when asked for."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from anlage.io import open_annotations, write_image
from anlage.synthetic import SyntheticMovie
from anlage.tracking.scores import read_track_scores

Command = Callable[..., tuple[int, str, str]]


def test_points_become_tracks_that_keep_their_ids(folder: Path, command: Command, movie: SyntheticMovie) -> None:
    code, out, err = command("track", "-", "-o", "new/tracks.csv", "--nuclei", "truth.csv", "--spacing", "2,0.5,0.5")
    assert code == 0, err
    assert "tracks in 14 lineages" in out
    table = pd.read_csv("new/tracks.csv")
    assert {"id", "t", "z", "y", "x", "parent_id", "link_probability"} <= set(table.columns)
    assert table["id"].tolist() == movie.truth.ids.tolist()
    found = {(p, i) for p, i in zip(table["parent_id"], table["id"], strict=True) if p}
    true = {(int(a), int(b)) for a, b in movie.truth.links}
    assert len(found & true) >= 0.95 * len(true)
    assert not Path("new/tracks.csv.parts").exists()


@pytest.mark.parametrize("name", ["tracks.geff", "tracks", "tracks.xml", "tracks.aut"])
def test_every_format_of_tracks(folder: Path, command: Command, name: str) -> None:
    code, _, err = command("track", "image.ome.zarr", "-o", name, "--nuclei", "early.csv", "--json", "report.json")
    assert code == 0, err
    report = json.loads(Path("report.json").read_text())
    back = open_annotations(name, image=None)
    assert len(back.links) == report["n_links"] > 0
    if name.endswith("geff"):
        assert np.isfinite(back.link_properties["probability"]).all()


def test_an_image_and_a_detector_are_enough(folder: Path, command: Command) -> None:
    code, out, err = command(
        "track", "image.ome.zarr", "-o", "tracks.geff", "--nuclei", "classical", "--progress", "json"
    )  # fmt: skip
    assert code == 0, err
    events = [json.loads(line) for line in out.splitlines()]
    assert next(e["kind"] for e in events if e["kind"] != "note") == "started"
    assert events[-1]["kind"] == "finished"
    assert events[-1]["done"] == events[-1]["total"] == 8  # each of four frames is searched, then decided


def test_links_of_the_detections_are_kept_on_request(folder: Path, command: Command) -> None:
    table = pd.DataFrame({"id": [1, 2, 3, 4], "t": [0, 0, 1, 1], "y": [5, 25, 5, 25], "x": [5, 5, 5, 5]})
    table["parent_id"] = [0, 0, 2, 1]  # crossed over
    table.to_csv("crossed.csv", index=False)
    args = ("track", "-", "-o", "out.csv", "--nuclei", "crossed.csv", "--spacing", "1,1,1")
    assert command(*args)[0] == 0
    assert pd.read_csv("out.csv")["parent_id"].tolist() == [0, 0, 1, 2]
    assert command(*args, "--keep-links")[0] == 0
    assert pd.read_csv("out.csv")["parent_id"].tolist() == [0, 0, 2, 1]


def test_what_was_known_of_the_candidates_is_kept_on_request(folder: Path, command: Command) -> None:
    args = ("track", "image.ome.zarr", "-o", "kept.geff", "--nuclei", "early.csv", "--json", "report.json")
    assert command(*args, "--scores", "kept.npz")[0] == 0
    scores, report = read_track_scores("kept.npz"), json.loads(Path("report.json").read_text())
    assert len(scores.problem.pairs) == report["n_candidates"]
    assert len(scores.positions) == report["n_nuclei"]
    code, _, err = command(*args, "--scores", "kept.csv")
    assert code == 2
    assert "--scores writes an .npz file, and 'kept.csv' is none" in err


def test_a_linker_trained_with_the_image_looks_at_it(folder: Path, command: Command, movie: SyntheticMovie) -> None:
    build = ("build", "image.ome.zarr", "truth.csv", "-o", "linked.zarr", "--cuboid", "0:4,0:12,0:72,0:72")
    assert command(*build)[0] == 0
    # the same nuclei in another film: what was bright is dark
    pixels = movie.image.read()
    write_image("other.ome.zarr", pixels.max() - pixels, spacing=movie.spacing, interval_s=300, channels=["nuclei"])

    def costs(image: str, model: str) -> np.ndarray:
        words = ("track", image, "-o", "t.csv", "--nuclei", "truth.csv", "--scores", "t.npz", "--device", "cpu")
        code, _, err = command(*words, "--links", f"{model}/{model}.anlage")
        assert code == 0, err
        table = pd.read_csv("t.csv")
        assert table["link_probability"][table["parent_id"] > 0].between(0, 1).all()
        return read_track_scores("t.npz").problem.edge

    for name, settings in (("seeing", ()), ("blind", ("image=false",))):
        words = f"train links linked.zarr -o {name} --device cpu --set steps=12 learning_rate=0.01 batch_size=1"
        code, _, err = command(*words.split(), *settings)
        assert code == 0, err
    seen = costs("image.ome.zarr", "seeing")
    np.testing.assert_array_equal(costs("image.ome.zarr", "seeing"), seen)
    # so short a training makes little of the image, but some
    assert np.abs(costs("other.ome.zarr", "seeing") - seen).max() > 1e-6
    np.testing.assert_array_equal(costs("other.ome.zarr", "blind"), costs("image.ome.zarr", "blind"))
    points = ("track", "-", "-o", "t.csv", "--nuclei", "truth.csv", "--spacing", "2,0.5,0.5")
    code, _, err = command(*points, "--links", "seeing/seeing.anlage")
    assert code == 2
    assert "The links model 'seeing' looks at the image around the nuclei: give the image" in err
    assert command(*points, "--links", "blind/blind.anlage")[0] == 0


def bad(text: str) -> str:
    Path("bad.csv").write_text(f"id,t,z,y,x,parent_id\n{text}\n")
    return "bad.csv"


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("1,0,0,5,5,0\n2,0,0,9,9,0\n3,1,0,5,5,1\n3,1,0,5,5,2", "has the id 3, which row 4 has already"),
        ("1,0,0,5,,0", "row 2 has '' for x"),
        ("1,0,0,5,5,0\n2,1.5,0,5,5,1", "id 2"),
        ("1,0,0,5,5,0\n2,4,0,5,5,1", "from nucleus 1 in frame 0 to nucleus 2 in frame 4"),
    ],
)
def test_bad_tracks_are_a_sentence_with_the_ids(folder: Path, command: Command, rows: str, said: str) -> None:
    code, _, err = command("track", "-", "-o", "o.csv", "--nuclei", bad(rows), "--spacing", "1,1,1", "--keep-links")
    assert code == 2
    assert said in err
    assert err.count("\n") == 1
    assert not Path("o.csv").exists()


def test_links_that_lead_nowhere_are_left_out_and_counted(folder: Path, command: Command) -> None:
    rows = "1,0,0,5,5,2\n2,0,0,5,5,1"
    code, out, err = command("track", "-", "-o", "o.csv", "--nuclei", bad(rows), "--spacing", "1,1,1", "--keep-links")
    assert code == 0
    assert "2 links of 'bad.csv' were left out: 2 not forward in time (2 → 1, among others)." in out + err
    assert Path("o.csv").exists()


def test_what_is_missing_is_said(folder: Path, command: Command) -> None:
    assert "give it with --spacing Z,Y,X" in command("track", "-", "-o", "o.csv", "--nuclei", "truth.csv")[2]
    assert "needs an image" in command("track", "-", "-o", "o.csv", "--nuclei", "classical")[2]
    assert "There is no" in command("track", "-", "-o", "o.csv", "--nuclei", "gone.csv")[2]
    assert "end the name in" in command("track", "-", "-o", "o.jpg", "--nuclei", "truth.csv")[2]
    assert command("track", "-", "-o", "truth.csv", "--nuclei", "truth.csv", "--spacing", "1,1,1")[0] == 2


@pytest.mark.parametrize("how", ["file", "signal"])
def test_an_end_comes_within_seconds(folder: Path, how: str) -> None:
    rng = np.random.default_rng(0)
    n = 16_000
    table = pd.DataFrame({"id": np.arange(1, n + 1), "t": np.arange(n) // 2000})
    for axis in "zyx":
        table[axis] = (rng.random(n) * 100).round(3)
    table.to_csv("many.csv", index=False)
    words = [sys.executable, "-m", "anlage", "track", "-", "-o", "o.csv", "--nuclei", "many.csv", "--spacing", "1,1,1"]
    with subprocess.Popen([*words, "--progress", "json"], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        while '"started"' not in child.stdout.readline():
            assert child.poll() is None
        asked = time.monotonic()
        if how == "file":
            Path("o.csv.parts/stop").touch()
        else:
            os.kill(child.pid, signal.SIGTERM)
        code = child.wait(timeout=60)
        assert time.monotonic() - asked < 6  # 3 s on a quiet machine
        assert '"stopped"' in child.stdout.read()
    assert code == (3 if how == "file" else 143)
    assert not Path("o.csv").exists()
