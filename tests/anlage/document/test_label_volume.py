"""Painted labels: the array itself, and the nuclei that follow it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import zarr

from anlage import (
    AddLinks,
    AddNuclei,
    AnlageError,
    ChangeNuclei,
    Document,
    MoveNuclei,
    Paint,
    PaintedLabels,
    RemoveNuclei,
    Several,
    Spacing,
    State,
)
from anlage.document import label_volume as module

SHAPE = (3, 20, 200, 200)


@pytest.fixture
def document(tmp_path: Path) -> Document:
    return Document(shape_tzyx=SHAPE, spacing=Spacing(2, 0.5, 0.5), labels_folder=tmp_path / "labels.zarr")


def paint(document: Document, t: int, value: int, z: slice, y: slice, x: slice) -> None:
    document.start_painting()[t, z, y, x] = value
    assert document.commit_stroke()


def test_it_reads_and_writes_like_an_array(tmp_path: Path) -> None:
    painted = PaintedLabels.create(tmp_path / "labels.zarr", SHAPE)
    truth = np.zeros(SHAPE, np.uint32)
    rng = np.random.default_rng(0)
    for value in range(1, 30):
        low = [int(rng.integers(0, n)) for n in SHAPE]
        index = (low[0], *(slice(a, a + int(rng.integers(1, 90))) for a in low[1:]))
        painted[index] = truth[index] = value
    some = tuple(rng.integers(0, n, 50) for n in SHAPE)
    painted[some] = truth[some] = 77
    box = (slice(0, 1), slice(3, 9), slice(100, 140), slice(120, 180))
    painted[box] = truth[box] = rng.integers(0, 9, (1, 6, 40, 60))
    for index in (
        (0,),
        (1, 7),
        (..., 130),
        (slice(None), 8, slice(120, 135)),
        (2, 19, 199, 199),
        (-1, -1),
        some,
        (slice(5, 2),),
    ):
        found = painted[index]
        assert np.array_equal(found, truth[index]), index
        assert np.shape(found) == np.shape(truth[index])
    assert np.array_equal(np.asarray(painted), truth)


@pytest.mark.parametrize(
    ("index", "sentence"), [((3,), "index 3 is outside"), ((slice(0, 3, 2),), "steps of 1, not 2")]
)
def test_what_cannot_be_read_says_so(index: tuple[object, ...], sentence: str) -> None:
    with pytest.raises(IndexError, match=sentence):
        PaintedLabels.in_memory(SHAPE)[index]


def test_a_stroke_is_on_no_disk_and_in_no_snapshot_until_it_is_committed(document: Document, tmp_path: Path) -> None:
    painted = document.start_painting()
    painted[0, 5, 10:20, 10:20] = 4
    assert painted[0, 5, 10, 10] == 4
    painted.flush()
    assert not list((tmp_path / "labels.zarr").glob("c/**/*"))
    assert len(document.nuclei) == 0
    painted.forget_stroke()
    assert painted[0, 5, 10, 10] == 0
    assert not document.commit_stroke()
    assert document.undo_text is None


def test_a_committed_stroke_is_one_step_over_all_its_chunks(document: Document, tmp_path: Path) -> None:
    paint(document, 0, 4, slice(6, 10), slice(120, 140), slice(120, 140))
    assert document.painted is not None
    document.painted.flush()
    on_disk = zarr.open_array(tmp_path / "labels.zarr", mode="r")
    assert on_disk.chunks[0] == 1  # a stroke never rewrites another frame
    assert len([path for path in (tmp_path / "labels.zarr" / "c").rglob("*") if path.is_file()]) == 8
    assert np.array_equal(on_disk[0, 6:10, 120:140, 120:140], np.full((4, 20, 20), 4))
    assert document.undo() == "paint in frame 0"
    document.painted.flush()
    assert not document.painted[:].any()
    assert not [path for path in (tmp_path / "labels.zarr" / "c").rglob("*") if path.is_file()]


def test_it_never_loads_it_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    document = Document(shape_tzyx=(1000, 100, 4000, 4000), labels_folder=tmp_path / "labels.zarr")  # 6 TB
    paint(document, 500, 1, slice(50, 55), slice(2000, 2020), slice(2000, 2020))
    assert document.nuclei.positions.tolist() == [[500, 52, 2009.5, 2009.5]]
    assert document.painted is not None
    assert document.painted[500, 52].sum() == 400
    monkeypatch.setattr(module, "KEPT_BYTES", 2**20)
    monkeypatch.setattr(module, "WAITING", 2)
    for i in range(12):
        paint(document, i, 1, slice(0, 8), slice(0, 128), slice(0, 128))
    assert len(document.painted._kept) <= 2
    assert len(document.painted._changed) <= 3
    assert document.painted[0, 0, 0, 0] == document.painted[11, 7, 127, 127] == 1


def test_a_chunk_that_claims_a_negative_size_is_a_sentence(document: Document, tmp_path: Path) -> None:
    """What the compressor then raises is no error of reading, but one of the interpreter."""
    paint(document, 0, 4, slice(0, 8), slice(0, 128), slice(0, 128))
    assert document.painted is not None
    document.painted.flush()
    path = tmp_path / "labels.zarr" / "c" / "0" / "0" / "0" / "0"
    chunk = bytearray(path.read_bytes())
    chunk[4:8] = b"\xff\xff\xff\xff"  # Blosc's header: the number of bytes, unpacked
    path.write_bytes(chunk)
    with pytest.raises(AnlageError, match=r"Frame 0 of the painted labels .* cannot be read .* it is damaged"):
        PaintedLabels.open(tmp_path / "labels.zarr")[0]


def test_damage_on_the_disk_is_a_sentence(document: Document, tmp_path: Path) -> None:
    paint(document, 0, 4, slice(0, 8), slice(0, 128), slice(0, 128))
    assert document.painted is not None
    document.painted.flush()
    (tmp_path / "labels.zarr" / "c" / "0" / "0" / "0" / "0").write_bytes(b"no chunk")
    with pytest.raises(AnlageError, match=r"Frame 0 of the painted labels .* cannot be read .* it is damaged"):
        PaintedLabels.open(tmp_path / "labels.zarr")[0]
    with pytest.raises(AnlageError, match="There are no painted labels at"):
        PaintedLabels.open(tmp_path / "nothing.zarr")
    zarr.create_array(tmp_path / "other.zarr", shape=(2, 3), dtype="u1")
    with pytest.raises(AnlageError, match="are 2-D uint8, not"):
        PaintedLabels.open(tmp_path / "other.zarr")


def test_without_the_shape_of_the_image_nothing_is_painted() -> None:
    with pytest.raises(
        AnlageError, match="The shape of the image is not known, so nothing can be painted; choose the image"
    ):
        Document().start_painting()


def test_a_new_value_adds_a_nucleus_at_its_centroid_with_its_radius(document: Document) -> None:
    paint(document, 1, 7, slice(4, 9), slice(20, 41), slice(100, 121))
    nuclei = document.nuclei
    assert nuclei.positions.tolist() == [[1, 6, 30, 110]]
    assert nuclei.label.tolist() == [7]
    assert nuclei.radius_um[0] == pytest.approx(np.cbrt(5 * 21 * 21 * 0.5 * 3 / (4 * np.pi)))
    assert nuclei.state[0] == State.ACCEPTED
    assert nuclei.labels is not None
    assert nuclei.labels.shape == (3, 1, 20, 200, 200)
    assert nuclei.labels.frame(1).sum() == 7 * 5 * 21 * 21
    assert document.new_label() == 8


def test_a_nucleus_from_painting_follows_its_label_and_goes_with_it(document: Document) -> None:
    paint(document, 1, 7, slice(4, 9), slice(20, 41), slice(100, 121))
    radius = document.nuclei.radius_um[0]
    paint(document, 1, 7, slice(4, 9), slice(20, 41), slice(121, 141))
    assert document.nuclei.positions.tolist() == [[1, 6, 30, 120]]
    assert document.nuclei.radius_um[0] > radius
    paint(document, 1, 0, slice(0, 20), slice(0, 200), slice(0, 200))
    assert len(document.nuclei) == 0
    document.undo()
    assert document.nuclei.positions.tolist() == [[1, 6, 30, 120]]
    document.undo()
    assert document.nuclei.positions.tolist() == [[1, 6, 30, 110]]
    assert document.nuclei.radius_um[0] == radius


def test_a_label_painted_over_a_point_belongs_to_that_nucleus_which_stays_in_its_place(document: Document) -> None:
    document.apply(AddNuclei([1, 2, 3], [(1, 6, 30, 100), (1, 6, 31, 112), (1, 6, 80, 80)], radius_um=3))
    paint(document, 1, 7, slice(4, 9), slice(20, 41), slice(100, 121))  # over 1 and 2; the centroid is nearer to 2
    assert document.nuclei.label.tolist() == [0, 7, 0]
    assert document.nuclei.positions[1].tolist() == [1, 6, 31, 112]
    assert document.nuclei.radius_um.tolist() == [3, 3, 3]
    paint(document, 1, 0, slice(0, 20), slice(0, 60), slice(0, 200))
    assert document.nuclei.label.tolist() == [0, 0, 0]
    assert len(document.nuclei) == 3


def test_a_rejected_point_is_no_nucleus_that_paint_could_mean(document: Document) -> None:
    document.apply(AddNuclei([1], [(1, 6, 30, 110)], state=State.REJECTED))
    paint(document, 1, 7, slice(4, 9), slice(20, 41), slice(100, 121))
    assert document.nuclei.label.tolist() == [0, 7]


def test_the_same_value_in_neighbouring_frames_is_linked(document: Document) -> None:
    ball = (slice(4, 9), slice(20, 41), slice(100, 121))
    paint(document, 0, 7, *ball)
    paint(document, 2, 7, *ball)
    assert len(document.nuclei.links) == 0
    paint(document, 1, 7, *ball)
    assert document.nuclei.links.tolist() == [[3, 2], [1, 3]]
    assert document.undo() == "paint in frame 1"
    assert len(document.nuclei.links) == 0


def test_painting_never_makes_a_division_or_a_second_mother(document: Document) -> None:
    document.apply(AddNuclei([1, 2], [(0, 1, 1, 1), (1, 2, 2, 2)], label=[7, 0], links=[(1, 2)]))
    paint(document, 1, 7, slice(4, 9), slice(20, 41), slice(100, 121))
    assert document.nuclei.links.tolist() == [[1, 2]]


def test_a_label_that_takes_a_new_value_stays_the_same_nucleus(document: Document) -> None:
    paint(document, 0, 7, slice(4, 9), slice(20, 41), slice(100, 121))
    paint(document, 1, 7, slice(4, 9), slice(20, 41), slice(100, 121))
    paint(document, 1, 9, slice(4, 9), slice(20, 41), slice(100, 121))
    assert document.nuclei.ids.tolist() == [1, 2]
    assert document.nuclei.label.tolist() == [7, 9]
    assert document.nuclei.links.tolist() == [[1, 2]]


def test_painting_over_another_nucleus_moves_what_is_left_of_it(document: Document) -> None:
    paint(document, 0, 1, slice(5, 6), slice(10, 11), slice(10, 20))
    paint(document, 0, 2, slice(5, 6), slice(10, 11), slice(16, 24))
    assert document.nuclei.positions[:, 3].tolist() == [12.5, 19.5]
    paint(document, 0, 2, slice(5, 6), slice(10, 11), slice(0, 30))
    assert document.nuclei.label.tolist() == [2]


def test_a_nucleus_moved_by_hand_follows_no_longer(document: Document) -> None:
    paint(document, 0, 1, slice(5, 6), slice(10, 11), slice(10, 20))
    document.apply(MoveNuclei([1], [(0, 5, 10, 15)]))
    paint(document, 0, 1, slice(5, 6), slice(10, 11), slice(20, 40))
    assert document.nuclei.positions.tolist() == [[0, 5, 10, 15]]


def test_accepted_instances_bring_their_own_nuclei(document: Document) -> None:
    after = np.zeros((3, 3, 6), int)
    after[:, :, :3], after[:, :, 3:] = 1, 2
    stroke = Paint(0, (0, 0, 0), np.zeros_like(after), after)
    rows = AddNuclei([5, 6], [(0, 1, 1, 1), (0, 1, 1, 4)], label=[1, 2], probability=0.9, origin="instances-1")
    document.apply(Several((stroke, rows), "accept 2 nuclei"))
    assert document.nuclei.ids.tolist() == [5, 6]
    assert document.undo() == "accept 2 nuclei"
    assert document.painted is not None
    assert not document.painted[:].any()


def test_labels_that_were_there_before_are_measured_once_opened(document: Document, tmp_path: Path) -> None:
    paint(document, 0, 7, slice(4, 9), slice(20, 41), slice(100, 121))
    assert document.painted is not None
    document.painted.flush()
    again = Document(shape_tzyx=SHAPE, nuclei=document.nuclei, labels_folder=tmp_path / "labels.zarr")
    paint(again, 0, 7, slice(4, 9), slice(20, 41), slice(121, 141))
    assert again.nuclei.positions.tolist() == [[0, 6, 30, 120]]


def test_a_label_given_by_hand_is_not_painted_twice(document: Document) -> None:
    document.apply(AddNuclei([1, 2], [(0, 6, 30, 110), (1, 6, 30, 110)]))
    document.apply(ChangeNuclei([1], label=7))
    document.apply(AddLinks([(1, 2)]))
    paint(document, 0, 7, slice(4, 9), slice(20, 41), slice(100, 121))
    assert document.nuclei.label.tolist() == [7, 0]
    assert len(document.nuclei) == 2


def test_a_removed_nucleus_takes_its_label_with_it(document: Document) -> None:
    paint(document, 0, 7, slice(4, 9), slice(110, 141), slice(100, 141))
    paint(document, 0, 8, slice(4, 9), slice(110, 141), slice(141, 150))
    document.apply(AddNuclei([5], [(0, 6, 120, 120)], label=7))
    assert document.painted is not None
    document.apply(RemoveNuclei([5]))
    assert (document.painted[0] == 7).any(), "another nucleus of the frame has this label"
    document.apply(RemoveNuclei([1]))
    assert np.unique(document.painted[0]).tolist() == [0, 8]
    assert document.undo() == "remove 1 nucleus"
    assert (document.painted[0] == 7).sum() == 5 * 31 * 41
    assert document.nuclei.ids.tolist() == [1, 2]


def test_labels_of_a_whole_movie_do_not_stay_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAITING", 8)
    document = Document(shape_tzyx=(30, 8, 64, 64), labels_folder=tmp_path / "labels.zarr")
    nothing, one = np.zeros((8, 64, 64), int), np.ones((8, 64, 64), int)
    document.apply(Several([Paint(t, (0, 0, 0), nothing, one) for t in range(30)], "take over 30 nuclei"))
    assert document.painted is not None
    assert len(document.painted._changed) <= 9
    assert len(document.nuclei) == 30
    assert len(document.nuclei.links) == 29
    document.undo()
    assert not document.painted[25].any()
