"""The layout of lineage trees: time along one axis, one position across for each track. Knows no Qt and no napari."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from anlage import Annotations
from napari_anlage.viewer.colouring import lineages
from napari_anlage.viewer.tracks import TrackTable

__all__ = ["LineageLayout"]

Rows = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class LineageLayout:
    """Some lineages, laid out.

    Parameters
    ----------
    rows
        (R,) rows of the nuclei that are shown, in the order of their frames.
    across
        (N,) place of each nucleus of the table across time; NaN where it is not shown.
    frames
        (N,) frame of each nucleus of the table.
    mother
        (N,) row of the nucleus that the link to each comes from; -1: none.
    n_leaves
        Places that are taken.
    """

    rows: Rows
    across: Numbers
    frames: Rows
    mother: Rows
    n_leaves: int

    @classmethod
    def of(cls, nuclei: Annotations, tracks: TrackTable, lineage: int | None = None) -> Self:
        """Lay out the lineage of this number; None: all that have a link, the longest-lived families first.

        Daughters lie beside each other, and a mother midway between hers.
        """
        frames = nuclei.frames
        shown = tracks.linked if lineage is None else lineages(tracks) == lineage
        rows = np.flatnonzero(shown)
        across = np.full(len(frames), np.nan)
        if not len(rows):
            return cls(rows, across, frames, tracks.mother, 0)
        rows = rows[np.argsort(frames[rows], kind="stable")]
        order, heads = _branches(rows, tracks)
        places, n = _places(heads, order, tracks)
        across[rows] = places[order[rows]]
        return cls(rows, across, frames, tracks.mother, n)

    def lines(self) -> tuple[Numbers, Numbers, Rows]:
        """Ends of the lines: frames (L, 2), places (L, 2), and the row whose colour each has.

        A link is a line along time; where a daughter lies elsewhere, another one leads there from her mother.
        """
        later = self.rows[self.mother[self.rows] >= 0]
        earlier = self.mother[later]
        time = np.column_stack([self.frames[earlier], self.frames[later]]).astype(float)
        across = np.column_stack([self.across[later], self.across[later]])
        bent = np.flatnonzero(self.across[earlier] != self.across[later])
        corner = np.column_stack([self.frames[earlier[bent]], self.frames[earlier[bent]]]).astype(float)
        step = np.column_stack([self.across[earlier[bent]], self.across[later[bent]]])
        return (
            np.concatenate([time, corner]), np.concatenate([across, step]), np.concatenate([later, later[bent]]),
        )  # fmt: skip

    def nearest(self, frame: float, across: float) -> int | None:
        """Row of the nucleus that is drawn nearest to a place; None: nothing is shown."""
        if not len(self.rows):
            return None
        places = self.across[self.rows]
        column = places[np.argmin(np.abs(places - across))]
        there = self.rows[places == column]
        return int(there[np.argmin(np.abs(self.frames[there] - frame))])


def _branches(rows: Rows, tracks: TrackTable) -> tuple[Rows, Rows]:
    """(N,) number of each nucleus's branch, and the first row of each branch."""
    first = np.searchsorted(tracks.ids, tracks.track[rows])
    heads, number = np.unique(first, return_inverse=True)
    order = np.full(len(tracks.ids), -1, dtype=np.int64)
    order[rows] = number
    return order, heads


def _places(heads: Rows, order: Rows, tracks: TrackTable) -> tuple[Numbers, int]:
    """Place across time of each branch, and how many there are."""
    parent = np.where(tracks.mother[heads] >= 0, order[tracks.mother[heads]], -1)
    children: dict[int, list[int]] = {}
    for branch, mother in enumerate(parent.tolist()):
        children.setdefault(mother, []).append(branch)
    places, n = np.zeros(len(heads)), 0
    stack = [(branch, False) for branch in reversed(children.get(-1, []))]
    while stack:
        branch, left = stack.pop()
        own = children.get(branch, [])
        if left:
            places[branch] = np.mean(places[own])
        elif own:
            stack.append((branch, True))
            stack.extend((child, False) for child in reversed(own))
        else:
            places[branch], n = n, n + 1
    return places, n
