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
from anlage.training import checkpoint
from anlage.training.checkpoint import TrainingState, load_checkpoint, newest_checkpoint, previous_of, save_checkpoint
from anlage.training.process import train
from anlage.training.run import Run

Make = Callable[..., Run]


def test_a_training_begins_with_nothing_behind_it() -> None:
    record = TrainingState(batch_size=1)
    assert (record.step, record.best_n, record.looks_without_gain) == (0, 0, 0)
    assert (record.best_step, record.highest_score, record.validated_step) == (None, None, None)
    assert record.best_score == -float("inf")
    assert record.best_loss == float("inf")
    assert (record.complete, record.halved, record.skipped) == (False, False, 0)


def test_the_checksum_knows_names_types_and_shapes() -> None:
    """The same bytes under another name, as another type or in another shape are another checkpoint."""
    sums = {
        checkpoint._checksum(tensors, "state")
        for tensors in (
            {"a": torch.zeros(2, 3)}, {"b": torch.zeros(2, 3)}, {"a": torch.zeros(3, 2)},
            {"a": torch.zeros(2, 3, dtype=torch.int32)}, {"a": torch.ones(2, 3)},
        )
    }  # fmt: skip
    assert len(sums) == 5
    assert checkpoint._checksum({"a": torch.zeros(2, 3)}, "another") not in sums


def test_a_checkpoint_comes_back_bit_for_bit(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    assert load_checkpoint(path) is None
    tensors = {"a": torch.randn(3, 4), "scalar": torch.tensor(2.5), "n": torch.tensor([1, 2])}
    record = TrainingState(batch_size=4, step=7, best_score=-float("inf"), best_metrics={"f1": float("nan")})
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
    save_checkpoint(path, {"a": torch.ones(3)}, TrainingState(batch_size=1, step=1))

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(
        AnlageError,
        match=r"The disk is full while writing the 0.0 MB of .*checkpoint.safetensors.* intact; .*anlage resume",
    ):
        save_checkpoint(path, {"a": torch.zeros(3)}, TrainingState(batch_size=1, step=2))
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


TENSORS = {"w": torch.arange(12.0).reshape(3, 4), "n": torch.tensor([3]), "scalar": torch.tensor(0.5)}


def saved_twice(folder: Path) -> Path:
    """A checkpoint of step 8, and beside it that of step 4."""
    path = folder / "checkpoint.safetensors"
    for step in (4, 8):
        save_checkpoint(
            path, {name: tensor + step for name, tensor in TENSORS.items()}, TrainingState(batch_size=2, step=step)
        )
    return path


def test_the_checkpoint_before_the_newest_is_kept(tmp_path: Path) -> None:
    path = saved_twice(tmp_path)
    assert {one.name for one in tmp_path.iterdir()} == {"checkpoint.safetensors", "checkpoint-previous.safetensors"}
    newest, before = load_checkpoint(path), load_checkpoint(previous_of(path))
    assert newest is not None
    assert before is not None
    assert (newest[1].step, before[1].step) == (8, 4)
    assert torch.equal(before[0]["w"], TENSORS["w"] + 4)


def test_it_is_kept_on_a_drive_without_second_names_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    test_the_checkpoint_before_the_newest_is_kept(tmp_path)


@pytest.mark.parametrize("where", range(0, 100, 7))
def test_a_single_flipped_bit_is_noticed_wherever_it_is(tmp_path: Path, where: int) -> None:
    path = saved_twice(tmp_path)
    content = bytearray(path.read_bytes())
    content[len(content) * where // 100] ^= 0x40
    path.write_bytes(content)
    with pytest.raises(AnlageError, match=r"checkpoint.safetensors cannot be read \(.*\); delete it to train this run"):
        load_checkpoint(path)
    found = newest_checkpoint(path)
    assert found is not None
    (tensors, record), note = found
    assert record.step == 4
    assert torch.equal(tensors["w"], TENSORS["w"] + 4)
    assert note.startswith(f"The newest checkpoint {path} is damaged (")
    assert note.endswith("the training goes on from the one before it, of step 4.")
    # it has taken the place of the damaged one, so the next does not push it out
    assert not previous_of(path).exists()
    assert newest_checkpoint(path) is not None


def test_a_checksum_that_is_wrong_is_said_to_be(tmp_path: Path) -> None:
    path = saved_twice(tmp_path)
    content = bytearray(path.read_bytes())
    content[-3] ^= 0x01
    path.write_bytes(content)
    with pytest.raises(AnlageError, match="its checksum is not that of its content"):
        load_checkpoint(path)


def test_tensors_that_changed_places_are_noticed(tmp_path: Path) -> None:
    """The same bytes under other names."""
    path = tmp_path / "checkpoint.safetensors"
    save_checkpoint(path, {"aa": torch.ones(3), "bb": torch.zeros(3)}, TrainingState(batch_size=1))
    path.write_bytes(path.read_bytes().replace(b'"aa"', b'"xx"').replace(b'"bb"', b'"aa"').replace(b'"xx"', b'"bb"'))
    with pytest.raises(AnlageError, match="checksum"):
        load_checkpoint(path)


def test_a_newest_that_is_gone_is_replaced_by_the_one_before(tmp_path: Path) -> None:
    path = saved_twice(tmp_path)
    path.unlink()
    found = newest_checkpoint(path)
    assert found is not None
    assert found[0][1].step == 4
    assert "is missing; the training goes on from the one before it, of step 4" in found[1]


def test_two_damaged_ones_are_one_sentence(tmp_path: Path) -> None:
    path = saved_twice(tmp_path)
    path.write_bytes(b"")
    previous_of(path).write_bytes(b"nonsense")
    with pytest.raises(
        AnlageError, match=r"is damaged \(SafetensorError\), and the one before it, .* delete both to train"
    ):
        newest_checkpoint(path)


def test_a_damaged_one_without_another_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    assert newest_checkpoint(path) is None
    path.write_bytes(b"")
    with pytest.raises(
        AnlageError, match=r"checkpoint.safetensors cannot be read \(SafetensorError\); delete it to train"
    ):
        newest_checkpoint(path)


def test_a_folder_in_its_place_is_one_sentence(tmp_path: Path) -> None:
    path = saved_twice(tmp_path)
    path.unlink()
    path.mkdir()
    with pytest.raises(AnlageError, match="is a folder, where the checkpoint should be; remove it, then resume"):
        newest_checkpoint(path)


def test_one_without_a_checksum_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    path = tmp_path / "checkpoint.safetensors"
    save_file(TENSORS, path, metadata={"anlage": TrainingState(batch_size=4, step=7).model_dump_json()})
    with pytest.raises(AnlageError, match=r"it has no checksum, as those of earlier versions.*; delete it to train"):
        load_checkpoint(path)


@pytest.mark.parametrize("wrong", ['"step":-1', '"step":10000000000', '"batch_size":0', '"seconds":"NaN"', '"what":1'])
def test_a_record_that_cannot_be_is_one_sentence(tmp_path: Path, wrong: str) -> None:
    from safetensors.torch import save_file

    path = tmp_path / "checkpoint.safetensors"
    save_file(TENSORS, path, metadata={"anlage": '{"batch_size":4,' + wrong + "}"})
    with pytest.raises(AnlageError, match=r"cannot be read \(ValidationError\)"):
        load_checkpoint(path)


@pytest.mark.parametrize("damage", ["cut", "bit", "gone"])
def test_a_training_goes_on_from_the_one_before_and_ends_in_the_same_bits(
    make_run: Make, toy: ModuleType, damage: str
) -> None:
    settings = ("steps=12", "validate_every=5", "checkpoint_steps=2", "checkpoint_seconds=1000")
    plain, run = make_run("plain", *settings), make_run("broken", *settings)
    train(plain, tasks=toy.TASKS)

    class KilledError(BaseException): ...

    def kill(event: object) -> None:
        if getattr(event, "event", "") == "saved" and getattr(event, "step", 0) == 8:
            raise KilledError

    with pytest.raises(KilledError):
        train(run, tasks=toy.TASKS, on_event=kill)
    content = bytearray(run.checkpoint_path.read_bytes())
    if damage == "gone":
        run.checkpoint_path.unlink()
    else:
        content[-5] ^= 0x10
        run.checkpoint_path.write_bytes(content[:-100] if damage == "cut" else content)
    train(Run.open(run.path), tasks=toy.TASKS)
    events = run.events()[0]
    assert [event.step for event in events if event.event == "resumed"] == [6]
    assert any(event.event == "note" and "of step 6" in event.text for event in events)
    hashes = {load_model(r.target_path).card.weights_sha256 for r in (run, plain)}
    assert len(hashes) == 1


def test_a_run_that_lost_its_checkpoints_says_that_it_begins_anew(make_run: Make, toy: ModuleType) -> None:
    run = make_run("r", "steps=4", "checkpoint_steps=2")
    train(run, tasks=toy.TASKS)
    for path in (run.target_path, run.checkpoint_path, previous_of(run.checkpoint_path)):
        path.unlink()
    train(Run.open(run.path), tasks=toy.TASKS)
    notes = [event.text for event in run.events()[0] if event.event == "note"]
    assert "The checkpoint of step 4 is gone; the training begins anew." in notes
    assert run.state == "finished"
