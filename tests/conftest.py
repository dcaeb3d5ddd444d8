"""What every test may count on: few threads, repeatable examples, and reasons where something cannot run here."""

from __future__ import annotations

import gc
import os
import shutil
import sys
import uuid
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import hypothesis
import pytest

ROOT = Path(__file__).resolve().parents[1]

# Before torch or numpy are loaded, here and in child processes: each worker of two keeps one of two cores. One thread whether
# there are workers or not: they inherit what the process that starts them has set, and two threads each make the suite slower.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line does

# napari without numba, as `pip install 'anlage[all]'` has it. It comes with a referee of scores here, and napari would compile
# the drawing of shapes with it for ten seconds in every new environment.
sys.modules["napari.layers.shapes._accelerated_triangulate_numba"] = None  # type: ignore[assignment]

gc.disable()  # until all tests are collected: importing makes millions of objects and hardly any garbage

_MODULES = pytest.StashKey[int]()
"""How many modules were loaded when what lives for good was last set apart."""

# The same examples on every machine, and none that fail because the machine was busy.
hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None, print_blob=True)
hypothesis.settings.load_profile("repeatable")


def _has_display() -> bool:
    if not sys.platform.startswith("linux"):
        return True
    return shutil.which("Xvfb") is not None or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


if not _has_display():
    # Qt would end the whole process; widgets alone work without a screen.
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")


_WEIGHTS = {"long": 300, "viewer": 40}
"""What a test costs beside one without a mark, roughly."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take long come first: several processes are then done at about the same time."""
    costs = Counter[Path]()
    for item in items:
        costs[item.path] += 1 + sum(cost for mark, cost in _WEIGHTS.items() if item.get_closest_marker(mark))
    items.sort(key=lambda item: -costs[item.path])


def pytest_collection_finish(session: pytest.Session) -> None:
    gc.enable()
    gc.set_threshold(50_000, 20, 20)  # a search each 700 objects takes a tenth of the time of a test with a viewer
    _set_apart(session)


def _set_apart(session: pytest.Session) -> None:
    """What is there for good, all modules and tests, is not searched for garbage again and again."""
    gc.freeze()
    session.stash[_MODULES] = len(sys.modules)


def pytest_runtest_setup(item: pytest.Item) -> None:
    # as torch and napari, which the first test that needs them loads
    if len(sys.modules) > item.session.stash[_MODULES] + 100:
        gc.collect()
        _set_apart(item.session)
    elif item.get_closest_marker("viewer"):
        _set_apart(item.session)  # what earlier tests left; the fixture searches everything when it has closed a viewer
    if item.get_closest_marker("viewer") and not _has_display():
        pytest.skip("a napari viewer needs a screen: install the package xvfb")
    if item.get_closest_marker("gpu"):
        import torch  # only here: collecting the suite must not load it

        if not torch.cuda.is_available():
            pytest.skip("no CUDA device")


@pytest.fixture(autouse=True)
def settings_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's settings folder, a new one for each test: its list of recent projects is none of another test's."""
    folder = tmp_path_factory.getbasetemp() / f"settings-{uuid.uuid4().hex[:8]}"  # made when something is written
    monkeypatch.setenv("ANLAGE_SETTINGS", str(folder))
    return folder


@pytest.fixture(scope="session")
def shared_data() -> Callable[[str], Path]:
    """Path of a real data set by its folder's name; the test is skipped where the data are not beside the repository.

    They are looked for in ``../shared/data``, or in the folder that ``ANLAGE_TEST_DATA`` names.
    """
    folder = Path(os.environ.get("ANLAGE_TEST_DATA", ROOT.parent / "shared" / "data"))

    def find(name: str) -> Path:
        path = folder / name
        if not path.exists():
            pytest.skip(f"the data set '{name}' is not in {folder}")
        return path

    return find
