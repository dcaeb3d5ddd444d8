"""Division scores: divisions of a result paired with those of the truth, within a tolerance in frames."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from anlage.evaluation.lineages import Tracks
from anlage.evaluation.pairing import Pairing
from anlage.frozen import Frozen

__all__ = ["DivisionScore", "count_divisions"]

Rows = npt.NDArray[np.int64]


class DivisionScore(Frozen):
    """Divisions that were found."""

    tolerance: int
    """Frames by which a division may be early or late."""
    tp: int
    """Divisions of the truth found with the right mother and both daughters."""
    fp: int
    """Divisions of the result that are none of the truth's."""
    fn: int
    """Divisions of the truth that were not found."""
    precision: float | None
    """tp / (tp + fp); None where the result has no divisions."""
    recall: float | None
    """tp / (tp + fn); None where the truth has no divisions."""
    f1: float | None
    """2 tp / (2 tp + fp + fn); None where neither has divisions."""


def count_divisions(result: Tracks, truth: Tracks, pairing: Pairing, tolerance: int) -> DivisionScore:
    """Count divisions that both have.

    A division of the result is that of the truth if the mothers' tracks end within the tolerance of each other and are
    paired in the earlier of both last frames, and the daughters' tracks begin within the tolerance and are paired in the
    later of both first frames, one-to-one. Source: V. Ulman et al., An objective comparison of cell-tracking algorithms,
    Nature Methods 14 (2017), "branching correctness".

    Parameters
    ----------
    result, truth
        Tracks; whether they go over gaps is the caller's choice.
    pairing
        Nuclei of the result that stand for one nucleus of the truth.
    tolerance
        Frames.
    """
    tp = len(_paired(result, truth, pairing, tolerance))
    n_result, n_truth = len(result.divisions), len(truth.divisions)
    return DivisionScore(
        tolerance=tolerance,
        tp=tp,
        fp=n_result - tp,
        fn=n_truth - tp,
        precision=tp / n_result if n_result else None,
        recall=tp / n_truth if n_truth else None,
        f1=2 * tp / (n_result + n_truth) if n_result + n_truth else None,
    )


def _paired(result: Tracks, truth: Tracks, pairing: Pairing, tolerance: int) -> Rows:
    """(P, 2) divisions of the truth and of the result that are the same, by their numbers; the best timed first."""
    if not len(result.divisions) or not len(truth.divisions):
        return np.zeros((0, 2), dtype=np.int64)
    to_result = pairing.to_result
    mother = truth.of_nucleus[truth.divisions[:, 0]]
    end = truth.last[mother]
    division_of = np.full(len(result) + 1, -1)
    division_of[result.of_nucleus[result.divisions[:, 0]]] = np.arange(len(result.divisions))
    found = []
    for shift in sorted(range(-tolerance, tolerance + 1), key=abs):
        rows = truth.at(mother, np.minimum(end, end + shift))
        partner = np.where(rows >= 0, to_result[rows], -1)
        track = np.where(partner >= 0, result.of_nucleus[partner], -1)
        other = np.where(track >= 0, division_of[track], -1)
        timely = (other >= 0) & (result.last[track] == end + shift)
        candidates = np.column_stack([np.flatnonzero(timely), other[timely]])
        found.append(candidates[_same_daughters(result, truth, to_result, candidates, tolerance)])
    pairs = np.concatenate(found)
    for side in (0, 1):
        pairs = pairs[np.sort(np.unique(pairs[:, side], return_index=True)[1])]
    return pairs


def _same_daughters(
    result: Tracks, truth: Tracks, to_result: Rows, candidates: Rows, tolerance: int
) -> npt.NDArray[np.bool_]:
    of_truth = truth.of_nucleus[truth.divisions[candidates[:, 0], 1:]]
    of_result = result.of_nucleus[result.divisions[candidates[:, 1], 1:]]

    def same(i: int, j: int) -> npt.NDArray[np.bool_]:
        a, b = of_truth[:, i], of_result[:, j]
        begin, other_begin = truth.first[a], result.first[b]
        both = np.maximum(begin, other_begin)
        row, other_row = truth.at(a, both), result.at(b, both)
        paired: npt.NDArray[np.bool_] = (row >= 0) & (other_row >= 0) & (to_result[row] == other_row)
        paired &= np.abs(begin - other_begin) <= tolerance
        return paired

    straight: npt.NDArray[np.bool_] = same(0, 0) & same(1, 1)
    return straight | (same(0, 1) & same(1, 0))
