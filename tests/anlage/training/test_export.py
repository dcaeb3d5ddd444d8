"""Which weights a training from a model ends with."""

from __future__ import annotations

import pytest

from anlage.training.export import nearest_to_start


@pytest.mark.parametrize(
    ("losses", "tie", "share"),
    [
        ({0.5: 1.10, 0.75: 1.01, 1.0: 1.0}, 0.02, 0.75),
        ({0.5: 1.015, 0.75: 0.999, 1.0: 1.0}, 0.02, 0.5),
        ({0.5: 1.10, 0.75: 1.05, 1.0: 1.0}, 0.02, 1.0),
        ({0.5: 1.01, 0.75: 1.005, 1.0: 1.0}, 0.0, 1.0),
        ({0.5: float("nan"), 0.75: float("nan"), 1.0: float("nan")}, 0.02, 1.0),
    ],
)
def test_weights_nearer_to_the_model_are_taken_where_they_are_hardly_worse(losses, tie, share):
    assert nearest_to_start(losses, tie) == share
