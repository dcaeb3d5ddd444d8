"""Runs side by side: what each was told, and what came of it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from types import ModuleType

from anlage.training.process import train
from anlage.training.progress import EventLog, Resumed, Saved, Step, Validated
from anlage.training.run import Run

Make = Callable[..., Run]


def look(step: int, score: float, *, best: bool) -> Validated:
    return Validated(step=step, loss=-score, score=score, metrics={"f1": score}, best=best, seconds=step)


def step(n: int) -> Step:
    return Step(step=n, steps=90, loss=1, parts={}, learning_rate=0.1, steps_per_s=1, seconds=n, eta_s=None)


def test_a_finished_run_in_a_few_numbers(make_run: Make, toy: ModuleType) -> None:
    run = make_run("r", "steps=6", "validate_every=2", "scores=0.2,0.7,0.4", "learning_rate=0.01", "width=8")
    train(run, tasks=toy.TASKS)
    told = run.summary(toy.TASKS)
    assert (told.name, told.task, told.state, told.stores, told.start_from) == ("r", "toy", "finished", ("toy",), None)
    assert (told.step, told.steps) == (6, 6)
    assert 0 < told.seconds < 600
    assert (told.best_step, told.best_score) == (4, 0.7)
    assert told.metrics == {"f1": 0.5}, "of the calibrated model"
    assert told.settings == {
        "steps": 6, "validate_every": 2, "learning_rate": 0.01, "device": "cpu", "threads": 1, "scores": [0.2, 0.7, 0.4],
        "width": 8,
    }  # fmt: skip
    another = make_run("s", start_from=run.target_path)
    assert another.summary(toy.TASKS).start_from == "r"


def test_a_run_that_has_not_begun(make_run: Make, toy: ModuleType) -> None:
    told = make_run("r").summary(toy.TASKS)
    assert (told.state, told.step, told.steps, told.seconds, told.best_score, told.metrics) == (
        "new",
        0,
        None,
        0.0,
        None,
        {},
    )


def test_what_a_crash_undid_does_not_count(make_run: Make, toy: ModuleType) -> None:
    run = make_run("r")
    with EventLog(run.events_path) as log:
        for event in (look(10, 0.5, best=True), Saved(step=10), look(20, 0.9, best=True), step(25), Resumed(step=10)):
            log.write(event)
        told = run.summary(toy.TASKS)
        assert (told.step, told.best_step, told.best_score, told.metrics) == (10, 10, 0.5, {"f1": 0.5})
        for event in (step(15), look(20, 0.9, best=True), look(30, 0.6, best=False)):
            log.write(event)
    told = run.summary(toy.TASKS)
    assert (told.step, told.steps, told.seconds) == (30, 90, 30)
    assert (told.best_step, told.best_score, told.metrics) == (20, 0.9, {"f1": 0.9})


def test_it_loads_no_torch_and_shows_all_of_a_task_that_it_does_not_know(make_run: Make) -> None:
    run = make_run("r", "steps=6")
    code = "import sys, anlage; told = anlage.Run.open(sys.argv[1]).summary(); assert 'torch' not in sys.modules; "
    code += "assert isinstance(told, anlage.RunSummary); print(told.model_dump_json())"
    done = subprocess.run([sys.executable, "-c", code, str(run.path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    settings = json.loads(done.stdout)["settings"]
    assert settings["steps"] == 6
    assert settings["width"] == 16
