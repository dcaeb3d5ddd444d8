"""What is proposed without a network: the right time on clear tracks, nothing on unclear ones, and one undo for all."""

from __future__ import annotations

import numpy as np
import pytest

from anlage import AnlageError, Signals, read_events
from napari_anlage.signals.rule_panel import ProposePanel
from napari_anlage.signals.rules import Condition, Direction, Method, Rule, propose_answers
from napari_anlage.signals.scoring import CENSORED, EVENT, NO_EVENT, NOT_YET, Scoring

TIMES = np.array([20.0, 33.0, 41.0, 26.0])


def steps(sign: float = 1.0, n_flat: int = 4, noise: float = 2.0) -> Signals:
    """Four tracks that step in a known frame, and flat ones; the first track has a gap and begins late."""
    rng = np.random.default_rng(4)
    t = np.arange(60)
    values = [sign * 60 / (1 + np.exp(-(t - at) / 0.8)) for at in TIMES] + [np.zeros(60)] * n_flat
    array = 100 + np.array(values) + rng.normal(0, noise, (4 + n_flat, 60))
    array[0, :4] = np.nan
    array[0, 10:12] = np.nan
    return Signals.of(array, ("mean",), interval_s=120.0, first_frame=5)


def flashes() -> Signals:
    rng = np.random.default_rng(0)
    t = np.arange(60)
    shape = [np.where(t >= at, np.exp(-(t - at) / 3.0), 0) * 40 for at in TIMES] + [np.zeros(60)] * 4
    return Signals.of(np.array(shape) + rng.normal(0, 1, (8, 60)), ("mean",))


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize(("method", "event_from", "none_below"), [(Method.SLOPE, 6.0, 4.5), (Method.STEP, 0.7, 0.4)])
def test_steps_are_found_in_their_frame_and_flat_tracks_have_none(sign, method, event_from, none_below) -> None:
    found = propose_answers(steps(sign), Rule(method, "mean", Direction.EITHER, event_from, none_below))
    assert found.classes.tolist() == [EVENT] * 4 + [NO_EVENT] * 4
    assert np.abs(found.times[:4] - (TIMES + 5)).max() <= 1.5
    wrong_way = Direction.DOWN if sign > 0 else Direction.UP
    assert not (
        propose_answers(steps(sign), Rule(method, "mean", wrong_way, event_from, none_below)).classes == EVENT
    ).any()


def test_transients_are_found_by_their_shape() -> None:
    found = propose_answers(flashes(), Rule(Method.TEMPLATE, "mean", Direction.UP, 6.0, 4.5, window=36))
    assert found.classes[:4].tolist() == [EVENT] * 4
    assert not (found.classes[4:] == EVENT).any()
    assert np.abs(found.times[:4] - TIMES).max() <= 2


def test_a_condition_that_always_or_never_holds_tells_for_sure() -> None:
    signals = steps(n_flat=2)
    signals.values[4] += 300
    rule = Rule(Method.STEP, "mean", Direction.UP, 0.7, 0.4, condition=Condition.ABOVE, level=130.0)
    found = propose_answers(signals, rule)
    assert found.classes.tolist() == [EVENT] * 4 + [CENSORED, NO_EVENT]
    assert np.abs(found.times[:4] - (TIMES + 5)).max() <= 1


def test_thresholds_the_wrong_way_round_are_refused() -> None:
    with pytest.raises(AnlageError, match="below 5 and have one from 2 on"):
        propose_answers(steps(), Rule(Method.SLOPE, "mean", Direction.UP, 2.0, 5.0))


@pytest.fixture
def panel(qtbot):
    made = ProposePanel()
    qtbot.addWidget(made)
    return made


def test_all_that_is_proposed_is_one_edit_and_leaves_answers_alone(panel, qtbot, tmp_path) -> None:
    scoring = Scoring(steps(), tmp_path / "events.csv")
    scoring.go_to(1)
    scoring.answer(NO_EVENT)
    panel.offer(scoring)
    panel.method.setCurrentIndex(panel.method.findData(Method.STEP))
    panel.propose.button.click()
    qtbot.waitUntil(lambda: panel.status.kind == "good", timeout=20000)
    assert scoring.classes.tolist() == [EVENT, NO_EVENT, EVENT, EVENT] + [NO_EVENT] * 4
    assert "7 tracks answered; 0 unclear ones left to you" in panel.status.plain
    assert panel.counts.text() == "clear: 3 with an event, 4 without · unclear: 0"
    assert panel.propose.reason.text() == "Every track is scored already."
    assert len(read_events(scoring.path)) == 8
    scoring.undo()
    assert (scoring.classes != NOT_YET).sum() == 1
    assert panel.propose.button.isEnabled()


def test_when_nothing_is_clear_nothing_is_answered(panel, qtbot) -> None:
    scoring = Scoring(steps())
    panel.offer(scoring)
    panel.event_from.setValue(99)
    panel.none_below.setValue(0)
    panel.propose.button.click()
    qtbot.waitUntil(lambda: panel.status.kind == "warning", timeout=20000)
    assert "No track is clear" in panel.status.plain
    assert panel.counts.text() == "clear: 0 with an event, 0 without · unclear: 8"
    assert (scoring.classes == NOT_YET).all()
