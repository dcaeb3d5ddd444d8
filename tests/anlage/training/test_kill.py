"""Killing a trainer, whenever it may be, costs time but never the run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from anlage.errors import AnlageError
from anlage.training.run import Run

CRASH = Path(__file__).with_name("crash_toy.py")
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="forks its trainers")


def crash(kind: str, folder: Path, store: Path) -> dict[str, object]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(CRASH), kind, str(folder), str(store)], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr[-3000:]
    report: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return report


def test_killed_at_ten_random_moments_the_weights_are_those_of_an_undisturbed_run(
    tmp_path: Path, toy_store: Path
) -> None:
    report = crash("moments", tmp_path, toy_store)
    assert report["kills"] == 10
    assert report["resumed"] >= 3, report  # some kills did come after the first checkpoint
    assert report["same"], report
    assert report["state"] == "finished"


@pytest.mark.long
def test_killed_before_in_or_after_any_write_the_run_can_be_resumed(tmp_path: Path, toy_store: Path) -> None:
    report = crash("points", tmp_path, toy_store)
    assert report["points"] > 25  # flushes, renames and half-written events of pid, plan, checkpoints and model
    assert report["different"] == []


def test_killed_while_the_run_is_made_the_same_command_makes_it(
    make_run: Callable[..., Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class KilledError(BaseException): ...

    def kill(path: Path, target: Path) -> Path:
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", kill)
        with pytest.raises(KilledError):
            make_run("r")
    (tmp_path / "r" / ".part-0123-run.json").write_text('{"half": ')
    with pytest.raises(AnlageError, match=r"r is no run: it has no run.json"):
        Run.open(tmp_path / "r")
    assert make_run("r").state == "new"
