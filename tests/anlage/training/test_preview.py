"""The newest weights, for whoever wants to see how a training goes while it goes on."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from anlage.model import load_model
from anlage.training.checkpoint import previous_of
from anlage.training.export import Exporter
from anlage.training.process import train
from anlage.training.progress import Event
from anlage.training.run import Run

Make = Callable[..., Run]


def test_at_every_look_the_newest_weights_can_be_opened(make_run: Make, toy: ModuleType) -> None:
    run = make_run("r", "steps=9", "validate_every=3", "scores=0.5,0.2,0.1")
    assert run.newest_model_path is None
    seen: list[tuple[int, int, dict[str, float], str]] = []

    def look(event: Event) -> None:
        if event.event == "validated":
            path = run.newest_model_path
            assert path == run.path / "preview" / "model.anlage"
            card = load_model(path).card
            seen.append((event.step, card.steps, dict(card.evidence.metrics), card.weights_sha256))
            assert card.evidence.ece is None, "nothing calibrated it"
            assert card.limits == f"Results to keep: it shows how a training went at step {event.step}."

    train(run, tasks=toy.TASKS, on_event=look)
    assert [(step, steps, metrics["f1"]) for step, steps, metrics, _ in seen] == [(3, 3, 0.5), (6, 6, 0.2), (9, 9, 0.1)]
    assert len({weights for *_, weights in seen}) == 3, "the weights of the look, not the best ones"
    assert run.newest_model_path == run.model_path, "the finished model takes over"
    assert load_model(run.target_path).card.weights_sha256 == seen[0][3]


def test_of_a_resumed_run_it_is_what_was_written_last(make_run: Make, toy: ModuleType) -> None:
    run = make_run("r", "steps=40", "validate_every=4")

    def stop(event: Event) -> None:
        if event.event == "saved" and event.step == 8:
            run.request_stop()
            time.sleep(0.15)

    train(run, tasks=toy.TASKS, on_event=stop)
    assert run.state == "stopped"
    assert run.newest_model_path == run.model_path
    newest: list[Path | None] = []
    train(run, tasks=toy.TASKS, on_event=lambda e: newest.append(run.newest_model_path) if e.event == "step" else None)
    assert set(newest) <= {run.preview_path, run.target_path}
    assert newest[-1] == run.preview_path


def test_where_it_cannot_be_written_the_training_goes_on_with_one_note(
    make_run: Make, toy: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not Path("/proc/self/fd").is_dir():
        pytest.skip("asks the system for the name of an open file")
    plain = make_run("plain", "steps=9", "validate_every=3")
    train(plain, tasks=toy.TASKS)
    run, real = make_run("r", "steps=9", "validate_every=3"), os.fsync

    def full(number: int) -> None:
        if "preview" in Path(f"/proc/self/fd/{number}").readlink().parts:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(number)

    monkeypatch.setattr(os, "fsync", full)
    train(run, tasks=toy.TASKS)
    [note] = [e.text for e in run.events()[0] if e.event == "note" and "preview" in e.text]
    assert note.startswith(
        "The newest weights could not be written for a preview; the training goes on. The disk is full while writing"
    )
    assert run.state == "finished"
    assert list(run.preview_path.parent.iterdir()) == []
    assert load_model(run.target_path).card.weights_sha256 == load_model(plain.target_path).card.weights_sha256


def test_a_run_with_weights_to_look_at_is_not_replaced(make_run: Make, toy: ModuleType) -> None:
    run = make_run("r", "steps=4", "validate_every=2")
    train(run, tasks=toy.TASKS)
    run.target_path.unlink()
    for path in (run.preview_path, run.checkpoint_path):
        path.rename(path.with_suffix(".aside"))
        assert not run.came_to_nothing  # the checkpoint before the newest is there
    run.preview_path.with_suffix(".aside").rename(run.preview_path)
    previous_of(run.checkpoint_path).unlink()
    run.checkpoint_path.with_suffix(".aside").unlink()
    assert not run.came_to_nothing
    (run.preview_path).rename(run.preview_path.with_name(".part-1234-model.anlage"))
    assert run.came_to_nothing
    assert make_run("r").replaced
    assert not run.preview_path.parent.exists()


def test_what_a_killed_trainer_left_half_written_is_cleared(make_run: Make, toy: ModuleType) -> None:
    run = make_run("r", "steps=2", "validate_every=1")
    run.preview_path.parent.mkdir()
    left = run.preview_path.with_name(".part-1234-model.anlage")
    left.write_bytes(b"half")
    train(run, tasks=toy.TASKS)
    assert [p.name for p in run.preview_path.parent.iterdir()] == ["model.anlage"]


def test_it_writes_what_the_finished_model_would(
    make_run: Make, toy: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looking changes nothing: with and without the preview the weights are the same, bit for bit."""
    run, blind = (make_run(name, "steps=7", "validate_every=2") for name in ("r", "blind"))
    train(run, tasks=toy.TASKS)
    with monkeypatch.context() as patch:
        patch.setattr(Exporter, "write_preview", _nothing)
        train(blind, tasks=toy.TASKS)
    assert not blind.preview_path.exists()
    assert load_model(run.target_path).card.weights_sha256 == load_model(blind.target_path).card.weights_sha256


def test_the_card_names_only_what_was_learnt_from(
    toy: ModuleType, toy_store: Path, own_store: Path, tmp_path: Path
) -> None:
    about = own_store / "zarr.json"
    about.write_text(about.read_text().replace('"use": "auto"', '"use": "validation"'))
    settings = ["steps=2", "validate_every=1", "device=cpu", "threads=1"]
    run = Run.create(tmp_path / "r", "toy", [toy_store, own_store], settings, tasks=toy.TASKS)
    train(run, tasks=toy.TASKS)
    for path in (run.target_path, run.preview_path):
        assert [store.name for store in load_model(path).card.trained_on] == ["toy"]


def _nothing(*_: Any) -> None:
    return None
