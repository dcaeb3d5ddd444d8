"""Processes that train together; two real ones are in `tests/anlage/cli/test_torchrun.py`."""

from __future__ import annotations

import pytest

from anlage.training.distributed import World


def test_without_torchrun_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    world = World.from_environment()
    assert world.is_first
    assert world.is_alone
    assert world.broadcast_first(3, 4, device="cpu") == (3, 4)
    begun: list[int] = []
    with world.connected():
        world.first_begins(lambda: begun.append(1))
    assert begun == [1]
