"""The diameter at which a network is surest: where it is sought, and that it finds what the pixels mislead about."""

from __future__ import annotations

import math

import numpy as np
import pytest

from anlage.blobs import estimate_diameter
from anlage.evaluation.detection import score_detection
from anlage.inference import predict, starter_path
from anlage.inference.diameter_search import MOST_TRIED, surest
from anlage.model import load_model
from anlage.synthetic.variety import variety


def sure_about(true_um, height=0.95, width=0.3, tried=None):
    """A network that is surest at a diameter."""

    def merit(um):
        if tried is not None:
            tried.append(um)
        return height * math.exp(-0.5 * (math.log(um / true_um) / width) ** 2)

    return merit


def test_it_goes_to_where_the_network_is_surest_however_wrong_the_measurement():
    assert surest(sure_about(12.0), 8.0, 20.0) == pytest.approx(12.0, rel=0.15)
    assert surest(sure_about(12.0), 8.0) == pytest.approx(12.0, rel=0.15)
    assert surest(sure_about(6.0), 8.0, 80.0) == pytest.approx(6.0, rel=0.15)


def test_what_is_hardly_better_is_no_reason_to_leave_the_expected_one():
    assert surest(sure_about(8.4), 8.0, 8.6) == 8.0
    assert surest(lambda um: 0.9, 8.0, 12.0) == 8.0


def test_other_cells_that_look_a_little_more_like_nuclei_are_not_taken_for_them():
    """Among tumour cells of 12 µm the network is a little surer of lymphocytes of 6.5 µm."""
    sure = {11.9: 0.71, 6.5: 0.79}
    assert surest(lambda um: sure.get(um, 0.5), 11.9, 6.5) == 11.9


def test_a_small_top_beside_the_expected_diameter_is_left():
    """A network of 6.4 µm that is rather sure of hundreds of false nuclei, where those of 12 µm were measured as 18 µm."""
    sure = [(6.4, 0.68), (7.8, 0.67), (9.5, 0.77), (11.7, 0.88), (14.2, 0.87), (18.3, 0.76), (21, 0.71)]

    def merit(um):
        return float(np.interp(math.log(um), [math.log(at) for at, _ in sure], [value for _, value in sure]))

    assert surest(merit, 6.4, 18.3) == pytest.approx(12.0, rel=0.1)


def test_where_too_few_are_found_nothing_is_said_and_the_number_of_looks_is_bounded():
    assert surest(lambda um: None, 8.0, 12.0) is None
    assert surest(lambda um: None if um < 10 else 0.8, 8.0, 12.0) == pytest.approx(12.0)
    tried: list[float] = []
    surest(sure_about(1e6, width=30, tried=tried, height=1e3), 8.0, 12.0)
    assert len(tried) == len(set(tried)) <= MOST_TRIED + 1


def test_nuclei_that_touch_and_are_measured_too_large_are_found_all_the_same():
    movie = next(variety(1, seed=2201))
    truth = movie.truth.select(movie.truth.frames == 0)
    true_um = 2 * float(np.median(truth.radius_um))
    measured = estimate_diameter(movie.image.frame(0)[0].astype(np.float32), movie.image.spacing)
    assert measured > 1.5 * true_um
    model = load_model(starter_path(flat=False))
    (found,) = predict(model, movie.image, frames=[0])
    assert found.diameter_um < 0.9 * measured
    (note,) = [note for note in found.notes if "surest" in note]
    assert f"{found.diameter_um:.1f} µm across" in note
    assert f"measured in the image: {measured:.1f} µm" in note
    (as_measured,) = predict(model, movie.image, frames=[0], diameter_um=measured)
    um = movie.image.spacing
    ours, theirs = (score_detection(p.nuclei, truth, um, radius_um=5.0).f1 for p in (found, as_measured))
    assert ours > theirs + 0.03
