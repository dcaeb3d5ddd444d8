"""Our own values in TrackMate XML: the origin of each spot, and which radii were not measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np
import numpy.typing as npt

from anlage.annotations import HUMAN, Annotations

__all__ = ["ASSUMED", "MARKS", "ORIGIN", "RADIUS", "marks_of", "origin_lines", "origins_of"]

ASSUMED = "anlage_radius_assumed"
"""Feature of spots: 1 where TrackMate wants a radius and none is known."""
ORIGIN = "anlage_origin"
"""Feature of spots: number of who found it, whose name stands in the element `AnlageOrigin`."""
RADIUS = "radius_um"
"""Feature of spots where positions are in pixels, in which µm are unknown."""
MARKS = (ASSUMED, ORIGIN, RADIUS)


def marks_of(nuclei: Annotations, *, in_um: bool) -> dict[str, npt.NDArray[Any]]:
    """The features that are written beside TrackMate's own, those that say anything."""
    known = np.isfinite(nuclei.radius_um)
    marks: dict[str, npt.NDArray[Any]] = {}
    if not known.all():
        marks[ASSUMED] = np.where(known, np.nan, 1.0)
    if not in_um and known.any():
        marks[RADIUS] = nuclei.radius_um
    if (nuclei.origin != _usual(nuclei.probability)).any():
        marks[ORIGIN] = np.unique(nuclei.origin, return_inverse=True)[1].reshape(-1)
    return marks


def origin_lines(nuclei: Annotations) -> list[str]:
    """An element for each who found nuclei, with the number that `marks_of` gives it."""
    if not (nuclei.origin != _usual(nuclei.probability)).any():
        return []
    names = np.unique(nuclei.origin).tolist()
    return [f'  <AnlageOrigin number="{i}" name={quoteattr(str(name))} />\n' for i, name in enumerate(names)]


def origins_of(
    spots: Sequence[Mapping[str, str]], names: Mapping[str, str], probability: npt.NDArray[np.float64]
) -> npt.NDArray[np.str_]:
    """Who found each spot; where nothing says it, a network those with a probability, and a human the others.

    Parameters
    ----------
    spots
        Attributes as they stand.
    names
        By their numbers.
    probability
        (N,) of the spots.
    """
    # TrackMate writes whole numbers back as 1.0
    numbers = [spot.get(ORIGIN, "").removesuffix(".0") for spot in spots]
    usual = _usual(probability).tolist()
    return np.array([names.get(number, other) for number, other in zip(numbers, usual, strict=True)], dtype=np.str_)


def _usual(probability: npt.NDArray[np.float64]) -> npt.NDArray[np.str_]:
    return np.where(np.isfinite(probability), "model", HUMAN)
