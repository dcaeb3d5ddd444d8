"""Tracks as arrays: mothers, daughters, motion, and how far each link departs from the motion of its neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from anlage.annotations import Annotations, State
from anlage.axes import Spacing

__all__ = ["TrackArrays"]

N_NEIGHBOURS = 8
"""Number of neighbours whose median motion is that of the tissue."""
ENOUGH = 3
"""With fewer linked neighbours the tissue counts as resting."""
CREDIBLE = 3.0
"""Motion so many times larger than usual is not taken to go on."""

Rows = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class TrackArrays:
    """The nuclei of a table that were not rejected, and what is needed to judge their links.

    Parameters
    ----------
    nuclei
        The nuclei, N.
    at_um
        (N, 3) positions z, y, x in µm.
    mother
        (N,) row that the link to each comes from; -1: none.
    n_daughters
        (N,) links that go on from each.
    probability
        (N,) of the link to each; NaN where nothing is known.
    near_um
        Median distance to the nearest neighbour of the same frame, µm.
    drift_um
        (N, 3) motion since the frame of the mother that the neighbours and the nucleus's own past predict.
    surprise_um
        (N,) distance between where each is and where it was predicted; NaN where its link is a division or spans
        several frames.
    usual_um
        Median of `surprise_um`.
    """

    nuclei: Annotations
    at_um: Numbers
    mother: Rows
    n_daughters: Rows
    probability: Numbers
    near_um: float
    drift_um: Numbers
    surprise_um: Numbers
    usual_um: float

    @classmethod
    def of(cls, tracks: Annotations, spacing: Spacing) -> Self:
        """Measure a table without contradictions."""
        nuclei = tracks.select(tracks.state != State.REJECTED)
        n = len(nuclei)
        at_um = nuclei.positions[:, 1:] * spacing.um
        order = np.argsort(nuclei.ids)
        rows = order[np.searchsorted(nuclei.ids, nuclei.links, sorter=order)].reshape(-1, 2)
        mother = np.full(n, -1, dtype=np.int64)
        mother[rows[:, 1]] = rows[:, 0]
        probability = np.full(n, np.nan)
        if "probability" in nuclei.link_properties:
            probability[rows[:, 1]] = nuclei.link_properties["probability"]
        n_daughters = np.bincount(rows[:, 0], minlength=n)
        near_um = _near(nuclei.frames, at_um)
        drift, surprise, usual = _motion(nuclei.frames, at_um, mother, n_daughters, near_um)
        return cls(nuclei, at_um, mother, n_daughters, probability, near_um, drift, surprise, usual)

    @property
    def frames(self) -> Rows:
        """(N,) the frame of each."""
        return self.nuclei.frames

    def daughters(self) -> Rows:
        """(N, 2) rows that links lead to from each; -1: none."""
        found = np.full((len(self.nuclei), 2), -1, dtype=np.int64)
        later = np.flatnonzero(self.mother >= 0)
        later = later[np.argsort(self.mother[later], kind="stable")]
        second = np.zeros(len(later), dtype=np.int64)
        second[1:] = self.mother[later][1:] == self.mother[later][:-1]
        found[self.mother[later], second] = later
        return found

    def by_frame(self, rows: Rows) -> dict[int, Rows]:
        """Some rows, by their frame."""
        if not len(rows):
            return {}
        rows = rows[np.argsort(self.frames[rows], kind="stable")]
        values, first = np.unique(self.frames[rows], return_index=True)
        return {int(t): part for t, part in zip(values, np.split(rows, first[1:]), strict=True)}


def _near(frames: Rows, at_um: Numbers) -> float:
    from scipy.spatial import cKDTree

    found = []
    for t in np.unique(frames):
        here = at_um[frames == t]
        if len(here) > 1:
            found.append(np.asarray(cKDTree(here).query(here, k=2)[0])[:, 1])
    distances = np.concatenate(found) if found else np.zeros(0)
    distances = distances[distances > 0]
    return float(np.median(distances)) if len(distances) else 10.0


def _motion(
    frames: Rows, at_um: Numbers, mother: Rows, n_daughters: Rows, near_um: float
) -> tuple[Numbers, Numbers, float]:
    """Predicted motion, how far each link is from it, and the median of that."""
    drift = _flow(frames, at_um, mother, n_daughters)
    simple = np.flatnonzero(mother >= 0)
    simple = simple[(n_daughters[mother[simple]] == 1) & (frames[simple] - frames[mother[simple]] == 1)]
    rest = np.full((len(frames), 3), np.nan)
    rest[simple] = at_um[simple] - at_um[mother[simple]] - drift[simple]
    drift, rest = _with_momentum(drift, rest, mother)
    surprise = np.linalg.norm(rest, axis=1)
    known = surprise[simple]
    usual = float(np.median(known)) if len(known) else 0.0
    return drift, surprise, max(usual, 0.02 * near_um)


def _flow(frames: Rows, at_um: Numbers, mother: Rows, n_daughters: Rows) -> Numbers:
    """(N, 3) median motion of the neighbours, into the frame of each nucleus."""
    from scipy.spatial import cKDTree

    drift = np.zeros((len(frames), 3))
    order = np.argsort(frames, kind="stable")
    values, first = np.unique(frames[order], return_index=True)
    for rows in np.split(order, first[1:]) if len(values) else []:
        linked = rows[mother[rows] >= 0]
        linked = linked[(n_daughters[mother[linked]] == 1) & (frames[linked] - frames[mother[linked]] == 1)]
        if len(linked) <= ENOUGH:
            continue
        step = at_um[linked] - at_um[mother[linked]]
        k = min(N_NEIGHBOURS + 1, len(linked))
        # a nucleus is looked up where it came from: a wrong link leads to a wrong neighbourhood
        origin = np.where(mother[rows, None] >= 0, at_um[mother[rows]], at_um[rows])
        _, neighbours = cKDTree(at_um[mother[linked]]).query(origin, k=k)
        own = linked[neighbours] == rows[:, None]
        steps = np.where(own[..., None], np.nan, step[neighbours])
        drift[rows] = np.nanmedian(steps, axis=1)
    return drift


def _with_momentum(drift: Numbers, rest: Numbers, mother: Rows) -> tuple[Numbers, Numbers]:
    """Motion of its own that a nucleus had before goes on, as far as it does in this movie."""
    before = np.where(mother[:, None] >= 0, rest[mother], np.nan)
    size = np.linalg.norm(before, axis=1)
    known = size[np.isfinite(size)]
    if len(known) < 2 * N_NEIGHBOURS:
        return drift, rest
    credible = np.isfinite(size) & (size < CREDIBLE * np.median(known))
    length = np.linalg.norm(rest, axis=1)
    both = credible & (length < CREDIBLE * np.median(length[np.isfinite(length)]))
    share = float(np.sum(before[both] * rest[both]) / max(np.sum(before[both] ** 2), 1e-12))
    extra = np.clip(share, 0.0, 1.0) * np.where(credible[:, None], before, 0.0)
    return drift + extra, rest - extra
