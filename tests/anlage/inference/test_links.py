from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from anlage.annotations import Annotations, State
from anlage.axes import Spacing
from anlage.calibration import expected_calibration_error
from anlage.candidates import Candidates, is_among
from anlage.dataset.points import build_points
from anlage.errors import AnlageError
from anlage.inference import links
from anlage.inference.links import score_links
from anlage.model import load_model
from anlage.tasks.links.task import LinksTask
from anlage.training.process import train
from anlage.training.run import Run

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


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A links model of a few steps, from points alone."""
    folder = tmp_path_factory.mktemp("trained")
    store = build_points(folder / "s.zarr", tissue(seed=1, n=60, n_frames=12), SPACING)
    run = Run.create(folder / "run", "links", [store.path], ["steps=12", "batch_size=2", "device=cpu"])
    return load_model(train(run))


def test_a_trained_model_scores_every_candidate_and_says_what_it_learnt_from(trained):
    nuclei = tissue(seed=5)
    candidates, probability = score_links(trained, nuclei, SPACING)
    true = is_among(candidates.pairs, rows_of(nuclei))
    assert true.sum() >= 0.99 * len(nuclei.links)
    assert ((probability > 0.5) == true).mean() > 0.97
    evidence = trained.card.evidence
    assert evidence.metrics["proposal_recall"] > 0.98
    assert evidence.metrics["search_radius"] >= 1.5
    text = trained.card.to_markdown()
    assert "which nucleus of the next frame is the same nucleus" in text
    assert "nearest-neighbour distances" in text
    assert "links and 33 divisions in 12 frames" in text


def test_a_model_links_points_three_times_as_far_apart_as_well(trained):
    nuclei = tissue(seed=5)
    _, there = score_links(trained, nuclei, SPACING)
    _, here = score_links(trained, nuclei, Spacing(6.0, 1.5, 1.5))
    assert here == pytest.approx(there, abs=1e-3)


def test_a_long_film_is_scored_in_stretches_with_the_same_result(trained, monkeypatch):
    nuclei = tissue(seed=5, n=50, n_frames=24)
    _, whole = score_links(trained, nuclei, SPACING)
    monkeypatch.setattr(links, "_MOST_AT_ONCE", 1500)
    _, parts = score_links(trained, nuclei, SPACING)
    assert parts == pytest.approx(whole, abs=1e-3)


def test_a_model_that_looks_at_the_image_asks_for_it(trained, monkeypatch):
    plan = {**trained.card.plan, "look": {
        "grid": {"voxel_diameters_zyx": (0.2, 0.2, 0.2), "stem": (1, 2, 2), "strides": ((1, 2, 2), (2, 2, 2))},
        "crop_zyx": (4, 8, 8), "n_channels": 1, "diameter_um": 4.0,
    }}  # fmt: skip
    sees = replace(trained, card=trained.card.model_copy(update={"plan": plan}))
    network = LinksTask().network(LinksTask.plan.model_validate(plan), LinksTask.config())
    monkeypatch.setattr(links, "network_of", lambda *_: (network.eval(), LinksTask.plan.model_validate(plan)))
    with pytest.raises(AnlageError, match="looks at the image around the nuclei: give the image"):
        score_links(sees, tissue(), SPACING)
