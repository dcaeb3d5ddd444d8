"""What regions give to training."""

from __future__ import annotations

import pytest

from anlage import AddNuclei, AddRegion, Box, Document, Region, State, region_inputs


@pytest.fixture
def document() -> Document:
    document = Document(shape_tzyx=(6, 10, 60, 60))
    at = [(0, 5, 5, 5), (2, 5, 5, 5), (0, 5, 30, 30), (1, 5, 30, 31), (0, 5, 50, 50), (3, 5, 50, 50)]
    document.apply(AddNuclei(document.new_ids(6), at, state=[1, 1, 1, 1, 1, State.REJECTED]))
    return document


def add(document: Document, name: str, at: int, **fields: object) -> None:
    box = Box((0, 4), (0, 10), (max(0, at - 8), at + 8), (max(0, at - 8), at + 8))
    document.apply(AddRegion(Region.around(document.new_region_id(), name, box, **fields)))


def test_regions_of_the_same_use_and_kind_are_one_store(document: Document) -> None:
    add(document, "held out", 50, use="validation")
    add(document, "a", 5, use="train")
    add(document, "b", 30, use="train")
    add(document, "few", 30, complete=False, use="train")
    groups = region_inputs(document.nuclei, document.regions)
    assert [(g.name, g.sparse, str(g.use), [r.name for r in g.regions]) for g in groups] == [
        ("train", False, "train", ["a", "b"]),
        ("train-sparse", True, "train", ["few"]),
        ("validation", False, "validation", ["held out"]),
    ]
    assert [cuboid.frames for cuboid in groups[0].cuboids] == [(0, 2), (0, 1)]
    assert [cuboid.n_nuclei for cuboid in groups[0].cuboids] == [2, 2]
    assert groups[2].cuboids[0].frames == (0,)  # frame 3 has a rejected nucleus only
    assert all(group.annotations is document.nuclei for group in groups)


def test_a_region_without_a_nucleus_gives_nothing(document: Document) -> None:
    add(document, "empty", 20)
    assert region_inputs(document.nuclei, document.regions) == ()
