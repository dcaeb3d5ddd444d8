"""Marginal probabilities of links, divisions, beginnings and ends, given what competes with each.

Each nucleus is a factor of a graphical model: it is not there; or it comes by one of its links or begins, and goes on by
one of its links, divides into two of them, or ends. The costs are the logarithms of odds. Sum-product messages between
the factors (Kschischang, Frey & Loeliger 2001, doi:10.1109/18.910572) give each one's marginal; they are exact where the
candidates form a tree, and close to it otherwise. All messages of a round are computed at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from anlage.tracking.problem import Floats, LinkingProblem

__all__ = ["Marginals", "marginals"]

_ROUNDS = 30
_DAMPING = 0.4
_CONVERGED = 1e-4
_LARGEST = 25.0
"""Logarithms of odds are kept within ± this: beyond, they mean certain."""


@dataclass(frozen=True, slots=True)
class Marginals:
    """Probabilities given the competitors.

    Parameters
    ----------
    edge
        (E,) of each candidate link.
    node
        (N,) that the nucleus is there.
    appear, end, division
        (N,) that a track begins with it, ends with it, that it divides.
    """

    edge: Floats
    node: Floats
    appear: Floats
    end: Floats
    division: Floats


def marginals(problem: LinkingProblem, *, temperature: float = 1.0, rounds: int = _ROUNDS) -> Marginals:
    """Marginal probabilities of a problem whose costs are negative logarithms of odds.

    Parameters
    ----------
    problem
        Costs. Clamped links are certain.
    temperature
        Costs are divided by it: above 1, the costs claim to know more than they do.
    rounds
        Most rounds of messages; fewer where nothing changes any more.
    """
    graph = _Graph(problem, temperature)
    # logarithms of the odds that a link's two nuclei send it, apart from its own
    forward = np.zeros(len(problem.pairs))
    backward = np.zeros(len(problem.pairs))
    for _ in range(rounds):
        to_later, to_earlier = graph.messages(forward, backward)
        change = max(_largest(to_later - forward), _largest(to_earlier - backward))
        forward += (1 - _DAMPING) * (to_later - forward)
        backward += (1 - _DAMPING) * (to_earlier - backward)
        if change < _CONVERGED:
            break
    return graph.beliefs(forward, backward)


class _Graph:
    """The weights of a problem, and sums over the links of each nucleus."""

    def __init__(self, problem: LinkingProblem, temperature: float) -> None:
        self.n = len(problem)
        self.earlier, self.later = np.ascontiguousarray(problem.pairs.T)
        self.edge = np.clip(-problem.edge / temperature, -_LARGEST, _LARGEST)
        self.edge[problem.clamp > 0] = 2 * _LARGEST
        self.edge[problem.clamp < 0] = -2 * _LARGEST
        self.appear, self.end = np.exp(-problem.appear / temperature), np.exp(-problem.end / temperature)
        accepted = np.bincount(self.earlier[problem.clamp > 0], minlength=self.n) > 1
        cost = np.where(accepted & ~np.isfinite(problem.division), 0.0, problem.division)
        self.division = np.exp(-np.clip(cost / temperature, -_LARGEST, 700.0))
        self.division[~np.isfinite(cost)] = 0.0
        self.node = np.exp(np.clip(-problem.node / temperature, -_LARGEST, _LARGEST))
        self.absent = np.where(problem.must, 0.0, 1.0)

    def messages(self, forward: Floats, backward: Floats) -> tuple[Floats, Floats]:
        """The next message to each link from its earlier nucleus (`forward`) and from its later one (`backward`)."""
        came = np.exp(_limited(self.edge + forward))  # weight of a link as its later nucleus sees it
        went = np.exp(_limited(self.edge + backward))
        into, sums, squares = self._into(came), self._onwards(went), self._onwards(went**2)
        comes = self.node * (self.appear + into)
        goes = self.node * (self.end + sums + self.division * _pairs(sums, squares))
        j, i = self.later, self.earlier
        others = np.maximum(into[j] - came, 0.0)
        to_earlier = goes[j] / (self.absent[j] + (others + self.appear[j]) * goes[j])
        rest = np.maximum(sums[i] - went, 0.0)
        rest_pairs = _pairs(rest, np.maximum(squares[i] - went**2, 0.0))
        arrived, divides = comes[i], self.division[i]
        with_it = arrived * (1 + divides * rest)
        without = self.absent[i] + arrived * (self.end[i] + rest + divides * rest_pairs)
        return _log(with_it / without), _log(to_earlier)

    def beliefs(self, forward: Floats, backward: Floats) -> Marginals:
        came, went = np.exp(_limited(self.edge + forward)), np.exp(_limited(self.edge + backward))
        sums = self._onwards(went)
        pairs = _pairs(sums, self._onwards(went**2))
        comes, goes = self.appear + self._into(came), self.end + sums + self.division * pairs
        total = self.absent + self.node * comes * goes
        there = self.node * comes * goes / total
        odds = np.clip(self.edge + forward + backward, -2 * _LARGEST, 2 * _LARGEST)
        return Marginals(
            edge=1 / (1 + np.exp(-odds)), node=there, appear=there * self.appear / comes, end=there * self.end / goes,
            division=there * self.division * pairs / goes,
        )  # fmt: skip

    def _into(self, weight: Floats) -> Floats:
        total: Floats = np.bincount(self.later, weight, minlength=self.n).astype(np.float64)
        return total

    def _onwards(self, weight: Floats) -> Floats:
        total: Floats = np.bincount(self.earlier, weight, minlength=self.n).astype(np.float64)
        return total


def _pairs(sums: Floats, squares: Floats) -> Floats:
    """Sum over the pairs of some weights of their product, from the sums of the weights and of their squares."""
    return np.maximum((sums**2 - squares) / 2, 0.0)


def _limited(odds: Floats) -> Floats:
    return np.clip(odds, -_LARGEST, _LARGEST)


def _log(odds: Floats) -> Floats:
    return _limited(np.log(np.maximum(odds, 1e-300)))


def _largest(change: Floats) -> float:
    return float(np.abs(change).max(initial=0.0))
