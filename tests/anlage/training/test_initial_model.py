"""What a training begins with unless it is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from anlage.annotations import Annotations
from anlage.axes import Box, Spacing
from anlage.dataset.build import build_store
from anlage.errors import AnlageError
from anlage.inference.starter import starter_path
from anlage.timelapse import TimeLapse
from anlage.training.initial_model import USUAL, usual_start, usual_steps
from anlage.training.run import Run


def a_store(folder: Path, n_channels: int = 1, *, n_planes: int = 8) -> Path:
    pixels = np.random.default_rng(0).integers(0, 200, (1, n_channels, n_planes, 24, 24)).astype(np.uint16)
    image = TimeLapse(pixels, "tczyx", spacing=Spacing(1, 1, 1))
    nuclei = Annotations.of([[0, n_planes // 2, 8, 8], [0, n_planes // 2, 16, 16]])
    build_store(folder, image, nuclei, cuboid=Box.whole(image.shape_tzyx), diameter_um=6)
    return folder


def test_a_single_channel_starts_from_the_starter_and_learns_gently(tmp_path: Path) -> None:
    store = a_store(tmp_path / "s.zarr")
    start = usual_start("nuclei", [store])
    assert start == starter_path()
    gentle = Run.create(tmp_path / "a", "nuclei", [store], start_from=USUAL)
    assert gentle.config.start_from == str(start)
    fresh = Run.create(tmp_path / "b", "nuclei", [store])
    asked = Run.create(tmp_path / "c", "nuclei", [store], ["learning_rate=0.01"], start_from=start)
    assert gentle.config.learning_rate == fresh.config.learning_rate / 2
    assert asked.config.learning_rate == 0.01


@pytest.mark.parametrize("setting", ["width=16", "levels=2", "cells=6", "head=instances", "frames=-1,1"])
def test_another_network_starts_fresh(tmp_path: Path, setting: str) -> None:
    assert usual_start("nuclei", [a_store(tmp_path / "s.zarr")], [setting]) is None


def test_several_channels_and_frames_start_from_the_starter_too(tmp_path: Path) -> None:
    assert usual_start("nuclei", [a_store(tmp_path / "s.zarr", 2)], ["frames=-1,0,1"]) == starter_path()


def test_a_single_plane_starts_from_the_starter_for_planes_whose_width_nobody_has_to_know(tmp_path: Path) -> None:
    store = a_store(tmp_path / "s.zarr", n_planes=1)
    run = Run.create(tmp_path / "a", "nuclei", [store], start_from=USUAL)
    assert run.config.start_from == str(starter_path(flat=True))
    assert usual_start("nuclei", [store], ["width=32"]) is None


def test_how_many_steps_a_training_makes_is_known_before_its_data_are_written(tmp_path: Path) -> None:
    assert usual_steps("nuclei") == (250, 60)  # from the starter
    assert usual_steps("nuclei", start_from=None) == (400, 120)
    assert usual_steps("nuclei", n_inputs=2) == (250, 60)
    assert usual_steps("nuclei", ["levels=2"], flat=True) == (400, 120)
    assert usual_steps("nuclei", ["head=instances"]) == (700, 120)
    assert usual_steps("nuclei", ["head=classes"], starter_path()) == (300, 120)
    assert usual_steps("events") == (400, 60)
    with pytest.raises(AnlageError, match="There is no setting 'headd'"):
        usual_steps("nuclei", ["headd=classes"])
