"""The page for users of other programs: every row of it is tried, with files such as those programs write."""

from __future__ import annotations

import ast
import importlib
import json
import re
import shlex
import shutil
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import tifffile

from anlage import Project, Signals, Spacing, SyntheticMovie, embryo, open_annotations, write_annotations, write_signals
from anlage.cli import COMMANDS, main
from anlage.cli.arguments import Parser, spread_settings
from anlage.errors import AnlageError
from anlage.tasks import KINDS, TASKS
from anlage.training.config import assign

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "coming-from.md"
SHORT = ["--set", "steps=2", "batch_size=2"]
SCALE = Spacing(2, 0.3, 0.3)
SETTING = re.compile(r"--set (\S+)")


def rows(program: str) -> list[tuple[str, str]]:
    """There and here, of one part of the page."""
    part = PAGE.read_text("utf-8").split(f"\n## {program}", 1)[1].split("\n## ", 1)[0]
    cells = [re.split(r"(?<!\\)\|", line)[1:-1] for line in part.splitlines() if line.startswith("| ")]
    return [(there.strip(), here.strip()) for there, here in cells[1:]]


def spans(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


PROGRAMS = [line[3:] for line in PAGE.read_text("utf-8").splitlines() if line.startswith("## ")]


def commands(program: str) -> list[list[str]]:
    return [shlex.split(span)[1:] for _, here in rows(program) for span in spans(here) if span.startswith("anlage ")]


def tried(program: str, monkeypatch: pytest.MonkeyPatch, folder: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Run every command of a part, in the order of the page; gives what each said."""
    monkeypatch.chdir(folder)
    said = []
    for words in commands(program):
        short = SHORT if words[0] == "train" else []
        assert main([*words, *short]) == 0, (words, capsys.readouterr().err)
        said.append(capsys.readouterr().out)
    assert said
    return said


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_command_of_the_page_exists_with_its_options(program: str) -> None:
    for name, *words in commands(program):
        module, about = COMMANDS[name]
        parser = Parser(name, about)
        getattr(importlib.import_module(module), f"configure_{name}")(parser)
        assert parser.parse_intermixed_args(spread_settings(words)), words


def test_every_setting_of_the_page_is_one_of_a_training() -> None:
    named = [
        setting
        for program in PROGRAMS
        for _, here in rows(program)
        for setting in SETTING.findall(here.replace("`", " "))
    ]
    assert len(named) > 15
    for setting in named:
        fits = []
        for task in TASKS:
            try:
                fits.append(assign(task, [setting]))
            except AnlageError:
                continue
        assert fits, f"no kind of network has the setting {setting}"


def test_every_word_of_the_dock_stands_in_the_dock() -> None:
    """A name in italics is a button, tab, field or card."""
    shown = {kind.title.lower() for kind in KINDS.values()}
    for file in (ROOT / "src" / "napari_anlage").rglob("*.py"):
        shown |= {
            node.value.lower().strip()
            for node in ast.walk(ast.parse(file.read_text("utf-8")))
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) < 60
        }
    named = [
        word.strip(" …")
        for program in PROGRAMS
        for _, here in rows(program)
        for italic in re.findall(r"(?<!\*)\*([^*`]+)\*", re.sub(r"`[^`]*`", "", here))
        for word in italic.split("▸")
    ]
    assert len(named) > 20
    missing = [word for word in named if not any(text.startswith(word.lower()) for text in shown)]
    assert not missing, f"the page speaks of {missing}, which the dock does not show"


def write_movie(folder: Path, movie: SyntheticMovie) -> None:
    tifffile.imwrite(folder / "movie.tif", movie.image.read()[:, 0], imagej=True, metadata={"axes": "TZYX"})


@pytest.mark.long
def test_every_row_of_organoidtracker(tmp_path, monkeypatch, capsys) -> None:
    movie = embryo(3, 5, (12, 72, 72), n_nuclei=16)
    write_movie(tmp_path, movie)
    write_annotations(tmp_path / "tracks.aut", movie.truth, spacing=SCALE, interval_s=720)
    (tmp_path / "imgs").mkdir()
    for t, frame in enumerate(movie.image.read()[:, 0]):
        tifffile.imwrite(tmp_path / "imgs" / f"t{t:03}.tif", frame, photometric="minisblack")
    entry = {
        "experiment_file": "tracks.aut",
        "images_container": "imgs",
        "images_pattern": "t{time:03}.tif",
        "name": "listed",
    }
    (tmp_path / "experiments.autlist").write_text(json.dumps([entry]))
    (tmp_path / "organoid_tracker.ini").write_text(
        "[a]\npositions_file_1 = tracks.aut\nimages_container_1 = imgs\nimages_pattern_1 = t{time:03}.tif\n"
    )
    tried("OrganoidTracker", monkeypatch, tmp_path, capsys)
    with Project.open("movie.anlage") as project:
        assert len(project.document.nuclei) == len(movie.truth)
    assert Path("projects/listed.anlage").is_dir()
    assert len(open_annotations("back.aut")) == len(movie.truth)


@pytest.mark.long
def test_every_row_of_celldetective(tmp_path, monkeypatch, capsys) -> None:
    place = tmp_path / "Experiment" / "W1" / "100"
    for name in ("movie", "output/tables", "labels_targets"):
        (place / name).mkdir(parents=True)
    (tmp_path / "Experiment" / "config.ini").write_text(
        "[MovieSettings]\npxtoum = 0.31\nframetomin = 2.0\nlen_movie = 8\nmovie_prefix = \n[Channels]\nnuclei_channel = 0\n"
    )
    tifffile.imwrite(place / "movie" / "stack.tif", np.zeros((8, 90, 90), np.uint8), photometric="minisblack")
    rng = np.random.default_rng(1)
    lines = ["TRACK_ID,FRAME,POSITION_Y,POSITION_X,class_id,class_lysis,t_lysis,area"]
    for t in range(8):
        painted = np.zeros((90, 90), np.uint16)
        for i in range(12):
            y, x, dies = 8 + 20 * (i // 4), 8 + 20 * (i % 4), i % 2 == 0
            painted[y : y + 5, x : x + 5] = i + 1
            area = 100 - 60 * (dies and t > 3) + rng.normal()
            lines.append(
                f"{i + 1}.0,{t}.0,{y + 2}.0,{x + 2}.0,{i + 1},{0 if dies else 1},{3.5 if dies else -1},{area:.2f}"
            )
        tifffile.imwrite(place / "labels_targets" / f"{t:04}.tif", painted)
    table = place / "output" / "tables" / "trajectories_targets.csv"
    table.write_text("\n".join(lines) + "\n")
    shutil.copy(table, tmp_path)
    about = {"channels": ["area"], "model_signal_length": 128, "label": "lysis", "normalize": True,
             "normalization_percentile": [True], "normalization_values": [[0.1, 99.9]], "normalization_clip": [True]}  # fmt: skip
    (tmp_path / "config_input.json").write_text(json.dumps(about))
    monkeypatch.chdir(tmp_path)
    said = tried("Celldetective", monkeypatch, tmp_path, capsys)
    assert any("event=lysis" in text for text in said)
    assert len(pd.read_csv("tracks.csv")) == 96
    assert tifffile.imread("labels.tif").max() > 0


@pytest.mark.long
def test_every_row_of_anatomics(tmp_path, monkeypatch, capsys) -> None:
    rng = np.random.default_rng(0)
    labels = np.zeros((16, 96, 96), np.uint16)
    for i, (y, x) in enumerate(np.ndindex(4, 4), start=1):
        labels[4:12, 6 + 24 * y : 20 + 24 * y, 6 + 24 * x : 20 + 24 * x] = i
    tifffile.imwrite(tmp_path / "labels.tif", labels, photometric="minisblack")
    image = (labels > 0) * 120 + rng.integers(0, 40, labels.shape)
    tifffile.imwrite(tmp_path / "image.tif", image.astype(np.uint8), photometric="minisblack")
    (tmp_path / "config.yaml").write_text("MODEL:\n  INPUT_SIZE: [9, 65, 65]\nSOLVER:\n  BASE_LR: 0.001\n")
    (tmp_path / "metadata.yaml").write_text("x_scale: 10\ny_scale: 10\nz_scale: 40\n")
    said = tried("Anatomics", monkeypatch, tmp_path, capsys)
    assert any("patch_voxels=9,65,65" in text for text in said)
    assert len(pd.read_csv("objects.csv")) == 16
    assert Path("surfaces.ply").stat().st_size > 1000


@pytest.mark.long
@pytest.mark.data
def test_every_row_of_miniml(shared_data, tmp_path, monkeypatch, capsys) -> None:
    shutil.copy(shared_data("miniml") / "models" / "GC_lstm_model.h5", tmp_path)
    rng = np.random.default_rng(0)
    t = np.arange(600)
    event = np.where(t >= 150, (1 - np.exp(-(t - 150) / 10)) * np.exp(-(t - 150) / 90), 0)
    scores = np.arange(24) % 2
    windows = rng.normal(0, 1, (24, 600)) - 9 * scores[:, None] * event
    with h5py.File(tmp_path / "windows.h5", "w") as file:
        file["events"], file["scores"] = windows, scores
    trace = rng.normal(0, 1, 60_000)
    for at in range(3000, 57_000, 6000):
        trace[at : at + 600] -= 12 * event
    write_signals(tmp_path / "recording.h5", Signals.of(trace[None], ("current",), kind="repeated", interval_s=2e-5))
    tried("miniML", monkeypatch, tmp_path, capsys)
    assert abs(len(pd.read_csv("events.csv")) - 9) <= 1


def test_every_row_of_others(tmp_path, movie, monkeypatch, capsys) -> None:
    write_movie(tmp_path, movie)
    write_annotations(tmp_path / "tracks.xml", movie.truth, spacing=SCALE, interval_s=720)
    lines = ["index,axis-0,axis-1,axis-2,axis-3", *(f"{i}.0,{i % 2}.0,3.0,{9 + 4 * i}.0,20.5" for i in range(4))]
    (tmp_path / "points.csv").write_text("\n".join(lines) + "\n")
    tried("Others", monkeypatch, tmp_path, capsys)
    assert len(open_annotations("back.xml").links) == len(movie.truth.links)
    with Project.open("clicked.anlage") as project:
        assert project.document.nuclei.positions[1].tolist() == [1, 3, 13, 20.5]
