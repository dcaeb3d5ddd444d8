"""Tracks in the formats of other programs, out and in again."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anlage.annotations import Annotations, State
from anlage.axes import Spacing
from anlage.errors import AnlageError
from anlage.io import open_annotations, write_annotations
from anlage.io.nuclei_files.nuclei import own_scale
from anlage.problems import check
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
            "anlage.json", *[f"mask00{t}.tif" for t in range(4)], "res_track.txt",
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

    def test_positions_may_be_in_another_unit_of_length(self, tmp_path):
        spots = SPOT.format(1, 0, 3000, 1).replace('RADIUS="4"', 'RADIUS="4000"').replace('="2"', '="2000"')
        image = 'pixelwidth="500" pixelheight="250" voxeldepth="2000"'
        path = self.save(tmp_path, trackmate(spots, image=image).replace("µm", "nm"))
        nuclei = open_annotations(path)
        assert nuclei.positions.tolist() == [[0, 0, 8, 6]]
        assert nuclei.radius_um.tolist() == [4]
        assert own_scale(path) == (Spacing(2, 0.25, 0.5), 180)
        assert open_annotations(path, spacing=Spacing(2.01, 0.251, 0.501)).positions.tolist() == [[0, 0, 8, 6]]
        assert open_annotations(path, spacing=Spacing(2, 0.25, 0.5075)).positions[0, 3] == 3 / 0.5075  # 1.5 % off
        assert open_annotations(path, spacing=Spacing(4, 0.5, 1)).positions.tolist() == [[0, 0, 4, 3]]

    @pytest.mark.parametrize("image", ["", 'pixelwidth="1" pixelheight="1" voxeldepth="1"'])
    def test_positions_in_pixels_need_no_voxel_size(self, image, tmp_path):
        path = self.save(tmp_path, trackmate(SPOT.format(1, 0, 3, 1), image=image).replace("µm", "pixel"))
        nuclei = open_annotations(path, spacing=Spacing(2, 0.5, 0.5))
        assert nuclei.positions.tolist() == [[0, 0, 2, 3]]
        assert np.isnan(nuclei.radius_um).all()
        assert own_scale(path) == (None, 180)

    @pytest.mark.parametrize("image", ['pixelheight="0.5" voxeldepth="2"', 'pixelwidth="0.5" voxeldepth="2"'])
    def test_half_a_size_of_pixels_is_none(self, image, tmp_path):
        path = self.save(tmp_path, trackmate(SPOT.format(1, 0, 3, 1), image=image))
        assert own_scale(path) == (None, 180)
        with pytest.raises(
            AnlageError, match="gives positions in µm but no size of pixels; say it with --spacing Z,Y,X"
        ):
            open_annotations(path)

    def test_without_planes_voxels_are_as_deep_as_wide(self, tmp_path):
        path = self.save(tmp_path, trackmate(SPOT.format(1, 0, 3, 1), image='pixelwidth="0.5" pixelheight="0.25"'))
        assert own_scale(path)[0] == Spacing(0.5, 0.25, 0.5)
        assert open_annotations(path).positions.tolist() == [[0, 0, 8, 6]]

    def test_spots_without_depth_or_track_are_shown(self, tmp_path):
        spots = (
            '<Spot ID="4" FRAME="0" POSITION_X="3" POSITION_Y="2" />'  # on no track
            '<Spot ID="5" FRAME="1" POSITION_X="3" POSITION_Y="2" label="6" VISIBILITY="1" />'
            '<Spot ID="6" FRAME="1" POSITION_X="9" POSITION_Y="2" state="2" VISIBILITY="0" />'
        )  # fmt: skip
        nuclei = open_annotations(self.save(tmp_path, trackmate(spots)))
        assert nuclei.positions.tolist() == [[0, 0, 4, 6], [1, 0, 4, 6], [1, 0, 4, 18]]
        assert nuclei.ids.tolist() == [4, 5, 6]
        assert nuclei.label.tolist() == [0, 6, 0]
        assert nuclei.state.tolist() == [State.ACCEPTED, State.ACCEPTED, State.REJECTED]
        assert np.isnan(nuclei.radius_um).all()
        assert not nuclei.properties

    def test_edges_that_lead_nowhere_are_left_out_and_counted(self, tmp_path):
        spots = "".join(SPOT.format(i, t, 3 + i, 1) for i, t in [(1, 0), (2, 1), (3, 1), (4, 2)])
        ends = [(1, 2), (3, 2), (4, 99), (98, 4)]
        edges = "".join(f'<Edge SPOT_SOURCE_ID="{a}" SPOT_TARGET_ID="{b}" />' for a, b in ends)
        edges += '<Edge SPOT_SOURCE_ID="1" /><Edge SPOT_TARGET_ID="x" SPOT_SOURCE_ID="1" />'
        tracks = f'<AllTracks><Track TRACK_ID="0">{edges}</Track></AllTracks>'
        nuclei = open_annotations(self.save(tmp_path, trackmate(spots, tracks)))
        assert nuclei.links.tolist() == [[1, 2]]
        first, second = nuclei.notes
        assert first == "2 edges without the ids of two spots left out of 'a.xml'."
        assert "2 to a nucleus that is not there (4 → 99, among others); 1 not forward in time (3 → 2)" in second

    @pytest.mark.parametrize("quality", ['QUALITY="1"', "", 'QUALITY="2"'])
    def test_a_quality_of_one_all_over_says_nothing(self, quality, tmp_path):
        spots = SPOT.format(1, 0, 3, 1).replace('QUALITY="7.5"', 'QUALITY="1"') + SPOT.format(2, 0, 9, 1).replace(
            'QUALITY="7.5"', quality
        )
        found = open_annotations(self.save(tmp_path, trackmate(spots))).properties
        if quality == 'QUALITY="1"':
            assert not found
        else:
            np.testing.assert_array_equal(found["QUALITY"], [1, 2 if quality else np.nan])
        bare = trackmate(SPOT.format(1, 0, 3, 1).replace('QUALITY="7.5"', ""))
        assert not open_annotations(self.save(tmp_path, bare)).properties

    @pytest.mark.parametrize(
        ("numbers", "kind"),
        [
            (("9007199254740993", "1"), "i"), (("9007199254740992", "1"), "i"), (("9007199254740991", "1"), "f"),
            (("9223372036854775807", "1"), "i"), (("9223372036854775808", "1"), "f"),
            (("9007199254740993", None), "f"), (("word", "1"), ""),
        ],
    )  # fmt: skip
    def test_long_whole_numbers_of_spots_are_exact(self, numbers, kind, tmp_path):
        spots = "".join(
            SPOT.format(i, 0, 5 * i, 1).replace("/>", "/>" if number is None else f'LONG="{number}" />')
            for i, number in enumerate(numbers, start=1)
        )
        found = open_annotations(self.save(tmp_path, trackmate(spots))).properties.get("LONG")
        assert (found.dtype.kind if found is not None else "") == kind
        if found is not None:
            assert found.tolist()[0] == (int if kind == "i" else float)(numbers[0])

    def test_ids_are_kept_up_to_64_bits(self, tmp_path):
        path = self.save(tmp_path, trackmate(SPOT.format(2**63 - 1, 0, 3, 1) + SPOT.format(2**53 + 1, 0, 9, 1)))
        assert open_annotations(path).ids.tolist() == [2**63 - 1, 2**53 + 1]

    @pytest.mark.parametrize(
        ("spot", "match"),
        [
            (SPOT.format(2**63, 0, 3, 1), "has '9223372036854775808' for ID, which is beyond 9223372036854775807"),
            (SPOT.format("5.5", 0, 3, 1), r"spot 5\.5 has '5\.5' for ID, which is no whole number\."),
            (SPOT.format(5, 0, 3, 1).replace('ID="5"', ""), "spot 1 has no ID."),
            (SPOT.format(5, 0, 3, 1).replace('FRAME="0"', ""), "spot 5 has no FRAME."),
            (SPOT.format(5, 0, 3, 1).replace('POSITION_Y="2"', ""), "spot 5 has no POSITION_Y."),
            (
                SPOT.format(5, 0, 3, 1).replace("/>", 'label="1.5" />'),
                "spot 5 has '1.5' for label, which is no whole number",
            ),
            (SPOT.format(5, 0, 3, 1).replace("/>", 'state="3" />'), "The state 3"),
        ],
    )
    def test_a_spot_that_cannot_be_is_named(self, spot, match, tmp_path):
        with pytest.raises(AnlageError, match=match):
            open_annotations(self.save(tmp_path, trackmate(spot)))

    def test_what_is_written_is_what_trackmate_writes(self, tmp_path):
        nuclei = Annotations.of(
            [(0, 1, 2, 3), (1, 1, 2, 4), (2, 9.5, 2, 3)], ids=[4, 7, 9], links=[(4, 7)], radius_um=[2, np.nan, np.nan],
            properties={
                "QUALITY": np.array([3.0, 4, 5]), "size": np.array([1.5, np.nan, 2]), "two words": np.array([1, 2, 3]),
                "word": np.array(["a", "b", "c"]), "shape": np.ones((3, 2)), "FRAME": np.array([8, 8, 8]),
            },
        )  # fmt: skip
        write_annotations(tmp_path / "a.xml", nuclei, spacing=Spacing(2, 0.5, 0.25), interval_s=60)
        root = ElementTree.parse(tmp_path / "a.xml").getroot()
        spots = [spot.attrib for spot in root.iter("Spot")]
        assert spots[0] == {
            "ID": "4", "name": "ID4", "QUALITY": "3.0", "POSITION_X": "0.75", "POSITION_Y": "1.0", "POSITION_Z": "2.0",
            "POSITION_T": "0.0", "FRAME": "0", "RADIUS": "2.0", "VISIBILITY": "1", "size": "1.5",
        }  # fmt: skip
        assert [spot["RADIUS"] for spot in spots] == ["2.0", "3.5", "3.5"]
        assert spots[1]["POSITION_T"] == "60.0"
        assert "size" not in spots[1]
        assert [frame.attrib["frame"] for frame in root.iter("SpotsInFrame")] == ["0", "1", "2"]
        assert {"size", "QUALITY", "TRACK_ID"} <= {feature.attrib["feature"] for feature in root.iter("Feature")}
        assert root.find("Model").attrib == {"spatialunits": "micron", "timeunits": "sec"}
        assert root.find("Settings/ImageData").attrib == {
            "filename": "", "folder": "", "width": "5", "height": "3", "nslices": "10", "nframes": "3",
            "pixelwidth": "0.25", "pixelheight": "0.5", "voxeldepth": "2", "timeinterval": "60",
        }  # fmt: skip
        assert [track.attrib for track in root.iter("TrackID")] == [{"TRACK_ID": "0"}]

    def test_an_assumed_radius_is_unknown_until_somebody_changes_it(self, tmp_path):
        nuclei = Annotations.of([(0, 1, 2, 3 + i) for i in range(4)], radius_um=[np.nan, 3.5, np.nan, 2])
        write_annotations(tmp_path / "a.xml", nuclei, spacing=SPACING)
        np.testing.assert_array_equal(open_annotations(tmp_path / "a.xml").radius_um, [np.nan, 3.5, np.nan, 2])
        text = (tmp_path / "a.xml").read_text()
        first = text.index('RADIUS="3.5"')
        (tmp_path / "a.xml").write_text(text[:first] + 'RADIUS="5.0"' + text[first + len('RADIUS="3.5"') :])
        np.testing.assert_array_equal(open_annotations(tmp_path / "a.xml").radius_um, [5, 3.5, np.nan, 2])

    def test_without_a_voxel_size_it_is_written_in_pixels(self, tmp_path):
        nuclei = Annotations.of([(0, 1, 2, 3)], radius_um=2, probability=0.5, state=State.PROPOSED)
        write_annotations(tmp_path / "a.xml", nuclei)
        root = ElementTree.parse(tmp_path / "a.xml").getroot()
        (spot,) = (spot.attrib for spot in root.iter("Spot"))
        assert [spot[f"POSITION_{axis}"] for axis in "XYZ"] == ["3.0", "2.0", "1.0"]
        assert (spot["RADIUS"], spot["QUALITY"], spot["probability"]) == ("4.0", "1.0", "0.5")
        assert not {"state", "label"} & set(spot)
        image = root.find("Settings/ImageData").attrib
        assert [image[name] for name in ("pixelwidth", "pixelheight", "voxeldepth", "timeinterval")] == ["1.0"] * 4
        assert root.find("Model").attrib == {"spatialunits": "pixel", "timeunits": "frame"}
        assert own_scale(tmp_path / "a.xml") == (None, None)
        same_graph(open_annotations(tmp_path / "a.xml"), nuclei)

    def test_no_nuclei_are_a_file_of_none(self, tmp_path):
        write_annotations(tmp_path / "a.xml", Annotations.of([]), spacing=SPACING)
        image = ElementTree.parse(tmp_path / "a.xml").getroot().find("Settings/ImageData").attrib
        assert [image[name] for name in ("width", "height", "nslices", "nframes")] == ["1"] * 4
        assert len(open_annotations(tmp_path / "a.xml")) == 0

    def test_the_size_of_a_painted_image_is_written(self, tmp_path):
        painted = np.zeros((2, 3, 20, 30), np.uint16)
        painted[0, 1, 3:6, 3:12] = 9
        nuclei = Annotations.from_labels(TimeLapse.of(painted, "tzyx", source="painted"))
        write_annotations(tmp_path / "a.xml", nuclei, spacing=SPACING)
        image = ElementTree.parse(tmp_path / "a.xml").getroot().find("Settings/ImageData").attrib
        assert [image[name] for name in ("width", "height", "nslices", "nframes")] == ["30", "20", "3", "2"]

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


def points(x: float, y: float, z: float, *, times: tuple[int, ...]) -> list[dict[str, object]]:
    """One position, at the same place, in several time points."""
    return [{"time_point": t, "coords_xyz_px": [[x, y, z]]} for t in times]


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

    def test_offsets_hold_for_their_time_points_alone(self, tmp_path):
        offset = {"x": 1.0, "y": 2.0, "z": 0.5, "_time_point_number": 1}
        nuclei = self.read(tmp_path, positions=points(10, 20, 3, times=(0, 1)), image_offsets=[offset])
        assert nuclei.positions.tolist() == [[0, 3, 20, 10], [1, 2.5, 18, 9]]

    @pytest.mark.parametrize(
        ("times", "frames"), [((1, 3), [0, 2]), ((2, 3), [1, 2]), ((1, 2), [1, 2]), ((0, 2), [0, 2])]
    )
    def test_time_points_are_counted_from_one_only_where_the_last_is_the_number_of_frames(
        self, times, frames, tmp_path
    ):
        (tmp_path / "a.aut").write_text(json.dumps({"version": "v2", "positions": points(10, 20, 3, times=times)}))
        image = TimeLapse.of(np.zeros((3, 8, 40, 40), np.uint8), "tzyx", source="a")
        assert open_annotations(tmp_path / "a.aut", image=image).frames.tolist() == frames

    def test_time_points_from_zero_to_the_number_of_frames_do_not_fit(self, tmp_path):
        (tmp_path / "a.aut").write_text(json.dumps({"version": "v2", "positions": points(10, 20, 3, times=(0, 2))}))
        with pytest.raises(AnlageError, match="outside the image"):
            open_annotations(tmp_path / "a.aut", image=TimeLapse.of(np.zeros((2, 8, 40, 40), np.uint8), source="a"))

    def read(self, folder: Path, *, version: str = "v2", image: TimeLapse | None = None, **members) -> Annotations:
        (folder / "a.aut").write_text(json.dumps({"version": version, **members}))
        return open_annotations(folder / "a.aut", image=image)

    def test_a_graph_of_version_1_is_read(self, tmp_path):
        def at(x, t):
            return {"x": x, "y": 20, "z": 3, "_time_point_number": t}

        links = {
            "nodes": [{"id": at(10, 0), "kind": "stem"}, {"id": at(99, 0), "kind": "lost"}],
            "links": [
                {"source": at(11, 1), "target": at(10, 0), "probability": 0.5}, {"source": at(11, 1), "target": at(12, 2)},
            ],
        }  # fmt: skip
        positions = {"0": [[10, 20, 3]], "1": [[11, 20, 3]], "2": [[12, 20, 3]]}
        nuclei = self.read(tmp_path, version="v1", positions=positions, links=links)
        assert nuclei.positions.tolist() == [[0, 3, 20, 10], [1, 3, 20, 11], [2, 3, 20, 12]]
        assert nuclei.links.tolist() == [[1, 2], [2, 3]]
        assert nuclei.properties["kind"].tolist() == ["stem", "", ""]
        np.testing.assert_array_equal(nuclei.link_properties["probability"], [0.5, np.nan])
        assert len(self.read(tmp_path, version="v1", positions=positions).links) == 0

    def test_a_gap_is_bridged_from_what_is_before_it(self, tmp_path):
        def at(x, t):
            return {"x": x, "y": 2, "z": 3, "_time_point_number": t}

        ends = [(at(1, 0), at(1, 1)), (at(9, 1), at(1, 1)), (at(1, 1), at(1, 2))]  # the second within a frame
        links = {
            "nodes": [{"id": at(1, 1), "anlage_filled": True}], "links": [{"source": a, "target": b} for a, b in ends]
        }  # fmt: skip
        positions = {"0": [[1, 2, 3]], "1": [[1, 2, 3], [9, 2, 3]], "2": [[1, 2, 3]]}
        nuclei = self.read(tmp_path, version="v1", positions=positions, links=links)
        assert nuclei.positions[:, [0, 3]].tolist() == [[0, 1], [1, 9], [2, 1]]
        assert nuclei.links.tolist() == [[1, 3]]

    def test_tracks_of_version_2_are_read(self, tmp_path):
        positions = [
            {"time_point": 3, "coords_xyz_px": [[1, 2, 3], [9, 9, 9]], "position_meta": {"a": [5, None], "short": [1], "long": [1, 2, 3]}},
            *points(1, 2, 4, times=(4, 5)),
        ]  # fmt: skip
        tracks = [
            {"time_point_start": 4, "coords_xyz_px": [[1, 2, 4], [1, 2, 4]], "coords_xyz_px_before": [[1, 2, 3]],
             "link_meta": {"cost": [0.25, 7]}, "link_meta_before": {"cost": [None], "way": ["far"]}},
            {"time_point_start": 3, "coords_xyz_px": [[9, 9, 9]]},
        ]  # fmt: skip
        nuclei = self.read(tmp_path, positions=positions, tracks=tracks)
        assert nuclei.positions.tolist() == [[3, 3, 2, 1], [3, 9, 9, 9], [4, 4, 2, 1], [5, 4, 2, 1]]
        assert nuclei.links.tolist() == [[3, 4], [1, 3]]
        np.testing.assert_array_equal(nuclei.link_properties["cost"], [0.25, np.nan])
        assert nuclei.link_properties["way"].tolist() == ["", "far"]
        for name, values in (
            ("a", [5, np.nan, np.nan, np.nan]),
            ("short", [1, *[np.nan] * 3]),
            ("long", [1, 2, np.nan, np.nan]),
        ):
            np.testing.assert_array_equal(nuclei.properties[name], values)
        assert not nuclei.notes

    @pytest.mark.parametrize("name", ["marginal_probability", "link_probability", "probability"])
    def test_probabilities_of_links_have_three_names(self, name, tmp_path):
        track = {"time_point_start": 0, "coords_xyz_px": [[1, 2, 3], [1, 2, 3]]}
        for values, expected in (([0.5], [0.5]), ([1], [1]), (["high"], None)):
            nuclei = self.read(
                tmp_path, positions=points(1, 2, 3, times=(0, 1)), tracks=[track | {"link_meta": {name: values}}]
            )
            found = nuclei.link_properties.get("probability")
            if expected is None:
                assert found is None or found.dtype.kind == "U"
            else:
                assert found.dtype == np.float64
                assert found.tolist() == expected
            assert set(nuclei.link_properties) <= {"probability"}
        both = {"link_probability": [0.25], "marginal_probability": [0.75]}
        nuclei = self.read(tmp_path, positions=points(1, 2, 3, times=(0, 1)), tracks=[track | {"link_meta": both}])
        assert nuclei.link_properties["probability"].tolist() == [0.75]

    def test_links_to_where_nothing_is_are_counted(self, tmp_path):
        positions = points(1, 2, 3, times=(0, 1))
        one = {"time_point_start": 1, "coords_xyz_px": [[1, 2, 3], [7, 8, 9]]}
        nuclei = self.read(tmp_path, positions=positions, tracks=[one])
        assert nuclei.notes == (
            "1 link of 'a.aut' was left out: it leads to [7.0, 8.0, 9.0] in time point 2, where no position is.",
        )
        two = {"time_point_start": 0, "coords_xyz_px": [[5, 5, 5], [1, 2, 3]]}
        nuclei = self.read(tmp_path, positions=positions, tracks=[one, two])
        assert nuclei.notes == (
            "2 links of 'a.aut' were left out: the first leads to [7.0, 8.0, 9.0] in time point 2, where no position is.",
        )
        assert not len(nuclei.links)

    def test_a_track_links_each_position_to_the_next(self, tmp_path):
        track = {"time_point_start": 0, "coords_xyz_px": [[1, 2, 3]] * 4, "link_meta": {"cost": [5, 6, 7]}}
        nuclei = self.read(tmp_path, positions=points(1, 2, 3, times=(0, 1, 2, 3)), tracks=[track])
        assert nuclei.links.tolist() == [[1, 2], [2, 3], [3, 4]]
        assert nuclei.link_properties["cost"].tolist() == [5, 6, 7]

    def test_a_gap_at_the_beginning_of_a_track_is_left_out(self, tmp_path):
        positions = points(1, 2, 3, times=(0, 1))
        positions[0]["position_meta"] = {"anlage_filled": [True]}
        track = {"time_point_start": 0, "coords_xyz_px": [[1, 2, 3], [1, 2, 3]]}
        nuclei = self.read(tmp_path, positions=positions, tracks=[track])
        assert nuclei.positions.tolist() == [[1, 3, 2, 1]]
        assert not len(nuclei.links)

    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            ([5, 2], [5, 2]), ([1, 2**63 - 1], [1, 2**63 - 1]), ([0, 2], [1, 2]), ([7, 7], [1, 2]), ([7, None], [1, 2]),
            (["7", 2], [1, 2]), ([True, 2], [1, 2]), ([-3, 2], [1, 2]),
        ],
    )  # fmt: skip
    def test_ids_are_ours_or_counted(self, given, expected, tmp_path):
        positions = [{"time_point": 0, "coords_xyz_px": [[1, 2, 3], [4, 5, 6]], "position_meta": {"id": given}}]
        nuclei = self.read(tmp_path, positions=positions)
        assert nuclei.ids.tolist() == expected
        assert "id" not in nuclei.properties

    def test_an_id_beyond_64_bits_is_refused(self, tmp_path):
        positions = [{"time_point": 0, "coords_xyz_px": [[1, 2, 3]], "position_meta": {"id": [2**63]}}]
        with pytest.raises(AnlageError, match=f"The id {2**63} is above {2**63 - 1}"):
            self.read(tmp_path, positions=positions)

    @pytest.mark.parametrize(
        ("values", "expected", "kind"),
        [
            ([2**63 - 1, -(2**63) + 1], [2**63 - 1, -(2**63) + 1], "i"),
            ([2**53, 0.5], [2.0**53, 0.5], "f"),
            ([2**53, None], [2.0**53, np.nan], "f"),
            ([2**53 + 1, 0.5], ["9007199254740993", "0.5"], "U"),
            ([2**63, 1], ["9223372036854775808", "1"], "U"),
            (["a", None], ["a", ""], "U"),
            ([[1, 2], "b"], ["[1, 2]", "b"], "U"),
            ([True, False], [1, 0], "f"),
        ],
    )
    def test_columns_keep_their_values(self, values, expected, kind, tmp_path):
        positions = [{"time_point": 0, "coords_xyz_px": [[1, 2, 3], [4, 5, 6]], "position_meta": {"thing": values}}]
        column = self.read(tmp_path, positions=positions).properties["thing"]
        assert column.dtype.kind == kind
        np.testing.assert_array_equal(column, expected)

    def test_columns_of_ours_are_taken_only_if_they_are_of_their_kind(self, tmp_path):
        meta = {
            "label": [2**53 + 1, None], "radius_um": ["wide", "narrow"], "origin": [1, 2], "probability": [0.5, None],
            "state": [None, 2],
        }  # fmt: skip
        positions = [{"time_point": 0, "coords_xyz_px": [[1, 2, 3], [4, 5, 6]], "position_meta": meta}]
        nuclei = self.read(tmp_path, positions=positions)
        assert nuclei.label.tolist() == [2**53 + 1, 0]
        assert np.isnan(nuclei.radius_um).all()
        assert nuclei.origin.tolist() == ["model", "human"]
        np.testing.assert_array_equal(nuclei.probability, [0.5, np.nan])
        assert nuclei.state.tolist() == [State.PROPOSED, State.REJECTED]
        assert not nuclei.properties
        meta = {"radius_um": [2.5, None], "origin": ["m-1", "human"]}
        positions = [{"time_point": 0, "coords_xyz_px": [[1, 2, 3], [4, 5, 6]], "position_meta": meta}]
        nuclei = self.read(tmp_path, positions=positions)
        np.testing.assert_array_equal(nuclei.radius_um, [2.5, np.nan])
        assert nuclei.origin.tolist() == ["m-1", "human"]

    def test_no_positions_are_a_file_of_none(self, tmp_path):
        image = TimeLapse.of(np.zeros((2, 8, 40, 40), np.uint8), "tzyx", source="a")
        assert len(self.read(tmp_path, image=image)) == 0
        write_annotations(tmp_path / "b.aut", Annotations.of([]), spacing=SPACING)
        assert len(open_annotations(tmp_path / "b.aut")) == 0

    @pytest.mark.parametrize(
        ("resolution", "expected"),
        [
            ({"x_um": 0.25, "y_um": 0.5, "z_um": 2, "t_m": 1.5}, (Spacing(2, 0.5, 0.25), 90)),
            ({"x_um": 0.25, "y_um": 0.5, "z_um": 2, "t_m": 0}, (Spacing(2, 0.5, 0.25), None)),
            ({"x_um": 0.25, "y_um": 0.5, "z_um": 2, "t_m": -1}, (Spacing(2, 0.5, 0.25), None)),
            ({"x_um": 0.25, "y_um": 0.5, "z_um": 2}, (Spacing(2, 0.5, 0.25), None)),
            ({"x_um": 0.25, "y_um": 0.5, "t_m": 1}, (None, 60)),
            ({"x_um": 0.25, "y_um": -0.5, "z_um": 2}, (None, None)),
            ({"x_um": 0, "y_um": 0.5, "z_um": 2}, (None, None)),
            (None, (None, None)),
        ],
    )
    def test_sizes_above_zero_are_the_scale(self, resolution, expected, tmp_path):
        (tmp_path / "a.aut").write_text(json.dumps({"version": "v2", "image_resolution": resolution}))
        assert own_scale(tmp_path / "a.aut") == expected

    def written(self, folder: Path, nuclei: Annotations, **scale) -> dict:
        write_annotations(folder / "a.aut", nuclei, **scale)
        data = json.loads((folder / "a.aut").read_text())
        assert data.pop("version") == "v2"
        assert data.pop("name") == "a"
        return data

    def test_tracks_are_written_with_their_gaps_filled(self, tmp_path):
        positions = [(0, 0, 0, 0), (3, 3, 6, 9), (4, 3, 6, 9), (4, 4, 6, 9), (6, 6, 8, 9), (0, 7, 7, 7)]
        nuclei = Annotations.of(
            positions, links=[(1, 2), (2, 3), (2, 4), (4, 5)], link_properties={"cost": np.array([0.5, 1, np.nan, 2])}
        )
        data = self.written(tmp_path, nuclei, spacing=SPACING)
        assert data["image_resolution"] == {"x_um": 0.25, "y_um": 0.5, "z_um": 2.0, "t_m": 0}
        assert data["tracks"] == [
            {"time_point_start": 0, "coords_xyz_px": [[0, 0, 0], [3, 2, 1], [6, 4, 2], [9, 6, 3]], "link_meta": {"cost": [0.5] * 3}},
            {"time_point_start": 4, "coords_xyz_px": [[9, 6, 3]], "coords_xyz_px_before": [[9, 6, 3]], "link_meta_before": {"cost": [1]}},
            {"time_point_start": 4, "coords_xyz_px": [[9, 6, 4], [9, 7, 5], [9, 8, 6]], "link_meta": {"cost": [2, 2]},
             "coords_xyz_px_before": [[9, 6, 3]]},
        ]  # fmt: skip
        assert data["positions"][0] == {
            "time_point": 0, "coords_xyz_px": [[0, 0, 0], [7, 7, 7]], "position_meta": {"id": [1, 6]}
        }  # fmt: skip
        assert data["positions"][1] == {
            "time_point": 1, "coords_xyz_px": [[3, 2, 1]], "position_meta": {"anlage_filled": [True]}
        }  # fmt: skip
        assert [frame["time_point"] for frame in data["positions"]] == [0, 1, 2, 3, 4, 5, 6]
        assert data["positions"][5]["position_meta"] == {"anlage_filled": [True]}
        same_graph(open_annotations(tmp_path / "a.aut"), nuclei)

    def test_a_gap_before_a_daughter_belongs_to_her_track(self, tmp_path):
        nuclei = Annotations.of(
            [(0, 0, 0, 0), (3, 3, 3, 3), (1, 0, 0, 9)], links=[(1, 2), (1, 3)],
            link_properties={"probability": np.array([0.5, np.nan])},
        )  # fmt: skip
        mother, one, other = self.written(tmp_path, nuclei)["tracks"]
        assert mother == {"time_point_start": 0, "coords_xyz_px": [[0, 0, 0]]}
        assert one == {"time_point_start": 1, "coords_xyz_px": [[9, 0, 0]], "coords_xyz_px_before": [[0, 0, 0]]}
        assert other == {
            "time_point_start": 1, "coords_xyz_px": [[1, 1, 1], [2, 2, 2], [3, 3, 3]], "coords_xyz_px_before": [[0, 0, 0]],
            "link_meta": {"link_probability": [0.5] * 2, "marginal_probability": [0.5] * 2},
            "link_meta_before": {"link_probability": [0.5], "marginal_probability": [0.5]},
        }  # fmt: skip

    def test_only_columns_with_something_in_them_are_written(self, tmp_path):
        nuclei = Annotations.of([(0, 1, 2, 3), (0, 4, 5, 6)], radius_um=[2.5, np.nan], properties={"shape": np.ones((2, 3)), "state": np.array([9, 9]), "word": np.array(["a", "b"])})  # fmt: skip
        (frame,) = self.written(tmp_path, nuclei)["positions"]
        assert frame["position_meta"] == {"id": [1, 2], "radius_um": [2.5, None], "word": ["a", "b"]}
        nuclei = Annotations.of([(0, 1, 2, 3), (0, 4, 5, 6)], label=[0, 3], state=[1, 2], origin=["human", "m-1"])
        (frame,) = self.written(tmp_path, nuclei)["positions"]
        assert frame["position_meta"] == {
            "id": [1, 2], "label": [0, 3], "origin": ["human", "m-1"], "state": [1, 2]
        }  # fmt: skip

    def test_columns_of_links_are_written_one_value_a_link(self, tmp_path):
        nuclei = Annotations.of([(0, 1, 2, 3), (1, 1, 2, 3)], links=[(1, 2)], link_properties={"way": np.ones((1, 2))})
        (track,) = self.written(tmp_path, nuclei)["tracks"]
        assert track == {"time_point_start": 0, "coords_xyz_px": [[3, 2, 1], [3, 2, 1]]}

    def test_gaps_that_would_need_too_many_positions_are_refused(self, tmp_path):
        nuclei = Annotations.of([(5, 1, 2, 3), (200_007, 1, 2, 3)], links=[(1, 2)])
        with pytest.raises(AnlageError, match=r"in an \.aut, is 200,001, and at most 200,000 is read"):
            write_annotations(tmp_path / "a.aut", nuclei)

    def test_tracks_that_contradict_themselves_are_not_written(self, tmp_path):
        nuclei = Annotations.of([(0, 1, 2, 3), (0, 4, 5, 6), (1, 1, 2, 3)], links=[(1, 3), (2, 3)])
        with pytest.raises(AnlageError, match="2 parents"):
            write_annotations(tmp_path / "a.aut", nuclei)

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
