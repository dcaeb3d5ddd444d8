"""Whatever ends a training, done to real trainers: the Train tab says it in one sentence, with the story behind it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from napari.components import ViewerModel

from anlage import Annotations, Box, Run, Spacing, TimeLapse, build_store
from napari_anlage.jobs.thread import ErrorReport
from napari_anlage.session.session import Session
from napari_anlage.train.run_view import RunView
from napari_anlage.widgets.basic import StatusLine

pytestmark = pytest.mark.skipif(os.name != "posix", reason="kills and limits as only POSIX systems know them")

LIMITED = '#!/bin/sh\nulimit -v 2000000\nexec "{python}" "$@"\n'
LOST = """#!{python}
import sys
from anlage.cli import main
from anlage.tasks.nuclei.task import NucleiTask

def loss(self, network, batch):
    raise RuntimeError("CUDA error: unspecified launch failure")

NucleiTask.loss = loss
sys.exit(main(sys.argv[4:]))
"""
"""A driver that gives up in the first step; the words are CUDA's own."""


@pytest.fixture(scope="module")
def small_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path | None]:
    """A real file system of two megabytes: enough for the decoded data, not for a checkpoint; None where this user may not mount one."""
    place = tmp_path_factory.mktemp("disk")
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)]
    if not sys.platform.startswith("linux") or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        yield None
        return
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.fixture(scope="module")
def views(tmp_path_factory: pytest.TempPathFactory, small_disk: Path | None, qapp) -> Iterator[dict[str, RunView]]:
    """A view for each way to fail, watching a real trainer from its start; they all train at the same time."""
    folder = tmp_path_factory.mktemp("failures")
    rng = np.random.default_rng(0)
    image = TimeLapse.of(rng.integers(90, 200, (4, 12, 64, 64)).astype(np.uint16), spacing=Spacing(2, 0.5, 0.5))
    nuclei = Annotations.of([(t, 6, y, x) for t in range(4) for y in (10, 30, 50) for x in (10, 30, 50)])
    store = build_store(folder / "s.zarr", image, nuclei, cuboid=Box.whole(image.shape_tzyx), diameter_um=5.0)
    programs = {"memory": LIMITED, "lost": LOST}
    settings = {"memory": ["batch_size=512"], "full": []}
    places = {name: folder / name for name in ("memory", "killed", "lost")}
    if small_disk is not None:
        places["full"] = small_disk / "full"
    made, sessions = {}, []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(folder))
        for name, place in places.items():
            told = ["device=cpu", "threads=1", "steps=4", *settings.get(name, ["width=8"])]
            run = Run.create(place, "nuclei", [store.path], told)
            program = folder / f"{name}-python"
            program.write_text(programs.get(name, '#!/bin/sh\nexec "{python}" "$@"\n').format(python=sys.executable))
            program.chmod(0o755)
            with pytest.MonkeyPatch.context() as executable:
                executable.setattr(sys, "executable", str(program))
                run.start()
            sessions.append(ViewerModel())  # the session lives as long as its viewer
            made[name] = RunView(Session.of(sessions[-1]), StatusLine())
            made[name].problems = []
            made[name].failed.connect(made[name].problems.append)
            made[name].watch(run)
        yield made
    for view in made.values():
        view.leave()
        view.deleteLater()


def failure(views: dict[str, RunView], name: str, qtbot) -> ErrorReport:
    """The problem that a view reports, once; after it nothing moves any more."""
    view = views[name]
    qtbot.waitUntil(lambda: bool(view.problems), timeout=200_000)
    (problem,) = view.problems
    assert "\n" not in problem.sentence
    assert problem.details
    assert view.state == "failed"
    assert (view.progress.minimum(), view.progress.maximum()) != (0, 0), "a bar that runs for ever"
    assert view.progress.format() == "failed"
    assert not view.stop.button.isEnabled()
    assert view.resume.button.isEnabled()
    return problem


def test_a_trainer_that_was_killed(views, qtbot) -> None:
    run = views["killed"].watcher.run
    qtbot.waitUntil(lambda: bool(run.events()[0]), timeout=100_000)
    os.kill(run.events()[0][0].pid, signal.SIGKILL)
    began = time.monotonic()
    problem = failure(views, "killed", qtbot)
    assert time.monotonic() - began < 10
    assert problem.sentence.startswith("The training was killed from outside (signal 9) before its first checkpoint")
    assert "Resume" in problem.sentence
    assert "anlage resume" not in problem.sentence


@pytest.mark.long
def test_a_disk_that_is_full(views, qtbot) -> None:
    if "full" not in views:
        pytest.skip("mounting a small disk needs root")
    assert failure(views, "full", qtbot).sentence.startswith("The disk is full")


def test_memory_that_runs_out(views, qtbot) -> None:
    problem = failure(views, "memory", qtbot)
    assert problem.sentence.startswith("Memory ran out")
    assert "--set" not in problem.sentence


def test_a_graphics_driver_that_is_lost(views, qtbot) -> None:
    problem = failure(views, "lost", qtbot)
    assert problem.sentence.startswith("The graphics card stopped answering (CUDA error: unspecified launch failure)")
    assert "with the device cpu" in problem.sentence
    assert "Traceback" in problem.details
