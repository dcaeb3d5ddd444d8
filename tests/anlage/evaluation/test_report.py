from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from anlage.annotations import Annotations
from anlage.axes import Spacing
from anlage.errors import AnlageError
from anlage.evaluation import Report, evaluate, score_tracks
from anlage.io import write_annotations

SPACING = Spacing(2, 0.5, 0.5)


def csv(path: Path, rows: list[str], header: str = "id,t,z,y,x") -> Path:
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def geff(path: Path, positions: list[tuple[float, ...]], spacing: Spacing | None = SPACING) -> Path:
    write_annotations(path, Annotations.of(positions), spacing=spacing)
    return path


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    return csv(tmp_path / "truth.csv", ["1,0,2,10,10", "2,0,2,10,60", "3,1,2,10,10"])


@pytest.fixture
def result(tmp_path: Path) -> Path:
    """One found 1 µm off, one wrong, one missed, one found exactly, and one where nobody looked."""
    rows = ["1,0,2,10,12,0.9", "2,0,2,90,90,0.8", "3,1,2,10,10,0.7", "4,5,2,10,10,0.9"]
    return csv(tmp_path / "result.csv", rows, "id,t,z,y,x,probability")


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    """Two nuclei of 64 and 27 voxels and a sliver of 2, as label image without a voxel size."""
    image = np.zeros((12, 40, 40), dtype=np.uint16)
    image[2:6, 4:8, 4:8] = 1
    image[2:5, 20:23, 20:23] = 2
    image[0:1, 30:31, 30:32] = 3
    tifffile.imwrite(tmp_path / "labels.tif", image, photometric="minisblack")
    return tmp_path / "labels.tif"


def test_points_against_points(result, truth):
    report = evaluate(result, truth, spacing=SPACING)
    score = report.detection
    assert (score.tp, score.fp, score.fn, score.n_predicted_elsewhere) == (2, 1, 1, 1)
    assert score.f1 == pytest.approx(2 / 3)
    assert score.median_error_um == pytest.approx(0.5)
    assert [(f.frame, f.tp) for f in score.frames] == [(0, 1), (1, 1)]
    assert report.spacing_um_zyx == (2, 0.5, 0.5)


def test_it_says_which_predictions_were_left_out(result, truth):
    (note,) = evaluate(result, truth, spacing=SPACING).notes
    assert note == "1 prediction is left out: only the 2 frames that hold truth are scored."


def test_the_default_radius_is_five_micrometres(tmp_path, truth):
    near = csv(tmp_path / "near.csv", ["1,0,2,10,20"])  # 10 voxels, 5 µm
    far = csv(tmp_path / "far.csv", ["1,0,2,10,21"])
    assert evaluate(near, truth, spacing=SPACING).detection.tp == 1
    assert evaluate(far, truth, spacing=SPACING).detection.tp == 0
    assert evaluate(far, truth, spacing=SPACING, radius_um=6).detection.tp == 1
    with pytest.raises(AnlageError, match="must be a positive number"):
        evaluate(far, truth, spacing=SPACING, radius_um=0)


def crowded(folder: Path) -> Path:
    """Six nuclei in a row, 2 µm apart."""
    return csv(folder / "crowded.csv", [f"{i},0,2,10,{10 + 4 * i}" for i in range(1, 7)])


def test_no_radius_that_nobody_gave_reaches_the_next_nucleus(tmp_path):
    aside = csv(tmp_path / "aside.csv", [f"{i},0,2,13,{10 + 4 * i}" for i in range(1, 7)])  # 1.5 µm beside each
    report = evaluate(aside, crowded(tmp_path), spacing=SPACING)
    assert report.detection.radius_um == pytest.approx(1)
    assert report.detection.tp == 0
    assert any("lie 2 µm from each other, so pairs were looked for within half of that" in n for n in report.notes)


def test_a_given_radius_that_reaches_the_next_nucleus_is_kept_and_doubted(tmp_path):
    truth = crowded(tmp_path)
    report = evaluate(truth, truth, spacing=SPACING, radius_um=4)
    assert report.detection.radius_um == 4
    assert any("within 4 µm a prediction may stand for its neighbour" in note for note in report.notes)
    assert not any("neighbour" in note for note in evaluate(truth, truth, spacing=SPACING, radius_um=1.5).notes)


def test_an_unknown_voxel_size_is_asked_for(result, truth):
    with pytest.raises(AnlageError, match=r"known neither from '.*truth.csv' nor from '.*result.csv'.*--spacing Z,Y,X"):
        evaluate(result, truth)


def test_the_voxel_size_comes_from_whichever_file_has_it(tmp_path, result, truth):
    positions = [(0, 2, 10, 10), (0, 2, 10, 60), (1, 2, 10, 10)]
    assert evaluate(result, geff(tmp_path / "truth.geff", positions)).spacing_um_zyx == SPACING.zyx
    assert evaluate(geff(tmp_path / "result.geff", positions), truth).spacing_um_zyx == SPACING.zyx


def test_voxel_sizes_that_disagree_are_told(tmp_path):
    a = geff(tmp_path / "a.geff", [(0, 2, 10, 10)], Spacing(1, 1, 1))
    b = geff(tmp_path / "b.geff", [(0, 2, 10, 10)], SPACING)
    report = evaluate(a, b)
    assert report.spacing_um_zyx == SPACING.zyx
    assert "says a voxel size of 1 × 1 × 1 µm (z, y, x), but 2 × 0.5 × 0.5 µm" in report.notes[0]


def test_a_result_in_micrometres_is_read_with_the_truths_voxel_size(tmp_path):
    truth = geff(tmp_path / "truth.geff", [(0, 2, 10, 10)])
    result = geff(tmp_path / "result.geff", [(0, 4, 5, 5)], spacing=None)
    for file in result.rglob("zarr.json"):
        file.write_text(file.read_text().replace('"pixel"', '"micrometer"'))
    score = evaluate(result, truth).detection
    assert score.tp == 1
    assert score.mean_error_um == pytest.approx(0)


def test_labels_as_truth_stand_for_their_centres(tmp_path, labels):
    found = csv(tmp_path / "found.csv", ["1,0,3.5,5.5,5.5", "2,0,3,21,21", "3,0,0,30,30.5"])
    score = evaluate(found, labels, spacing=SPACING).detection
    assert (score.tp, score.fp, score.fn) == (3, 0, 0)
    assert score.mean_error_um == pytest.approx(0, abs=1e-6)


def test_small_labels_can_be_neither_wanted_nor_wrong(tmp_path, labels):
    with_sliver = csv(tmp_path / "a.csv", ["1,0,3.5,5.5,5.5", "2,0,3,21,21", "3,0,0,30,30"])
    without = csv(tmp_path / "b.csv", ["1,0,3.5,5.5,5.5", "2,0,3,21,21"])
    for found in (with_sliver, without):
        report = evaluate(found, labels, spacing=SPACING, ignore_smaller_than=27)
        assert (report.detection.tp, report.detection.fp, report.detection.fn) == (2, 0, 0)
        assert report.ignored_smaller_than == 27
        assert "1 nucleus of the truth was neither wanted nor wrong." in report.notes
    # 27 voxels are not fewer than 27, but fewer than 28
    assert evaluate(without, labels, spacing=SPACING, ignore_smaller_than=28).detection.n_ignored == 2


def test_sizes_are_asked_only_of_labels(result, truth, labels):
    with pytest.raises(AnlageError, match=r"points without labels; give the label images as truth"):
        evaluate(result, truth, spacing=SPACING, ignore_smaller_than=150)
    with pytest.raises(AnlageError, match="smaller than 0 voxels"):
        evaluate(labels, labels, spacing=SPACING, ignore_smaller_than=0)


def test_labels_of_different_images_are_refused(tmp_path, labels):
    other = tmp_path / "other.tif"
    image = np.zeros((12, 40, 41), dtype=np.uint16)
    image[5, 5, 5] = 1
    tifffile.imwrite(other, image, photometric="minisblack")
    with pytest.raises(AnlageError, match="must show the same image"):
        evaluate(other, labels, spacing=SPACING)


def test_an_empty_prediction_scores_zero(tmp_path, truth):
    report = evaluate(csv(tmp_path / "none.csv", [], "id,t,z,y,x,probability"), truth, spacing=SPACING)
    assert (report.detection.f1, report.detection.fn, report.detection.precision) == (0, 3, None)
    assert "not defined" in report.to_text()


def test_an_empty_truth_has_nothing_to_score(tmp_path, result):
    report = evaluate(result, csv(tmp_path / "none.csv", []), spacing=SPACING)
    assert report.detection.f1 is None
    assert "nothing to score against" in report.notes[0]


def test_a_result_that_is_nowhere_near_asks_whether_it_is_the_same_image(tmp_path, truth):
    far = csv(tmp_path / "far.csv", ["1,0,2,900,900"])
    assert any("voxels of the same image" in note for note in evaluate(far, truth, spacing=SPACING).notes)


def test_the_text_is_readable(result, truth):
    text = evaluate(result, truth, spacing=SPACING).to_text()
    assert "pairs within 5 µm" in text
    assert "found                2   missed 1   wrong 1" in text
    assert "F1                   0.667 (95 % interval" in text
    assert "median 0.50 µm" in text
    frames = text[text.index(" frame") :].splitlines()
    assert frames[1].split() == ["0", "2", "1", "1", "1", "0.500", "0.12", "to", "0.88", "1.00"]
    assert frames[-1].startswith("note: 1 prediction is left out")


def test_it_goes_to_json_and_back(result, truth):
    report = evaluate(result, truth, spacing=SPACING)
    said = report.model_dump_json()
    back = Report.model_validate_json(said)
    assert back.model_dump_json() == said
    # all but the folders, which are left out
    bare = {"result": Path(report.result).name, "truth": Path(report.truth).name, "notes": back.notes}
    assert back == report.model_copy(update=bare)


def test_a_missing_file_is_one_sentence(tmp_path, truth):
    with pytest.raises(AnlageError, match=r"nowhere\.csv"):
        evaluate(tmp_path / "nowhere.csv", truth, spacing=SPACING)


def test_frames_that_were_taken_for_planes_are_refused_with_the_way_to_say_it(tmp_path):
    labels = np.zeros((4, 48, 48), np.uint16)
    rows = ["id,t,z,y,x,probability"]
    for t in range(4):
        labels[t, 10:15, 20 + t : 25 + t] = 1
        rows.append(f"{t + 1},{t},0,12,{22 + t},0.9")
    tifffile.imwrite(tmp_path / "truth.tif", labels, photometric="minisblack")
    (tmp_path / "found.csv").write_text("\n".join(rows) + "\n")
    with pytest.raises(AnlageError, match=r"read as 4 z × 48 y × 48 x.*--axes tyx"):
        evaluate(tmp_path / "found.csv", tmp_path / "truth.tif", spacing=Spacing(1, 1, 1))
    report = evaluate(
        tmp_path / "found.csv", tmp_path / "truth.tif", spacing=Spacing(1, 1, 1), axes="tyx", interval_s=60
    )
    assert report.detection.tp == 4
    assert report.detection.f1 == 1
    assert "is read as 4 t × 48 y × 48 x" in report.notes[0]


def test_an_empty_frame_of_a_label_image_is_known_to_be_empty(tmp_path):
    labels = np.zeros((3, 6, 40, 40), np.uint16)
    labels[0, 2:5, 10:14, 10:14] = 1
    tifffile.imwrite(tmp_path / "truth.tif", labels, photometric="minisblack")
    found = csv(tmp_path / "found.csv", ["1,0,3,11.5,11.5", "2,1,3,11,11", "3,1,3,30,30", "4,7,3,30,30"])
    report = evaluate(found, tmp_path / "truth.tif", spacing=SPACING)
    score = report.detection
    assert (score.tp, score.fp, score.fn, score.n_predicted_elsewhere) == (1, 2, 0, 1)
    assert "holds no nucleus: the 2 predicted there count as wrong" in report.notes[-2]
    assert report.notes[-1] == "1 prediction is left out: only the 3 frames of the label image are scored."


def test_a_frame_without_its_mask_is_not_known(tmp_path):
    folder = tmp_path / "01_GT"
    folder.mkdir()
    mask = np.zeros((6, 40, 40), np.uint16)
    tifffile.imwrite(folder / "man_track002.tif", mask, photometric="minisblack")
    mask[2:5, 10:14, 10:14] = 1
    tifffile.imwrite(folder / "man_track000.tif", mask, photometric="minisblack")
    (folder / "man_track.txt").write_text("1 0 0 0\n")
    found = csv(tmp_path / "found.csv", ["1,0,3,11.5,11.5", "2,1,3,11,11", "3,2,3,30,30"])
    score = evaluate(found, folder, spacing=SPACING).detection
    assert [f.frame for f in score.frames] == [0, 2]
    assert (score.tp, score.fp, score.n_predicted_elsewhere) == (1, 1, 1)


def test_positions_without_z_beside_positions_with_z_are_refused(tmp_path, result):
    flat = csv(tmp_path / "flat.csv", ["1,0,10,10", "2,0,10,60"], "id,t,y,x")
    deep = csv(tmp_path / "deep.csv", ["1,0,2,10,10", "2,0,7,10,60"])
    for a, b in ((flat, deep), (deep, flat)):
        with pytest.raises(AnlageError, match=r"flat.csv' has no z .*deep.csv' lie at z = 2 to 7; .*both with z"):
            evaluate(a, b, spacing=SPACING)
    assert evaluate(flat, flat, spacing=SPACING).detection.f1 == 1
    volume = np.zeros((6, 40, 80), np.uint8)
    volume[0, 9:12, 9:12] = 1
    tifffile.imwrite(tmp_path / "volume.tif", volume, photometric="minisblack")
    assert evaluate(deep, tmp_path / "volume.tif", spacing=SPACING).detection.tp == 1, "z is known, and is 0"


def test_label_images_on_both_sides_are_scored_as_outlines_too(tmp_path, labels):
    image = tifffile.imread(labels)
    image[2:6, 4:8, 4:8] = 77  # another name
    image[image == 2] = 0
    image[2:5, 20:23, 20:25] = 9  # 45 voxels around the 27
    tifffile.imwrite(tmp_path / "found.tif", image, photometric="minisblack")
    report = evaluate(tmp_path / "found.tif", labels, spacing=SPACING)
    assert report.detection.f1 == 1
    assert report.segmentation.ap50 == 1
    assert report.segmentation.ap75 == 0.5
    assert report.segmentation.seg == pytest.approx((1 + 27 / 45 + 1) / 3)
    assert "SEG                  0.867" in report.to_text()
    said = report.model_dump_json()
    back = Report.model_validate_json(said)
    assert back.model_dump_json() == said
    # all but the folders, which are left out
    bare = {"result": Path(report.result).name, "truth": Path(report.truth).name, "notes": back.notes}
    assert back == report.model_copy(update=bare)


def test_outlines_need_no_voxel_size(tmp_path, labels):
    report = evaluate(labels, labels)
    assert report.detection is None
    assert report.segmentation.mean_ap == 1
    assert "give it as --spacing" in report.notes[-1]


def test_points_have_no_outlines(tmp_path, labels):
    found = csv(tmp_path / "found.csv", ["1,0,3.5,5.5,5.5"])
    assert evaluate(found, labels, spacing=SPACING).segmentation is None


def test_values_in_pieces_are_classes(tmp_path, labels):
    painted = np.zeros((60, 60), np.uint8)
    painted[5:25, 5:25] = painted[35:55, 35:55] = 1
    painted[5:25, 35:55] = painted[35:55, 5:25] = 2
    found = painted.copy()
    found[5:15, 5:25] = 0
    tifffile.imwrite(tmp_path / "truth.tif", painted, photometric="minisblack")
    tifffile.imwrite(tmp_path / "found.tif", found, photometric="minisblack")
    report = evaluate(tmp_path / "found.tif", tmp_path / "truth.tif")
    assert report.detection is None
    assert [c.dice for c in report.segmentation.classes] == pytest.approx([2 * 600 / 1400, 1])
    assert report.segmentation.dice == pytest.approx((2 * 600 / 1400 + 1) / 2)
    assert "--kind instances" in report.notes[-1]
    assert "mean Dice            0.929" in report.to_text()
    told = evaluate(tmp_path / "found.tif", tmp_path / "truth.tif", kind="instances")
    assert told.segmentation.n_truth == 2
    with pytest.raises(AnlageError, match="Classes are scored on label images"):
        evaluate(csv(tmp_path / "a.csv", ["1,0,1,1,1"]), labels, kind="classes")


def test_a_mask_is_scored_as_one_class(tmp_path):
    truth = np.zeros((60, 60), np.uint8)
    truth[5:25, 5:25] = truth[35:55, 35:55] = 255
    tifffile.imwrite(tmp_path / "truth.tif", truth, photometric="minisblack")
    tifffile.imwrite(tmp_path / "found.tif", truth, photometric="minisblack")
    (score,) = evaluate(tmp_path / "found.tif", tmp_path / "truth.tif").segmentation.classes
    assert (score.value, score.dice) == (255, 1)


class TestTracks:
    @pytest.fixture
    def lineage(self, tmp_path):
        rows = ["1,0,2,10,10,", "2,1,2,10,10,1", "3,2,2,10,10,2", "4,2,2,10,50,2", "5,3,2,10,50,4"]
        return csv(tmp_path / "lineage.csv", rows, "id,t,z,y,x,parent_id")

    @pytest.fixture
    def late(self, tmp_path):
        rows = ["1,0,2,10,10,", "2,1,2,10,10,1", "3,2,2,10,10,2", "4,3,2,10,10,3", "5,3,2,10,50,3"]
        return csv(tmp_path / "late.csv", rows, "id,t,z,y,x,parent_id")

    def test_links_on_both_sides_are_scored(self, late, lineage):
        report = evaluate(late, lineage, spacing=SPACING, expected_nuclei=5)
        assert report.tracking.link_recall == 2 / 4
        assert (report.tracking.errors.false, report.tracking.errors.missed) == (1, 1)
        assert report.tracking.division_f1 == 0  # the late mother's other daughter is there, but not in the truth
        assert report.sparse.division_tp == 1  # one lineage with a division touches the mother and both lines
        assert report.sparse.score is not None
        text = report.to_text()
        assert "DET, TRA, LNK" in text
        assert "divisions ± 1 frame" in text

    def test_without_links_tracks_are_not_scored_and_that_is_said(self, truth, lineage):
        report = evaluate(truth, lineage, spacing=SPACING)
        assert report.tracking is report.sparse is None
        assert any("result has none" in note for note in report.notes)

    def test_a_result_without_the_number_of_nuclei_says_how_to_give_it(self, lineage):
        report = evaluate(lineage, lineage, spacing=SPACING)
        assert report.sparse.score is None
        assert "--expected-nuclei" in report.to_text()

    def test_masks_need_no_voxel_size(self, pair_of_movies, ctc_writer, tmp_path):
        result, truth = pair_of_movies(3)
        ctc_writer(tmp_path / "01_RES", result, is_truth=False)
        ctc_writer(tmp_path / "01_GT", truth, is_truth=True)
        report = evaluate(tmp_path / "01_RES", tmp_path / "01_GT")
        assert report.detection is None
        expected = score_tracks(result, truth, SPACING)
        assert report.tracking.model_dump() == expected.model_dump()
        named = evaluate(tmp_path / "01_RES", tmp_path / "01_GT", spacing=SPACING)
        assert named.tracking.paired_by == "masks"
        assert named.detection.n_truth == expected.n_truth

    def test_label_images_say_what_their_links_are(self, pair_of_movies, tmp_path):
        _, truth = pair_of_movies(3)
        path = tmp_path / "labels.tif"
        frames = [truth.labels.frame(t)[0, 0] for t in range(truth.labels.n_frames)]
        frames = [(frame > 0).astype(np.uint16) * frames[0] for frame in frames]  # values that last
        tifffile.imwrite(path, np.stack(frames), photometric="minisblack")
        report = evaluate(path, path, spacing=SPACING, axes="tyx")
        assert any("the same value in consecutive frames" in note for note in report.notes)
        assert report.tracking.tra == 1


def test_every_share_stands_with_its_interval_and_number(result, truth):
    report = evaluate(result, truth, spacing=SPACING)
    found = report.intervals["detection.precision"]
    assert (found.n, found.low, found.high) == pytest.approx((3, 0.2077, 0.9385), abs=1e-4)  # Wilson of 2 in 3
    assert report.intervals["detection.f1"].low == report.detection.f1_low
    text = report.to_text()
    assert "precision            66.7% (0.21 to 0.94 of 3)" in text
    assert "recall               66.7% (0.21 to 0.94 of 3)" in text


def test_where_the_diameter_is_known_it_also_measures_as_trainings_do(tmp_path, result):
    """0.35 of 2 µm are 0.7 µm: the nucleus that was found 1 µm off no longer counts."""
    truth = csv(tmp_path / "sized.csv", ["1,0,2,10,10,1", "2,0,2,10,60,1", "3,1,2,10,10,1"], "id,t,z,y,x,radius_um")
    report = evaluate(result, truth, spacing=SPACING)
    assert report.detection.radius_um == 5
    assert report.as_in_training.radius_um == pytest.approx(0.7)
    assert (report.detection.tp, report.as_in_training.tp) == (2, 1)
    text = report.to_text()
    assert "pairs within 5 µm" in text
    assert "as trainings measure  within 0.35 diameters, here 0.7 µm: F1 0.33, 3 nuclei" in text
    assert "as_in_training.f1" in report.intervals
    assert evaluate(result, truth, spacing=SPACING, radius_um=3).as_in_training is None


def test_the_score_of_each_frame_stands_with_its_interval(tmp_path):
    rows = "\n".join(f"{i},{t},5,{10 * i},20" for i, t in enumerate((0, 0, 1), start=1))
    (tmp_path / "truth.csv").write_text("id,t,z,y,x\n" + rows + "\n")
    (tmp_path / "found.csv").write_text("id,t,z,y,x\n" + "\n".join(rows.split("\n")[:2]) + "\n")
    report = evaluate(tmp_path / "found.csv", tmp_path / "truth.csv", spacing=Spacing(1, 1, 1))
    table = report.to_text().split("\n\n")[1].splitlines()
    assert table[0].split() == ["frame", "truth", "found", "missed", "wrong", "F1", "95", "%", "error", "µm"]
    assert table[1].split() == ["0", "2", "2", "0", "0", "1.000", "0.51", "to", "1.00", "0.00"]
    assert table[2].split() == ["1", "1", "0", "1", "0", "0.000", "0.00", "to", "0.88", "–"]
