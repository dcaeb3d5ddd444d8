"""The live plot."""

from __future__ import annotations

import math

import pytest

from anlage import Curve
from napari_anlage.plots import LearningPlot


@pytest.mark.parametrize(("low", "high"), [(2.1, 2.8), (0.01, 30.0), (0.3, 0.5), (1e-4, 2e-4), (0.9, 9.5)])
def test_the_loss_axis_always_has_a_few_readable_numbers(qtbot, low: float, high: float) -> None:
    plot = LearningPlot()
    qtbot.addWidget(plot)
    axis = plot._losses.getAxis("left")
    ((_, marks),) = axis.tickValues(math.log10(low), math.log10(high), 150)
    texts = axis.logTickStrings(marks, 1.0, 1.0)
    assert 2 <= len(texts) <= 12
    assert all(low <= float(text) * 1.001 and float(text) <= high * 1.001 for text in texts)
    assert len(set(texts)) == len(texts)


def test_it_draws_what_a_run_told_and_passes_over_what_is_no_number(qtbot) -> None:
    plot = LearningPlot()
    qtbot.addWidget(plot)
    curve = Curve(train=[(1, 2.0), (2, 1.0)], validation=[(2, 1.5)], score=[(2, 0.6), (3, math.nan)], best_step=2)
    plot.show_curve(curve)
    assert plot._train.xData.tolist() == [1, 2]
    assert plot._score.yData.tolist() == [0.6]
    assert plot._best.xData.tolist() == [2]
    plot.set_log(on=False)
    plot.show_curve(Curve())
    assert plot._train.xData is None


def test_it_is_small(qtbot) -> None:
    plot = LearningPlot()
    qtbot.addWidget(plot)
    assert plot.sizeHint().width() <= 340
    assert plot.minimumSizeHint().width() <= 340
