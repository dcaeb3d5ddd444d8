"""What looks wrong in labels is found, at its place; what is right is not complained about."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from anlage.axes import Spacing
from anlage.cli import main
from anlage.io import write_image
from anlage.issues import Issue
from anlage.objects.label_faults import LabelReport, find_faults
from anlage.objects.label_objects import find_objects
from anlage.timelapse import TimeLapse

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"


def good() -> np.ndarray:
    """(z, y, x) eight balls that touch nothing."""
    labels = np.zeros((14, 60, 60), np.uint16)
    z, y, x = np.ogrid[:14, :60, :60]
    for i in range(8):
        cy, cx = 10 + 40 * (i // 4), 7 + 15 * (i % 4)
        labels[((z - 6.5) * 1.5) ** 2 + (y - cy) ** 2 + (x - cx) ** 2 <= 36] = i + 1
    return labels


def look(labels: np.ndarray, **how) -> LabelReport:
    return find_faults(TimeLapse.of(labels), **how)


def only(report: LabelReport, kind: str) -> Issue:
    (fault,) = report.faults
    assert fault.kind == kind
    assert report.counts == {kind: 1}
    return fault


def test_good_labels_have_no_fault() -> None:
    report = look(good())
    assert report.faults == ()
    assert str(report) == f"8 objects, half of them larger than {report.median_voxels} voxels"


def test_one_number_on_two_objects() -> None:
    labels = good()
    labels[labels == 8] = 2
    fault = only(look(labels), "pieces")
    assert fault.labels == (2,)
    assert labels[fault.position[1:]] == 2
    assert "2 separate pieces in frame 0" in fault.text
    # the second place is the one that is hard to find
    assert fault.position[2] == 50 or fault.position[2] == 10


def test_one_object_with_two_numbers_across_z() -> None:
    labels = good()
    labels[7:][labels[7:] == 3] = 30
    fault = only(look(labels), "cut")
    assert fault.labels == (3, 30)
    assert fault.position == (0, 7, 10, 37)
    assert "ends at plane 6 where label 30 begins at plane 7" in fault.text


def test_two_objects_on_top_of_each_other_are_two() -> None:
    labels = np.zeros((26, 40, 40), np.uint16)
    z, y, x = np.ogrid[:26, :40, :40]
    for value, centre in ((1, 6), (2, 18)):  # they touch at their poles
        labels[(z - centre) ** 2 + (y - 20) ** 2 + (x - 20) ** 2 <= 36] = value
    assert look(labels).faults == ()


def test_crumbs_and_tiny_objects() -> None:
    labels = good()
    labels[3, 30, 30:32] = 5
    fault = only(look(labels), "fragment")
    assert (fault.position[:3], fault.labels) == ((0, 3, 30), (5,))
    assert "1 loose crumb of 2 voxels" in fault.text
    labels = good()
    labels[3, 30, 30:32] = 99
    fault = only(look(labels), "fragment")
    assert fault.labels == (99,)
    assert "only 2 voxels" in fault.text


def test_empty_planes_and_frames() -> None:
    movie = np.stack([good()] * 3)
    movie[1] = 0
    fault = only(look(movie), "empty")
    assert fault.position == (1, 0, 0, 0)
    labels = good()
    labels[6] = 0
    report = look(labels, classes=False)
    assert report.counts["empty"] == 1
    assert next(f for f in report.faults if f.kind == "empty").position == (0, 6, 0, 0)
    assert report.counts["pieces"] == 8, "and every object is in two"
    assert only(look(np.zeros_like(labels)), "empty").text == "Nothing is painted."


def test_what_is_no_label_is_a_fault_with_its_place() -> None:
    labels = good().astype(float)
    labels[3, 4, 5] = 0.5
    fault = only(look(labels), "type")
    assert fault.position == (0, 3, 4, 5)
    assert "0.5 is no whole number" in fault.text
    assert "save them as whole numbers" in only(look(good().astype(float)), "type").text
    labels = good().astype(np.int32)
    labels[3, 4, 5] = -2
    assert only(look(labels), "type").position == (0, 3, 4, 5)
    assert "no background" in look(good() + 1).faults[0].text


def test_labels_of_another_image() -> None:
    labels = TimeLapse.of(good())
    assert "3D labels on a 2D image" in find_faults(labels, TimeLapse.of(np.zeros((60, 60)))).faults[0].text
    assert "do not match" in find_faults(labels, TimeLapse.of(np.zeros((14, 60, 61)))).faults[0].text
    assert find_faults(labels, TimeLapse.of(np.zeros((14, 60, 60)))).faults == ()


def test_classes_are_counted_and_missing_ones_named() -> None:
    labels = np.zeros((60, 60), np.uint8)
    labels[5:25, 5:25] = labels[35:55, 35:55] = 1
    labels[5:25, 35:55] = labels[35:55, 5:25] = 3
    report = look(labels)
    assert report.classes == {1: 800, 3: 800}
    assert "Class 2 was never painted" in only(report, "class").text
    labels[0, 0] = labels[0, 5] = 2
    fault = only(look(labels, classes=True), "class")
    assert "Class 2 has only 2 voxels" in fault.text
    assert fault.position[:2] == (0, 0)


def test_more_objects_than_sixteen_bits_can_name() -> None:
    labels = np.zeros((2, 560, 560), np.uint32)
    labels[0, ::2, ::2] = np.arange(1, 280 * 280 + 1).reshape(280, 280)
    assert len(find_objects(TimeLapse.of(labels), 0)) == 78_400
    cut_off = np.minimum(labels, 65_535).astype(np.uint16)
    fault = next(f for f in look(cut_off).faults if f.kind == "type")
    assert "save the labels as uint32" in fault.text


def test_large_numbers_of_faults_are_counted_and_not_all_listed() -> None:
    labels = np.zeros((1, 40, 3000), np.uint16)
    for i in range(300):
        labels[0, 5:8, 10 * i : 10 * i + 3] = labels[0, 20:23, 10 * i : 10 * i + 3] = i + 1
    report = look(labels)
    assert report.counts["pieces"] == 300
    assert len(report.faults) == 200


@pytest.mark.data
@pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/data")
def test_real_labels_are_mostly_right() -> None:
    """Manual labels of a mouse embryo: a complaint about every other object would be noise."""
    paths = sorted((DATA / "bbbc050-mouse-embryo" / "labels").glob("*.tif"))[::8]
    reports = [find_faults(TimeLapse.of(tifffile.imread(path))) for path in paths]
    n = sum(report.n_objects for report in reports)
    assert sum(report.counts.get("cut", 0) + report.counts.get("pieces", 0) for report in reports) < 0.1 * n


def test_info_says_what_is_wrong_and_where(tmp_path, capsys) -> None:
    labels = good()
    labels[labels == 8] = 2
    write_image(tmp_path / "labels.zarr", labels[None], axes="tzyx", spacing=Spacing(1, 1, 1), kind="labels")
    tifffile.imwrite(tmp_path / "labels.tif", labels, photometric="minisblack")
    for name in ("labels.zarr", "labels.tif"):
        assert main(["info", str(tmp_path / name)]) == 0
        out = capsys.readouterr().out
        assert "7 objects" in out
        assert "Label 2 is in 2 separate pieces in frame 0" in out
        assert "at t 0, z" in out


def test_info_does_not_take_an_image_for_labels(tmp_path, capsys) -> None:
    image = np.random.default_rng(0).poisson(20, (5, 40, 40)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "image.tif", image, photometric="minisblack")
    assert main(["info", str(tmp_path / "image.tif")]) == 0
    assert "objects" not in capsys.readouterr().out


def test_rims_of_an_interpolating_resize_are_told_and_are_no_classes() -> None:
    from scipy.ndimage import zoom

    labels = np.zeros((8, 64, 64), np.uint16)
    z, y, x = np.ogrid[:8, :64, :64]
    for i, (cy, cx) in enumerate([(10, 10), (10, 40), (40, 10), (40, 40), (25, 25)], 1):
        labels[((z - 4) ** 2 * 2 + (y - cy) ** 2 + (x - cx) ** 2) < 36] = i
    resized = np.rint(zoom(labels.astype(float), (1, 1.5, 1.5), order=1)).astype(np.uint16)
    report = find_faults(TimeLapse.of(resized))
    assert not report.classes
    assert any("resize that interpolates" in fault.text for fault in report.faults)
    whole = find_faults(TimeLapse.of(zoom(labels, (1, 1.5, 1.5), order=0)))
    assert not any("interpolates" in fault.text for fault in whole.faults)
