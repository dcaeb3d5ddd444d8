"""The toy task, and runs of it."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from anlage.training.run import Run

TOY = Path(__file__).with_name("toy.py")


@pytest.fixture(scope="session")
def toy() -> ModuleType:
    """The module `toy.py`; run as a program it trains."""
    spec = importlib.util.spec_from_file_location("anlage_test_toy", TOY)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def toy_store(toy: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy.make_store(tmp_path_factory.mktemp("data") / "toy.zarr")


@pytest.fixture
def make_run(toy: ModuleType, toy_store: Path, tmp_path: Path) -> Callable[..., Run]:
    """Make a run of the toy: ``make_run("name", "steps=20", …)``."""

    def make(name: str, *assignments: str, **options: object) -> Run:
        settings = ["device=cpu", "threads=1", *assignments]
        return Run.create(tmp_path / name, "toy", [toy_store], settings, tasks=toy.TASKS, **options)

    return make


class Clock:
    """A clock that only waiting moves: a slow machine costs a test no time, and a busy one changes nothing."""

    def __init__(self) -> None:
        self.now = time.monotonic()

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of the trainings in this process."""
    made = Clock()
    monkeypatch.setattr(time, "monotonic", made.monotonic)
    monkeypatch.setattr(time, "sleep", made.sleep)
    return made


@pytest.fixture(scope="module")
def small_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A real file system of half a megabyte."""
    place = tmp_path_factory.mktemp("disk")
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(place)]
    if not sys.platform.startswith("linux") or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("mounting a small disk needs root")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.fixture
def own_store(toy_store: Path, tmp_path: Path) -> Path:
    """A store that a test may change."""
    return Path(shutil.copytree(toy_store, tmp_path / "own.zarr"))
