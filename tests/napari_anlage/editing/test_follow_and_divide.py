"""Following nuclei through time with A held, dividing them with D, and the other keys, as hands press them."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_anlage.editing.keys import KEYS


def tap(d, *at: float) -> None:
    """Press A over a voxel and let it go."""
    d.point_at(*at)
    d.let_go(d.press("a"))


def mouse(d, *at: float) -> None:
    """Click into the canvas over a voxel."""
    d.point_at(*at)
    for callback in list(d.viewer.mouse_drag_callbacks):
        event = SimpleNamespace(button=1, pos=np.zeros(2), type="mouse_press", modifiers=(), handled=False)
        press = callback(d.viewer, event)
        if hasattr(press, "__next__"):
            next(press, None)
            event.type = "mouse_release"
            next(press, None)


def test_tapping_a_marks_links_and_goes_on(desk) -> None:
    d = desk()
    for t in range(4):
        tap(d, t, 3, 10 + 4 * t, 10)
        assert d.editor.place.frame(d.viewer) == t + 1
    assert d.positions == [[t, 3, 10 + 4 * t, 10] for t in range(4)]
    assert d.links == [[1, 2], [2, 3], [3, 4]]
    assert d.editor.track == 1
    tap(d, 4, 3, 26, 10)
    assert d.editor.place.frame(d.viewer) == 4
    assert "Frame 4 is the last one" in d.last
    d.actions.undo()
    assert d.editor.current == 4


def test_held_over_a_nucleus_and_let_go_where_it_went(desk) -> None:
    d = desk()
    d.click(0, 3, 10, 10)
    d.point_at(0, 3, 10, 10)
    held = d.press("a")
    assert d.editor.place.frame(d.viewer) == 1
    assert len(d.document.nuclei) == 1  # over a nucleus nothing is added
    d.viewer.cursor.position = tuple(d.editor.place.grid.world((1, 3, 16, 12)))
    d.let_go(held)
    assert d.positions[1] == [1, 3, 16, 12]
    assert d.links == [[1, 2]]
    assert d.editor.place.frame(d.viewer) == 1  # the next press, over it, goes on


def test_with_a_held_each_click_goes_a_frame_further(desk) -> None:
    d = desk()
    d.layer.mode = "add"
    d.point_at(0, 3, 10, 10)
    held = d.press("a")
    assert d.layer.mode == "pan_zoom"  # napari's own tool rests, or there would be two
    for t in range(1, 4):
        mouse(d, t, 3, 10 + 3 * t, 10)
    d.viewer.cursor.position = tuple(d.editor.place.grid.world((4, 3, 35, 35)))
    d.let_go(held)
    assert d.layer.mode == "add"
    assert len(d.document.nuclei) == 4
    assert d.links == [[1, 2], [2, 3], [3, 4]]


def test_a_over_nuclei_that_are_there_links_them(desk) -> None:
    d = desk()
    for t in range(3):
        d.click(t, 3, 10 + 2 * t, 10)
        d.click(t, 3, 30, 30)
    for t in range(3):
        tap(d, t, 3, 10 + 2 * t, 10)
    assert d.links == [[1, 3], [3, 5]]
    assert len(d.document.nuclei) == 6


def test_where_the_track_has_its_nucleus_another_track_begins(desk) -> None:
    d = desk()
    tap(d, 0, 3, 10, 10)
    tap(d, 1, 3, 10, 10)
    tap(d, 0, 3, 30, 30)
    tap(d, 1, 3, 30, 30)
    assert d.links == [[1, 2], [3, 4]]


def test_three_selected_nuclei_become_a_division(desk) -> None:
    d = desk()
    d.click(0, 3, 10, 10)
    d.click(1, 3, 8, 8)
    d.click(1, 3, 12, 12)
    d.editor.nuclei.select([2, 3, 1])
    d.press("d")
    assert d.links == [[1, 2], [1, 3]]
    assert d.document.undo_text == "set a division"
    d.actions.undo()
    assert d.links == []


def test_d_over_the_mother_then_a_click_on_each_daughter(desk) -> None:
    d = desk()
    d.click(0, 3, 10, 10)
    d.click(1, 3, 8, 8)
    d.point_at(0, 3, 10, 10)
    d.press("d")
    assert d.editor.place.frame(d.viewer) == 1
    assert "click its first daughter" in d.last
    mouse(d, 1, 3, 8, 8)  # one that is there
    mouse(d, 1, 3, 8, 8)
    assert "chosen already" in d.last
    mouse(d, 1, 3, 13, 13)  # and one that is not
    assert d.links == [[1, 2], [1, 3]]
    assert d.positions[2] == [1, 3, 13, 13]
    assert "Nucleus 1 divides into 2 and 3" in d.last


def test_a_division_can_be_given_up(desk) -> None:
    d = desk()
    d.click(0, 3, 10, 10)
    d.point_at(0, 3, 10, 10)
    d.press("d")
    d.press("Escape")
    mouse(d, 1, 3, 20, 20)
    assert len(d.document.nuclei) == 1


@pytest.mark.parametrize(
    ("selected", "sentence"),
    [([], "Point at the mother and press D"), ([1, 2, 3], "has one mother, before her daughters")],
)
def test_what_is_no_division_is_said(desk, selected: list[int], sentence: str) -> None:
    d = desk()
    for at in ((0, 3, 10, 10), (0, 3, 20, 20), (1, 3, 30, 30)):
        d.click(*at)
    d.point_at(3, 7, 38, 42)
    d.editor.nuclei.select(selected)
    d.press("d")
    assert sentence in d.last
    assert d.links == []


def test_linking_and_unlinking_what_is_selected(desk) -> None:
    d = desk()
    for t in range(3):
        d.click(t, 3, 10, 10)
    d.click(2, 3, 30, 30)
    d.point_at(0, 7, 38, 42)
    d.editor.nuclei.select([1, 2, 3])
    d.press("l")
    assert d.links == [[1, 2], [2, 3]]
    d.press("l")
    assert d.last == "They are linked already."
    d.editor.nuclei.select([3, 4])
    d.press("l")
    assert "are in the same frame" in d.last
    d.point_at(1, 3, 10, 10)  # one under the mouse loses all its links
    d.editor.nuclei.select([])
    d.press("u")
    assert d.links == []
    d.press("u")
    assert d.last == "There is no link to remove here."


def test_one_selected_and_one_under_the_mouse_are_linked(desk) -> None:
    d = desk()
    d.click(0, 3, 10, 10)
    d.click(1, 3, 12, 12)
    d.editor.nuclei.select([1])
    d.point_at(1, 3, 12, 12)
    d.press("l")
    assert d.links == [[1, 2]]


def test_r_deletes_what_the_mouse_is_over(desk) -> None:
    d = desk()
    d.click(0, 3, 10, 10)
    d.click(0, 3, 30, 30)
    d.editor.nuclei.select([])
    d.point_at(0, 3, 30, 30)
    d.press("r")
    assert d.document.nuclei.ids.tolist() == [1]
    d.point_at(0, 7, 38, 42)
    d.press("r")
    assert d.last == "Point at a nucleus or select some to delete them."


def test_copied_nuclei_go_into_the_frame_that_is_shown(desk) -> None:
    d = desk()
    d.click(0, 3, 10, 10)
    d.click(0, 3, 30, 30)
    d.editor.nuclei.select([1, 2])
    d.press("Control-c")
    d.show(2)
    d.press("Control-v")
    assert d.positions[2:] == [[2, 3, 10, 10], [2, 3, 30, 30]]
    assert d.editor.selected().tolist() == [3, 4]
    d.actions.undo()
    assert len(d.layer.data) == 2


def test_t_follows_and_g_goes_to_its_end(desk) -> None:
    d = desk()
    for t in range(3):
        tap(d, t, 3, 10 + 2 * t, 10)
    d.press("n")
    d.point_at(0, 3, 10, 10)
    d.press("t")
    assert d.editor.track == 1
    d.press("g")
    assert d.editor.place.frame(d.viewer) == 2
    d.press("n")
    d.press("g")
    assert "No track is followed" in d.last


def test_every_key_is_bound_on_the_viewer_and_on_each_layer_and_given_back(desk) -> None:
    """A layer's own meaning of a key comes before the viewer's: Ctrl+Z on a Labels layer would undo paint alone."""
    d = desk()
    d.click(0, 3, 10, 10)
    labels = d.editor.show_labels()
    for layer in (d.layer, labels, d.editor.links.layer):
        wanted = [key for key in KEYS if key.on_labels or layer is not labels]
        assert {name.lower() for key in wanted for name in key.keys} <= d.keys_of(layer)
    assert {name.lower() for key in KEYS for name in key.keys} <= d.keys_of(d.viewer)
    d.keys.release()
    assert d.keys_of(d.viewer) == d.keys_of(ViewerModel())


def test_outside_the_image_and_in_3d_a_key_says_so(desk) -> None:
    d = desk()
    d.click(0, 3, 10, 10)
    d.point_at(0, 3, 10, 10)
    d.viewer.cursor.position = (0, 0, -500, -500)
    d.press("a")
    assert "outside the image" in d.last
    d.viewer.dims.ndisplay = 3
    d.press("a")
    assert "In the 3D view a click has no depth" in d.last
    assert len(d.document.nuclei) == 1


def test_m_takes_a_label_that_nobody_has(desk) -> None:
    d = desk()
    labels = d.editor.show_labels()
    labels.paint((0, 3, 10, 10), 9)
    d.press("m")
    assert labels.selected_label == 10
