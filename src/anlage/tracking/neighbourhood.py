"""The tracks around a correction, decided anew by distance and motion; everything farther away stays as it is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from anlage.annotations import Annotations, State
from anlage.axes import Spacing

__all__ = ["Decision", "decide_around"]

FRAMES, MARGIN = 3, 3
"""So many frames before and after a correction are decided anew, looking at so many more on each side."""
REACH = 4.0
"""Nuclei within so many nearest-neighbour distances of it are decided anew; those within twice as many are looked at."""

Pairs = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Decision:
    """What is otherwise now.

    Parameters
    ----------
    removed
        (R, 2) links that go.
    added
        (A, 2) links that come, mother and daughter.
    probability
        (A,) that they are right.
    """

    removed: Pairs
    added: Pairs
    probability: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.removed) + len(self.added)


def decide_around(
    tracks: Annotations, spacing: Spacing, ids: Iterable[int], forbidden: Iterable[tuple[int, int]] = ()
) -> Decision:
    """Decide the proposed links around some nuclei anew.

    A human's links, those without a probability, stay in any case, and so does every link farther away. Takes a fraction
    of a second however long the movie is.

    Parameters
    ----------
    tracks
        Nuclei and links as they are after the correction.
    spacing
        Voxel size in µm.
    ids
        The nuclei that the correction was about.
    forbidden
        Links that a human broke.
    """
    from anlage.tracking.track import track

    nothing = np.zeros((0, 2), dtype=np.int64)
    seeds = np.isin(tracks.ids, list(ids)) & (tracks.state != State.REJECTED)
    seen, free = _views(tracks, spacing, seeds)
    if not seeds.any() or not seen.any():
        return Decision(nothing, nothing, np.zeros(0))
    part = tracks.select(seen)
    before = part.link_properties.get("probability", np.full(len(part.links), np.nan))
    open_ids = tracks.ids[free]
    movable = np.isfinite(before) & np.isin(part.links, open_ids).all(axis=1)
    # what a human accepted is certain, also as a nucleus
    sure = np.where(part.state == State.ACCEPTED, np.nan, part.probability)
    found = track(
        replace(part, probability=sure, labels=None), spacing, accepted=part.links[~movable],
        forbidden=np.array(list(forbidden), dtype=np.int64).reshape(-1, 2),
    ).tracks  # fmt: skip
    inside = np.isin(found.links, open_ids).all(axis=1)
    links, probability = found.links[inside], found.link_properties["probability"][inside]
    old = part.links[movable]
    chosen = np.isfinite(probability)
    links, probability = links[chosen], probability[chosen]
    return Decision(old[~_among(old, links)], links[~_among(links, old)], probability[~_among(links, old)])


def _views(tracks: Annotations, spacing: Spacing, seeds: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.bool_], ...]:
    """(N,) nuclei that are looked at, and those of them that are decided anew."""
    from scipy.spatial import cKDTree

    frames, at_um = tracks.frames, tracks.positions[:, 1:] * spacing.um
    if not seeds.any():
        return seeds, seeds
    low, high = frames[seeds].min() - FRAMES, frames[seeds].max() + FRAMES
    alive = tracks.state != State.REJECTED
    around = alive & (frames >= low - MARGIN) & (frames <= high + MARGIN)
    here = at_um[around & (frames == frames[seeds][0])]
    near = float(np.median(np.asarray(cKDTree(here).query(here, k=2)[0])[:, 1])) if len(here) > 1 else 20.0
    far = np.full(len(frames), np.inf)
    far[around] = cKDTree(at_um[seeds]).query(at_um[around])[0]
    seen = far < 2 * REACH * near
    return seen, seen & (far < REACH * near) & (frames >= low) & (frames <= high)


def _among(links: Pairs, others: Pairs) -> npt.NDArray[np.bool_]:
    known = set(map(tuple, others.tolist()))
    return np.array([pair in known for pair in map(tuple, links.tolist())], dtype=bool)
