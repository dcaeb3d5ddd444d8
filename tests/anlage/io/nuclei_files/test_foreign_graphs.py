"""Graphs of other programs with an edge that cannot be: the rest is read, and it is said."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from anlage import AnlageError, Annotations, Spacing, TimeLapse
from anlage.io import open_annotations, write_annotations
from anlage.io.nuclei_files.foreign_graphs import with_sound_links, without_zero

PLACES = [(0, 0, 5, 5), (1, 0, 5, 6), (1, 0, 9, 9), (2, 0, 5, 7)]
B = 2**63 - 1


@pytest.mark.parametrize(
    ("link", "why"),
    [
        ((2, 99), "1 to a nucleus that is not there (2 → 99)"), ((99, 2), "1 to a nucleus that is not there (99 → 2)"),
        ((4, 2), "1 not forward in time (4 → 2)"), ((2, 3), "1 not forward in time (2 → 3)"),
        ((2, 2), "1 not forward in time (2 → 2)"), ((1, 2), "1 stated twice (1 → 2)"),
        ((3, 4), "1 from a second parent, of which the nearest was kept (3 → 4)"),
    ],
)  # fmt: skip
def test_a_bad_link_is_left_out_and_said(link: tuple[int, int], why: str) -> None:
    found = with_sound_links(Annotations.of(PLACES, links=[(1, 2), (2, 4), link]), "a.xml")
    assert sorted(map(tuple, found.links.tolist())) == [(1, 2), (2, 4)]
    assert found.notes == (f"1 link of 'a.xml' was left out: {why}.",)


def test_of_three_daughters_the_two_nearest_are_kept_with_their_columns() -> None:
    nuclei = Annotations.of(
        [(0, 0, 5, 5), (1, 0, 5, 5), (1, 0, 5, 30), (1, 0, 5, 6)], links=[(1, 2), (1, 3), (1, 4)],
        link_properties={"probability": np.array([0.25, 0.5, 0.75])},
    )  # fmt: skip
    found = with_sound_links(nuclei, "a.geff")
    assert found.links.tolist() == [[1, 2], [1, 4]]
    assert found.link_properties["probability"].tolist() == [0.25, 0.75]
    assert "third daughter" in found.notes[0]


def test_a_graph_that_is_mostly_wrong_is_refused_as_a_whole(tmp_path: Path) -> None:
    text = "".join(
        f'<Spot ID="{i}" FRAME="{i}" POSITION_X="1" POSITION_Y="1" POSITION_Z="0" VISIBILITY="1"/>'
        for i in range(1, 30)
    )
    edges = "".join(f'<Edge SPOT_SOURCE_ID="{i}" SPOT_TARGET_ID="{i + 500}"/>' for i in range(1, 20))
    (tmp_path / "a.xml").write_text(
        f'<TrackMate><Model spatialunits="pixel"><AllSpots>{text}</AllSpots><AllTracks><Track TRACK_ID="0">{edges}</Track>'
        "</AllTracks></Model></TrackMate>"
    )
    with pytest.raises(AnlageError, match=r"linked to the nucleus 501, which does not exist\. \(18 more problems"):
        open_annotations(tmp_path / "a.xml")


def test_zero_becomes_a_number_that_is_free() -> None:
    ids, links = without_zero(np.array([0, 7]), np.array([[0, 7]]))
    assert (ids.tolist(), links.tolist()) == ([8, 7], [[8, 7]])
    ids, links = without_zero(np.array([0, B, B - 1]), np.array([[0, B]]))
    assert (ids.tolist(), links.tolist()) == ([B - 2, B, B - 1], [[B - 2, B]])


def test_links_of_an_aut_to_where_nothing_is_are_left_out(tmp_path: Path) -> None:
    positions = [{"time_point": t, "coords_xyz_px": [[1, 2, 3]]} for t in range(3)]
    tracks = [{"time_point_start": 0, "coords_xyz_px": [[1, 2, 3], [1, 2, 3], [9, 9, 9]]}]
    (tmp_path / "a.aut").write_text(json.dumps({"version": "v2", "positions": positions, "tracks": tracks}))
    found = open_annotations(tmp_path / "a.aut")
    assert found.links.tolist() == [[1, 2]]
    assert found.notes == (
        "1 link of 'a.aut' was left out: it leads to [9.0, 9.0, 9.0] in time point 2, where no position is.",
    )


@pytest.mark.parametrize("name", ["a.csv", "a.geff", "a.xml", "a.aut"])
def test_ids_are_exact_in_every_format(name: str, tmp_path: Path) -> None:
    ids, label = [B, B - 1, 2**53 + 1, 2**53], [2**53 + 1, 2**60 + 1, B, 3]
    nuclei = Annotations.of(
        PLACES, ids=ids, links=[(B, B - 1), (B - 1, 2**53)], label=label, properties={"n": np.array([B, B - 1, 2**53 + 1, 5])}
    )  # fmt: skip
    write_annotations(tmp_path / name, nuclei)
    again = open_annotations(tmp_path / name)
    order = [again.ids.tolist().index(i) for i in ids]
    assert sorted(map(tuple, again.links.tolist())) == sorted([(B, B - 1), (B - 1, 2**53)])
    assert again.label[order].tolist() == label
    assert [int(n) for n in again.properties["n"][order]] == [B, B - 1, 2**53 + 1, 5]


def test_larger_ids_are_refused_as_they_stand(tmp_path: Path) -> None:
    from geff.core_io import write_arrays
    from geff_spec import Axis, GeffMetadata

    big = 2**63 + 5
    axes = [Axis(name=n, type="time" if n == "t" else "space") for n in "tyx"]
    props = {n: {"values": np.array([1.0, 2.0]), "missing": None} for n in "tyx"}
    metadata = GeffMetadata(directed=True, axes=axes, node_props_metadata={}, edge_props_metadata={})
    write_arrays(
        str(tmp_path / "a.geff"), np.array([1, big], np.uint64), props, np.array([[1, big]], np.uint64), {}, metadata,
        zarr_format=3,
    )  # fmt: skip
    spot = f'<Spot ID="{big}" FRAME="0" POSITION_X="1" POSITION_Y="1" POSITION_Z="0"/>'
    (tmp_path / "a.xml").write_text(
        f'<TrackMate><Model spatialunits="pixel"><AllSpots>{spot}</AllSpots></Model></TrackMate>'
    )
    at = {"time_point": 0, "coords_xyz_px": [[1, 2, 3]], "position_meta": {"id": [big]}}
    (tmp_path / "a.aut").write_text(json.dumps({"version": "v2", "positions": [at]}))
    for name in ("a.geff", "a.xml", "a.aut"):
        with pytest.raises(AnlageError, match=f"{big}.*9223372036854775807") as caught:
            open_annotations(tmp_path / name)
        assert name in str(caught.value)


@pytest.mark.parametrize("name", ["a.csv", "a.geff", "a.xml", "a.aut"])
def test_a_file_that_contradicts_its_image_says_so(name: str, tmp_path: Path) -> None:
    write_annotations(tmp_path / name, Annotations.of(PLACES), spacing=Spacing(1, 1, 1), interval_s=60)
    data = np.zeros((3, 1, 40, 40), np.uint8)
    image = TimeLapse.of(data, "tzyx", spacing=Spacing(1, 0.5, 0.5), interval_s=30, source="i.tif")
    notes = open_annotations(tmp_path / name, image=image).notes
    if name != "a.csv":
        assert any("the image says 1 × 0.5 × 0.5 µm (z, y, x): they contradict each other" in note for note in notes)
        assert any("says a time step of 60 s, but the image says 30 s" in note for note in notes)
    given = open_annotations(tmp_path / name, image=image.with_scale(Spacing(1, 1.001, 1), 60)).notes
    assert given == ()
    if name == "a.xml":  # its places are in µm
        assert open_annotations(tmp_path / name, image=image).positions[0].tolist() == [0, 0, 10, 10]


@pytest.mark.parametrize("name", ["a.ctc", "a.aut"])
def test_gaps_and_sizes_that_nothing_fills_are_refused_at_once(name: str, tmp_path: Path) -> None:
    far = Annotations.of([(0, 0, 5, 5), (900_000, 0, 5, 5)], links=[(1, 2)])
    with pytest.raises(AnlageError, match="at most"):
        write_annotations(tmp_path / name, far)
    wide = Annotations.of([(0, 0, 5, 5), (0, 99_999, 99_999, 99_999)])
    if name == "a.ctc":
        with pytest.raises(AnlageError, match="number of voxels in a frame"):
            write_annotations(tmp_path / name, wide)
    assert not (tmp_path / name).exists()


def test_masks_of_a_frame_that_no_film_has_are_refused(tmp_path: Path) -> None:
    import tifffile

    for t in (0, 10**9):
        tifffile.imwrite(tmp_path / f"mask{t:03}.tif", np.eye(8, dtype=np.uint16))
    (tmp_path / "res_track.txt").write_text("1 0 0 0\n")
    with pytest.raises(AnlageError, match=r"'mask1000000000\.tif' is 1,000,000,000, and at most 10,000 is read"):
        open_annotations(tmp_path)
