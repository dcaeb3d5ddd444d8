"""Columns of layers that are called like ours: read where they mean the same, else kept apart."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from napari.layers import Image, Points

from anlage import HUMAN, State
from napari_anlage.viewer.grid import LayerGrid
from napari_anlage.viewer.layer_features import columns_of
from napari_anlage.viewer.read import annotations_of, axes_of, image_of


def read(features):
    layer = Image(np.zeros((3, 4, 5, 6)), axis_labels=("t", "z", "y", "x"))
    points = Points(np.array([[0, 1, 2, 3], [0, 2, 2, 3], [1, 1, 2, 3.0]]), features=features)
    return annotations_of(points, LayerGrid.of(layer, axes_of(layer)), image_of([layer]))


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("label", ["nose", "tail", "ear"]),
        ("label", [1.5, 2.0, 3.0]),
        ("label", [-1, 2, 3]),
        ("label", [True, False, True]),
        ("label", [1e300, 2.0, 3.0]),
        ("label", [1.0, np.inf, 3.0]),
        ("state", ["good", "bad", "good"]),
        ("state", [0, 1, 9]),
        ("state", ["accepted", None, "accepted"]),
        ("probability", ["high", "low", "high"]),
        ("probability", [97.0, 3.0, 50.0]),
        ("probability", [-3.0, 0.5, 0.5]),
        ("radius_um", ["small", "large", "small"]),
        ("radius_um", [1e308, 2.0, 3.0]),
        ("radius_um", [np.inf, 2.0, 3.0]),
        ("origin", [1, 2, 3]),
        ("id", ["a", "b", "c"]),
        ("id", [1.2, 1.7, 2.0]),
        ("id", [1, 1, 2]),
        ("id", [0, 1, 2]),
        ("id", [1.0, np.nan, 2.0]),
    ],
)
def test_a_column_of_our_name_that_means_something_else_is_kept_beside_and_nothing_is_read_into_it(
    name, values
) -> None:
    found = read({name: values})
    plain = read({})
    for ours in ("ids", "label", "state", "probability", "radius_um", "origin"):
        np.testing.assert_array_equal(getattr(found, ours), getattr(plain, ours))
    assert list(found.properties) == [f"napari_{name}"]
    pd.testing.assert_series_equal(
        pd.Series(found.properties[f"napari_{name}"]), pd.Series(values), check_dtype=False, check_names=False
    )


def test_columns_that_mean_what_ours_do_are_read_whatever_their_type() -> None:
    found = read(
        {
            "label": [1.0, np.nan, 3.0],
            "state": pd.Categorical(["proposed", "Accepted", "rejected"]),
            "probability": pd.array([0.5, None, 1.0], dtype="Float64"),
            "radius_um": pd.array([2, None, -1], dtype="Int64"),
            "id": [7.0, 8.0, 9.0],
            "origin": ["human", "net-1", "human"],
            "mine": ["a", "b", "c"],
        }
    )
    assert found.label.tolist() == [1, 0, 3]
    assert found.state.tolist() == [State.PROPOSED, State.ACCEPTED, State.REJECTED]
    np.testing.assert_array_equal(found.probability, [0.5, np.nan, 1.0])
    np.testing.assert_array_equal(found.radius_um, [2.0, np.nan, np.nan])
    assert found.ids.tolist() == [7, 8, 9]
    assert found.origin.tolist() == [HUMAN, "net-1", HUMAN]
    assert list(found.properties) == ["mine"]


def test_numbers_that_floats_cannot_hold_are_no_ids() -> None:
    ours, others = columns_of({"id": np.array([2**53 + 1, 2, 3]), "label": np.array([2**53 + 1, 2, 3])})
    assert not ours
    assert set(others) == {"napari_id", "napari_label"}
