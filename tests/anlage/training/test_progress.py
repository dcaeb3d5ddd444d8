from __future__ import annotations

import math
import time
from pathlib import Path

import pytest

from anlage.training.progress import Curve, EventLog, Note, Resumed, Step, StepReporter, Validated, read_run_events
from anlage.training.schedule import Budget, Pace


def step(n: int, loss: float = 1.0) -> Step:
    return Step(
        step=n, steps=10, loss=loss, parts={"a": loss}, learning_rate=0.1, steps_per_s=2.0, seconds=1.0, eta_s=None
    )


def look(n: int, score: float, *, best: bool) -> Validated:
    return Validated(step=n, loss=1 - score, score=score, metrics={"f1": score}, best=best, seconds=1.0)


def test_a_reader_sees_complete_lines_only_and_goes_on_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    assert read_run_events(path) == ([], 0)
    with EventLog(path) as log:
        log.write(Note(text="one\ntwo µm"))
        first, next_byte = read_run_events(path)
        log.write(step(3))
        with path.open("ab") as file:
            file.write(b'{"event":"note","te')
        second, end = read_run_events(path, next_byte)
    assert first == [Note(text="one\ntwo µm")]
    assert second == [step(3)]
    assert read_run_events(path, end) == ([], end)


def test_a_torn_last_line_is_cut_before_more_is_written(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with EventLog(path) as log:
        log.write(Note(text="whole"))
    with path.open("ab") as file:
        file.write(b'{"event":"note","te')
    with EventLog(path) as log:
        log.write(Note(text="after"))
    assert [event.text for event in read_run_events(path)[0]] == ["whole", "after"]
    assert b"te{" not in path.read_bytes()


def test_a_line_that_is_no_event_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'\0\0\n{"event":"from the future"}\n{"event":"note","text":"here"}\n')
    assert read_run_events(path)[0] == [Note(text="here")]


def test_numbers_that_are_not_finite_survive(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with EventLog(path) as log:
        log.write(step(1, math.nan))
        log.write(look(1, -math.inf, best=False))
    first, second = read_run_events(path)[0]
    assert math.isnan(first.loss)
    assert second.score == -math.inf


def test_the_curve_drops_what_a_crash_undid() -> None:
    curve = Curve()
    events = [step(2), look(2, 0.5, best=True), step(4), look(4, 0.6, best=True), step(5, math.nan)]
    for event in [*events, Resumed(step=3), step(4, 0.9), look(4, 0.55, best=True)]:
        curve.add(event)
    assert curve.train == [(2, 1.0), (4, 0.9)]
    assert curve.score == [(2, 0.5), (4, 0.55)]
    assert curve.best_step == 4
    assert curve.last == step(4, 0.9)


def test_the_best_step_is_undone_with_its_look() -> None:
    curve = Curve()
    for event in (look(2, 0.5, best=True), look(4, 0.6, best=True), Resumed(step=3), look(4, 0.4, best=False)):
        curve.add(event)
    assert curve.best_step == 2
    assert curve.score == [(2, 0.5), (4, 0.4)]
    curve.add(Resumed(step=1))
    assert curve.best_step is None


def test_a_look_that_is_made_again_counts_once() -> None:
    curve = Curve()
    for event in (look(2, 0.5, best=True), Resumed(step=2), look(2, 0.5, best=True), look(4, 0.6, best=True)):
        curve.add(event)
    assert curve.validation == [(2, 0.5), (4, 0.4)]
    assert curve.score == [(2, 0.5), (4, 0.6)]
    assert curve.best_step == 4


def test_what_undoes_steps_keeps_those_up_to_it() -> None:
    curve = Curve()
    for event in (step(2), step(3), step(4), Resumed(step=3)):
        curve.add(event)
    assert curve.train == [(2, 1.0), (3, 1.0)]


def test_listeners_hear_what_was_written(tmp_path: Path) -> None:
    heard: list[object] = []
    with EventLog(tmp_path / "events.jsonl", heard.append) as log:
        log.write(Note(text="one"))
        assert read_run_events(tmp_path / "events.jsonl")[0] == heard == [Note(text="one")]


def test_reading_goes_on_after_what_was_read(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    assert read_run_events(path, 7) == ([], 7)  # not there yet
    path.write_bytes(b'{"event":"note","text":"a"}\n{"event":"note","text":"b"}\n')
    assert read_run_events(path, 28) == ([Note(text="b")], 56)


def test_a_step_event_tells_the_means_since_the_last_one_part_by_part(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    reporter = StepReporter(Budget(limit_s=1e9, most=None, every=None, pace=Pace()), _reported_at=now)
    for loss, parts in ((3.0, {"heat": 1.0, "offset": 2.0}), (6.0, {"heat": 5.0, "offset": 1.0})):
        reporter.add(loss, parts)
    now += 1
    first = reporter.event(2, (10, 5), 0.1, 10)
    assert first is not None
    assert (first.loss, first.parts) == (4.5, {"heat": 3.0, "offset": 1.5})
    reporter.add(0.5, {"heat": 0.25, "offset": 0.25})
    now += 1
    second = reporter.event(3, (10, 5), 0.1, 11)
    assert second is not None
    assert (second.loss, second.parts) == (0.5, {"heat": 0.25, "offset": 0.25})  # those before were told


def test_no_pace_and_no_time_left_are_told_before_a_step_was_measured() -> None:
    pace = Pace()
    reporter = StepReporter(Budget(limit_s=1e9, most=10, every=None, pace=pace), _reported_at=0.0)

    def told() -> Step:
        reporter.add(1.0, {})
        event = reporter.event(10, (10, 5), 0.1, 1.0)  # the last step is told at once
        assert event is not None
        return event

    for _ in range(3):  # those that warm up
        pace.add_step(0.25)
    unknown = told()
    assert (unknown.steps_per_s, unknown.eta_s) == (0, None)
    pace.add_step(0.25)
    assert told().steps_per_s == 4


def test_the_longer_a_training_lasts_the_rarer_its_steps_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    reporter = StepReporter(Budget(limit_s=1e9, most=None, every=None, pace=Pace()), _reported_at=now)

    def reported(after_s: float, spent_s: float) -> bool:
        nonlocal now
        reporter.add(1.0, {})
        now += after_s
        return reporter.event(5, (1000, 10), 0.1, spent_s) is not None

    assert not reported(0.4, 10)
    assert reported(0.2, 10), "twice a second"
    assert not reported(1.5, 1000)
    assert reported(0.6, 1000), "every 500th part of the time that was spent"
