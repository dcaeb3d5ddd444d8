"""Spot check: accept many links at once, and check a random sample to estimate how many are wrong."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from anlage.annotations import Annotations
from anlage.calibration import fit_platt, logit
from anlage.errors import AnlageError

__all__ = ["SafeLinks", "error_interval", "rescaled_links", "safe_links"]

FEWEST_TO_SCALE = 5
"""Checked links of each kind, right and wrong, below which probabilities are not scaled by them."""
_SUREST = 1e-6
"""No link is taken for surer than this."""

Pairs = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class SafeLinks:
    """The links of a network whose error probability is at most so much.

    Parameters
    ----------
    pairs
        (S, 2) mother, daughter.
    error
        (S,) error probability of each.
    n_proposed
        How many links of a network there are altogether; a human's are not counted.
    """

    pairs: Pairs
    error: npt.NDArray[np.float64]
    n_proposed: int

    def __len__(self) -> int:
        return len(self.pairs)

    @property
    def expected_errors(self) -> float:
        """How many of them are wrong, if their probabilities mean what they say."""
        return float(self.error.sum())

    def sample(self, n: int, seed: int) -> Pairs:
        """Up to n of them, drawn evenly without putting back; the same seed draws the same."""
        rows = np.random.default_rng(seed).permutation(len(self.pairs))[:n]
        return self.pairs[rows]


def safe_links(tracks: Annotations, at_most: float) -> SafeLinks:
    """The proposed links whose error probability is at most `at_most`, 0 to 1."""
    probability = tracks.link_properties.get("probability", np.full(len(tracks.links), np.nan))
    proposed = np.isfinite(probability)
    rows = np.flatnonzero(proposed & (1.0 - probability <= at_most))
    return SafeLinks(tracks.links[rows], 1.0 - probability[rows], int(proposed.sum()))


def rescaled_links(
    tracks: Annotations, probability: npt.ArrayLike, right: npt.ArrayLike
) -> tuple[Pairs, npt.NDArray[np.float64]]:
    """The proposed links with probabilities that agree with links that a human checked.

    Parameters
    ----------
    tracks
        The tracks.
    probability, right
        (K,) what links of a random sample said, and whether they are right.

    Returns
    -------
    pairs, probability
        (S, 2) mother, daughter, and (S,) the new probability of each.

    Raises
    ------
    AnlageError
        If fewer than five were right, or wrong: so few say nothing.
    """
    wanted = np.asarray(right, dtype=bool)
    n_right, n_wrong = int(wanted.sum()), int((~wanted).sum())
    if min(n_right, n_wrong) < FEWEST_TO_SCALE:
        raise AnlageError(
            f"{n_right} links were right and {n_wrong} wrong; with fewer than {FEWEST_TO_SCALE} of each nothing can be said of the "
            "others. Draw a larger sample, or raise the error probability up to which it is drawn."
        )
    calibration = fit_platt(logit(probability, _SUREST), wanted)
    said = tracks.link_properties.get("probability", np.full(len(tracks.links), np.nan))
    rows = np.flatnonzero(np.isfinite(said))
    return tracks.links[rows], calibration.apply(logit(said[rows], _SUREST))


def error_interval(n_wrong: int, n_checked: int, level: float = 0.95) -> tuple[float, float]:
    """Between which error rates the truth lies, when so many of a random sample were wrong (Wilson's interval).

    Raises
    ------
    ValueError
        If nothing was checked.
    """
    from scipy.stats import binomtest

    if n_checked < 1:
        raise ValueError("nothing was checked")
    interval = binomtest(n_wrong, n_checked).proportion_ci(level, method="wilson")
    return float(interval.low), float(interval.high)
