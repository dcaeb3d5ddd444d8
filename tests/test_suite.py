"""The rules of the hard suite in benchmarks/: what is annotated, what is scored, and what the table says."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from anlage.axes import Spacing

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch) -> dict[str, ModuleType]:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    names = ("degrade", "plausible", "suite_kinds", "suite_cuboid", "suite_scores", "suite_table")
    return {name: importlib.import_module(name) for name in names}


def movie(modules: dict[str, ModuleType], counts: tuple[int, ...] = (40, 90)) -> Any:
    rng = np.random.default_rng(1)
    shape = (20, 60, 70)
    centres = tuple(rng.uniform(0, np.array(shape) - 1, (n, 3)) for n in counts)
    image = np.zeros((len(counts), *shape), np.uint8)
    return modules["suite_kinds"].Movie("one", image, Spacing(2.0, 0.5, 0.5), centres)


def ellipsoid(labels: np.ndarray, value: int, centre: tuple[int, int, int], radii: tuple[int, int, int]) -> None:
    grid = np.meshgrid(*[np.arange(n) for n in labels.shape], indexing="ij", sparse=True)
    labels[sum(((g - c) / r) ** 2 for g, c, r in zip(grid, centre, radii, strict=True)) <= 1] = value


@pytest.mark.parametrize("seed", range(6))
def test_every_nucleus_of_the_cuboid_is_annotated_and_the_small_one_lies_in_the_large_one(
    modules: dict[str, ModuleType], seed: int
) -> None:
    made = movie(modules)
    piece = modules["suite_cuboid"].piece
    small, large = piece(made, 12, seed), piece(made, 60, seed)
    assert 8 <= len(small.nuclei) <= 16
    assert 42 <= len(large.nuclei) <= 78
    assert large.frames[0] <= small.frames[0] < small.frames[1] <= large.frames[1]
    for one in (small, large):
        inside = 0
        for t in range(*one.frames):
            points = np.rint(made.centres[t])
            inside += int(((points >= one.low) & (points < one.high)).all(axis=1).sum())
        assert inside == len(one.nuclei)
    np.testing.assert_array_equal(small.nuclei, piece(made, 12, seed).nuclei)


def test_all_means_all_and_too_few_are_taken_as_they_are(modules: dict[str, ModuleType]) -> None:
    piece = modules["suite_cuboid"].piece
    assert len(piece(movie(modules), None, 0).nuclei) == 130
    assert len(piece(movie(modules, (9, 8)), 60, 0).nuclei) == 17


def test_a_smeared_label_is_neither_wanted_nor_wrong(modules: dict[str, ModuleType]) -> None:
    labels = np.zeros((60, 50, 100), np.uint8)
    ellipsoid(labels, 1, (30, 25, 20), (8, 8, 8))
    ellipsoid(labels, 3, (30, 25, 70), (28, 6, 6))
    truth = np.array([[30.0, 25, 20], [30, 25, 70]])
    um = np.ones(3)
    assert modules["plausible"].implausible(labels, um).tolist() == [False, True]
    beside, far = [30, 25, 70 + 8], [30, 25, 70 + 12]
    found = np.array([[30, 25, 21], [5, 25, 70], beside, far], float)
    counts = modules["plausible"].plausible_counts(found, truth, labels, um, (5.0,))
    assert counts.tolist() == [[1, 1, 0]]  # only the far one is wrong


def test_f1_and_its_interval_are_of_all_images_together(modules: dict[str, ModuleType]) -> None:
    scores = modules["suite_scores"]
    counts = np.array([[10, 0, 0], *[[5, 5, 5]] * 4])
    value, low, high = scores.with_interval(counts, np.random.default_rng(0))
    assert (low, value) == (0.5, pytest.approx(0.6))
    assert 0.6 < high < 0.85
    assert scores.gain(counts, counts) == [0.0, 0.0, 0.0]
    few = counts[1:3]  # images that agree are no proof
    value, low, high = scores.with_interval(few, np.random.default_rng(0))
    assert low < value == 0.5 < high
    assert scores.gain(few, few) == [0.0]


def test_degraded_images_are_the_same_for_the_same_seed(modules: dict[str, ModuleType]) -> None:
    stack = np.zeros((20, 30, 30), np.float32)
    ellipsoid(stack, 100, (10, 15, 15), (4, 6, 6))
    degrade = modules["degrade"].degrade
    for kind in modules["degrade"].HARDER:
        one, again, other = (degrade(stack, (2.0, 1.0, 1.0), kind, seed) for seed in (1, 1, 2))
        np.testing.assert_array_equal(one.image, again.image)
        assert np.array_equal(one.image, other.image) == kind.startswith("z")
    third = degrade(stack, (2.0, 1.0, 1.0), "z3", 0)
    np.testing.assert_array_equal(third.image, stack[1::3])
    assert third.spacing_um.tolist() == [6.0, 1.0, 1.0]


def test_dark_holes_are_darker_than_what_lies_around_them(modules: dict[str, ModuleType]) -> None:
    stack = np.zeros((30, 40, 40), np.float32)
    for x in (10, 30):
        ellipsoid(stack, 100, (15, 20, x), (6, 6, 6))
    hole = modules["degrade"].degrade(stack, (1.0, 1.0, 1.0), "membrane", 0).image
    assert hole[13:18, 18:23, 28:33].mean() < 0.7 * hole[13:18, 18:23, 18:23].mean()


def test_the_table_says_where_blobs_suffice_and_why_nothing_was_trained(
    modules: dict[str, ModuleType], capsys: pytest.CaptureFixture[str]
) -> None:
    about = {"kind": "hela", "part": "test", "seed": "any", "nuclei": "0", "recipe": ""}
    scored = {
        "f1": {"4": [0.97, 0.96, 0.98], "6.33": [0.98, 0.97, 0.99]},
        "own_radius_um": 6.33,
        "images": [[97, 3, 3]],
        "n_truth": 100,
    }
    blobs = {**about, "way": "blobs", **scored, "error_um": [0.5, 0.4, 0.6], "predict_cpu_s": 3.0}
    refused = {**about, "way": "trained", "nuclei": "12", "seed": 0, "recipe": "steps=1", "refused": "Too few nuclei."}
    modules["suite_table"].print_table({"a": refused, "b": blobs})
    said = capsys.readouterr().out
    assert said.index("**0.970** (0.960–0.980)") < said.index("refused: Too few nuclei.")
    assert "hela (test): blobs suffice here" in said
