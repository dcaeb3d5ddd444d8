"""Each fix is one edit that undo takes back, and corrections are what a training then knows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from anlage import (
    REVIEWED,
    AddNuclei,
    AnlageError,
    Annotations,
    Box,
    Document,
    Spacing,
    State,
    TimeLapse,
    TrackWarning,
    build_store,
)  # fmt: skip
from anlage.tracking import track_fixes
from napari_anlage.track.adopt_tracks import adopt_tracks_edit

SHAPE = (6, 10, 60, 60)
SPACING = Spacing(1.0, 1.0, 1.0)
CHAINS = [(t, 5.0, y, 10.0 + 2 * t) for y in (10.0, 40.0) for t in range(5)]


@pytest.fixture
def document() -> Document:
    """Two proposed tracks, 1 … 5 and 6 … 10, over frames 0 to 4."""
    made = Document(shape_tzyx=SHAPE, spacing=SPACING)
    links = [(i, i + 1) for i in (1, 2, 3, 4, 6, 7, 8, 9)]
    made.apply(
        AddNuclei(list(range(1, 11)), CHAINS, radius_um=3.0, state=0, origin="net", links=links, link_probability=0.8)
    )
    return made


def links(document: Document) -> set[tuple[int, int]]:
    return {(int(a), int(b)) for a, b in document.nuclei.links}


def probability(document: Document, daughter: int) -> float:
    at = np.flatnonzero(document.nuclei.links[:, 1] == daughter)[0]
    return float(document.nuclei.link_properties["probability"][at])


def test_break_and_link_and_swap(document: Document) -> None:
    before = links(document)
    document.apply(track_fixes.unlinked(document, [(2, 3)]))
    assert links(document) == before - {(2, 3)}
    assert document.undo_text == "break the link from nucleus 2 to nucleus 3"
    document.apply(track_fixes.joined(document, 7, 3))
    assert (7, 3) in links(document)
    assert np.isnan(probability(document, 3))
    assert document.nuclei.state[document.nuclei.ids == 3] == State.ACCEPTED
    document.undo()
    document.undo()
    assert links(document) == before
    assert probability(document, 3) == 0.8
    document.apply(track_fixes.swapped(document, (2, 3), (7, 8)))
    assert {(2, 8), (7, 3)} <= links(document)
    document.undo()
    assert links(document) == before
    with pytest.raises(AnlageError, match="Nucleus 2 and nucleus 3 are linked already"):
        track_fixes.joined(document, 2, 3)
    with pytest.raises(AnlageError, match="There is no link to break here"):
        track_fixes.unlinked(document, [(2, 8)])


def test_a_missing_nucleus_is_put_half_way_and_linked(document: Document) -> None:
    document.apply(track_fixes.joined(document, 1, 3))
    document.apply(track_fixes.inserted(document, 1, 3))
    new = int(document.nuclei.ids[-1])
    assert {(1, new), (new, 3)} <= links(document)
    assert (1, 3) not in links(document)
    assert document.nuclei.positions[-1].tolist() == [1.0, 5.0, 10.0, 12.0]
    assert document.nuclei.radius_um[-1] == 3.0
    document.undo()
    assert new not in document.nuclei.ids
    with pytest.raises(AnlageError, match=r"No frame lies between nucleus 1 .frame 0. and nucleus 2 .frame 1."):
        track_fixes.inserted(document, 1, 2)


def test_a_division_is_set_and_unset(document: Document) -> None:
    document.apply(track_fixes.divided(document, 2, 8))
    assert document.nuclei.divisions.tolist() == [[2, 3, 8]]
    assert document.undo_text == "let nucleus 2 divide"
    document.apply(track_fixes.divided(document, 2, 8))
    assert not len(document.nuclei.divisions)
    assert document.undo_text == "unset the division of nucleus 2"


def test_what_is_right_is_certain_from_then_on(document: Document) -> None:
    warning = TrackWarning("link", "", (1, 5, 10, 12), (3, 2), score=0.2, links=((2, 3),), about=((3, "link"),))
    document.apply(track_fixes.reviewed(document, warning))
    nuclei = document.nuclei
    assert np.isnan(probability(document, 3))
    assert probability(document, 4) == 0.8
    assert nuclei.properties[REVIEWED].tolist()[:4] == ["", "", "link", ""]
    assert nuclei.state.tolist()[:4] == [State.PROPOSED, State.ACCEPTED, State.ACCEPTED, State.PROPOSED]
    document.undo()
    assert probability(document, 3) == 0.8
    assert REVIEWED not in document.nuclei.properties


def test_corrections_are_known_to_the_next_training(document: Document, tmp_path: Path) -> None:
    document.apply(track_fixes.swapped(document, (2, 3), (7, 8)))
    image = TimeLapse.of(np.random.default_rng(0).integers(0, 9, SHAPE, np.uint8), spacing=SPACING)
    store = build_store(tmp_path / "s.zarr", image, document.nuclei, cuboid=Box.whole(SHAPE), diameter_um=6.0)
    known = {
        tuple(np.round(store.nuclei.positions[store.nuclei.ids == i][0, 1:]).tolist()) for i in store.nuclei.links[:, 1]
    }
    assert len(store.nuclei.links) == 8
    assert len(known) == 8
    at = {int(i): tuple(p) for i, p in zip(store.nuclei.ids, store.nuclei.positions.tolist(), strict=True)}
    pairs = {(at[int(a)], at[int(b)]) for a, b in store.nuclei.links}
    assert ((1.0, 5.0, 10.0, 12.0), (2.0, 5.0, 40.0, 14.0)) in pairs


def test_found_tracks_are_proposals_beside_what_a_human_did() -> None:
    document = Document(shape_tzyx=SHAPE, spacing=SPACING)
    document.apply(AddNuclei([1, 2], [CHAINS[0], CHAINS[1]], radius_um=3.0, links=[(1, 2)]))
    document.apply(AddNuclei([3], [(2, 5.0, 40.4, 14.0)], state=2))
    found = Annotations.of(
        np.array(CHAINS) + np.array([0, 0, 0.3, 0]), links=[(i, i + 1) for i in (1, 2, 3, 4, 6, 7, 8, 9)], state=0, origin="net",
        probability=0.9, link_properties={"probability": np.linspace(0.9, 0.6, 8)},
    )  # fmt: skip
    document.apply(adopt_tracks_edit(document, found, SPACING, 3.0))
    nuclei = document.nuclei
    assert len(nuclei) == 3 + 10 - 2 - 1  # two are the human's, one lies where a nucleus was rejected
    assert (1, 2) in links(document)
    assert np.isnan(probability(document, 2))
    assert len(links(document)) == 1 + 3 + 2
    assert set(nuclei.origin[3:]) == {"net"}
    assert set(nuclei.state[3:]) == {State.PROPOSED}
    assert document.undo_text == "take 5 links and 7 nuclei of a tracking"
    document.undo()
    assert len(document.nuclei) == 3


def test_tracking_the_projects_own_nuclei_again_replaces_what_nobody_accepted(document: Document) -> None:
    document.apply(
        track_fixes.reviewed(document, TrackWarning("link", "", (1, 5, 10, 12), (3, 2), score=0.2, links=((2, 3),)))
    )
    other = document.nuclei.linked(
        np.array([(7, 3), (2, 8), (1, 2), (6, 7)]), {"probability": np.array([0.99, 0.7, 0.6, 0.6])}
    )
    document.apply(adopt_tracks_edit(document, other, SPACING, 3.0, same_ids=True))
    assert links(document) == {(2, 3), (2, 8), (1, 2), (6, 7)}
    assert np.isnan(probability(document, 3))
    assert probability(document, 8) == 0.7
    assert len(document.nuclei) == 10
