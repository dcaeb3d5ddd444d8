"""Error probabilities of links, tracks and lineages, and their calibration with links whose truth is known."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from anlage.annotations import track_numbers
from anlage.calibration import Calibration, ReliabilityBin, expected_calibration_error, fit_platt, logit, reliability
from anlage.tracking.marginals import Marginals, marginals
from anlage.tracking.problem import Floats, LinkingProblem, Rows
from anlage.tracking.settings import TrackingSettings

__all__ = [
    "LinkReliability",
    "confidence",
    "fit_temperature",
    "link_reliability",
    "recalibrated",
    "track_errors",
]

_TEMPERATURES = np.exp(np.linspace(np.log(0.5), np.log(6.0), 26))
_FEWEST = 5
"""Links of each kind, right and wrong, below which no temperature is fitted."""


@dataclass(frozen=True, slots=True)
class LinkReliability:
    """How far the probabilities of links mean what they say."""

    bins: tuple[ReliabilityBin, ...]
    """The reliability diagram: probability against the share that came true."""
    ece: float
    """Expected calibration error: the mean distance between both."""
    n: int
    """Links that it was measured on."""


def confidence(problem: LinkingProblem, settings: TrackingSettings | None = None) -> Marginals:
    """Probability of every link, division, beginning and end given what competes with it.

    Parameters
    ----------
    problem
        Costs that are negative logarithms of odds; clamped links are certain.
    settings
        With the temperature and the final calibration of the links.
    """
    scaling = (settings or TrackingSettings()).scaling
    found = marginals(problem, temperature=scaling.temperature)
    calibration = scaling.calibration
    if calibration == Calibration():
        return found
    edge = np.where(problem.clamp == 0, calibration.apply(logit(found.edge)), found.edge)
    return replace(found, edge=edge)


def link_reliability(probability: npt.ArrayLike, right: npt.ArrayLike, *, n_bins: int = 10) -> LinkReliability:
    """The reliability diagram of links (E,) and whether each is right."""
    p = np.asarray(probability, dtype=np.float64)
    return LinkReliability(
        reliability(p, right, n_bins=n_bins), expected_calibration_error(p, right, n_bins=n_bins), len(p)
    )


def recalibrated(
    settings: TrackingSettings, probability: npt.ArrayLike, right: npt.ArrayLike, *, given: npt.ArrayLike | None = None
) -> TrackingSettings:
    """Settings whose link probabilities agree with links that a human has looked at.

    With fewer than five right or five wrong links there is nothing to learn from, and the settings stay as they are.

    Parameters
    ----------
    settings
        Those that the probabilities come from.
    probability
        (M,) probabilities of the links.
    right
        (M,) whether each is right.
    given
        (M,) how often each was looked at for every time that such a link occurs (1 where None): whoever reviews the worst
        first sees more wrong ones than there are, so a sample that was drawn by probability must say so.
    """
    wanted = np.asarray(right, dtype=bool)
    weight = np.ones(len(wanted)) if given is None else 1.0 / np.asarray(given, dtype=np.float64)
    repeats = np.maximum(1, np.rint(weight)).astype(np.int64)
    if min(int(wanted.sum()), int((~wanted).sum())) < _FEWEST:
        return settings
    logits = logit(probability)
    before = settings.scaling.calibration
    raw = (logits - before.intercept) / before.slope
    return settings.model_copy(
        update={"calibration": fit_platt(np.repeat(raw, repeats), np.repeat(wanted, repeats))}
    )  # fmt: skip


def fit_temperature(problem: LinkingProblem, right: npt.ArrayLike, known: npt.ArrayLike | None = None) -> float:
    """The temperature at which the links' marginals agree best with the truth (least cross-entropy); 1 where too few.

    Parameters
    ----------
    problem
        Costs of a held-out movie.
    right
        (E,) whether each candidate is a true link.
    known
        (E,) candidates to look at; all by default.
    """
    wanted = np.asarray(right, dtype=bool)
    rows = np.ones(len(wanted), dtype=bool) if known is None else np.asarray(known, dtype=bool)
    if min(int(wanted[rows].sum()), int((~wanted[rows]).sum())) < _FEWEST:
        return 1.0

    def entropy(temperature: float) -> float:
        p = np.clip(marginals(problem, temperature=temperature).edge[rows], 1e-6, 1 - 1e-6)
        return float(-np.where(wanted[rows], np.log(p), np.log1p(-p)).mean())

    return float(_TEMPERATURES[int(np.argmin([entropy(t) for t in _TEMPERATURES]))])


def track_errors(
    links: Rows, link_probability: Floats, begin: Floats, end: Floats, division: Floats
) -> tuple[Floats, Floats]:
    """(N,) probabilities that something is wrong in the track, and in the lineage, that a nucleus belongs to.

    All that a track says must be right: its beginning, each link, and its end or division. Taken as independent.

    Parameters
    ----------
    links
        (M, 2) rows: earlier, later.
    link_probability
        (M,) NaN for certain ones.
    begin, end, division
        (N,) probability that each nucleus does what the tracks say there; 1 where that cannot be wrong.
    """
    n = len(begin)
    track, lineage = track_numbers(n, links)
    onwards = np.bincount(links[:, 0], minlength=n)
    into = np.bincount(links[:, 1], minlength=n)
    surely = np.where(into == 0, _log(begin), 0) + np.where(onwards == 0, _log(end), 0)
    surely += np.where(onwards > 1, _log(division), 0)
    by_link = _log(np.where(np.isfinite(link_probability), link_probability, 1.0))
    errors = []
    for number in (track, lineage):
        total = np.bincount(number, surely, minlength=int(number.max(initial=-1)) + 1)
        total += np.bincount(number[links[:, 1]], by_link, minlength=len(total))
        errors.append(-np.expm1(total)[number])
    return errors[0], errors[1]


def _log(probability: Floats) -> Floats:
    return np.log(np.clip(probability, 1e-12, 1.0))
