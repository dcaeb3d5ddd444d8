from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anlage.annotations import Annotations
from anlage.axes import Spacing
from anlage.blobs import at_nuclei, estimate_diameter
from anlage.cuboid import detect_cuboid
from anlage.dataset.build import build_store
from anlage.dataset.diameter import find_diameter
from anlage.dataset.intensity import measure_intensity
from anlage.timelapse import TimeLapse

SPACING = Spacing(2, 1, 1)
SHAPE = (2, 16, 60, 60)
Make = Callable[..., Any]


def find(nuclei: Annotations, image: TimeLapse, given: float | None = None) -> tuple[float, str, str | None]:
    return find_diameter(nuclei, image, measure_intensity(image), SPACING, given)


def test_what_the_user_says_comes_first_then_radii(movie: Make, positions_in: Make) -> None:
    positions = positions_in(8, 2, SHAPE[1:])
    image = movie(positions, SHAPE)
    radii = np.where(np.arange(len(positions)) % 2, 5.0, np.nan)
    nuclei = Annotations.of(positions, radius_um=radii)
    assert find(nuclei, image, 7.0) == (7.0, "given", None)
    assert find(nuclei, image) == (10.0, "radii", None)


def test_the_radius_that_a_model_assumed_is_not_measured(movie: Make, positions_in: Make) -> None:
    positions = positions_in(8, 2, SHAPE[1:])
    nuclei = Annotations.of(positions, radius_um=20.0, origin="m-1")
    diameter, how, _ = find(nuclei, movie(positions, SHAPE))
    assert how == "image"
    assert diameter == pytest.approx(8, rel=0.25)


def test_discs_in_a_single_plane(movie: Make) -> None:
    labels = np.zeros((1, 1, 40, 40), np.uint8)
    labels[0, 0, 10:20, 10:20] = 3
    image = TimeLapse.of(np.random.default_rng(0).random((1, 1, 1, 40, 40)).astype(np.float32))
    nuclei = Annotations.of([[0, 0, 14.5, 14.5]], label=[3], labels=TimeLapse.of(labels, "tzyx"))
    diameter, how, note = find(nuclei, image)
    assert diameter == pytest.approx(2 * np.sqrt(100 / np.pi))
    assert (how, note) == ("labels", None)


def test_bare_points_are_measured_in_the_image(movie: Make, positions_in: Make) -> None:
    positions = positions_in(8, 2, SHAPE[1:])
    diameter, how, note = find(Annotations.of(positions), movie(positions, SHAPE))
    assert how == "image"
    assert note is None
    assert diameter == pytest.approx(8, rel=0.25)


def test_where_nothing_can_be_measured_a_guess_is_said(movie: Make) -> None:
    image = TimeLapse.of(np.zeros((1, 1, 16, 60, 60), np.uint8))
    near = Annotations.of([[0, 8, 30, 30], [0, 8, 30, 38.0]])
    diameter, how, note = find(near, image)
    assert (round(diameter, 1), how) == (6.4, "assumed")
    assert note is not None
    assert "6.4 µm was assumed" in note
    assert find(Annotations.of([[0, 8, 30, 30.0]]), image)[0] == 10.0


@pytest.mark.parametrize("looked_at_first", [True, False])
def test_a_build_measures_once(
    looked_at_first: bool, movie: Make, positions_in: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[float | None] = []

    def counted(*args: Any, **kwargs: Any) -> float | None:
        seen.append(estimate_diameter(*args, **kwargs))
        return seen[-1]

    monkeypatch.setattr(at_nuclei, "estimate_diameter", counted)
    positions = positions_in(8, 1, SHAPE[1:])
    nuclei, image = Annotations.of(positions), replace(movie(positions, (1, *SHAPE[1:])), spacing=SPACING)
    cuboid = detect_cuboid(nuclei, image) if looked_at_first else "auto"
    store = build_store(tmp_path / "store.zarr", image, nuclei, cuboid=cuboid)
    assert seen == [store.meta.diameter_um]
    assert store.meta.diameter_from == "image"
