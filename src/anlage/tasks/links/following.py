"""Links without training, with all that the film itself tells: common movement, ages, and probabilities, found in turns.

Each rests on the others. Probable links show how nuclei move together and how old each is; both say which links are
probable. It begins with what `plausible_links` knows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from anlage.candidates import Candidates, Motion, local_motion, neighbour_distances_um
from anlage.tasks.links.ages import Ages, LifeHistory
from anlage.tasks.links.flow import common_motion
from anlage.tasks.links.motion import CandidateGraph, Plausible, dimensions_of, first_rates, missed_by, plausible_links

__all__ = ["Followed", "follow"]

Numbers = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]

_MOTION_TURNS = 2
"""Turns of movement and links before anything is said of ages; candidates are searched for anew in each."""
_AGE_TURNS = 12
_FEWEST_DATED = 10.0
"""Divisions of nuclei whose birth was seen, below which nothing is said of ages."""
_FIRST_SWEEPS, _SWEEPS = 12, 4
"""Rounds of messages in a new graph, and in one that goes on with those of the turn before."""
_FIRST_RATES = 4
_SETTLED = 0.02
"""Change of the probabilities, as a part of all that is doubtful, below which a further turn says nothing new."""


@dataclass(frozen=True, slots=True)
class Followed:
    """What a film tells of its links.

    Parameters
    ----------
    candidates
        The candidates around where nuclei are expected in the end.
    ahead, over
        Movement over one frame and over two.
    plausible
        Probabilities of candidates and divisions.
    history
        Ages, and what they say.
    parted
        (E,) probability of each candidate to lead from a mother to one of two daughters.
    """

    candidates: Candidates
    ahead: Motion
    over: Motion
    plausible: Plausible
    history: LifeHistory
    parted: Numbers


def follow(frames: npt.ArrayLike, points_um: npt.ArrayLike, find: Callable[[Motion, Motion], Candidates]) -> Followed:
    """Find movement, ages and probabilities of a film.

    Parameters
    ----------
    frames
        (N,) whole numbers.
    points_um
        (N, 3) positions (z, y, x) in µm.
    find
        The candidates, given the movement over one frame and over two.
    """
    t, p = np.asarray(frames, dtype=np.int64), np.asarray(points_um, dtype=np.float64).reshape(-1, 3)
    first = ahead = local_motion(t, p)
    over = local_motion(t, p, step=2, once=ahead)
    candidates = find(ahead, over)
    if not len(candidates):
        nothing = np.zeros(0)
        return Followed(
            candidates, ahead, over, plausible_links(t, p, candidates), LifeHistory.unknown(len(t)), nothing
        )  # fmt: skip
    scale = np.nan_to_num(neighbour_distances_um(t, p), nan=1.0)
    rates = first_rates(ahead, scale, dimensions_of(p))
    for turn in range(_MOTION_TURNS + 1):
        graph = CandidateGraph(t, candidates, missed_by(p, candidates, ahead, over, scale), dimensions_of(p))
        chance, pairs = graph.marginals(rates, _FIRST_SWEEPS)
        for _ in range(_FIRST_RATES if turn == 0 else 1):
            rates = graph.rates(chance, pairs, rates)
            chance, pairs = graph.marginals(rates, _SWEEPS)
        if turn < _MOTION_TURNS:
            del graph  # the next one takes its place in memory
            ahead = common_motion(t, p, candidates, chance, scale, first)
            again = find(ahead, over)
            candidates = again if len(again) else candidates
    ages = Ages(t, rates.divides)
    for _ in range(_AGE_TURNS):
        before = chance
        divides = Plausible.of(chance, graph.divides(pairs), rates).divides
        history = ages.turn(candidates, chance, graph.parted(chance, pairs), divides)
        if ages.n_dated < _FEWEST_DATED:
            break  # too little is known of ages, and turns without them only drift
        graph.odds_to_divide = history.odds
        ahead = common_motion(t, p, candidates, chance, scale, first)
        graph.place(missed_by(p, candidates, ahead, over, scale))
        chance, pairs = graph.marginals(rates, _SWEEPS)
        rates = graph.rates(chance, pairs, rates)
        chance, pairs = graph.marginals(rates, _SWEEPS)
        if float(np.abs(chance - before).sum()) < _SETTLED * float((chance * (1 - chance)).sum()):
            break
    return Followed(
        candidates, ahead, over, Plausible.of(chance, graph.divides(pairs), rates), history, graph.parted(chance, pairs)
    )
