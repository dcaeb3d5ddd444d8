"""Events on other tracks than those of the truth: paired by place and time."""

from __future__ import annotations

import numpy as np
import pytest

from anlage.axes import Spacing
from anlage.errors import AnlageError
from anlage.evaluation.event_places import evaluate_placed_events
from anlage.signals.events import Events

SPACING = Spacing(2.0, 0.5, 0.5)


def placed(frames: list[float], zyx: list[tuple[float, float, float]], classes: list[int] | None = None) -> Events:
    n = len(frames)
    columns = dict(zip("zyx", np.array(zyx, dtype=float).reshape(-1, 3).T, strict=True))
    kinds = np.zeros(n, dtype=np.int64) if classes is None else np.array(classes)
    return Events(np.arange(n) + 10, "once", kinds, np.array(frames), np.full(n, 0.9), 60.0, columns)


def test_events_are_the_same_within_a_frame_and_a_radius():
    truth = placed([5, 9, 12, 20], [(3, 40, 40), (3, 40, 40), (5, 80, 80), (5, 10, 10)])
    predicted = placed(
        [6.0, 10.1, 12.4, 19.5, 3], [(3, 44, 40), (3, 40, 40), (5, 80, 92), (4, 12, 10), (1, 1, 1)], [0, 0, 0, 0, 1]
    )
    # the second is 1.1 frames late, the third 6 µm away; the fifth is no event
    report = evaluate_placed_events(predicted, truth, SPACING, radius_um=5)
    assert (report.tp, report.fp, report.fn) == (2, 2, 2)
    assert report.median_error_frames == pytest.approx(0.75)
    assert report.median_error_min == pytest.approx(0.75)
    assert report.kind == "placed"
    wider = evaluate_placed_events(predicted, truth, SPACING, radius_um=6, frames=2)
    assert (wider.tp, wider.fp, wider.fn) == (4, 0, 0)


def test_one_event_is_found_once():
    truth = placed([5], [(3, 40, 40)])
    predicted = placed([5, 5.05], [(3, 41, 40), (3, 40, 40)])
    report = evaluate_placed_events(predicted, truth, SPACING)
    assert (report.tp, report.fp, report.fn) == (1, 1, 0)
    assert report.mean_error_frames == pytest.approx(0.05)  # the nearest of both
    nothing = placed([], [])
    assert evaluate_placed_events(nothing, truth, SPACING).fn == 1


def test_events_without_a_place_are_refused():
    bare = Events(np.array([1]), "once", np.array([0]), np.array([1.0]), np.array([np.nan]))
    with pytest.raises(AnlageError, match=r"The result has no column z, so its events have no place"):
        evaluate_placed_events(bare, placed([1], [(1, 1, 1)]), SPACING)
