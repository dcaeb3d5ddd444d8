from __future__ import annotations

import numpy as np
import pytest

from anlage.annotations import Annotations, State
from anlage.axes import Spacing
from anlage.calibration import expected_calibration_error
from anlage.candidates import Candidates, is_among
from anlage.inference.links import score_links

SPACING = Spacing(2.0, 0.5, 0.5)


def tissue(seed: int = 0, n: int = 120, n_frames: int = 8, spread_um: float = 1.0) -> Annotations:
    """Nuclei about 6 µm from each other that wander; every frame three of them divide into two, 3.5 µm apart."""
    rng = np.random.default_rng(seed)
    at = [rng.uniform(0, 45, 3) for _ in range(n)]
    rows, links, alive = [], [], []
    for t in range(n_frames):
        grown = []
        parting = set(rng.choice(len(at), 3, replace=False).tolist()) if t else set()
        for i, place in enumerate(at):
            axis = rng.normal(size=3)
            axis *= 1.75 / np.linalg.norm(axis)
            for part in (axis, -axis) if i in parting else (0 * axis,):
                moved = place + part + rng.normal(0, spread_um, 3) * (t > 0)
                grown.append((moved, i))
        number = len(rows) + 1
        for k, (place, mother) in enumerate(grown):
            rows.append((t, *(place / SPACING.um)))
            if t:
                links.append((alive[mother], number + k))
        alive, at = [number + k for k in range(len(grown))], [place for place, _ in grown]
    return Annotations.of(rows, links=links)


def rows_of(nuclei: Annotations) -> np.ndarray:
    return nuclei.links - 1


def test_without_training_the_true_links_are_the_likely_ones():
    nuclei = tissue()
    candidates, probability = score_links(None, nuclei, SPACING)
    true = is_among(candidates.pairs, rows_of(nuclei))
    assert true.sum() >= 0.99 * len(nuclei.links)
    said = probability > 0.5
    assert (said & true).sum() > 0.95 * true.sum()
    assert (said & ~true).sum() < 0.05 * true.sum()
    assert expected_calibration_error(probability, true) < 0.02


def test_without_training_a_division_keeps_both_daughters():
    nuclei = tissue(spread_um=0.4)
    candidates, probability = score_links(None, nuclei, SPACING)
    daughters = np.isin(candidates.pairs[:, 0], nuclei.divisions[:, 0] - 1) & is_among(
        candidates.pairs, rows_of(nuclei)
    )
    assert daughters.sum() == 2 * len(nuclei.divisions) == 42
    assert (probability[daughters] > 0.5).mean() > 0.9


def test_what_is_ambiguous_is_not_certain():
    """One nucleus, two equally near ones afterwards which a third could also have become."""
    nuclei = Annotations.of([(0, 0, 0, 0), (0, 0, 0, 8), (1, 0, 0, 4), (2, 0, 0, 4)])
    candidates, probability = score_links(None, nuclei, Spacing(1, 1, 1))
    pair = dict(zip(map(tuple, candidates.pairs.tolist()), probability, strict=True))
    assert pair[0, 2] == pytest.approx(pair[1, 2])
    assert 0.2 < pair[0, 2] < 0.55


def test_probabilities_do_not_change_with_the_unit_of_length():
    nuclei = tissue()
    _, there = score_links(None, nuclei, SPACING)
    _, here = score_links(None, nuclei, Spacing(6.0, 1.5, 1.5))
    assert here == pytest.approx(there, abs=1e-6)


def test_rejected_nuclei_have_no_candidates_and_rows_stay_those_of_the_table():
    nuclei = tissue()
    state = np.where(np.arange(len(nuclei)) % 10 == 3, State.REJECTED, State.ACCEPTED)
    marked = Annotations.of(nuclei.positions, links=nuclei.links, state=state)
    candidates, _ = score_links(None, marked, SPACING)
    assert (state[candidates.pairs] == State.ACCEPTED).all()
    assert (marked.frames[candidates.pairs[:, 1]] - marked.frames[candidates.pairs[:, 0]] == candidates.steps).all()


def test_given_candidates_are_scored_and_nothing_is_nothing():
    nuclei = tissue()
    given = Candidates(rows_of(nuclei)[:5], np.ones(5, dtype=np.int64))
    candidates, probability = score_links(None, nuclei, SPACING, candidates=given)
    assert candidates is given
    assert probability.shape == (5,)
    assert (probability > 0.9).all()  # nothing competes
    nothing = score_links(None, Annotations.of(np.zeros((0, 4))), SPACING)
    assert len(nothing[0]) == len(nothing[1]) == 0
