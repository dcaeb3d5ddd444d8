"""The graph that a network of links sees: features of points and of candidates for links, numbers without a unit.

All lengths are divided by the median distance between nearest neighbours of the frame, so that voxel size, species and
age fall out. A nucleus is described by the points around it, in its own frame and the two beside it; a candidate by where it
lies, by what competes with it, and by what points alone say of it without training.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt
from scipy.spatial import KDTree

from anlage.candidates import Candidates, Motion, find_candidates, local_motion, neighbour_distances_um
from anlage.tasks.links.following import Followed, follow
from anlage.tasks.links.motion import missed_by, plausible_links

__all__ = ["N_EDGE", "N_NEARBY", "N_NODE", "Film", "LinkGraph", "describe", "n_edge", "n_node"]

Numbers = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]

AROUND = 6
"""Nuclei described in each of the three frames around a nucleus."""
N_NEARBY = 8
"""Numbers of each of them: place (3), distance, which frame (3), whether there is one."""
N_NODE = 14
"""Numbers of each nucleus, the last five of the whole film."""
N_EDGE = 18
"""Numbers of each candidate."""
_N_NODE_HISTORY, _N_EDGE_HISTORY = 7, 2
"""Further numbers of each, where what the whole film tells is known."""
_FAR = 4.0
"""Nearest-neighbour distances at which everything is equally far away."""
_USUAL_SPREAD = 0.2
_MOST_WIDENED = 2.0


def n_node(*, history: bool) -> int:
    """Numbers of each nucleus, with or without those of its history."""
    return N_NODE + _N_NODE_HISTORY * history


def n_edge(*, history: bool) -> int:
    """Numbers of each candidate, with or without those of the film's history."""
    return N_EDGE + _N_EDGE_HISTORY * history


@dataclass(frozen=True, slots=True)
class Film:
    """The points of a film, and how they move.

    Parameters
    ----------
    frames
        (N,) whole numbers.
    points_um
        (N, 3) positions (z, y, x) in µm.
    radius_um
        (N,) radius of each nucleus; NaN where unknown.
    scale_um
        (N,) median nearest-neighbour distance of its frame.
    ahead, over, back
        Movement over one frame, over two, and back to the one before.
    """

    frames: Rows
    points_um: Numbers
    radius_um: Numbers
    scale_um: Numbers
    ahead: Motion
    over: Motion
    back: Motion

    @classmethod
    def of(
        cls, frames: Rows, points_um: Numbers, radius_um: Numbers | None = None, sparse_um: float | None = None
    ) -> Self:
        """Measure a film.

        Parameters
        ----------
        frames, points_um, radius_um
            As above; radii may be left out.
        sparse_um
            Nucleus diameter in µm where only some of the nuclei are marked: these lie further apart than the nuclei do, so
            their distance is taken from it.
        """
        scale = neighbour_distances_um(frames, points_um)
        if sparse_um is not None:
            scale = np.fmin(scale, sparse_um / 0.8)  # in tissue a nucleus fills about so much of the way to the next
        scale = np.nan_to_num(scale, nan=1.0)
        known = np.full(len(frames), np.nan) if radius_um is None else radius_um
        ahead = local_motion(frames, points_um)
        over, back = (local_motion(frames, points_um, step=step, once=ahead) for step in (2, -1))
        return cls(frames, points_um, known, scale, ahead, over, back)

    @property
    def spread(self) -> float:
        """Typical distance by which nuclei miss where they are expected, in nearest-neighbour distances."""
        relative = self.ahead.spread_um / self.scale_um
        return float(np.nanmedian(relative)) if np.isfinite(relative).any() else _USUAL_SPREAD

    def candidates(self, radius: float, spread: float, *, most: int, gaps: bool = True) -> Candidates:
        """Candidates within a radius that was learnt on another film.

        Parameters
        ----------
        radius
            In nearest-neighbour distances.
        spread
            `spread` of the film on which it was learnt: where nuclei move further than there, the search reaches up to twice as far.
        most
            Candidates of one nucleus in the next frame.
        gaps
            Search two frames ahead, too.
        """
        wider = min(_MOST_WIDENED, max(1.0, self.spread / spread)) if spread > 0 else 1.0
        radius_um = radius * wider * self.scale_um
        return find_candidates(
            self.frames, self.points_um, radius_um, most=most, gaps=gaps, motion=self.ahead, over=self.over
        )

    def followed(self, find: Callable[[Film], Candidates]) -> tuple[Film, Followed]:
        """The film with the movement that its probable links show, and all else that it tells; see `follow`."""
        found = follow(
            self.frames, self.points_um, lambda ahead, over: find(replace(self, ahead=ahead, over=over))
        )  # fmt: skip
        return replace(self, ahead=found.ahead, over=found.over), found

    def part(self, rows: Rows) -> Film:
        """Some of the nuclei."""
        ahead, over, back = (
            Motion(one.expected_um[rows], one.spread_um[rows]) for one in (self.ahead, self.over, self.back)
        )
        return Film(
            self.frames[rows], self.points_um[rows], self.radius_um[rows], self.scale_um[rows], ahead, over, back
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class LinkGraph:
    """A film as the network sees it.

    Parameters
    ----------
    nearby
        (N, 3·6, 8) the points around each nucleus.
    node
        (N, F) numbers of each nucleus.
    pairs
        (E, 2) rows of the earlier and the later nucleus.
    edge
        (E, F) numbers of each candidate.
    prior
        (E,) log-odds of each candidate without training.
    prior_divides
        (N,) log-odds of each nucleus to divide, without training.
    """

    nearby: Floats
    node: Floats
    pairs: Rows
    edge: Floats
    prior: Floats
    prior_divides: Floats


def describe(film: Film, candidates: Candidates, followed: Followed | None = None) -> LinkGraph:
    """Numbers of all nuclei and candidates of a film.

    Parameters
    ----------
    film, candidates
        The film and its candidates.
    followed
        What `Film.followed` found of both; None: what is plausible at first sight, for networks that know nothing else.
    """
    t, p = film.frames, film.points_um
    plausible = plausible_links(t, p, candidates, film.ahead, film.over) if followed is None else followed.plausible
    prior, divides = _log_odds(plausible.links), _log_odds(plausible.divides)
    missed = missed_by(p, candidates, film.ahead, film.over, film.scale_um)
    came = np.bincount(candidates.pairs[:, 1], plausible.links, len(t)).astype(np.float64)
    whole = np.tile(np.array(plausible.film, dtype=np.float32), (len(t), 1))
    node, edge = [_nodes(film, divides, came), whole], [_edges(film, candidates, missed, prior)]
    if followed is not None:
        node.append(_histories(film, followed))
        edge.append(_partings(followed))
    return LinkGraph(
        nearby=_nearby(film),
        node=np.column_stack(node),
        pairs=candidates.pairs,
        edge=np.column_stack(edge),
        prior=prior.astype(np.float32),
        prior_divides=divides.astype(np.float32),
    )


def _histories(film: Film, followed: Followed) -> Floats:
    """(N, 7) ages and what they say, and by how much the number of nuclei grows to the next frame."""
    t, history = film.frames, followed.history
    frames, number = np.unique(t, return_inverse=True)
    counts = np.bincount(number)
    later = np.searchsorted(frames, t + 1)
    follows = np.isin(t + 1, frames)
    grows = np.where(follows, np.log(counts[np.minimum(later, len(frames) - 1)] / counts[number]), 0.0)
    order = np.lexsort((history.age * history.known, number))
    place = np.empty(len(t))
    place[order] = np.arange(len(t)) - np.searchsorted(number[order], number[order])
    columns = (
        history.known,
        history.known * np.minimum(history.age / history.usual, 3.0),
        history.known * np.log1p(history.age) / 4,
        np.log(history.odds) / 5,
        np.clip(history.born, -5, 5) / 5,
        history.known * (place + 0.5) / counts[number],
        np.clip(grows, -1, 1),
    )
    return np.column_stack(columns).astype(np.float32)


def _partings(followed: Followed) -> Floats:
    """(E, 2) probability to lead from a mother to one of two daughters, and its log-odds."""
    parted = np.clip(followed.parted, 1e-6, 1 - 1e-6)
    return np.column_stack([parted, _log_odds(parted) / 5]).astype(np.float32)


def _log_odds(probability: Numbers) -> Numbers:
    found: Numbers = np.log(probability / (1 - probability))
    return found


def _nearby(film: Film) -> Floats:
    features = np.zeros((len(film.frames), 3, AROUND, N_NEARBY), dtype=np.float32)
    places = (film.points_um + film.back.expected_um, film.points_um, film.points_um + film.ahead.expected_um)
    for i, place in enumerate(places):
        vectors, there = _around(film, place, i - 1)
        features[:, i, :, :3] = np.clip(vectors, -_FAR, _FAR)
        features[:, i, :, 3] = np.minimum(np.linalg.norm(vectors, axis=2), _FAR)
        features[:, i, :, 4 + i] = 1
        features[:, i, :, 7] = there
        features[:, i] *= there[:, :, None]
    return features.reshape(len(features), 3 * AROUND, N_NEARBY)


def _around(film: Film, places_um: Numbers, step: int) -> tuple[Numbers, npt.NDArray[np.bool_]]:
    """(N, 6, 3) from each place to the points nearest to it `step` frames on, relative; (N, 6) whether there are any."""
    n = len(film.frames)
    vectors, there = np.zeros((n, AROUND, 3)), np.zeros((n, AROUND), dtype=bool)
    for frame in np.unique(film.frames):
        rows, others = np.flatnonzero(film.frames == frame), np.flatnonzero(film.frames == frame + step)
        itself = step == 0
        k = min(AROUND, len(others) - itself)
        if k < 1:
            continue
        near = np.asarray(KDTree(film.points_um[others]).query(places_um[rows], k=k + itself)[1]).reshape(len(rows), -1)
        near = near[:, int(itself) :]
        vectors[rows[:, None], np.arange(k)] = film.points_um[others[near]] - places_um[rows, None]
        there[rows[:, None], np.arange(k)] = True
    return vectors / film.scale_um[:, None, None], there


def _nodes(film: Film, divides: Numbers, has_mother: Numbers) -> Floats:
    t, scale = film.frames, film.scale_um
    frames, first = np.unique(t, return_index=True)
    following = np.interp(t + 1, frames, scale[first])
    lone = _around(film, film.points_um, 0)[0][:, 0]
    columns = (
        np.minimum(np.linalg.norm(lone, axis=1), _FAR),
        np.nan_to_num(film.ahead.spread_um / scale, nan=_USUAL_SPREAD),
        np.log(following / scale),
        np.isin(t + 1, frames),
        np.isin(t - 1, frames),
        np.nan_to_num(film.radius_um / scale),
        np.isfinite(film.radius_um),
        divides / 5,
        np.minimum(has_mother, 2.0),
    )
    return np.column_stack(columns).astype(np.float32)


def _edges(film: Film, candidates: Candidates, missed: Numbers, prior: Numbers) -> Floats:
    earlier, later = candidates.pairs.T
    moved = (film.points_um[later] - film.points_um[earlier]) / film.scale_um[earlier, None]
    distance = np.linalg.norm(missed, axis=1)
    # over one frame and over two are different competitions
    outgoing = _Group.of(2 * earlier + (candidates.steps == 2), distance)
    incoming = _Group.of(2 * later + (candidates.steps == 2), distance)
    spread = np.nan_to_num(film.ahead.spread_um / film.scale_um, nan=_USUAL_SPREAD)
    columns = (
        np.clip(missed, -_FAR, _FAR),
        np.clip(moved, -_FAR, _FAR),
        np.minimum(distance, _FAR),
        np.log(distance + 0.02),
        outgoing.rank / 8,
        incoming.rank / 8,
        np.clip(outgoing.best_other - distance, -_FAR, _FAR),
        np.clip(incoming.best_other - distance, -_FAR, _FAR),
        candidates.steps == 2,
        prior / 5,
        spread[earlier],
        _sisters(outgoing, missed),
    )
    return np.column_stack(columns).astype(np.float32)


@dataclass(frozen=True, slots=True)
class _Group:
    """Candidates that share a nucleus, in the order of their distance.

    Parameters
    ----------
    number
        (E,) which group each belongs to, from 0.
    rank
        (E,) how many of its group are nearer.
    best_other
        (E,) distance of the nearest other one of the group; far where it is alone.
    """

    number: Rows
    rank: Rows
    best_other: Numbers

    @classmethod
    def of(cls, key: Rows, distance: Numbers) -> Self:
        if not len(key):
            return cls(key, key, distance)
        number = np.unique(key, return_inverse=True)[1].reshape(-1)
        order = np.lexsort((distance, number))
        starts = np.searchsorted(number[order], np.arange(number.max() + 1))
        rank = np.empty(len(key), dtype=np.int64)
        rank[order] = np.arange(len(key)) - starts[number[order]]
        first, second = (np.full(len(starts), _FAR) for _ in range(2))
        first[number[rank == 0]] = distance[rank == 0]
        second[number[rank == 1]] = distance[rank == 1]
        return cls(number, rank, np.where(rank == 0, second[number], first[number]))


def _sisters(outgoing: _Group, missed: Numbers) -> Numbers:
    """(E, 3) of each candidate and its best sister.

    How far the middle between both lies from where the mother was expected, how far apart they are, how equally far from
    there.
    """
    if not len(missed):
        return np.zeros((0, 3))
    most = int(outgoing.rank.max()) + 1
    table = np.full((int(outgoing.number.max()) + 1, most, 3), np.nan)
    table[outgoing.number, outgoing.rank] = missed
    others = table[outgoing.number]
    others[np.arange(len(missed)), outgoing.rank] = np.nan
    middle = np.linalg.norm(others + missed[:, None], axis=2) / 2
    middle = np.where(np.isnan(middle), np.inf, middle)
    best = np.argmin(middle, axis=1)
    at = np.arange(len(missed))
    sister = others[at, best]
    apart = np.linalg.norm(sister - missed, axis=1)
    own, its = np.linalg.norm(missed, axis=1), np.linalg.norm(sister, axis=1)
    equal = np.minimum(own, its) / np.maximum(np.maximum(own, its), 1e-6)
    alone = np.isinf(middle[at, best])
    found: Numbers = np.column_stack(
        [
            np.where(alone, _FAR, np.minimum(middle[at, best], _FAR)),
            np.where(alone, _FAR, np.minimum(apart, _FAR)),
            np.where(alone, 0.0, np.nan_to_num(equal)),
        ]
    )
    return found
