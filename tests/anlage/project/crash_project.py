"""Kills programs that work on a project: ``python crash_project.py moments|points|every-point FOLDER``. Prints one JSON line.

One process loads everything and then forks a child for each attempt, so that a kill costs milliseconds. The children are
real processes and the kills are real SIGKILLs. What has to be on disk is known from the same changes made to a document
in memory: a change that a child has told of must be there; the one it was about to make may be.
"""

from __future__ import annotations

import gc
import importlib.util
import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geff  # noqa: F401  (loaded before the forks)
import zarr  # noqa: F401

from anlage import AddNuclei, Document, Project
from anlage.document import journal as journals
from anlage.io.nuclei_files import geff_graphs  # noqa: F401

SPEC = importlib.util.spec_from_file_location(
    "anlage_test_scribble", Path(__file__).parents[1] / "document" / "scribble.py"
)
SCRIBBLE: Any = importlib.util.module_from_spec(SPEC)
sys.modules[SPEC.name] = SCRIBBLE
SPEC.loader.exec_module(SCRIBBLE)

SEED = 11
SAVE_EVERY = 9


def change(document: Document, n: int) -> None:
    """Change number n; the first makes nuclei to work with."""
    if n == 0:
        document.apply(AddNuclei(document.new_ids(20), [[i % 4, 4, i, 7 * i] for i in range(20)]))
    else:
        SCRIBBLE.Scribbler(SEED).step(document, n, undo=True)


class Truth:
    """What the project holds after so many changes."""

    def __init__(self) -> None:
        self._document = Document(shape_tzyx=SCRIBBLE.SHAPE, spacing=SCRIBBLE.SPACING)
        self._digests = [SCRIBBLE.digest(self._document)]

    def after(self, n: int) -> str:
        while len(self._digests) <= n:
            change(self._document, len(self._digests) - 1)
            self._digests.append(SCRIBBLE.digest(self._document))
        return self._digests[n]


def forked(work: Callable[[Callable[[str], None]], None]) -> tuple[int, int]:
    """Start a child that works and may tell lines; returns its id and where to read them."""
    read, write = os.pipe()
    gc.freeze()  # a search for garbage in the child would copy all the memory that it shares with this process
    pid = os.fork()
    if pid == 0:
        os.close(read)
        work(lambda line: os.write(write, f"{line}\n".encode()) and None)
        os._exit(0)
    os.close(write)
    return pid, read


def told(pid: int, pipe: int, seen: bytes = b"") -> tuple[list[str], bool]:
    """What a child told, and whether it ended by itself."""
    with os.fdopen(pipe, "rb") as lines:
        found = (seen + lines.read()).decode().splitlines()
    _, status = os.waitpid(pid, 0)
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    assert killed or status == 0, status
    return found, not killed


def work(folder: Path, n: int, tell: Callable[[str], None], last: int = 10**9) -> None:
    """Make changes from number n on, saving now and then."""
    project = Project.open(folder)
    tell("open")
    while n < last:
        change(project.document, n)
        n += 1
        tell(str(n))
        if n % SAVE_EVERY == 0:
            in_between = n // SAVE_EVERY % 2 == 0  # every other time while changes go on
            project.save(wait=not in_between)
            tell("saving" if in_between else "saved")


def look(folder: Path, truth: Truth, at_least: int) -> int | None:
    """How many changes a project holds after it was opened anew; None if it holds anything but a whole number of them."""

    def tell_digest(tell: Callable[[str], None]) -> None:
        project = Project.open(folder)
        tell(SCRIBBLE.digest(project.document))
        tell(" ".join(sorted(path.name for path in folder.iterdir())))
        project.abandon()

    (found, names), _ = told(*forked(tell_digest))
    strange = set(names.split()) - {"project.json", "annotations.geff", "journal.jsonl", "labels.zarr", "lock", "pid"}
    assert not strange, strange
    return next((n for n in (at_least, at_least + 1) if truth.after(n) == found), None)


def at_moments(folder: Path, kills: int) -> dict[str, Any]:
    project = folder / "moments.anlage"
    assert told(*forked(lambda tell: make(project)))[1]
    truth, rng, n = Truth(), random.Random(2), 0
    saves, lost, report = 0, [], []
    for _ in range(kills):
        pid, pipe = forked(lambda tell, n=n: work(project, n, tell))
        wanted = rng.choice([b"open", b"open", b"saving", b"saved"])
        seen = b""
        while wanted not in seen and (more := os.read(pipe, 4096)):
            seen += more
        time.sleep(rng.uniform(0.0, 0.25))
        os.kill(pid, signal.SIGKILL)
        lines, _ = told(pid, pipe, seen)
        numbers = [int(line) for line in lines if line.isdigit()]
        saves += lines.count("saved")
        at_least = numbers[-1] if numbers else n
        found = look(project, truth, at_least)
        if found is None:
            lost.append(at_least)
            break
        report.append(found)
        n = found
    return {"kills": len(report), "changes": n, "saves": saves, "lost": lost}


def make(folder: Path) -> None:
    Project.create(folder, shape_tzyx=SCRIBBLE.SHAPE, spacing=SCRIBBLE.SPACING).abandon()


def die_at(point: int, tell: Callable[[str], None]) -> None:
    """Kill this process at its n-th dangerous moment: around renames, removals and flushes, in the midst of a line."""
    left, partial = [point], [0]

    def moment() -> None:
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(owner: Any, name: str) -> None:
        original = getattr(owner, name)

        def dying(*arguments: Any, **options: Any) -> Any:
            if ".partial" in str(arguments[0]):  # zarr's own files, of which there are many: every twelfth
                partial[0] += 1
                if partial[0] % 12:
                    return original(*arguments, **options)
            moment()
            result = original(*arguments, **options)
            moment()
            return result

        setattr(owner, name, dying)

    for owner, name in ((Path, "replace"), (Path, "rename"), (Path, "unlink"), (shutil, "rmtree"), (os, "ftruncate")):
        around(owner, name)
    append = journals.Journal.append

    def dying_append(self: Any, record: Any) -> None:
        if left[0] == 0:
            line = json.dumps(record).encode()
            os.write(self._handle, line[: len(line) // 2])
        moment()
        append(self, record)
        moment()

    journals.Journal.append = dying_append
    tell("armed")


def at_points(folder: Path, stride: int) -> dict[str, Any]:
    """Kill at every dangerous moment of opening, changing, saving, changing and saving again."""
    truth, point, lost = Truth(), 0, []
    first = SAVE_EVERY - 4
    base = folder / "base.anlage"
    assert told(*forked(lambda tell: make(base)))[1]
    assert told(*forked(lambda tell: work(base, 0, tell, first)))[1]
    while True:
        project = folder / f"point{point}.anlage"
        shutil.copytree(base, project)

        def dying(tell: Callable[[str], None], project: Path = project, point: int = point) -> None:
            die_at(point, tell)
            work(project, first, tell, SAVE_EVERY + 2)

        lines, survived = told(*forked(dying))
        numbers = [int(line) for line in lines if line.isdigit()]
        if look(project, truth, numbers[-1] if numbers else first) is None:
            lost.append(point)
        shutil.rmtree(project)
        if survived:
            return {"points": point, "lost": lost}
        point += stride


if __name__ == "__main__":
    kind, place = sys.argv[1:]
    kinds = {
        "moments": lambda: at_moments(Path(place), 12),
        "points": lambda: at_points(Path(place), 5),
        "every-point": lambda: at_points(Path(place), 1),  # minutes
    }
    report = kinds[kind]()
    sys.stdout.write(json.dumps(report) + "\n")
