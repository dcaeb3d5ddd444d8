"""The list of problems that can be clicked."""

from __future__ import annotations

import time

import numpy as np

from anlage import AddNuclei, AddRegion, Annotations, Box, Document, Region, Spacing, State
from anlage.document.findings import findings


def document_with(positions: list[tuple[float, ...]], **columns: object) -> Document:
    document = Document(shape_tzyx=(6, 10, 50, 50), spacing=Spacing(2, 0.5, 0.5))
    document.apply(AddNuclei(document.new_ids(len(positions)), positions, **columns))
    return document


def test_a_clean_document_has_none() -> None:
    document = document_with([(0, 5, 5, 5), (1, 5, 5, 5), (0, 5, 30, 30)], radius_um=4, links=[(1, 2)])
    assert document.problems() == ()
    assert Document().problems() == ()


def test_a_gap_says_which_frame_is_missing_and_leads_there() -> None:
    document = document_with([(0, 5, 5, 5), (2, 5, 9, 5), (5, 5, 9, 5)], links=[(1, 2), (2, 3)])
    one, other = document.problems()
    assert (one.kind, one.ids, one.position) == ("gap", (1, 2), (1, 5, 7, 5))
    assert one.text == (
        "Nucleus 1 (frame 0) is linked to nucleus 2 (frame 2), but frame 1 is missing; add it, or remove the link."
    )
    assert "but frames 3 to 4 are missing" in other.text
    assert other.position == (3, 5, 9, 5)


def test_two_nuclei_nearer_than_a_third_of_a_diameter_are_one_marked_twice() -> None:
    # 8 µm in diameter: nearer than 2.4 µm, which is 4.8 voxels along x and 1.2 planes along z
    near = [(0, 5, 5, 5), (0, 5, 5, 9), (0, 6, 30, 30), (0, 7, 30, 30), (1, 5, 5, 5)]
    far = [(2, 2, 5, 5), (2, 2, 5, 10), (2, 2, 30, 30), (2, 4, 30, 30)]
    document = document_with(near + far, radius_um=4)
    assert [(found.kind, found.ids) for found in document.problems()] == [("duplicate", (1, 2)), ("duplicate", (3, 4))]
    first = document.problems()[0]
    assert first.text == "Nuclei 1 and 2 of frame 0 are only 2.0 µm apart; remove one of them if they are the same."
    assert first.position == (0, 5, 5, 5)
    assert len(document.problems(diameter_um=10)) == 3
    assert document.problems(diameter_um=1) == ()


def test_a_rejected_nucleus_is_no_duplicate() -> None:
    document = document_with([(0, 5, 5, 5), (0, 5, 5, 6)], radius_um=4, state=[State.ACCEPTED, State.REJECTED])
    assert document.problems() == ()


def test_of_unknown_size_only_nuclei_within_a_voxel_are_duplicates() -> None:
    document = document_with([(0, 5, 5, 5), (0, 5, 5, 5.9), (0, 5, 5, 7)])
    (found,) = document.problems()
    assert found.text.startswith("Nuclei 1 and 2 of frame 0 are only 0.9 voxels apart")


def test_contradictions_name_the_nucleus_and_its_place() -> None:
    table = Annotations.of([[0, 1, 1, 1], [0, 1, 9, 9], [1, 70, 5, 5]], ids=[4, 7, 9], links=[[7, 4]])
    found = findings(table, shape_tzyx=(2, 10, 20, 20))
    assert [(one.kind, one.ids) for one in found] == [("contradiction", (4,)), ("contradiction", (9,))]
    assert found[0].text.startswith("Nucleus 4 in frame 0 is linked back to its parent nucleus 7")
    assert found[1].text.startswith("Nucleus 9 lies at (1, 70, 5, 5) (t, z, y, x), outside the image of shape")
    assert found[1].position == (1, 70, 5, 5)


def test_regions_that_teach_nothing_or_spoil_the_validation() -> None:
    document = document_with([(0, 5, 5, 5), (0, 5, 25, 25)], radius_um=2)
    boxes = [
        Box((0, 1), (0, 10), (0, 20), (0, 20)),
        Box((0, 1), (0, 10), (15, 40), (15, 40)),
        Box((3, 4), (0, 9), (0, 9), (0, 9)),
    ]
    for i, (box, use) in enumerate(zip(boxes, ("train", "validation", "auto"), strict=True), start=1):
        document.apply(AddRegion(Region.around(i, f"R{i}", box, use=use)))
    empty, overlap = document.problems()
    assert empty.text == "The region 'R3' holds no nucleus, so nothing is learnt from it; annotate some, or remove it."
    assert empty.regions == (3,)
    assert overlap.text.startswith("The regions 'R1' (train) and 'R2' (validation) overlap")
    assert overlap.regions == (1, 2)
    assert overlap.position == (0, 4.5, 17, 17)


def test_30000_nuclei_are_looked_through_within_a_second() -> None:
    rng = np.random.default_rng(0)
    positions = np.column_stack(
        [np.repeat(np.arange(100), 300), rng.uniform(0, 50, 30_000), rng.uniform(0, 2000, (30_000, 2))]
    )
    ids = np.arange(1, 30_001)
    table = Annotations.of(positions, ids=ids, links=np.column_stack([ids[:-300], ids[300:]]), radius_um=3)
    findings(table, shape_tzyx=(100, 50, 2000, 2000), spacing=Spacing(2, 0.5, 0.5))  # loads scipy
    begun = time.process_time()
    findings(table, shape_tzyx=(100, 50, 2000, 2000), spacing=Spacing(2, 0.5, 0.5))
    assert time.process_time() - begun < 1
