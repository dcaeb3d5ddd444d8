"""`TrackWarning`: where a track is probably wrong, how probably, and which objects it concerns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from anlage.issues import Issue, Position
from anlage.tracking.track_arrays import TrackArrays

__all__ = ["REVIEWED", "About", "Aspect", "Pair", "TrackWarning", "position_at", "rise"]

REVIEWED = "reviewed"
"""Property of a nucleus: what a human looked at and found right, words of `Aspect` with spaces between them."""


Aspect = Literal["link", "start", "end", "division", "size"]


About = tuple[tuple[int, Aspect], ...]


Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class TrackWarning(Issue):
    """One place of a track that is probably wrong; `position` says where to look.

    Parameters
    ----------
    score
        How probably something is wrong, 0 to 1. Link and division probabilities count as what they are, geometry as a
        rank.
    links
        The links that are doubted, mother and daughter.
    instead
        Links that would take their place.
    missing
        (t, z, y, x) in voxels where a nucleus is probably missing.
    about
        What is marked as reviewed when a human says that all is right: nuclei, and which aspect of each.
    """

    position: Position
    score: float = field(kw_only=True)
    links: tuple[Pair, ...] = field(default=(), kw_only=True)
    instead: tuple[Pair, ...] = field(default=(), kw_only=True)
    missing: Position | None = field(default=None, kw_only=True)
    about: About = field(default=(), kw_only=True)


def rise(value: npt.ArrayLike, low: float, high: float) -> npt.NDArray[np.float64]:
    """0 up to `low`, 1 from `high` on, a straight line between."""
    risen: npt.NDArray[np.float64] = np.clip((np.asarray(value, dtype=np.float64) - low) / (high - low), 0.0, 1.0)
    return risen


def position_at(arrays: TrackArrays, row: int) -> Position:
    """(t, z, y, x) of a row."""
    t, z, y, x = (float(v) for v in arrays.nuclei.positions[row])
    return (t, z, y, x)
