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


@pytest.fixture(scope="module")
def kills(toy_store: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, object]]:
    """What came of trainers that were killed, at every point and at random moments: forks of one process."""
    folder = tmp_path_factory.mktemp("kills")
    done = subprocess.run(
        [sys.executable, str(CRASH), "kills", str(folder), str(toy_store)],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    report: dict[str, dict[str, object]] = json.loads(done.stdout.splitlines()[-1])
    return report


@pytest.mark.long
def test_killed_at_ten_random_moments_the_weights_are_those_of_an_undisturbed_run(
    kills: dict[str, dict[str, object]],
) -> None:
    report = kills["moments"]
    assert report["kills"] == 10
    assert report["resumed"] >= 3, report  # some kills did come after the first checkpoint
    assert report["same"], report
    assert report["state"] == "finished"


def test_killed_before_in_or_after_any_write_the_run_can_be_resumed(kills: dict[str, dict[str, object]]) -> None:
    report = kills["points"]
    assert report["points"] > 25  # flushes, renames and half-written events of pid, plan, checkpoints and model
    assert report["different"] == []


def test_a_training_does_not_load_the_compiler_of_torch(kills: dict[str, dict[str, object]]) -> None:
    """It takes about as long as torch itself."""
    assert "torch.optim" in kills["modules"]
    assert "torch._dynamo" not in kills["modules"]


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
