"""Links without training: how likely each candidate is, given how far nuclei of this film miss where they are expected.

Two kinds of numbers are needed for a probability: how well a candidate fits (its distance from the expected place against
the film's own spread), and what competes with it. A nucleus has one mother or none, and one successor, none or two; the
probabilities of all candidates under these rules are found together by belief propagation (on the graph of candidates;
for assignments see Huang & Jebara 2009, arXiv:0908.1769), and spread and rates are then read off the result, in turns.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from anlage.candidates import Candidates, Motion, local_motion, neighbour_distances_um

__all__ = ["CandidateGraph", "Plausible", "Rates", "dimensions_of", "first_rates", "missed_by", "plausible_links"]

Numbers = npt.NDArray[np.float64]

_TURNS = 4
"""Turns of probabilities and what is read off them: the spread has converged by then."""
_SWEEPS = 12
"""Rounds of messages between neighbours in the graph of candidates."""
_FURTHER_SWEEPS = 4
"""… in each further turn, which goes on with the messages of the one before."""
_TAIL = 0.1
"""Share of nuclei that move like others of three times the spread."""
_TAIL_WIDTH = 3.0
_DENSITY = {2: 0.25, 3: 0.17}
"""Nuclei in a square or cube whose edge is the nearest-neighbour distance, were they thrown at random."""
_OVER_GAP = 0.03
"""Chance that a nucleus is missing in one frame and there again in the next."""
_SMALLEST_SPREAD = 0.01
_FEWEST_CHANCE, _MOST_CHANCE = 0.002, 0.3
_PRIOR_COUNT = 20.0
"""Nuclei that the assumed rates count as much as, against those of the film."""
_PRIOR_PAIRS = 5.0
"""Divisions that the assumed geometry of divisions counts as much as, against those of the film."""
_MOST_IN_PAIRS = 8
"""Candidates of a nucleus among which its daughters are searched for, the nearest ones."""
_APART_VARIES = 0.5
"""Standard deviation of half the distance between daughters, as a part of its mean. It is not read off the film: that
would measure the pairs that look most like daughters, and would find them ever more alike."""
_WIDER = 1.15
"""… and for the same reason the middle is searched for in a place so many times as wide as was read off."""
_FLOOR = 1e-6


@dataclass(frozen=True, slots=True)
class Rates:
    """What holds for the film as a whole; lengths in nearest-neighbour distances."""

    spread: float
    """How far nuclei miss where they are expected, along each axis."""
    middle: float
    """How far the middle between two daughters misses where their mother was expected, along each axis."""
    apart: float = 0.45
    """Mean of half the distance between two daughters."""
    appears: float = 0.02
    ends: float = 0.02
    divides: float = 0.01

    def as_tuple(self) -> tuple[float, ...]:
        """Spread, half the distance between daughters, and log10 of how often nuclei appear, end and divide."""
        often = (self.appears, self.ends, self.divides)
        return (self.spread, self.apart, *(math.log10(rate) for rate in often))


def missed_by(
    points_um: Numbers, candidates: Candidates, motion: Motion, over: Motion | None, scale_um: Numbers
) -> Numbers:
    """(E, 3) from where the earlier nucleus was expected to the later one, in nearest-neighbour distances.

    Parameters
    ----------
    points_um
        (N, 3) positions in µm.
    candidates
        The candidates.
    motion, over
        Movement over one frame and over two; the latter is needed only with candidates over a gap.
    scale_um
        (N,) nearest-neighbour distance of the frame of each nucleus.
    """
    earlier, later = candidates.pairs.T
    expected = motion.expected_um[earlier]
    if over is not None:
        expected = np.where(candidates.steps[:, None] == 2, over.expected_um[earlier], expected)
    missed: Numbers = (points_um[later] - points_um[earlier] - expected) / scale_um[earlier, None]
    return missed


@dataclass(frozen=True, slots=True)
class Plausible:
    """What points alone say, without training.

    Parameters
    ----------
    links
        (E,) probability of each candidate.
    divides
        (N,) probability that two of a nucleus's candidates are its daughters.
    """

    links: Numbers
    divides: Numbers
    film: tuple[float, ...]
    """Read off the film, as `Rates.as_tuple`."""

    @classmethod
    def of(cls, chance: Numbers, divides: Numbers, rates: Rates) -> Self:
        """From the marginals of a graph, kept away from 0 and 1."""
        return cls(np.clip(chance, _FLOOR, 1 - _FLOOR), np.clip(divides, _FLOOR, 1 - _FLOOR), rates.as_tuple())


def plausible_links(
    frames: npt.ArrayLike,
    points_um: npt.ArrayLike,
    candidates: Candidates,
    motion: Motion | None = None,
    over: Motion | None = None,
) -> Plausible:
    """How likely each candidate is, from distances, the common movement and its competitors alone.

    Parameters
    ----------
    frames
        (N,) whole numbers.
    points_um
        (N, 3) positions (z, y, x) in µm.
    candidates
        Candidates among them.
    motion, over
        Movement over one frame and over two, if they are known already.
    """
    t, p = np.asarray(frames, dtype=np.int64), np.asarray(points_um, dtype=np.float64).reshape(-1, 3)
    if not len(candidates):
        return Plausible(np.zeros(0), np.full(len(t), _FLOOR), Rates(0.2, 0.3).as_tuple())
    ahead = motion or local_motion(t, p)
    if over is None and (candidates.steps == 2).any():
        over = local_motion(t, p, step=2, once=ahead)
    scale = np.nan_to_num(neighbour_distances_um(t, p), nan=1.0)
    missed = missed_by(p, candidates, ahead, over, scale)
    graph = CandidateGraph(t, candidates, missed, dimensions_of(p))
    rates = first_rates(ahead, scale, graph.dimensions)
    chance, pairs = graph.marginals(rates, _SWEEPS)
    for _ in range(_TURNS):
        rates = graph.rates(chance, pairs, rates)
        chance, pairs = graph.marginals(rates, _FURTHER_SWEEPS)
    return Plausible.of(chance, graph.divides(pairs), rates)


def dimensions_of(points_um: Numbers) -> int:
    """2 where all points lie in one plane."""
    return 2 if len(points_um) < 2 or float(np.ptp(points_um[:, 0])) == 0.0 else 3


def first_rates(ahead: Motion, scale_um: Numbers, dimensions: int) -> Rates:
    """Rates to begin with: the spread by which nuclei that are each other's nearest miss where they are expected."""
    typical = np.nanmedian(ahead.spread_um / scale_um) if np.isfinite(ahead.spread_um).any() else 0.2
    spread = max(_SMALLEST_SPREAD, float(typical) / (1.18 if dimensions == 2 else 1.54))
    return Rates(spread=spread, middle=1.5 * spread)


class CandidateGraph:
    """Candidates as a graph on which messages run.

    Each two of the nearest candidates of a nucleus may be its daughters: these pairs are listed, K of them, and stand as a sparse
    matrix (E, E) as well, by which a candidate hears of its sisters.
    """

    def __init__(self, frames: npt.NDArray[np.int64], candidates: Candidates, missed: Numbers, dimensions: int) -> None:
        from scipy.sparse import coo_array

        self.n, self.dimensions = len(frames), dimensions
        self.earlier, self.later = np.ascontiguousarray(candidates.pairs.T)
        over = candidates.steps == 2
        self.weight = np.where(over, _OVER_GAP, 1.0)
        self.widening = np.where(over, 2.0, 1.0)  # of the variance: two steps, each with its own chance
        present = np.unique(frames)
        self.has_before = np.isin(frames - 1, present)
        self.has_after = np.isin(frames + 1, present)
        self.first, self.second = self._couples(np.flatnonzero(~over), _squared(missed))
        self.mother = self.earlier[self.first]
        both, ways = np.arange(len(self.mother)), (len(missed), len(missed))
        one, other = np.concatenate([self.first, self.second]), np.concatenate([self.second, self.first])
        self._sisters = coo_array((np.concatenate([both, both]) + 1.0, (one, other)), shape=ways).tocsr()
        self._pair_of = self._sisters.data.astype(np.int64) - 1
        """Which pair each entry of the matrix belongs to."""
        self.odds_to_divide: Numbers | None = None
        """(N,) of each nucleus; None: all alike, as often as in the film as a whole."""
        self._said: Numbers | None = None
        self.place(missed)

    def _couples(self, once: npt.NDArray[np.int64], squared: Numbers) -> tuple[npt.NDArray[np.int64], ...]:
        """(K,) first and second of each two of a nucleus's nearest candidates, among those over one step: daughters appear there."""
        # by the earlier nucleus, then by distance
        order = once[np.argsort(self.earlier[once] + squared[once] / (1 + squared[once]), kind="stable")]
        mother = self.earlier[order]
        begins = np.flatnonzero(np.diff(mother, prepend=-1))
        place = np.arange(len(order)) - np.repeat(begins, np.diff(begins, append=len(order)))
        near, mother = order[place < _MOST_IN_PAIRS], mother[place < _MOST_IN_PAIRS]
        found = [np.zeros((2, 0), dtype=np.int64)]
        for k in range(1, min(_MOST_IN_PAIRS, len(near))):
            row = np.flatnonzero(mother[:-k] == mother[k:])
            found.append(np.stack([near[row], near[row + k]]))
        return tuple(np.concatenate(found, axis=1))

    def place(self, missed: Numbers) -> None:
        """The same candidates, which miss where they are expected by other distances (E, 3) now; messages go on."""
        self.squared = _squared(missed)
        self.middle, self.half = np.zeros(len(self.mother)), np.zeros(len(self.mother))
        for along in missed.T:  # one axis at a time: there are many pairs
            one, other = along[self.first], along[self.second]
            self.middle += (one + other) ** 2
            self.half += (one - other) ** 2
        self.middle /= 4
        self.half = np.sqrt(self.half) / 2

    def marginals(self, rates: Rates, sweeps: int) -> tuple[Numbers, Numbers]:
        """(E,) probability of each candidate; (K,) of each pair to be a nucleus's daughters."""
        moves = self.weight * self._density(rates.spread**2)
        divides = rates.divides if self.odds_to_divide is None else self.odds_to_divide[self.mother]
        parts = divides * self._parting(rates)
        self._sisters.data = parts[self._pair_of]
        appears = rates.appears * _DENSITY[self.dimensions]
        # what each side says of a candidate: its odds, were the other side silent
        from_later = np.full(len(moves), 1 / appears) if self._said is None else self._said
        for _ in range(sweeps):
            heard = from_later
            from_earlier, every = self._outgoing(moves, heard, rates.ends)
            with_all = self._sum(self.later, from_earlier)[self.later]
            new = 1 / (appears + np.maximum(with_all - from_earlier, 0.0))
            from_later = np.sqrt(heard * new)  # damped, so that they do not swing
        self._said = from_later
        odds = from_earlier * from_later
        return odds / (1 + odds), parts * heard[self.first] * heard[self.second] / every[self.mother]

    def rates(self, chance: Numbers, pairs: Numbers, before: Rates) -> Rates:
        """What the probabilities say of spread and rates; few nuclei leave them as they were."""
        narrow = self._normal(before.spread**2) * (1 - _TAIL)
        fits = chance * narrow / np.maximum(self._density(before.spread**2), 1e-300)
        came, went = self._sum(self.later, chance), self._sum(self.earlier, chance)
        divides = self.divides(pairs)

        def rate(values: Numbers, prior: float) -> float:
            found = (float(np.clip(values, 0, 1).sum()) + _PRIOR_COUNT * prior) / (len(values) + _PRIOR_COUNT)
            return min(_MOST_CHANCE, max(_FEWEST_CHANCE, found))

        def mean(values: Numbers, weights: Numbers, prior: float, count: float) -> float:
            return (float((weights * values).sum()) + count * prior) / (float(weights.sum()) + count)

        spread = mean(self.squared / self.widening / self.dimensions, fits, before.spread**2, _PRIOR_COUNT)
        between = mean(self.middle / self.dimensions, pairs, before.middle**2, _PRIOR_PAIRS)
        apart = mean(self.half, pairs, before.apart, _PRIOR_PAIRS)
        return Rates(
            spread=max(_SMALLEST_SPREAD, float(np.sqrt(spread))),
            middle=max(_SMALLEST_SPREAD, float(np.sqrt(between))),
            apart=apart,
            appears=rate(1 - came[self.has_before], 0.02),
            ends=rate(1 - went[self.has_after], 0.02),
            divides=rate(divides[self.has_after], 0.01),
        )

    def divides(self, pairs: Numbers) -> Numbers:
        """(N,) probability of each nucleus to divide."""
        return self._sum(self.mother, pairs)

    def parted(self, chance: Numbers, pairs: Numbers) -> Numbers:
        """(E,) probability of each candidate to lead from a mother to one of two daughters."""
        found = sum(np.bincount(edges, pairs, len(chance)) for edges in (self.first, self.second))
        return np.minimum(found, chance)

    def _outgoing(self, moves: Numbers, from_later: Numbers, ends: float) -> tuple[Numbers, Numbers]:
        """(E,) odds of each candidate as its earlier nucleus sees it; (N,) the weight of all that a nucleus may do.

        A nucleus ends, goes on as one of its candidates, or divides into two of them.
        """
        one = moves * from_later
        alone = ends + self._sum(self.earlier, one)
        sister = self._sisters @ from_later
        with_sister = from_later * sister
        dividing = self._sum(self.earlier, with_sister) / 2
        every = alone + dividing
        odds = (moves + sister) / np.maximum(every[self.earlier] - one - with_sister, ends)
        return odds, np.maximum(every, 1e-300)

    def _parting(self, rates: Rates) -> Numbers:
        """(K,) density of two daughters in these places: their middle near the mother, their distance the usual."""
        half = np.maximum(self.half, 1e-3)
        variance, d = (_WIDER * rates.middle) ** 2, self.dimensions
        of_middle = np.exp(-self.middle / (2 * variance)) / (2 * np.pi * variance) ** (d / 2)
        varies = _APART_VARIES * rates.apart
        off = (half - rates.apart) / varies
        of_half = np.exp(-(off**2) / 2) / (np.sqrt(2 * np.pi) * varies)
        around = 2 * np.pi * half if d == 2 else 4 * np.pi * half**2
        # from middle and half distance to two places, either of which may be the first
        found: Numbers = 2 * of_middle * of_half / around / 2**d
        return found

    def _density(self, variance: float) -> Numbers:
        return (1 - _TAIL) * self._normal(variance) + _TAIL * self._normal(variance * _TAIL_WIDTH**2)

    def _normal(self, variance: float) -> Numbers:
        of_each = variance * self.widening
        found: Numbers = np.exp(-self.squared / (2 * of_each)) / (2 * np.pi * of_each) ** (self.dimensions / 2)
        return found

    def _sum(self, at: npt.NDArray[np.int64], values: Numbers) -> Numbers:
        found: Numbers = np.bincount(at, values, self.n).astype(np.float64, copy=False)
        return found


def _squared(vectors: Numbers) -> Numbers:
    """(E,) squared lengths."""
    found: Numbers = np.einsum("ij,ij->i", vectors, vectors)
    return found
