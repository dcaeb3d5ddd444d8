"""The solver finds the cheapest tracks, proves it, and can be stopped."""

from __future__ import annotations

import sys
import threading
import time
from types import ModuleType

import numpy as np
import pytest
from scipy.optimize import Bounds, LinearConstraint, milp

from anlage.errors import AnlageError
from anlage.tracking.greedy import greedy
from anlage.tracking.linear_program import StoppedError, build_program
from anlage.tracking.problem import LinkingProblem, Solution, solution_of
from anlage.tracking.rounding import Effort
from anlage.tracking.windows import Window, solve, windows_of


def small(**changes: object) -> LinkingProblem:
    """0 → 1 → 2 and a second way 0 → 3, with 3 in the frame of 1."""
    columns: dict[str, object] = {
        "frames": np.array([0, 1, 2, 1]), "pairs": np.array([[0, 1], [0, 3], [1, 2]]), "node": np.full(4, -3.0),
        "edge": np.array([-3.0, -1.0, -3.0]), "appear": np.array([0.0, 4, 4, 4]), "end": np.array([4.0, 4, 0, 4]),
        "division": np.full(4, 4.0), "must": np.zeros(4, bool), "clamp": np.zeros(3, np.int8),
    }  # fmt: skip
    return LinkingProblem(**{**columns, **changes})  # type: ignore[arg-type]


def is_valid(problem: LinkingProblem, choice: Solution) -> bool:
    earlier, later = problem.pairs[choice.edges].T
    n = len(problem)
    ends_kept = choice.nodes[earlier].all() and choice.nodes[later].all() and choice.nodes[problem.must].all()
    return bool(
        ends_kept and (np.bincount(later, minlength=n) < 2).all() and (np.bincount(earlier, minlength=n) < 3).all()
    )


def exact(problem: LinkingProblem) -> float:
    """The cost of the best choice, by a whole search in whole numbers."""
    zero = np.zeros(len(problem))
    lp = build_program(problem, zero, zero, problem.useful_divisions())
    found = milp(
        lp.cost, integrality=np.ones(len(lp.cost)), bounds=Bounds(lp.low, lp.high),
        constraints=[LinearConstraint(lp.equal, lp.equal_to, lp.equal_to), LinearConstraint(lp.below, -np.inf, lp.below_to)],
        options={"mip_rel_gap": 0.0, "time_limit": 100},
    )  # fmt: skip
    return float(found.fun)


def test_a_false_nucleus_is_dropped_and_a_certain_one_is_kept() -> None:
    doubtful = np.array([-3.0, -3, -3, 2])
    assert solve(small(node=doubtful)).nodes.tolist() == [True, True, True, False]
    kept = solve(small(node=doubtful, must=np.ones(4, bool), division=np.full(4, 9.0)))
    assert kept.nodes.all()
    assert kept.edges.tolist() == [True, False, True]


def test_a_division_needs_two_daughters_and_pays() -> None:
    divides = solve(small(division=np.full(4, -1.0)))
    assert divides.edges.tolist() == [True, True, True]
    assert not solve(small(division=np.full(4, np.inf))).edges[1]


def test_clamped_links_are_kept_and_forbidden_ones_are_not() -> None:
    clamped = solve(small(clamp=np.array([-1, 1, 0], np.int8)))
    assert clamped.edges.tolist() == [False, True, True]
    both = solve(small(division=np.full(4, np.inf), clamp=np.array([1, 1, 0], np.int8)))
    assert both.edges.tolist() == [True, True, True]
    with pytest.raises(AnlageError, match="two mothers"):
        LinkingProblem(**{
            **{name: getattr(small(), name) for name in LinkingProblem.__dataclass_fields__},
            "pairs": np.array([[0, 1], [3, 2], [1, 2]]), "clamp": np.array([0, 1, 1], np.int8),
        })  # fmt: skip


@pytest.mark.parametrize(("restless", "certain"), [(1.0, False), (1.7, False), (1.7, True)])
def test_windows_cost_no_more_than_the_whole_and_the_bound_proves_it(
    restless: float, certain: bool, films: ModuleType
) -> None:
    problem = films.film(3, 24, 60, false=0.3, restless=restless, certain=certain)
    n = int(problem.frames.max()) + 1
    whole = solve(problem, windows=[Window(0, n, n)])
    cut = solve(problem, windows=windows_of(np.bincount(problem.frames), most_nuclei=1, fewest_frames=8, ahead=3))
    assert is_valid(problem, cut)
    assert cut.objective == pytest.approx(whole.objective, rel=1e-9)
    assert cut.bound <= cut.objective + 1e-6
    assert cut.gap < 1e-4


def test_ambiguous_nuclei_come_within_a_ten_thousandth_of_the_exact_optimum(films: ModuleType) -> None:
    problem = films.film(5, 8, 60, false=0.3, restless=1.6)
    effort = Effort()
    choice = solve(problem, effort=effort)
    best = exact(problem)
    assert choice.objective == pytest.approx(best, rel=1e-4)
    assert choice.bound <= best + 1e-6


def test_fractions_are_mended_never_worse_than_rounded(films: ModuleType) -> None:
    rng = np.random.default_rng(0)
    fractional = 0
    for seed in range(5):
        problem = films.film(seed, 5, 16, false=0.5, restless=2.0)
        n = len(problem)
        problem = LinkingProblem(**{
            **{name: getattr(problem, name) for name in LinkingProblem.__dataclass_fields__},
            "division": rng.normal(-1.0, 2.0, n), "node": rng.normal(1.0, 2.0, n),
        })  # fmt: skip
        effort = Effort()
        choice = solve(problem, effort=effort)
        fractional += effort.n_fractional
        assert is_valid(problem, choice)
        assert choice.objective == pytest.approx(exact(problem), rel=1e-4, abs=1e-6)
        assert choice.objective <= greedy(problem).objective + 1e-9
    assert fractional > 0


def test_greedy_is_valid_and_no_cheaper(films: ModuleType) -> None:
    problem = films.film(1, 20, 60)
    preview, best = greedy(problem), solve(problem)
    assert is_valid(problem, preview)
    assert best.objective <= preview.objective
    assert preview.objective < 0.9 * best.objective  # costs are negative: it is a fair preview


def test_the_same_problem_gives_the_same_tracks(films: ModuleType) -> None:
    problem = films.film(2, 12, 40, false=0.3, restless=1.7)
    first, second = solve(problem), solve(problem)
    assert (first.edges == second.edges).all()
    assert (first.nodes == second.nodes).all()


def test_an_end_comes_while_the_solver_computes(films: ModuleType) -> None:
    problem = films.film(4, 12, 700, false=0.3, restless=1.7, most=6)
    asked = threading.Event()
    threading.Timer(0.3, asked.set).start()
    began = time.monotonic()
    with pytest.raises(StoppedError):
        solve(problem, should_stop=asked.is_set)
    assert time.monotonic() - began < 3


def test_progress_reaches_the_last_frame(films: ModuleType) -> None:
    problem = films.film(2, 30, 20)
    seen: list[tuple[int, int]] = []
    windows = windows_of(np.bincount(problem.frames), most_nuclei=1)
    solve(problem, windows=windows, on_progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (30, 30)
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})
    assert len(seen) > 2


def test_an_empty_problem_has_no_tracks() -> None:
    nothing = np.zeros(0)
    problem = LinkingProblem(
        np.zeros(0, np.int64), np.zeros((0, 2), np.int64), nothing, nothing, nothing, nothing, nothing,
        np.zeros(0, bool), np.zeros(0, np.int8),
    )  # fmt: skip
    assert solve(problem).objective == 0
    assert solution_of(problem, np.zeros(0, bool), np.zeros(0, bool)).objective == 0


def test_the_solver_loads_no_torch() -> None:
    import subprocess

    code = "import sys, anlage.tracking.windows, anlage.tracking.track, anlage.tracking.resolve; print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


def test_refinement_changes_links_and_the_gap_that_is_reported(films: ModuleType, monkeypatch) -> None:
    """Where windows meet, the linear programs of both sides disagree; without it links there are wrong, and the gap is wide."""
    problem = films.film(1, 40, 30)
    cut = windows_of(np.bincount(problem.frames), most_nuclei=1, fewest_frames=8, ahead=3)
    best = solve(problem, windows=cut)
    monkeypatch.setattr("anlage.tracking.windows.refined", lambda sections, divide, duals, choice, *_: choice)
    first = solve(problem, windows=cut)
    assert (first.edges != best.edges).any()
    assert best.objective < first.objective
    assert best.gap < 1e-6
    assert not first.gap < 1e-3
