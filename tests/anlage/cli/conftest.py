"""A small movie on disk, with its truth, for commands to work on."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anlage.calibration import Calibration
from anlage.card import Card
from anlage.cli import main
from anlage.dataset.intensity import ChannelIntensity, Intensity
from anlage.io import write_annotations, write_image
from anlage.model import save_model
from anlage.synthetic import SyntheticMovie, embryo
from anlage.tasks.task import Evidence

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="session")
def movie() -> SyntheticMovie:
    return embryo(5, 4, (12, 72, 72), n_nuclei=14)


@pytest.fixture(scope="session")
def _written(movie: SyntheticMovie, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("movie")
    write_image(
        folder / "image.ome.zarr", movie.image.read(), spacing=movie.spacing, interval_s=300, channels=["nuclei"]
    )
    write_annotations(folder / "truth.csv", movie.truth)
    write_annotations(folder / "early.csv", movie.truth.select(movie.truth.frames < 3))
    return folder


@pytest.fixture
def folder(_written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with image.ome.zarr, truth.csv (all frames) and early.csv (frames 0 to 2)."""
    place = tmp_path / "work"
    shutil.copytree(_written, place)
    monkeypatch.chdir(place)
    return place


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command; gives its exit code, stdout and stderr."""

    def run(*words: object) -> tuple[int, str, str]:
        code = main([str(word) for word in words])
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return run


@pytest.fixture
def store(folder: Path, command: Command) -> Path:
    code, _, err = command(
        "build", "image.ome.zarr", "early.csv", "-o", "nuclei.zarr", "--cuboid", "0:3,0:12,0:72,0:72"
    )
    assert code == 0, err
    return folder / "nuclei.zarr"


_PLANS: dict[str, Any] = {
    "nuclei": {
        "grid": {"voxel_diameters_zyx": (0.25, 0.1, 0.1), "stem": (1, 2, 2), "strides": ((1, 2, 2), (2, 2, 2))},
        "diameter_um": 8.0, "apparent_um": None, "n_channels": 1, "frames": (0,), "patch_zyx": (8, 32, 32), "sigma": 0.16,
        "match_radius_um": 3.0,
    },
    "links": {"radius": 2.0, "spread": 0.3, "neighbour_um": 6.0, "look": None},
}  # fmt: skip


def a_model(path: Path, **about: Any) -> Path:
    """A model file that is in order but has no sensible weights."""
    evidence = Evidence(
        held_out="nothing", n_positive=0, metrics={}, threshold=0.5, calibration=Calibration(), ece=None
    )
    card = Card(
        **{
            "name": "some", "task": "nuclei", "head": "centres", "created": "2026-11-21T10:00:00Z", "version": "0.1.0",
            "channels": ("nuclei",), "spacing_um_zyx": (2.0, 0.5, 0.5), "config": {}, "trained_on": (),
            "plan": _PLANS[about.get("task", "nuclei")],
            "intensity": Intensity(channels=(ChannelIntensity(name="nuclei", index=0, low=0.0, high=1.0),)),
            "evidence": evidence, **about,
        }
    )  # fmt: skip
    return save_model(path, card, {"weight": np.zeros(3, np.float32)}).path


@pytest.fixture(name="a_model")
def _a_model() -> Callable[..., Path]:
    return a_model
