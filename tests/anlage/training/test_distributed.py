"""Two processes that train together, as torchrun starts them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from anlage.model import load_model
from anlage.training.distributed import World
from anlage.training.run import Run

TOY = Path(__file__).with_name("toy.py")


def test_without_torchrun_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    world = World.from_environment()
    assert world.is_first
    assert world.is_alone
    assert world.broadcast_first(3, 4, device="cpu") == (3, 4)


@pytest.mark.long  # two processes that load torch: not what the suite should end with
@pytest.mark.skipif(not torch.distributed.is_available(), reason="this torch has no distributed")
def test_two_processes_train_one_model(make_run: Callable[..., Run]) -> None:
    run = make_run("r", "steps=12", "validate_every=4", "checkpoint_seconds=0")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {
        **os.environ,
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "OMP_NUM_THREADS": "1",
    }
    children = [
        subprocess.Popen(
            [sys.executable, str(TOY), str(run.path)],
            env={**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    said = [child.communicate(timeout=120)[1] for child in children]
    assert [child.returncode for child in children] == [0, 0], said
    events = run.events()[0]
    assert sum(event.event == "started" for event in events) == 1  # only the first one writes
    assert [event.step for event in events if event.event == "validated"] == [4, 8, 12]
    assert run.state == "finished"
    assert load_model(run.target_path).card.steps > 0
