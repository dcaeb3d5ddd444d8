"""Probabilities of tracks are scaled by films that the network did not learn from, as its card says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from anlage.calibration import Calibration, TemperatureScaling
from anlage.candidates import Candidates
from anlage.tasks.task import HeldOutFilm
from anlage.tracking.confidence import confidence, link_reliability
from anlage.tracking.costs import problem_of
from anlage.tracking.settings import UNTRAINED, TrackingSettings
from anlage.tracking.temperature import fit_temperature_scaling
from anlage.tracking.windows import solve


def doubtful(seed: int, boast: float, n: int = 700) -> HeldOutFilm:
    """Nuclei that each have two possible successors, one of them right; the log-odds given are `boast` times what is known."""
    rng = np.random.default_rng(seed)
    at = 50.0 * np.arange(n)
    points = np.concatenate([np.column_stack([np.zeros(n), np.zeros(n), x]) for x in (at, at, at + 5)])
    rows = np.arange(n)
    pairs = np.concatenate([np.column_stack([rows, n + rows]), np.column_stack([rows, 2 * n + rows])])
    logit = rng.normal(0, 2.0, n)
    first = rng.random(n) < 1 / (1 + np.exp(-logit))
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    p = 1 / (1 + np.exp(-boast * np.concatenate([logit, -logit])))
    return HeldOutFilm(
        frames=np.repeat([0, 1, 1], n), points_um=points, share_real=0.7,
        candidates=Candidates(pairs[order], np.ones(2 * n, dtype=np.int64)), links=p[order], divides=np.full(3 * n, 1e-6),
        right=np.concatenate([first, ~first])[order], known=np.ones(2 * n, dtype=bool),
    )  # fmt: skip


def told(film: HeldOutFilm, scaling: TemperatureScaling) -> tuple[float, int]:
    """Calibration error of the links of the tracks through a film, and how many these are."""
    problem = problem_of(
        film.frames, film.points_um, film.candidates, film.links, node_probability=np.full(len(film.frames), film.share_real),
        division_probability=film.divides,
    )  # fmt: skip
    chosen = solve(problem).edges
    p = confidence(problem, TrackingSettings().with_scaling(scaling)).edge[chosen]
    found = link_reliability(p, film.right[chosen])
    return found.ece, found.n


@pytest.mark.parametrize("boast", [0.5, 3.0])
def test_what_is_fitted_to_one_film_holds_for_another(boast: float) -> None:
    scaling = fit_temperature_scaling([doubtful(0, boast), doubtful(1, boast)])
    assert scaling is not None
    ece, n = told(doubtful(2, boast), scaling)
    assert n > 500
    assert ece < 0.05
    assert ece < told(doubtful(2, boast), UNTRAINED)[0] / 2
    assert scaling.ece is not None
    assert scaling.ece < 0.03
    assert sum(one.n for one in scaling.bins) == scaling.n


def test_too_little_or_one_sided_or_unknown_is_not_fitted_to() -> None:
    film = doubtful(0, 1.0)
    assert fit_temperature_scaling([]) is None
    assert fit_temperature_scaling([replace(film, right=np.ones_like(film.right))]) is None
    assert fit_temperature_scaling([replace(film, known=np.zeros_like(film.known))]) is None
    assert fit_temperature_scaling([doubtful(0, 1.0, n=12)]) is None


def test_what_the_user_sets_comes_before_what_the_card_says() -> None:
    card = TemperatureScaling(temperature=2.0, calibration=Calibration(slope=1.5, intercept=-1.0))
    assert TrackingSettings().with_scaling(card).scaling == card
    own = TrackingSettings(temperature=5.0).with_scaling(card)
    assert (own.temperature, own.calibration) == (5.0, card.calibration)
    assert TrackingSettings().scaling == UNTRAINED
