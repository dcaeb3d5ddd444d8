"""Shared by the dock's tests: a movie in an odd place of the world."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anlage import Annotations, Box, Run, Spacing, TimeLapse, build_store

ODD = {
    "scale": (60.0, 2.0, 0.53, 0.47),
    "translate": (120.0, -11.0, 33.3, 1000.0),
    "units": ("s", "µm", "µm", "µm"),
    "axis_labels": ("t", "z", "y", "x"),
}


@pytest.fixture
def odd() -> dict[str, Any]:
    """Scale, translation, units and names of a layer that lies nowhere near the origin."""
    return dict(ODD)


@pytest.fixture
def blobs() -> tuple[np.ndarray, np.ndarray]:
    """A movie (t, z, y, x) of bright balls and their centres (N, 4)."""
    rng = np.random.default_rng(1)
    shape = (3, 12, 48, 52)
    centres, grid = [], np.indices(shape[1:])
    movie = rng.normal(100, 3, shape)
    for t in range(3):
        for z in (3, 8):
            for y in (10, 24, 38):
                for x in (11, 26, 41):
                    centre = np.array([z, y, x]) + rng.uniform(-1, 1, 3) * (0.4, 1.5, 1.5)
                    distance = (
                        (grid - centre[:, None, None, None]) * np.array([2, 0.5, 0.5])[:, None, None, None]
                    ) ** 2
                    movie[t] += 400 * np.exp(-distance.sum(0) / (2 * 1.3**2))
                    centres.append((t, *centre))
    return movie.astype(np.uint16), np.array(centres)


@pytest.fixture
def fake_anlage(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Children started as ``python -m anlage`` are the fake trainer."""
    script = tmp_path / "python"
    fake = Path(__file__).with_name("fake_trainer.py")
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{fake}" "$@"\n')
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))


@pytest.fixture
def run(blobs: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> Run:
    """A run on a small store, not started."""
    image = TimeLapse.of(blobs[0], spacing=Spacing(2, 0.5, 0.5))
    store = build_store(
        tmp_path / "s.zarr", image, Annotations.of(blobs[1]), cuboid=Box.whole(image.shape_tzyx), diameter_um=5.0
    )
    return Run.create(tmp_path / "runs" / "first", "nuclei", [store.path])
