"""train, resume, stop, watch, and what follows them: predict, evaluate, info."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from anlage.cli import main
from anlage.cli.training_output import Follower, describe
from anlage.io import open_annotations, open_image
from anlage.training.progress import Note, Started, Step, Stopped, Validated
from anlage.training.run import Run

SMALL = ("width=8", "levels=1", "patch_um=20", "batch_size=1", "device=cpu", "threads=1", "seed=1")


@pytest.fixture(scope="module")
def _trained(_written, tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("trained") / "work"
    shutil.copytree(_written, place)
    build = f"build {place}/image.ome.zarr {place}/early.csv -o {place}/nuclei.zarr --cuboid 0:3,0:12,0:72,0:72"
    train = f"train nuclei {place}/nuclei.zarr -o {place}/runs/first --set steps=6"
    with contextlib.redirect_stdout(io.StringIO()) as said:
        assert main(build.split()) == 0
        assert main([*train.split(), *SMALL]) == 0
    assert "Use it: anlage predict" in said.getvalue()
    return place


@pytest.fixture
def store(_trained, folder) -> Path:
    """A store of the first three frames, in the working folder."""
    return Path(shutil.copytree(_trained / "nuclei.zarr", folder / "nuclei.zarr"))


@pytest.fixture
def run(_trained, store, folder) -> Path:
    """A finished run of that store."""
    shutil.copytree(_trained / "runs", folder / "runs")
    return folder / "runs" / "first"


def test_from_store_to_scores(run, folder, command):
    """A training ends in one model file; predict writes what the design says; evaluate reads it."""
    assert [path.name for path in run.glob("*.anlage")] == ["first.anlage"]

    code, out, err = command("info", run)
    assert code == 0, err
    assert "Run first: training nuclei, finished" in out
    code, out, _ = command("info", run / "first.anlage")
    assert code == 0
    assert "# first" in out

    code, out, _ = command("resume", run)
    assert code == 0
    assert "This training is finished" in out

    code, out, _ = command("watch", run)
    assert code == 0
    assert out.count("Finished after 6 steps") == 1
    assert out.endswith("The run is finished.\n")

    words = ("predict", run, "image.ome.zarr", "-o", "new/found.csv", "--threshold", "0", "--diameter-um", "8")
    code, out, err = command(*words, "--frames", "1:3", "--heatmap", "new/heat.zarr")
    assert code == 0, err
    assert "written to new/found.csv" in out
    table = pd.read_csv(folder / "new" / "found.csv")
    assert list(table.columns[:6]) == ["id", "t", "z", "y", "x", "probability"]
    assert set(table["t"]) == {1, 2}
    assert table["id"].is_unique
    assert table["probability"].between(0, 1).all()
    heat, image = open_image(folder / "new" / "heat.zarr"), open_image(folder / "image.ome.zarr")
    assert heat.shape == image.shape
    assert heat.spacing == image.spacing
    assert heat.frame(0).max() == 0
    assert heat.frame(1).max() > 0

    code, out, err = command("evaluate", "new/found.csv", "truth.csv", "--spacing", "2,0.5,0.5", "--json")
    assert code == 0, err
    assert json.loads(out)["detection"]["radius_um"] == 5.0


def test_a_training_leaves_pictures_and_they_can_be_drawn_again(run, store, command, folder):
    pictures = sorted(path.name for path in (run / "report").iterdir())
    assert {"calibration.png", "confusion.png", "curves.png"} <= set(pictures)
    (run / "report" / "curves.png").unlink()
    code, out, err = command("report", run)
    assert code == 0, err
    assert f"{len(pictures)} pictures in {run / 'report'}: curves.png, calibration.png" in out
    assert sorted(path.name for path in (run / "report").iterdir()) == pictures
    Run.create(folder / "runs" / "new", "nuclei", [store])
    code, _, err = command("report", folder / "runs" / "new")
    assert code == 2
    assert "has nothing to draw yet (it is new)" in err


def test_a_region_is_all_that_is_predicted(run, folder, command):
    words = ("predict", run / "first.anlage", "image.ome.zarr", "-o", "found.geff", "--threshold", "0")
    code, _, err = command(*words, "--frames", "0", "--region", "0:12,0:36,0:72", "--diameter-um", "8")
    assert code == 0, err
    found = open_annotations(folder / "found.geff")
    assert len(found) > 0
    assert found.positions[:, 2].max() < 35.5
    assert (found.frames == 0).all()
    assert (found.origin != "human").all()


def test_unknown_voxel_size_is_assumed_and_said(run, folder, command, movie):
    import tifffile

    tifffile.imwrite(folder / "plain.tif", movie.image.read()[:, 0])
    code, out, err = command("predict", run, "plain.tif", "-o", "f.csv", "--frames", "0", "--diameter-um", "8")
    assert code == 0, err
    assert "voxel size is unknown; the model's is assumed: 2 × 0.5 × 0.5 µm" in out


def test_a_second_training_from_the_first_and_not_over_it(run, store, command, folder):
    code, _, err = command("train", "nuclei", store, "-o", run, "--set", "steps=2", *SMALL)
    assert code == 2
    assert "holds a run already" in err
    code, _, err = command(
        "train", "nuclei", store, "-o", "runs/second", "--set", "steps=2", *SMALL, "--from", run, "--device", "cpu"
    )
    assert code == 0, err
    assert Run.open(folder / "runs" / "second").config.start_from.endswith("first.anlage")


def test_classical_needs_no_training(folder, command, movie):
    code, out, err = command("predict", "classical", "image.ome.zarr", "-o", "found.csv", "--frames", "0:1")
    assert code == 0, err
    assert "Classical detector" in out
    table = pd.read_csv("found.csv")
    assert abs(len(table) - int((movie.truth.frames == 0).sum())) <= 3
    assert list(table.columns[:6]) == ["id", "t", "z", "y", "x", "probability"]
    code, out, err = command("build", "image.ome.zarr", "found.csv", "-o", "again.zarr")
    assert code == 0, err
    assert "(radii)" not in out, "the detector's guess at the size is no measurement"
    assert f"{len(table)} of {len(table)} nuclei were proposed by a model and not checked" in out


@pytest.mark.long
def test_stop_from_elsewhere_and_interrupt_then_resume(store, command, folder):
    """`stop` ends a training cleanly; it resumes; Ctrl-C ends it cleanly too, within seconds."""
    run = folder / "run"
    words = ["train", "nuclei", str(store), "-o", "run", "--set", "steps=100000", "patience=none", *SMALL]
    with _started(words, folder) as trainer:
        _wait_for_step(run, 1)
        began = time.monotonic()
        code, out, _ = command("stop", "run")
        assert code == 0
        assert "The best weights so far are in" in out
        assert "go on with `anlage resume run`" in out
        assert trainer.wait(timeout=20) == 0
        assert time.monotonic() - began < 10
    assert Run.open(run).state == "stopped"
    assert "Nothing trains in run now (it is stopped)" in command("stop", "run")[1]

    before = _last_step(run)
    with _started(["resume", "run"], folder) as trainer:
        _wait_for_step(run, before + 1)
        trainer.send_signal(signal.SIGINT)
        assert trainer.wait(timeout=20) == 130
        assert b"Stopping within 3 s" in trainer.stderr.read()
    assert Run.open(run).state == "stopped"
    assert "Stopped at step" in command("info", "run")[1]


def test_sigterm_as_a_cluster_sends_it_stops_a_training(store, command, folder):
    run = folder / "run"

    def send() -> None:
        _wait_for_step(run, 1)
        os.kill(os.getpid(), signal.SIGTERM)

    cluster = threading.Thread(target=send)
    cluster.start()
    code, _, _ = command("train", "nuclei", store, "-o", "run", "--set", "steps=100000", "patience=none", *SMALL)
    cluster.join()
    assert code == 143
    assert Run.open(run).state == "stopped"


def test_watching_what_never_began_ends(store, command, monkeypatch):
    monkeypatch.setattr("anlage.cli.train._BIRTH_S", 0.5)
    run = Run.create("run", "nuclei", [store])
    with run.lock():
        pass
    code, _, err = command("watch", "run")
    assert code == 2
    assert "Nothing trains in run; start it with `anlage resume run`" in err


def test_a_bad_device_leaves_no_run_and_a_run_without_a_checkpoint_is_replaced(store, command, folder):
    code, _, err = command("train", "nuclei", store, "-o", "run", "--device", "gpu")
    assert code == 2
    assert "The device 'gpu' cannot be used here" in err
    assert not (folder / "run").exists()
    Run.create("run", "nuclei", [store])
    code, out, err = command("train", "nuclei", store, "-o", "run", "--set=steps=2", *SMALL)
    assert code == 0, err
    assert "The earlier run in run had come to nothing (no checkpoint); it is replaced." in out


def test_a_training_from_a_model_takes_over_its_network(run, store, command, folder):
    words = (
        "train",
        "nuclei",
        store,
        "-o",
        "next",
        "--from",
        run,
        "--set",
        "steps=2",
        "patch_um=20",
        "device=cpu",
        "threads=1",
    )
    code, _, err = command(*words, "levels=2")
    assert code == 2
    assert "The setting levels=2 contradicts the model to start from, which was made with levels=1" in err
    code, _, err = command(*words)
    assert code == 0, err
    settings = Run.open(folder / "next").config.settings
    assert (settings["width"], settings["levels"]) == (8, 1)


def test_channels_say_which_the_model_looks_at(run, command):
    words = ("predict", run, "image.ome.zarr", "-o", "f.csv", "--frames", "0", "--diameter-um", "8", "--channels")
    code, _, err = command(*words, "0")
    assert code == 0, err
    code, _, err = command(*words, "0,1")
    assert code == 2
    assert "--channels" in err or "chosen" in err


def test_events_as_lines():
    assert describe(Note(text="Hello.")) == "Hello."
    assert describe(Started(time=0, pid=7, version="1")) == "Preparing the training data (process 7) …"
    seen = Validated(
        step=30,
        loss=0.25,
        score=0.5,
        seconds=75,
        best=True,
        metrics={"best_f1": 0.9, "tp": 4, "centre_error_um": np.nan},
    )
    assert describe(seen) == "1 min 15 s, step 30: held-out loss 0.25, best F1 0.9 (best so far)"
    assert describe(Stopped(step=3, model=None, seconds=3700)) == "Stopped at step 3 after 1 h 1 min."


def test_a_closed_terminal_does_not_end_a_training(monkeypatch, tmp_path):
    def closed(text):
        raise BrokenPipeError

    monkeypatch.setattr("anlage.cli.training_output.say", closed)
    Follower(None).show(Note(text="Hello."))


def _started(words: list[str], folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "anlage", *words], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def _last_step(run: Path) -> int:
    steps = [event.step for event in Run.open(run).events()[0] if isinstance(event, Step)]
    return max(steps, default=0)


def _wait_for_step(run: Path, step: int) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        if (run / "run.json").exists() and _last_step(run) >= step:
            return
        time.sleep(0.1)
    raise AssertionError(f"no step {step} within 90 s")
