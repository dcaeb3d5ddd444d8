"""Tables of napari, btrack, ultrack, trackpy and Celldetective, which name tracks instead of parents."""

from __future__ import annotations

from pathlib import Path

import pytest

from anlage.io import open_annotations


def links(folder: Path, text: str) -> tuple[list[list[int]], tuple[str, ...]]:
    (folder / "n.csv").write_text(text)
    found = open_annotations(folder / "n.csv")
    return sorted(found.links.tolist()), found.notes


@pytest.mark.parametrize("name", ["track_id", "TRACK_ID", "particle", "Track"])
def test_successive_rows_of_a_track_are_linked_and_it_is_said(name: str, tmp_path: Path) -> None:
    made, notes = links(tmp_path, f"id,{name},t,y,x\n3,7,2,5,7\n1,7,0,5,5\n2,7,1,5,6\n9,8,1,9,9\n")
    assert made == [[1, 2], [2, 3]]
    assert notes == (f"'n.csv' has no parent_id: 2 links were made between successive rows of the same {name}.",)


def test_gaps_are_bridged_and_counted(tmp_path: Path) -> None:
    made, notes = links(tmp_path, "id,track_id,t,y,x\n1,7,0,5,5\n2,7,1,5,6\n3,7,5,5,7\n")
    assert made == [[1, 2], [2, 3]]
    assert "2 links" in notes[0]
    assert "(1 of them over missing frames)" in notes[0]


def test_rows_without_a_track_are_not_linked(tmp_path: Path) -> None:
    made, _ = links(tmp_path, "id,track_id,t,y,x\n1,,0,5,5\n2,,1,5,6\n3,-1,2,5,7\n4,-1,3,5,7\n5,2,0,1,1\n6,2,1,1,1\n")
    assert made == [[5, 6]]


def test_a_track_with_two_nuclei_in_a_frame_gets_no_links(tmp_path: Path) -> None:
    """TrackMate numbers whole lineages."""
    made, notes = links(
        tmp_path, "id,TRACK_ID,t,y,x\n1,7,0,5,5\n2,7,1,5,6\n3,7,1,8,6\n4,8,0,1,1\n5,8,1,1,1\n"
    )  # fmt: skip
    assert made == [[4, 5]]
    assert "1 tracks (TRACK_ID 7) have several nuclei in one frame, so no links were made in them" in notes[1]


@pytest.mark.parametrize(
    ("none", "name"), [("-1", "parent_track_id"), ("0", "parent_track_id"), ("", "parent"), ("1", "parent")]
)
def test_the_track_of_the_mother_makes_divisions(none: str, name: str, tmp_path: Path) -> None:
    made, notes = links(
        tmp_path,
        f"id,track_id,t,y,x,{name}\n1,1,0,5,5,{none}\n2,1,1,5,6,{none}\n3,2,2,4,6,1\n4,2,3,4,6,1\n5,3,2,8,6,1\n",
    )
    assert made == [[1, 2], [2, 3], [2, 5], [3, 4]]
    assert "2 from a track to those that name it as their parent" in notes[0]


def test_parents_that_are_stated_decide(tmp_path: Path) -> None:
    made, notes = links(tmp_path, "id,track_id,t,y,x,parent_id\n1,7,0,5,5,-1\n2,7,1,5,6,-1\n3,7,2,5,7,2\n")
    assert (made, notes) == ([[2, 3]], ())


def test_parents_that_are_empty_everywhere_are_doubted(tmp_path: Path) -> None:
    made, notes = links(tmp_path, "id,track_id,t,y,x,parent_id\n1,7,0,5,5,0\n2,7,1,5,6,-1\n3,7,2,5,7,\n")
    assert made == []
    assert (
        "parent_id is empty in every row of 'n.csv', so no links were made, although rows share a track_id" in notes[0]
    )


def test_large_numbers_of_tracks_stay_apart(tmp_path: Path) -> None:
    big = 2**53
    made, _ = links(tmp_path, f"id,track_id,t,y,x\n1,{big},0,5,5\n2,{big + 1},1,5,6\n3,{big},1,5,7\n")
    assert made == [[1, 3]]


def test_words_name_no_tracks(tmp_path: Path) -> None:
    assert links(tmp_path, "id,track,t,y,x\n1,left,0,5,5\n2,left,1,5,6\n") == ([], ())
