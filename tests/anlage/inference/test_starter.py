"""The network that comes with the program: that it is there, says what it is, and is of use at once."""

from __future__ import annotations

import numpy as np
import pytest

from anlage.evaluation.detection import score_detection
from anlage.inference import STARTER, predict, starter_path
from anlage.model import load_model
from anlage.synthetic import Optics, embryo


@pytest.fixture(scope="module", params=[False, True], ids=["volumes", "planes"])
def flat(request):
    return request.param


def test_it_is_small_and_says_where_it_comes_from(flat):
    path = starter_path(flat=flat)
    assert path.stat().st_size < 8 * 2**20
    card = load_model(path, task="nuclei", head="centres").card
    assert card.name.startswith(STARTER)
    assert card.plan["grid"]["flat"] is flat
    assert "trained on synthetic embryos only" in card.limits
    assert all(store.name.startswith("synthetic-embryo") for store in card.trained_on)
    assert str(np.unique([store.diameter_um for store in card.trained_on]).size) != "1", "nuclei of many sizes"


def test_it_finds_the_nuclei_of_an_embryo_that_it_never_saw(flat):
    movie = embryo(77, 1, (1, 160, 160) if flat else (16, 112, 112), n_nuclei=20)
    model = load_model(starter_path(flat=flat))
    (found,) = predict(model, movie.image, device="cpu")
    assert any("as measured in the image" in note for note in found.notes), "its own diameter means nothing"
    score = score_detection(found.nuclei, movie.truth, movie.spacing, radius_um=4.0)
    assert score.f1 > 0.85
    (given,) = predict(model, movie.image, device="cpu", diameter_um=8.0)
    assert given.diameter_um == 8.0


def test_candidates_filtered_are_what_a_threshold_gives():
    """So that a slider shows what the command line would report."""
    movie = embryo(78, 1, (12, 80, 80), n_nuclei=24, optics=Optics(photons=6, background=2, n_fragments=8, haze=0.4))
    model = load_model(starter_path())
    (every,) = predict(model, movie.image, device="cpu", diameter_um=8.0, threshold=0.02)
    counts = [len(every.nuclei)]
    for threshold in (0.1, 0.5, 0.9):
        (reported,) = predict(model, movie.image, device="cpu", diameter_um=8.0, threshold=threshold)
        counts.append(len(reported.nuclei))
        kept = every.nuclei.select(every.nuclei.probability >= threshold)
        np.testing.assert_allclose(kept.positions, reported.nuclei.positions, atol=1e-9)
        np.testing.assert_allclose(kept.probability, reported.nuclei.probability, atol=1e-9)
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[-1]
