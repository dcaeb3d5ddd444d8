"""GEFF, our own and that of others."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import geff
import numpy as np
import pytest
import traccuracy
import zarr
from geff.core_io import write_arrays
from geff.validate.data import ValidationConfig
from geff_spec import Axis

from anlage import AnlageError, Annotations, Spacing, State, TimeLapse
from anlage.io import open_annotations, write_annotations
from anlage.io.nuclei_files.geff_graphs import graph_scale, read_graph, time_reading, write_graph

NUCLEI = Annotations.of(
    [[0, 1, 5, 5], [1, 1, 6, 6.5], [1, 2, 7, 7]], ids=[5, 9, 2], links=[[5, 9], [5, 2]], radius_um=[3, np.nan, 4.5],
    label=[1, 0, 8], probability=[np.nan, 0.25, np.nan], state=[State.ACCEPTED, State.PROPOSED, State.REJECTED],
    origin=["human", "m-1", "human"],
    properties={"n": np.array([4, 5, 6]), "word": np.array(["a", "", "µ"]), "f": np.array([1, np.nan, 2])},
)  # fmt: skip


def foreign(
    path: Path,
    axes: list[Axis],
    props: dict[str, list[float]],
    edges: list[list[int]],
    *,
    ids: Any = None,
    **options: Any,
) -> Path:
    n = len(next(iter(props.values())))
    metadata = geff.GeffMetadata(
        directed=options.pop("directed", True), axes=axes or None, node_props_metadata={}, edge_props_metadata={}
    )
    write_arrays(
        path, np.array(ids if ids is not None else range(n), np.uint64),
        {name: {"values": np.array(values, float), "missing": None} for name, values in props.items()},
        np.array(edges, np.uint64).reshape(-1, 2), {}, metadata, **options,
    )  # fmt: skip
    return path


def test_everything_comes_back_and_geff_finds_it_valid(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.geff"
    write_annotations(path, NUCLEI, spacing=Spacing(2, 0.5, 0.25), interval_s=30)
    geff.validate_structure(path)
    assert zarr.open_group(path, mode="r").metadata.zarr_format == 3
    found = open_annotations(path)
    for name in ("ids", "positions", "radius_um", "label", "probability", "state", "origin", "links"):
        np.testing.assert_array_equal(getattr(found, name), getattr(NUCLEI, name), err_msg=name)
    for name, values in NUCLEI.properties.items():
        np.testing.assert_array_equal(found.properties[name], values, err_msg=name)
    assert graph_scale(path) == (Spacing(2, 0.5, 0.25), 30)


def test_other_programs_read_it(tmp_path: Path) -> None:
    write_annotations(tmp_path / "a.geff", NUCLEI, spacing=Spacing(2, 0.5, 0.25), interval_s=30)
    graph, metadata = geff.read(tmp_path / "a.geff")
    assert sorted(graph.edges) == [(5, 2), (5, 9)]
    assert graph.nodes[9]["x"] == 6.5
    assert [(a.name, a.unit, a.scale, a.scaled_unit) for a in metadata.axes] == [
        ("t", "frame", 30, "second"), ("z", "pixel", 2, "micrometer"), ("y", "pixel", 0.5, "micrometer"),
        ("x", "pixel", 0.25, "micrometer"),
    ]  # fmt: skip


def test_an_empty_graph_is_valid(tmp_path: Path) -> None:
    write_annotations(tmp_path / "a.geff", Annotations.of([]))
    geff.validate_structure(tmp_path / "a.geff")
    assert len(open_annotations(tmp_path / "a.geff")) == 0
    assert graph_scale(tmp_path / "a.geff") == (None, None)


def test_writing_again_replaces(tmp_path: Path) -> None:
    write_annotations(tmp_path / "a.geff", NUCLEI)
    write_annotations(tmp_path / "a.geff", NUCLEI.select(np.array([0])))
    assert len(open_annotations(tmp_path / "a.geff")) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["a.geff"]


def test_a_graph_inside_another_zarr_is_found(tmp_path: Path) -> None:
    store = zarr.create_group(tmp_path / "store.zarr")
    store.create_array("image", data=np.zeros((2, 1, 4, 10, 10), np.uint8))
    write_graph(tmp_path / "store.zarr" / "graph", NUCLEI, Spacing(2, 1, 1))
    assert len(open_annotations(tmp_path / "store.zarr")) == 3
    np.testing.assert_array_equal(read_graph(tmp_path / "store.zarr" / "graph").ids, NUCLEI.ids)


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_positions_in_um_become_voxels(tmp_path: Path, zarr_format: int) -> None:
    axes = [
        Axis(name="time", type="time", unit="minute"), Axis(name="z", type="space", unit="micrometer"),
        Axis(name="y", type="space", unit="nanometer"), Axis(name="x", type="space", unit="micrometer"),
    ]  # fmt: skip
    props = {"time": [0, 0.5, 1], "z": [4, 6, 2], "y": [1000, 2000, 500], "x": [1, 2, 3]}
    path = foreign(tmp_path / "a.geff", axes, props, [[0, 1], [1, 2]], zarr_format=zarr_format)
    image = TimeLapse.of(np.zeros((3, 5, 20, 20), np.uint8), spacing=Spacing(2, 0.5, 0.25), interval_s=30)
    found = open_annotations(path, image=image)
    assert found.positions.tolist() == [[0, 2, 2, 4], [1, 3, 4, 8], [2, 1, 1, 12]]
    assert found.frames.tolist() == [0, 1, 2]
    with pytest.raises(AnlageError, match=r"gives z in micrometer, so the voxel size .* say it with --spacing Z,Y,X"):
        open_annotations(path, interval_s=30)


@pytest.mark.parametrize(
    ("times", "frames", "said"),
    [
        ([0, 300, 900, 900], [0, 1, 3, 3], "300 second apart"),
        ([600, 1200], [1, 2], "600 second apart"),
        ([50, 350.2, 649.9], [0, 1, 2], "299.95 second apart"),
        ([0, 100, 250], [0, 1, 2], "no common step"),
        ([0], [0], "no common step"),
        ([120], [0], "no common step"),
    ],
)
def test_times_in_seconds_become_frames_though_the_interval_is_unknown(
    tmp_path: Path, times: list[float], frames: list[int], said: str
) -> None:
    axes = [Axis(name="t", type="time", unit="second"), *(Axis(name=a, type="space", unit="pixel") for a in "yx")]
    n = [1.0] * len(times)
    path = foreign(tmp_path / "a.geff", axes, {"t": times, "y": n, "x": n}, [])
    assert open_annotations(path).frames.tolist() == frames
    assert said in str(time_reading(path))
    assert "say --interval S" in str(time_reading(path))
    write_annotations(tmp_path / "ours.geff", NUCLEI, interval_s=30)
    assert time_reading(tmp_path / "ours.geff") is None, "in frames"


def test_the_id_zero_gets_a_number(tmp_path: Path) -> None:
    path = foreign(tmp_path / "a.geff", [], {"t": [0, 1], "y": [1, 2], "x": [3, 4]}, [[0, 1]])
    found = open_annotations(path)
    assert found.ids.tolist() == [2, 1]
    assert found.links.tolist() == [[2, 1]]


def test_edges_without_direction_run_forward_in_time(tmp_path: Path) -> None:
    props = {"t": [1, 0], "y": [1, 2], "x": [3, 4]}
    undirected = foreign(tmp_path / "a.geff", [], props, [[1, 2]], ids=[1, 2], directed=False)
    assert open_annotations(undirected).links.tolist() == [[2, 1]]
    directed = foreign(tmp_path / "b.geff", [], props, [[1, 2]], ids=[1, 2])
    backward = open_annotations(directed)
    assert len(backward.links) == 0
    assert backward.notes == ("1 link of 'b.geff' was left out: 1 not forward in time (1 → 2).",)


@pytest.mark.parametrize("names", ["POSITION_{}", "centre_{}"])
def test_axes_with_names_of_their_own(tmp_path: Path, names: str) -> None:
    named = [names.format(a) for a in "ZYX"]
    axes = [Axis(name="FRAME", type="time", unit="frame"), *(Axis(name=n, type="space") for n in named)]
    path = foreign(tmp_path / "a.geff", axes, {"FRAME": [0], named[0]: [1], named[1]: [2], named[2]: [3]}, [])
    assert open_annotations(path).positions.tolist() == [[0, 1, 2, 3]]


def test_a_graph_without_time_is_refused(tmp_path: Path) -> None:
    path = foreign(tmp_path / "a.geff", [], {"y": [1], "x": [3]}, [])
    with pytest.raises(AnlageError, match=r"has no axis t; it has x, y"):
        open_annotations(path)


def test_a_broken_graph_is_one_sentence(tmp_path: Path) -> None:
    write_annotations(tmp_path / "a.geff", NUCLEI)
    shutil.rmtree(tmp_path / "a.geff" / "nodes" / "props" / "x")
    with pytest.raises(AnlageError, match=r"a\.geff' cannot be read \(.*x.*\)") as caught:
        open_annotations(tmp_path / "a.geff")
    assert "\n" not in str(caught.value)


@pytest.mark.data
def test_a_real_lineage(shared_data: Callable[[str], Path], tmp_path: Path) -> None:
    found = open_annotations(shared_data("ce-lineage-only") / "Fluo-N3DH-CE_01_GT.geff")
    assert (len(found), len(found.links), len(found.divisions)) == (23802, 23798, 358)
    assert found.frames.max() == 194
    write_annotations(tmp_path / "a.csv", found)
    again = open_annotations(tmp_path / "a.csv")
    np.testing.assert_allclose(again.positions, found.positions, atol=1e-4)
    assert set(map(tuple, again.links.tolist())) == set(map(tuple, found.links.tolist()))
    np.testing.assert_array_equal(again.properties["tracklet_id"], found.properties["tracklet_id"])


def test_probabilities_of_links_come_back(tmp_path: Path) -> None:
    probability = np.array([0.75, np.nan])
    made = Annotations.of(
        [(0, 0, 1, 1), (1, 0, 1, 1), (2, 0, 1, 1)], links=[(1, 2), (2, 3)], link_properties={"probability": probability}
    )
    write_annotations(tmp_path / "tracks.geff", made)
    geff.validate_structure(tmp_path / "tracks.geff")
    read = open_annotations(tmp_path / "tracks.geff")
    np.testing.assert_array_equal(read.link_properties["probability"], probability)


@pytest.mark.parametrize("version", [2, 3])
def test_candidates_that_a_tracker_did_not_choose_are_left_out(tmp_path: Path, version: int) -> None:
    axes = [Axis(name=n, type="time" if n == "t" else "space") for n in "tyx"]
    props = {n: {"values": np.array([0.0, 1.0, 1.0, 2.0]), "missing": None} for n in "tyx"}
    props["solution"] = {"values": np.array([True, True, False, True]), "missing": None}
    edges = np.array([[1, 2], [1, 3], [2, 4], [1, 4]], np.uint64)
    chosen = {"solution": {"values": np.array([True, True, True, False]), "missing": None}}
    metadata = geff.GeffMetadata(directed=True, axes=axes, node_props_metadata={}, edge_props_metadata={})
    write_arrays(
        str(tmp_path / "a.geff"), np.array([1, 2, 3, 4], np.uint64), props, edges, chosen, metadata, zarr_format=version
    )
    found = open_annotations(tmp_path / "a.geff")
    assert found.ids.tolist() == [1, 2, 4]
    assert found.links.tolist() == [[1, 2], [2, 4]]
    assert found.notes == (
        "Candidates in 'a.geff' that its tracker did not choose (solution = false) were left out: 1 nucleus and 2 links.",
    )


FAMILY = Annotations.of(
    [[0, 1, 5, 5], [1, 1, 6, 6], [2, 1, 4, 6], [2, 1, 8, 6], [3, 1, 8, 7], [0, 3, 1, 1]],
    ids=[5, 9, 2, 7, 30, 4], links=[[5, 9], [9, 2], [9, 7], [7, 30]], radius_um=4.0,
)  # fmt: skip


def test_tracks_lineages_spheres_and_axes_are_said_as_other_programs_read_them(tmp_path: Path) -> None:
    path = tmp_path / "a.geff"
    write_annotations(path, FAMILY, spacing=Spacing(2, 0.5, 0.25), interval_s=30)
    everything = ValidationConfig(graph=True, sphere=True, lineage=True, tracklet=True)
    read = geff.core_io.read_to_memory(str(path), data_validation=everything)  # geff's own checks, of each number
    about = read["metadata"]
    assert about.track_node_props == {"tracklet": "tracklet_id", "lineage": "lineage_id"}
    assert (about.sphere, about.display_hints.display_horizontal, about.display_hints.display_time) == (
        "radius_um",
        "x",
        "t",
    )
    assert [(axis.scale, axis.scaled_unit) for axis in about.axes] == [
        (30, "second"),
        *[(s, "micrometer") for s in (2, 0.5, 0.25)],
    ]
    tracks, lineages = (read["node_props"][name]["values"].tolist() for name in ("tracklet_id", "lineage_id"))
    assert [len(set(numbers)) for numbers in (tracks, lineages)] == [4, 2]
    assert tracks[0] == tracks[1] != tracks[3] == tracks[4]
    # a graph of networkx, as motile takes it, in a program that scores tracks
    graph, _ = geff.read(str(path), backend="networkx")
    foreign_graph = traccuracy.TrackingGraph(graph, frame_key="t", location_keys=("z", "y", "x"))
    assert foreign_graph.get_divisions() == [9]
    assert sorted(foreign_graph.edges) == sorted(map(tuple, FAMILY.links.tolist()))
    assert not open_annotations(path).properties  # links say it


def test_numbers_of_tracks_follow_the_links_after_an_edit(tmp_path: Path) -> None:
    write_annotations(tmp_path / "a.geff", FAMILY, spacing=Spacing(2, 0.5, 0.25))
    cut = replace(open_annotations(tmp_path / "a.geff"), links=FAMILY.links[:1], link_properties={})
    write_annotations(tmp_path / "b.geff", cut)
    read = geff.core_io.read_to_memory(str(tmp_path / "b.geff"))
    assert len(set(read["node_props"]["lineage_id"]["values"].tolist())) == 5
    assert read["metadata"].sphere is None  # µm mean nothing where no voxel size is known


def test_numbers_of_tracks_of_another_program_are_kept(tmp_path: Path) -> None:
    write_annotations(tmp_path / "a.geff", FAMILY)
    group = zarr.open_group(tmp_path / "a.geff", mode="r+")
    del group.attrs["anlage"]
    assert set(open_annotations(tmp_path / "a.geff").properties) == {"tracklet_id", "lineage_id"}
