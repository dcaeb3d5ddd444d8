"""No command replaces a file that somebody else wrote; every command that writes is tried."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from anlage import Spacing, write_image
from anlage.cli import COMMANDS
from anlage.cli.arguments import Parser

MINE = "id,t,z,y,x,note\n1,0,1,2,3,a day of work\n"
PREDICT = ["predict", "classical", "image.ome.zarr", "--frames", "0:1", "-o"]
TRACK = ["track", "-", "--nuclei", "truth.csv", "--spacing", "2,0.5,0.5", "-o"]
MESH = ["mesh", "labels.zarr", "--frames", "0:1", "-o"]

WRITES: dict[str, list[tuple[list[str], str]]] = {
    "predict": [
        ([*PREDICT, "mine.csv"], "mine.csv"),
        ([*PREDICT, "mine.geff"], "mine.geff"),
        ([*PREDICT, "found.csv", "--heatmap", "mine.zarr"], "mine.zarr"),
        (["predict", "starter", "image.ome.zarr", "-o", "mine.zarr"], "mine.zarr"),
        (["predict", "starter", "image.ome.zarr", "-o", "mine.tif"], "mine.tif"),
        (["predict", "starter", "image.ome.zarr", "-o", "mine.zarr", "--maps", "--frames", "0:1"], "mine.zarr"),
        ([*PREDICT, "found.csv", "--average", "mine.csv"], "mine.csv"),
    ],
    "track": [
        ([*TRACK, "mine.csv"], "mine.csv"),
        ([*TRACK, "mine.geff"], "mine.geff"),
        ([*TRACK, "mine.xml"], "mine.xml"),
        ([*TRACK, "mine.aut"], "mine.aut"),
        ([*TRACK, "mine"], "mine"),
        ([*TRACK, "mine.ctc"], "mine.ctc"),
        ([*TRACK, "tracks.csv", "--json", "mine.json"], "mine.json"),
        ([*TRACK, "tracks.csv", "--scores", "mine.npz"], "mine.npz"),
    ],
    "convert": [
        (["convert", "truth.csv", f"mine.{kind}", "--spacing", "2,0.5,0.5"], f"mine.{kind}")
        for kind in ("geff", "xml", "aut", "csv", "ctc", "tif", "zarr")
    ]
    + [(["convert", "truth.csv", "mine", "--format", "xml"], "mine.xml")],
    "signals": [
        (["signals", "image.ome.zarr", "truth.csv", "-o", f"mine.{kind}", "--radius-um", "3"], f"mine.{kind}")
        for kind in ("csv", "tsv", "npy")
    ],
    "measure": [(["measure", "labels.zarr", "-o", "mine.csv"], "mine.csv")],
    "mesh": [
        ([*MESH, "mine.ply"], "mine.ply"),
        ([*MESH, "mine.obj"], "mine.obj"),
        ([*MESH, "mine.stl"], "mine.stl"),
        ([*MESH, "surfaces"], "surfaces/t0000_label000001.ply"),
        ([*MESH, "mine.csv", "--points"], "mine.csv"),
    ],
    "evaluate": [(["evaluate", "labels.zarr", "labels.zarr", "--pictures", "mine.png"], "mine.png")],
    "starter": [(["starter", "-o", "mine.anlage"], "mine.anlage")],
    "import": [
        (["import", "truth.csv", "--image", "image.ome.zarr", "-o", "mine.anlage"], "mine.anlage"),
        (["import", "truth.csv", "--image", "image.ome.zarr", "-o", "mine"], "mine/truth.anlage"),
    ],
    "build": [(["build", "image.ome.zarr", "truth.csv", "-o", "mine.zarr"], "mine.zarr")],
    "demo": [(["demo", "--no-viewer", "-o", "mine"], "mine/image.ome.zarr")],
    "train": [(["train", "nuclei", "image.ome.zarr", "-o", "mine"], "mine")],
}
READS = {"doctor", "resume", "report", "stop", "watch", "info", "models"}
"""Commands that write no file that a user names."""
FOLDERS = (".geff", ".zarr", ".ctc", "")
CASES = [(words, place) for cases in WRITES.values() for words, place in cases]

RunCommand = Callable[..., tuple[int, str, str]]


def owned(place: str) -> dict[str, bytes]:
    """Put somebody's file there, or folder; gives what it holds."""
    path = Path(place)
    if path.suffix in FOLDERS:
        path.mkdir(parents=True)
        (path / "notes.csv").write_text(MINE, encoding="utf-8")
        (path / "zarr.json").write_text('{"zarr_format": 3, "node_type": "group", "attributes": {}}', encoding="utf-8")
    else:
        path.parent.mkdir(exist_ok=True)
        path.write_text(MINE, encoding="utf-8")
    return held(path)


def held(path: Path) -> dict[str, bytes]:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return {str(file): file.read_bytes() for file in files}


@pytest.fixture
def labels(folder: Path) -> Path:
    painted = np.zeros((1, 12, 72, 72), np.uint16)
    painted[0, 3:8, 10:20, 10:20] = 1
    write_image(folder / "labels.zarr", painted, axes="tzyx", spacing=Spacing(2, 0.5, 0.5), kind="labels")
    return folder


def test_every_command_is_tried_or_writes_nothing() -> None:
    assert set(WRITES) | READS == set(COMMANDS)
    assert not set(WRITES) & READS


@pytest.mark.parametrize("name", sorted(set(WRITES) - {"train", "import"}))
def test_every_command_that_writes_can_be_told_to_replace(name: str) -> None:
    parser = Parser(name, COMMANDS[name][1])
    getattr(importlib.import_module(COMMANDS[name][0]), f"configure_{name}")(parser)
    assert "--overwrite" in parser.format_help()


@pytest.mark.parametrize(("words", "place"), CASES, ids=[" ".join(words) for words, _ in CASES])
def test_what_somebody_else_wrote_stays(words: list[str], place: str, labels: Path, command: RunCommand) -> None:
    before = owned(place)
    code, _, err = command(*words)
    assert code == 2
    assert err.startswith("anlage: ")
    assert err.count("\n") == 1
    assert held(Path(place)) == before
    assert not [path.name for path in labels.iterdir() if path.name.startswith((".part", ".old"))]


REPEATED = [
    [*PREDICT, "again.csv"],
    [*PREDICT, "again.geff", "--heatmap", "heat.zarr"],
    [*TRACK, "again.geff", "--json", "report.json", "--scores", "scores.npz"],
    [*TRACK, "again.xml"],
    ["convert", "truth.csv", "again.aut"],
    ["convert", "truth.csv", "again.tif", "--spacing", "2,0.5,0.5"],
    ["convert", "truth.csv", "again", "--spacing", "2,0.5,0.5", "--format", "ctc"],
    ["signals", "image.ome.zarr", "truth.csv", "-o", "again.npy", "--radius-um", "3"],
    ["measure", "labels.zarr", "-o", "again.csv"],
    [*MESH, "again"],
    [*MESH, "again.stl"],
]


@pytest.mark.parametrize("words", REPEATED, ids=" ".join)
def test_the_same_command_replaces_what_it_wrote(words: list[str], labels: Path, command: RunCommand) -> None:
    assert command(*words)[::2] == (0, "")
    assert command(*words)[::2] == (0, "")


def test_a_corrected_prediction_is_somebodys_work(folder: Path, command: RunCommand) -> None:
    assert command(*PREDICT, "found.csv")[0] == 0
    table = pd.read_csv("found.csv")
    table.loc[0, "x"] += 1
    table.to_csv("found.csv", index=False)
    before = Path("found.csv").read_bytes()
    code, _, err = command(*PREDICT, "found.csv")
    assert (code, Path("found.csv").read_bytes()) == (2, before)
    assert "an output of 'predict' that nobody changed since" in err
    assert command(*PREDICT, "found.csv", "--overwrite")[0] == 0
    assert Path("found.csv").read_bytes() != before


def test_another_commands_output_is_not_replaced(folder: Path, command: RunCommand) -> None:
    assert command("convert", "truth.csv", "a.csv")[0] == 0
    code, _, err = command(*PREDICT, "a.csv")
    assert code == 2
    assert "was not written as what would take its place" in err


def test_two_outputs_need_two_names(folder: Path, command: RunCommand) -> None:
    code, _, err = command(*TRACK, "a.csv", "--json", "a.csv")
    assert (code, Path("a.csv").exists()) == (2, False)
    assert "choose two names" in err


def test_overwriting_does_not_touch_what_is_read(folder: Path, command: RunCommand) -> None:
    before = Path("truth.csv").read_bytes()
    for words in (["convert", "truth.csv", "truth.csv"], ["signals", "-", "truth.csv", "-o", "truth.csv"]):
        code, _, err = command(*words, "--overwrite")
        assert (code, Path("truth.csv").read_bytes()) == (2, before)
        assert "only read" in err
