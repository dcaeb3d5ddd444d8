"""The Annotate tab: what it offers and says, by its buttons and lists."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtCore import QPoint, Qt

from anlage import AddLinks, AddNuclei, Box, Cuboid, Issue, RemoveNuclei, Use
from napari_anlage.annotate.region_panel import RegionPanel
from napari_anlage.annotate.tab import AnnotateTab
from napari_anlage.session.session import Session
from napari_anlage.viewer import layer_roles


@pytest.fixture
def made(qtbot, odd, blobs, tmp_path):
    """A tab beside a viewer without a window that shows a movie."""
    viewer = ViewerModel()
    viewer.add_image(blobs[0], name="movie", **odd)
    session = Session.of(viewer)
    session.choose_image(viewer.layers[0])
    session.set_folder(tmp_path / "movie.anlage")
    tab = AnnotateTab(session)
    qtbot.addWidget(tab)
    tab.resize(330, 900)
    tab.show()
    yield tab, session, viewer
    tab.retire()
    session.close()


def mark(session, *positions) -> None:
    """Click nuclei."""
    editor = session.need_editor()
    for position in positions:
        editor.show_nuclei().add(editor.place.to_points(np.array(position, dtype=float)))


def test_marking_and_painting_begin_with_a_button_each(made) -> None:
    tab, session, viewer = made
    assert tab.status.plain == "No annotation yet: mark nuclei on the Annotate tab, or choose a layer there."
    assert tab.find.reason.text() == tab.status.plain
    tab.mark.click()
    layer = viewer.layers.selection.active
    assert (layer_roles.role_of(layer), str(layer.mode)) == ("nuclei", "add")
    assert tab.status.plain == "No nucleus yet: click the centre of each, or paint them."
    mark(session, (0, 3, 10, 11), (1, 3, 10, 11))
    assert tab.status.plain == "2 nuclei in frames 0–1."
    assert tab.find.button.isEnabled()
    tab.paint.click()
    painted = viewer.layers.selection.active
    assert (layer_roles.role_of(painted), str(painted.mode)) == ("painted labels", "paint")
    painted.paint((2, 3, 30, 30), 1)
    assert tab.status.plain == "3 nuclei in frames 0–2."
    assert session.project.folder.is_dir()


def test_the_buttons_say_what_would_be_undone(made) -> None:
    tab, session, _ = made
    assert not tab.undo.isEnabled()
    assert tab.undo.toolTip() == "There is nothing to undo."
    mark(session, (0, 3, 10, 11))
    assert tab.undo.toolTip() == "Undo: add 1 nucleus (Ctrl+Z)."
    assert tab.undo.text() == "↶ add 1 nucleus"
    tab.undo.click()
    assert len(session.document.nuclei) == 0
    assert tab.status.plain == "Undone: add 1 nucleus."
    assert tab.redo.toolTip() == "Redo: add 1 nucleus (Ctrl+Shift+Z)."
    tab.redo.click()
    assert len(session.document.nuclei) == 1


def test_the_followed_track_is_shown_and_ended(made) -> None:
    tab, session, _ = made
    mark(session, (0, 3, 10, 11))
    assert tab.track.text() == "No track is followed (T, A)"
    session.editor.follow(1)
    assert tab.track.text() == "Track 1: the next click continues it"
    tab.new_track.click()
    assert session.editor.track is None
    assert not tab.new_track.isEnabled()


def test_the_bars_count_the_frames_and_lead_to_them(made, qtbot) -> None:
    tab, session, viewer = made
    mark(session, (0, 3, 10, 11), (0, 3, 20, 20), (2, 3, 10, 11))
    assert tab.bars.counts.tolist() == [2, 0, 1]
    assert tab.bars.gaps.tolist() == [False, True, False]
    qtbot.mouseClick(tab.bars, Qt.MouseButton.LeftButton, pos=QPoint(tab.bars.width() - 4, 10))
    assert session.editor.place.frame(viewer) == 2
    assert tab.bars.frame == 2
    tab.grab()  # draws


def test_problems_are_listed_and_lead_to_their_place(made, qtbot) -> None:
    tab, session, viewer = made
    mark(session, (0, 3, 10, 11), (2, 3, 12, 11), (1, 8, 30, 30), (1, 8, 30, 30.5))
    session.document.apply(AddLinks([(1, 2)]))
    qtbot.waitUntil(lambda: len(tab.problems.issues) == 2, timeout=10000)
    assert tab.problems.line.plain == "1 gap, 1 possible duplicate"
    assert "frame 1 is missing" in tab.problems.list.item(0).text()
    tab.problems.list.itemClicked.emit(tab.problems.list.item(0))
    assert session.editor.place.frame(viewer) == 1
    session.editor.next_problem.emit()  # the key J
    assert session.editor.selected().tolist() == [3, 4]
    session.document.apply(RemoveNuclei([4]))
    session.document.undo()
    session.document.apply(RemoveNuclei([2, 4]))
    qtbot.waitUntil(lambda: tab.problems.line.plain == "Nothing looks wrong.", timeout=10000)


def test_somebody_elses_layer_is_chosen_counted_and_taken_over(made, odd, blobs, qtbot) -> None:
    tab, session, viewer = made
    world = np.array([viewer.layers[0].data_to_world(c) for c in blobs[1]])
    points = viewer.add_points(world, name="mine", units=odd["units"], axis_labels=odd["axis_labels"])
    assert session.nuclei_layer is points
    assert tab.status.plain == "54 nuclei in frames 0–2."
    assert session.project is None  # nothing was written for looking
    tab.take.click()
    qtbot.waitUntil(lambda: session.uses_document and len(session.document.nuclei) == 54, timeout=10000)
    assert not tab.take.isVisibleTo(tab)
    assert tab.nuclei.currentText() == "nuclei"
    tab.undo.click()
    assert len(session.document.nuclei) == 0


def test_regions_are_found_changed_and_doubted(made, blobs, qtbot) -> None:
    tab, session, viewer = made
    panel = tab.regions
    mark(session, *blobs[1])
    panel.find.button.click()
    qtbot.waitUntil(lambda: bool(session.regions), timeout=20000)
    assert panel.list.count() == 1
    assert "54 nuclei" in panel.list.item(0).text()
    assert panel.evidence.text().startswith("Holds 54 nuclei in frames 0–2.")
    (before,) = session.regions

    panel.sliders.sliders["t"].setValue((0, 1))
    qtbot.waitUntil(lambda: "36 nuclei" in panel.evidence.text(), timeout=3000)
    qtbot.waitUntil(lambda: session.regions[0].box.t == (0, 2), timeout=3000)
    assert session.regions[0].core.z == before.core.z  # walls that stayed keep their margin
    assert session.document.undo_text == f"change the region '{before.name}'"
    tab.undo.click()
    assert session.regions == (before,)
    assert tuple(panel.sliders.sliders["t"].value()) == (0, 2)

    panel.complete.setCurrentIndex(1)
    panel.complete.activated.emit(1)
    panel.use.activated.emit(2)
    panel.name.setText("head")
    panel.name.editingFinished.emit()
    region = session.regions[0]
    assert (region.complete, region.use, region.name) == (False, Use.VALIDATION, "head")
    assert panel.list.item(0).text() == "head – 54 nuclei · sparse · validation"

    doubt = Issue("incomplete", "a bright blob is not annotated", (2.0, 8.0, 20.0, 30.0))
    session.bench.take_examined(region.id, Cuboid(region.box, region.core, 54, (0, 1, 2), (), (doubt,)))
    session.select_region(region.id)
    assert panel.doubts.item(0).text() == "A bright blob is not annotated."
    panel.doubts.itemClicked.emit(panel.doubts.item(0))
    assert viewer.dims.point[:2] == pytest.approx(session.image_layer.data_to_world((2, 8, 20, 30))[:2])

    panel.delete.click()
    assert session.regions == ()
    assert not panel.list.isVisibleTo(panel)


def test_regions_alone_take_the_annotation_that_is_there(made, odd, blobs, qtbot) -> None:
    """The panel can be a widget of its own."""
    _, session, viewer = made
    world = np.array([viewer.layers[0].data_to_world(c) for c in blobs[1]])
    viewer.add_points(world, name="mine", units=odd["units"], axis_labels=odd["axis_labels"])
    panel = RegionPanel(session)
    qtbot.addWidget(panel)
    assert panel.find.button.isEnabled()


def test_a_region_that_was_changed_is_looked_at_again(made, blobs, qtbot) -> None:
    tab, session, _ = made
    panel = tab.regions
    mark(session, *blobs[1])
    gone = session.document.nuclei.ids[20:23]
    session.document.apply(RemoveNuclei(gone))
    number = session.bench.add_region(Box.of((0, 0, 0, 0), (3, 12, 48, 52)))
    session.select_region(number)
    assert panel.examine.isVisibleTo(panel)
    panel.examine.click()
    qtbot.waitUntil(lambda: panel.doubts.count() > 0, timeout=20000)
    assert not panel.examine.isVisibleTo(panel)
    assert "Looked at it: 51 nuclei" in panel.status.plain


def test_several_regions_and_the_one_that_is_clicked(made) -> None:
    tab, session, _ = made
    first = session.bench.add_region(Box.of((0, 0, 0, 0), (1, 12, 20, 20)))
    second = session.bench.add_region(Box.of((1, 0, 20, 20), (3, 12, 48, 52)))
    assert session.selected == first
    tab.regions.list.setCurrentRow(1)
    assert session.selected == second
    assert tuple(tab.regions.sliders.sliders["y"].value()) == (20, 47)
    assert tab.regions.mouse.isEnabled()
    tab.regions.mouse.click()
    assert layer_roles.role_of(session.viewer.layers.selection.active) == layer_roles.REGIONS
    session.viewer.layers.selection.active = session.image_layer
    assert not tab.regions.mouse.isChecked()


def test_a_box_by_hand_is_what_is_in_view(made) -> None:
    tab, session, viewer = made
    viewer.canvas.size = (400, 400)
    viewer.scene.camera.zoom = 20.0
    viewer.dims.set_point(0, session.image_layer.data_to_world((1, 0, 0, 0))[0])
    tab.regions.here.click()
    (region,) = session.regions
    assert (region.box.t, region.box.z) == ((1, 2), (0, 12))
    assert region.box.shape[2] in (37, 38, 39)  # 20 µm of 0.53 µm


def test_what_cannot_be_done_says_why(made) -> None:
    tab, session, viewer = made
    mark(session, (0, 3, 10, 11))
    session.editor.show_nuclei().add(session.editor.place.to_points(np.array([0, 3, 10, 900.0])))
    assert "cannot lie at" in tab.status.plain
    assert tab.status.kind == "warning"
    viewer.layers.remove(session.image_layer)
    assert not tab.mark.isEnabled()
    assert "No image is chosen" in tab.find.reason.text()


def test_it_fits_a_narrow_dock(made) -> None:
    tab, session, _ = made
    session.bench.add_region(Box.of((0, 0, 0, 0), (1, 12, 20, 20)))
    session.document.apply(AddNuclei([1], [(0, 1, 2, 3)]))
    tab.keys.expand(animate=False)
    assert tab.minimumSizeHint().width() <= 300  # 320 px of dock, less its margins and the scroll bar
