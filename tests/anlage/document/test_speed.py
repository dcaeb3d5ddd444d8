"""30,000 nuclei stay fluent: a single edit with the snapshot after it takes at most 20 ms (median)."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from anlage import (
    AddLinks,
    AddNuclei,
    ChangeNuclei,
    MoveNuclei,
    Project,
    RemoveLinks,
    RemoveNuclei,
    SetDivision,
    Spacing,
)

N_FRAMES, PER_FRAME = 100, 300


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Any:
    rng = np.random.default_rng(0)
    n = N_FRAMES * PER_FRAME
    frames = np.repeat(np.arange(N_FRAMES), PER_FRAME)
    positions = np.column_stack([frames, rng.uniform(0, 49, n), rng.uniform(0, 999, (n, 2))])
    project = Project.create(
        tmp_path_factory.mktemp("speed") / "a.anlage",
        shape_tzyx=(N_FRAMES, 50, 1000, 1000),
        spacing=Spacing(2, 0.5, 0.5),
    )
    ids = project.document.new_ids(n)
    project.document.apply(
        AddNuclei(
            ids, positions, radius_um=5, origin="centres-7f3a", properties={"area": rng.uniform(size=n), "stage": ["late"] * n},
            links=np.column_stack([ids[:-PER_FRAME], ids[PER_FRAME:]]),
        )
    )  # fmt: skip
    yield project
    project.abandon()


EDITS: dict[str, Callable[[Any, int], Any]] = {
    "add": lambda d, i: AddNuclei(d.new_ids(), [(5, 1, 5 * i, 3)]),
    "add and link": lambda d, i: AddNuclei(
        new := d.new_ids(), [(99, 1, 5 * i, 9)], links=[(98 * PER_FRAME + 1 + i, new[0])]
    ),
    "move": lambda d, i: MoveNuclei([1000 + i], [(d.nuclei.positions[999 + i, 0], 1, 5 * i, 3)]),
    "reject": lambda d, i: ChangeNuclei([1000 + i], state=2),
    "radius": lambda d, i: ChangeNuclei([1000 + i], radius_um=3.5),
    "unlink": lambda d, i: RemoveLinks([(5001 + i, 5301 + i)]),
    "link": lambda d, i: AddLinks([(5001 + i, 5301 + i)]),
    "division": lambda d, i: SetDivision(20_000 + i, [20_400 + i, 20_500 + i]),
    "remove": lambda d, i: RemoveNuclei([1000 + i]),
}


@pytest.mark.parametrize("kind", EDITS)
def test_a_single_edit_is_fluent(kind: str, project: Project) -> None:
    document, spent = project.document, []
    for i in range(30):
        edit = EDITS[kind](document, i)
        begun = time.thread_time()
        document.apply(edit)
        assert len(document.nuclei) >= 29_000
        spent.append(time.thread_time() - begun)
    assert statistics.median(spent) <= 0.020


def test_undo_and_strokes_are_fluent(project: Project) -> None:
    document = project.document
    painted, spent = document.start_painting(), []
    for i in range(20):
        painted[i % 3, 10:18, 10 * i : 10 * i + 30, 200:240] = i + 1
        begun = time.thread_time()
        document.commit_stroke()
        assert document.nuclei.label.any()
        spent.append(time.thread_time() - begun)
    assert statistics.median(spent) <= 0.020
    spent.clear()
    while document.undo_text is not None and len(spent) < 60:
        begun = time.thread_time()
        document.undo()
        assert len(document.nuclei)
        spent.append(time.thread_time() - begun)
    assert statistics.median(spent) <= 0.020
