"""Tracking scores against a sparse truth, in which only some nuclei were followed."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from anlage.annotations import Annotations, State
from anlage.axes import Spacing
from anlage.errors import AnlageError
from anlage.evaluation.lineages import Lineages
from anlage.evaluation.pairing import pair_by_centres
from anlage.frozen import Frozen
from anlage.matching import match
from anlage.problems import check

__all__ = ["SPARSE_RADIUS_UM", "SparseScore", "score_sparse"]

SPARSE_RADIUS_UM = 7.0
"""Greatest distance of a pair in the challenge that defined the score."""

_TOO_MANY = 0.1
_DIVISIONS = 0.1

Rows = npt.NDArray[np.int64]


class SparseScore(Frozen):
    """How well tracks fit a truth in which only some nuclei were followed."""

    radius_um: float
    """Greatest distance of a pair in µm."""
    n_nuclei: int | None
    """About how many nuclei there are in all frames together, marked or not; None where nobody said."""
    n_result: int
    """Nuclei of the result in all frames."""
    edge_tp: int
    """Links of the truth that the result has."""
    edge_fp: int
    """Links of the result that contradict a link of the truth: they begin where one begins, or end where one ends."""
    edge_fn: int
    """Links of the truth that the result lacks."""
    edge_jaccard: float | None
    """tp / (tp + fp + fn) of links; None without links in the truth."""
    adjusted_edge_jaccard: float | None
    """Edge Jaccard less a tenth of it for every `n_nuclei` predicted beyond `n_nuclei`, at least 0; None where nobody
    said how many there are."""
    division_tp: int
    """Divisions of the truth that the result has, about a frame early or late allowed."""
    division_fp: int
    """Divisions of the result beside a nucleus of the truth that goes on, beyond those that are right."""
    division_fn: int
    """Divisions of the truth that the result lacks."""
    division_jaccard: float | None
    """tp / (tp + fp + fn) of divisions; None where there are none."""
    score: float | None
    """Adjusted edge Jaccard + 0.1 × division Jaccard, so at most 1.1; a movie without divisions adds nothing."""


def score_sparse(
    result: Annotations,
    truth: Annotations,
    spacing: Spacing,
    radius_um: float = SPARSE_RADIUS_UM,
    *,
    n_nuclei: int | None = None,
) -> SparseScore:
    """Score tracks where only some nuclei of the movie were followed, by links and divisions that the truth can judge.

    A division of the truth counts as found if one lineage of the result holds a nucleus paired with the mother or with
    the nucleus before her, nuclei paired with both daughters' lines (the daughters or the nuclei after them), and a
    division; each division of the result serves one of the truth. Source: the score of the competition "Cell Tracking
    During Development" (Biohub, 2026).

    Parameters
    ----------
    result, truth
        Nuclei with links, in voxels of the same image. Rejected ones do not count.
    spacing
        Voxel size of that image in µm.
    radius_um
        Greatest distance in µm between a nucleus and the one that it stands for.
    n_nuclei
        About how many nuclei the movie holds in all frames together, marked or not.

    Raises
    ------
    AnlageError
        If the radius or the number of nuclei is not above 0, or a table contradicts itself: with the ids.
    """
    if not (math.isfinite(radius_um) and radius_um > 0):
        raise AnlageError(f"The radius for pairing is {radius_um} µm; it must be a positive number, for example 7.")
    if n_nuclei is not None and n_nuclei < 1:
        raise AnlageError(f"The number of nuclei in the movie is given as {n_nuclei}; it must be at least 1.")
    result, truth = (table.select(table.state != State.REJECTED) for table in (result, truth))
    check(result, source="the result")
    check(truth, source="the truth")
    ours, theirs = Lineages.of(result), Lineages.of(truth)
    pairing = pair_by_centres(result, truth, spacing, radius_um)
    to_truth = pairing.to_truth
    tp, fp = _links(ours, theirs, to_truth)
    found = _found(result, truth, ours, theirs, spacing, radius_um)
    forks = np.flatnonzero(ours.n_daughters >= 2)
    judged = (to_truth[forks] >= 0) & (theirs.n_daughters[to_truth[forks]] > 0) if len(truth) else forks < 0
    wrong = max(0, int(judged.sum()) - found)
    fn = len(theirs.links) - tp
    n_divisions = int((theirs.n_daughters >= 2).sum())
    edges = _jaccard(tp, fp, fn)
    divisions = _jaccard(found, wrong, n_divisions - found)
    adjusted = _adjusted(edges, len(result), n_nuclei)
    return SparseScore(
        radius_um=radius_um,
        n_nuclei=n_nuclei,
        n_result=len(result),
        edge_tp=tp,
        edge_fp=fp,
        edge_fn=fn,
        edge_jaccard=edges,
        adjusted_edge_jaccard=adjusted,
        division_tp=found,
        division_fp=wrong,
        division_fn=n_divisions - found,
        division_jaccard=divisions,
        score=None if adjusted is None else adjusted + _DIVISIONS * (divisions or 0.0),
    )


def _adjusted(jaccard: float | None, n_result: int, n_nuclei: int | None) -> float | None:
    if jaccard is None or n_nuclei is None:
        return None
    return max(0.0, jaccard * (1 - _TOO_MANY * (n_result - n_nuclei) / n_nuclei))


def _links(ours: Lineages, theirs: Lineages, to_truth: Rows) -> tuple[int, int]:
    """Links of the result that are right, and those that contradict the truth."""
    if not len(theirs.frames) or not len(ours.links):
        return 0, 0
    mapped = to_truth[ours.links]
    n = len(theirs.frames)
    right = (mapped >= 0).all(axis=1) & np.isin(
        mapped[:, 0] * n + mapped[:, 1], theirs.links[:, 0] * n + theirs.links[:, 1]
    )
    goes_on, comes_from = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
    goes_on[theirs.links[:, 0]] = True
    comes_from[theirs.links[:, 1]] = True
    judged = (mapped[:, 0] >= 0) & goes_on[mapped[:, 0]] | (mapped[:, 1] >= 0) & comes_from[mapped[:, 1]]
    return int(right.sum()), int((judged & ~right).sum())


def _found(
    result: Annotations, truth: Annotations, ours: Lineages, theirs: Lineages, spacing: Spacing, radius_um: float
) -> int:
    """How many divisions of the truth the result has; each of its own serves one."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import maximum_bipartite_matching

    forks = np.flatnonzero(ours.n_daughters >= 2)
    divisions = theirs.tracks(over_gaps=True).divisions
    if not len(forks) or not len(divisions):
        return 0
    lineage = ours.components()
    order = np.argsort(lineage[forks], kind="stable")
    lineages, starts = np.unique(lineage[forks][order], return_index=True)
    forks_of = dict(zip(lineages.tolist(), np.split(order, starts[1:]), strict=True))
    near = _Near(result, spacing, radius_um)
    rows, columns = [], []
    for number, (before, lines) in enumerate(_surroundings(theirs, divisions)):
        nuclei = np.concatenate([before, *lines])
        partner = near.partners(truth, nuclei)
        hits = [set(lineage[partner[np.isin(nuclei, part) & (partner >= 0)]].tolist()) for part in (before, *lines)]
        for component in set.intersection(*hits) & forks_of.keys():
            columns.append(forks_of[component])
            rows.append(np.full(len(columns[-1]), number))
    if not rows:
        return 0
    row, column = np.concatenate(rows), np.concatenate(columns)
    graph = coo_array((np.ones(len(row), dtype=np.int8), (row, column)), shape=(len(divisions), len(forks))).tocsr()
    return int((maximum_bipartite_matching(graph, perm_type="column") >= 0).sum())


def _surroundings(theirs: Lineages, divisions: Rows) -> list[tuple[Rows, list[Rows]]]:
    """For each division the mother and the nucleus before her, and for each daughter her and those after her."""
    links = theirs.links[np.argsort(theirs.links[:, 0], kind="stable")]
    parent = np.full(len(theirs.frames), -1)
    parent[links[:, 1]] = links[:, 0]
    first, last = (np.searchsorted(links[:, 0], divisions[:, 1:], side=side) for side in ("left", "right"))
    found = []
    for (mother, *daughters), begins, ends in zip(divisions.tolist(), first.tolist(), last.tolist(), strict=True):
        before = np.array([mother, *([int(parent[mother])] if parent[mother] >= 0 else [])], dtype=np.int64)
        lines = [np.append(links[a:b, 1], d) for d, a, b in zip(daughters, begins, ends, strict=True)]
        found.append((before, lines))
    return found


class _Near:
    """Pairs a few nuclei of the truth with nuclei of the result, frame by frame, as if no others were there."""

    def __init__(self, result: Annotations, spacing: Spacing, radius_um: float) -> None:
        from scipy.spatial import KDTree

        self._um, self._radius = spacing.um, radius_um
        self._points = result.positions[:, 1:] * spacing.um
        order = np.argsort(result.frames, kind="stable")
        frames, starts = np.unique(result.frames[order], return_index=True)
        groups = np.split(order, starts[1:]) if len(order) else []
        self._trees = {int(t): (KDTree(self._points[rows]), rows) for t, rows in zip(frames, groups, strict=True)}

    def partners(self, truth: Annotations, rows: Rows) -> Rows:
        """Row of the result for each row of the truth; -1 where there is none."""
        partner = np.full(len(rows), -1)
        frames = truth.frames[rows]
        for t in np.unique(frames).tolist():
            if t not in self._trees:
                continue
            tree, here = self._trees[t]
            annotated = np.flatnonzero(frames == t)
            wanted = truth.positions[rows[annotated], 1:] * self._um
            close = np.unique(
                np.concatenate([np.array(c, dtype=np.int64) for c in tree.query_ball_point(wanted, self._radius)])
            )
            pairs, _ = match(self._points[here[close]], wanted, self._radius)
            partner[annotated[pairs[:, 1]]] = here[close[pairs[:, 0]]]
        return partner


def _jaccard(tp: int, fp: int, fn: int) -> float | None:
    return tp / (tp + fp + fn) if tp + fp + fn else None
