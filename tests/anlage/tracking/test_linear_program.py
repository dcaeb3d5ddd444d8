"""The linear programme says what the choices of tracks are: compared with all of them, one by one."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from anlage.tracking.linear_program import (
    Duals,
    LinearProgram,
    Loose,
    StoppedError,
    build_program,
    is_fractional,
    relaxed,
    whole,
)
from anlage.tracking.problem import LinkingProblem, solution_of

PAIRS = np.array([[0, 2], [0, 3], [1, 2], [1, 3], [2, 4]])
N = 5
Floats = npt.NDArray[np.float64]


def random_problem(seed: int, **changes: object) -> LinkingProblem:
    rng = np.random.default_rng(seed)
    columns = {
        "frames": np.array([0, 0, 1, 1, 2]), "pairs": PAIRS, "node": rng.normal(-1, 2, N), "edge": rng.normal(-1, 2, 5),
        "appear": rng.uniform(0, 2, N), "end": rng.uniform(0, 2, N), "division": rng.normal(0, 2, N),
        "must": rng.random(N) < 0.3, "clamp": np.zeros(5, np.int8),
    }  # fmt: skip
    return LinkingProblem(**{**columns, **changes})  # type: ignore[arg-type]


def every(n: int) -> npt.NDArray[np.int64]:
    """All ways to choose among n things, (2ⁿ, n)."""
    return (np.arange(2**n)[:, None] >> np.arange(n)) & 1


def cheapest(
    problem: LinkingProblem,
    into: Floats,
    onwards: Floats,
    can_divide: npt.NDArray[np.bool_],
    loose: Loose | None = None,
) -> float:
    """The cost of the best choice, found by trying all."""
    earlier, later = problem.pairs.T
    leaving = np.zeros(0, np.int64) if loose is None else loose.rows
    links, begins, divides, out = (every(k) for k in (len(earlier), N, N, len(leaving)))
    best = np.inf
    for edge in links:
        if (edge < (problem.clamp > 0)).any() or (edge > (problem.clamp >= 0)).any():
            continue
        for exits in out:
            came = into + np.bincount(later, edge, N) + begins  # (ways, N)
            went = onwards + np.bincount(earlier, edge, N) + np.bincount(leaving, exits, N)
            is_there = (came <= 1).all(1) & (came >= problem.must).all(1)
            for division in divides:
                ends = came - went + division
                fits = is_there & ((ends == 0) | (ends == 1)).all(1) & (ends + division <= came).all(1)
                if not fits.any() or (division > can_divide).any():
                    continue
                cost = (problem.edge + problem.node[later]) @ edge + begins @ (problem.node + problem.appear)
                cost = cost + ends @ problem.end + problem.division @ division
                cost = cost + (0 if loose is None else loose.cost @ exits)
                best = min(best, float(cost[fits].min()))
    return best


def solved(lp: LinearProgram) -> tuple[float, Floats]:
    x = whole(lp, most_nodes=1000, seconds=60)
    assert x is not None
    return float(lp.cost @ x), x


NONE = np.zeros(N)
ANY = np.ones(N, dtype=bool)


@pytest.mark.parametrize("seed", range(12))
def test_the_cheapest_choice_is_that_of_all(seed: int) -> None:
    problem = random_problem(seed)
    lp = build_program(problem, NONE, NONE, ANY)
    cost, x = solved(lp)
    assert cost == pytest.approx(cheapest(problem, NONE, NONE, ANY))
    edges, begins, ends, divisions, leaving = lp.split(x)
    nodes = begins + np.bincount(PAIRS[:, 1], edges, N)
    assert cost == pytest.approx(solution_of(problem, nodes > 0.5, edges > 0.5).objective)
    assert [len(part) for part in (edges, begins, ends, divisions, leaving)] == [5, N, N, N, 0]


@pytest.mark.parametrize("seed", range(6))
def test_only_what_may_divide_has_a_division(seed: int) -> None:
    can = np.arange(N) == seed % 2
    problem = random_problem(seed, division=np.full(N, -3.0))
    lp = build_program(problem, NONE, NONE, can)
    assert lp.divides.tolist() == [seed % 2]
    assert solved(lp)[0] == pytest.approx(cheapest(problem, NONE, NONE, can))


@pytest.mark.parametrize("seed", range(6))
def test_links_decided_outside_the_part_count(seed: int) -> None:
    """Nucleus 2 has a mother already, nucleus 3 a daughter."""
    into, onwards = np.array([0, 0, 1.0, 0, 0]), np.array([0, 0, 0, 1.0, 0])
    problem = random_problem(seed)
    lp = build_program(problem, into, onwards, ANY)
    assert solved(lp)[0] == pytest.approx(cheapest(problem, into, onwards, ANY))


@pytest.mark.parametrize("seed", range(6))
def test_links_that_lead_out_of_the_part_may_be_chosen(seed: int) -> None:
    loose = Loose(np.array([4, 4, 3]), np.array([-2.0, -1.0, 0.5]))
    problem = random_problem(seed)
    lp = build_program(problem, NONE, NONE, ANY, loose=loose)
    cost, x = solved(lp)
    assert cost == pytest.approx(cheapest(problem, NONE, NONE, ANY, loose))
    assert len(lp.split(x)[4]) == 3


@pytest.mark.parametrize("clamp", [[1, 0, 0, 0, 0], [-1, 0, 0, -1, 0], [1, 1, 0, 0, -1]])
def test_accepted_and_forbidden_links_bind(clamp: list[int]) -> None:
    for seed in range(3):
        problem = random_problem(seed, clamp=np.array(clamp, np.int8))
        assert solved(build_program(problem, NONE, NONE, ANY))[0] == pytest.approx(cheapest(problem, NONE, NONE, ANY))


def test_beginnings_may_cost_something_else() -> None:
    problem = random_problem(3)
    free = build_program(problem, NONE, NONE, ANY, appear=np.zeros(N))
    wanted = cheapest(replace(problem, appear=np.zeros(N)), NONE, NONE, ANY)
    assert solved(free)[0] == pytest.approx(wanted)


def test_an_accepted_division_that_costs_infinitely_much_is_free() -> None:
    problem = random_problem(1, division=np.full(N, np.inf), clamp=np.array([1, 1, 0, 0, 0], np.int8))
    cost, x = solved(build_program(problem, NONE, NONE, ANY))
    assert np.isfinite(cost)
    assert x[:2].tolist() == [1, 1]


@pytest.mark.parametrize("seed", range(6))
def test_prices_prove_the_cost_of_the_relaxed_solution(seed: int) -> None:
    """Strong duality: the prices of the rows and of the variables' bounds add up to the cost."""
    into, onwards = np.array([0, 0, 0, 1.0, 0]), np.array([0, 1.0, 0, 0, 0])
    problem = random_problem(seed)
    lp = build_program(problem, into, onwards, ANY)
    x, duals = relaxed(lp)
    assert lp.cost @ x <= solved(lp)[0] + 1e-9
    must = np.ones(N, dtype=bool)
    must[lp.once] = False
    equal = np.concatenate([duals.flow, duals.once[must]])
    below = np.concatenate([duals.once[lp.once], duals.there[lp.divides], duals.half[lp.halves]])
    assert (below <= 1e-9).all()
    reduced = lp.cost - lp.equal.T @ equal - lp.below.T @ below
    bound = equal @ lp.equal_to + below @ lp.below_to + np.minimum(reduced * lp.low, reduced * lp.high).sum()
    assert bound == pytest.approx(lp.cost @ x)


def test_half_a_mother_has_half_daughters() -> None:
    """Without the rows against halves, half of nucleus 0 could have both daughters whole."""
    problem = random_problem(
        0, node=np.array([3.0, 9, -1, -1, 9]), edge=np.full(5, -2.0), appear=np.full(N, 2.0), end=np.zeros(N),
        division=np.array([-1.0, 9, 9, 9, 9]), must=np.zeros(N, bool),
    )  # fmt: skip
    lp = build_program(problem, NONE, NONE, ANY)
    assert lp.halves.tolist() == [0, 1, 2, 3, 4]
    x, _ = relaxed(lp)
    there = lp.split(x)[1] + np.bincount(PAIRS[:, 1], lp.split(x)[0], N)
    assert (lp.split(x)[0] <= there[PAIRS[:, 0]] + 1e-9).all()


def test_a_nucleus_that_is_there_anyway_needs_no_row_against_halves() -> None:
    problem = random_problem(0, must=np.array([True, False, False, False, False]))
    assert build_program(problem, NONE, NONE, ANY).halves.tolist() == [2, 3, 4]
    assert build_program(problem, np.array([0, 1.0, 0, 0, 0]), NONE, ANY).halves.tolist() == [4]
    assert build_program(problem, NONE, NONE, np.arange(N) == 1).halves.tolist() == [2, 3]


def test_an_empty_programme_has_an_empty_solution() -> None:
    nothing = np.zeros(0)
    problem = LinkingProblem(
        np.zeros(0, np.int64), np.zeros((0, 2), np.int64), nothing, nothing, nothing, nothing, nothing,
        np.zeros(0, bool), np.zeros(0, np.int8),
    )  # fmt: skip
    x, duals = relaxed(build_program(problem, nothing, nothing, np.zeros(0, bool)))
    assert len(x) == len(duals.flow) == 0


def test_where_everything_must_be_there_no_inequality_is_left() -> None:
    problem = random_problem(2, must=np.ones(N, bool))
    lp = build_program(problem, NONE, NONE, ~ANY)
    assert lp.below.shape[0] == 0
    x, _ = relaxed(lp)
    assert lp.cost @ x == pytest.approx(solved(lp)[0])


def test_a_programme_without_a_solution_is_an_error_of_ours() -> None:
    lp = build_program(random_problem(0, must=np.ones(N, bool)), np.full(N, 2.0), NONE, ANY)
    with pytest.raises(RuntimeError, match="5 nuclei has no solution"):
        relaxed(lp)
    assert whole(lp, most_nodes=10, seconds=10) is None


def test_values_close_to_whole_numbers_are_whole() -> None:
    assert is_fractional(np.array([0, 1, 1e-7, 1 - 1e-7, 0.5, 1e-5])).tolist() == [False] * 4 + [True, True]


# --- what cannot be interrupted is left behind


def test_whoever_wants_to_stop_is_asked_before_anything_is_computed() -> None:
    with pytest.raises(StoppedError):
        relaxed(build_program(random_problem(0), NONE, NONE, ANY), lambda: True)


def test_beside_a_stop_that_never_comes_the_result_is_the_same() -> None:
    lp = build_program(random_problem(0), NONE, NONE, ANY)
    alone, beside = relaxed(lp), relaxed(lp, lambda: False)
    assert np.array_equal(alone[0], beside[0])
    assert np.array_equal(alone[1].flow, beside[1].flow)


def test_an_error_beside_the_thread_that_waits_is_raised_there(monkeypatch: pytest.MonkeyPatch) -> None:
    import scipy.optimize

    def fails(*_: object, **__: object) -> None:
        raise ArithmeticError("HiGHS gave up")

    monkeypatch.setattr(scipy.optimize, "linprog", fails)
    with pytest.raises(ArithmeticError, match="HiGHS gave up"):
        relaxed(build_program(random_problem(0), NONE, NONE, ANY), lambda: False)


def test_a_stop_waits_a_little_for_what_is_being_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    import scipy.optimize

    begun, done = threading.Event(), threading.Event()

    def slow(*_: object, **__: object) -> None:
        begun.set()
        time.sleep(0.4)
        done.set()

    monkeypatch.setattr(scipy.optimize, "linprog", slow)
    with pytest.raises(StoppedError):
        relaxed(build_program(random_problem(0), NONE, NONE, ANY), begun.is_set)
    assert done.is_set(), "HiGHS must not be left computing where it would be done in a moment"


@pytest.mark.parametrize("record", [Duals, Loose, LinearProgram])
def test_programmes_are_immutable(record: type) -> None:
    assert record.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert "__slots__" in vars(record)
