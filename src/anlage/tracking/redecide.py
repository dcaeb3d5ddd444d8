"""Decide the links around a user's correction anew; everything farther away stays as it is.

By the probabilities that the tracks were made with, where these were kept, else by distance and motion.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from anlage.annotations import Annotations, State
from anlage.axes import Spacing
from anlage.candidates import Candidates
from anlage.tracking.costs import cost_of, problem_of
from anlage.tracking.problem import LinkingProblem, solution_of

if TYPE_CHECKING:
    from anlage.tracking.scores import TrackScores

__all__ = ["Decision", "decide_around"]

FRAMES, MARGIN = 3, 3
"""So many frames before and after a correction are decided anew, looking at so many more on each side."""
REACH = 4.0
"""Nuclei within so many nearest-neighbour distances of it are decided anew; those within twice as many are looked at."""

_HORIZON = 16
"""Where probabilities were kept, so many frames before and after a correction are looked at: farther than anything decided anew."""
_NEWS = 0.05
"""Smaller changes of a probability are not reported: an undo step should matter."""

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
    revised
        (V, 2) links that stay, and of which something else is known now.
    revised_probability
        (V,) that these are right.
    """

    removed: Pairs
    added: Pairs
    probability: npt.NDArray[np.float64]
    revised: Pairs = field(default_factory=lambda: np.zeros((0, 2), dtype=np.int64))
    revised_probability: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))

    def __len__(self) -> int:
        return len(self.removed) + len(self.added) + len(self.revised)


def decide_around(
    tracks: Annotations,
    spacing: Spacing,
    ids: Iterable[int],
    forbidden: Iterable[tuple[int, int]] = (),
    scores: TrackScores | None = None,
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
    scores
        What the tracking that made the tracks knew: then the answer is that of the whole programme with these corrections,
        and the probabilities of the links around are computed again. Without it, distance and motion decide.
    """
    if scores is not None:
        return _by_scores(tracks, spacing, np.array(list(ids), dtype=np.int64), list(forbidden), scores)
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


def _by_scores(
    tracks: Annotations,
    spacing: Spacing,
    ids: npt.NDArray[np.int64],
    forbidden: list[tuple[int, int]],
    scores: TrackScores,
) -> Decision:
    from anlage.tracking.resolve import marginals_around, resolve_around

    nothing = np.zeros((0, 2), dtype=np.int64)
    alive = tracks.state != State.REJECTED
    seeds = np.isin(tracks.ids, ids) & alive
    if not seeds.any():
        return Decision(nothing, nothing, np.zeros(0))
    at = tracks.frames[seeds]
    part = tracks.select(alive & (tracks.frames >= at.min() - _HORIZON) & (tracks.frames <= at.max() + _HORIZON))
    chance = part.link_properties.get("probability", np.full(len(part.links), np.nan))
    problem = _remembered(part, spacing, scores, np.isin(part.ids, ids))
    unwanted = np.array(forbidden, dtype=np.int64).reshape(-1, 2)
    unwanted = unwanted[np.isin(unwanted, part.ids).all(axis=1) & ~_among(unwanted, part.links)]
    problem = with_pairs(problem, _rows(part, part.links), cost_of(np.nan_to_num(chance, nan=0.5)))
    there, human = (_among(problem.pairs, _rows(part, links)) for links in (part.links, part.links[np.isnan(chance)]))
    problem = problem.clamped(_among(problem.pairs, _rows(part, unwanted)), -1).clamped(human, 1)
    before = solution_of(problem, np.ones(len(part), dtype=bool), there)
    after, part_solved = resolve_around(problem, before, np.flatnonzero(np.isin(part.ids, ids)))
    found, _, near = marginals_around(problem, scores.settings, part_solved)
    probability = np.full(len(problem.pairs), np.nan)
    probability[part_solved.edges[near]] = found.edge[near]
    added = np.flatnonzero(after.edges & ~there)
    said = dict(zip(map(tuple, part.links.tolist()), chance.tolist(), strict=True))
    stays = np.flatnonzero(after.edges & there & np.isfinite(probability) & (problem.clamp == 0))
    old = np.array([said[tuple(pair)] for pair in part.ids[problem.pairs[stays]].tolist()])
    other = stays[np.abs(probability[stays] - old) > _NEWS] if len(stays) else stays
    return Decision(
        part.ids[problem.pairs[there & ~after.edges]], part.ids[problem.pairs[added]], probability[added],
        part.ids[problem.pairs[other]], probability[other],
    )  # fmt: skip


def _remembered(
    part: Annotations, spacing: Spacing, scores: TrackScores, seeds: npt.NDArray[np.bool_]
) -> LinkingProblem:
    """The costs of the nuclei of a part: those of the tracking, and from distance and motion for nuclei that it did not know."""
    rows = scores.rows_of(part)
    um = part.positions[:, 1:] * spacing.um
    # what a human accepted is certain, also as a nucleus
    sure = np.where(part.state == State.ACCEPTED, np.nan, part.probability)
    none = Candidates(np.zeros((0, 2), dtype=np.int64), np.zeros(0, dtype=np.int64))
    problem = problem_of(part.frames, um, none, np.zeros(0), node_probability=sure, settings=scores.settings)
    known, known_problem = rows >= 0, scores.problem
    columns = {name: getattr(problem, name).copy() for name in ("node", "appear", "end", "division", "must")}
    for name, column in columns.items():
        kept = known & ~problem.must if name in ("node", "must") else known
        column[kept] = getattr(known_problem, name)[rows[kept]]
    number = np.full(len(known_problem), -1, dtype=np.int64)
    number[rows[known]] = np.flatnonzero(known)
    pairs = number[known_problem.pairs]
    inner = (pairs >= 0).all(axis=1)
    problem = replace(problem, **columns)
    problem = with_pairs(problem, pairs[inner], known_problem.edge[inner])
    return problem if known.all() else _with_newcomers(problem, part, spacing, ~known, seeds)


def _with_newcomers(
    problem: LinkingProblem,
    part: Annotations,
    spacing: Spacing,
    new: npt.NDArray[np.bool_],
    seeds: npt.NDArray[np.bool_],
) -> LinkingProblem:
    """With candidates of nuclei near a correction that the tracking did not know, judged by distance and motion."""
    from anlage.inference.links import link_scores

    seen, _ = _views(part, spacing, seeds)
    if not (seen & new).any():
        return problem
    rows = np.flatnonzero(seen)
    scored = link_scores(None, part.select(seen).linked(np.zeros((0, 2), dtype=np.int64)), spacing)
    pairs = rows[scored.candidates.pairs]
    theirs = new[pairs].any(axis=1)
    return with_pairs(problem, pairs[theirs], cost_of(scored.links[theirs]))


def with_pairs(problem: LinkingProblem, pairs: Pairs, cost: npt.NDArray[np.float64]) -> LinkingProblem:
    """With further candidates (rows), those that there are already left out."""
    new = ~_among(pairs, problem.pairs)
    return replace(
        problem, pairs=np.concatenate([problem.pairs, pairs[new]]), edge=np.concatenate([problem.edge, cost[new]]),
        clamp=np.concatenate([problem.clamp, np.zeros(int(new.sum()), dtype=np.int8)]),
    )  # fmt: skip


def _rows(part: Annotations, links: Pairs) -> Pairs:
    order = np.argsort(part.ids, kind="stable")
    rows: Pairs = order[np.searchsorted(part.ids, links, sorter=order)].reshape(-1, 2)
    return rows


def _views(tracks: Annotations, spacing: Spacing, seeds: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.bool_], ...]:
    """(N,) nuclei that are looked at, and those of them that are decided anew."""
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
    """(M,) which of the pairs are among others."""
    if not len(links) or not len(others):
        return np.zeros(len(links), dtype=bool)
    base = int(max(links.max(), others.max())) + 1
    found: npt.NDArray[np.bool_] = np.isin(links[:, 0] * base + links[:, 1], others[:, 0] * base + others[:, 1])
    return found
