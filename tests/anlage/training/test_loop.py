"""Training the toy in this process: what a user notices."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from anlage.errors import AnlageError
from anlage.model import Model, load_model
from anlage.training.checkpoint import load_checkpoint, save_checkpoint
from anlage.training.context import TrainingContext
from anlage.training.process import train
from anlage.training.progress import Event
from anlage.training.run import Run

Make = Callable[..., Run]


@pytest.fixture
def trained(toy: ModuleType) -> Callable[..., list[Event]]:
    """Train here and return all events of the run."""

    def do(run: Run, **options: Any) -> list[Event]:
        train(run, tasks=toy.TASKS, **options)
        return run.events()[0]

    return do


def of(events: list[Event], kind: str) -> list[Any]:
    return [event for event in events if event.event == kind]


def model_of(run: Run) -> Model:
    [path] = run.path.glob("*.anlage")
    return load_model(path)


def break_off(run: Run, toy: ModuleType, step: int) -> None:
    """Train until a checkpoint of this step, as if killed right after."""

    class KilledError(BaseException): ...

    def kill(event: Event) -> None:
        if event.event == "saved" and event.step >= step:
            raise KilledError

    with pytest.raises(KilledError):
        train(run, tasks=toy.TASKS, on_event=kill)


def test_a_training_tells_its_course_and_leaves_one_model(make_run: Make, trained: Any) -> None:
    run = make_run("first", "steps=30", "validate_every=10")
    assert run.state == "new"
    events = trained(run)
    assert [e.event for e in events[:2]] == ["started", "note"]
    assert [e.step for e in of(events, "validated")] == [10, 20, 30]
    assert of(events, "step")[-1].steps == 30
    assert events[-1].event == "finished"
    assert run.state == "finished"
    card = model_of(run).card
    best = max(of(events, "validated"), key=lambda e: e.score)
    assert (card.name, card.task, card.steps) == ("first", "toy", best.step)
    assert card.evidence.threshold == 0.3
    assert card.plan == {"inputs": 5}
    assert [store.n_nuclei for store in card.trained_on] == [2]
    assert not (run.path / "cache").exists()


def test_the_same_seed_gives_the_same_bits_and_another_seed_others(make_run: Make, trained: Any) -> None:
    found = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2), ("d", 2**21 + 1)):
        run = make_run(name, "steps=12", f"seed={seed}")
        trained(run)
        found.append(model_of(run).card.weights_sha256)
    assert found[0] == found[1]
    assert len(set(found)) == 3


@pytest.mark.parametrize("step", [0, 4, 10, 12])
def test_a_resumed_training_ends_in_the_same_bits(make_run: Make, trained: Any, toy: ModuleType, step: int) -> None:
    settings = ("steps=12", "validate_every=5", "checkpoint_seconds=0")
    plain = make_run("plain", *settings)
    trained(plain)
    run = make_run("broken", *settings)
    break_off(run, toy, step)
    assert run.state == "failed"
    events = trained(Run.open(run.path))
    assert of(events, "resumed")[0].step == step
    assert len(of(events, "note")) == 1  # what was assumed is said once
    assert model_of(run).card.weights_sha256 == model_of(plain).card.weights_sha256


def test_a_resumed_run_keeps_its_plan_whatever_the_machine_is_now(
    make_run: Make, trained: Any, toy: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run("r", "steps=6")
    break_off(run, toy, 0)
    kept = json.loads(run.plan_path.read_text())
    assert kept == {"plan": {"inputs": 5}, "batch_size": 8, "threads": 1}
    monkeypatch.setattr(toy.ToyPlan, "model_dump", lambda *a, **k: {"inputs": 6})
    with pytest.raises(AnlageError, match=r"plan .* no longer follows from its data"):
        trained(run)


def test_a_plan_of_which_no_network_can_be_made_is_one_sentence(
    make_run: Make, trained: Any, toy: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def impossible(*_: object) -> None:
        raise ValueError("zip() argument 2 is longer than argument 1")

    monkeypatch.setattr(toy.ToyTask, "network", impossible)
    run = make_run("r", "steps=2")
    with pytest.raises(AnlageError, match=r"plan\.json does not go with the settings of its run .* delete it and the"):
        trained(run)


def test_resuming_a_finished_run_does_nothing(make_run: Make, trained: Any, toy: ModuleType) -> None:
    run = make_run("r", "steps=2")
    events = trained(run)
    before = run.target_path.read_bytes()
    assert train(Run.open(run.path), tasks=toy.TASKS) == run.target_path
    assert run.events()[0] == events
    assert run.target_path.read_bytes() == before


def test_a_model_that_was_deleted_is_made_again_from_the_checkpoint(make_run: Make, trained: Any) -> None:
    run = make_run("r", "steps=4")
    trained(run)
    weights = model_of(run).card.weights_sha256
    run.target_path.unlink()
    assert run.state == "stopped"
    events = trained(run)
    assert of(events, "step")[-1].step == 4
    assert model_of(run).card.weights_sha256 == weights


def test_the_best_weights_are_kept_and_the_training_ends_early(make_run: Make, trained: Any) -> None:
    run = make_run("r", "steps=1000", "validate_every=5", "patience=3", "scores=0.1,0.9,0.2")
    events = trained(run)
    assert [e.best for e in of(events, "validated")] == [True, True, False, False, False]
    assert "Stopping early at step 25" in of(events, "note")[-1].text
    short = make_run("short", "steps=1000", "validate_every=5", "patience=1", "scores=0.1,0.9,0.2")
    trained(short)
    assert model_of(run).card.steps == 10
    assert model_of(run).card.weights_sha256 == model_of(short).card.weights_sha256


def test_the_last_weights_are_kept_where_the_difference_may_be_luck(make_run: Make, trained: Any) -> None:
    run = make_run("r", "steps=20", "validate_every=5", "patience=1", "scores=0.1,0.9,0.8,0.85", "tie=0.1")
    assert [e.best for e in of(trained(run), "validated")] == [True, True, True, True]
    assert model_of(run).card.steps == 20
    strict = make_run("strict", "steps=20", "validate_every=5", "scores=0.1,0.9,0.8,0.85", "tie=0.07")
    assert [e.best for e in of(trained(strict), "validated")] == [True, True, False, True]


def test_what_is_told_of_tied_weights_is_their_own(make_run: Make, trained: Any, toy: ModuleType) -> None:
    """Kept are the later weights, whose score is a little lower: score, step and metrics are of one look, resumed or not."""
    settings = ("steps=20", "validate_every=5", "scores=0.1,0.9,0.8,0.85", "tie=0.1", "checkpoint_seconds=0")
    run = make_run("r", *settings)
    break_off(run, toy, 16)
    loaded = load_checkpoint(run.checkpoint_path)
    assert loaded is not None
    record = loaded[1]
    assert (record.best_step, record.best_score, record.best_metrics["f1"]) == (15, 0.8, 0.8)
    assert record.highest_score == 0.9
    looks = {event.step: event for event in of(run.events()[0], "validated")}
    assert record.best_loss == looks[15].loss
    run.request_stop()
    events = trained(Run.open(run.path))
    assert events[-1].event == "stopped"
    told = run.summary(toy.TASKS)
    assert (told.best_step, told.best_score, told.metrics["f1"]) == (15, 0.8, 0.8)
    assert model_of(run).card.steps == 15


def test_a_tie_is_measured_from_the_highest_score_not_from_the_last(make_run: Make, trained: Any) -> None:
    """0.9, then 0.85, which may be luck; 0.8 is further from the highest than luck explains, though not from 0.85."""
    run = make_run("r", "steps=20", "validate_every=5", "scores=0.1,0.9,0.85,0.8", "tie=0.07")
    assert [e.best for e in of(trained(run), "validated")] == [True, True, True, False]
    assert model_of(run).card.steps == 15


def test_a_checkpoint_of_an_earlier_version_still_knows_its_best(make_run: Make, trained: Any, toy: ModuleType) -> None:
    run = make_run("r", "steps=15", "validate_every=5", "scores=0.8,0.9", "checkpoint_seconds=0")
    break_off(run, toy, 6)
    loaded = load_checkpoint(run.checkpoint_path)
    assert loaded is not None
    earlier = loaded[1].model_copy(update={"best_score": 0.99, "highest_score": None, "learning_seconds": None})
    save_checkpoint(run.checkpoint_path, loaded[0], earlier)
    assert [e.best for e in of(trained(Run.open(run.path)), "validated")] == [True, False, False]
    assert model_of(run).card.steps == 5


@pytest.mark.usefixtures("clock")
def test_by_default_the_machine_decides_nothing(make_run: Make, trained: Any) -> None:
    """As many steps as the task says, looked at after the same ones, to the same weights: quick, slow or in a traffic jam."""
    told = []
    for name, *pace in (("quick",), ("slow", "step_ms=60000"), ("stuck", "prepare_s=900", "step_ms=9", "look_s=600")):
        run = make_run(name, *pace)
        events = trained(run)
        assert {event.steps for event in of(events, "step")} == {20}
        assert not [event for event in of(events, "note") if "minutes" in event.text]
        looks = [event.step for event in of(events, "validated")]
        told.append((events[-1].step, looks, model_of(run).card.weights_sha256))
    assert told[0][:2] == (20, [10, 20])
    assert told[1:] == [told[0]] * 2


@pytest.mark.usefixtures("clock")
def test_minutes_alone_take_as_many_steps_as_fit(make_run: Make, trained: Any) -> None:
    slow = trained(make_run("slow", "minutes=1", "step_ms=5000", "patience=none"))[-1]
    quick = trained(make_run("quick", "minutes=1", "step_ms=500", "patience=none"))[-1]
    assert 6 < slow.step < 20 < quick.step
    assert 45 < slow.seconds <= 60
    assert 45 < quick.seconds <= 60


@pytest.mark.usefixtures("clock")
def test_with_minutes_the_steps_decide_and_the_time_only_ends(make_run: Make, trained: Any) -> None:
    settings = ("steps=40", "step_ms=500", "patience=none")
    plain, ample = make_run("plain", *settings), make_run("ample", *settings, "minutes=1")
    trained(plain)
    events = trained(ample)
    assert {event.steps for event in of(events, "step")} == {40}
    assert model_of(ample).card.weights_sha256 == model_of(plain).card.weights_sha256
    scarce = trained(make_run("scarce", *settings, "minutes=0.25"))
    assert of(scarce, "step")[0].steps == 40
    assert 15 < scarce[-1].step < 40
    assert of(scarce, "validated")[-1].step == scarce[-1].step
    assert 12 < scarce[-1].seconds <= 15
    epochs = trained(make_run("epochs", "epochs=2", "step_ms=500", "minutes=1"))  # 80 examples, 8 in each step
    assert epochs[-1].step == 20


@pytest.mark.usefixtures("clock")
def test_a_time_that_is_too_short_for_the_steps_that_were_asked_for_gives_way_to_the_least(
    make_run: Make, trained: Any, toy: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(toy.ToyTask, "least_steps", 30, raising=False)
    events = trained(make_run("r", "steps=200", "minutes=0.1", "step_ms=900", "patience=none"))
    assert events[-1].step == 30
    assert len([event for event in of(events, "note") if "30 steps without which nothing of use" in event.text]) == 1
    few = trained(make_run("few", "steps=12", "minutes=0.1", "step_ms=900"))
    assert few[-1].step == 12
    [said] = [event.text for event in of(few, "note") if "that were given" in event.text]
    assert "does not make the 12 steps that were asked for; the training goes on" in said


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize(("share_late", "is_told"), [(0.04, False), (0.07, True)])
def test_a_delay_is_told_from_a_twentieth_of_the_time_on(
    make_run: Make, trained: Any, toy: ModuleType, monkeypatch: pytest.MonkeyPatch, share_late: float, is_told: bool
) -> None:
    monkeypatch.setattr(toy.ToyTask, "least_steps", 30, raising=False)
    step_s = (60 * (1 + share_late) - 1) / 30  # 30 steps, and the second that the end is taken to last
    events = trained(make_run("r", "minutes=1", f"step_ms={1000 * step_s}", "patience=none"))
    assert events[-1].step == 30
    assert bool([event for event in of(events, "note") if "that were given" in event.text]) == is_told


def test_after_a_validation_its_weights_can_be_previewed(make_run: Make, trained: Any) -> None:
    run = make_run("r", "steps=20", "validate_every=10")
    there = []

    def on_event(event: Event) -> None:
        if event.event in ("started", "validated"):
            there.append(run.preview_path.exists())

    trained(run, on_event=on_event)
    assert there == [False, True, True]


def test_a_time_limit_gives_way_to_the_least_number_of_steps(
    make_run: Make, trained: Any, toy: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A busy machine: without this four steps were a training."""
    monkeypatch.setattr(toy.ToyTask, "least_steps", 30, raising=False)
    run = make_run("r", "minutes=0.002", "step_ms=30", "patience=none")
    events = trained(run)
    assert events[-1].event == "finished"
    assert events[-1].step == of(events, "step")[-1].steps == 30
    late = [event.text for event in of(events, "note") if "that were given" in event.text]
    assert len(late) == 1
    assert late[0].startswith(
        "In the 0.002 minutes that were given, this machine does not make the 30 steps without which"
    )
    assert "the training goes on until they are made, about 1 min longer" in late[0]
    card = model_of(run).card
    assert (card.steps_done, card.steps_planned, card.least_steps) == (30, 30, 30)
    assert "steps only" not in card.verdict.text


def test_a_sentence_whose_numbers_grow_is_said_once() -> None:
    said: list[str] = []
    context = SimpleNamespace(_noted=set(), note=said.append)
    for minutes in (4, 12, 14):
        TrainingContext.note_once(context, "late", f"about {minutes} min longer")
    TrainingContext.note_once(context, "preview", "no preview")
    assert said == ["about 4 min longer", "no preview"]


@pytest.mark.usefixtures("clock")
def test_a_machine_that_is_fast_enough_is_told_nothing(
    make_run: Make, trained: Any, toy: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(toy.ToyTask, "least_steps", 8, raising=False)
    run = make_run("r", "minutes=0.1", "step_ms=20", "patience=none")
    events = trained(run)
    assert events[-1].step > 8
    assert not [event for event in of(events, "note") if "that were given" in event.text]


def test_fewer_steps_than_the_least_are_made_where_they_are_asked_for_and_judged(
    make_run: Make, trained: Any, toy: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(toy.ToyTask, "least_steps", 30, raising=False)
    run = make_run("r", "steps=4")
    assert trained(run)[-1].step == 4
    verdict = run.summary(toy.TASKS).verdict
    assert verdict is not None
    assert verdict.level == "unproven"
    assert "It learnt for 4 steps only; at least 30 are needed." in verdict.text


@pytest.mark.usefixtures("clock")
def test_preparing_does_not_count_against_the_minutes(make_run: Make, trained: Any) -> None:
    run = make_run("r", "minutes=0.06", "prepare_s=4", "step_ms=10", "patience=none")
    events = trained(run)
    assert events[-1].step > 20  # 3.6 s of learning, after 4 s of preparation
    loaded = load_checkpoint(run.checkpoint_path)
    assert loaded is not None
    assert loaded[1].learning_seconds is not None
    assert loaded[1].seconds - loaded[1].learning_seconds > 3.9


def test_a_resumed_training_goes_on_counting_its_learning(make_run: Make, trained: Any, toy: ModuleType) -> None:
    run = make_run("r", "steps=8", "step_ms=50", "validate_every=4", "checkpoint_seconds=0", "prepare_s=0.3")
    break_off(run, toy, 6)
    before = load_checkpoint(run.checkpoint_path)
    assert before is not None
    trained(Run.open(run.path))
    after = load_checkpoint(run.checkpoint_path)
    assert after is not None
    assert before[1].learning_seconds is not None
    assert after[1].learning_seconds is not None
    assert after[1].learning_seconds - before[1].learning_seconds > 0.1
    assert after[1].seconds - after[1].learning_seconds > 0.6  # prepared twice


@pytest.mark.usefixtures("clock")
def test_a_time_limit_includes_everything_but_preparing(make_run: Make, trained: Any) -> None:
    run = make_run("r", "minutes=0.1", "step_ms=100", "look_s=0.1", "finish_s=0.2", "prepare_s=0.5", "patience=none")
    began = time.monotonic()
    events = trained(run)
    assert 4.5 < time.monotonic() - began - 0.5 <= 6
    steps = of(events, "step")
    assert steps[-1].step == steps[-1].steps > 10
    assert of(events, "validated")[-1].step == steps[-1].step


def test_a_limit_that_is_over_before_it_begins_still_gives_a_model(make_run: Make, trained: Any) -> None:
    run = make_run("r", "minutes=0.001", "prepare_s=0.2")
    trained(run)
    assert run.state == "finished"
    assert model_of(run).card.steps == 1


def stop_at(run: Run, kind: str, step: int) -> Callable[[Event], None]:
    """Ask a run to stop when an event comes."""

    def on_event(event: Event) -> None:
        if event.event == kind and getattr(event, "step", 0) >= step:
            run.request_stop()

    return on_event


def test_a_stop_keeps_the_best_weights_and_can_be_resumed(make_run: Make, trained: Any) -> None:
    settings = ("steps=60", "validate_every=5", "step_ms=20")
    plain = make_run("plain", *settings[:2])
    trained(plain)
    run = make_run("r", *settings)
    events = trained(run, on_event=stop_at(run, "validated", 10))
    assert run.state == "stopped"
    assert events[-1].step < 30
    assert events[-1].model == "r.anlage"
    assert model_of(run).card.steps in (5, 10)
    assert not run.stop_path.exists()
    trained(run)
    assert run.state == "finished"
    assert model_of(run).card.weights_sha256 == model_of(plain).card.weights_sha256


@pytest.mark.parametrize(
    ("phase", "model"), [("prepare_s=30", False), ("look_s=30", True), ("finish_s=30", True), ("step_ms=1500", True)]
)
def test_a_stop_takes_at_most_three_seconds_in_every_phase(
    make_run: Make, trained: Any, phase: str, model: bool
) -> None:
    importlib.import_module("anlage.training.loop")  # loading torch is no phase
    run = make_run("r", "steps=4", "validate_every=2", phase)
    asked = []

    def ask() -> None:
        asked.append(time.monotonic())
        run.request_stop()

    timer = threading.Timer(0.8 if "prepare" in phase else 4.5, ask)
    timer.start()
    events = trained(run)
    assert time.monotonic() - asked[0] < 3.0
    timer.join()
    assert run.state == "stopped"
    assert (events[-1].model is not None) == model
    if model:
        assert model_of(run).card.evidence.threshold in (0.25, 0.3, 0.5)
    saved = of(events, "saved")
    assert events[-1].step == (saved[-1].step if saved else 0)


def test_a_stop_that_an_earlier_trainer_did_not_see_is_forgotten(make_run: Make, trained: Any) -> None:
    run = make_run("r", "steps=3")
    run.request_stop()
    os.utime(run.stop_path, (0, 0))
    trained(run)
    assert run.state == "finished"


def test_a_loss_that_is_not_finite_is_skipped_with_a_note(make_run: Make, trained: Any) -> None:
    run = make_run("r", "steps=12", "nan_from=3", "nan_until=7")
    events = trained(run)
    assert [e.text for e in of(events, "note")[1:]] == [
        "The loss or its gradient was not a finite number (nan) at step 4; skipped."
    ]
    assert run.state == "finished"


def test_a_loss_that_stays_not_finite_fails_with_a_sentence(make_run: Make, trained: Any) -> None:
    run = make_run("r", "steps=50", "nan_from=3")
    with pytest.raises(AnlageError, match=r"not a finite number \(nan\) 11 times in a row, up to step 14; try a lower"):
        trained(run)
    assert run.state == "failed"
    assert run.failure is not None
    assert "try a lower learning rate than 0.004" in run.failure.sentence


def test_out_of_memory_halves_the_batch_once_and_says_so(make_run: Make, trained: Any) -> None:
    run = make_run("r", "steps=5", "most_examples=4")
    events = trained(run)
    assert [e.text for e in of(events, "note")[1:]] == ["Memory ran out with 8 examples in a batch; going on with 4."]
    assert run.state == "finished"
    half = make_run("half", "steps=5", "batch_size=4")
    trained(half)
    assert model_of(run).card.weights_sha256 == model_of(half).card.weights_sha256


def test_out_of_memory_a_second_time_fails_with_a_sentence(make_run: Make, trained: Any) -> None:
    run = make_run("r", "steps=5", "most_examples=3")
    with pytest.raises(
        AnlageError, match=r"Memory ran out with 4 examples in a batch .* choose fewer with --set batch_size"
    ):
        trained(run)
    assert run.state == "failed"
    assert run.checkpoint_path.exists()


def test_a_failure_of_ours_is_in_the_log_with_its_place(
    make_run: Make, trained: Any, toy: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(toy.ToyTask, "loss", broken)
    run = make_run("r", "steps=5")
    with pytest.raises(ZeroDivisionError):
        trained(run)
    assert run.state == "failed"
    assert run.failure is not None
    assert run.failure.sentence == (
        f"The training broke off by a mistake in the program (ZeroDivisionError: a bug); report it with {run.log_path}, and "
        f"continue with `anlage resume {run.path}`."
    )
    assert run.failure.details.endswith("ZeroDivisionError: a bug")
    assert "in broken" in run.log_path.read_text()


def test_ctrl_c_leaves_a_run_that_can_be_resumed(
    make_run: Make, trained: Any, toy: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    run = make_run("r", "steps=5")
    with monkeypatch.context() as patch:
        patch.setattr(toy.ToyTask, "loss", interrupted)
        with pytest.raises(KeyboardInterrupt):
            trained(run)
    assert run.state == "stopped"
    trained(run)
    assert run.state == "finished"


def test_two_trainers_never_share_a_run(make_run: Make, trained: Any) -> None:
    run = make_run("r", "steps=2")
    with run.lock():
        assert run.state == "running"
        with pytest.raises(AnlageError, match=rf"r is being trained by process {os.getpid()}; wait for it, or stop it"):
            trained(Run.open(run.path))
    assert run.state == "new"


def test_a_store_that_changed_is_refused(make_run: Make, trained: Any, own_store: Path, toy: ModuleType) -> None:
    run = Run.create(own_store.parent / "r", "toy", [own_store], ["steps=2"], tasks=toy.TASKS)
    chunk = next(p for p in sorted((own_store / "image").rglob("*")) if p.is_file() and p.name != "zarr.json")
    chunk.write_bytes(chunk.read_bytes()[:-4] + b"abcd")
    with pytest.raises(AnlageError, match=r"own.zarr has changed since this run was made .* start a new run"):
        trained(run)


def test_a_project_that_was_moved_goes_on(make_run: Make, trained: Any, own_store: Path, toy: ModuleType) -> None:
    project = own_store.parent / "project"
    project.mkdir()
    store = Path(shutil.move(own_store, project / "s.zarr"))
    run = Run.create(project / "runs" / "r", "toy", [store], ["steps=4", "device=cpu"], tasks=toy.TASKS)
    break_off(run, toy, 0)
    moved = Path(shutil.move(project, project.with_name("elsewhere")))
    run = Run.open(moved / "runs" / "r")
    trained(run)
    assert run.state == "finished"


def test_starting_from_a_model_takes_its_weights(make_run: Make, trained: Any) -> None:
    first = make_run("first", "steps=3")
    trained(first)
    run = make_run("second", "steps=1", "learning_rate=1e-9", "weight_decay=0", start_from=first.target_path)
    events = trained(run)
    assert of(events, "note")[-1].text == "Starting from the weights of first."
    before, after = model_of(first).weights(), model_of(run).weights()
    assert abs(before["leave.weight"] - after["leave.weight"]).max() < 1e-6


def test_the_architecture_alone_is_taken_with_fresh_weights(make_run: Make, trained: Any) -> None:
    first = make_run("first", "steps=3")
    trained(first)
    same = ("steps=1", "learning_rate=1e-9", "weight_decay=0")
    run = make_run("second", *same, "fresh_weights=true", start_from=first.target_path)
    assert not any("weights of first" in note.text for note in of(trained(run), "note"))
    fresh = make_run("third", *same)
    trained(fresh)
    before, after, plain = (model_of(one).weights()["leave.weight"] for one in (first, run, fresh))
    assert abs(before - after).max() > 1e-3
    assert (after == plain).all()
    assert run.config.learning_rate == fresh.config.learning_rate
    with pytest.raises(AnlageError, match="fresh_weights=true takes the architecture of a model"):
        make_run("fourth", "fresh_weights=true", "freeze_encoder=true", start_from=first.target_path)


def test_a_frozen_encoder_does_not_move(make_run: Make, trained: Any) -> None:
    first = make_run("first", "steps=3")
    trained(first)
    run = make_run("second", "steps=9", "freeze_encoder=true", start_from=first.target_path)
    trained(run)
    before, after = model_of(first).weights(), model_of(run).weights()
    for name in before:
        assert (before[name] == after[name]).all() == name.startswith("encoder"), name


def test_a_model_that_does_not_fit_is_refused(make_run: Make, trained: Any) -> None:
    first = make_run("first", "steps=1")
    trained(first)
    run = make_run("second", "steps=1", "width=8", start_from=first.target_path)
    with pytest.raises(
        AnlageError, match=r"first.anlage do not fit this training \(encoder.0.bias: \(16,\) there, \(8,\) here\)"
    ):
        trained(run)
    with pytest.raises(AnlageError, match="needs a model to start from"):
        make_run("third", "freeze_encoder=true")
    with pytest.raises(AnlageError, match="There is no model at"):
        make_run("fourth", start_from=first.path / "no.anlage")
