"""Random edits of every kind, and a digest of everything that a user could see of a document."""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import numpy as np

from anlage import (
    AddLinks,
    AddNuclei,
    AddRegion,
    AnlageError,
    Box,
    ChangeLinks,
    ChangeNuclei,
    ChangeRegion,
    DescribeNuclei,
    Document,
    MoveNuclei,
    Region,
    RemoveLinks,
    RemoveNuclei,
    RemoveRegion,
    SetDivision,
    Several,
    Spacing,
)

SHAPE = (4, 9, 20, 140)  # chunks end at plane 8 and column 128
SPACING = Spacing(2.0, 0.5, 0.5)


def digest(document: Document) -> str:
    """Hash of nuclei, links, regions, painted voxels, and of what can be undone and redone."""
    found = hashlib.blake2b(digest_size=12)
    nuclei = document.nuclei
    for field in fields(nuclei):
        value = getattr(nuclei, field.name)
        if isinstance(value, np.ndarray):
            value = {field.name: value}
        if isinstance(value, dict):
            for name, column in value.items():
                found.update(f"{name} {column.dtype} {column.shape}".encode())
                found.update(np.ascontiguousarray(column).tobytes())
    found.update(repr(document.regions).encode())
    painted = document.painted
    voxels = None if painted is None else painted[:]
    if voxels is not None and voxels.any():
        found.update(voxels)
    found.update(
        repr([[step.text for step in steps] for steps in (document.history.past, document.history.future)]).encode()
    )
    return found.hexdigest()


class Scribbler:
    """Makes edits that fit the document; the same seed and the same document give the same edits."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.done: Counter[str] = Counter()

    def step(self, document: Document, n: int, *, undo: bool = False) -> None:
        """Make change number n, which may be an undo or a redo; it always changes something."""
        rng = random.Random(f"{self.seed} {n}")
        if undo and rng.random() < 0.25:
            way = document.undo if rng.random() < 0.65 else document.redo
            if way() is not None:
                return
        before = document.revision
        while document.revision == before:
            kind = rng.choice(KINDS)
            try:
                kind(document, rng)
            except AnlageError:
                continue
            if document.revision > before:
                self.done[kind.__name__] += 1


def some_ids(document: Document, rng: random.Random, most: int) -> list[int]:
    ids = document.nuclei.ids.tolist()
    return sorted(rng.sample(ids, min(len(ids), rng.randint(1, most))))


def place(rng: random.Random, t: float | None = None) -> list[float]:
    return [rng.randrange(SHAPE[0]) if t is None else t, *(rng.uniform(0, n - 1) for n in SHAPE[1:])]


def box(rng: random.Random) -> Box:
    spans = [sorted(rng.sample(range(n + 1), 2)) for n in SHAPE]
    return Box(*((low, high) for low, high in spans))


def add(document: Document, rng: random.Random) -> None:
    ids = document.new_ids(rng.randint(1, 4)).tolist()
    rng.shuffle(ids)
    properties: dict[str, Any] = {}
    if rng.random() < 0.4:
        properties["area"] = [rng.choice([None, 7, rng.random()]) for _ in ids]
    if rng.random() < 0.4:
        properties["kind"] = [rng.choice([None, "a", "neuron", "µ"]) for _ in ids]
    document.apply(
        AddNuclei(
            ids, [place(rng) for _ in ids], radius_um=[rng.choice([np.nan, 3.25, 4.5]) for _ in ids], label=rng.choice([0, 0, 8]),
            probability=rng.random(), state=rng.randrange(3), origin=rng.choice(["human", "centres-7f3a", "x"]),
            properties=properties,
        )
    )  # fmt: skip


def remove(document: Document, rng: random.Random) -> None:
    if len(document.nuclei) > 15:
        document.apply(RemoveNuclei(some_ids(document, rng, 4)))


def move(document: Document, rng: random.Random) -> None:
    ids = some_ids(document, rng, 3)
    document.apply(MoveNuclei(ids, [place(rng) for _ in ids]))


def change(document: Document, rng: random.Random) -> None:
    ids = some_ids(document, rng, 3)
    changes = {
        "radius_um": rng.choice([5.5, float("nan")]), "state": [rng.randrange(3) for _ in ids], "label": rng.randrange(4),
        "probability": rng.random(), "origin": rng.choice(["human", "a-longer-origin-than-before"]),
    }  # fmt: skip
    document.apply(ChangeNuclei(ids, **dict(rng.sample(sorted(changes.items()), rng.randint(1, 3)))))


def link(document: Document, rng: random.Random) -> None:
    document.apply(AddLinks([rng.sample(document.nuclei.ids.tolist(), 2)], rng.choice([0.25, float("nan")])))


def weigh(document: Document, rng: random.Random) -> None:
    links = document.nuclei.links.tolist()
    document.apply(ChangeLinks(rng.sample(links, min(len(links), 2)), rng.choice([0.5, float("nan")])))


def describe(document: Document, rng: random.Random) -> None:
    ids = some_ids(document, rng, 3)
    document.apply(DescribeNuclei(ids, {"division_probability": [rng.choice([None, rng.random()]) for _ in ids]}))


def unlink(document: Document, rng: random.Random) -> None:
    links = document.nuclei.links.tolist()
    document.apply(RemoveLinks(rng.sample(links, min(len(links), 2))))


def divide(document: Document, rng: random.Random) -> None:
    mother, *daughters = rng.sample(document.nuclei.ids.tolist(), 3)
    document.apply(SetDivision(mother, daughters))


def add_region(document: Document, rng: random.Random) -> None:
    made = document.new_region_id()
    document.apply(AddRegion(Region.around(made, f"R{made}", box(rng), complete=rng.random() < 0.5)))


def change_region(document: Document, rng: random.Random) -> None:
    if document.regions:
        region = rng.choice(document.regions)
        use = rng.choice(["auto", "train", "validation"])
        document.apply(ChangeRegion(Region.around(region.id, region.name + "'", box(rng), use=use)))


def remove_region(document: Document, rng: random.Random) -> None:
    if len(document.regions) > 1:
        document.apply(RemoveRegion(rng.choice(document.regions).id))


def paint(document: Document, rng: random.Random) -> None:
    """A stroke of a brush, sometimes over a nucleus, sometimes in two frames, sometimes the eraser."""
    painted = document.start_painting()
    t, *middle = place(rng)
    if rng.random() < 0.4:
        t, *middle = document.nuclei.positions[rng.randrange(len(document.nuclei))]
    value = rng.choice([0, 1, 2, 3, 4, 5, 300])
    for frame in {int(t), int(t) + rng.randrange(2)} & set(range(SHAPE[0])):
        for dab in range(3):
            low = [max(0, round(m) - 2 - 4 * dab) for m in middle]
            high = [min(n, round(m) + 3 + 2 * dab) for m, n in zip(middle, SHAPE[1:], strict=True)]
            painted[(frame, *(slice(a, b) for a, b in zip(low, high, strict=True)))] = value
    document.commit_stroke()


def several(document: Document, rng: random.Random) -> None:
    new = document.new_ids(2)
    at = [place(rng, t) for t in (0, 1)]
    ids = some_ids(document, rng, 2)
    document.apply(
        Several(
            (AddNuclei(new, at), AddLinks([new]), MoveNuclei(new[:1], [place(rng, 0)]), ChangeNuclei(ids, state=1)),
            "do much",
        )
    )


KINDS: list[Callable[[Document, random.Random], None]] = [
    add, add, remove, move, change, change, link, link, unlink, weigh, describe, divide, divide, add_region, change_region, remove_region, paint,
    paint, paint, several,
]  # fmt: skip
