"""Where to annotate next, for what a model predicted so far: its candidates held against the blob detector."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from anlage.annotations import Annotations
from anlage.axes import Box, inside_any
from anlage.inference import CLASSICAL, predict_classical
from anlage.inference.annotate_next import (
    SIZE_DIAMETERS,
    Contradictions,
    Proposal,
    contradicted,
    contradictions,
    least_sure,
)
from anlage.project.proposals import (
    SAME_DIAMETERS,
    ProposalState,
    ProposedNuclei,
    joined,
    proposal_states,
    without_duplicates,
)
from anlage.timelapse import TimeLapse

__all__ = ["FRAMES", "NextPlaces", "PlaceRequest", "find_places", "spread"]

FRAMES = 5
"""So many frames, all over the movie, are looked at."""


@dataclass(frozen=True, slots=True, eq=False)
class PlaceRequest:
    """What is asked for.

    Parameters
    ----------
    image
        The image's nuclear channels.
    found
        All that the model found so far, faint ones too.
    diameter_um
        Nucleus diameter in µm.
    known
        Nuclei that somebody has judged.
    exclude
        Regions that are annotated already (voxels).
    n
        At most so many places.
    """

    image: TimeLapse
    found: ProposedNuclei
    diameter_um: float
    known: Annotations
    exclude: tuple[Box, ...]
    n: int


@dataclass(frozen=True, slots=True)
class NextPlaces:
    """What to annotate next, and why.

    Parameters
    ----------
    places
        The best first.
    frames
        Frames that were looked at.
    rule
        By which they are ordered, in words: "most contradictions between model and blob detector first".
    """

    places: tuple[Proposal, ...]
    frames: tuple[int, ...]
    rule: str


def find_places(request: PlaceRequest, progress: Callable[[int, int], bool]) -> NextPlaces | None:
    """The places that teach a network most, as far as can be told without annotating them.

    These are the places where model and blob detector contradict each other: one of them is wrong there. Among cells of several
    kinds that led to as good a network with a third fewer nuclei as places by chance, elsewhere to one as good; places where the model
    is least sure were no better than chance (docs/lab-book/suite.md, "Where to annotate next"). Where the blob detector mostly sees
    something else, or is itself the model, they are those where the model is least sure.

    Parameters
    ----------
    request
        What was predicted.
    progress
        Called with the number of frames that are done and of all; if it returns False, the search is given up.

    Returns
    -------
    places
        None if the search was given up.
    """
    found, size_um = request.found, [edge * request.diameter_um for edge in SIZE_DIAMETERS]
    apart_um = SAME_DIAMETERS * request.diameter_um
    unique = without_duplicates(found, apart_um)
    image, spacing = request.image, found.spacing
    rule = "least sure first"
    if found.id != CLASSICAL:
        frames = spread(found.frames, FRAMES)
        seen = _held_against_blobs(request, found.nuclei.select(unique), frames, progress)
        if seen is None:
            return None
        if seen.are_worth_a_look:
            places = contradicted(
                seen, image.shape_tzyx, spacing, size_um=size_um, n=request.n, exclude=request.exclude
            )
            return NextPlaces(places, frames, "most contradictions between model and blob detector first")
        rule += f" (the blob detector sees something else here: it agrees with the model to {seen.agreement:.0%})"
    is_open = proposal_states(found, request.known, apart_um) == ProposalState.OPEN
    places = least_sure(
        found.nuclei.select(unique & is_open), image.shape_tzyx, spacing, found.threshold, n=request.n, size_um=size_um,
        exclude=request.exclude,
    )  # fmt: skip
    return NextPlaces(places, found.frames, rule)


def _held_against_blobs(
    request: PlaceRequest, candidates: Annotations, frames: Sequence[int], progress: Callable[[int, int], bool]
) -> Contradictions | None:
    """What network and blob detector make of these frames; None if that was given up."""
    found, blobs = request.found, []
    for i, t in enumerate(frames):
        if not progress(i, len(frames)):
            return None
        part = found.predicted_box(t)
        (seen,) = predict_classical(request.image, frames=[t], region=part, diameter_um=request.diameter_um)
        blobs.append(seen.nuclei.select(inside_any(found.boxes, seen.nuclei.positions)))
    reported = np.isin(candidates.frames, frames) & (candidates.probability >= found.threshold)
    return contradictions(candidates.select(reported), joined(blobs), found.spacing, request.diameter_um, request.known)


def spread(frames: Sequence[int], n: int) -> tuple[int, ...]:
    """At most so many of the frames, evenly from the first to the last."""
    places = np.unique(np.rint(np.linspace(0, len(frames) - 1, min(n, len(frames)))).astype(int))
    return tuple(int(frames[i]) for i in places)
