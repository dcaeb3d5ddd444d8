"""Re-solve part of a tracking problem after a correction; everything else stays as it is."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from anlage.tracking.confidence import confidence
from anlage.tracking.marginals import Marginals
from anlage.tracking.problem import LinkingProblem, Mask, Rows, Solution, solution_of
from anlage.tracking.refinement import around, improved
from anlage.tracking.rounding import Effort
from anlage.tracking.settings import TrackingSettings
from anlage.tracking.track import Tracking, as_tracking, clamped_rows

__all__ = ["Neighbourhood", "marginals_around", "resolve_around", "resolve_locally", "with_corrections"]

_HOPS = 6
"""Candidate links by which the neighbourhood of a correction is decided anew."""
_FRAMES = 5
"""Frames before and after it."""
_MARGIN = 3
"""Further links that the probabilities take into account."""


def resolve_locally(
    tracking: Tracking,
    *,
    accepted: npt.ArrayLike | None = None,
    forbidden: npt.ArrayLike | None = None,
    released: npt.ArrayLike | None = None,
    frames: tuple[int, int] | None = None,
) -> Tracking:
    """Decide the tracks around corrections anew.

    Takes a fraction of a second however long the movie is: only nuclei within a few links of what was corrected are
    decided again, and their probabilities computed again.

    Parameters
    ----------
    tracking
        As it was.
    accepted
        (K, 2) ids of links that are right; they need not be candidates. What contradicts them loses its earlier
        acceptance.
    forbidden
        (K, 2) ids of links that are wrong.
    released
        (K, 2) ids of links that are neither any more.
    frames
        Decide nuclei from the first to before the second of these frames only; by default five before and after.

    Raises
    ------
    AnlageError
        If the accepted links contradict each other or name nuclei that do not exist.
    """
    began = time.monotonic()
    nuclei = tracking.nuclei
    right, wrong = clamped_rows(nuclei, accepted, forbidden)
    free = clamped_rows(nuclei, None, released)[1]
    touched = np.unique(np.concatenate([right, wrong, free]))
    if not len(touched):
        return tracking
    tracking, problem = _with_candidates(tracking, right)
    problem = with_corrections(problem, right, wrong, free)
    solution, part = resolve_around(problem, tracking.solution, touched, frames)
    return as_tracking(
        nuclei, tracking.spacing, problem, solution, tracking.settings,
        seconds=time.monotonic() - began, found=_updated(tracking, problem, part),
        proposal_recall=tracking.report.proposal_recall,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """The part of a problem around a correction.

    Parameters
    ----------
    inside
        (N,) nuclei that are decided anew.
    nodes, edges
        Rows of the nuclei of this part, those around them included, and of the candidates among them.
    """

    inside: Mask
    nodes: Rows
    edges: Rows


def resolve_around(
    problem: LinkingProblem, solution: Solution, touched: Rows, frames: tuple[int, int] | None = None
) -> tuple[Solution, Neighbourhood]:
    """The cheapest choice around some nuclei (rows), everything farther away as it was; and the part that was solved."""
    inside = _inside(problem, touched, frames)
    nodes = np.flatnonzero(around(problem, inside, _MARGIN, problem.clamp >= 0))
    member = np.zeros(len(problem), dtype=bool)
    member[nodes] = True
    edges = np.flatnonzero(member[problem.pairs].all(axis=1))
    view = problem.part(nodes, edges)
    choice = solution_of(view, solution.nodes[nodes], solution.edges[edges])
    can_divide = view.useful_divisions() | _divides(view, choice.edges)
    # the old choice may break what is now accepted, so that anything is better
    choice = improved(
        view, can_divide, replace(choice, objective=np.inf), np.flatnonzero(inside[nodes]), Effort()
    )  # fmt: skip
    kept, links = solution.nodes.copy(), solution.edges.copy()
    kept[nodes], links[edges] = choice.nodes, choice.edges
    return solution_of(problem, kept, links), Neighbourhood(inside, nodes, edges)


def marginals_around(
    problem: LinkingProblem, settings: TrackingSettings, part: Neighbourhood
) -> tuple[Marginals, Mask, Mask]:
    """Marginals of a part, and which of its nuclei and candidates were decided again; the others lack surroundings."""
    view = problem.part(part.nodes, part.edges)
    n = len(problem)
    elsewhere = np.ones(len(problem.pairs), dtype=bool)
    elsewhere[part.edges] = False
    comes = np.bincount(problem.pairs[elsewhere, 1], minlength=n)[part.nodes] > 0
    goes = np.bincount(problem.pairs[elsewhere, 0], minlength=n)[part.nodes] > 0
    # at the view's rim anything may come from outside, and go there
    view = replace(view, appear=np.where(comes, 0.0, view.appear), end=np.where(goes, 0.0, view.end))
    here = part.inside[part.nodes]
    return confidence(view, settings), here, np.asarray(here[view.pairs].any(axis=1))


def _with_candidates(tracking: Tracking, links: Rows) -> tuple[Tracking, LinkingProblem]:
    """With candidates for links that were none."""
    problem = tracking.problem
    n = len(problem)
    known = problem.pairs[:, 0] * n + problem.pairs[:, 1]
    new = links[~np.isin(links[:, 0] * n + links[:, 1], known)]
    if not len(new):
        return tracking, problem
    k = len(new)
    problem = replace(
        problem, pairs=np.concatenate([problem.pairs, new]), edge=np.concatenate([problem.edge, np.zeros(k)]),
        clamp=np.concatenate([problem.clamp, np.zeros(k, np.int8)]),
    )  # fmt: skip
    solution = replace(tracking.solution, edges=np.concatenate([tracking.solution.edges, np.zeros(k, bool)]))
    found = replace(tracking.marginals, edge=np.concatenate([tracking.marginals.edge, np.full(k, 0.5)]))
    return replace(tracking, problem=problem, solution=solution, marginals=found), problem


def with_corrections(problem: LinkingProblem, right: Rows, wrong: Rows, free: Rows) -> LinkingProblem:
    """With links (rows) that are now accepted, forbidden, or neither; what contradicts an accepted one is it no more."""
    n = len(problem)
    key = problem.pairs[:, 0] * n + problem.pairs[:, 1]
    clamp = problem.clamp.copy()
    accepted = np.isin(key, right[:, 0] * n + right[:, 1])
    # the newest word counts: another mother of the same nucleus was accepted by mistake
    clamp[(clamp > 0) & np.isin(problem.pairs[:, 1], right[:, 1]) & ~accepted] = 0
    full = np.bincount(problem.pairs[(clamp > 0) | accepted, 0], minlength=n) > 2
    clamp[(clamp > 0) & full[problem.pairs[:, 0]] & ~accepted] = 0
    clamp[np.isin(key, free[:, 0] * n + free[:, 1])] = 0
    clamp[np.isin(key, wrong[:, 0] * n + wrong[:, 1])] = -1
    clamp[accepted] = 1
    return replace(problem, clamp=clamp)


def _inside(problem: LinkingProblem, touched: Rows, frames: tuple[int, int] | None) -> Mask:
    seeds = np.zeros(len(problem), dtype=bool)
    seeds[touched] = True
    t = problem.frames[touched]
    low, high = frames or (int(t.min()) - _FRAMES, int(t.max()) + _FRAMES + 1)
    inside = around(problem, seeds, _HOPS, problem.clamp >= 0)
    inside &= (problem.frames >= low) & (problem.frames < high)
    # what a correction contradicts must be free to change, wherever it is
    return inside | around(problem, seeds, 1, problem.clamp >= -1)


def _divides(problem: LinkingProblem, edges: Mask) -> Mask:
    divides: Mask = np.bincount(problem.pairs[edges, 0], minlength=len(problem)) > 1
    return divides


def _updated(tracking: Tracking, problem: LinkingProblem, part: Neighbourhood) -> Marginals:
    """All probabilities, with those of the nuclei that were decided again replaced."""
    new, here, near = marginals_around(problem, tracking.settings, part)
    old = tracking.marginals
    edge = old.edge.copy()
    edge[part.edges[near]] = new.edge[near]
    of_nodes = {}
    for name in ("node", "appear", "end", "division"):
        of_nodes[name] = getattr(old, name).copy()
        of_nodes[name][part.nodes[here]] = getattr(new, name)[here]
    return Marginals(edge=edge, **of_nodes)
