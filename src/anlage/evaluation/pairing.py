"""Pair the nuclei of a result with those of the truth, by mask overlap or by distance of centres."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from anlage.annotations import Annotations
from anlage.axes import Spacing
from anlage.errors import AnlageError
from anlage.matching import match

__all__ = ["Pairing", "can_pair_by_masks", "pair_by_centres", "pair_by_masks"]

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Pairing:
    """Nuclei of the truth with the nucleus of the result that covers them.

    Parameters
    ----------
    pairs
        (K, 2) rows of the result and of the truth. A row of the truth occurs at most once; a row of the result occurs
        several times where it covers several nuclei of the truth, which only masks can.
    n_result, n_truth
        Numbers of nuclei.
    """

    pairs: Rows
    n_result: int
    n_truth: int

    @property
    def covered(self) -> Rows:
        """(n_result,) how many nuclei of the truth each nucleus of the result covers."""
        return np.bincount(self.pairs[:, 0], minlength=self.n_result).astype(np.int64)

    @property
    def to_truth(self) -> Rows:
        """(n_result,) the nucleus of the truth that each stands for alone; -1 where there is none, or several."""
        return self._alone(self.n_result, 0, 1)

    @property
    def to_result(self) -> Rows:
        """(n_truth,) the nucleus of the result that stands for it and for no other; -1 where there is none."""
        return self._alone(self.n_truth, 1, 0)

    def _alone(self, n: int, source: int, target: int) -> Rows:
        alone = self.pairs[self.covered[self.pairs[:, 0]] == 1]
        partner = np.full(n, -1, dtype=np.int64)
        partner[alone[:, source]] = alone[:, target]
        return partner


def pair_by_centres(result: Annotations, truth: Annotations, spacing: Spacing, radius_um: float) -> Pairing:
    """Pair one-to-one in each frame, as many as possible and of these the nearest, within a radius in µm."""
    found = []
    for of_result, of_truth in _by_frame(result, truth):
        pairs, _ = match(
            result.positions[of_result, 1:] * spacing.um, truth.positions[of_truth, 1:] * spacing.um, radius_um
        )
        found.append(np.column_stack([of_result[pairs[:, 0]], of_truth[pairs[:, 1]]]))
    return Pairing(_together(found), len(result), len(truth))


def can_pair_by_masks(result: Annotations, truth: Annotations) -> bool:
    """Whether every nucleus of both has a mask of its own."""
    return all(
        table.labels is not None and bool((table.label > 0).all()) and len(np.unique(_keys(table))) == len(table)
        for table in (result, truth)
    )


def pair_by_masks(result: Annotations, truth: Annotations) -> Pairing:
    """Pair a nucleus of the truth with that of the result which covers more than half of its voxels.

    Source: P. Matula et al., Cell tracking accuracy measurement based on comparison of acyclic oriented graphs, PLoS
    One 10 (2015).

    Raises
    ------
    AnlageError
        If a table has no labels; `can_pair_by_masks` says so beforehand.
    """
    if truth.labels is None or result.labels is None:
        raise AnlageError("Masks were to be compared, but a table holds points without labels; give label images.")
    found = []
    for of_result, of_truth in _by_frame(result, truth):
        t = int(truth.frames[of_truth[0]])
        covering, covered = _overlaps(result.labels.frame(t)[0], truth.labels.frame(t)[0])
        rows = _row_of(result.label, of_result, covering), _row_of(truth.label, of_truth, covered)
        known = (rows[0] >= 0) & (rows[1] >= 0)
        found.append(np.column_stack(rows)[known])
    return Pairing(_together(found), len(result), len(truth))


def _overlaps(result_ZYX: npt.NDArray[Any], truth_ZYX: npt.NDArray[Any]) -> tuple[Rows, Rows]:
    """Values of the result that cover more than half of a value of the truth, and these."""
    inside = np.flatnonzero(truth_ZYX)
    values, which = np.unique(truth_ZYX.reshape(-1)[inside].astype(np.int64), return_inverse=True)
    sizes = np.bincount(which, minlength=len(values))
    over = result_ZYX.reshape(-1)[inside].astype(np.int64)
    names, over_which = np.unique(over, return_inverse=True)
    both, counts = np.unique(over_which * len(values) + which, return_counts=True)
    cover, value = np.divmod(both, max(1, len(values)))
    most = (2 * counts > sizes[value]) & (names[cover] > 0)
    return names[cover[most]], values[value[most]]


def _row_of(labels: Rows, rows: Rows, values: Rows) -> Rows:
    """Which of these rows has each label; -1 where none has."""
    order = rows[np.argsort(labels[rows], kind="stable")]
    place = np.minimum(np.searchsorted(labels[order], values), len(order) - 1)
    return np.where(labels[order[place]] == values, order[place], -1)


def _by_frame(result: Annotations, truth: Annotations) -> Iterator[tuple[Rows, Rows]]:
    """Rows of the result and of the truth in each frame that holds both."""
    rows = []
    for table in (result, truth):
        order = np.argsort(table.frames, kind="stable")
        frames, starts = np.unique(table.frames[order], return_index=True)
        rows.append(dict(zip(frames.tolist(), np.split(order, starts[1:]), strict=True)) if len(order) else {})
    for t in sorted(rows[0].keys() & rows[1].keys()):
        yield rows[0][t], rows[1][t]


def _keys(table: Annotations) -> Rows:
    """One number for each combination of frame and label; labels are numbered, because frames times a large one would overflow."""
    number = np.unique(table.label, return_inverse=True)[1].reshape(-1)
    return table.frames * (len(table) + 1) + number


def _together(found: list[npt.NDArray[Any]]) -> Rows:
    return np.concatenate([np.zeros((0, 2), dtype=np.int64), *found])
