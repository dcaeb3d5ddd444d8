"""Scores of answers in the order of their probability, over all thresholds."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["average_precision", "best_f1"]

Ranked = npt.NDArray[np.bool_]
"""(N,) whether each answer is right, the most likely first."""


def average_precision(ranked: Ranked, n_truth: int) -> float:
    """Area under precision over recall, precision being the best at that recall or a higher one.

    Parameters
    ----------
    ranked
        (N,) whether each answer is right, the most likely first.
    n_truth
        How many there are to find.
    """
    precision, recall = _curve(ranked, n_truth)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float((np.diff(recall, prepend=0.0) * envelope).sum())


def best_f1(ranked: Ranked, n_truth: int) -> float:
    """Highest F1 over all thresholds; parameters are those of `average_precision`."""
    if not ranked.any():
        return 0.0
    precision, recall = _curve(ranked, n_truth)
    return float((2 * precision * recall / np.maximum(precision + recall, 1e-12)).max())


def _curve(ranked: Ranked, n_truth: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Precision and recall as more and more answers are reported."""
    hits = np.cumsum(ranked)
    return hits / np.arange(1, len(hits) + 1), hits / max(n_truth, 1)
