"""Track numbers of nuclei, derived from the links. Knows no Qt."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from anlage import Annotations

__all__ = ["ALONE", "TrackTable", "colour_of", "colours", "hues"]

Rows = npt.NDArray[np.int64]

ALONE = np.array([0.30, 0.85, 1.0, 1.0])
"""Colour of a nucleus that is linked to none."""
_GOLDEN = 0.618033988749895


@dataclass(frozen=True, slots=True, eq=False)
class TrackTable:
    """The tracks of a table whose ids rise.

    Parameters
    ----------
    ids
        (N,) of the nuclei.
    links
        (M, 2) that they come from.
    mother
        (N,) row of the nucleus that a link comes from; -1: none.
    n_daughters
        (N,) how many links go on from each.
    track
        (N,) the track of each nucleus: the id of the first nucleus of the chain. A division begins two new tracks.
    """

    ids: Rows
    links: Rows
    mother: Rows
    n_daughters: Rows
    track: Rows

    @classmethod
    def of(cls, nuclei: Annotations) -> TrackTable:
        """Follow the links of a table back to where each track begins."""
        n = len(nuclei)
        mother = np.full(n, -1, dtype=np.int64)
        if len(nuclei.links):
            rows = np.searchsorted(nuclei.ids, nuclei.links)
            mother[rows[:, 1]] = rows[:, 0]
        n_daughters = np.bincount(mother[mother >= 0], minlength=n)
        first = np.arange(n)
        onward = (mother >= 0) & (n_daughters[mother] == 1)
        first[onward] = mother[onward]
        while True:  # each round doubles how far it looks back
            further = first[first]
            if np.array_equal(further, first):
                break
            first = further
        return cls(nuclei.ids, nuclei.links, mother, n_daughters, nuclei.ids[first])

    def fits(self, nuclei: Annotations) -> bool:
        """Whether these are the tracks of a table."""
        return bool(np.array_equal(self.ids, nuclei.ids) and np.array_equal(self.links, nuclei.links))

    @property
    def linked(self) -> npt.NDArray[np.bool_]:
        """(N,) which nuclei have a link."""
        return (self.mother >= 0) | (self.n_daughters > 0)

    def row(self, nucleus: int) -> int | None:
        """Row of an id; None if there is no such nucleus."""
        place = int(np.searchsorted(self.ids, nucleus))
        return place if place < len(self.ids) and self.ids[place] == nucleus else None

    def daughters(self, row: int) -> Rows:
        """Rows that links lead to from a row."""
        return np.flatnonzero(self.mother == row)


def colour_of(track: int) -> npt.NDArray[np.float64]:
    """(4,) the colour of a track."""
    colour: npt.NDArray[np.float64] = hues(np.array([track]))[0]
    return colour


def colours(tracks: TrackTable) -> npt.NDArray[np.float64]:
    """(N, 4) a colour for each nucleus: that of its track, bright on dark; those without a link all have the same."""
    found = hues(tracks.track)
    found[~tracks.linked] = ALONE
    return found


def hues(tracks: Rows) -> npt.NDArray[np.float64]:
    """(N, 4) a colour for each number, far from that of the numbers beside it."""
    hue = (tracks * _GOLDEN) % 1.0
    # far from the blue that is dark on screen, and from the colour of nuclei without links
    sector = hue[:, None] * 6 + np.array([5.0, 3.0, 1.0])
    k = sector % 6
    rgb = 1.0 - 0.75 * np.clip(np.minimum(k, 4 - k), 0, 1)
    return np.column_stack([rgb, np.ones(len(hue))])
