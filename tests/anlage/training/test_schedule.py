from __future__ import annotations

import pytest

from anlage.training.schedule import Budget, Pace, decay_at, learning_rate_at, validation_interval


def paced(step_s: float, validation_s: float) -> Pace:
    pace = Pace(validation_s=validation_s)
    for _ in range(10):
        pace.add_step(step_s)
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
def test_about_twenty_validations_whatever_the_length(steps: int) -> None:
    every = validation_interval(steps)
    assert 1 <= every <= steps
    assert steps / every <= 20


def test_few_validations_where_one_takes_long() -> None:
    every = validation_interval(1000, step_s=0.1, validation_s=4.0)
    assert (1000 / every) * 4.0 <= 0.15 * 100


@pytest.mark.parametrize(("step_s", "validation_s"), [(0.1, 0.5), (0.5, 5.0), (2.0, 20.0)])
def test_a_plan_fits_into_its_time(step_s: float, validation_s: float) -> None:
    budget = Budget(limit_s=300, most=None, every=None, pace=paced(step_s, validation_s))
    steps, every = budget.plan(step=6, seconds=20)
    ends = 20 + (steps - 6) * step_s + steps / every * validation_s + budget.pace.finish_s
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


def test_when_the_time_is_over_one_more_step_is_the_last() -> None:
    budget = Budget(limit_s=100, most=None, every=None, pace=paced(1.0, 0.1))
    assert budget.replan(step=100, seconds=100, steps=500, every=10) == 101
    assert budget.plan(step=100, seconds=100)[0] == 101


def test_without_a_limit_the_plan_stays() -> None:
    budget = Budget(limit_s=float("inf"), most=100, every=None, pace=paced(1.0, 1.0))
    assert budget.replan(step=10, seconds=1e9, steps=100, every=5) == 100
    assert not budget.is_spent(1e9)


def test_the_time_left_counts_validations_and_the_finish() -> None:
    budget = Budget(limit_s=100, most=None, every=None, pace=paced(0.1, 1.0))
    assert budget.eta_s(0, None, None) is None
    assert budget.eta_s(50, 100, 25) == pytest.approx(50 * 0.1 + 2 * 1.0 + budget.pace.finish_s)


def test_a_plan_never_has_fewer_steps_than_the_least() -> None:
    budget = Budget(limit_s=10, most=None, every=None, pace=paced(5.0, 1.0), least=60)
    steps, every = budget.plan(step=6, seconds=30)
    assert steps == 60
    assert 1 <= every <= 60
    assert budget.replan(step=10, seconds=60, steps=60, every=every) == 60
    assert Budget(limit_s=10, most=20, every=None, pace=paced(5.0, 1.0), least=60).plan(step=6, seconds=30)[0] == 20


def test_from_a_model_the_end_takes_longer_since_weights_on_the_way_back_are_looked_at() -> None:
    pace = paced(1.0, 2.0)
    without = pace.finish_s
    pace.choosing = 6
    assert pace.finish_s == without + 12


def test_time_that_is_spent_ends_a_training_once_the_least_steps_are_made() -> None:
    budget = Budget(limit_s=100, most=None, every=None, pace=paced(1.0, 2.0), least=60)
    # a step, a validation and the end take 1 + 2 + 6 s
    assert budget.pace.finish_s == 6.0
    assert not budget.is_spent(90.0)
    assert budget.is_spent(90.1)
    assert not budget.ends(59, 90.1)
    assert budget.ends(60, 90.1)
    assert not budget.ends(60, 90.0)


def test_by_how_much_a_training_is_late() -> None:
    budget = Budget(limit_s=100, most=None, every=None, pace=paced(1.0, 2.0), least=60)
    # 50 steps of 1 s, 5 validations of 2 s, 6 s for the end
    assert budget.late_s(10, 44, 60, 10) == pytest.approx(10)
    assert budget.late_s(10, 10, 60, 10) == 0
    assert Budget(limit_s=100, most=None, every=None, pace=Pace()).late_s(10, 200, 60, 10) == 0


def test_the_pace_forgets_the_steps_that_warm_up() -> None:
    pace = Pace()
    for seconds in (100.0, 100.0, 100.0, 1.0, 3.0):
        pace.add_step(seconds)
    assert pace.step_s == pytest.approx(2.0)
    assert not pace.is_known
    pace.add_step(2.0)
    assert pace.is_known
    assert pace.step_s == pytest.approx(2.0)


def test_a_pace_that_changes_is_followed() -> None:
    pace = paced(1.0, 0.0)
    for _ in range(400):
        pace.add_step(2.0)
    assert pace.step_s == pytest.approx(2.0, abs=0.01)
    pace.add_step(52.0)
    assert pace.step_s == pytest.approx(3.0, abs=0.01)  # one in fifty


def test_learning_rates_to_the_digit() -> None:
    # two steps of rise, then half a cosine over eight: 1, 0.5 + …
    assert [round(learning_rate_at(step, 10, 1.0, 0.2), 4) for step in (0, 1, 2, 6, 10, 99)] == [
        0.5, 1.0, 1.0, 0.505, 0.01, 0.01,
    ]  # fmt: skip
    assert learning_rate_at(0, 8, 1.0, 0.0, 20) == 0.5  # a quarter of all steps at most


def test_the_average_follows_closely_at_first() -> None:
    assert [decay_at(step, 0.99) for step in (0, 2, 8)] == pytest.approx([1 / 10, 3 / 12, 9 / 18])


def test_validations_to_the_number() -> None:
    assert validation_interval(1000) == 50
    assert validation_interval(1001) == 51
    assert validation_interval(100) == 10
    assert validation_interval(7) == 7
    assert validation_interval(0) == 1
    assert validation_interval(1000, validations=8) == 125
    # 12 % of 100 s are 12 s, three validations of 4 s
    assert validation_interval(1000, step_s=0.1, validation_s=4.0) == 334
    assert validation_interval(1000, step_s=0.1, validation_s=1.2) == 100
    assert validation_interval(1000, step_s=0.1, validation_s=100.0) == 334  # three at least


def test_a_plan_to_the_number() -> None:
    budget = Budget(limit_s=100, most=None, every=10, pace=paced(1.0, 2.0))
    # 96 s are planned for; less 20 that are spent and 6 for the end, 70 remain; a step with its part of a validation takes 1.2 s
    assert budget.plan(step=6, seconds=20) == (6 + 58, 10)
    assert budget.plan(step=6, seconds=500) == (7, 10)
    assert budget.replan(step=6, seconds=20, steps=500, every=10) == 64
    assert budget.replan(step=6, seconds=20, steps=18, every=10) == 64  # early on more, too
    assert budget.replan(step=7, seconds=20, steps=20, every=10) == 20  # not later
    assert Budget(limit_s=100, most=50, every=10, pace=paced(1.0, 2.0)).replan(6, 20, 500, 10) == 50


def test_a_plan_without_a_limit_is_endless_but_for_its_most() -> None:
    assert Budget(limit_s=float("inf"), most=70, every=None, pace=paced(1.0, 1.0)).plan(6, 0.0)[0] == 70


def test_the_time_left_is_unknown_until_a_step_was_measured() -> None:
    budget = Budget(limit_s=100, most=None, every=None, pace=Pace(validation_s=1.0))
    assert budget.eta_s(5, 10, 5) is None
    assert Budget(limit_s=100, most=None, every=None, pace=paced(0.1, 1.0)).eta_s(5, 10, None) is None
