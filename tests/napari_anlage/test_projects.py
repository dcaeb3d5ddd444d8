"""Projects in the viewer: made when something is annotated, opened with everything that was there, killed without loss."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel

from anlage import AddNuclei, AnlageError, Box, Project, Spacing, Use, open_image, write_image
from napari_anlage.session.session import Session
from napari_anlage.viewer import layer_roles
from napari_anlage.viewer.open_movie import add_image

SHAPE = (4, 8, 40, 44)


@pytest.fixture
def movie(tmp_path: Path) -> Path:
    """An image on the disk."""
    path = tmp_path / "movie.ome.zarr"
    frames = (np.full((1, *SHAPE[1:]), t, np.uint16) for t in range(SHAPE[0]))
    write_image(path, frames, spacing=Spacing(2, 0.5, 0.5), interval_s=60.0, channels=("a",))
    return path


def work_on(movie: Path) -> Session:
    viewer = ViewerModel()
    session = Session.of(viewer)
    session.choose_image(add_image(viewer, open_image(movie), movie))
    session.kept = viewer  # a session lives as long as its viewer
    return session


def roles(session: Session) -> set[str | None]:
    return {layer_roles.role_of(layer) for layer in session.viewer.layers}


def test_nothing_is_written_before_something_is_annotated(movie: Path) -> None:
    session = work_on(movie)
    assert session.folder == movie.parent / "movie.anlage"
    assert session.project is None
    assert not session.folder.exists()
    session.need_document()
    assert Project.is_project(session.folder)
    assert session.project.image_path == movie
    session.close()


def test_an_opened_project_brings_image_layers_regions_and_history(movie: Path) -> None:
    first = work_on(movie)
    editor = first.need_editor()
    editor.show_nuclei().add(editor.place.to_points(np.array([1.0, 2, 10, 11])))
    editor.show_labels().paint((2, 3, 20, 20), 5)
    number = first.bench.add_region(Box.of((0, 0, 2, 3), (3, 8, 30, 40)))
    first.bench.change_region(number, name="head", complete=False, use=Use.VALIDATION)
    first.set_diameter(6.5)
    first.close()
    assert roles(first) == {None}

    viewer = ViewerModel()
    second = Session.of(viewer)
    second.open_project(first.folder)
    assert [layer.name for layer in second.image_layers()] == ["movie"]
    assert second.scaled_image().spacing == Spacing(2, 0.5, 0.5)
    assert second.diameter_um == 6.5
    assert roles(second) == {None, "nuclei", "links", "painted labels", "cuboid"}
    assert second.annotations().positions.tolist() == [[1, 2, 10, 11], [2, 3, 20, 20]]
    (region,) = second.regions
    assert (region.name, region.complete, region.use) == ("head", False, Use.VALIDATION)
    assert second.document.undo_text == "change the region 'head'"
    second.close()


def test_a_measured_diameter_is_that_of_new_nuclei(movie: Path) -> None:
    session = work_on(movie)
    editor = session.need_editor()
    layer = editor.show_nuclei()
    layer.add(editor.place.to_points(np.array([1.0, 2, 10, 11])))
    session.set_diameter(7.0)
    assert layer.size.tolist() == [7.0]
    layer.add(editor.place.to_points(np.array([1.0, 2, 30, 30])))
    assert np.isnan(session.document.nuclei.radius_um[0])
    assert session.document.nuclei.radius_um[1] == 3.5
    session.close()


def test_emptying_the_viewer_keeps_the_project(movie: Path) -> None:
    session = work_on(movie)
    session.need_document().apply(AddNuclei([1], [(0, 1, 2, 3)]))
    session.need_editor().show_labels()
    session.bench.add_region(Box.of((0, 0, 0, 0), (1, 2, 3, 4)))
    session.viewer.layers.clear()
    assert session.editor is None
    session.choose_image(add_image(session.viewer, open_image(movie), movie))
    assert roles(session) == {None, "nuclei", "links", "painted labels", "cuboid"}
    session.close()


def test_a_second_napari_is_told_that_the_project_is_in_use(movie: Path) -> None:
    first = work_on(movie)
    first.need_document()
    with pytest.raises(AnlageError, match="open"):
        Session.of(ViewerModel()).open_project(first.folder)
    first.close()


def test_a_missing_image_is_asked_for_and_found_again(movie: Path) -> None:
    session = work_on(movie)
    session.need_document().apply(AddNuclei([1], [(0, 1, 2, 3)]))
    session.close()
    gone = movie.rename(movie.with_name("elsewhere.ome.zarr"))
    viewer = ViewerModel()
    again = Session.of(viewer)
    said: list[str] = []
    again.said.connect(lambda text, kind: said.append(text))
    again.open_project(session.folder)
    assert "movie.ome.zarr' is gone; open the image in napari" in said[-1]
    assert again.editor is None
    again.choose_image(add_image(viewer, open_image(gone), gone))
    assert roles(again) == {None, "nuclei", "links"}
    again.close()


def test_a_layer_of_points_is_taken_over_when_annotation_goes_on(movie: Path) -> None:
    session = work_on(movie)
    world = np.array([session.image_layer.data_to_world(p) for p in ((0, 1, 10, 10), (1, 1, 12, 12))])
    points = session.viewer.add_points(
        world, units=("s", "µm", "µm", "µm"), features={"radius_um": [2.0, 3.0]}, name="mine"
    )
    session.choose_nuclei(points)
    assert not session.uses_document
    session.need_document()
    assert session.uses_document
    assert not points.visible
    nuclei = session.annotations()
    np.testing.assert_allclose(nuclei.positions, [[0, 1, 10, 10], [1, 1, 12, 12]])
    assert nuclei.radius_um.tolist() == [2, 3]
    assert session.document.undo_text == "take over 2 nuclei from 'mine'"
    session.close()


def test_painted_labels_and_tracks_are_taken_over_beside_what_is_there(movie: Path) -> None:
    session = work_on(movie)
    grid = {"scale": (60, 2, 0.5, 0.5), "units": ("s", "µm", "µm", "µm")}
    data = np.zeros(SHAPE, np.uint16)
    data[0, 2:4, 10:14, 10:14] = 1
    data[1, 2:4, 12:16, 10:14] = 1
    data[1, 2:4, 30:33, 30:33] = 2
    labels = session.viewer.add_labels(data, name="theirs", **grid)
    document = session.need_document()
    session.bench.adopt(labels, session.read(labels))
    session.bench.adopt(labels, session.read(labels))  # twice: what is painted stays
    nuclei = document.nuclei
    assert sorted(np.unique(np.asarray(document.painted[:])).tolist()) == [0, 1, 2]
    assert len(nuclei) == 6
    assert nuclei.links.tolist() == [[1, 2], [4, 5]]
    assert nuclei.label[:3].tolist() == [1, 1, 2]
    document.undo()
    tracks = session.viewer.add_tracks(
        [[7, 0, 1, 5, 5], [7, 1, 1, 5, 6], [8, 2, 1, 5, 7], [9, 2, 1, 5, 3]], graph={8: [7], 9: [7]}, **grid
    )
    session.bench.adopt(tracks, session.read(tracks))
    assert len(document.nuclei) == 7
    assert len(document.nuclei.divisions) == 1
    while document.undo():
        pass
    assert len(document.nuclei) == 0
    assert not np.asarray(document.painted[:]).any()
    session.viewer.layers.remove(labels)
    session.close()


@pytest.mark.long
@pytest.mark.viewer
def test_kill_9_while_annotating_loses_nothing_that_was_done(movie: Path, tmp_path: Path, qapp: Any) -> None:
    """A real napari, killed at any moment: what its last line said is there again, to the last voxel."""
    folder = tmp_path / "killed.anlage"
    script = Path(__file__).with_name("annotator.py")
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", str(script), str(movie), str(folder)], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        lines, end = [], time.monotonic() + 240
        while len(lines) < 40 and time.monotonic() < end:
            lines.append(child.stdout.readline())
            assert lines[-1], "napari ended by itself"
        child.send_signal(signal.SIGKILL)
        lines += child.stdout.read().splitlines(keepends=True)  # what it still said
    told = []
    for line in lines:
        with contextlib.suppress(json.JSONDecodeError):  # the last one may be torn
            told.append(json.loads(line))
    viewer = ViewerModel()
    session = Session.of(viewer)
    session.open_project(folder)
    last, shown = told[-1], len(session.editor.nuclei.layer.data)
    assert shown == len(session.document.nuclei)
    # one more edit may have been done than there was time to say; then last is a step away, back or forth
    document = session.document
    for step in (lambda: None, document.undo, lambda: (document.redo(), document.redo())):
        step()
        if state(session) == {name: last[name] for name in state(session)}:
            break
    assert state(session) == {name: last[name] for name in state(session)}
    assert len(last["ids"]) > 10
    assert last["painted"] > 0
    assert roles(session) == {None, "nuclei", "links", "painted labels", "cuboid"}
    session.close()


def state(session: Session) -> dict[str, Any]:
    document = session.document
    nuclei = document.nuclei
    return {
        "ids": nuclei.ids.tolist(), "positions": nuclei.positions.tolist(), "links": nuclei.links.tolist(),
        "label": nuclei.label.tolist(), "painted": int(np.asarray(document.painted[:]).astype(np.int64).sum()),
    }  # fmt: skip
