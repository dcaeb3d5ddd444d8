"""Killing a program that works on a project, whenever it may be, loses no change that was made."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CRASH = Path(__file__).with_name("crash_project.py")
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="forks its children")


def crash(kind: str, folder: Path) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, str(CRASH), kind, str(folder)],
        capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    report: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return report


@pytest.mark.long
def test_killed_at_random_moments_every_change_is_there(tmp_path: Path) -> None:
    report = crash("moments", tmp_path)
    assert report["lost"] == [], report
    assert report["kills"] == 12
    assert int(str(report["changes"])) > 40, report
    assert int(str(report["saves"])) > 2, report


def test_killed_around_renames_removals_and_lines_every_change_is_there(tmp_path: Path) -> None:
    report = crash("points", tmp_path)
    assert report["lost"] == [], report
    assert int(str(report["points"])) > 50, report
