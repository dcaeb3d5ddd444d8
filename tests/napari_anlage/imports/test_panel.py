"""Import …: what was annotated elsewhere comes into the dock, with counts, contradictions and their places."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from napari.components import ViewerModel
from qtpy.QtCore import Qt

from anlage import Annotations, Spacing, write_annotations
from anlage.project.predictions import results
from napari_anlage.imports.panel import Imported, ImportPanel
from napari_anlage.reader import import_reader, project_reader
from napari_anlage.session.session import Session

UM = {"units": ("s", "µm", "µm", "µm"), "scale": (60.0, 1.0, 1.0, 1.0), "axis_labels": tuple("tzyx")}
NUCLEI = Annotations.of([(0, 1, 9, 9), (1, 1, 9, 10), (0, 2, 20, 20)], links=[(1, 2)], radius_um=3)


@pytest.fixture
def panel(qtbot, tmp_path, monkeypatch):
    """The panel over a viewer without a window, whose image is chosen."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    viewer = ViewerModel()
    panel = ImportPanel(Session.of(viewer), takes_drops=True)
    panel.viewer = viewer  # viewers live as long as their windows
    qtbot.addWidget(panel)
    yield panel
    panel._session.close()


def show_image(panel: ImportPanel) -> Session:
    session = panel._session
    session.choose_image(panel.viewer.add_image(np.zeros((2, 4, 30, 30), np.uint8), name="movie", **UM))
    return session


def take(panel: ImportPanel, path: Path, qtbot) -> Imported:
    with qtbot.waitSignals([panel._thread.done], timeout=20_000):
        panel.take(path)
    assert panel._last is not None, panel.line.plain
    return panel._last


def test_without_an_image_it_says_what_to_do(panel, tmp_path) -> None:
    write_annotations(tmp_path / "a.csv", NUCLEI)
    panel.take(tmp_path / "a.csv")
    assert panel.line.plain == "'a.csv' names no image; open its image in napari first, then import it."
    assert panel.button.isEnabled()


@pytest.mark.parametrize("name", ["a.csv", "a.geff", "a.xml", "a.aut", "a.ctc"])
def test_every_format_becomes_annotation_that_can_be_undone(panel, tmp_path, qtbot, name) -> None:
    session = show_image(panel)
    write_annotations(tmp_path / name, NUCLEI, spacing=Spacing(1, 1, 1), shape_tzyx=(2, 4, 30, 30))
    report = take(panel, tmp_path / name, qtbot)
    assert report.headline.startswith(f"{name}: 3 nuclei in 2 frames, 1 link, 0 divisions")
    assert (len(session.document.nuclei), len(session.document.nuclei.links)) == (3, 1)
    session.document.undo()
    assert len(session.document.nuclei) == 0


def test_contradictions_are_listed_and_a_click_goes_to_their_place(panel, tmp_path, qtbot) -> None:
    session = show_image(panel)
    (tmp_path / "a.csv").write_text("id,t,z,y,x,parent_id\n1,0,1,9,9,\n2,1,1,9,10,7\n3,0,2,20,99,\n4,1,2,5,6,\n")
    report = take(panel, tmp_path / "a.csv", qtbot)
    assert "3 nuclei in 2 frames, 0 links, 0 divisions; 2 contradictions left out" in report.headline
    assert panel.list.count() == 2
    assert panel.line.kind == "warning"
    panel.show()
    spot = panel.list.visualItemRect(panel.list.item(0)).center()
    qtbot.mouseClick(panel.list.viewport(), Qt.MouseButton.LeftButton, pos=spot)
    assert session.viewer.dims.point[0] == 60.0  # frame 1, where the link ended


def test_as_proposals_nothing_is_annotated(panel, tmp_path, qtbot) -> None:
    session = show_image(panel)
    panel.proposals.setChecked(True)
    write_annotations(tmp_path / "a.csv", NUCLEI)
    report = take(panel, tmp_path / "a.csv", qtbot)
    assert len(session.document.nuclei) == 0
    assert any("3 nuclei are proposals" in sentence for sentence in report.sentences)
    assert [result.record.model for result in results(session.folder)] == ["a (imported)"]


def test_a_list_of_organoidtracker_opens_with_its_images(panel, tmp_path, qtbot) -> None:
    (tmp_path / "imgs").mkdir()
    for t in (1, 2):
        tifffile.imwrite(tmp_path / "imgs" / f"t{t}.tif", np.zeros((4, 40, 40), np.uint8), photometric="minisblack")
    at = [{"time_point": t, "coords_xyz_px": [[9, 8, 2]]} for t in (1, 2)]
    about = {"x_um": 0.5, "y_um": 0.5, "z_um": 2, "t_m": 1}
    (tmp_path / "a.aut").write_text(json.dumps({"version": "v2", "positions": at, "image_resolution": about}))
    entry = {"experiment_file": "a.aut", "images_container": "imgs", "images_pattern": "t{time}.tif", "colour": 1}
    (tmp_path / "x.autlist").write_text(json.dumps([entry]))
    report = take(panel, tmp_path / "x.autlist", qtbot)
    session = panel._session
    assert report.headline == "a.anlage: 2 nuclei in 2 frames, 0 links, 0 divisions."
    assert "Not taken over: 'colour' (1) has no counterpart here." in report.sentences
    assert session.project.folder == tmp_path / "a.anlage"
    assert session.image().shape_tzyx == (2, 4, 40, 40)
    assert session.image().spacing == Spacing(2, 0.5, 0.5)


@pytest.mark.parametrize("text", ["id,t,y,x\n1,0\n", "no table", ""])
def test_what_is_damaged_is_a_sentence(panel, tmp_path, qtbot, text) -> None:
    show_image(panel)
    (tmp_path / "a.csv").write_text(text)
    with qtbot.waitSignals([panel.failed], timeout=20_000):
        panel.take(tmp_path / "a.csv")
    assert "a.csv" in panel.line.plain
    assert panel.line.kind == "error"


@pytest.mark.parametrize("name", ["a.csv", "a.geff", "a.xml", "a.aut", "a.ctc"])
def test_the_reader_takes_what_holds_nuclei_and_a_script_gets_points(tmp_path, name) -> None:
    write_annotations(tmp_path / name, NUCLEI, spacing=Spacing(1, 1, 1), shape_tzyx=(2, 4, 30, 30))
    read = import_reader(str(tmp_path / name))
    assert read is not None
    ((points, _, kind),) = read(str(tmp_path / name))
    assert (len(points), kind) == (3, "points")
    assert project_reader(str(tmp_path / name)) is None or (tmp_path / name).is_file()


def test_the_reader_leaves_the_rest_to_others(tmp_path) -> None:
    tifffile.imwrite(tmp_path / "i.tif", np.zeros((4, 5, 5), np.uint8), photometric="minisblack")
    (tmp_path / "notes.txt").write_text("no table")
    for name in ("i.tif", "notes.txt", "nothing.csv"):
        assert import_reader(str(tmp_path / name)) is None
