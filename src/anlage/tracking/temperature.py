"""Temperature scaling of track probabilities, fitted on held-out films."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from anlage.calibration import TemperatureScaling, fit_platt, logit
from anlage.tasks.task import HeldOutFilm
from anlage.tracking.confidence import fit_temperature, link_reliability
from anlage.tracking.costs import problem_of
from anlage.tracking.marginals import marginals
from anlage.tracking.problem import LinkingProblem, Mask
from anlage.tracking.windows import solve

__all__ = ["fit_temperature_scaling"]

_FEWEST = 8
"""Links of tracks of each kind, right and wrong, below which nothing is fitted."""
_APART = 5
"""Frames between two films that are solved as one."""


def fit_temperature_scaling(films: Sequence[HeldOutFilm]) -> TemperatureScaling | None:
    """Temperature and scaling at which the links of tracks are right as often as they say.

    The temperature is the one at which the marginals of all candidates have the least cross-entropy; the scaling after it is
    fitted to the links that the tracks choose, since these are what is reported.

    Parameters
    ----------
    films
        Held-out films with missed and false nuclei, and what a network says of their candidates.

    Returns
    -------
    scaling
        None where too few links of tracks are known to be right, or to be wrong.
    """
    if not films:
        return None
    problem = _together([_problem(film) for film in films])
    right, known = (np.concatenate([getattr(film, name) for film in films]) for name in ("right", "known"))
    chosen = solve(problem).edges & known
    if min(int(right[chosen].sum()), int((~right[chosen]).sum())) < _FEWEST:
        return None
    temperature = fit_temperature(problem, right, known)
    logits = logit(marginals(problem, temperature=temperature).edge[chosen])
    calibration = fit_platt(logits, right[chosen])
    found = link_reliability(calibration.apply(logits), right[chosen])
    return TemperatureScaling(
        temperature=temperature, calibration=calibration, n=found.n, ece=found.ece, bins=found.bins
    )


def _problem(film: HeldOutFilm) -> LinkingProblem:
    chance = np.full(len(film.frames), np.clip(film.share_real, 0.01, 0.99))
    return problem_of(
        film.frames, film.points_um, film.candidates, film.links, node_probability=chance, division_probability=film.divides
    )  # fmt: skip


def _together(problems: Sequence[LinkingProblem]) -> LinkingProblem:
    """All films one after the other, as one problem in which none touches another."""
    rows, frames = 0, 0
    pairs, times = [], []
    for one in problems:
        pairs.append(one.pairs + rows)
        times.append(one.frames - int(one.frames.min(initial=0)) + frames)
        rows += len(one)
        frames = int(times[-1].max(initial=frames)) + _APART

    def joined(name: str) -> Mask:
        column: Mask = np.concatenate([getattr(one, name) for one in problems])
        return column

    names = ("node", "edge", "appear", "end", "division", "must", "clamp")
    columns = {name: joined(name) for name in names}
    return LinkingProblem(frames=np.concatenate(times), pairs=np.concatenate(pairs), **columns)  # type: ignore[arg-type]
