"""Ends trainers: ``python crash_toy.py kills FOLDER STORE`` or ``… failures FOLDER,… STORE``. Prints one JSON line of what came of it.

One process loads torch and then forks a child for each attempt, so that a kill costs milliseconds. The children are
real processes and the kills are real SIGKILLs.
"""

from __future__ import annotations

import gc
import importlib.util
import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geff  # noqa: F401  (loaded before the forks)
import pandas  # noqa: F401
import torch

from anlage.errors import AnlageError
from anlage.model import load_model
from anlage.training import loop, progress  # noqa: F401  (loaded before the forks)
from anlage.training.process import train
from anlage.training.run import Run

SPEC = importlib.util.spec_from_file_location("anlage_test_toy", Path(__file__).with_name("toy.py"))
TOY: Any = importlib.util.module_from_spec(SPEC)
sys.modules[SPEC.name] = TOY
SPEC.loader.exec_module(TOY)

SETTINGS = ("device=cpu", "threads=1", "steps=4", "validate_every=2", "checkpoint_seconds=0.02", "seed=5")


def forked(work: Callable[[], None]) -> int:
    gc.freeze()  # a search for garbage in the child would copy all the memory that it shares with this process
    pid = os.fork()
    if pid == 0:
        work()
        os._exit(0)
    return pid


def ended(pid: int) -> bool:
    """Whether the child ended by itself; any other end than ours is an error."""
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return False
    assert status == 0, status
    return True


def resume(run: Run) -> None:
    train(run, tasks=TOY.TASKS)


def new_run(path: Path, store: str, *settings: str) -> Run:
    return Run.create(path, "toy", [store], [*SETTINGS, *settings], tasks=TOY.TASKS)


def weights(run: Run) -> str:
    return load_model(run.target_path).card.weights_sha256


def die_at(point: int) -> None:
    """Kill this process at its n-th dangerous moment: before or after a rename, before a flush, in the midst of an event."""
    left = [point]

    def moment() -> None:
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    replace, fsync, write = Path.replace, os.fsync, progress.EventLog.write

    def dying_replace(self: Path, target: Any) -> Path:
        moment()
        result = replace(self, target)
        moment()
        return result

    def dying_fsync(fd: int) -> None:
        moment()
        fsync(fd)

    def dying_write(self: Any, event: Any) -> None:
        if left[0] == 0:
            line = event.model_dump_json().encode()
            os.write(self._file.fileno(), line[: len(line) // 2])
        moment()
        write(self, event)

    Path.replace, os.fsync, progress.EventLog.write = dying_replace, dying_fsync, dying_write


def at_points(folder: Path, store: str) -> dict[str, Any]:
    plain = new_run(folder / "plain", store)
    resume(plain)  # here, not in a fork: what it loads and prepares is then there for all of them
    undisturbed, different, point = weights(plain), [], 0
    while True:
        run = new_run(folder / f"point{point}", store)

        def dying(run: Run = run, point: int = point) -> None:
            die_at(point)
            resume(run)

        survived = ended(forked(dying))
        if not survived:
            assert run.state in ("failed", "new", "finished"), run.state
            assert ended(forked(lambda run=run: resume(run)))
        if weights(Run.open(run.path)) != undisturbed or len(list(run.path.glob("*.anlage"))) != 1:
            different.append(point)
        if survived:
            return {"points": point, "different": different}
        point += 1


def at_moments(folder: Path, store: str) -> dict[str, Any]:
    length = ("steps=90", "validate_every=7")
    plain = new_run(folder / "plain of moments", store, *length)
    assert ended(forked(lambda: resume(plain)))
    run = new_run(folder / "moments", store, *length, "step_ms=15", "look_s=0.03")
    rng, kills = random.Random(3), 0
    for kill in range(10):
        seen = run.events()[1]
        pid = forked(lambda: resume(run))
        while kill > 1 and run.events(seen)[1] == seen:  # the first two die before they have said a word
            time.sleep(0.005)
        time.sleep(rng.uniform(0.0, 0.35))
        os.kill(pid, signal.SIGKILL)
        kills += not ended(pid)
    saved = sorted({e.step for e in run.events()[0] if e.event == "saved"})
    assert ended(forked(lambda: resume(run)))
    resumed = sum(e.event == "resumed" for e in run.events()[0])
    same = weights(run) == weights(plain)
    return {"kills": kills, "resumed": resumed, "saved": saved, "same": same, "state": run.state}


FAILURES = {"memory": ("most_examples=3",), "lost": ("lost_at=3",), "full": ("step_ms=20", "steps=100000")}


def failures(places: str, store: str) -> dict[str, Any]:
    """Let trainers fail, each as its folder is called: of memory, of the graphics driver, of a small disk that is filled up."""
    codes = {}
    for path in map(Path, places.split(",")):
        run = new_run(path, store, "checkpoint_seconds=0", *FAILURES[path.name])
        pid = forked(lambda run=run: fail(run))
        if path.name == "full":
            while run.saved_step() < 3:
                time.sleep(0.01)
            fill(path.with_name("filler"), until=lambda run=run: run.state != "running")
        codes[path.name] = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return codes


def fail(run: Run) -> None:
    """Train to a sentence; anything else is no failure that the user can mend."""
    try:
        resume(run)
    except AnlageError:
        os._exit(2)


def fill(filler: Path, until: Callable[[], bool]) -> None:
    with filler.open("wb", buffering=0) as file:
        while not until():
            try:
                file.write(b"x" * 4096)
            except OSError:
                time.sleep(0.01)


if __name__ == "__main__":
    torch.set_num_threads(1)
    kind, place, store = sys.argv[1:]
    if kind == "failures":
        report = failures(place, store)
    else:
        report = {"points": at_points(Path(place), store), "moments": at_moments(Path(place), store)}
        report["modules"] = sorted(sys.modules)
    sys.stdout.write(json.dumps(report) + "\n")
