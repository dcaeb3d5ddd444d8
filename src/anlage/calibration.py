"""Calibrate probabilities (Platt scaling, temperature scaling), choose thresholds, and confidence intervals of counts.

A network's logits become probabilities by Platt scaling, fitted on held-out data. Everything here is numpy in, numpy
out, and made for few examples: what the data cannot decide stays as it was.
"""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field

from anlage.errors import AnlageError
from anlage.frozen import Finite, Probability

__all__ = [
    "Answers",
    "Calibration",
    "ReliabilityBin",
    "TemperatureScaling",
    "choose_threshold",
    "expected_calibration_error",
    "f1_interval",
    "fit_platt",
    "logit",
    "reliability",
    "wilson_interval",
]

_LOGIT_LIMIT = 30.0
"""Logits are clipped here: sigmoid(30) is 1 − 1e-13, and a saturated float32 sigmoid would give infinity."""

_FEWEST_FOR_TEMPERATURE = 5
"""Examples of each kind below which nothing is fitted."""

_FEWEST_FOR_PLATT = 8
"""Examples of each kind below which only the slope is fitted: an intercept from so few would mostly be noise."""

_SLOPE_RANGE = (0.02, 50.0)
_LOG_SLOPE_SD = 1.0
_INTERCEPT_SD = 2.0
"""Widths of the normal priors around the identity: a slope within a factor e, an intercept within 2 logits."""

_INTERVALS = 50
"""Of probability, in which answers are counted."""

_MANY = 30
"""Nuclei in truth from which a chosen threshold is trusted as it is (below, it is drawn towards 0.5)."""

_PLATEAU = 0.95
"""Thresholds whose F1 is at least this part of the best are taken to be equally good."""


class Calibration(Finite):
    """Platt scaling: probability = sigmoid(slope · logit + intercept). The identity by default."""

    slope: Annotated[float, Field(ge=1e-3, le=1e3)] = 1.0
    """Below 1 the network was too sure of itself, above 1 too timid."""
    intercept: Annotated[float, Field(ge=-1e3, le=1e3)] = 0.0
    """Above 0 the network found the wanted kind less likely than it is."""

    def apply(self, logits: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Logits of any shape → calibrated probabilities of the same shape, in 0 … 1."""
        return _sigmoid(self.slope * _clipped(logits) + self.intercept)


class ReliabilityBin(Finite):
    """The examples whose probability lies in one interval, and how many of them were true."""

    low: Probability
    high: Probability
    n: Annotated[int, Field(ge=0)]
    mean_probability: Probability
    fraction_true: Probability


class TemperatureScaling(Finite):
    """How the probabilities of links given their competitors are scaled."""

    temperature: Annotated[float, Field(ge=1e-3, le=20)]
    """Logarithms of odds are divided by it before the competitors are weighed against each other: above 1, single probabilities
    claim to know more than they do, as they rest on the same evidence."""
    calibration: Calibration
    """Scaling of the probabilities that come out."""
    n: Annotated[int, Field(ge=0)] = 0
    """Links of tracks that it was fitted to."""
    ece: Probability | None = None
    """Expected calibration error of the links of tracks through films that it was not fitted to; None where there were too few."""
    bins: Annotated[tuple[ReliabilityBin, ...], Field(max_length=1000)] = ()
    """Their reliability diagram."""


class Answers(Finite):
    """How sure a network was of held-out examples, and what was true: counts in intervals of equal width from 0 to 1.

    Enough to draw how precision, recall and false alarms go with the threshold, and how far a probability can be believed.
    """

    true: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1, max_length=1000)]
    """Examples of the wanted kind with a probability in each interval."""
    false: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1, max_length=1000)]
    """The others."""
    missed: Annotated[int, Field(ge=0)] = 0
    """Of the wanted kind, of which the network said nothing at all."""

    @classmethod
    def of(cls, probability: npt.ArrayLike, truth: npt.ArrayLike, n_truth: int | None = None) -> Answers:
        """Count them.

        Parameters
        ----------
        probability
            (N,) of each.
        truth
            (N,) whether it is of the wanted kind.
        n_truth
            How many there are of that kind in all, where some were not among those asked for.
        """
        p = _probabilities(probability)
        wanted = _matching(truth, p)
        at = np.minimum((p * _INTERVALS).astype(int), _INTERVALS - 1)
        true, false = (tuple(np.bincount(at[rows], minlength=_INTERVALS).tolist()) for rows in (wanted, ~wanted))
        return cls(true=true, false=false, missed=max(0, (n_truth or 0) - int(wanted.sum())))


def fit_platt(logits: npt.ArrayLike, truth: npt.ArrayLike) -> Calibration:
    """Calibration from held-out examples, as far as they carry.

    Minimises the cross-entropy with Platt's smoothed targets plus normal priors that hold log(slope) and the
    intercept at the identity, so that separable data give a finite slope. With fewer than 8 examples of either kind
    only the slope is fitted; with fewer than 5, nothing.

    Parameters
    ----------
    logits
        (N,) the network's raw output; infinities count as ±30.
    truth
        (N,) whether each example is of the wanted kind.

    Raises
    ------
    AnlageError
        If a logit is not a number.
    """
    x = _clipped(logits).reshape(-1)
    wanted = _matching(truth, x)
    n_true, n_false = int(wanted.sum()), int((~wanted).sum())
    if min(n_true, n_false) < _FEWEST_FOR_TEMPERATURE:
        return Calibration()
    # Platt (1999): targets a little inside 0 … 1, as if one more example of each kind had been seen
    target = np.where(wanted, (n_true + 1) / (n_true + 2), 1 / (n_false + 2))
    slope, intercept = _minimise(x, target, with_intercept=min(n_true, n_false) >= _FEWEST_FOR_PLATT)
    return Calibration(slope=slope, intercept=intercept)


def reliability(probability: npt.ArrayLike, truth: npt.ArrayLike, *, n_bins: int = 10) -> tuple[ReliabilityBin, ...]:
    """How often each probability came true, in bins of equal width; empty bins are left out."""
    p = _probabilities(probability)
    wanted = _matching(truth, p)
    which = np.minimum((p * n_bins).astype(int), n_bins - 1)
    bins = []
    for b in np.unique(which):
        members = which == b
        bins.append(
            ReliabilityBin(
                low=float(b / n_bins),
                high=float((b + 1) / n_bins),
                n=int(members.sum()),
                mean_probability=float(p[members].mean()),
                fraction_true=float(wanted[members].mean()),
            )
        )
    return tuple(bins)


def expected_calibration_error(probability: npt.ArrayLike, truth: npt.ArrayLike, *, n_bins: int = 10) -> float:
    """Mean distance between probability and the fraction that came true, over bins weighted by their examples.

    0 is perfect, 0.05 means that a stated 80 % is right in 75 to 85 % of the cases. NaN without examples.
    """
    bins = reliability(probability, truth, n_bins=n_bins)
    n = sum(b.n for b in bins)
    if n == 0:
        return math.nan
    return sum(b.n * abs(b.mean_probability - b.fraction_true) for b in bins) / n


def choose_threshold(probability: npt.ArrayLike, is_true: npt.ArrayLike, n_truth: int) -> float:
    """The probability above which to report, chosen for F1 on held-out data.

    With calibrated probabilities the best threshold is half the best F1 (Lipton, Elkan & Naryanaswamy 2014,
    arXiv:1402.1892), and that value carries over to another embryo better than the empirical best, which hangs on the
    few candidates near it. It is taken if its F1 on the held-out data is within 5 % of the best; else the centre of the
    range of thresholds that are. With fewer than 30 nuclei in truth the choice is drawn towards 0.5 in proportion.

    Parameters
    ----------
    probability
        (N,) calibrated probabilities of all candidates.
    is_true
        (N,) whether the candidate was paired with a nucleus of the truth.
    n_truth
        Nuclei in the truth, found or not.
    """
    p = _probabilities(probability)
    found = _matching(is_true, p)
    if n_truth <= 0 or not found.any():
        return 0.5
    order = np.argsort(-p, kind="stable")
    p, hits = p[order], np.cumsum(found[order])
    last_of_equals = np.flatnonzero(np.append(p[:-1] > p[1:], True))  # equal probabilities stay or go together
    p, hits = p[last_of_equals], hits[last_of_equals]
    f1 = 2 * hits / (last_of_equals + 1 + n_truth)
    best = int(np.argmax(f1))
    worse = np.flatnonzero(f1 < _PLATEAU * f1[best])
    first = int(worse[worse < best].max(initial=-1)) + 1
    last = int(worse[worse > best].min(initial=len(p))) - 1
    # to report all down to the k-th takes a threshold between p[k + 1] and p[k]; below the last candidate lies 0
    high, low = p[first], np.append(p, 0)[last + 1]
    half = float(f1[best]) / 2
    chosen = half if low < half < high else (low + high) / 2
    trust = min(1.0, n_truth / _MANY)
    return float(np.clip(trust * chosen + (1 - trust) * 0.5, 0.01, 0.99))


def wilson_interval(successes: float, trials: float, *, z: float = 1.96) -> tuple[float, float]:
    """Wilson's interval for a proportion (95 % by default); (0, 1) without trials."""
    if trials <= 0:
        return (0, 1.0)
    share = min(1.0, max(0, successes / trials))
    centre = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z / (1 + z * z / trials) * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    return (max(0, centre - half), min(1.0, centre + half))


def f1_interval(tp: float, fp: float, fn: float) -> tuple[float, float]:
    """95 % interval of F1 from its counts.

    F1 = 2J / (1 + J), where J = tp / (tp + fp + fn) is a proportion, so Wilson's interval of J carries over. It knows
    only the counting error: nuclei of one movie resemble each other, and another movie may differ by more.
    """
    low, high = wilson_interval(tp, tp + fp + fn)
    return (2 * low / (1 + low), 2 * high / (1 + high))


def _minimise(
    x: npt.NDArray[np.float64], target: npt.NDArray[np.float64], *, with_intercept: bool
) -> tuple[float, float]:
    from scipy.optimize import minimize

    def objective(parameters: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        log_slope, intercept = float(parameters[0]), float(parameters[1])
        slope = math.exp(log_slope)
        score = slope * x + intercept
        entropy = float(np.sum(np.logaddexp(0, score) - target * score))
        error = _sigmoid(score) - target
        prior = 0.5 * (log_slope / _LOG_SLOPE_SD) ** 2 + 0.5 * (intercept / _INTERCEPT_SD) ** 2
        gradient = [
            slope * float(error @ x) + log_slope / _LOG_SLOPE_SD**2,
            float(error.sum()) + intercept / _INTERCEPT_SD**2,
        ]
        return entropy + prior, np.array(gradient)

    low, high = (math.log(limit) for limit in _SLOPE_RANGE)
    offset = _LOGIT_LIMIT if with_intercept else 0
    found = minimize(objective, np.zeros(2), jac=True, method="L-BFGS-B", bounds=[(low, high), (-offset, offset)])
    return math.exp(float(found.x[0])), float(found.x[1])


def logit(probability: npt.ArrayLike, surest: float = 1e-12) -> npt.NDArray[np.float64]:
    """log(p / (1 − p)), finite: as if nothing were surer than 1 − `surest`, or less sure than `surest`."""
    p = np.clip(np.asarray(probability, dtype=np.float64), surest, 1 - surest)
    return np.asarray(np.log(p) - np.log1p(-p))


def _sigmoid(logits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return 0.5 * (1.0 + np.tanh(0.5 * logits))


def _clipped(logits: npt.ArrayLike) -> npt.NDArray[np.float64]:
    x = np.asarray(logits, dtype=np.float64)
    if np.isnan(x).any():
        raise AnlageError(
            f"{int(np.isnan(x).sum())} of the network's {x.size} outputs are not numbers; "
            "its training has diverged, so train again with a lower learning rate."
        )
    return np.clip(x, -_LOGIT_LIMIT, _LOGIT_LIMIT)


def _probabilities(values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    p = np.asarray(values, dtype=np.float64).reshape(-1)
    if not ((p >= 0) & (p <= 1)).all():
        wrong = p[~((p >= 0) & (p <= 1))]
        raise AnlageError(f"{len(wrong)} of {len(p)} probabilities are not between 0 and 1, the first is {wrong[0]:g}.")
    return p


def _matching(truth: npt.ArrayLike, values: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    wanted = np.asarray(truth, dtype=bool).reshape(-1)
    if len(wanted) != len(values):
        raise AnlageError(f"There are {len(values)} predictions but {len(wanted)} truths; each needs one.")
    return wanted
