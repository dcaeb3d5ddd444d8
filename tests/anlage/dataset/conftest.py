from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anlage.annotations import Annotations
from anlage.axes import Box, Spacing
from anlage.dataset.build import build_store
from anlage.dataset.store import Store
from anlage.timelapse import TimeLapse

SPACING = Spacing(2.0, 1.0, 1.0)
DIAMETER_UM = 8.0


def render(positions: np.ndarray, shape_tzyx: tuple[int, int, int, int], brightness: Any = 1.0) -> np.ndarray:
    """Balls of 8 µm with soft rims on a dark, slightly noisy background, uint16 (t, 1, z, y, x)."""
    rng = np.random.default_rng(1)
    image = np.zeros(shape_tzyx)
    grid = [np.arange(n) for n in shape_tzyx[1:]]
    each = np.broadcast_to(brightness, len(positions))
    for (t, *centre), bright in zip(positions, each, strict=True):
        z, y, x = ((g - c) * s for g, c, s in zip(grid, centre, SPACING.zyx, strict=True))
        distance = np.sqrt(z[:, None, None] ** 2 + y[:, None] ** 2 + x**2)
        ball = bright / (1 + np.exp((distance - DIAMETER_UM / 2) / 0.5))
        image[int(t)] = np.maximum(image[int(t)], ball)
    return (100 + 1000 * image + rng.normal(0, 10, image.shape)).astype(np.uint16)[:, None]


def scattered(n: int, frames: int, shape_zyx: tuple[int, int, int], seed: int = 0) -> np.ndarray:
    """(n · frames, 4) positions on a jittered grid: no two nearer than a diameter."""
    rng = np.random.default_rng(seed)
    z, y, x = shape_zyx
    sites = np.array([(a, b, c) for a in range(3, z - 3, 6) for b in range(6, y - 6, 12) for c in range(6, x - 6, 12)])
    rows = []
    for t in range(frames):
        chosen = sites[rng.choice(len(sites), n, replace=False)] + rng.uniform(-1, 1, (n, 3))
        rows.append(np.c_[np.full(n, t), chosen])
    return np.concatenate(rows)


@pytest.fixture
def movie() -> Callable[..., TimeLapse]:
    def make(positions: np.ndarray, shape_tzyx: tuple[int, int, int, int], **about: Any) -> TimeLapse:
        about = {"spacing": SPACING, "interval_s": 60.0, "source": "movie.tif", **about}
        brightness = about.pop("brightness", 1.0)
        return TimeLapse.of(render(positions, shape_tzyx, brightness), **about)

    return make


@pytest.fixture
def store_of(tmp_path: Path, movie: Callable[..., TimeLapse]) -> Callable[..., Store]:
    """A store of a rendered movie, complete everywhere unless told otherwise."""

    def make(positions: np.ndarray, shape_tzyx: tuple[int, int, int, int], name: str = "a", **how: Any) -> Store:
        image = how.pop("image", None) or movie(positions, shape_tzyx)
        annotations = how.pop("annotations", None) or Annotations.of(positions)
        how = {"cuboid": Box.whole(shape_tzyx), "diameter_um": DIAMETER_UM, **how}
        return build_store(tmp_path / f"{name}.zarr", image, annotations, **how)

    return make


@pytest.fixture
def positions_in() -> Callable[..., np.ndarray]:
    return scattered
