"""The table of nuclei, its contradictions, and nuclei from painted labels."""

from __future__ import annotations

import time

import numpy as np
import pytest

from anlage import AnlageError, Annotations, Spacing, State, TimeLapse
from anlage.labels import measure_labels
from anlage.problems import check, problems


def test_defaults_are_those_of_a_human() -> None:
    nuclei = Annotations.of([[0, 1, 2, 3], [1, 1, 2, 3]])
    assert nuclei.ids.tolist() == [1, 2]
    assert (nuclei.state == State.ACCEPTED).all()
    assert (nuclei.origin == "human").all()
    assert np.isnan(nuclei.radius_um).all()
    assert np.isnan(nuclei.probability).all()


def test_a_radius_that_is_not_above_zero_is_unknown() -> None:
    radii = Annotations.of(np.zeros((4, 4)), radius_um=[0, -1, np.nan, 2.5]).radius_um
    assert np.isnan(radii).tolist() == [True, True, True, False]


def test_columns_of_another_length_are_refused() -> None:
    with pytest.raises(AnlageError, match="column 'size' has 3 rows but there are 2 nuclei"):
        Annotations.of([[0, 1, 2, 3], [1, 1, 2, 3]], properties={"size": np.zeros(3)})


def test_rejected_nuclei_do_not_make_a_frame_annotated() -> None:
    nuclei = Annotations.of([[0, 0, 0, 0], [3, 0, 0, 0]], state=[State.ACCEPTED, State.REJECTED])
    assert nuclei.annotated_frames == (0,)


def test_selecting_keeps_the_links_among_the_chosen() -> None:
    nuclei = Annotations.of(
        [[t, 0, 0, 0] for t in range(4)], links=[[1, 2], [2, 3], [3, 4]], properties={"n": np.arange(4)}
    )
    some = nuclei.select(np.array([True, True, False, True]))
    assert some.ids.tolist() == [1, 2, 4]
    assert some.links.tolist() == [[1, 2]]
    assert some.properties["n"].tolist() == [0, 1, 3]


def test_a_good_table_has_no_problems() -> None:
    nuclei = Annotations.of([[0, 0, 5, 5], [1, 0, 4, 5], [1, 0, 6, 5], [3, 3, 0, 0]], links=[[1, 2], [1, 3], [2, 4]])
    assert problems(nuclei, (4, 4, 10, 10)) == ()
    check(nuclei, (4, 4, 10, 10))
    check(Annotations.of([]), (4, 4, 10, 10))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"ids": [1, 2, 2, 4]}, "row 3 has the id 2, which row 2 has already"),
        ({"ids": [-1, 2, 3, 4], "links": []}, "row 1 has the id -1; ids must be whole numbers above 0"),
        ({"links": [[2, 1]]}, r"row 1 \(id 1\) in frame 0 is linked back to its parent row 2 \(id 2\) in frame 1"),
        ({"links": [[2, 3]]}, r"row 3 \(id 3\) in frame 1 is linked back"),
        ({"links": [[1, 9]]}, r"row 1 \(id 1\) is linked to the nucleus 9, which does not exist"),
        ({"links": [[8, 9]]}, r"The link 8 → 9 is linked to the nucleus 8, which does not exist"),
        ({"links": [[2, 4], [3, 4]]}, r"row 4 \(id 4\) has 2 parents, \[2, 3\]; a nucleus can have one"),
        (
            {"links": [[1, 2], [1, 3], [1, 4]]},
            r"row 1 \(id 1\) has 3 daughters, \[2, 3, 4\]; a nucleus divides into two",
        ),
        (
            {"positions": [[0, 0, 5, np.nan]] * 4, "links": []},
            r"row 1 \(id 1\) has no number for x \(nan\).*3 more problems",
        ),
        ({"positions": [[0.5, 0, 5, 5]] * 4, "links": []}, r"row 1 \(id 1\) has the time 0\.5"),
        (
            {"positions": [[0, 0, 5, 11]] * 4, "links": []},
            r"row 1 \(id 1\) lies at \(0, 0, 5, 11\) .*outside the image",
        ),
        ({"positions": [[4, 0, 5, 5]] * 4, "links": []}, r"row 1 \(id 1\) lies at \(4, 0, 5, 5\) .*outside the image"),
        (
            {"labels": TimeLapse.of(np.zeros((4, 4, 10, 9), int), source="painted")},
            r"The labels 'painted' have the shape \(4, 4, 10, 9\) \(t, z, y, x\), but the image has \(4, 4, 10, 10\)",
        ),
    ],
)
def test_a_contradiction_is_one_sentence_naming_the_row(change: dict[str, object], sentence: str) -> None:
    about: dict[str, object] = {
        "positions": [[0, 0, 5, 5], [1, 0, 4, 5], [1, 0, 6, 5], [3, 3, 0, 0]],
        "links": [[1, 2]],
    }
    nuclei = Annotations.of(**{**about, **change})  # type: ignore[arg-type]
    with pytest.raises(AnlageError, match=sentence):
        check(nuclei, (4, 4, 10, 10), source="marks")


def test_all_problems_are_listed_with_their_rows() -> None:
    nuclei = Annotations.of([[0, 0, np.nan, 5], [0, 0, 5, 50], [0, 0, 5, 60]])
    assert [p.ids for p in problems(nuclei, (1, 1, 10, 10))] == [(1,), (2,), (3,)]
    assert "row 12 (id 2)" in problems(nuclei, (1, 1, 10, 10), rows=[11, 12, 13])[1].text


def test_checking_many_nuclei_is_quick() -> None:
    n = 200_000
    p = np.zeros((n, 4))
    p[:, 0] = np.arange(n) // 1000
    nuclei = Annotations.of(p, links=np.column_stack([np.arange(1, n - 999), np.arange(1001, n + 1)]))
    start = time.perf_counter()
    assert problems(nuclei, (200, 1, 1, 1)) == ()
    assert time.perf_counter() - start < 2


def test_nuclei_from_labels() -> None:
    labels = np.zeros((3, 4, 10, 12), np.uint16)
    labels[0, 1:3, 2:5, 2:5] = 700
    labels[1, 1:3, 2:5, 3:6] = 700
    labels[0, 0, 8, 8] = 3
    labels[2, 0, 8, 8] = 3
    image = TimeLapse.of(labels)
    nuclei = Annotations.from_labels(image, Spacing(2, 1, 1))
    assert nuclei.positions.tolist() == [[0, 0, 8, 8], [0, 1.5, 3, 3], [1, 1.5, 3, 4], [2, 0, 8, 8]]
    assert nuclei.label.tolist() == [3, 700, 700, 3]
    assert nuclei.links.tolist() == [[2, 3]]
    np.testing.assert_allclose(4 / 3 * np.pi * nuclei.radius_um**3, [2, 36, 36, 2])
    assert Annotations.from_labels(image, over_gaps=True).links.tolist() == [[2, 3], [1, 4]]
    assert np.isnan(Annotations.from_labels(image).radius_um).all()


def test_a_disc_in_2d() -> None:
    labels = np.zeros((10, 12), np.uint8)
    labels[2:6, 3:8] = 1
    nuclei = Annotations.from_labels(TimeLapse.of(labels), Spacing(9, 0.5, 0.5))
    np.testing.assert_allclose(np.pi * nuclei.radius_um**2, [20 * 0.25])


def test_labels_that_are_none_are_refused() -> None:
    with pytest.raises(AnlageError, match="contain the value -2"):
        Annotations.from_labels(TimeLapse.of(np.full((4, 4), -2)))
    with pytest.raises(AnlageError, match="of type float64; they must be whole numbers"):
        Annotations.from_labels(TimeLapse.of(np.zeros((4, 4))))
    with pytest.raises(AnlageError, match="have 2 channels"):
        Annotations.from_labels(TimeLapse.of(np.zeros((2, 4, 4), int), "cyx"))


@pytest.mark.parametrize("largest", [40, 10**12])
def test_measuring_agrees_with_a_loop_over_labels(largest: int) -> None:
    rng = np.random.default_rng(0)
    names = rng.integers(1, largest, 30)
    labels = np.where(rng.random((5, 20, 20)) < 0.3, names[rng.integers(0, 30, (5, 20, 20))], 0)
    values, sizes, centres = measure_labels(labels)
    assert values.tolist() == sorted(set(labels[labels > 0].tolist()))
    for value, size, centre in zip(values, sizes, centres, strict=True):
        where = np.argwhere(labels == value)
        assert len(where) == size
        np.testing.assert_allclose(where.mean(axis=0), centre)


@pytest.mark.parametrize("dtype", [bool, np.uint8])
def test_a_mask_is_no_label_image(dtype: type) -> None:
    mask = np.zeros((3, 4, 20, 20), dtype)
    mask[0, 1:3, 2:5, 2:5] = 255
    mask[1:, 1:3, 2:5, 2:5] = mask[1:, 1:3, 12:15, 12:15] = 255
    with pytest.raises(AnlageError, match=r"'m.tif' is a mask.*in frame 1 has 2 separate pieces.*skimage.*napari"):
        Annotations.from_labels(TimeLapse.of(mask, "tzyx", source="m.tif"))
    assert len(Annotations.from_labels(TimeLapse.of(mask[:1], "tzyx"))) == 1, "one piece is a nucleus"
    assert len(Annotations.from_labels(TimeLapse.of(mask[:0:-1], "tzyx"), over_gaps=True)) == 2


def test_a_single_nucleus_with_a_slip_of_the_brush_and_one_in_pieces_beside_others_are_labels() -> None:
    labels = np.zeros((2, 4, 20, 20), np.uint8)
    labels[:, 1:3, 2:6, 2:6] = 7
    labels[0, 0, 19, 19] = 7
    assert len(Annotations.from_labels(TimeLapse.of(labels, "tzyx"))) == 2
    labels[0, 1:3, 12:16, 12:16] = 7
    labels[1, 1:3, 12:16, 12:16] = 8
    assert len(Annotations.from_labels(TimeLapse.of(labels, "tzyx"))) == 3


def test_columns_of_links_go_with_their_links() -> None:
    made = Annotations.of(
        [(0, 0, 0, 0), (1, 0, 0, 0), (2, 0, 0, 0)],
        links=[(1, 2), (2, 3)],
        link_properties={"probability": np.array([0.9, 0.4])},
    )
    assert made.select(np.array([1, 2])).link_properties["probability"].tolist() == [0.4]
    assert not made.linked(made.links[:1]).link_properties
    with pytest.raises(AnlageError, match="'probability' has 2 rows but there are 1 links"):
        made.linked(made.links[:1], made.link_properties)


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ({"probability": [0.5, 97]}, "The nucleus 2 has 97 for probability, which must lie between 0 and 1; percent?"),
        ({"probability": [-3, 0.5]}, "The nucleus 1 has -3 for probability"),
        ({"radius_um": [2, 1e308]}, "The nucleus 2 has 1e+308 for radius_um, which must lie between"),
        ({"state": [1, 3]}, "The state 3 is none: it must be a whole number and must lie between 0 and 2"),
        ({"state": [256, 1]}, "The state 256 is none"),
        ({"state": [0.5, 1]}, "The state 0.5 is none"),
        ({"label": [1e300, 1]}, "The label 1e+300 is none"),
        ({"label": np.array([2**63, 1], np.uint64)}, "The label 9223372036854775808 is none"),
        ({"properties": {"division_probability": np.array([0.5, 2.0])}}, "has 2 for division_probability"),
        ({"link_properties": {"probability": np.array([55.0])}}, "The link 1 → 2 has 55 for probability"),
    ],
)
def test_what_no_nucleus_can_have_is_refused_when_it_is_made(columns: dict[str, object], sentence: str) -> None:
    with pytest.raises(AnlageError) as caught:
        Annotations.of([(0, 0, 1, 1), (1, 0, 1, 1)], links=[(1, 2)], **columns)
    assert sentence in str(caught.value)


def test_a_probability_may_be_wrong_by_rounding() -> None:
    assert len(Annotations.of(np.zeros((2, 4)), probability=[1 + 1e-9, -1e-9])) == 2


@pytest.mark.parametrize(
    ("place", "shape", "axes"),
    [((0, 3, 5, 5), (4, 1, 9, 9), "zyx"), ((3, 0, 5, 5), (1, 4, 9, 9), "tyx"), ((5, 1, 5, 5), (2, 6, 9, 9), "ztyx")],
)
def test_frames_and_planes_that_are_exchanged_are_named_with_the_cure(place, shape, axes) -> None:
    (problem,) = problems(Annotations.of([place]), shape)
    assert f"say --axes {axes} " in problem.text
    (other,) = problems(Annotations.of([(50, 50, 5, 5)]), shape)
    assert "are these voxels of this image?" in other.text
