"""What is done in napari's layers becomes an edit of the document, and the layers show what the document says."""

from __future__ import annotations

import numpy as np
import pytest

from anlage import AddLinks, AddNuclei, ChangeNuclei, Document, RemoveNuclei, State
from napari_anlage.viewer import layer_roles, nuclei_layer


@pytest.mark.parametrize("axes", ["tzyx", "tczyx", "zyx", "tyx", "yx"])
def test_a_click_is_a_nucleus_at_that_voxel_whatever_the_images_axes(desk, axes: str) -> None:
    d = desk(axes)
    t, z = (2 if "t" in axes else 0), (3 if "z" in axes else 0)
    d.click(t, z, 10, 11)
    assert d.positions == [[t, z, 10, 11]]
    assert d.document.undo_text == "add 1 nucleus"
    assert d.layer.features["id"].tolist() == [1]
    voxel = {"t": t, "c": 0, "z": z, "y": 10, "x": 11}
    at = d.layer.data_to_world(d.layer.data[0])
    expected = d.image.data_to_world([voxel[a] for a in axes])
    for axis, here, there in zip(axes, at, expected, strict=True):
        if axis != "c":
            assert here == pytest.approx(there), axis


def test_a_nucleus_is_seen_in_every_channel_and_once(desk) -> None:
    d = desk("tczyx")
    d.click(1, 3, 10, 11)
    assert len(d.layer.data) == 1
    for c in range(2):
        d.viewer.dims.set_point(1, c)
        d.point_at(1, 3, 10, 11)
        assert d.editor.under_cursor() == 1


def test_in_a_flat_movie_the_nuclei_of_other_frames_stay_there(desk) -> None:
    """The depth in which balls are seen is one along z, never along time."""
    d = desk("tyx")
    d.document.apply(AddNuclei([1, 2], [(0, 0, 10, 10), (1, 0, 30, 30)], radius_um=5.0))
    assert d.viewer.dims.margin_left == (0, 0, 0)
    d.point_at(1, 0, 10, 10)
    assert d.editor.under_cursor() is None
    d.point_at(1, 0, 30, 30)
    assert d.editor.under_cursor() == 2


def test_dragging_and_deleting_points_are_edits(desk) -> None:
    d = desk()
    for x in (5, 20, 35):
        d.click(0, 2, 10, x)
    layer = d.layer
    layer.selected_data = {1}
    layer.data[1, 3] += 0.4 * 2  # what napari does while it is dragged …
    layer.events.data(value=layer.data, action="changed", data_indices=(1,), vertex_indices=((),))  # … and at the end
    assert d.positions[1] == [0, 2, 10, 22]
    assert d.document.undo_text == "move 1 nucleus"
    layer.selected_data = {0, 2}
    layer.remove_selected()
    assert d.document.nuclei.ids.tolist() == [2]
    d.actions.undo()
    assert sorted(d.editor.nuclei.ids.tolist()) == [1, 2, 3]
    assert len(layer.data) == 3
    d.actions.undo()
    np.testing.assert_allclose(d.editor.place.from_points(layer.data)[d.editor.nuclei.ids == 2], [[0, 2, 10, 20]])


def test_undo_and_redo_reach_points_links_and_paint_and_say_what(desk) -> None:
    d = desk()
    d.click(0, 2, 10, 10)
    d.click(1, 2, 10, 12)
    d.document.apply(AddLinks([(1, 2)]))
    labels = d.editor.show_labels()
    labels.brush_size = 3
    labels.paint((0, 5, 30, 30), 7)
    assert labels.data[0, 5, 30, 30] == 7
    assert d.positions[2] == [0, 5, 30, 30]
    texts = ["paint in frame 0", "add 1 link", "add 1 nucleus", "add 1 nucleus"]
    for text in texts:
        d.actions.undo()
        assert d.last == f"Undone: {text}."
    assert len(d.layer.data) == 0
    assert labels.data[0, 5, 30, 30] == 0
    d.actions.undo()
    assert d.last == "Nothing to undo."
    for text in reversed(texts):
        d.actions.redo()
        assert d.last == f"Done again: {text}."
    assert d.links == [[1, 2]]
    assert labels.data[0, 5, 30, 30] == 7
    assert len(d.layer.data) == 3


def test_undo_goes_to_where_something_changed(desk) -> None:
    d = desk()
    d.click(3, 2, 10, 10)
    d.show(0)
    d.actions.undo()
    assert d.editor.place.frame(d.viewer) == 3


def test_what_the_document_refuses_is_said_and_the_layer_goes_back(desk) -> None:
    d = desk()
    d.click(0, 2, 10, 10)
    d.layer.add(d.editor.place.to_points(np.array([0.0, 2, 10, 400])))
    assert "cannot lie at (0, 2, 10, 400)" in d.last
    assert d.said[-1][1] == "warning"
    assert len(d.layer.data) == 1
    assert len(d.document.nuclei) == 1
    d.layer.selected_data = {0}
    d.layer.data[0, 2] += 500
    d.layer.events.data(value=d.layer.data, action="changed", data_indices=(0,), vertex_indices=((),))
    assert "cannot lie at" in d.last
    np.testing.assert_allclose(d.editor.place.from_points(d.layer.data), [[0, 2, 10, 10]])


def test_a_followed_track_is_continued_by_clicks_and_never_doubled(desk) -> None:
    d = desk()
    d.click(0, 2, 10, 10)
    d.click(0, 2, 10, 30)
    assert d.links == []  # nobody followed anything
    d.editor.follow(1)
    d.click(1, 2, 11, 11)
    assert d.links == [[1, 3]]
    assert d.layer.features["track"].tolist() == [1, 2, 1]
    assert d.document.undo_text == "add a nucleus to track 1"
    d.click(1, 2, 30, 30)
    assert d.last == "Track 1 has a nucleus in frame 1 already; press N to begin another track."
    assert len(d.document.nuclei) == len(d.layer.data) == 3
    d.actions.undo()
    assert d.editor.current == 1  # the one before is followed again
    d.actions.redo()
    d.click(3, 2, 12, 12)
    assert d.links == [[1, 3], [3, 4]]
    d.press("n")
    d.click(4, 2, 12, 12)
    assert d.links == [[1, 3], [3, 4]]


def test_tracks_have_colours_and_the_followed_one_is_bold(desk) -> None:
    d = desk()
    for t in range(3):
        d.click(t, 2, 10, 10)
        d.click(t, 2, 10, 30)
    before = d.layer.border_color.copy()
    assert len(np.unique(before, axis=0)) == 1  # nothing is linked
    d.document.apply(AddLinks([(1, 3), (3, 5)]))
    rings = d.layer.border_color
    assert len(np.unique(rings[[0, 2, 4]], axis=0)) == 1
    assert not np.allclose(rings[0], rings[1])
    d.editor.follow(3)
    assert (d.layer.border_width[[0, 2, 4]] > d.layer.border_width[1]).all()


def test_states_look_different(desk) -> None:
    d = desk()
    d.document.apply(AddNuclei([1, 2, 3], [(0, 1, 5, 5), (0, 1, 5, 15), (0, 1, 5, 25)], state=[0, 1, 2]))
    assert [str(s) for s in d.layer.symbol] == ["disc", "disc", "x"]
    assert len(np.unique(d.layer.border_color, axis=0)) == 3
    assert d.layer.features["state"].tolist() == ["proposed", "accepted", "rejected"]
    d.document.apply(ChangeNuclei([1], state=int(State.REJECTED)))
    assert [str(s) for s in d.layer.symbol] == ["x", "disc", "x"]


def test_radius_is_the_points_size_and_new_ones_follow_it(desk) -> None:
    d = desk()
    d.click(0, 2, 10, 10)
    assert np.isnan(d.document.nuclei.radius_um[0])
    d.point_at(0, 2, 10, 10)
    drawn = d.layer.size[0] / 2
    d.press("w")
    assert d.document.nuclei.radius_um[0] == pytest.approx(1.1 * drawn)
    assert d.layer.size[0] == pytest.approx(2.2 * drawn)
    d.press("q")
    assert d.document.nuclei.radius_um[0] == pytest.approx(drawn)
    d.click(0, 2, 30, 30)
    assert d.document.nuclei.radius_um[1] == pytest.approx(drawn)
    d.layer.selected_data = {1}
    d.layer.current_size = 6.0  # napari's own slider
    assert d.document.nuclei.radius_um.tolist() == [pytest.approx(drawn), 3.0]


def test_the_selection_survives_other_rows_coming_and_going(desk) -> None:
    d = desk()
    for x in (5, 15, 25):
        d.click(0, 2, 10, x)
    d.editor.nuclei.select([3])
    d.document.apply(RemoveNuclei([1]))
    assert d.editor.selected().tolist() == [3]
    d.document.undo()
    assert d.editor.selected().tolist() == [3]


def test_links_are_drawn_in_the_plane_of_their_nucleus_only(desk) -> None:
    d = desk()
    ids, t = np.arange(1, 5), np.arange(4)
    d.document.apply(
        AddNuclei(ids, np.column_stack([t, 2 + t, 10 + t, 10 + 2 * t]), links=np.column_stack([ids[:-1], ids[1:]]))
    )
    d.show(3, 5)
    lines = drawn(d)
    assert len(lines) == 3
    assert set(lines[:, 0, 1]) == {-11 + 2 * 5}  # all in the plane of the nucleus of frame 3
    assert (lines[:, 1, 1] == 0).all()
    assert sorted(lines[:, 0, 2]) == pytest.approx([33 + 0.5 * y for y in (11, 12, 13)])
    d.show(0, 2)
    assert len(drawn(d)) == 1  # where it goes
    d.viewer.dims.ndisplay = 3
    assert drawn(d)[0, 1, 1] == pytest.approx(2)  # in 3D at its real depth


def test_a_division_is_two_lines_from_the_mother_and_its_layers_can_be_removed(desk) -> None:
    d = desk()
    d.document.apply(AddNuclei([1, 2, 3], [(0, 2, 10, 10), (1, 2, 8, 8), (1, 2, 12, 12)], links=[(1, 2), (1, 3)]))
    d.show(1, 2)
    lines = drawn(d)
    ends = lines.sum(axis=1)
    assert len(lines) == 2
    np.testing.assert_allclose(ends[0], ends[1])
    tracks = d.editor.tracks.track
    assert len(set(tracks.tolist())) == 3  # mother and daughters are tracks of their own
    d.editor.close()
    assert [layer.name for layer in d.viewer.layers] == ["movie"]


def test_managed_layers_come_back_after_somebody_removed_them(desk) -> None:
    d = desk()
    d.click(0, 2, 10, 10)
    d.viewer.layers.remove(d.layer)
    assert d.editor.nuclei is None
    d.document.apply(AddNuclei([2], [(0, 2, 20, 20)]))
    assert len(d.layer.data) == 2


def test_many_nuclei_are_shown_around_the_frame_in_view(desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nuclei_layer, "MOST", 100)
    monkeypatch.setattr(nuclei_layer, "WINDOW", 80)
    rng = np.random.default_rng(0)
    t = np.repeat(np.arange(5), 40)
    d = desk()
    d.document.apply(
        AddNuclei(np.arange(1, 201), np.column_stack([t, rng.uniform(0, 7, 200), rng.uniform(0, 39, (200, 2))]))
    )
    d.show(0)
    frames = set(d.editor.place.from_points(d.layer.data)[:, 0].tolist())
    assert frames == {0, 1, 2}
    d.show(1)
    assert set(d.editor.place.from_points(d.layer.data)[:, 0].tolist()) == frames  # still enough on both sides
    d.show(4)
    assert set(d.editor.place.from_points(d.layer.data)[:, 0].tolist()) == {2, 3, 4}
    d.show(3)
    d.click(3, 2, 10, 10)
    assert len(d.document.nuclei) == 201
    d.editor.nuclei.layer.remove([0])
    assert len(d.document.nuclei) == 200


def test_an_opened_document_shows_its_layers(desk) -> None:
    first = desk()
    first.click(0, 2, 10, 10)
    first.editor.show_labels().paint((1, 2, 20, 20), 5)
    second = desk(document=first.document)
    assert {layer_roles.role_of(layer) for layer in second.viewer.layers} == {None, "nuclei", "links", "painted labels"}
    assert len(second.layer.data) == 2


def test_a_nucleus_is_not_marked_in_the_3d_view(desk) -> None:
    d = desk()
    d.click(0, 2, 10, 10)
    d.viewer.dims.ndisplay = 3
    d.layer.add(d.editor.place.to_points(np.array([0.0, 2, 20, 20])))
    assert "switch to the 2D view" in d.last
    assert len(d.layer.data) == 1


def test_a_document_without_image_shape_still_shows(desk) -> None:
    d = desk(document=Document())
    d.click(0, 2, 10, 10)
    assert len(d.layer.data) == 1


def drawn(d) -> np.ndarray:
    """The lines that have a length."""
    data = d.editor.links.layer.data
    return data[np.abs(data[:, 1]).sum(axis=1) > 0]
