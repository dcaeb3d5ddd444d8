"""Regions: walls moved with the mouse and with sliders, found, kept apart, undone."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from napari.components import ViewerModel

from anlage import AddNuclei, AnlageError, Box, Cuboid, Issue, Use
from napari_anlage.annotate.box_handles import BoxHandles, core_for, grabbed, moved_box
from napari_anlage.annotate.region_panel import RegionPanel
from napari_anlage.session.session import Session
from napari_anlage.viewer import layer_roles

SHAPE = (4, 8, 40, 44)
BOX = Box.of((0, 1, 5, 10), (3, 6, 25, 30))


@pytest.fixture
def session(tmp_path):
    viewer = ViewerModel()
    image = viewer.add_image(
        np.zeros(SHAPE, np.uint8), scale=(60, 2, 0.5, 0.4), translate=(0, 3, 10, 20), axis_labels=tuple("tzyx"),
        units=("s", "µm", "µm", "µm"), name="movie",
    )  # fmt: skip
    session = Session.of(viewer)
    session.choose_image(image)
    session.set_folder(tmp_path / "p.anlage")
    session.kept = viewer
    yield session
    session.close()


def drawn(session) -> np.ndarray:
    layer = next(layer for layer in session.viewer.layers if layer_roles.role_of(layer) == layer_roles.REGIONS)
    ends = np.concatenate([layer.data[:, 0], layer.data.sum(axis=1)])
    return np.stack([ends.min(axis=0), ends.max(axis=0)])


def test_regions_are_drawn_named_used_and_undone(session) -> None:
    number = session.bench.add_region(BOX)
    np.testing.assert_allclose(drawn(session), [[0, 1, 4.5, 9.5], [2, 5, 24.5, 29.5]])
    session.bench.change_region(number, name="head", use=Use.VALIDATION, complete=False)
    other = session.bench.add_region(Box.of((0, 0, 30, 0), (1, 8, 40, 10)))
    assert [region.name for region in session.regions] == ["head", f"region {other}"]
    session.bench.remove_region(number)
    session.document.undo()
    assert session.bench.region(number).use == Use.VALIDATION
    while session.document.undo():
        pass
    assert session.regions == ()
    assert not [layer for layer in session.viewer.layers if layer_roles.role_of(layer) == layer_roles.REGIONS]


def test_a_region_counts_what_it_holds_as_nuclei_come_and_go(session) -> None:
    session.need_document().apply(AddNuclei([1, 2, 3], [(0, 3, 10, 15), (1, 3, 10, 15), (1, 3, 39, 43)]))
    session.bench.add_region(BOX)
    assert (session.cuboids[0].n_nuclei, session.cuboids[0].frames) == (2, (0, 1))
    session.document.apply(AddNuclei([4], [(2, 3, 10, 15)]))
    assert session.cuboids[0].n_nuclei == 3


def test_what_is_found_again_keeps_name_and_use(session) -> None:
    doubt = Issue("incomplete", "something", (0.0, 3.0, 10.0, 15.0))
    first = Cuboid(BOX, BOX, 2, (0, 1), ("z0",), (doubt,))
    (number,) = session.bench.take_found([first])
    session.bench.change_region(number, name="head", use=Use.TRAIN)
    assert session.bench.found(session.regions[0]) is first
    larger = Box.of((0, 1, 5, 10), (4, 6, 27, 30))
    elsewhere = Box.of((0, 0, 30, 35), (1, 3, 40, 44))
    ids = session.bench.take_found([Cuboid(larger, larger, 3, (0,)), Cuboid(elsewhere, elsewhere, 1, (0,))])
    assert ids[0] == number
    assert [(region.name, region.box) for region in session.regions] == [
        ("head", larger),
        (f"region {ids[1]}", elsewhere),
    ]
    assert session.regions[0].use == Use.TRAIN
    assert session.document.undo_text == "find 2 regions"
    session.document.undo()
    assert [region.box for region in session.regions] == [BOX]


def test_a_wall_dragged_in_the_image_moves_and_the_region_follows_in_one_step(session) -> None:
    number = session.bench.add_region(BOX)
    session.select_region(number)
    viewer, image = session.viewer, session.image_layer
    viewer.dims.set_point((0, 1), image.data_to_world((1, 3, 0, 0))[:2])
    viewer.scene.camera.zoom = 20.0
    handles = BoxHandles(session)
    handles.change_finished.connect(
        lambda box: session.bench.change_region(number, box=box, core=core_for(BOX, BOX, box))
    )
    handles.moved.connect(lambda box: session.draft_region(number, box))
    handles.switch(on=True)
    layer = viewer.layers.selection.active
    assert layer_roles.role_of(layer) == layer_roles.REGIONS
    event = SimpleNamespace(button=1, type="mouse_press", handled=False, position=image.data_to_world((1, 3, 15, 29.5)))
    handles._on_move(layer, event)
    assert not layer.mouse_pan  # the camera stays where a wall can be held
    drag = layer.mouse_drag_callbacks[-1](layer, event)
    next(drag)
    event.type, event.position = "mouse_move", image.data_to_world((1, 3, 18, 35.5))
    next(drag)
    np.testing.assert_allclose(drawn(session)[1], [2, 5, 24.5, 35.5])  # shown while it is dragged …
    assert session.regions[0].box == BOX  # … and an edit when it is let go
    event.type = "mouse_release"
    next(drag, None)
    assert session.regions[0].box == Box.of((0, 1, 5, 10), (3, 6, 25, 36))
    session.document.undo()
    assert session.regions[0].box == BOX
    viewer.layers.selection.active = image
    assert layer.mouse_drag_callbacks == []
    assert layer.mouse_pan


def test_no_wall_is_held_in_a_plane_or_frame_that_the_region_does_not_reach(session) -> None:
    session.select_region(session.bench.add_region(BOX))
    viewer, image = session.viewer, session.image_layer
    handles = BoxHandles(session)
    event = SimpleNamespace(position=image.data_to_world((3, 3, 15, 29.5)))
    for at, held in (((1, 3), True), ((3, 3), False), ((1, 7), False)):
        viewer.dims.set_point((0, 1), image.data_to_world((*at, 0, 0))[:2])
        assert (handles._held(event) is not None) == held
    viewer.dims.set_point((0, 1), image.data_to_world((1, 3, 0, 0))[:2])
    viewer.dims.ndisplay = 3
    assert handles._held(event) is None


def test_walls_in_other_planes_can_be_moved_too(session) -> None:
    """With the axes rolled, the walls of z are on screen."""
    session.select_region(session.bench.add_region(BOX))
    viewer, image = session.viewer, session.image_layer
    viewer.dims.order = (0, 3, 1, 2)
    viewer.dims.set_point((0, 3), np.array(image.data_to_world((1, 0, 0, 20)))[[0, 3]])
    viewer.scene.camera.zoom = 20.0
    _, axes, ends = BoxHandles(session)._held(SimpleNamespace(position=image.data_to_world((1, 5.5, 15, 20))))
    assert (axes, ends) == ("zy", ((0, 1), (0, 0)))


@pytest.mark.parametrize(
    ("at", "ends"),
    [
        ((10, 4.5), ((0, 0), (1, 0))), ((10, 24.4), ((0, 0), (0, 1))), ((-0.4, 4.6), ((1, 0), (1, 0))),
        ((10, 15), ((1, 1), (1, 1))), ((10, 40), None), ((-9, 15), None),
    ],
)  # fmt: skip
def test_which_ends_of_a_rectangle_are_held(at, ends) -> None:
    assert grabbed([(0, 20), (5, 25)], np.array(at), [2.0, 2.0]) == ends


def test_a_narrow_rectangle_still_has_an_inside_and_two_ends() -> None:
    assert grabbed([(0, 20), (5, 8)], np.array((10, 6)), [9.0, 9.0]) == ((1, 1), (1, 1))
    assert grabbed([(0, 20), (5, 6)], np.array((10, 4.6)), [9.0, 9.0]) == ((0, 0), (1, 0))


def test_a_moved_box_stays_in_the_image_and_keeps_a_voxel() -> None:
    whole = ((1, 1), (1, 1))
    assert moved_box(BOX, "yx", whole, np.array([100, -100]), SHAPE) == Box.of((0, 1, 20, 0), (3, 6, 40, 20))
    assert moved_box(BOX, "yx", ((1, 0), (0, 0)), np.array([100, 9]), SHAPE) == Box.of((0, 1, 24, 10), (3, 6, 25, 30))
    assert moved_box(BOX, "zx", ((0, 1), (0, 0)), np.array([-100, 9]), SHAPE) == Box.of((0, 1, 5, 10), (3, 2, 25, 30))


def test_a_core_reaches_the_walls_that_were_moved_and_keeps_its_margin_at_the_others() -> None:
    core = Box.of((0, 2, 7, 12), (3, 5, 23, 28))
    moved = core_for(BOX, core, Box.of((0, 1, 5, 10), (3, 6, 25, 20)))
    assert moved == Box.of((0, 2, 7, 12), (3, 5, 23, 20))
    assert core_for(BOX, core, BOX) == core


def test_a_foreign_layer_can_have_regions_too(session) -> None:
    points = session.viewer.add_points(
        [session.image_layer.data_to_world((1, 3, 10, 15))], units=("s", "µm", "µm", "µm"), name="mine"
    )
    session.choose_nuclei(points)
    session.bench.add_region(BOX)
    assert not session.uses_document
    assert session.cuboids[0].n_nuclei == 1
    points.add(session.image_layer.data_to_world((2, 3, 10, 15)))
    assert session.cuboids[0].n_nuclei == 2
    with pytest.raises(AnlageError, match="There is no region 99"):
        session.bench.region(99)


def test_the_layer_of_the_only_ticked_channel_can_be_removed_beside_another(session, qtbot) -> None:
    """The regions stay listed, and nothing ends in an error that napari would show."""
    movie = session.image_layer
    session.viewer.add_image(
        np.zeros(SHAPE, np.uint8), scale=movie.scale, translate=movie.translate, axis_labels=movie.axis_labels,
        units=movie.units, name="marker",
    )  # fmt: skip
    session.bench.add_region(BOX)
    panel = RegionPanel(session)
    qtbot.addWidget(panel)
    session.choose_channels([], session.combine)
    panel.refresh()
    assert panel.list.count() == 1
    session.viewer.layers.remove(movie)
