from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch

from anlage.errors import AnlageError
from anlage.model import load_model
from anlage.training.checkpoint import Record, load_checkpoint, save_checkpoint
from anlage.training.loop import train
from anlage.training.run import Run

Make = Callable[..., Run]


def test_a_checkpoint_comes_back_bit_for_bit(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    assert load_checkpoint(path) is None
    tensors = {"a": torch.randn(3, 4), "scalar": torch.tensor(2.5), "n": torch.tensor([1, 2])}
    record = Record(batch_size=4, step=7, best_score=-float("inf"), best_metrics={"f1": float("nan")})
    save_checkpoint(path, tensors, record)
    loaded = load_checkpoint(path)
    assert loaded is not None
    assert loaded[0].keys() == tensors.keys()
    assert all(torch.equal(loaded[0][name], tensors[name]) for name in tensors)
    assert loaded[1].model_dump_json() == record.model_dump_json()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04nonsense" * 10])
def test_a_file_that_is_no_checkpoint_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(content)
    with pytest.raises(AnlageError, match=r"checkpoint.safetensors cannot be read .* delete it to train this run from"):
        load_checkpoint(path)


def test_a_full_disk_leaves_the_old_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "checkpoint.safetensors"
    save_checkpoint(path, {"a": torch.ones(3)}, Record(batch_size=1, step=1))

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(
        AnlageError, match=r"The disk is full: the 0.0 MB of .*checkpoint.safetensors could .*anlage resume"
    ):
        save_checkpoint(path, {"a": torch.zeros(3)}, Record(batch_size=1, step=2))
    loaded = load_checkpoint(path)
    assert loaded is not None
    assert loaded[1].step == 1
    assert list(tmp_path.iterdir()) == [path]


def test_a_disk_that_fills_up_while_training_loses_nothing(
    small_disk: Path, toy: ModuleType, toy_store: Path, make_run: Make
) -> None:
    settings = ["steps=20", "validate_every=5", "checkpoint_seconds=0", "device=cpu", "threads=1"]
    plain = make_run("plain", *settings)
    train(plain, tasks=toy.TASKS)
    run = Run.create(small_disk / "r", "toy", [toy_store], settings, tasks=toy.TASKS)
    filler = small_disk / "filler"

    def fill(event: object) -> None:
        if getattr(event, "event", "") == "saved" and getattr(event, "step", 0) == 7 and not filler.exists():
            free = os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize
            filler.write_bytes(b"x" * (free - 4096))

    with pytest.raises(AnlageError, match=r"The disk is full.*free some"):
        train(run, tasks=toy.TASKS, on_event=fill)
    assert run.state == "failed"
    loaded = load_checkpoint(run.checkpoint_path)
    assert loaded is not None
    assert loaded[1].step == 7
    filler.unlink()
    train(Run.open(run.path), tasks=toy.TASKS)
    assert run.state == "finished"
    hashes = {load_model(r.target_path).card.weights_sha256 for r in (run, plain)}
    assert len(hashes) == 1
