"""The linear program of tracking: variables, constraints, and the HiGHS solver in a thread that can be stopped.

For a nucleus i with links y into it and out of it, a beginning a, an end x and a division d:

    Σ in + a − Σ out − x + d = 0        what comes in goes out, and dividing adds one
    Σ in + a ≤ 1                        it is there once (= 1 where it must be there)
    x + d ≤ Σ in + a                    only what is there ends or divides, and not both
    y ≤ Σ in + a                        for links out of a nucleus that may divide: half a mother has half daughters
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from anlage.tracking.problem import Floats, LinkingProblem, Mask, Rows

__all__ = ["Duals", "LinearProgram", "Loose", "StoppedError", "build_program", "relaxed", "whole"]

ShouldStop = Callable[[], bool] | None

_POLL_S = 0.05
_PATIENCE_S = 2.0
"""Seconds that an end waits for what is being computed."""
_WHOLE = 1e-6
"""A variable so close to 0 or 1 counts as whole."""


class StoppedError(Exception):
    """An end was asked for; what was computed so far is lost."""


@dataclass(frozen=True, slots=True)
class Duals:
    """Prices of the rows: of flow, of being there once, of ending or dividing only if there (N,), of halves (E,)."""

    flow: Floats
    once: Floats
    there: Floats
    half: Floats

    @classmethod
    def zero(cls, n: int, n_edges: int) -> Duals:
        return cls(np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n_edges))


@dataclass(frozen=True, slots=True)
class Loose:
    """Links out of a part to what is not in it: the nucleus (its row) that each starts from, and what it costs."""

    rows: Rows
    cost: Floats


@dataclass(frozen=True, slots=True)
class LinearProgram:
    """A linear programme; columns are links, beginnings, ends, divisions and loose links, in this order."""

    cost: Floats
    low: Floats
    high: Floats
    equal: Any
    equal_to: Floats
    below: Any
    below_to: Floats
    n_nodes: int
    n_edges: int
    divides: Rows
    """Rows of the nuclei that have a column for dividing."""
    once: Rows
    """Rows of the nuclei whose "once" stands among the inequalities; for the others it stands among the equations."""
    halves: Rows
    """Links that have a row against halves."""
    loose: Loose

    def split(self, x: Floats) -> tuple[Floats, Floats, Floats, Floats, Floats]:
        """Values of the links (E,), beginnings (N,), ends (N,), divisions (one for each of `divides`) and loose links."""
        e, n, d = self.n_edges, self.n_nodes, len(self.divides)
        return x[:e], x[e : e + n], x[e + n : e + 2 * n], x[e + 2 * n : e + 2 * n + d], x[e + 2 * n + d :]


def build_program(
    problem: LinkingProblem,
    into: Floats,
    onwards: Floats,
    can_divide: Mask,
    appear: Floats | None = None,
    loose: Loose | None = None,
) -> LinearProgram:
    """Build the programme of a (part of a) problem.

    Parameters
    ----------
    problem
        The part.
    into, onwards
        (N,) links that are decided already, from and to nuclei outside the part.
    can_divide
        (N,) nuclei that get a variable for dividing.
    appear
        (N,) costs of beginning, where they are not the problem's own.
    loose
        Links that lead out of the part and are not decided.
    """
    n, n_edges = len(problem), len(problem.pairs)
    earlier, later = problem.pairs.T
    divides = np.flatnonzero(can_divide)
    loose = loose or Loose(np.zeros(0, np.int64), np.zeros(0))
    first_a, first_x, first_d = n_edges, n_edges + n, n_edges + 2 * n
    first_l = first_d + len(divides)
    n_columns = first_l + len(loose.rows)
    nodes, edges = np.arange(n), np.arange(n_edges)
    order = np.full(n, -1)
    order[divides] = np.arange(len(divides))

    came = [(later, edges), (nodes, first_a + nodes)]
    flow = _matrix(
        [*[(r, c, 1.0) for r, c in came], (earlier, edges, -1.0), (nodes, first_x + nodes, -1.0),
         (divides, first_d + np.arange(len(divides)), 1.0), (loose.rows, first_l + np.arange(len(loose.rows)), -1.0)],
        n, n_columns,
    )  # fmt: skip
    there = _matrix([(r, c, 1.0) for r, c in came], n, n_columns)
    is_equal = problem.must.copy()
    once = np.flatnonzero(~is_equal)
    ends = _matrix(
        [(np.arange(len(divides)), first_x + divides, 1.0),
         (np.arange(len(divides)), first_d + np.arange(len(divides)), 1.0)], len(divides), n_columns,
    )  # fmt: skip
    halves = edges[can_divide[earlier] & ~problem.must[earlier] & (into[earlier] == 0)]
    half = _matrix([(np.arange(len(halves)), halves, 1.0)], len(halves), n_columns)
    low, high = np.zeros(n_columns), np.ones(n_columns)
    low[:n_edges] = problem.clamp > 0
    high[:n_edges] = problem.clamp >= 0
    division = problem.division[divides]
    return LinearProgram(
        cost=np.concatenate([
            problem.edge + problem.node[later], problem.node + (problem.appear if appear is None else appear),
            problem.end, np.where(np.isfinite(division), division, 0), loose.cost,
        ]),
        low=low, high=high,
        equal=sp.vstack([flow, there[is_equal]], format="csc"),
        equal_to=np.concatenate([onwards - into, 1.0 - into[is_equal]]),
        below=sp.vstack([there[once], ends - there[divides], half - there[earlier[halves]]], format="csc"),
        below_to=np.concatenate([1.0 - into[once], into[divides], into[earlier[halves]]]),
        n_nodes=n, n_edges=n_edges, divides=divides, once=once, halves=halves, loose=loose,
    )  # fmt: skip


def relaxed(lp: LinearProgram, should_stop: ShouldStop = None) -> tuple[Floats, Duals]:
    """The cheapest solution, fractions allowed, and the prices of its rows.

    Raises
    ------
    StoppedError
        As soon as `should_stop` says so, whatever HiGHS is doing.
    """
    import scipy.optimize

    linprog: Any = scipy.optimize.linprog  # its types know no sparse matrices

    if not len(lp.cost):
        return np.zeros(0), Duals.zero(lp.n_nodes, lp.n_edges)
    found = _in_thread(
        lambda: linprog(
            lp.cost, A_ub=lp.below if lp.below.shape[0] else None, b_ub=lp.below_to if lp.below.shape[0] else None,
            A_eq=lp.equal, b_eq=lp.equal_to, bounds=np.column_stack([lp.low, lp.high]), method="highs-ds",
            options={"presolve": False},  # it takes longer than it saves: 40 % of the whole was measured
        ),
        should_stop,
    )  # fmt: skip
    if found.x is None:
        raise RuntimeError(f"the linear programme of {lp.n_nodes} nuclei has no solution: {found.message}")
    duals = Duals.zero(lp.n_nodes, lp.n_edges)
    equal = found.eqlin.marginals
    below = found.ineqlin.marginals if lp.below.shape[0] else np.zeros(0)
    duals.flow[:] = equal[: lp.n_nodes]
    duals.once[lp.once] = below[: len(lp.once)]
    must = np.ones(lp.n_nodes, dtype=bool)
    must[lp.once] = False
    duals.once[must] = equal[lp.n_nodes :]
    duals.there[lp.divides] = below[len(lp.once) : len(lp.once) + len(lp.divides)]
    duals.half[lp.halves] = below[len(lp.once) + len(lp.divides) :]
    return found.x, duals


def whole(lp: LinearProgram, *, most_nodes: int, seconds: float, should_stop: ShouldStop = None) -> Floats | None:
    """The cheapest solution in whole numbers that a limited search finds; None where it finds none.

    The search ends after `most_nodes` branchings, so that it is the same on every computer; `seconds` is a safeguard.
    """
    from scipy.optimize import Bounds, LinearConstraint, milp

    constraints = [LinearConstraint(lp.equal, lp.equal_to, lp.equal_to)]
    if lp.below.shape[0]:
        constraints.append(LinearConstraint(lp.below, -np.inf, lp.below_to))
    found = _in_thread(
        lambda: milp(
            lp.cost, integrality=np.ones(len(lp.cost), dtype=np.int64), bounds=Bounds(lp.low, lp.high), constraints=constraints,
            options={"node_limit": most_nodes, "time_limit": seconds, "mip_rel_gap": 0},
        ),
        should_stop,
    )  # fmt: skip
    return None if found.x is None else np.rint(found.x)


def is_fractional(x: Floats) -> Mask:
    """Which values are neither 0 nor 1."""
    fractional: Mask = np.abs(x - np.rint(x)) > _WHOLE
    return fractional


def _matrix(parts: list[tuple[Rows, Rows, float]], n_rows: int, n_columns: int) -> Any:
    rows = np.concatenate([r for r, _, _ in parts])
    columns = np.concatenate([c for _, c, _ in parts])
    values = np.concatenate([np.full(len(r), v) for r, _, v in parts])
    return sp.csr_matrix((values, (rows, columns)), shape=(n_rows, n_columns))


def _in_thread(work: Callable[[], Any], should_stop: ShouldStop) -> Any:
    """Run what cannot be interrupted beside this thread; if an end is asked for, wait a little, then leave it behind.

    HiGHS ends the whole program with an error where the program ends while it computes: mostly it is done in time.
    """
    if should_stop is None:
        return work()
    if should_stop():
        raise StoppedError
    result: list[Any] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            result.append(work())
        except BaseException as error:  # noqa: BLE001 - passed to the thread that waits
            failure.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    last_poll = time.monotonic()
    while thread.is_alive():
        thread.join(_POLL_S)
        if time.monotonic() - last_poll > _POLL_S and should_stop():
            thread.join(_PATIENCE_S)
            raise StoppedError
    if failure:
        raise failure[0]
    return result[0]
