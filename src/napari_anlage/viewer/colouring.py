"""Colours of nuclei and links: by track, lineage or error probability, and of what was proposed or rejected. Knows no Qt."""

from __future__ import annotations

from enum import StrEnum

import numpy as np
import numpy.typing as npt

from anlage import Annotations
from napari_anlage.viewer.tracks import ALONE, TrackTable, colours, hues

__all__ = [
    "CERTAIN",
    "PROBABILITY",
    "PROPOSED",
    "RAMP",
    "REJECTED",
    "Colouring",
    "any_wrong",
    "errors",
    "lineages",
    "nucleus_colours",
]

Colours = npt.NDArray[np.float64]

RAMP = ((0.0, "#4f8fd6"), (0.05, "#7fd0c4"), (0.2, "#ffd447"), (0.5, "#ff4b4b"))
"""Error probability and its colour; above the last one it stays."""
PROPOSED, REJECTED = np.array([1.0, 0.72, 0.25, 1.0]), np.array([1.0, 0.35, 0.35, 0.9])
"""Colours (RGBA) of proposed and rejected nuclei; accepted ones have the colour of their track."""
PROBABILITY = ("#d13c9a", "#ff7b45", "#ffe65a")
"""Colours of a prediction's nuclei, unlikely to likely. Warm: annotated nuclei are blue."""
CERTAIN = "#c9ced6"
"""Colour of links that a human made or accepted."""


class Colouring(StrEnum):
    """What the colour of a nucleus and of the link to it says."""

    TRACK = "track"
    LINEAGE = "lineage"
    ERROR = "error"


def lineages(tracks: TrackTable) -> npt.NDArray[np.int64]:
    """(N,) the lineage of each nucleus: the id of the nucleus that all of it came from."""
    first = np.where(tracks.mother >= 0, tracks.mother, np.arange(len(tracks.mother)))
    while True:  # each round doubles how far it looks back
        further = first[first]
        if np.array_equal(further, first):
            break
        first = further
    return tracks.ids[first]


def errors(nuclei: Annotations, tracks: TrackTable) -> npt.NDArray[np.float64]:
    """(N,) error probability of the link to each nucleus; NaN where a human made it, or there is none."""
    found = np.full(len(nuclei), np.nan)
    probability = nuclei.link_properties.get("probability")
    if probability is not None and len(nuclei.links):
        found[np.searchsorted(nuclei.ids, nuclei.links[:, 1])] = 1.0 - probability
    return found


def any_wrong(error: npt.NDArray[np.float64]) -> float:
    """Probability that at least one of several links is wrong; NaN, a link that a human made, is not."""
    return float(1 - np.prod(1 - np.nan_to_num(error)))


def nucleus_colours(nuclei: Annotations, tracks: TrackTable, colouring: Colouring) -> Colours:
    """(N, 4) the colour of each nucleus, and of the link to it."""
    if colouring == Colouring.TRACK:
        return colours(tracks)
    if colouring == Colouring.LINEAGE:
        found = hues(lineages(tracks))
        found[~tracks.linked] = ALONE
        return found
    wrong = errors(nuclei, tracks)
    at = np.array([step for step, _ in RAMP])
    ramp = np.array([rgb(colour) for _, colour in RAMP])
    found = np.tile([*rgb(CERTAIN), 1.0], (len(nuclei), 1))
    known = np.isfinite(wrong)
    found[known, :3] = np.column_stack([np.interp(wrong[known], at, ramp[:, i]) for i in range(3)])
    return found


def rgb(colour: str) -> tuple[float, float, float]:
    """``#rrggbb`` as three numbers from 0 to 1."""
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return red, green, blue
