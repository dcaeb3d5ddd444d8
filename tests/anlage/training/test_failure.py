"""What can end a training, done to real child processes: each becomes one sentence that says what to do."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import psutil
import pytest

from anlage.training.process import train
from anlage.training.progress import EventLog, Note, Started
from anlage.training.run import Run

Make = Callable[..., Run]
CRASH = Path(__file__).with_name("crash_toy.py")
pytestmark = pytest.mark.skipif(os.name != "posix", reason="kills as only POSIX systems do")


@pytest.fixture(scope="module")
def failed(toy_store: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> dict[str, Run]:
    """Runs whose trainers came to their several ends; each was a process of its own."""
    folder = tmp_path_factory.mktemp("failed")
    places = [folder / "memory", folder / "lost"]
    with contextlib.suppress(pytest.skip.Exception):
        places.append(request.getfixturevalue("small_disk") / "full")
    command = [sys.executable, str(CRASH), "failures", ",".join(map(str, places)), str(toy_store)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr[-3000:]
    assert set(json.loads(done.stdout.splitlines()[-1]).values()) == {2}
    return {place.name: Run.open(place) for place in places}


def sentence(run: Run) -> str:
    assert run.state == "failed"
    failure = run.failure
    assert failure is not None
    assert "\n" not in failure.sentence
    assert f"anlage resume {run.path}`" in failure.sentence or "in a new run" in failure.sentence
    return failure.sentence


def test_memory_that_runs_out_twice(failed: dict[str, Run]) -> None:
    said = sentence(failed["memory"])
    assert said.startswith("Memory ran out with 4 examples in a batch (")
    assert "choose fewer with --set batch_size" in said


def test_a_disk_that_is_full(failed: dict[str, Run], toy: ModuleType) -> None:
    if "full" not in failed:
        pytest.skip("mounting a small disk needs root")
    run = failed["full"]
    said = sentence(run)
    assert said.startswith("The disk is full")
    assert "free some space" in said
    run.events_path.write_bytes(run.events_path.read_bytes().replace(b'"event":"failed"', b'"event":"zzzzzz"'))
    said = sentence(Run.open(run.path))  # not even its last words found room
    assert said.startswith("The disk is full (0.0 MB are free at ")


def test_a_graphics_driver_that_is_lost(failed: dict[str, Run], toy: ModuleType) -> None:
    run = failed["lost"]
    assert sentence(run) == (
        "The graphics card stopped answering (CUDA error: unspecified launch failure); what was saved is intact: continue "
        f"with `anlage resume {run.path}`, and if it happens again restart the computer, see what `anlage doctor` says, or "
        "train on the processor with --device cpu in a new run."
    )
    assert run.failure is not None
    assert "in batch" in run.failure.details, "the place is in the details"
    heal(run)
    train(Run.open(run.path), tasks=toy.TASKS)
    assert run.state == "finished"
    assert run.failure is None


def heal(run: Run) -> None:
    """The driver is back."""
    path = run.path / "run.json"
    about = json.loads(path.read_text())
    about["settings"]["lost_at"] = None
    path.write_text(json.dumps(about))


def test_a_crash_in_a_library_and_other_ends(make_run: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    ends = {
        "kill -SEGV $$": "The training crashed in one of its libraries (SIGSEGV) before its first checkpoint; continue with",
        "echo 'memory allocation of 27707660 bytes failed'; kill -ABRT $$": "Memory ran out before its first checkpoint (memory "
        "allocation of 27707660 bytes failed, ",
        "echo 'anlage: The store is gone; build it.' ; exit 2": "The store is gone; build it.",
        "exit 7": "The training ended before its first checkpoint without a word (exit code 7); the computer's memory may",
    }
    for i, (script, expected) in enumerate(ends.items()):
        run = make_run(f"r{i}")
        program = run.path.parent / f"python{i}"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(program))
        run.start().wait()
        assert run.failure is not None
        assert run.failure.sentence.startswith(expected)


def test_a_computer_that_was_switched_off(make_run: Make) -> None:
    run = make_run("r")
    with EventLog(run.events_path) as log:
        log.write(Started(time=psutil.boot_time() - 3600, pid=1, version="0"))
        log.write(Note(text="begun"))
    assert sentence(run).startswith(
        "The computer was switched off or restarted while the training was under way, before"
    )


def test_what_an_earlier_trainer_complained_of_is_not_the_reason(make_run: Make) -> None:
    run = make_run("r")
    run.log_path.write_text("anlage: The disk is full.\n")
    os.utime(run.log_path, (1, 1))
    with EventLog(run.events_path) as log:
        log.write(Started(time=time.time(), pid=1, version="0"))
    assert sentence(run).startswith("The training ended before its first checkpoint without a word; ")
    assert run.failure is not None
    assert run.failure.details == "anlage: The disk is full."


def test_a_run_that_goes_well_has_no_failure(make_run: Make, toy: ModuleType) -> None:
    run = make_run("r", "steps=2")
    assert run.failure is None
    with run.lock():
        assert run.failure is None
    train(run, tasks=toy.TASKS)
    assert run.failure is None
