"""A prediction on a scheduler: dask with a worker that is killed, and submitit's jobs on this computer."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from anlage.cli.sharing.places import JobSettings
from anlage.cli.sharing.taking_part import Order
from anlage.inference.frame_store import PredictionParts
from anlage.io import write_image
from anlage.sharing.claims import Crew

N = 12
WORDS = ("predict", "classical", "long.ome.zarr", "-o", "found.csv")
_SLOW = """
import time
from anlage.inference.classical import ClassicalFinder
_real = ClassicalFinder.predictions
def _slow(self, frames):
    for prediction in _real(self, frames):
        time.sleep(0.5)
        yield prediction
ClassicalFinder.predictions = _slow
"""

_LOCAL = """
import sys
from anlage.cli import main
from anlage.cli.sharing import slurm_jobs
slurm_jobs.CLUSTER = "local"
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def long_movie(folder, movie, command, tmp_path, monkeypatch):
    """A movie of 12 frames that every process begun from here on takes its time over, and the table that one makes of it."""
    write_image("long.ome.zarr", np.concatenate([movie.image.read()] * 3), spacing=movie.spacing, interval_s=300)
    code, _, err = command("predict", "classical", "long.ome.zarr", "-o", "alone.csv")
    assert code == 0, err
    (tmp_path / "slow").mkdir()
    (tmp_path / "slow" / "sitecustomize.py").write_text(_SLOW)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "slow"), os.environ.get("PYTHONPATH", "")]))
    return (folder / "alone.csv").read_bytes()


def wait_for(condition, seconds=60):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_workers_of_dask_share_it_and_one_is_killed(folder, long_movie):
    pytest.importorskip("distributed")
    parts = PredictionParts.beside(folder / "found.csv")
    crew = Crew(parts.folder)
    command = [sys.executable, "-m", "anlage", *WORDS, "--on", "dask", "--workers", "3", "--progress", "json"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        wait_for(lambda: parts.n_done and len({note.token for note in crew.claims().values()}) == 3)
        (first, *_) = crew.claims().values()
        os.kill(int(first.process.split()[0]), signal.SIGKILL)
        out, err = process.communicate(timeout=100)
    assert process.returncode == 0, err
    assert json.loads(out.splitlines()[-1]) | {"kind": "finished"} == json.loads(out.splitlines()[-1])
    assert (folder / "found.csv").read_bytes() == long_movie
    assert not parts.folder.exists()
    assert not (folder / "found.csv.jobs").exists()


def test_jobs_of_submitit_share_it(folder, long_movie, command):
    pytest.importorskip("submitit")
    words = [*WORDS, "--on", "slurm", "--workers", "2", "--hours", "0.1"]
    with (folder / "said.txt").open("w") as said:  # a pipe would be held open by the jobs
        subprocess.run([sys.executable, "-c", _LOCAL, *words], cwd=folder, stdout=said, stderr=said, check=True)
    assert "Submitted 2 jobs" in (folder / "said.txt").read_text()
    assert not (folder / "found.csv").exists(), "nobody waited"
    code, out, err = command("watch", "found.csv")
    assert code == 0, err
    assert "found.csv is written." in out
    assert (folder / "found.csv").read_bytes() == long_movie
    logs = folder / "found.csv.jobs"
    wait_for(lambda: all('"finished"' in log.read_text() for log in logs.glob("*_log.out")))
    did = [log.read_text().count('"frame":') for log in logs.glob("*_log.out")]
    assert sum(did) == N
    assert min(did) >= 3, did


def test_a_job_that_begins_when_all_is_done_does_nothing(folder, long_movie, command):
    (folder / "submitted").touch()
    assert command(*WORDS)[0] == 0
    code, out, err = command(*WORDS, "--submitted", "submitted")
    assert code == 0, err
    assert "found.csv is written already" in out
    assert not (folder / "found.csv.parts").exists()


def test_what_is_handed_on_is_the_command_without_where(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    where = ("--on", "slurm", "--workers=4", "--slurm", "qos=long", "--progress", "json")
    order = Order.shared(("predict", "m.anlage", *where[:3], "i.zarr", *where[3:], "-o", "f.csv"), Path("submitted"))
    assert order.arguments[:5] == ("predict", "m.anlage", "i.zarr", "-o", "f.csv")
    assert order.arguments[5:] == ("--submitted", str(tmp_path / "submitted"), "--progress", "json")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--partition", "gpu"), "--partition has no meaning without --on"),
        (("--on", "dask", "--hours", "2"), "--hours has no meaning with --on dask"),
        (("--on", "slurm", "--scheduler", "tcp://a:1"), "--scheduler has no meaning with --on slurm"),
        (("--workers", "2"), "--workers has no meaning without --on"),
        (("--on", "dask", "--part", "1/2"), "leave them out with --on"),
        (("--on", "slurm", "--slurm", "long"), "is not of the form NAME=VALUE"),
    ],
)
def test_options_without_a_meaning_are_refused(folder, command, more, said):
    code, _, err = command("predict", "classical", "image.ome.zarr", "-o", "found.csv", *more)
    assert code == 2
    assert said in err


def test_slurm_gets_what_was_asked_for():
    settings = JobSettings(n=4, partition="gpu", hours=1.5, gpus=1, cpus=8, memory_gb=32, more=(("account", "lab"),))
    assert settings.parameters() == {
        "name": "anlage", "timeout_min": 90, "cpus_per_task": 8, "gpus_per_node": 1, "mem_gb": 32, "slurm_partition": "gpu",
        "slurm_signal_delay_s": 30,
        "slurm_additional_parameters": {"account": "lab"},
    }  # fmt: skip
