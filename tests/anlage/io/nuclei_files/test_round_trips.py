"""From any format to any other and back: what both can hold is there again, and what nobody knew is still unknown."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from anlage import AnlageError, Annotations, Spacing
from anlage.axes import Box
from anlage.cli import main
from anlage.io import open_annotations, open_image, write_annotations
from anlage.io.label_writing import LabelWriter
from anlage.io.mask_records import FILE, MaskRecord
from anlage.io.nuclei_files.nuclei import own_scale
from anlage.timelapse import TimeLapse

FORMATS = ("csv", "geff", "xml", "aut")
SPACING, INTERVAL_S = Spacing(2.0, 0.325, 0.325), 90.0


def nuclei() -> Annotations:
    """A network's, a human's, and what another network found; radii and probabilities are known of some."""
    return Annotations.of(
        [(0, 2, 5, 5), (1, 2, 5, 6), (1, 3, 20, 20.5), (2, 3, 21, 20)], ids=[3, 5, 8, 9], links=[(3, 5), (8, 9)],
        radius_um=[3.25, np.nan, 3.5, np.nan], probability=[0.75, np.nan, 0.5, np.nan], state=[0, 1, 0, 1],
        origin=["nuclei-7f3a", "human", "classical", "human"], link_properties={"probability": np.array([0.5, np.nan])},
    )  # fmt: skip


@pytest.mark.parametrize(("first", "second"), list(itertools.product(FORMATS, FORMATS)))
@pytest.mark.parametrize("scaled", [True, False])
def test_every_pair_of_formats_keeps_what_both_can_hold(first: str, second: str, scaled: bool, tmp_path: Path) -> None:
    scale = {"spacing": SPACING, "interval_s": INTERVAL_S} if scaled else {}
    one, two, back = (tmp_path / name for name in (f"a.{first}", f"b.{second}", "c.csv"))
    write_annotations(one, nuclei(), **scale)
    for source, target in ((one, two), (two, back)):
        assert main(["convert", str(source), str(target)]) == 0
    again, wanted = open_annotations(back), nuclei()
    again = again.select(np.argsort(again.ids))
    np.testing.assert_array_equal(again.ids, wanted.ids)
    np.testing.assert_allclose(again.positions, wanted.positions, atol=1e-6)
    np.testing.assert_allclose(again.radius_um, wanted.radius_um)
    np.testing.assert_allclose(again.probability, wanted.probability)
    np.testing.assert_array_equal(again.state, wanted.state)
    assert again.origin.tolist() == wanted.origin.tolist()
    assert not again.properties
    links = dict(zip(map(tuple, again.links.tolist()), again.link_properties["probability"].tolist(), strict=True))
    np.testing.assert_equal(links, {(3, 5): 0.5, (8, 9): np.nan})
    spacing, interval_s = own_scale(back)
    if scaled:
        assert spacing is not None
        np.testing.assert_allclose(spacing.zyx, SPACING.zyx)
        assert interval_s == pytest.approx(INTERVAL_S)
    else:
        assert (spacing, interval_s) == (None, None)


def test_a_radius_that_trackmate_wants_is_said_and_marked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_annotations(tmp_path / "a.csv", nuclei(), spacing=SPACING)
    assert main(["convert", str(tmp_path / "a.csv"), str(tmp_path / "a.xml")]) == 0
    assert "2 nuclei without a radius were given one of 3.5 µm" in capsys.readouterr().out
    text = (tmp_path / "a.xml").read_text()
    assert text.count('anlage_radius_assumed="1.0"') == 2
    # what somebody changed in TrackMate counts
    (tmp_path / "b.xml").write_text(text.replace('RADIUS="3.5"', 'RADIUS="4.5"'))
    assert np.isfinite(open_annotations(tmp_path / "b.xml").radius_um).all()


MASKS = ("masks.ctc", "labels.tif", "labels.ome.zarr", "01_GT")


@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize("scaled", [True, False])
def test_masks_keep_scale_and_origin_and_no_radius_that_was_assumed(name: str, scaled: bool, tmp_path: Path) -> None:
    scale = {"spacing": SPACING, "interval_s": INTERVAL_S} if scaled else {}
    write_annotations(tmp_path / "a.csv", nuclei(), **scale)
    assert main(["convert", str(tmp_path / "a.csv"), str(tmp_path / name)]) == 0
    assert main(["convert", str(tmp_path / name), str(tmp_path / "b.csv")]) == 0
    again, wanted = open_annotations(tmp_path / "b.csv"), nuclei()
    rows = [int(np.abs(again.positions - place).sum(axis=1).argmin()) for place in wanted.positions]
    again = again.select(np.array(rows))
    assert len(set(rows)) == len(wanted)
    assert again.origin.tolist() == wanted.origin.tolist()
    np.testing.assert_array_equal(np.isfinite(again.radius_um), np.isfinite(wanted.radius_um) & scaled)
    np.testing.assert_allclose(again.radius_um[[0, 2]], wanted.radius_um[[0, 2]] if scaled else np.nan, rtol=0.2)
    spacing, interval_s = own_scale(tmp_path / "b.csv")
    assert interval_s == scale.get("interval_s")
    assert spacing == scale.get("spacing")


@pytest.mark.parametrize("name", MASKS)
def test_masks_whose_voxel_size_was_unknown_have_no_radius_once_it_is_known(name: str, tmp_path: Path) -> None:
    write_annotations(tmp_path / "a.csv", nuclei())
    assert main(["convert", str(tmp_path / "a.csv"), str(tmp_path / name)]) == 0
    assert np.isnan(open_annotations(tmp_path / name, spacing=SPACING).radius_um).all()


def test_the_record_beside_masks_is_no_frame_and_replaced_with_them(tmp_path: Path) -> None:
    place = tmp_path / "01_RES"
    write_annotations(place, nuclei(), spacing=SPACING, interval_s=INTERVAL_S)
    assert (place / FILE).is_file()
    assert open_image(place).n_frames == 3
    write_annotations(place, nuclei())  # ours, so it is replaced
    assert own_scale(place) == (None, None)


@pytest.mark.parametrize(
    "text", ["[]", "{", '{"masks": {"tracks": [[1, 2]]}}', '{"masks": {"interval_s": -3}}', "[" * 99_999]
)
def test_a_damaged_record_is_one_sentence(text: str, tmp_path: Path) -> None:
    place = tmp_path / "01_RES"
    write_annotations(place, nuclei(), spacing=SPACING)
    (place / FILE).write_text(text)
    if text == "[]":
        assert own_scale(place) == (None, None)
        return
    with pytest.raises(AnlageError, match=FILE if "masks" not in text else "01_RES"):
        open_annotations(place)


def test_info_says_who_found_what_masks_hold(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_annotations(tmp_path / "a.csv", nuclei(), spacing=SPACING, interval_s=INTERVAL_S)
    for name in ("labels.ome.zarr", "m.ctc"):
        assert main(["convert", str(tmp_path / "a.csv"), str(tmp_path / name)]) == 0
        capsys.readouterr()
        assert main(["info", str(tmp_path / name)]) == 0
        told = capsys.readouterr().out
        assert "nuclei-7f3a" in told
        assert "90 s" in told
        assert "0.325" in told


def test_what_an_aut_cannot_keep_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_annotations(tmp_path / "a.csv", nuclei(), interval_s=INTERVAL_S)
    assert main(["convert", str(tmp_path / "a.csv"), str(tmp_path / "a.aut")]) == 0
    assert "Nor is the time step of 90 s" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["found.tif", "found.ome.zarr"])
def test_predicted_labels_say_which_model_found_them_and_how_large_nuclei_are(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = TimeLapse.of(np.zeros((2, 3, 20, 20), np.uint8), "tzyx", spacing=SPACING, interval_s=INTERVAL_S)
    painted = np.zeros((3, 20, 20), np.uint16)
    painted[1, 4:9, 4:9] = 1
    record = MaskRecord(origins=("outlines-1b2c",), diameter_um=6.5)
    with LabelWriter(tmp_path / name, image, "tzyx", np.dtype(np.uint16), scratch=tmp_path, record=record) as out:
        for t in range(2):
            out.put(t, Box((0, 1), (0, 3), (0, 20), (0, 20)), painted)
    again = open_annotations(tmp_path / name)
    assert set(again.origin.tolist()) == {"outlines-1b2c"}
    assert np.isfinite(again.radius_um).all()  # painted, not assumed
    assert main(["info", str(tmp_path / name)]) == 0
    told = capsys.readouterr().out
    assert "outlines-1b2c" in told
    assert "Nucleus diameter: 6.5 µm" in told
