"""Tracking scores: DET, TRA, LNK and complete tracks of the Cell Tracking Challenge, link F1, and divisions."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal

import numpy as np
import numpy.typing as npt

from anlage.annotations import Annotations, State
from anlage.axes import Spacing
from anlage.errors import AnlageError
from anlage.evaluation.divisions import DivisionScore, count_divisions
from anlage.evaluation.lineages import Lineages, Tracks
from anlage.evaluation.pairing import Pairing, can_pair_by_masks, pair_by_centres, pair_by_masks
from anlage.frozen import Frozen
from anlage.problems import check

__all__ = ["TrackErrors", "TrackScore", "score_tracks"]

SPLIT, MISSED, FALSE = 5.0, 10.0, 1.0
REDUNDANT_LINK, MISSING_LINK, WRONG_MEANING = 1.0, 1.5, 1.0
"""Weights of the operations that turn the result into the truth (Matula et al. 2015)."""

_BRANCHING = 3
"""Branching correctness is reported up to this tolerance in frames."""


class TrackErrors(Frozen):
    """The errors to correct to turn the result into the truth, in the words of the Cell Tracking Challenge."""

    missed: int
    """Nuclei of the truth that no nucleus of the result stands for (FN)."""
    false: int
    """Nuclei of the result that stand for none of the truth (FP)."""
    splits: int
    """Cuts needed where a mask of the result covers several nuclei of the truth (NS); with centres always 0."""
    missing_links: int
    """Links of the truth that the result lacks (EA)."""
    redundant_links: int
    """Links of the result between nuclei that stand for one of the truth each, which the truth has not (ED)."""
    wrong_meaning: int
    """Links that both have, but in one of them only as that of a mother with a daughter (EC)."""


class TrackScore(Frozen):
    """How well nuclei were found and followed, over all scored frames together."""

    paired_by: Literal["masks", "centres"]
    """How nuclei of the result were recognised: a mask that covers more than half of that of the truth, or centres."""
    radius_um: float | None
    """Greatest distance of a pair of centres in µm; None where masks were compared."""
    n_truth: int
    """Nuclei of the truth."""
    n_result: int
    """Nuclei of the result in the scored frames."""
    n_links_truth: int
    """Links of the truth."""
    n_links_result: int
    """Links of the result among these nuclei."""
    n_tracks_truth: int
    """Tracks of the truth; a track ends at a division and before a gap."""
    n_tracks_result: int
    """Tracks of the result."""
    errors: TrackErrors
    """The errors to correct."""
    aogm: float
    """The errors, weighted: 10 missed + 1 false + 5 splits + 1.5 missing + 1 redundant + 1 wrong meaning."""
    det: float | None
    """DET: 1 less the weighted errors of nuclei, over those of an empty result; None without truth."""
    tra: float | None
    """TRA: 1 less the weighted errors of nuclei and links, over those of an empty result; None without truth."""
    lnk: float | None
    """LNK: 1 less the weighted errors of links, over those of a result without links; None if the truth has no links."""
    link_precision: float | None
    """Share of the result's links that the truth has; None without links."""
    link_recall: float | None
    """Share of the truth's links that the result has; None without links."""
    link_f1: float | None
    """2 right links / (links of the result + links of the truth); None where neither has links."""
    division_f1: float | None
    """F1 of divisions, one frame early or late allowed; None where neither has divisions."""
    division_f1_exact: float | None
    """F1 of divisions in exactly the right frame; None where neither has divisions."""
    divisions: tuple[DivisionScore, ...]
    """Counts of divisions: exact, and one frame early or late allowed."""
    complete_tracks: float | None
    """CT: F1 of tracks that were followed from their first to their last frame, and no longer; None without tracks."""
    branching: tuple[float | None, ...]
    """BC(0), BC(1), …: branching correctness with that tolerance in frames; None if the truth has no divisions."""


def score_tracks(
    result: Annotations,
    truth: Annotations,
    spacing: Spacing,
    radius_um: float = 5.0,
    *,
    frames: Iterable[int] = (),
    by_centres: bool = False,
) -> TrackScore:
    """Score tracks against complete tracks.

    Where every nucleus of both has a mask, nuclei are recognised by it (as the Cell Tracking Challenge does), else by
    their centres within a radius, one-to-one. Only frames that hold truth are scored, and those in `frames`: of the
    result, nuclei elsewhere and links that touch them are left out. Rejected nuclei count on neither side.

    DET, TRA, LNK: P. Matula et al., PLoS One 10 (2015); CT and BC(i): V. Ulman et al., Nature Methods 14 (2017).

    Parameters
    ----------
    result, truth
        Nuclei with links, in voxels of the same image.
    spacing
        Voxel size of that image in µm.
    radius_um
        Greatest distance in µm between a nucleus and the one that it stands for, where centres are compared.
    frames
        Frames that were looked at, whether they hold truth or not.
    by_centres
        Compare centres even where there are masks.

    Raises
    ------
    AnlageError
        If the radius is not a positive number, or a table contradicts itself: with the ids.
    """
    if not (math.isfinite(radius_um) and radius_um > 0):
        raise AnlageError(f"The radius for pairing is {radius_um} µm; it must be a positive number, for example 5.")
    truth = truth.select(truth.state != State.REJECTED)
    examined = np.union1d(truth.frames, np.array(list(frames), dtype=np.int64))
    result = result.select((result.state != State.REJECTED) & np.isin(result.frames, examined))
    check(result, source="the result")
    check(truth, source="the truth")
    masks = not by_centres and can_pair_by_masks(result, truth)
    pairing = pair_by_masks(result, truth) if masks else pair_by_centres(result, truth, spacing, radius_um)
    return _score(Lineages.of(result), Lineages.of(truth), pairing, None if masks else radius_um)


def _score(result: Lineages, truth: Lineages, pairing: Pairing, radius_um: float | None) -> TrackScore:
    errors, n_right = _errors(result, truth, pairing)
    nuclei = SPLIT * errors.splits + MISSED * errors.missed + FALSE * errors.false
    links = (
        REDUNDANT_LINK * errors.redundant_links
        + MISSING_LINK * errors.missing_links
        + WRONG_MEANING * errors.wrong_meaning
    )
    no_nuclei, no_links = MISSED * len(truth.frames), MISSING_LINK * len(truth.links)
    n_result, n_truth = len(result.links), len(truth.links)
    ours, theirs = result.tracks(over_gaps=False), truth.tracks(over_gaps=False)
    branching = [count_divisions(ours, theirs, pairing, i) for i in range(_BRANCHING + 1)]
    divisions = [_divisions(result, truth, pairing, i) for i in (0, 1)]
    return TrackScore(
        paired_by="masks" if radius_um is None else "centres",
        radius_um=radius_um,
        n_truth=len(truth.frames),
        n_result=len(result.frames),
        n_links_truth=n_truth,
        n_links_result=n_result,
        n_tracks_truth=len(theirs),
        n_tracks_result=len(ours),
        errors=errors,
        aogm=nuclei + links,
        det=_less(nuclei, no_nuclei),
        tra=_less(nuclei + links, no_nuclei + no_links),
        lnk=_less(links, no_links),
        link_precision=_share(n_right, n_result),
        link_recall=_share(n_right, n_truth),
        link_f1=_share(2 * n_right, n_result + n_truth),
        division_f1=divisions[1].f1,
        division_f1_exact=divisions[0].f1,
        divisions=tuple(divisions),
        complete_tracks=_share(2 * _complete(ours, theirs, pairing), len(ours) + len(theirs)),
        branching=tuple(b.f1 if len(theirs.divisions) else None for b in branching),
    )


def _divisions(result: Lineages, truth: Lineages, pairing: Pairing, tolerance: int) -> DivisionScore:
    return count_divisions(result.tracks(over_gaps=True), truth.tracks(over_gaps=True), pairing, tolerance)


def _errors(result: Lineages, truth: Lineages, pairing: Pairing) -> tuple[TrackErrors, int]:
    """The errors to correct, and the number of links that are right (whatever their meaning)."""
    covered = pairing.covered
    mapped = pairing.to_truth[result.links]
    known = (mapped >= 0).all(axis=1)
    n = max(1, len(truth.frames))
    ours = mapped[known, 0] * n + mapped[known, 1]
    theirs = truth.links[:, 0] * n + truth.links[:, 1]
    _, at, truth_at = np.intersect1d(ours, theirs, assume_unique=True, return_indices=True)
    errors = TrackErrors(
        missed=len(truth.frames) - len(pairing.pairs),
        false=int((covered == 0).sum()),
        splits=int(np.maximum(covered - 1, 0).sum()),
        missing_links=len(theirs) - len(at),
        redundant_links=len(ours) - len(at),
        wrong_meaning=int((result.between_tracks[known][at] != truth.between_tracks[truth_at]).sum()),
    )
    return errors, len(at)


def _complete(result: Tracks, truth: Tracks, pairing: Pairing) -> int:
    """Tracks of the truth whose nuclei are those of one track of the result, which has no others."""
    if not len(result) or not len(truth):
        return 0
    partner = pairing.to_result
    track = np.where(partner >= 0, result.of_nucleus[partner], -1)
    lowest = np.full(len(truth), np.iinfo(np.int64).max)
    highest = np.full(len(truth), -1)
    np.minimum.at(lowest, truth.of_nucleus, track)
    np.maximum.at(highest, truth.of_nucleus, track)
    one = (lowest == highest) & (highest >= 0)
    ends: npt.NDArray[np.bool_] = (result.first[highest] == truth.first) & (result.last[highest] == truth.last)
    return int((one & ends).sum())


def _less(errors: float, worst: float) -> float | None:
    return 1 - min(errors, worst) / worst if worst else None


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
