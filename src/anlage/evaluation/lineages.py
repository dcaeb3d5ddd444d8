"""Tracks, their ends and divisions as arrays, for the tracking scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from anlage.annotations import Annotations

__all__ = ["Lineages", "Tracks"]

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Lineages:
    """Links between rows of a table.

    Parameters
    ----------
    frames
        (N,) frame of each nucleus.
    links
        (M, 2) rows of the earlier and of the later nucleus.
    """

    frames: Rows
    links: Rows

    @classmethod
    def of(cls, nuclei: Annotations) -> Self:
        """The links of a table that `anlage.annotations.check` accepts, as rows."""
        order = np.argsort(nuclei.ids, kind="stable")
        rows = order[np.searchsorted(nuclei.ids[order], nuclei.links.reshape(-1))] if len(nuclei) else nuclei.links
        return cls(nuclei.frames, rows.reshape(-1, 2))

    @property
    def n_daughters(self) -> Rows:
        """(N,) links that leave each nucleus."""
        return np.bincount(self.links[:, 0], minlength=len(self.frames)).astype(np.int64)

    @property
    def steps(self) -> Rows:
        """(M,) frames that each link spans."""
        return self.frames[self.links[:, 1]] - self.frames[self.links[:, 0]]

    @property
    def between_tracks(self) -> npt.NDArray[np.bool_]:
        """(M,) whether a link joins two tracks of the Cell Tracking Challenge: at a division, or over a gap."""
        return (self.n_daughters[self.links[:, 0]] > 1) | (self.steps > 1)

    def components(self) -> Rows:
        """(N,) number of the lineage of each nucleus: all that is linked with it, however far."""
        return _components(self.links, len(self.frames))

    def tracks(self, *, over_gaps: bool) -> Tracks:
        """Nuclei between divisions, appearances and ends, also between gaps unless a track may go over them."""
        ends = self.n_daughters[self.links[:, 0]] > 1 if over_gaps else self.between_tracks
        of_nucleus = _components(self.links[~ends], len(self.frames))
        n = int(of_nucleus.max(initial=-1)) + 1
        first = np.full(n, np.iinfo(np.int64).max)
        last = np.full(n, np.iinfo(np.int64).min)
        np.minimum.at(first, of_nucleus, self.frames)
        np.maximum.at(last, of_nucleus, self.frames)
        key = of_nucleus * (int(self.frames.max(initial=0)) + 1) + self.frames
        order = np.argsort(key, kind="stable")
        return Tracks(of_nucleus, first, last, key[order], order, self._divisions())

    def _divisions(self) -> Rows:
        """(D, 3) rows of the mother and of her daughters."""
        links = self.links[self.n_daughters[self.links[:, 0]] == 2]
        links = links[np.lexsort((links[:, 1], links[:, 0]))]
        return np.column_stack([links[::2, 0], links[::2, 1], links[1::2, 1]])


@dataclass(frozen=True, slots=True)
class Tracks:
    """Nuclei grouped into tracks.

    Parameters
    ----------
    of_nucleus
        (N,) number of the track of each nucleus.
    first, last
        (K,) first and last frame of each track.
    keys, order
        (N,) track and frame of the nuclei as one number, in order, and the rows in this order.
    divisions
        (D, 3) rows of mothers and daughters; the mother is the last of her track, a daughter the first of its own.
    """

    of_nucleus: Rows
    first: Rows
    last: Rows
    keys: Rows
    order: Rows
    divisions: Rows

    def __len__(self) -> int:
        return len(self.first)

    def at(self, tracks: Rows, frames: Rows) -> Rows:
        """Row of the nucleus of each track in a frame; -1 where it has none there, or the track is -1."""
        if not len(self.keys):
            return np.full(len(tracks), -1)
        n_frames = int(self.last.max()) + 1
        key = tracks * n_frames + frames
        place = np.minimum(np.searchsorted(self.keys, key), len(self.keys) - 1)
        there = (self.keys[place] == key) & (tracks >= 0) & (frames >= 0) & (frames < n_frames)
        return np.where(there, self.order[place], -1)


def _components(links: Rows, n: int) -> Rows:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(links), dtype=np.int8), (links[:, 0], links[:, 1])), shape=(n, n))
    return connected_components(graph, directed=False)[1].astype(np.int64) if n else np.zeros(0, dtype=np.int64)
