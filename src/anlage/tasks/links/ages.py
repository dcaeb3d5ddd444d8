"""How long ago each nucleus was born, and what that says of its dividing.

Between two divisions of a cell lies at least its cycle. How likely a nucleus is to divide at some age, at some time of the
film, is read off the film itself: probable links carry the age of each nucleus onwards from its birth, and what becomes of it
back to there. Where no birth is seen, all ages are alike, and nothing changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d
from scipy.sparse import csr_array

from anlage.candidates import Candidates
from anlage.neighbours import rows_by_frame

__all__ = ["Ages", "LifeHistory"]

Numbers = npt.NDArray[np.float64]
Table = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]

_OLDEST = 64
"""Frames from which on ages are no longer told apart; one more column stands for an unknown age."""
_OVER_TIME, _OVER_AGE = 0.25, 0.08
"""How far the rate of divisions is averaged, over time and over age, as a part of the usual age at a division."""
_LEAST_TIME, _LEAST_AGE = 1.5, 0.6
_PRIOR, _FEW = 3.0, 30.0
"""Nuclei that the rate of all ages counts as much as, against those of one age; more where fewer divisions have a known age."""
_PRIOR_OF_TIME, _USUAL_RATE = 20.0, 0.01
"""Nuclei that the usual rate counts as much as, against those of one time."""
_LEAST_RATE, _LARGEST_RATE = 1e-5, 0.95
_SUREST_ODDS = 1e4
_DAMPED = 0.3
"""Share of what was said before in what is said next: ages and divisions rest on each other."""
_FLAT = 2.5066
"""From a filter whose weights sum to 1 to one whose largest weight is about 1: √(2π) of its width."""


@dataclass(frozen=True, slots=True)
class LifeHistory:
    """What is known of each nucleus's past and future.

    Parameters
    ----------
    odds
        (N,) odds that it divides before the next frame, of its age and of what becomes of its daughters, not of their places.
    age
        (N,) expected frames since its birth, where that was seen.
    known
        (N,) probability that its birth was seen.
    born
        (N,) logarithm of how much better what becomes of it agrees with its birth in this frame than with its age.
    usual
        Usual age at a division in frames.
    """

    odds: Numbers
    age: Numbers
    known: Numbers
    born: Numbers
    usual: float

    @classmethod
    def unknown(cls, n: int) -> Self:
        """Of nuclei of which nothing is known."""
        return cls(np.full(n, _USUAL_RATE), np.zeros(n), np.zeros(n), np.zeros(n), float(_OLDEST))


class Ages:
    """Ages of the nuclei of a film, and its rate of divisions by age and time.

    Parameters
    ----------
    frames
        (N,) frame of each nucleus.
    rate
        Share of nuclei that divide before the next frame, of any age.
    """

    def __init__(self, frames: Rows, rate: float) -> None:
        self._rows = rows_by_frame(frames)
        self._place = np.empty(len(frames), dtype=np.int64)
        self._frames = frames
        self._number = {frame: number for number, frame in enumerate(self._rows)}
        for rows in self._rows.values():
            self._place[rows] = np.arange(len(rows))
        self._rates = np.full((len(self._rows), _OLDEST + 1), rate)
        self._odds = np.full(len(frames), rate / (1 - rate))
        self.usual = float(_OLDEST)
        self.n_dated = 0.0
        """Divisions of nuclei whose birth was seen."""

    def turn(self, candidates: Candidates, chance: Numbers, parted: Numbers, divides: Numbers) -> LifeHistory:
        """Read ages and rates off probabilities, and say how likely each nucleus is to divide.

        Parameters
        ----------
        candidates, chance, parted
            Candidates, (E,) their probabilities, and (E,) their probabilities to lead from a mother to one of two daughters.
        divides
            (N,) probability of each nucleus to divide.
        """
        links = self._by_frame(candidates, np.maximum(chance - parted, 0.0), parted)
        age = self._forwards(links)
        odds, fits, dividing, staying = self._backwards(links, age, divides)
        self._read_rates(dividing, staying)
        self._odds = np.exp(_DAMPED * np.log(self._odds) + (1 - _DAMPED) * np.log(odds))
        unknown = age[:, -1].astype(np.float64)
        seen = np.maximum(1 - unknown, 1e-6)
        mean = age[:, :-1].astype(np.float64) @ np.arange(_OLDEST) / seen
        return LifeHistory(self._odds, mean, 1 - unknown, np.log(np.maximum(fits, 1e-6)), self.usual)

    def _by_frame(self, candidates: Candidates, single: Numbers, parted: Numbers) -> dict[tuple[int, int], _Links]:
        """The links that leave each frame, over one frame and over two, as matrices (later, earlier)."""
        earlier, later = candidates.pairs.T
        found: dict[tuple[int, int], _Links] = {}
        key = 2 * self._frames[earlier] + candidates.steps - 1
        order = np.argsort(key, kind="stable")
        values, first = np.unique(key[order], return_index=True)
        for value, some in zip(values.tolist(), np.split(order, first[1:]), strict=True) if len(key) else ():
            frame, step = value // 2, value % 2 + 1
            rows, others = self._rows[frame], self._rows[frame + step]
            at = (self._place[later[some]], self._place[earlier[some]])
            shape = (len(others), len(rows))
            found[frame, step] = _Links(
                csr_array((single[some].astype(np.float32), at), shape=shape),
                csr_array((parted[some].astype(np.float32), at), shape=shape), others,
            )  # fmt: skip
        return found

    def _forwards(self, links: dict[tuple[int, int], _Links]) -> Table:
        """(N, ages) probability of each age."""
        age = np.zeros((len(self._frames), _OLDEST + 1), dtype=np.float32)
        for frame, rows in self._rows.items():
            total = age[rows].sum(axis=1)
            own = age[rows] / np.maximum(total, 1.0)[:, None]
            own[:, -1] += np.maximum(1 - total, 0.0)
            age[rows] = own
            alive = own * (1 - self._rates[self._number[frame]]).astype(np.float32)
            alive /= np.maximum(alive.sum(axis=1, keepdims=True), 1e-12)
            for step in (1, 2):
                if (frame, step) in links:
                    onwards = links[frame, step]
                    age[onwards.later] += onwards.single @ _older(alive, step)
                    age[onwards.later, 0] += onwards.parted.sum(axis=1)
        return age

    def _backwards(self, links: dict[tuple[int, int], _Links], age: Table, divides: Numbers) -> _Backwards:
        """(N,) odds to divide, (N,) how well a birth in this frame agrees with the rest, and counts of each age and time."""
        n = len(self._frames)
        odds, fits, agrees = self._odds.copy(), np.ones(n), np.ones_like(age)
        seen = np.clip(divides / (1 - divides) / self._odds, 1 / _SUREST_ODDS, _SUREST_ODDS)
        dividing, staying = np.zeros_like(self._rates), np.zeros_like(self._rates)
        for frame, rows in reversed(self._rows.items()):
            leaving = [(step, links[frame, step]) for step in (1, 2) if (frame, step) in links]
            if not leaving:
                continue
            goes_on, born = _futures(leaving, agrees, len(rows))
            rate = self._rates[self._number[frame]]
            parts = age[rows] * rate * born[:, None]
            stays = age[rows] * (1 - rate) * goes_on
            odds[rows] = np.clip(parts.sum(axis=1) / np.maximum(stays.sum(axis=1), 1e-12), 1e-6, 1e3)
            own = rate * (seen[rows] * born)[:, None] + (1 - rate) * goes_on
            own /= np.maximum((age[rows] * own).sum(axis=1, keepdims=True), 1e-9)
            agrees[rows] = np.clip(own, 1e-3, 1e3)
            fits[rows] = agrees[rows, 0]
            at = self._number[frame]
            dividing[at] = (parts * _share(divides[rows], parts)).sum(axis=0)
            staying[at] = (stays * _share(1 - divides[rows], stays)).sum(axis=0)
        return odds, fits, dividing, staying

    def _read_rates(self, dividing: Numbers, staying: Numbers) -> None:
        """The rate of divisions of each time and age, averaged over those beside it."""
        of_age = dividing[:, :-1].sum(axis=0)
        self.n_dated = float(of_age.sum())
        n = max(self.n_dated, 1e-3)
        self.usual = max(1.0, float(of_age @ np.arange(_OLDEST)) / n)
        prior = _PRIOR * (1 + (_FEW / n) ** 2)
        time = max(_LEAST_TIME, _OVER_TIME * self.usual)
        age = max(_LEAST_AGE, _OVER_AGE * self.usual)
        divided, stayed = (_smoothed(counts, time, age) for counts in (dividing, staying))
        of_time = divided.sum(axis=1) + _PRIOR_OF_TIME * _USUAL_RATE
        of_time /= divided.sum(axis=1) + stayed.sum(axis=1) + _PRIOR_OF_TIME
        rates = (divided + prior * of_time[:, None]) / (divided + stayed + prior)
        self._rates = np.clip(rates, _LEAST_RATE, _LARGEST_RATE)


_Backwards = tuple[Numbers, Numbers, Numbers, Numbers]


@dataclass(frozen=True, slots=True)
class _Links:
    """Links from one frame to a later one: probabilities (later, earlier) to go on and to be a daughter; rows of the later."""

    single: csr_array
    parted: csr_array
    later: Rows


def _futures(leaving: list[tuple[int, _Links]], agrees: Table, n: int) -> tuple[Table, Numbers]:
    """(n, ages) how well what comes agrees with each age, should the nucleus go on, and (n,) should it divide."""
    goes_on: Table = np.full((n, _OLDEST + 1), 1e-3, dtype=np.float32)
    mass, logs, parted = np.full(n, 1e-3), np.zeros(n), np.full(n, 1e-9)
    for step, onwards in leaving:
        after = agrees[onwards.later]
        goes_on += onwards.single.T @ _younger(after, step)
        mass += onwards.single.sum(axis=0)
        logs += onwards.parted.T @ np.log(after[:, 0])
        parted += onwards.parted.sum(axis=0)
    goes_on /= mass[:, None].astype(np.float32)
    born: Numbers = np.exp(2 * logs / parted)  # two daughters
    return goes_on, born


def _older(age: Table, by: int) -> Table:
    """Ages so many frames later; the oldest stay so, and what is unknown stays unknown."""
    found = np.zeros_like(age)
    found[:, by:_OLDEST] = age[:, : _OLDEST - by]
    found[:, _OLDEST - 1] += age[:, _OLDEST - by : _OLDEST].sum(axis=1)
    found[:, _OLDEST] = age[:, _OLDEST]
    return found


def _younger(of_later: Table, by: int) -> Table:
    """What is said of ages so many frames later, by the age now."""
    found = np.empty_like(of_later)
    found[:, : _OLDEST - by] = of_later[:, by:_OLDEST]
    found[:, _OLDEST - by : _OLDEST] = of_later[:, _OLDEST - 1 : _OLDEST]
    found[:, _OLDEST] = of_later[:, _OLDEST]
    return found


def _share(of: Numbers, parts: Numbers) -> Numbers:
    found: Numbers = (of / np.maximum(parts.sum(axis=1), 1e-12))[:, None]
    return found


def _smoothed(counts: Numbers, time: float, age: float) -> Numbers:
    """Counts (frames, ages) with those around them, the nearer the more; an unknown age has none beside it."""
    over_time = gaussian_filter1d(counts, time, axis=0, mode="constant") * (time * _FLAT)
    over_time[:, :-1] = gaussian_filter1d(over_time[:, :-1], age, axis=1, mode="nearest") * (age * _FLAT)
    return over_time
