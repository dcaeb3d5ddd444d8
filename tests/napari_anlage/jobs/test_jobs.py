"""Work outside the GUI thread always ends in a result or in a sentence, and never in silence."""

from __future__ import annotations

import threading
import time

import pytest

from anlage import AnlageError
from napari_anlage.jobs.child import Child
from napari_anlage.jobs.run_watcher import RunWatcher
from napari_anlage.jobs.thread import ErrorReport, Thread


def outcome(qtbot, function, *args):
    thread = Thread()
    ends = []
    thread.done.connect(lambda value: ends.append(("done", value)))
    thread.failed.connect(lambda problem: ends.append(("failed", problem)))
    thread.run(function, *args)
    qtbot.waitUntil(lambda: bool(ends), timeout=5000)
    assert not thread.busy
    return ends


def test_a_result_arrives_on_the_gui_thread(qtbot) -> None:
    where = []
    thread = Thread()
    thread.done.connect(lambda value: where.append((value, threading.current_thread() is threading.main_thread())))
    thread.run(lambda a: a + 1, 41)
    qtbot.waitUntil(lambda: bool(where), timeout=5000)
    assert where == [(42, True)]


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (AnlageError("The image is empty."), "The image is empty."),
        (RuntimeError("CUDA out of memory"), "Something unforeseen happened: RuntimeError: CUDA out of memory"),
        (MemoryError(), "The computer's memory is not enough"),
        (
            OSError(28, "No space left on device", "/x/y"),
            r"A file cannot be read or written (/x/y): No space left on device.",
        ),
        (KeyError("t"), "Something unforeseen happened: KeyError: 't'"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_error_arrives_as_a_sentence_with_details(qtbot, error, sentence: str) -> None:
    """RuntimeError above all: napari's own workers swallow it and stay 'running' for ever."""

    def fail() -> None:
        raise error

    ((kind, problem),) = outcome(qtbot, fail)
    assert kind == "failed"
    assert isinstance(problem, ErrorReport)
    assert problem.sentence.startswith(sentence)
    assert "Traceback" in problem.details


def test_one_task_at_a_time(qtbot) -> None:
    thread, release, ends = Thread(), threading.Event(), []
    thread.done.connect(ends.append)
    thread.run(release.wait, 5)
    with pytest.raises(AnlageError, match="still at work"):
        thread.run(print)
    release.set()
    qtbot.waitUntil(lambda: bool(ends), timeout=5000)


@pytest.mark.usefixtures("fake_anlage")
def test_a_run_is_followed_stopped_and_resumed(qtbot, run) -> None:
    watcher = RunWatcher(interval_ms=20)
    states, notes = [], []
    watcher.state_changed.connect(states.append)
    watcher.noted.connect(notes.append)
    run.start()
    watcher.watch(run)
    qtbot.waitUntil(lambda: len(watcher.curve.train) >= 5, timeout=60000)
    began = time.monotonic()
    run.request_stop()
    qtbot.waitUntil(lambda: watcher.state == "stopped", timeout=5000)
    assert time.monotonic() - began < 3
    steps = [step for step, _ in watcher.curve.train]
    assert steps == list(range(1, len(steps) + 1))
    run.start()
    qtbot.waitUntil(lambda: watcher.state == "finished", timeout=60000)
    assert [step for step, _ in watcher.curve.train] == list(range(1, 41))
    assert watcher.curve.best_step == 40
    assert states == ["running", "stopped", "running", "finished"]
    assert notes == ["A sentence for the user."] * 2
    watcher.stop()


@pytest.mark.usefixtures("fake_anlage")
def test_a_trainer_that_dies_is_a_failure_with_the_end_of_its_log(qtbot, run) -> None:
    (run.path / "die").touch()
    watcher = RunWatcher(interval_ms=20)
    run.start()
    watcher.watch(run)
    qtbot.waitUntil(lambda: watcher.state == "failed", timeout=60000)
    assert run.failure is not None
    assert run.failure.details.endswith("torch.cuda.OutOfMemoryError: CUDA out of memory")
    watcher.stop()


@pytest.mark.usefixtures("fake_anlage")
def test_a_killed_trainer_is_a_failure(qtbot, run) -> None:
    watcher = RunWatcher(interval_ms=20)
    child = run.start()
    watcher.watch(run)
    qtbot.waitUntil(lambda: len(watcher.curve.train) >= 2, timeout=60000)
    child.kill()
    qtbot.waitUntil(lambda: watcher.state == "failed", timeout=5000)
    watcher.stop()


def test_a_half_written_line_waits_until_it_is_whole(qtbot, run) -> None:
    watcher = RunWatcher(interval_ms=10_000)
    watcher.watch(run)
    note = '{"event":"note","text":"half and half"}\n'
    heard = []
    watcher.noted.connect(heard.append)
    for piece in (note[:20], note[20:]):
        with run.events_path.open("a") as file:
            file.write(piece)
        watcher.poll()
    assert heard == ["half and half"]
    watcher.stop()


@pytest.mark.usefixtures("fake_anlage")
def test_a_child_that_fails_gives_its_last_line(qtbot, tmp_path) -> None:
    child, problems = Child(), []
    child.failed.connect(problems.append)
    child.start(["predict", "m", "i", "--diameter-um", "999"], tmp_path / "log.txt")
    qtbot.waitUntil(lambda: bool(problems), timeout=60000)
    assert problems[0].sentence == "The nucleus diameter 999 µm is larger than the image."
    assert not child.busy


def test_a_cancelled_child_is_gone_and_says_nothing(qtbot, tmp_path, monkeypatch) -> None:
    import sys

    script = tmp_path / "python"
    script.write_text("#!/bin/sh\nexec sleep 60\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    child, ends = Child(), []
    child.failed.connect(ends.append)
    child.finished.connect(lambda: ends.append(None))
    child.start(["predict"], tmp_path / "log.txt")
    process = child._process
    child.stop()
    assert process.poll() is not None
    qtbot.wait(250)
    assert ends == []
