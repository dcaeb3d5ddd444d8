from __future__ import annotations

import pytest

from anlage.training.schedule import Budget, Pace, decay_at, learning_rate_at, looks_every


def paced(step_s: float, look_s: float) -> Pace:
    pace = Pace(look_s=look_s)
    for _ in range(10):
        pace.stepped(step_s)
    return pace


def test_the_learning_rate_rises_then_falls_to_a_hundredth() -> None:
    rates = [learning_rate_at(step, 100, 2e-3, 0.1) for step in range(101)]
    assert rates[0] == pytest.approx(2e-4)
    assert max(rates) == rates[10] == pytest.approx(2e-3)
    assert sorted(rates[10:], reverse=True) == rates[10:]
    assert rates[100] == pytest.approx(2e-5)
    assert learning_rate_at(0, 1, 2e-3, 0.1) > 0


def test_a_short_training_rises_as_slowly_as_it_must() -> None:
    tops = {
        steps: max(range(steps), key=lambda s: learning_rate_at(s, steps, 1.0, 0.05, 20)) for steps in (40, 100, 1000)
    }
    assert tops == {40: 9, 100: 19, 1000: 49}


def test_the_average_forgets_the_start_quickly() -> None:
    assert decay_at(0, 0.99) == 0.1
    assert decay_at(10**6, 0.99) == 0.99


@pytest.mark.parametrize("steps", [1, 7, 40, 1000, 10**6])
def test_about_twenty_looks_whatever_the_length(steps: int) -> None:
    every = looks_every(steps)
    assert 1 <= every <= steps
    assert steps / every <= 20


def test_few_looks_where_a_look_takes_long() -> None:
    every = looks_every(1000, step_s=0.1, look_s=4.0)
    assert (1000 / every) * 4.0 <= 0.15 * 100


@pytest.mark.parametrize(("step_s", "look_s"), [(0.1, 0.5), (0.5, 5.0), (2.0, 20.0)])
def test_a_plan_fits_into_its_time(step_s: float, look_s: float) -> None:
    budget = Budget(limit_s=300, most=None, every=None, pace=paced(step_s, look_s))
    steps, every = budget.plan(step=6, seconds=20)
    ends = 20 + (steps - 6) * step_s + steps / every * look_s + budget.pace.finish_s
    assert 0.75 * 300 < ends <= 300


def test_a_plan_never_exceeds_the_steps_that_were_asked_for() -> None:
    budget = Budget(limit_s=300, most=50, every=None, pace=paced(0.01, 0.1))
    assert budget.plan(step=6, seconds=1)[0] == 50


def test_a_slower_machine_gets_fewer_steps_and_a_faster_one_more_but_not_late() -> None:
    slow = Budget(limit_s=100, most=None, every=None, pace=paced(1.0, 0.1))
    assert slow.replan(step=100, seconds=50, steps=1000, every=50) < 150
    fast = Budget(limit_s=100, most=None, every=None, pace=paced(0.01, 0.1))
    assert fast.replan(step=100, seconds=10, steps=1000, every=50) > 2000
    assert fast.replan(step=500, seconds=50, steps=1000, every=50) == 1000
    assert fast.replan(step=1000, seconds=50, steps=1000, every=50) == 1000


def test_without_a_limit_the_plan_stays() -> None:
    budget = Budget(limit_s=float("inf"), most=100, every=None, pace=paced(1.0, 1.0))
    assert budget.replan(step=10, seconds=1e9, steps=100, every=5) == 100
    assert not budget.is_spent(1e9)


def test_the_time_left_counts_looks_and_the_finish() -> None:
    budget = Budget(limit_s=100, most=None, every=None, pace=paced(0.1, 1.0))
    assert budget.eta_s(0, None, None) is None
    assert budget.eta_s(50, 100, 25) == pytest.approx(50 * 0.1 + 2 * 1.0 + budget.pace.finish_s)
