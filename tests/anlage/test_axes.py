"""Spacing and boxes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from anlage import AnlageError, Box, Spacing, open_annotations, open_image
from anlage.io import reading

ranges = st.tuples(st.integers(-20, 20), st.integers(1, 20)).map(lambda r: (r[0], r[0] + r[1]))
boxes = st.builds(Box, ranges, ranges, ranges, ranges)


def test_spacing_is_parsed_and_printed() -> None:
    spacing = Spacing.parse("1.75, 0.8,0.8")
    assert spacing.zyx == (1.75, 0.8, 0.8)
    assert str(spacing) == "1.75 × 0.8 × 0.8 µm (z, y, x)"


@pytest.mark.parametrize("text", ["1,2,3,4", "a,b,c", "1;2;3", ""])
def test_a_spacing_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(AnlageError, match="is not of the form Z,Y,X in µm"):
        Spacing.parse(text)


@pytest.mark.parametrize("zyx", [(0, 1, 1), (-1, 1, 1), (float("nan"), 1, 1), (float("inf"), 1, 1)])
def test_a_spacing_that_is_none_is_refused(zyx: tuple[float, float, float]) -> None:
    with pytest.raises(AnlageError, match="must be three positive numbers"):
        Spacing(*zyx)


@given(boxes)
def test_a_box_survives_its_text(box: Box) -> None:
    assert Box.parse(str(box)) == box


@pytest.mark.parametrize("text", ["0:5", "0:5,0:5,0:5", "0-5,0:5,0:5,0:5", "0:5,0:5,0:5,0:5,0:5"])
def test_a_box_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(AnlageError, match="is not of the form t0:t1"):
        Box.parse(text)


def test_an_empty_box_is_refused() -> None:
    with pytest.raises(AnlageError, match="is empty along z: 3:3"):
        Box.parse("0:1,3:3,0:5,0:5")


@given(boxes, boxes)
def test_intersection_and_union(a: Box, b: Box) -> None:
    both, either = a.intersection(b), a.union(b)
    for box in (a, b):
        assert either.intersection(box) == box
    if both is not None:
        assert a.intersection(both) == both
        assert b.intersection(both) == both
    voxels = {tuple(v) for v in np.argwhere(np.ones(a.shape, bool))[:50] + a.start}
    inside = b.contains(np.array(sorted(voxels), float))
    assert (both is None) <= (not inside.any())


def test_a_voxel_reaches_half_way_to_its_neighbour() -> None:
    box = Box((0, 1), (2, 4), (0, 5), (0, 5))
    positions = np.array([[0, 1.5, 0, 0], [0, 1.49, 0, 0], [0, 3.49, 0, 0], [0, 3.5, 0, 0]])
    assert box.contains(positions).tolist() == [True, False, True, False]


def test_growing_and_clipping() -> None:
    box = Box((1, 2), (2, 4), (0, 5), (3, 5)).grown((1, 2, 3))
    assert str(box) == "1:2,1:5,-2:7,0:8"
    assert str(box.clipped((4, 4, 4, 4))) == "1:2,1:4,0:4,0:4"
    with pytest.raises(AnlageError, match="lies outside the image"):
        box.clipped((1, 4, 4, 4))


@pytest.mark.parametrize("value", ["0", "-1", "1e308", "nan", "inf", "1e-300"])
def test_a_voxel_size_that_cannot_be_is_refused_however_it_comes(value: str) -> None:
    for sizes in (f"{value},1,1", f"1,{value},1", f"1,1,{value}"):
        with pytest.raises(AnlageError, match="three positive numbers"):
            Spacing.parse(sizes)
    with pytest.raises(AnlageError, match="three positive numbers"):
        Spacing(1, float(value), 1)


@pytest.mark.parametrize("text", ["0.5", "0.5,0.5"])
def test_a_voxel_size_without_z_holds_for_planes_alone(tmp_path: Path, text: str) -> None:
    size = Spacing.parse(text)
    tifffile.imwrite(tmp_path / "stack.tif", np.zeros((4, 8, 8), dtype=np.uint8), photometric="minisblack")
    flat = open_image(tmp_path / "stack.tif", axes="tyx", spacing=size)
    assert flat.spacing == Spacing(0.5, 0.5, 0.5)
    with pytest.raises(
        AnlageError, match=r"says nothing of z, but .* has 4 planes: give Z,Y,X in µm; .* say --axes tyx"
    ):
        open_image(tmp_path / "stack.tif", spacing=size)
    (tmp_path / "flat.csv").write_text("id,t,y,x\n1,0,1,2\n2,0,3,4\n")
    (tmp_path / "deep.csv").write_text("id,t,z,y,x\n1,0,0,1,2\n2,0,5,3,4\n")
    assert len(open_annotations(tmp_path / "flat.csv", spacing=size)) == 2
    with pytest.raises(AnlageError, match="says nothing of z"):
        open_annotations(tmp_path / "deep.csv", spacing=size)


def test_a_stack_that_names_no_axes_says_how_it_is_read_as_a_movie(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "stack.tif", np.zeros((4, 8, 8), dtype=np.uint8), photometric="minisblack")
    assert "say --axes tyx" in reading(open_image(tmp_path / "stack.tif"))
    assert "say --axes" not in reading(open_image(tmp_path / "stack.tif", axes="tyx"))
