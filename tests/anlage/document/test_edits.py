"""What can be done to a document, what is refused, and what listeners are told."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from anlage import (
    AddLinks,
    AddNuclei,
    AddRegion,
    AnlageError,
    Annotations,
    Box,
    Change,
    ChangeLinks,
    ChangeNuclei,
    ChangeRegion,
    Document,
    MoveNuclei,
    Paint,
    Region,
    RemoveLinks,
    RemoveNuclei,
    RemoveRegion,
    SetDivision,
    Several,
    State,
)
from anlage.document.edits import decode, encode

WHOLE = Box((0, 4), (0, 10), (0, 50), (0, 50))


@pytest.fixture
def document() -> Document:
    """Two tracks: 1 – 3 – 5 over frames 0 to 2, and 2 – 4 over frames 0 and 1; 6 alone in frame 2.

    ::

        t   0    1    2
            1 ── 3 ── 5
            2 ── 4
                      6
    """
    document = Document(shape_tzyx=(4, 10, 50, 50))
    at = [(0, 5, 5, 5), (0, 5, 20, 20), (1, 5, 6, 5), (1, 5, 21, 20), (2, 5, 7, 5), (2, 5, 30, 30)]
    document.apply(AddNuclei(document.new_ids(6), at, radius_um=4.0, links=[(1, 3), (3, 5), (2, 4)]))
    return document


def links(document: Document) -> list[tuple[int, int]]:
    return sorted((int(a), int(b)) for a, b in document.nuclei.links)


def test_added_nuclei_are_there_in_the_order_of_their_ids(document: Document) -> None:
    document.apply(
        AddNuclei([9, 8], [(3, 1, 1, 1), (3, 2, 2, 2)], label=[4, 5], origin="centres-7f3a", probability=[0.5, 0.6])
    )
    nuclei = document.nuclei
    assert nuclei.ids.tolist() == [1, 2, 3, 4, 5, 6, 8, 9]
    assert nuclei.label.tolist()[-2:] == [5, 4]
    assert nuclei.positions[-1].tolist() == [3, 1, 1, 1]
    assert nuclei.origin.tolist()[-3:] == ["human", "centres-7f3a", "centres-7f3a"]
    assert document.new_ids(1).tolist() == [10]


def test_a_snapshot_stays_as_it_was_and_costs_nothing_while_nothing_changes(document: Document) -> None:
    before = document.nuclei
    assert document.nuclei is before
    document.apply(MoveNuclei([6], [(2, 5, 31, 30)]))
    assert before.positions[5].tolist() == [2, 5, 30, 30]
    assert document.nuclei.positions[5].tolist() == [2, 5, 31, 30]
    with pytest.raises(ValueError, match="read-only"):
        document.nuclei.positions[0] = 0


def test_a_table_comes_in_with_its_links_and_properties() -> None:
    table = Annotations.of([[0, 1, 2, 3], [1, 1, 2, 3]], links=[[1, 2]], properties={"stage": np.array(["a", "b"])})
    document = Document()
    document.apply(AddNuclei.of(table))
    assert links(document) == [(1, 2)]
    assert document.nuclei.properties["stage"].tolist() == ["a", "b"]


def test_properties_of_other_nuclei_are_missing_and_go_with_their_last_nucleus(document: Document) -> None:
    document.apply(AddNuclei([7, 8], [(3, 1, 1, 1)] * 2, properties={"area": [12, None], "stage": ["early", None]}))
    properties = document.nuclei.properties
    assert np.isnan(properties["area"][[0, 7]]).all()
    assert properties["area"][6] == 12
    assert properties["stage"].tolist() == ["", "", "", "", "", "", "early", ""]
    document.apply(RemoveNuclei([7]))
    assert document.nuclei.properties == {}
    document.undo()
    assert document.nuclei.properties["stage"][6] == "early"


def test_a_removed_nucleus_takes_its_links_with_it(document: Document) -> None:
    document.apply(RemoveNuclei([3]))
    assert links(document) == [(2, 4)]
    assert document.undo() == "remove 1 nucleus"
    assert links(document) == [(1, 3), (2, 4), (3, 5)]


def test_a_division_takes_the_place_of_other_links(document: Document) -> None:
    document.apply(AddNuclei([7, 8], [(1, 1, 1, 1), (2, 1, 1, 1)], links=[(7, 8)]))
    document.apply(SetDivision(1, [4, 7]))
    assert links(document) == [(1, 4), (1, 7), (3, 5), (7, 8)]
    assert document.nuclei.divisions.tolist() == [[1, 4, 7]]
    assert document.undo() == "set a division"
    assert links(document) == [(1, 3), (2, 4), (3, 5), (7, 8)]


def test_regions_come_change_and_go(document: Document) -> None:
    region = Region.around(document.new_region_id(), "left", WHOLE)
    document.apply(AddRegion(region))
    document.apply(ChangeRegion(region.model_copy(update={"use": "validation"})))
    assert document.regions[0].use == "validation"
    document.apply(RemoveRegion(region.id))
    assert document.regions == ()
    assert [document.undo() for _ in range(3)] == [
        "remove the region 1",
        "change the region 'left'",
        "add the region 'left'",
    ]
    assert document.new_region_id() == 2


REFUSED: list[tuple[Any, str]] = [
    (AddLinks([(3, 4)]), r"The link from nucleus 3 \(frame 1\) to nucleus 4 \(frame 1\) does not go forward in time; link to a later"),
    (AddLinks([(5, 1)]), r"The link from nucleus 5 \(frame 2\) to nucleus 1 \(frame 0\) does not go forward"),
    (AddLinks([(2, 5)]), "Nucleus 5 has a mother already, nucleus 3; remove that link first"),
    (AddLinks([(4, 6), (3, 6)]), "Nucleus 6 would get two mothers"),
    (Several((AddLinks([(1, 6)]), AddNuclei([7], [(2, 1, 1, 1)], links=[(1, 7)])), "x"),
     r"Nucleus 1 would have 3 daughters \(3, 6, 7\); a nucleus divides into two: remove a link first"),
    (AddLinks([(1, 99)]), "There is no nucleus 99; it may have been removed"),
    (RemoveLinks([(1, 4)]), "There is no link from nucleus 1 to nucleus 4"),
    (RemoveNuclei([3, 77]), "There is no nucleus 77"),
    (MoveNuclei([3], [(0, 5, 5, 5)]), r"The link from nucleus 1 \(frame 0\) to nucleus 3 \(frame 0\) does not go forward"),
    (MoveNuclei([3], [(2, 5, 5, 5)]), r"The link from nucleus 3 \(frame 2\) to nucleus 5 \(frame 2\) does not go forward"),
    (MoveNuclei([6, 6], [(2, 5, 5, 5)] * 2), "Nucleus 6 is named twice"),
    (MoveNuclei([6], [(2, 5, 5, np.nan)]), r"Nucleus 6 cannot lie at \(2, 5, 5, nan\)"),
    (AddNuclei([7], [(4, 5, 5, 5)]), r"Nucleus 7 cannot lie at \(4, 5, 5, 5\) .* whole frame of the image of shape \(4, 10, 50, 50\)"),
    (AddNuclei([7], [(0.5, 5, 5, 5)]), r"Nucleus 7 cannot lie at \(0.5, 5, 5, 5\)"),
    (AddNuclei([6], [(0, 5, 5, 5)]), "There is a nucleus 6 already; take a new id"),
    (AddNuclei([7, 7], [(0, 5, 5, 5)] * 2), "The id 7 is given to two nuclei"),
    (AddNuclei([0], [(0, 5, 5, 5)]), "The id 0 is not above 0"),
    (AddNuclei([7], [(0, 5, 5, 5)], links=[(2, 6)]), "The link 2 → 6 touches none of the added nuclei"),
    (AddNuclei([7], [(0, 5, 5, 5)], radius_um=[1, 2]), "The column 'radius_um' has 2 values for 1 nuclei"),
    (ChangeNuclei([6], state=5), r"The state 5 is none of 0 \(proposed\), 1 \(accepted\), 2 \(rejected\)"),
    (SetDivision(1, [3]), "A division has two daughters, not 1"),
    (SetDivision(3, [1, 5]), r"nucleus 3 \(frame 1\) to nucleus 1 \(frame 0\)"),
    (ChangeRegion(Region.around(4, "x", WHOLE)), "There is no region 4"),
    (AddRegion(Region.around(1, "big", Box((0, 5), (0, 1), (0, 1), (0, 1)))), "The region 'big' .* reaches outside the image"),
    (Paint(0, (0, 0, 45), np.zeros((1, 1, 9), int), np.ones((1, 1, 9), int)), "The painted box .* reaches outside the image"),
    (Paint(0, (0, 0, 0), np.zeros((1, 1, 9), int), np.ones((1, 1, 8), int)), r"replaces \(1, 1, 9\) voxels by \(1, 1, 8\)"),
    (Paint(0, (0, 0, 0), np.ones((1, 1, 1), int), np.zeros((1, 1, 1), int)), "changed since this stroke of paint began; paint it again"),
]  # fmt: skip


@pytest.mark.parametrize(("edit", "sentence"), REFUSED, ids=[sentence[:40] for _, sentence in REFUSED])
def test_what_contradicts_is_refused_and_changes_nothing(document: Document, edit: Any, sentence: str) -> None:
    before, revision = document.nuclei, document.revision
    with pytest.raises(AnlageError, match=sentence):
        document.apply(edit)
    after = document.nuclei
    assert all(np.array_equal(getattr(before, n), getattr(after, n)) for n in ("ids", "positions", "links", "label"))
    assert (document.revision, document.undo_text) == (revision, "add 6 nuclei")


def test_several_edits_are_one_step_and_none_is_done_if_the_last_is_refused(document: Document) -> None:
    new = AddNuclei([7], [(3, 5, 7, 5)])
    with pytest.raises(AnlageError, match="no nucleus 88"):
        document.apply(Several((new, AddLinks([(5, 88)])), "continue the track"))
    assert len(document.nuclei) == 6
    document.apply(Several((new, AddLinks([(5, 7)])), "continue the track"))
    assert links(document)[-1] == (5, 7)
    assert document.undo() == "continue the track"
    assert len(document.nuclei) == 6


def test_an_edit_of_nothing_is_no_step(document: Document) -> None:
    revision = document.revision
    for edit in (RemoveNuclei([]), AddLinks([]), MoveNuclei([], []), Several((), "nothing")):
        document.apply(edit)
    assert document.revision == revision
    assert document.undo_text == "add 6 nuclei"


TEXTS: list[tuple[Any, str]] = [
    (ChangeNuclei([1, 2], state=State.ACCEPTED), "accept 2 nuclei"),
    (ChangeNuclei([1], state=State.REJECTED), "reject 1 nucleus"),
    (ChangeNuclei([1], radius_um=3), "change the radius of 1 nucleus"),
    (ChangeNuclei([1], radius_um=3, label=2), "change 1 nucleus"),
    (AddLinks([(1, 3), (3, 5)]), "add 2 links"),
    (MoveNuclei([1], [(0, 0, 0, 0)]), "move 1 nucleus"),
]


@pytest.mark.parametrize(("edit", "text"), TEXTS, ids=[text for _, text in TEXTS])
def test_a_step_says_what_it_is(edit: Any, text: str) -> None:
    assert edit.text == text


def test_listeners_are_told_what_changed_until_they_stop(document: Document) -> None:
    heard: list[Change] = []
    stop = document.listen(heard.append)
    document.apply(AddLinks([(4, 6)]))
    document.apply(RemoveNuclei([4]))
    document.undo()
    document.apply(AddRegion(Region.around(1, "A", WHOLE)))
    assert [set(change.kinds) for change in heard] == [{"links"}, {"nuclei", "links"}, {"nuclei", "links"}, {"regions"}]
    assert [change.ids.tolist() for change in heard] == [[4, 6], [2, 4, 6], [2, 4, 6], []]
    stop()
    document.apply(RemoveNuclei([1]))
    assert len(heard) == 4


def test_a_new_step_ends_what_could_be_redone(document: Document) -> None:
    document.apply(RemoveNuclei([6]))
    document.undo()
    assert document.redo_text == "remove 1 nucleus"
    document.apply(MoveNuclei([6], [(2, 1, 1, 1)]))
    assert document.redo_text is None
    assert document.redo() is None


def test_ids_are_never_given_twice(document: Document) -> None:
    document.apply(AddNuclei([20], [(0, 0, 0, 0)]))
    document.undo()
    document.apply(RemoveNuclei([1]))
    assert document.new_ids(2).tolist() == [21, 22]


JSON: list[Callable[[], Any]] = [
    lambda: AddNuclei([7], [(0, 1, 2.5, 3)], properties={"a": [None], "b": ["x"]}, radius_um=[np.nan], links=[(7, 6)]),
    lambda: ChangeNuclei([6], radius_um=float("nan")),
    lambda: ChangeNuclei([5, 6], radius_um=[float("nan"), 2.0], origin="µ"),
    lambda: Several((SetDivision(1, [3, 4]), AddRegion(Region.around(1, "A", WHOLE))), "both"),
    lambda: Paint(1, (0, 1, 2), np.zeros((2, 3, 4), int), np.arange(24).reshape(2, 3, 4)),
]


@pytest.mark.parametrize("make", JSON, ids=lambda make: type(make()).__name__)
def test_an_edit_survives_json(make: Callable[[], Any], document: Document) -> None:
    if isinstance(make(), AddNuclei):  # its link needs a nucleus in a later frame
        document.apply(MoveNuclei([6], [(3, 5, 5, 5)]))
    twin = Document(shape_tzyx=document.shape_tzyx, nuclei=document.nuclei)
    edit = make()
    document.apply(edit)
    twin.apply(decode(json.loads(json.dumps(encode(edit), allow_nan=False))))
    one, other = document.nuclei, twin.nuclei
    for name in ("ids", "positions", "links", "state", "origin", "label"):
        assert np.array_equal(getattr(one, name), getattr(other, name))
    assert np.array_equal(one.radius_um, other.radius_um, equal_nan=True)
    assert one.properties.keys() == other.properties.keys()
    assert document.regions == twin.regions
    if document.painted is not None and twin.painted is not None:
        assert np.array_equal(document.painted[:], twin.painted[:])


def test_a_region_whose_core_leaves_its_box_is_refused() -> None:
    with pytest.raises(AnlageError, match="The core 0:4,0:10,0:50,0:51 of the region 'A' reaches outside its box"):
        Region.around(1, "A", WHOLE, core=Box((0, 4), (0, 10), (0, 50), (0, 51)))


def test_a_link_keeps_its_probability_until_a_human_says_that_it_is_right() -> None:
    document = Document(shape_tzyx=(5, 5, 20, 20))
    at = [(t, 2, 5, 5 + t) for t in range(3)]
    document.apply(AddNuclei([1, 2, 3], at, state=0, links=[(1, 2), (2, 3)], link_probability=[0.9, 0.4]))
    assert document.nuclei.link_properties["probability"].tolist() == [0.9, 0.4]
    assert "link_probability" not in document.nuclei.properties
    document.apply(ChangeLinks([(2, 3)]))
    assert document.undo_text == "accept 1 link"
    np.testing.assert_array_equal(document.nuclei.link_properties["probability"], [0.9, np.nan])
    document.undo()
    document.apply(RemoveNuclei([2]))
    assert document.nuclei.link_properties == {}
    document.undo()
    assert document.nuclei.link_properties["probability"].tolist() == [0.9, 0.4]
    document.apply(RemoveLinks([(1, 2)]))
    document.apply(AddLinks([(1, 2)]))
    np.testing.assert_array_equal(document.nuclei.link_properties["probability"], [np.nan, 0.4])
    with pytest.raises(AnlageError, match=r"There is no link from nucleus 1 to nucleus 3"):
        document.apply(ChangeLinks([(1, 3)]))
    with pytest.raises(AnlageError, match=r"A link's probability is 1\.5; it must lie between 0 and 1"):
        document.apply(ChangeLinks([(1, 2)], 1.5))


def test_a_table_with_probabilities_of_links_is_added_with_them() -> None:
    found = Annotations.of(
        [(0, 1, 1, 1), (1, 1, 1, 1)], links=[(1, 2)], link_properties={"probability": np.array([0.7])}
    )
    document = Document()
    document.apply(AddNuclei.of(found))
    assert document.nuclei.link_properties["probability"].tolist() == [0.7]
    assert Document(nuclei=document.nuclei).nuclei.link_properties["probability"].tolist() == [0.7]


def test_ids_of_other_programs_are_exact_and_leave_room_for_new_ones() -> None:
    ids, last = [2**53 + 1, 2**63 - 1], 2**63 - 1
    nuclei = Annotations.of(
        [(0, 1, 5, 5), (1, 1, 5, 6)], ids=ids, links=[ids], label=[3, 4], properties={"number": np.array([2**53 + 1, last])}
    )  # fmt: skip
    document = Document(shape_tzyx=(3, 4, 20, 20), nuclei=nuclei)
    (new,) = document.new_ids()
    assert new == 2**53 + 2
    document.apply(AddNuclei([new], [(2, 1, 5, 6)], links=[(last, new)]))
    edit = decode(json.loads(json.dumps(encode(AddNuclei.of(document.nuclei)))))
    again = Document(shape_tzyx=(3, 4, 20, 20))
    again.apply(edit)
    assert again.nuclei.ids.tolist() == [2**53 + 1, 2**53 + 2, last]
    assert again.nuclei.links.tolist() == document.nuclei.links.tolist()
    assert again.nuclei.properties["number"].tolist()[::2] == [str(2**53 + 1), str(last)]
    assert again.next_id == 2**53 + 3


@pytest.mark.parametrize("ids", [[1.5], [2**63], [-(2**70)], ["1"], [None], [float("nan")]])
def test_ids_that_would_become_others_are_refused(ids: list[object]) -> None:
    with pytest.raises(ValueError, match=r"ids are whole numbers|are not numbers"):
        AddNuclei(ids, [(0, 1, 5, 5)])
