"""`torchrun … anlage train`: two processes, one model, as one process with the whole batch learns it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from anlage.training.run import Run

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not torch.distributed.is_available(), reason="this torch has no distributed"),
]
SETTINGS = ["validate_every=2", "precision=float32", "width=8", "checkpoint_seconds=0", "average_decay=0.5"]


def torchrun(*words: object) -> subprocess.CompletedProcess[str]:
    launcher = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "anlage"]
    return subprocess.run(
        [sys.executable, "-m", *launcher, *map(str, words)],
        env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False, timeout=240,
    )  # fmt: skip


def train(store: Path, run: Path, *more: str) -> list[object]:
    settings = [part for one in (*SETTINGS, *more) for part in ("--set", one)]
    return ["train", "nuclei", store, "-o", run, "--device", "cpu", "--from", "none", *settings]


def test_two_processes_make_the_run_of_one_with_the_whole_batch(store: Path, command) -> None:
    done = torchrun(*train(store, Path("both"), "steps=2", "batch_size=1"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Training nuclei on 1 store") == 1  # only the first one speaks
    assert done.stdout.count("Finished. The model is") == 1
    run = Run.open("both")
    assert run.state == "finished"
    events = run.events()[0]
    assert sum(event.event == "started" for event in events) == 1  # nor does another one write
    assert [event.step for event in events if event.event == "validated"] == [2]
    code, _, error = command(*train(store, Path("one"), "steps=2", "batch_size=1", "accumulate=2"))
    assert code == 0, error
    asked = subprocess.run(
        [sys.executable, "-m", "anlage", *map(str, train(store, Path("asked"), "steps=2", "batch_size=1", "processes=2"))],
        env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False, timeout=240,
    )  # fmt: skip
    assert asked.returncode == 0, asked.stderr
    assert asked.stdout.count("Finished. The model is") == 1
    same = [load_file(Path(name, "checkpoint.safetensors")) for name in ("both", "asked")]
    assert all(torch.equal(same[0][name], same[1][name]) for name in same[0])
    both, one = (load_file(Path(name, "checkpoint.safetensors")) for name in ("both", "one"))
    weights = [name for name in one if name.startswith("network.")]
    assert weights
    for name in weights:
        torch.testing.assert_close(both[name], one[name], rtol=1e-5, atol=1e-7)
