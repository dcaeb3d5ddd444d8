from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import filelock
import numpy as np
import psutil
import pytest

from anlage.annotations import Annotations
from anlage.axes import Box, Spacing
from anlage.dataset.build import build_store
from anlage.errors import AnlageError
from anlage.timelapse import TimeLapse
from anlage.training.process import train
from anlage.training.progress import EventLog, Note
from anlage.training.run import Run

TOY = Path(__file__).with_name("toy.py")
Make = Callable[..., Run]


def wait_for(condition: Callable[[], bool], seconds: float = 180) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def end(run: Run) -> None:
    """Leave no trainer behind, whatever became of the test."""
    if run._child is not None:
        run._child.kill()
        run._child.wait()


def test_what_the_window_uses_loads_no_torch() -> None:
    code = (
        "import sys, anlage.training.run as r, anlage.training.config as c, anlage.training.progress\n"
        "c.assign('nuclei', ['steps=5'])\n"
        "print([m for m in ('torch', 'zarr', 'scipy', 'skimage', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_run_is_opened_as_it_was_made(make_run: Make, toy_store: Path) -> None:
    run = make_run("r", "steps=7", "width=3")
    again = Run.open(run.path)
    assert again.config == run.config
    assert again.config.training.steps == 7
    assert again.config.settings["width"] == 3
    assert again.config.stores[0].path == str(toy_store)
    assert (again.name, again.state, again.model_path) == ("r", "new", None)


def test_a_run_that_came_to_nothing_is_replaced(make_run: Make, tmp_path: Path) -> None:
    first = make_run("r", "steps=3")
    assert not first.replaced
    with EventLog(first.events_path) as log:
        log.write(Note(text="begun"))
    again = make_run("r", "steps=4")
    assert again.replaced
    assert Run.open(again.path).config.training.steps == 4
    assert again.state == "new"
    with again.lock(), pytest.raises(AnlageError, match="holds a run already"):
        make_run("r")
    with pytest.raises(AnlageError, match="There is no setting"):
        make_run("r", "stepz=4")
    assert Run.open(again.path).config == again.config


def test_a_folder_that_is_in_use_is_refused(make_run: Make, tmp_path: Path) -> None:
    make_run("r").checkpoint_path.touch()
    with pytest.raises(AnlageError, match=r"r holds a run already; continue it with `anlage resume"):
        make_run("r")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.docx").touch()
    with pytest.raises(AnlageError, match=r"full is not empty \(it holds thesis.docx\)"):
        make_run("full")
    (tmp_path / "file").touch()
    with pytest.raises(AnlageError, match="file is a file; choose another folder"):
        make_run("file")


def test_what_does_not_fit_together_is_refused_before_anything_is_made(
    toy: ModuleType, toy_store: Path, make_run: Make, tmp_path: Path
) -> None:
    flat = TimeLapse(np.arange(512, dtype=np.uint16).reshape(2, 1, 16, 16), "tzyx", spacing=Spacing(2, 1, 1))
    store = build_store(
        tmp_path / "flat.zarr", flat, Annotations.of([[0, 0, 8, 8]]), cuboid=Box.whole((2, 1, 16, 16)), diameter_um=5.0
    )
    with pytest.raises(AnlageError, match="one is a single plane, the other is not"):
        Run.create(tmp_path / "r", "toy", [toy_store, store.path], tasks=toy.TASKS)
    (tmp_path / "m.anlage").write_bytes(b"PK")
    with pytest.raises(AnlageError, match=r"m\.anlage' is not a model"):
        make_run("r", start_from=tmp_path / "m.anlage")
    assert not (tmp_path / "r").exists()


def test_what_shapes_the_network_comes_from_the_model(
    toy: ModuleType, make_run: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = train(make_run("first", "steps=2", "width=5"), tasks=toy.TASKS)
    monkeypatch.setattr(toy.ToyTask, "inherited", ("width",), raising=False)
    assert make_run("second", start_from=model).config.settings["width"] == 5
    assert make_run("third", "width=5", start_from=model).config.settings["width"] == 5
    with pytest.raises(AnlageError, match=r"The setting width=7 contradicts the model to start from.*width=5"):
        make_run("fourth", "width=7", start_from=model)
    assert not (tmp_path / "fourth").exists()


def test_missing_parents_are_made(make_run: Make) -> None:
    assert make_run("a/b/c").path.is_dir()


def test_what_is_missing_or_odd_is_one_sentence(toy: ModuleType, make_run: Make, tmp_path: Path) -> None:
    with pytest.raises(AnlageError, match="needs at least one store"):
        Run.create(tmp_path / "r", "toy", [], tasks=toy.TASKS)
    with pytest.raises(AnlageError, match=r"nowhere\.zarr"):
        Run.create(tmp_path / "r", "toy", [tmp_path / "nowhere.zarr"], tasks=toy.TASKS)
    assert not (tmp_path / "r").exists()
    with pytest.raises(AnlageError, match=r"is no run: it has no run\.json"):
        Run.open(tmp_path / "r")
    path = make_run("made").path / "run.json"
    text = path.read_text()
    path.write_text(text.replace('"schema_version": 1', '"schema_version": 9'))
    with pytest.raises(AnlageError, match=r"made by a newer anlage \(schema 9; this one reads up to 1\)"):
        Run.open(path.parent)
    path.write_text(text[:100])
    with pytest.raises(AnlageError, match=r"made cannot be read: Invalid JSON"):
        Run.open(path.parent)


def test_looking_at_the_state_never_hinders_a_trainer(make_run: Make) -> None:
    run = make_run("r")
    with run.lock():
        pass
    with filelock.FileLock(run.path / "lock", is_singleton=False):  # a watcher in the midst of its look
        assert run.is_locked()
        got = threading.Event()

        def take() -> None:
            with run.lock():
                got.set()

        trainer = threading.Thread(target=take)
        trainer.start()
        time.sleep(0.2)
    trainer.join()
    assert got.is_set()


def test_the_details_of_a_failure_are_the_logs_last_lines(make_run: Make) -> None:
    run = make_run("r")
    with EventLog(run.events_path) as log:
        log.write(Note(text="begun"))
    assert run.state == "failed"
    assert run.failure is not None
    assert "ended before its first checkpoint without a word" in run.failure.sentence
    assert run.failure.details == ""
    run.log_path.write_text("a\n" * 30 + "b\n  0%|   | 1/9\r 11%|#  | 2/9\n\nSegmentation fault\n")
    assert run.failure is not None
    assert run.failure.details == "a\n" * 27 + "b\n 11%|#  | 2/9\nSegmentation fault"


def test_the_child_trains_apart_at_low_priority_and_dies_alone(
    make_run: Make, toy: ModuleType, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    run = make_run("r", "steps=100000", "validate_every=50000", "step_ms=5")
    request.addfinalizer(lambda: end(run))
    real = subprocess.Popen

    def toy_instead(command: list[str], **options: object) -> subprocess.Popen[bytes]:
        assert command[2:] == ["-m", "anlage", "resume", str(run.path)]
        return real([sys.executable, str(TOY), str(run.path)], **options)  # type: ignore[call-overload, no-any-return]

    monkeypatch.setattr(subprocess, "Popen", toy_instead)
    child = run.start()
    assert run.state == "running"
    with pytest.raises(AnlageError, match="is being trained by"):
        run.start()
    wait_for(lambda: any(event.event == "step" for event in run.events()[0]))
    process = psutil.Process(child.pid)
    if os.name == "posix":
        assert process.nice() >= 10
        assert os.getsid(child.pid) == child.pid
    assert Run.open(run.path).state == "running"
    assert process.children(recursive=True) == []
    child.kill()
    child.wait()
    assert run.state == "failed"
    said, saved = run.failure, f"after step {run.saved_step()}"
    assert said is not None
    assert said.sentence.startswith(
        f"The training was killed from outside (signal 9) {saved}, mostly because the computer's"
    )
    assert f"GB are free now): close other programs, then continue with `anlage resume {run.path}`, or" in said.sentence
    assert Run.open(run.path).state == "failed"
    said = Run.open(run.path).failure  # as after napari was closed: nobody knows the signal
    assert said is not None
    assert said.sentence.startswith(
        f"The training ended {saved} without a word; the computer's memory may have run out"
    )

    child = run.start()
    wait_for(lambda: any(event.event == "resumed" for event in run.events()[0]))
    wait_for(lambda: run.events()[0][-1].event == "step")
    seen = run.events()[0][-1].step
    if os.name == "posix":
        child.send_signal(signal.SIGTERM)  # as a cluster does before it kills
    else:
        run.request_stop()
    assert child.wait(timeout=60) == 0
    # at low priority it waits for whatever else computes, so 3 s are counted in its own steps of 5 ms
    assert run.events()[0][-1].step - seen < 3 / 0.005
    assert run.state == "stopped"
    assert run.model_path is not None


def test_a_child_that_dies_at_once_is_a_failure(make_run: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run("r")
    monkeypatch.setattr(sys, "executable", "/bin/false" if os.name == "posix" else sys.executable)
    run.start().wait()
    assert run.state == "failed"


def test_a_child_that_cannot_be_started_is_a_sentence(make_run: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run("r")
    monkeypatch.setattr(sys, "executable", "/there/is/no/python")
    with pytest.raises(AnlageError, match=r"r could not be started \(/there/is/no/python: No such file.*try again"):
        run.start()
    assert run.state == "new"


def test_a_stop_during_the_childs_start_is_obeyed(make_run: Make, toy: ModuleType) -> None:
    run = make_run("r", "steps=5")
    run.request_stop()
    assert train(run, tasks=toy.TASKS) is None
    assert run.state == "stopped"
    assert run.events()[0][-1].step == 0
