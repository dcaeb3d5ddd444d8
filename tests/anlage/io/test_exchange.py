"""Tracks in the formats of other programs, out and in again."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anlage.annotations import Annotations, State, check
from anlage.axes import Spacing
from anlage.errors import AnlageError
from anlage.io import open_annotations, write_annotations
from anlage.io.nuclei import own_scale
from anlage.timelapse import TimeLapse

SPACING = Spacing(2.0, 0.5, 0.25)


def lineage() -> Annotations:
    """Two lineages: one divides, with a gap before a daughter; one has a gap; and a nucleus alone."""
    positions = [
        (0, 3, 10, 10), (1, 3, 10, 10.5), (2, 3, 10, 11), (3, 3, 10, 12), (3, 3, 30, 12),
        (0, 5, 40, 40), (2, 5, 41, 40.25), (1, 7, 25.125, 60),
    ]  # fmt: skip
    return Annotations.of(
        positions, ids=[4, 7, 9, 12, 30, 5, 6, 8], links=[(4, 7), (7, 9), (7, 30), (9, 12), (5, 6)],
        radius_um=[2.5, 2.5, 2, 2, 2, 3, 3, np.nan],
        link_properties={"probability": np.array([0.99, 0.75, 0.5, np.nan, 0.125])},
        properties={"division_probability": np.array([0.25, 0.875, np.nan, 0, 0, 0, 0, 0])},
    )  # fmt: skip


def links_of(table: Annotations) -> dict[tuple[int, int], float]:
    column = table.link_properties.get("probability", np.full(len(table.links), np.nan))
    return {(int(a), int(b)): float(p) for (a, b), p in zip(table.links, column, strict=True)}


def same_graph(again: Annotations, table: Annotations) -> None:
    """Ids, places, links and probabilities, whatever the order."""
    ours, theirs = (t.select(np.argsort(t.ids)) for t in (again, table))
    np.testing.assert_array_equal(ours.ids, theirs.ids)
    np.testing.assert_allclose(ours.positions, theirs.positions, atol=1e-9)
    np.testing.assert_array_equal(ours.state, theirs.state)
    np.testing.assert_allclose(ours.probability, theirs.probability)
    mine, wanted = links_of(again), links_of(table)
    assert mine.keys() == wanted.keys()
    np.testing.assert_allclose([mine[key] for key in wanted], list(wanted.values()))


@st.composite
def tables(draw) -> Annotations:
    """Small forests with gaps and divisions, at places that differ."""
    n = draw(st.integers(1, 12))
    frames = sorted(draw(st.lists(st.integers(0, 4), min_size=n, max_size=n)))
    spots = draw(st.lists(st.tuples(*[st.integers(0, 30)] * 3), min_size=n, max_size=n, unique=True))
    ids = draw(st.permutations(range(1, n + 1)))
    daughters = dict.fromkeys(range(n), 0)
    links = []
    for i in range(1, n):
        mothers = [j for j in range(i) if frames[j] < frames[i] and daughters[j] < 2]
        if mothers and draw(st.booleans()):
            mother = draw(st.sampled_from(mothers))
            daughters[mother] += 1
            links.append((ids[mother], ids[i]))
    probability = np.array([draw(st.sampled_from([0.125, 0.5, np.nan])) for _ in links], dtype=float)
    states = [draw(st.sampled_from([0, 1])) for _ in range(n)]
    return Annotations.of(
        [(t, *spot) for t, spot in zip(frames, spots, strict=True)], ids=ids, links=links, state=states,
        link_properties={"probability": probability}, probability=[0.5 if s == 0 else np.nan for s in states],
        properties={"size": np.arange(n) * 1.5},
    )  # fmt: skip


class TestEveryFormat:
    @pytest.mark.parametrize("name", ["a.csv", "a.geff", "a.xml", "a.aut"])
    def test_links_and_their_probabilities_come_back(self, name, tmp_path):
        write_annotations(tmp_path / name, lineage(), spacing=SPACING, interval_s=90)
        again = open_annotations(tmp_path / name)
        check(again)
        same_graph(again, lineage())
        theirs = dict(zip(lineage().ids, lineage().properties["division_probability"], strict=True))
        ours = dict(zip(again.ids, again.properties["division_probability"], strict=True))
        assert {int(i) for i in theirs if not np.isnan(theirs[i])} == {int(i) for i in ours if not np.isnan(ours[i])}
        assert all(ours[i] == theirs[i] for i in theirs if not np.isnan(theirs[i]))
        if name != "a.csv":
            assert own_scale(tmp_path / name) == (SPACING, 90)

    @pytest.mark.parametrize("name", ["a.csv", "a.geff", "a.xml", "a.aut"])
    @settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(table=tables())
    def test_any_forest_comes_back(self, name, tmp_path, table):
        write_annotations(tmp_path / name, table, spacing=SPACING)
        again = open_annotations(tmp_path / name)
        same_graph(again, table)
        assert sorted(again.properties["size"]) == sorted(table.properties["size"])

    @settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(table=tables())
    def test_any_forest_comes_back_as_masks(self, tmp_path, table):
        write_annotations(tmp_path / "ctc", table, shape_tzyx=(5, 32, 32, 32))
        again = open_annotations(tmp_path / "ctc")
        assert sorted(again.frames) == sorted(table.frames)
        assert len(again.links) == len(table.links)
        assert len(again.divisions) == len(table.divisions)

    def test_an_unknown_suffix_is_refused_with_what_there_is(self, tmp_path):
        with pytest.raises(AnlageError, match=r"'\.xlsx'.*\.csv, \.geff, \.xml"):
            write_annotations(tmp_path / "a.xlsx", lineage())

    def test_a_folder_of_something_else_is_not_replaced(self, tmp_path):
        (tmp_path / "images").mkdir()
        (tmp_path / "images" / "t000.tif").write_bytes(b"x")
        with pytest.raises(AnlageError, match="not replaced"):
            write_annotations(tmp_path / "images", lineage(), spacing=SPACING)


class TestCTC:
    def test_masks_and_table_are_as_the_challenge_has_them(self, tmp_path):
        write_annotations(tmp_path / "01_RES", lineage(), spacing=SPACING, shape_tzyx=(4, 12, 64, 80))
        assert sorted(p.name for p in (tmp_path / "01_RES").iterdir()) == [
            *[f"mask00{t}.tif" for t in range(4)], "res_track.txt",
        ]  # fmt: skip
        table = [
            list(map(int, line.split())) for line in (tmp_path / "01_RES" / "res_track.txt").read_text().splitlines()
        ]
        assert table == [[1, 0, 1, 0], [2, 0, 0, 0], [3, 1, 1, 0], [4, 2, 2, 2], [5, 2, 3, 1], [6, 3, 3, 1]]
        masks = np.stack([tifffile.imread(tmp_path / "01_RES" / f"mask00{t}.tif") for t in range(4)])
        assert masks.dtype == np.uint16
        assert masks.shape == (4, 12, 64, 80)
        for number, first, last, _ in table:
            assert [t for t in range(4) if (masks[t] == number).any()] == list(range(first, last + 1))
        assert masks[0, 3, 10, 10] == 1
        volume = (masks[0] == 1).sum() * 2 * 0.5 * 0.25
        assert volume == pytest.approx(4 / 3 * np.pi * 2.5**3, rel=0.25)

    def test_a_folder_of_truth_has_its_names(self, tmp_path):
        write_annotations(tmp_path / "01_GT", lineage(), spacing=SPACING)
        assert (tmp_path / "01_GT" / "TRA" / "man_track000.tif").is_file()
        assert (tmp_path / "01_GT" / "TRA" / "man_track.txt").is_file()
        assert len(open_annotations(tmp_path / "01_GT")) == 8

    def test_nuclei_that_touch_keep_apart_and_none_is_lost(self, tmp_path):
        crowd = Annotations.of([(0, 0, 10, 10 + dx) for dx in (0, 1, 2, 2)], radius_um=3)
        write_annotations(tmp_path / "a.ctc", crowd, spacing=Spacing(1, 1, 1), shape_tzyx=(1, 1, 20, 20))
        mask = tifffile.imread(tmp_path / "a.ctc" / "mask000.tif")
        assert set(np.unique(mask)) == {0, 1, 2, 3, 4}
        assert mask[10, 10] == 1
        assert mask[10, 7] == 1

    def test_painted_nuclei_are_written_as_painted(self, tmp_path):
        painted = np.zeros((2, 1, 20, 20), np.uint16)
        painted[:, 0, 3:6, 3:12] = 9
        nuclei = Annotations.from_labels(TimeLapse.of(painted, "tzyx", source="painted"))
        more = Annotations.of(
            [*nuclei.positions, (1, 0, 5, 12)], ids=[*nuclei.ids, 10], links=nuclei.links, label=[9, 9, 0],
            labels=nuclei.labels, radius_um=3,
        )  # fmt: skip
        write_annotations(tmp_path / "a.ctc", more, spacing=Spacing(1, 1, 1))
        masks = [tifffile.imread(tmp_path / "a.ctc" / f"mask00{t}.tif") for t in range(2)]
        np.testing.assert_array_equal(masks[0] == 1, painted[0, 0] == 9)
        np.testing.assert_array_equal(masks[1] == 1, painted[1, 0] == 9)
        assert masks[1][5, 12] == 2

    def test_the_referee_calls_it_valid(self, tmp_path):
        from ctc_metrics.scripts.validate import validate_sequence

        write_annotations(tmp_path / "01_RES", lineage(), spacing=SPACING)
        assert validate_sequence(str(tmp_path / "01_RES"))["Valid"] == 1

    def test_a_nucleus_outside_the_image_is_told(self, tmp_path):
        with pytest.raises(AnlageError, match=r"id 30.*outside the image"):
            write_annotations(tmp_path / "a.ctc", lineage(), spacing=SPACING, shape_tzyx=(4, 12, 20, 80))
        assert not (tmp_path / "a.ctc").exists()

    def test_a_merge_is_told(self, tmp_path):
        merged = lineage().linked(np.array([(4, 7), (5, 7)]))
        with pytest.raises(AnlageError, match=r"id 7.*2 parents"):
            write_annotations(tmp_path / "a.ctc", merged)


SPOT = '<Spot ID="{}" FRAME="{}" POSITION_X="{}" POSITION_Y="2" POSITION_Z="0" POSITION_T="0" RADIUS="4" VISIBILITY="{}" QUALITY="7.5" />'


def trackmate(spots: str, tracks: str = "", *, image: str = 'pixelwidth="0.5" pixelheight="0.5" voxeldepth="2"') -> str:
    return (
        '<?xml version="1.0" encoding="UTF-8"?><TrackMate version="7.11.1"><Model spatialunits="µm" timeunits="min">'
        f'<AllSpots>{spots}</AllSpots>{tracks}</Model><Settings><ImageData {image} timeinterval="3" /></Settings></TrackMate>'
    )


class TestTrackMate:
    def save(self, folder: Path, text: str) -> Path:
        (folder / "a.xml").write_text(text, encoding="utf-8")
        return folder / "a.xml"

    def test_positions_become_voxels_and_hidden_things_stay_out(self, tmp_path):
        spots = "".join(
            SPOT.format(i, t, x, v)
            for i, t, x, v in [(0, 0, 3, 1), (1, 1, 4, 1), (2, 0, 9, 0), (3, 0, 20, 1), (4, 1, 20, 1)]
        )
        tracks = (
            '<AllTracks><Track TRACK_ID="0"><Edge SPOT_SOURCE_ID="1" SPOT_TARGET_ID="0" LINK_COST="0.5" /></Track>'
            '<Track TRACK_ID="1"><Edge SPOT_SOURCE_ID="3" SPOT_TARGET_ID="4" LINK_COST="2" /></Track></AllTracks>'
            '<FilteredTracks><TrackID TRACK_ID="0" /></FilteredTracks>'
        )  # fmt: skip
        path = self.save(tmp_path, trackmate(spots, tracks))
        nuclei = open_annotations(path)
        assert nuclei.positions.tolist() == [[0, 0, 4, 6], [1, 0, 4, 8]]
        assert nuclei.ids.tolist() == [2, 1]  # 0 is no id here
        assert nuclei.links.tolist() == [[2, 1]]  # turned to run forward
        assert nuclei.radius_um.tolist() == [4, 4]
        assert nuclei.properties["QUALITY"].tolist() == [7.5, 7.5]
        assert nuclei.link_properties["LINK_COST"].tolist() == [0.5]
        assert own_scale(path) == (Spacing(2, 0.5, 0.5), 180)

    def test_without_a_size_of_pixels_it_is_asked_for(self, tmp_path):
        path = self.save(tmp_path, trackmate(SPOT.format(1, 0, 3, 1), image=""))
        with pytest.raises(AnlageError, match="--spacing"):
            open_annotations(path)
        assert open_annotations(path, spacing=Spacing(1, 1, 0.5)).positions[0, 3] == 6

    def test_entities_are_not_expanded(self, tmp_path):
        bomb = '<!DOCTYPE t [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
        path = self.save(tmp_path, trackmate(SPOT.format(1, 0, 3, 1)).replace("?>", f"?>{bomb}", 1))
        with pytest.raises(AnlageError, match="document type"):
            open_annotations(path)

    @pytest.mark.parametrize(
        ("text", "match"),
        [
            ("<Tracks></Tracks>", "begins with <Tracks>"),
            ("<TrackMate><Model>", "no whole XML"),
            ("<TrackMate></TrackMate>", "no model"),
            (trackmate(SPOT.format(5, 0, "here", 1)), "spot 5 has 'here' for POSITION_X"),
            (trackmate(SPOT.format(5, 0, "NaN", 1)), "id 5.*no number for x"),
            (trackmate(SPOT.format(5, 0, 1, 1) * 2), "id 5, which row 1 has already"),
        ],
    )
    def test_what_is_wrong_is_told(self, text, match, tmp_path):
        with pytest.raises(AnlageError, match=match):
            open_annotations(self.save(tmp_path, text))

    def test_a_merge_keeps_one_parent_and_is_told(self, tmp_path):
        spots = SPOT.format(1, 0, 3, 1) + SPOT.format(2, 0, 9, 1) + SPOT.format(3, 1, 5, 1)
        edges = "".join(f'<Edge SPOT_SOURCE_ID="{i}" SPOT_TARGET_ID="3" />' for i in (1, 2))
        path = self.save(tmp_path, trackmate(spots, f'<AllTracks><Track TRACK_ID="0">{edges}</Track></AllTracks>'))
        nuclei = open_annotations(path)
        assert nuclei.links.tolist() == [[1, 3]]  # the nearest
        assert nuclei.notes == (
            "1 link of 'a.xml' was left out: 1 from a second parent, of which the nearest was kept (2 → 3).",
        )

    def test_geff_reads_what_we_write(self, tmp_path):
        from geff.convert import from_trackmate_xml_to_geff

        write_annotations(tmp_path / "a.xml", lineage(), spacing=SPACING, interval_s=60)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what only TrackMate's windows need is not there
            from_trackmate_xml_to_geff(tmp_path / "a.xml", tmp_path / "a.geff")
        again = open_annotations(tmp_path / "a.geff", spacing=SPACING, interval_s=60)
        assert sorted(map(tuple, again.links.tolist())) == sorted(map(tuple, lineage().links.tolist()))
        order = np.argsort(again.ids)
        np.testing.assert_allclose(again.positions[order], lineage().positions[np.argsort(lineage().ids)], atol=1e-6)


class TestAut:
    def test_a_gap_is_filled_for_the_other_program_only(self, tmp_path):
        write_annotations(tmp_path / "a.aut", lineage(), spacing=SPACING, interval_s=60)
        data = json.loads((tmp_path / "a.aut").read_text())
        assert data["version"] == "v2"
        assert data["image_resolution"] == {"x_um": 0.25, "y_um": 0.5, "z_um": 2.0, "t_m": 1.0}
        assert (
            sum(len(frame["coords_xyz_px"]) for frame in data["positions"]) == 10
        )  # one in the gap, one before the daughter
        places = {(f["time_point"], tuple(xyz)) for f in data["positions"] for xyz in f["coords_xyz_px"]}
        for track in data["tracks"]:
            assert all(
                (track["time_point_start"] + i, tuple(c)) in places for i, c in enumerate(track["coords_xyz_px"])
            )
        before = [track for track in data["tracks"] if "coords_xyz_px_before" in track]
        assert len(before) == 2
        assert {p for track in before for p in track["link_meta_before"]["marginal_probability"]} == {0.75, 0.5}

    def test_two_nuclei_at_one_place_are_told(self, tmp_path):
        with pytest.raises(AnlageError, match="nuclei 1 and 2 are at the same place in frame 0"):
            write_annotations(tmp_path / "a.aut", Annotations.of([(0, 1, 2, 3), (0, 1, 2, 3)]))

    @pytest.mark.parametrize(
        ("text", "match"),
        [
            ("no json", "no whole JSON"),
            ('{"version": "v9"}', "'v9'"),
            ("[1]", "but of None"),
            ('{"version": "v2", "positions": [{"time_point": 0}]}', "not laid out"),
            ('{"version": "v2", "positions": [{"time_point": 0, "coords_xyz_px": [[1, 2]]}]}', "not laid out.*coords_xyz_px"),
            ('{"version": "v2", "positions": [{"time_point": 0, "coords_xyz_px": [["1e400", 2, 3]]}]}', "not laid out"),
            ('{"version": "v2", "positions": [{"time_point": 1e12, "coords_xyz_px": [[1, 2, 3]]}]}', "not laid out"),
        ],
    )  # fmt: skip
    def test_what_is_wrong_is_told(self, text, match, tmp_path):
        (tmp_path / "a.aut").write_text(text)
        with pytest.raises(AnlageError, match=match):
            open_annotations(tmp_path / "a.aut")

    def test_offsets_of_the_image_are_taken_off(self, tmp_path):
        data = {
            "version": "v2", "positions": [{"time_point": t, "coords_xyz_px": [[10, 20, 3]]} for t in (1, 2)],
            "image_offsets": [{"x": 1.0, "y": 2.0, "z": 0.5, "_time_point_number": 2}],
        }  # fmt: skip
        (tmp_path / "a.aut").write_text(json.dumps(data))
        assert open_annotations(tmp_path / "a.aut").positions.tolist() == [[1, 3, 20, 10], [2, 2.5, 18, 9]]
        image = TimeLapse.of(np.zeros((2, 8, 40, 40), np.uint8), "tzyx", source="a")
        assert open_annotations(tmp_path / "a.aut", image=image).frames.tolist() == [0, 1]  # counted from 1 there

    @pytest.mark.data
    def test_real_files(self, shared_data, tmp_path):
        folder = shared_data("organoidtracker")
        old = open_annotations(folder / "E482-AZ-pos3.aut")
        assert (len(old), len(old.links)) == (5632, 5540)
        assert np.isfinite(old.properties["division_probability"]).sum() == 625
        assert own_scale(folder / "E482-AZ-pos3.aut") == (Spacing(3, 0.38, 0.38), 150)
        new = open_annotations(folder / "WKS216_xy008_FRAP.aut")
        assert len(new.links) == 6 * 90 + 55
        for name, table in (("old", old), ("new", new)):
            write_annotations(tmp_path / f"{name}.aut", table)
            same_graph(open_annotations(tmp_path / f"{name}.aut"), table)


def test_rejected_nuclei_stay_rejected_where_the_format_can(tmp_path):
    table = Annotations.of([(0, 1, 2, 3), (0, 1, 9, 9)], state=[State.ACCEPTED, State.REJECTED])
    for name in ("a.csv", "a.geff", "a.xml", "a.aut"):
        write_annotations(tmp_path / name, table, spacing=SPACING)
        assert open_annotations(tmp_path / name).state.tolist() == [State.ACCEPTED, State.REJECTED], name
    write_annotations(tmp_path / "a.ctc", table, spacing=SPACING)
    assert len(open_annotations(tmp_path / "a.ctc")) == 1
