"""CSV tables, good and bad."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from anlage import AnlageError, Annotations, Spacing, State, TimeLapse
from anlage.io import open_annotations, write_annotations
from anlage.io.nuclei_files.nuclei import own_scale
from anlage.io.nuclei_files.tables import read_table, write_table

IMAGE = TimeLapse.of(np.zeros((3, 4, 20, 20), np.uint8), source="movie.tif")
GOOD = "id,t,z,y,x,parent_id\n1,0,1,5,5,\n2,1,1,5.5,5,1\n3,1,2,9,5.25,1\n"


def save(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_text(text, encoding=encoding)
    return path


def test_a_table_is_read(tmp_path: Path) -> None:
    found = open_annotations(save(tmp_path / "a.csv", GOOD), image=IMAGE)
    assert found.ids.tolist() == [1, 2, 3]
    assert found.positions[2].tolist() == [1, 2, 9, 5.25]
    assert found.divisions.tolist() == [[1, 2, 3]]
    assert (found.state == State.ACCEPTED).all()
    assert (found.origin == "human").all()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_spreadsheets_of_many_kinds(tmp_path: Path, encoding: str, separator: str) -> None:
    text = GOOD.replace("id,t", " ID ,T", 1).replace(",", separator).replace("\n", "\r\n") + "\r\n\r\n"
    found = open_annotations(save(tmp_path / "a.csv", text, encoding))
    assert found.ids.tolist() == [1, 2, 3]


def test_z_may_be_missing_only_in_2d(tmp_path: Path) -> None:
    path = save(tmp_path / "a.csv", "id,t,y,x\n1,0,5,5\n")
    flat = TimeLapse.of(np.zeros((3, 20, 20), np.uint8), "tyx")
    assert open_annotations(path, image=flat).positions.tolist() == [[0, 0, 5, 5]]
    with pytest.raises(AnlageError, match="has no column z, but the image has 4 planes; add the column"):
        open_annotations(path, image=IMAGE)


def test_other_columns_become_properties(tmp_path: Path) -> None:
    path = save(
        tmp_path / "a.csv", "id,t,y,x,lineage,area,type,label,radius_um\n1,0,5,5,7,1.5,stem,3,\n2,0,9,9,8,,,4,2.5\n"
    )
    found = open_annotations(path)
    assert found.properties["lineage"].tolist() == [7, 8]
    assert found.properties["lineage"].dtype == np.int64
    np.testing.assert_array_equal(found.properties["area"], [1.5, np.nan])
    assert found.properties["type"].tolist() == ["stem", ""]
    assert found.label.tolist() == [3, 4]
    np.testing.assert_array_equal(found.radius_um, [np.nan, 2.5])


def test_rows_with_a_probability_are_proposals(tmp_path: Path) -> None:
    found = open_annotations(save(tmp_path / "a.csv", "id,t,y,x,probability\n1,0,5,5,0.75\n2,0,9,9,\n"))
    assert found.state.tolist() == [State.PROPOSED, State.ACCEPTED]
    assert found.origin.tolist() == ["model", "human"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (GOOD.replace("5.5", "nan"), r"row 3 has 'nan' for y, which is no number"),
        (GOOD.replace("5.5", ""), r"row 3 has '' for y, which is no number"),
        (GOOD.replace("5.5", "inf"), r"row 3 has 'inf' for y, which is no number"),
        (GOOD.replace("5.5", "abc"), r"row 3 has 'abc' for y, which is no number"),
        (GOOD.replace("3,1,2", "3.5,1,2"), r"row 4 has '3\.5' for id, which is no whole number"),
        (GOOD.replace("3,1,2", "2,1,2"), r"row 4 has the id 2, which row 3 has already; give each nucleus its own"),
        (GOOD.replace("3,1,2", "0,1,2"), r"row 4 has the id 0; ids must be whole numbers above 0"),
        (GOOD.replace("3,1,2", "3,1.5,2"), r"row 4 \(id 3\) has the time 1\.5, which is no whole frame number"),
        (GOOD.replace("9,5.25", "9,25"), r"row 4 \(id 3\) lies at \(1, 2, 9, 25\) .* outside the image of shape \(3, 4, 20, 20\)"),
        (GOOD.replace("3,1,2", "3,7,2"), r"row 4 \(id 3\) lies at \(7, 2, 9, 5\.25\)"),
        ("number,axis-0,axis-1\n0,1,2\n", r"lacks the columns id, t, y, x; it has number, axis-0, axis-1"),
        ("id,t,x\n1,0,2\n", r"lacks the column y; it has id, t, x"),
        ("id,t,z,y,x,x\n1,0,2,2,2,2\n", r"two columns of the same name"),
        ("id,t,z,y,x,T\n1,0,2,2,2,2\n", r"two columns of the same name"),
        ("id,t,y,x\n1,0,2,2\n2,0,2,2,7,8\n", r"row 3 has 6 cells, but there are 4 columns; are these decimal commas\?"),
        ("", r"is empty; a table of nuclei needs the columns id,t,z,y,x"),
        (GOOD.replace("parent_id", "state").replace(",1\n", ",maybe\n"), r"row 3 has 'maybe' for state, which is none of"),
    ],
)  # fmt: skip
def test_a_contradiction_is_one_sentence_naming_the_row(tmp_path: Path, text: str, sentence: str) -> None:
    path = save(tmp_path / "marks.csv", text)
    with pytest.raises(AnlageError, match=sentence) as caught:
        open_annotations(path, image=IMAGE)
    assert "marks.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "links", "why", "place"),
    [
        (GOOD.replace("5.25,1", "5.25,9"), [[1, 2]], "1 to a nucleus that is not there (9 → 3)", (1, 2, 9, 5.25)),
        (GOOD.replace("1,5,5,\n", "1,5,5,2\n"), [[1, 2], [1, 3]], "1 not forward in time (2 → 1)", (0, 1, 5, 5)),
        (GOOD.replace("2,1,1", "2,0,1"), [[1, 3]], "1 not forward in time (1 → 2)", (0, 1, 5.5, 5)),
        (GOOD + "4,1,0,1,1,1\n", [[1, 2], [1, 3]], "1 to a third daughter, of which the two nearest were kept (1 → 4)", (1, 0, 1, 1)),
    ],
)  # fmt: skip
def test_a_bad_link_of_a_table_is_left_out_counted_and_has_a_place(
    tmp_path: Path, text: str, links: list[list[int]], why: str, place: tuple[float, ...]
) -> None:
    found = open_annotations(save(tmp_path / "marks.csv", text), image=IMAGE)
    assert found.links.tolist() == links
    assert found.notes == (f"1 link of 'marks.csv' was left out: {why}.",)
    assert [issue.position for issue in found.left_out] == [place]


SMALL = TimeLapse.of(np.zeros((3, 1, 20, 20), np.uint8), "tzyx", spacing=Spacing(1, 1, 1))


@pytest.mark.parametrize(
    ("image", "axes", "rows", "places", "how"),
    [
        (None, None, "0,1,2,3,4\n1,2,2,3,4\n", [[1, 2, 3, 4], [2, 2, 3, 4]], "t, z, y, x, by their count"),
        (None, None, "0,2,3,4\n", [[0, 2, 3, 4]], "z, y, x, by their count; say --axes if that is wrong"),
        (None, "tyx", "0,2,3,4\n", [[2, 0, 3, 4]], "t, y, x (given)"),
        (None, None, "0,3,4\n", [[0, 0, 3, 4]], "y, x, by their count"),
        (SMALL, None, "0,2,3,4\n", [[2, 0, 3, 4]], "t, y, x, as in the image"),
        (IMAGE, None, "0,2,1,3,4\n", [[2, 1, 3, 4]], "t, z, y, x, as in the image"),
    ],
)
def test_the_points_of_napari_are_read(
    tmp_path: Path, image: TimeLapse | None, axes: str | None, rows: str, places: list[list[float]], how: str
) -> None:
    n = rows.splitlines()[0].count(",")
    header = ",".join(["index", *(f"axis-{i}" for i in range(n))])
    found = open_annotations(save(tmp_path / "p.csv", f"{header}\n{rows}"), image=image, axes=axes)
    assert found.positions.tolist() == places
    assert found.ids.tolist() == list(range(1, len(places) + 1))
    assert found.notes == (f"The axes of the points in 'p.csv' were read as {how}.",)


def test_points_of_another_image_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AnlageError, match=r"points have 3 axes, but the image has 4 \(t, z, y, x\)"):
        open_annotations(save(tmp_path / "p.csv", "index,axis-0,axis-1,axis-2\n0,1,2,3\n"), image=IMAGE)


def test_the_tracks_of_celldetective_are_nuclei(tmp_path: Path) -> None:
    text = "TRACK_ID,FRAME,POSITION_Y,POSITION_X,t,class_lysis,t_lysis,ID\n1.0,0.0,5.5,4,0,0,1.5,0\n1.0,1.0,6,4,1,0,1.5,1\n2.0,0.0,9,9,0,1,-1,0\n"
    found = open_annotations(save(tmp_path / "trajectories_targets.csv", text))
    assert found.positions.tolist() == [[0, 0, 5.5, 4], [1, 0, 6, 4], [0, 0, 9, 9]]
    assert found.links.tolist() == [[1, 2]]
    assert found.properties["t_lysis"].tolist() == [1.5, 1.5, -1]
    assert any("were taken for pixels" in note for note in found.notes)


def test_a_table_of_trackmate_is_in_its_own_unit(tmp_path: Path) -> None:
    text = "TRACK_ID,FRAME,POSITION_Y,POSITION_X,QUALITY\n1,0,5.5,4,1\n1,1,5.5,4,1\n"
    with pytest.raises(AnlageError, match="save the XML there"):
        open_annotations(save(tmp_path / "spots.csv", text))


@pytest.mark.parametrize("bad", ["4,1,0,99,1,\n", "4,7,0,1,1,\n", "2,1,0,1,1,\n", "0,1,0,1,1,\n", "4,1.5,0,1,1,\n"])
def test_a_nucleus_that_cannot_be_is_left_out_where_that_is_asked(tmp_path: Path, bad: str) -> None:
    path = save(tmp_path / "marks.csv", GOOD + bad)
    with pytest.raises(AnlageError):
        open_annotations(path, image=IMAGE)
    found = open_annotations(path, image=IMAGE, lenient=True)
    assert found.ids.tolist() == [1, 2, 3]
    assert len(found.left_out) == 1
    assert found.notes[0].startswith("1 nucleus of 'marks.csv' was left out: row 4")


def test_blank_lines_do_not_shift_the_rows(tmp_path: Path) -> None:
    path = save(tmp_path / "a.csv", "id,t,y,x\n1,0,5,5\n\n\n2,0,5,oops\n")
    with pytest.raises(AnlageError, match="row 5 has 'oops' for x"):
        open_annotations(path)


def test_a_binary_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"\xff\xfe\x00\x01\x80\x81")
    with pytest.raises(AnlageError, match="is no text"):
        open_annotations(tmp_path / "a.csv")


def test_an_empty_table_may_be_read(tmp_path: Path) -> None:
    assert len(open_annotations(save(tmp_path / "a.csv", "id,t,z,y,x\n"), image=IMAGE)) == 0


def test_a_centre_on_the_rim_is_moved_onto_the_outermost_voxel(tmp_path: Path) -> None:
    path = save(tmp_path / "a.csv", "id,t,z,y,x\n1,0,0,5,19.87\n2,0,-0.9,5,5\n")
    found = open_annotations(path, image=IMAGE)
    assert np.rint(found.positions[0]).tolist() == [0, 0, 5, 19]
    assert np.rint(found.positions[1]).tolist() == [0, 0, 5, 5]


def test_radius_origin_voxel_size_and_time_step_travel_as_columns(tmp_path: Path) -> None:
    nuclei = Annotations.of([[0, 1, 5, 5], [2, 1, 6, 6]], probability=0.9, radius_um=[3.25, np.nan], origin="m-1")
    write_annotations(tmp_path / "out.csv", nuclei, spacing=Spacing(2, 0.325, 0.325), interval_s=90)
    header = (tmp_path / "out.csv").read_text().splitlines()[0]
    assert header.startswith("id,t,z,y,x,probability,")
    again = open_annotations(tmp_path / "out.csv")
    np.testing.assert_array_equal(again.radius_um, nuclei.radius_um)
    assert set(again.origin) == {"m-1"}
    assert not again.properties
    assert own_scale(tmp_path / "out.csv") == (Spacing(2, 0.325, 0.325), 90)


def test_what_is_unknown_has_no_column(tmp_path: Path) -> None:
    write_annotations(tmp_path / "out.csv", Annotations.of([[0, 1, 5, 5]]))
    assert (tmp_path / "out.csv").read_text().splitlines()[0] == "id,t,z,y,x,anlage"
    assert own_scale(tmp_path / "out.csv") == (None, None)


@pytest.mark.parametrize(("rows", "said"), [(["2", "3"], "several values"), (["0", "0"], "'0'"), (["x", "x"], "'x'")])
def test_a_voxel_size_that_cannot_be_is_refused(rows: list[str], said: str, tmp_path: Path) -> None:
    lines = [f"{i},0,1,1,1,{size}" for i, size in enumerate(rows, start=1)]
    (tmp_path / "a.csv").write_text("\n".join(["id,t,z,y,x,interval_s", *lines]))
    with pytest.raises(AnlageError, match=said):
        own_scale(tmp_path / "a.csv")


def test_predictions_have_the_agreed_columns(tmp_path: Path) -> None:
    nuclei = Annotations.of(
        [[0, 1, 5, 5.123456], [2, 1, 6, 6]], probability=[0.9, 0.51], state=State.PROPOSED, origin="m-1"
    )
    write_annotations(tmp_path / "new" / "out.csv", nuclei)
    lines = (tmp_path / "new" / "out.csv").read_text().splitlines()
    assert lines[0] == "id,t,z,y,x,probability,origin,anlage"
    assert lines[1].startswith("1,0,1.0,5.0,5.1235,0.9,m-1,anlage:library/nuclei:")
    assert lines[2:] == ["2,2,1.0,6.0,6.0,0.51,m-1,"]
    write_annotations(tmp_path / "none.csv", nuclei.select(np.zeros(2, bool)))
    assert (tmp_path / "none.csv").read_text().splitlines() == ["id,t,z,y,x,probability,anlage"]


def test_everything_comes_back(tmp_path: Path) -> None:
    nuclei = Annotations.of(
        [[0, 1, 5, 5], [1, 1, 6, 6.5], [1, 2, 7, 7]], ids=[5, 9, 2], links=[[5, 9], [5, 2]], radius_um=[3, np.nan, 4.5],
        label=[1, 0, 8], probability=[np.nan, 0.25, np.nan],
        state=[State.ACCEPTED, State.PROPOSED, State.REJECTED], origin=["human", "m-1", "human"],
        properties={"n": np.array([4, 5, 6]), "word": np.array(["a, b", "", 'say "c"'])},
    )  # fmt: skip
    write_annotations(tmp_path / "a.csv", nuclei)
    found = open_annotations(tmp_path / "a.csv")
    for name in ("ids", "positions", "radius_um", "label", "probability", "state", "origin"):
        np.testing.assert_array_equal(getattr(found, name), getattr(nuclei, name), err_msg=name)
    assert sorted(map(tuple, found.links.tolist())) == [(5, 2), (5, 9)]
    for name in ("n", "word"):
        np.testing.assert_array_equal(found.properties[name], nuclei.properties[name])


def test_an_unknown_suffix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AnlageError, match=r"cannot be written as '\.xlsx'"):
        write_annotations(tmp_path / "a.xlsx", Annotations.of([]))


def test_probabilities_of_links_and_divisions_come_back(tmp_path):
    nuclei = Annotations.of(
        [(0, 1, 2, 3), (1, 1, 2, 3), (1, 1, 2, 9), (2, 1, 2, 3)], ids=[5, 3, 8, 9], links=[(5, 3), (5, 8), (3, 9)],
        link_properties={"probability": np.array([0.9, np.nan, 0.25])},
        properties={"division_probability": np.array([0.75, 0.5, np.nan, np.nan])},
    )  # fmt: skip
    write_annotations(tmp_path / "a.csv", nuclei)
    again = open_annotations(tmp_path / "a.csv")
    assert again.links.tolist() == [[5, 3], [5, 8], [3, 9]]
    np.testing.assert_array_equal(again.link_properties["probability"], [0.9, np.nan, 0.25])
    np.testing.assert_array_equal(again.properties["division_probability"], [0.75, 0.5, np.nan, np.nan])


def test_links_without_probabilities_have_no_such_column(tmp_path):
    write_annotations(tmp_path / "a.csv", Annotations.of([(0, 1, 2, 3), (1, 1, 2, 3)], links=[(1, 2)]))
    assert "link_probability" not in (tmp_path / "a.csv").read_text()
    assert not open_annotations(tmp_path / "a.csv").link_properties


def test_numbers_are_written_to_a_few_digits(tmp_path: Path) -> None:
    nuclei = Annotations.of(
        [(0, 1.23456789, 2.34567891, 3.45678912), (1, 1, 2, 3)], links=[(1, 2)], radius_um=[2.123456789, np.nan],
        probability=[0.123456789, 0.5], link_properties={"probability": np.array([0.987654321])},
    )  # fmt: skip
    write_annotations(tmp_path / "a.csv", nuclei)
    header, first, second = (line.split(",") for line in (tmp_path / "a.csv").read_text().splitlines())
    rows = [dict(zip(header, row, strict=False)) for row in (first, second)]
    assert [rows[0][name] for name in "zyx"] == ["1.2346", "2.3457", "3.4568"]
    assert (rows[0]["probability"], rows[0]["radius_um"], rows[1]["radius_um"]) == ("0.123457", "2.1235", "")
    assert (rows[0]["link_probability"], rows[1]["link_probability"]) == ("", "0.987654")
    assert (rows[0]["parent_id"], rows[1]["parent_id"]) == ("0", "1")


def test_only_columns_with_something_in_them_are_written(tmp_path: Path) -> None:
    nuclei = Annotations.of(
        [(0, 1, 2, 3), (1, 1, 2, 3)], ids=[3, 8], properties={"area": np.array([1.5, 2]), "shape": np.ones((2, 3))}
    )
    write_annotations(tmp_path / "a.csv", nuclei)
    assert (tmp_path / "a.csv").read_text().splitlines()[0] == "id,t,z,y,x,area,anlage"
    marked = Annotations.of([(0, 1, 2, 3)], label=7)
    write_annotations(tmp_path / "b.csv", marked)
    assert (tmp_path / "b.csv").read_text().splitlines()[0] == "id,t,z,y,x,label,anlage"
    chance = Annotations.of(
        [(0, 1, 2, 3), (1, 1, 2, 3)], links=[(1, 2)], link_properties={"probability": np.array([np.nan])}
    )
    write_annotations(tmp_path / "c.csv", chance)
    assert (tmp_path / "c.csv").read_text().splitlines()[0] == "id,t,z,y,x,parent_id,anlage"


def test_links_to_a_nucleus_that_is_not_there_fall_on_no_other(tmp_path: Path) -> None:
    nuclei = Annotations.of([(0, 1, 2, 3), (1, 1, 2, 3), (1, 1, 9, 9)], ids=[9, 4, 7], links=[(9, 5), (9, 4), (9, 99)])
    write_table(tmp_path / "a.csv", nuclei)
    assert read_table(tmp_path / "a.csv")[0].links.tolist() == [[9, 4]]


def test_two_planes_need_a_z(tmp_path: Path) -> None:
    path = save(tmp_path / "a.csv", "id,t,y,x\n1,0,5,5\n")
    with pytest.raises(AnlageError, match="has no column z, but the image has 2 planes"):
        open_annotations(path, image=TimeLapse.of(np.zeros((3, 2, 20, 20), np.uint8)))
    assert open_annotations(path).positions.tolist() == [[0, 0, 5, 5]]


def test_radii_of_0_and_minus_1_are_unknown_and_this_is_said(tmp_path: Path) -> None:
    found = open_annotations(
        save(tmp_path / "a.csv", "id,t,y,x,radius_um\n1,0,5,5,0\n2,0,7,5,-1\n3,0,9,5,1\n4,0,9,9,\n")
    )
    np.testing.assert_array_equal(found.radius_um, [np.nan, np.nan, 1, np.nan])
    assert found.notes == ("2 radii of 0 or -1 in 'a.csv' were taken for unknown.",)
    assert not open_annotations(save(tmp_path / "b.csv", "id,t,y,x,radius_um\n1,0,5,5,2\n")).notes


@pytest.mark.parametrize(
    ("column", "value", "sentence"),
    [
        ("radius_um", "-2", "row 2 has '-2' for radius_um, which must lie between 1e-06 and 1e\\+06 µm; is it in another unit"),
        ("probability", "97", "row 2 has '97' for probability, which must lie between 0 and 1; percent"),
        ("division_probability", "-3", "row 2 has '-3' for division_probability, which must lie between 0 and 1; percent"),
        ("link_probability", "2", "row 2 has '2' for link_probability, which must lie between 0 and 1; percent"),
        ("label", "1.5", "row 2 has '1.5' for label, which is no whole number"),
        ("state", "3", "row 2 has '3' for state, which is none of proposed, accepted, rejected"),
    ],
)  # fmt: skip
def test_what_no_nucleus_has_is_refused(tmp_path: Path, column: str, value: str, sentence: str) -> None:
    path = save(tmp_path / "a.csv", f"id,t,y,x,parent_id,{column}\n1,0,5,5,,{value}\n")
    with pytest.raises(AnlageError, match=sentence):
        open_annotations(path)


def test_states_are_words_or_numbers_and_empty_ones_follow_the_probability(tmp_path: Path) -> None:
    rows = ["1,0,1,1,Rejected,", "2,0,2,2,0,", "3,0,3,3,,0.5", "4,0,4,4,,", "5,0,5,5,accepted,0.5", "6,0,6,6,2,"]
    found = open_annotations(save(tmp_path / "a.csv", "\n".join(["id,t,y,x,state,probability", *rows])))
    assert found.state.tolist() == [State(s) for s in (2, 0, 0, 1, 1, 2)]


def test_origins_that_are_empty_follow_the_probability(tmp_path: Path) -> None:
    text = "id,t,y,x,origin,probability\n1,0,5,5,m-1,0.5\n2,0,6,6,,0.5\n3,0,7,7,,\n"
    assert open_annotations(save(tmp_path / "a.csv", text)).origin.tolist() == ["m-1", "model", "human"]


def test_parents_of_0_and_minus_1_and_nothing_are_none(tmp_path: Path) -> None:
    text = "id,t,y,x,parent_id,link_probability\n1,0,5,5,-1,\n2,1,5,5,1,0.75\n3,1,9,9,0,\n4,2,9,9,,\n5,2,5,5,2,\n"
    found = open_annotations(save(tmp_path / "a.csv", text))
    assert found.links.tolist() == [[1, 2], [2, 5]]
    np.testing.assert_array_equal(found.link_properties["probability"], [0.75, np.nan])
    assert not found.notes


def test_rows_of_one_track_are_linked_in_the_order_of_their_frames(tmp_path: Path) -> None:
    found = open_annotations(
        save(tmp_path / "a.csv", "id,t,y,x,track_id\n1,2,5,5,7\n2,0,6,5,7\n3,1,7,5,7\n4,0,9,9,8\n")
    )
    assert sorted(found.links.tolist()) == [[2, 3], [3, 1]]
    assert "2 links were made between successive rows of the same track_id" in found.notes[0]
    text = "id,t,y,x,track_id,parent_id\n1,0,5,5,7,\n2,1,6,5,7,\n"
    alone = open_annotations(save(tmp_path / "b.csv", text))
    assert not len(alone.links)
    assert alone.notes[0].startswith("parent_id is empty in every row of 'b.csv', so no links were made")


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["9223372036854775807", "-9223372036854775807"], "i"),  # 2⁶³ − 1
        (["9223372036854775808", "1"], "U"),
        (["9007199254740993", "0.5"], "U"),  # 2⁵³ + 1 would become 2⁵³
        (["9007199254740992", "0.5"], "f"),
        (["", "0.5"], "f"),
        (["", "nan"], "f"),
        (["1e400", "1"], "U"),
        (["", "x"], "U"),
        (["3.0", "1e2"], "i"),
    ],
)
def test_further_columns_keep_their_values(tmp_path: Path, cells: list[str], kind: str) -> None:
    rows = "".join(f"{i},0,5,{i},{cell}\n" for i, cell in enumerate(cells, start=1))
    column = open_annotations(save(tmp_path / "a.csv", f"id,t,y,x,thing\n{rows}")).properties["thing"]
    assert column.dtype.kind == kind
    if kind == "U":
        assert column.tolist() == cells
    else:
        exact = int if kind == "i" and "." not in cells[0] else float
        np.testing.assert_array_equal(column, [exact(cell or "nan") for cell in cells])


def test_a_further_column_without_rows_is_text(tmp_path: Path) -> None:
    found = open_annotations(save(tmp_path / "a.csv", "id,t,y,x,thing\n"))
    assert found.properties["thing"].dtype.kind == "U"
    assert found.radius_um.shape == (0,)
