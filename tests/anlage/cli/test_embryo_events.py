"""From pixels to divisions and deaths, by the commands alone: the way that benchmarks/embryo_events.py goes, at small size."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

from anlage import Spacing, SyntheticMovie, embryo

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "embryo_events.py"


@pytest.fixture(scope="module")
def way() -> ModuleType:
    spec = importlib.util.spec_from_file_location("benchmark_embryo_events", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def flat(seed: int) -> SyntheticMovie:
    return embryo(
        seed,
        14,
        (1, 120, 120),
        spacing=Spacing(1, 0.5, 0.5),
        n_nuclei=14,
        vivid=True,
        division_rate=0.05,
        death_rate=0.04,
    )


@pytest.mark.long
def test_divisions_and_deaths_are_found_in_a_movie_of_which_only_pixels_are_known(
    way: ModuleType, tmp_path: Path
) -> None:
    learn, test = [flat(1), flat(2)], [flat(3)]
    assert all(len(movie.deaths) >= 1 and len(movie.divisions) >= 2 for movie in (*learn, *test))
    found = way.chain(tmp_path, learn, test, "classical", ["steps=100", "members=1", "width=16", "batch_size=16"])
    for event, (tp, _, fn) in found.items():
        assert tp + fn == len(way.planted(test[0], event))
    assert sum(tp for tp, _, _ in found.values()) >= 2  # after a hundred steps, on two small movies
    told = pd.read_csv(tmp_path / "test0-death-found.csv")
    happened = told[told["class"] == 0]
    assert happened[["t", "y", "x"]].notna().all().all()
    assert (tmp_path / "death" / "held-out.csv").is_file()
