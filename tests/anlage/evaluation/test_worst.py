"""The objects that were outlined worst come first, each with its place."""

from __future__ import annotations

import numpy as np
import pytest

from anlage.evaluation import worst_objects
from anlage.timelapse import TimeLapse


def test_the_missed_and_the_badly_outlined_come_first() -> None:
    truth = np.zeros((2, 1, 20, 60), np.uint16)
    truth[0, 0, 2:12, 2:12] = 5
    truth[0, 0, 2:12, 22:32] = 6
    truth[1, 0, 2:12, 42:52] = 7
    truth[1, 0, 18, 2:4] = 8  # a crumb
    result = np.zeros_like(truth)
    result[0, 0, 2:12, 2:12] = 1
    result[0, 0, 2:12, 22:27] = 2
    worst = worst_objects(TimeLapse.of(result), TimeLapse.of(truth), smallest=3)
    assert [(one.frame, one.label) for one in worst] == [(1, 7), (0, 6), (0, 5)]
    assert [one.iou for one in worst] == pytest.approx([0, 0.5, 1])
    assert (worst[0].z, worst[0].y, worst[0].x) == (0, 7, 47)
    assert len(worst_objects(TimeLapse.of(result), TimeLapse.of(truth), 2)) == 2
