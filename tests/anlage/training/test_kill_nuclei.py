"""The real task by the real command: kill -9, resume, and the weights are those of an undisturbed run."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from anlage.axes import Box
from anlage.cli import main
from anlage.dataset.build import build_store
from anlage.model import load_model
from anlage.synthetic import embryo
from anlage.training.run import Run

SETTINGS = ["steps=24", "validate_every=8", "seed=3", "width=8", "checkpoint_seconds=0.2", "threads=1", "device=cpu"]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    movie = embryo(seed=0, n_frames=2, shape_zyx=(12, 96, 96), n_nuclei=16)
    path = tmp_path_factory.mktemp("nuclei") / "s.zarr"
    build_store(path, movie.image, movie.truth, cuboid=Box.whole((2, 12, 96, 96)))
    return path


def anlage(*arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "anlage", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def training(store: Path, out: Path) -> list[str]:
    return ["train", "nuclei", str(store), "-o", str(out), *(word for s in SETTINGS for word in ("--set", s))]


def weights(run: Run) -> str:
    assert run.model_path is not None
    return load_model(run.model_path).card.weights_sha256


def events(path: Path, after: int) -> list[Any]:
    return list(Run.open(path).events(after)[0]) if (path / "run.json").exists() else []


@pytest.mark.long
def test_killed_and_resumed_the_weights_are_the_same(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(training(store, tmp_path / "plain")) == 0  # undisturbed, and in another process
    process, rng = anlage(*training(store, tmp_path / "r")), random.Random(1)
    seen = 0
    for _ in range(2):
        while process.poll() is None and not any(event.event == "step" for event in events(tmp_path / "r", seen)):
            time.sleep(0.02)
        time.sleep(rng.uniform(0, 0.7))
        process.kill()
        process.communicate()
        assert Run.open(tmp_path / "r").state in ("failed", "finished")
        seen = Run.open(tmp_path / "r").events()[1]
        process = anlage("resume", tmp_path / "r")
    said = process.communicate(timeout=200)[0]
    assert process.returncode == 0, said
    run = Run.open(tmp_path / "r")
    assert run.state == "finished"
    assert any(event.event == "resumed" and event.step > 0 for event in run.events()[0])
    assert weights(run) == weights(Run.open(tmp_path / "plain"))
    capsys.readouterr()
    assert main(["resume", str(tmp_path / "r")]) == 0
    assert "finished" in capsys.readouterr().out
