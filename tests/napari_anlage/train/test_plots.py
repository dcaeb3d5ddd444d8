"""The live plot."""

from __future__ import annotations

import math

import pytest

from anlage import Curve
from napari_anlage.train.plots import LearningPlot
from napari_anlage.widgets.theme import DARK, LIGHT


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


def luminance(colour: str) -> float:
    """Relative luminance of ``#rrggbb``, as the WCAG define it."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_every_curve_can_be_told_from_the_background_in_both_themes(theme: str) -> None:
    from napari.utils.theme import get_theme

    plot_colours = {"dark": DARK, "light": LIGHT}[theme]
    ground = luminance(get_theme(theme).background.as_hex("long"))
    for colour in (
        plot_colours.train,
        plot_colours.held_out,
        plot_colours.score,
        plot_colours.best,
        *plot_colours.runs,
    ):
        bright, dim = sorted((luminance(colour), ground), reverse=True)
        assert (bright + 0.05) / (dim + 0.05) >= 3, colour


def test_the_colours_follow_the_theme(qtbot) -> None:
    plot = LearningPlot()
    qtbot.addWidget(plot)
    plot.show()
    for style, plot_colours in (("color:#f0f0f0", DARK), ("color:#101010", LIGHT)):
        plot.setStyleSheet(f"QWidget{{{style}}}")
        assert plot.plot_colours is plot_colours
        assert plot._train.opts["pen"].color().name() == plot_colours.train
        assert plot_colours.held_out in plot.legend()


def test_the_best_so_far_is_marked_in_both_panels(qtbot) -> None:
    plot = LearningPlot()
    qtbot.addWidget(plot)
    plot.show_curve(Curve(score=[(2, 0.6), (4, 0.9), (6, 0.8)], best_step=4))
    assert [mark.value() for mark in plot._marks] == [4, 4]
    assert all(mark.isVisible() for mark in plot._marks)
    plot.show_curve(Curve())
    assert not any(mark.isVisible() for mark in plot._marks)
