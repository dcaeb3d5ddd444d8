"""Tracking from nuclei to tracks: candidates, probabilities, the cheapest solution and its certainty."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from anlage.annotations import Annotations, State, track_numbers
from anlage.axes import Spacing
from anlage.calibration import TemperatureScaling
from anlage.candidates import Candidates, find_candidates
from anlage.errors import AnlageError
from anlage.problems import check
from anlage.timelapse import TimeLapse
from anlage.tracking.confidence import confidence, track_errors
from anlage.tracking.costs import problem_of
from anlage.tracking.division_opinions import joined, note_of, trust_in
from anlage.tracking.greedy import greedy
from anlage.tracking.linear_program import ShouldStop, StoppedError
from anlage.tracking.marginals import Marginals
from anlage.tracking.problem import Floats, LinkingProblem, Rows, Solution
from anlage.tracking.report import TrackingReport
from anlage.tracking.rounding import Effort
from anlage.tracking.settings import TRAINED, UNTRAINED, TrackingSettings
from anlage.tracking.windows import OnProgress, solve

if TYPE_CHECKING:
    from anlage.model import Model

__all__ = ["Tracking", "as_tracking", "clamped_rows", "track"]


@dataclass(frozen=True, slots=True)
class Tracking:
    """Tracks, and all that is needed to decide a part of them anew.

    Parameters
    ----------
    tracks
        The nuclei that the tracks keep, with their own ids; links with `probability` (NaN for accepted ones); properties
        `division_probability` (that this is a mother's last frame, given all that competes), `track_error` and
        `lineage_error` (probability that anything is wrong in the track, and in the lineage, that the nucleus belongs to).
        Nuclei that are rather false are left out; those without a probability never are.
    report
        Counts and certainty.
    nuclei
        All nuclei that were considered, in the problem's order.
    spacing
        Voxel size in µm.
    problem, solution, marginals
        What was solved, and how.
    settings
        With which.
    """

    tracks: Annotations
    report: TrackingReport
    nuclei: Annotations
    spacing: Spacing
    problem: LinkingProblem
    solution: Solution
    marginals: Marginals
    settings: TrackingSettings


def track(  # noqa: PLR0913 - the one call for users
    nuclei: Annotations,
    spacing: Spacing,
    *,
    image: TimeLapse | None = None,
    links: Model | None = None,
    divisions: Model | None = None,
    settings: TrackingSettings | None = None,
    accepted: npt.ArrayLike | None = None,
    forbidden: npt.ArrayLike | None = None,
    on_progress: OnProgress = None,
    should_stop: Callable[[], bool] | None = None,
) -> Tracking:
    """Link nuclei to tracks with divisions, and say of each link how probable it is.

    Parameters
    ----------
    nuclei
        What was found; rejected ones are left out, their links are not looked at. A nucleus with a probability may be
        dropped, one without is certain.
    spacing
        Voxel size in µm.
    image
        The film, for models that look at pixels; its rim is where tracks may begin and end.
    links
        A links model; without one, links are judged by distance and common movement.
    divisions
        A divisions model; without one, divisions follow from the links alone.
    settings
        Parameters.
    accepted, forbidden
        (K, 2) ids of links that are kept, and that are not, in any case.
    on_progress
        Called with (frames decided, frames in all).
    should_stop
        Asked about 20 times a second while the solver works.

    Raises
    ------
    AnlageError
        One sentence with the ids of what is contradictory in the nuclei or the accepted links.
    StoppedError
        If an end was asked for.
    """
    began = time.monotonic()
    settings = (settings or TrackingSettings()).with_scaling(_scaling_of(links))
    check(nuclei.linked(np.zeros((0, 2), dtype=np.int64)))
    nuclei = nuclei.select(nuclei.state != State.REJECTED)
    _raise_if_stopped(should_stop)
    clamps = clamped_rows(nuclei, accepted, forbidden)
    candidates, probability, by_links = _scored(nuclei, spacing, image, links, settings, clamps[0])
    _raise_if_stopped(should_stop)
    if divisions is not None:
        otherwise = np.where(np.isfinite(by_links), by_links, settings.division_probability)
        by_links = _dividing(nuclei, image, divisions, otherwise, should_stop)
    _raise_if_stopped(should_stop)
    problem = problem_of(
        nuclei.frames, nuclei.positions[:, 1:] * spacing.um, candidates, probability,
        node_probability=nuclei.probability, division_probability=by_links, extent_um=_extent_um(image, spacing),
        settings=settings,
    )  # fmt: skip
    problem = _clamped(problem, *clamps)
    effort = Effort(seconds=settings.search_seconds)
    if settings.method == "greedy":
        solution = greedy(problem)
    else:
        solution = solve(problem, effort=effort, on_progress=on_progress, should_stop=should_stop)
    recall = None if links is None else links.card.evidence.metrics.get("proposal_recall")
    return as_tracking(
        nuclei, spacing, problem, solution, settings, seconds=time.monotonic() - began,
        n_out_of_time=effort.n_out_of_time, proposal_recall=recall,
        notes=() if divisions is None else note_of(divisions.card.evidence),
    )  # fmt: skip


def as_tracking(  # noqa: PLR0913
    nuclei: Annotations,
    spacing: Spacing,
    problem: LinkingProblem,
    solution: Solution,
    settings: TrackingSettings,
    *,
    seconds: float,
    found: Marginals | None = None,
    n_out_of_time: int = 0,
    proposal_recall: float | None = None,
    notes: tuple[str, ...] = (),
) -> Tracking:
    """A solution as tracks with their probabilities and the report."""
    found = found or confidence(problem, settings)
    tracks = _tracks(nuclei, problem, solution, found)
    rows = _rows(tracks.ids, tracks.links)
    track_number, lineage = track_numbers(len(tracks), rows)
    probability = tracks.link_properties["probability"]
    is_proved = bool(np.isfinite(solution.bound))
    steps = np.diff(problem.frames[problem.pairs[solution.edges]], axis=1)
    report = TrackingReport(
        method=settings.method,
        n_nuclei=len(nuclei),
        n_left_out=len(nuclei) - len(tracks),
        n_tracks=int(track_number.max(initial=-1)) + 1,
        n_lineages=int(lineage.max(initial=-1)) + 1,
        n_links=len(tracks.links),
        n_divisions=int((np.bincount(rows[:, 0], minlength=1) > 1).sum()),
        n_gaps=int((steps > 1).sum()),
        n_candidates=len(problem.pairs),
        expected_wrong_links=float(np.nansum(1 - probability)),
        objective=solution.objective,
        bound=solution.bound if is_proved else None,
        gap=solution.gap if is_proved else None,
        n_out_of_time=n_out_of_time,
        proposal_recall=proposal_recall,
        seconds=seconds,
        notes=notes + _notes(nuclei.frames),
    )
    return Tracking(tracks, report, nuclei, spacing, problem, solution, found, settings)


def _tracks(nuclei: Annotations, problem: LinkingProblem, solution: Solution, found: Marginals) -> Annotations:
    """The kept nuclei with links, link probabilities and error probabilities."""
    pairs = problem.pairs[solution.edges]
    clamp = problem.clamp[solution.edges]
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    pairs = pairs[order]
    probability = np.where(clamp > 0, np.nan, found.edge[solution.edges])[order]
    frames = problem.frames
    first, last = (frames.min(), frames.max()) if len(frames) else (0, 0)
    onwards = np.bincount(pairs[:, 0], minlength=len(problem))
    accepted = np.bincount(problem.pairs[problem.clamp > 0, 0], minlength=len(problem)) > 1
    division = np.where(accepted, 1.0, found.division)
    kept = np.flatnonzero(solution.nodes)
    number = np.full(len(problem), -1)
    number[kept] = np.arange(len(kept))
    of_track, of_lineage = track_errors(
        number[pairs], probability,
        np.where(frames == first, 1.0, found.appear)[kept], np.where(frames == last, 1.0, found.end)[kept],
        np.where(onwards > 1, division, 1.0)[kept],
    )  # fmt: skip
    properties = {
        **{name: column[kept] for name, column in nuclei.properties.items()},
        "division_probability": division[kept], "track_error": of_track, "lineage_error": of_lineage,
    }  # fmt: skip
    tracks = nuclei.linked(np.zeros((0, 2), dtype=np.int64)).select(kept)
    return replace(
        tracks, links=nuclei.ids[pairs], link_properties={"probability": probability}, properties=properties
    )  # fmt: skip


def _scored(
    nuclei: Annotations, spacing: Spacing, image: TimeLapse | None, links: Model | None, settings: TrackingSettings,
    accepted: Rows,
) -> tuple[Candidates, Floats, Floats]:  # fmt: skip
    """Candidates and their probabilities, accepted ones among them, and how probable a division of each nucleus is."""
    from anlage.inference.links import link_scores

    candidates = None  # as the model of links, or distance and motion alone, would have them
    about_candidates = {"radius_um", "most_candidates", "gaps"}
    if settings.model_dump(include=about_candidates, exclude_unset=True, exclude_none=True):
        candidates = find_candidates(
            nuclei.frames, nuclei.positions[:, 1:] * spacing.um, settings.radius_um, most=settings.most_candidates,
            gaps=settings.gaps,
        )  # fmt: skip
    scores = link_scores(links, nuclei, spacing, image, candidates)
    # without training these rest on the same distances as the links, and would count them twice
    divides = np.full(len(nuclei), np.nan) if links is None else scores.divides
    return (*with_links(nuclei.frames, scores.candidates, scores.links, accepted), divides)


def with_links(frames: Rows, candidates: Candidates, probability: Floats, links: Rows) -> tuple[Candidates, Floats]:
    """Candidates to which those of the links (K, 2), by row, that are missing were added, and all probabilities."""
    if not len(links):
        return candidates, probability
    n = len(frames)
    known = candidates.pairs[:, 0] * n + candidates.pairs[:, 1]
    new = links[~np.isin(links[:, 0] * n + links[:, 1], known)]
    pairs = np.concatenate([candidates.pairs, new])
    p = np.concatenate([probability, np.full(len(new), 0.5)])
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    pairs = pairs[order]
    return Candidates(pairs, np.diff(frames[pairs], axis=1)[:, 0]), p[order]


def _scaling_of(links: Model | None) -> TemperatureScaling:
    """How probabilities are to be scaled, as the model's held-out films say where it has some."""
    if links is None:
        return UNTRAINED
    return links.card.evidence.tracking or TRAINED


def _dividing(
    nuclei: Annotations, image: TimeLapse | None, divisions: Model, otherwise: Floats, should_stop: ShouldStop
) -> Floats:
    """What the model of divisions says, as far as it is to be relied upon, together with what is thought otherwise."""
    if image is None:
        raise AnlageError(
            "A model of divisions looks at the image, and there is none; give the image, or leave the model away."
        )
    from anlage.inference.divisions import score_divisions

    scores = score_divisions(divisions, nuclei, image, should_stop=should_stop)
    return joined(scores, otherwise, trust_in(divisions.card.evidence))


def clamped_rows(
    nuclei: Annotations, accepted: npt.ArrayLike | None, forbidden: npt.ArrayLike | None
) -> tuple[Rows, Rows]:
    """Accepted and forbidden links by row, after a check that the accepted ones can all be true.

    Parameters
    ----------
    nuclei
        The table that the rows are of.
    accepted, forbidden
        (K, 2) ids; forbidden links of nuclei that are not there are passed over.

    Raises
    ------
    AnlageError
        With the ids, where an accepted link is none, leads back, leaps too far or contradicts another.
    """
    none = np.zeros((0, 2), dtype=np.int64)
    wanted = none if accepted is None else np.asarray(accepted, dtype=np.int64).reshape(-1, 2)
    unwanted = none if forbidden is None else np.asarray(forbidden, dtype=np.int64).reshape(-1, 2)
    check(nuclei.linked(wanted))
    unwanted = unwanted[np.isin(unwanted, nuclei.ids).all(axis=1)]
    rows = _rows(nuclei.ids, wanted)
    for i in np.flatnonzero((np.diff(nuclei.frames[rows], axis=1) > 2).any(axis=1)):
        a, b = wanted[i]
        t0, t1 = nuclei.frames[rows[i]]
        raise AnlageError(
            f"The accepted link from nucleus {a} in frame {t0} to nucleus {b} in frame {t1} leaps over {t1 - t0 - 1} frames; "
            "a track may miss one, so add the nuclei between or take the link back."
        )
    return rows, _rows(nuclei.ids, unwanted)


def _clamped(problem: LinkingProblem, accepted: Rows, forbidden: Rows) -> LinkingProblem:
    n = len(problem)
    key = problem.pairs[:, 0] * n + problem.pairs[:, 1]
    for links, value in ((forbidden, -1), (accepted, 1)):
        problem = problem.clamped(np.isin(key, links[:, 0] * n + links[:, 1]), value)
    return problem


def _rows(ids: Rows, links: Rows) -> Rows:
    """Ids as rows of the table."""
    order = np.argsort(ids, kind="stable")
    rows: Rows = order[np.searchsorted(ids[order], links)] if len(ids) else links.copy()
    return rows.astype(np.int64).reshape(-1, 2)


def _extent_um(image: TimeLapse | None, spacing: Spacing) -> Floats | None:
    if image is None:
        return None
    shape: Floats = np.array(image.shape_tzyx[1:], dtype=np.float64)
    # an axis of one plane has no border
    return np.stack([np.where(shape > 1, -0.5, 0), np.where(shape > 1, shape - 0.5, 0)]) * spacing.um


def _notes(frames: Rows) -> tuple[str, ...]:
    """Frames without nuclei that no track can cross."""
    occupied = np.unique(frames)
    return tuple(
        f"Frames {a + 1} to {b - 1} hold no nuclei; no track can cross them."
        for a, b in zip(occupied[:-1].tolist(), occupied[1:].tolist(), strict=True)
        if b - a > 2
    )


def _raise_if_stopped(should_stop: ShouldStop) -> None:
    if should_stop is not None and should_stop():
        raise StoppedError
