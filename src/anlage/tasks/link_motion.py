"""Links without training: how likely each candidate is, given how far nuclei of this film miss where they are expected.

Two kinds of numbers are needed for a probability: how well a candidate fits (its distance from the expected place against
the film's own spread), and what competes with it. A nucleus has one mother or none, and one successor, none or two; the
probabilities of all candidates under these rules are found together by belief propagation (on the graph of candidates;
for assignments see Huang & Jebara 2009, arXiv:0908.1769), and spread and rates are then read off the result, in turns.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from anlage.candidates import Candidates, Motion, local_motion, neighbour_distances_um

__all__ = ["missed_by", "plausible_links"]

Numbers = npt.NDArray[np.float64]

_TURNS = 4
"""Turns of probabilities and what is read off them: the spread has settled by then."""
_SWEEPS = 12
"""Rounds of messages between neighbours in the graph of candidates."""
_TAIL = 0.1
"""Share of nuclei that move like others of three times the spread."""
_TAIL_WIDTH = 3.0
_APART = 0.5
"""Typical distance of a daughter from where her mother was expected, in nearest-neighbour distances."""
_DENSITY = {2: 0.25, 3: 0.17}
"""Nuclei in a square or cube whose edge is the nearest-neighbour distance, were they thrown at random."""
_OVER_GAP = 0.03
"""Chance that a nucleus is missing in one frame and there again in the next."""
_SMALLEST_SPREAD = 0.01
_FEWEST_CHANCE, _MOST_CHANCE = 0.002, 0.3
_PRIOR_COUNT = 20.0
"""Nuclei that the assumed rates count as much as, against those of the film."""
_FLOOR = 1e-6


@dataclass
class _Rates:
    """What holds for the film as a whole; lengths in nearest-neighbour distances."""

    spread: float
    appears: float = 0.02
    ends: float = 0.02
    divides: float = 0.01


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


def plausible_links(
    frames: npt.ArrayLike, points_um: npt.ArrayLike, candidates: Candidates, motion: Motion | None = None
) -> Numbers:
    """(E,) probability of each candidate, from distances, the common movement and its competitors alone.

    Parameters
    ----------
    frames
        (N,) whole numbers.
    points_um
        (N, 3) positions (z, y, x) in µm.
    candidates
        Candidates among them.
    motion
        Movement to the next frame, if it is known already.
    """
    t, p = np.asarray(frames, dtype=np.int64), np.asarray(points_um, dtype=np.float64).reshape(-1, 3)
    if not len(candidates):
        return np.zeros(0)
    ahead = motion or local_motion(t, p)
    over = local_motion(t, p, step=2) if (candidates.steps == 2).any() else None
    scale = np.nan_to_num(neighbour_distances_um(t, p), nan=1.0)
    squared = np.sum(missed_by(p, candidates, ahead, over, scale) ** 2, axis=1)
    flat = len(p) < 2 or float(np.ptp(p[:, 0])) == 0.0
    graph = _Graph(t, candidates, squared, 2 if flat else 3)
    typical = np.nanmedian(ahead.spread_um / scale) if np.isfinite(ahead.spread_um).any() else 0.2
    rates = _Rates(max(_SMALLEST_SPREAD, float(typical) / (1.18 if flat else 1.54)))
    chance, divides = graph.marginals(rates)
    for _ in range(_TURNS):
        rates = graph.rates(chance, divides, rates)
        chance, divides = graph.marginals(rates)
    return np.clip(chance, _FLOOR, 1 - _FLOOR)


class _Graph:
    """Candidates as a graph on which messages run."""

    def __init__(
        self, frames: npt.NDArray[np.int64], candidates: Candidates, squared: Numbers, dimensions: int
    ) -> None:
        self.n, self.dimensions, self.squared = len(frames), dimensions, squared
        self.earlier, self.later = candidates.pairs.T
        steps = candidates.steps
        self.weight = np.where(steps == 2, _OVER_GAP, 1.0)
        self.widening = np.where(steps == 2, 2.0, 1.0)  # of the variance: two steps, each with its own chance
        present = np.unique(frames)
        self.has_before = np.isin(frames - 1, present)
        self.has_after = np.isin(frames + 1, present)

    def marginals(self, rates: _Rates) -> tuple[Numbers, Numbers]:
        """(E,) probability of each candidate; (N,) of each nucleus to divide."""
        moves = self.weight * self._density(rates.spread**2)
        apart = self.weight * self._normal(rates.spread**2 + _APART**2 / self.dimensions)
        appears = rates.appears * _DENSITY[self.dimensions]
        # what each side says of a candidate: its odds, were the other side silent
        from_later = np.full(len(moves), 1 / appears)
        for _ in range(_SWEEPS):
            from_earlier, divides = self._outgoing(moves * from_later, apart * from_later, rates)
            with_all = self._sum(self.later, moves * from_earlier)[self.later]
            new = 1 / (appears + np.maximum(with_all - moves * from_earlier, 0.0))
            from_later = np.sqrt(from_later * new)  # damped, so that they do not swing
        odds = moves * from_earlier * from_later
        return odds / (1 + odds), divides

    def rates(self, chance: Numbers, divides: Numbers, before: _Rates) -> _Rates:
        """What the probabilities say of spread and rates; few nuclei leave them as they were."""
        narrow = self._normal(before.spread**2) * (1 - _TAIL)
        fits = chance * narrow / np.maximum(self._density(before.spread**2), 1e-300)
        n = float(fits.sum())
        variance = float((fits * self.squared / self.widening).sum()) / max(n * self.dimensions, 1e-9)
        variance = (n * variance + _PRIOR_COUNT * before.spread**2) / (n + _PRIOR_COUNT)
        came, went = self._sum(self.later, chance), self._sum(self.earlier, chance)

        def rate(values: Numbers, prior: float) -> float:
            found = (float(np.clip(values, 0, 1).sum()) + _PRIOR_COUNT * prior) / (len(values) + _PRIOR_COUNT)
            return min(_MOST_CHANCE, max(_FEWEST_CHANCE, found))

        return _Rates(
            spread=max(_SMALLEST_SPREAD, float(np.sqrt(variance))),
            appears=rate(1 - came[self.has_before], 0.02),
            ends=rate(1 - went[self.has_after], 0.02),
            divides=rate(divides[self.has_after], 0.01),
        )

    def _outgoing(self, one: Numbers, of_two: Numbers, rates: _Rates) -> tuple[Numbers, Numbers]:
        """Odds of each candidate as its earlier nucleus sees it, relative to how it moves; (N,) chance to divide.

        A nucleus ends, goes on as one, or divides into two of its candidates.
        """
        ones, twos = self._sum(self.earlier, one), self._sum(self.earlier, of_two)
        squares = self._sum(self.earlier, of_two**2)
        pairs = np.maximum(twos**2 - squares, 0.0) / 2
        at = self.earlier
        other_ones = np.maximum(ones[at] - one, 0.0)
        other_twos = np.maximum(twos[at] - of_two, 0.0)
        other_pairs = np.maximum(other_twos**2 - np.maximum(squares[at] - of_two**2, 0.0), 0.0) / 2
        with_it = 1 + rates.divides * other_twos * of_two / np.maximum(one, 1e-300)
        without = rates.ends + other_ones + rates.divides * other_pairs
        divides = rates.divides * pairs / np.maximum(rates.ends + ones + rates.divides * pairs, 1e-300)
        return with_it / without, divides

    def _density(self, variance: float) -> Numbers:
        return (1 - _TAIL) * self._normal(variance) + _TAIL * self._normal(variance * _TAIL_WIDTH**2)

    def _normal(self, variance: float) -> Numbers:
        of_each = variance * self.widening
        found: Numbers = np.exp(-self.squared / (2 * of_each)) / (2 * np.pi * of_each) ** (self.dimensions / 2)
        return found

    def _sum(self, at: npt.NDArray[np.int64], values: Numbers) -> Numbers:
        found: Numbers = np.bincount(at, values, self.n).astype(np.float64, copy=False)
        return found
