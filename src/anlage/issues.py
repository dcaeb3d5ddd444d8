"""`Issue`: a problem, doubt or fault as a sentence, with its position and the objects it concerns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

__all__ = ["Issue", "IssueKind", "Position", "position_of"]

Position = tuple[float, float, float, float]
"""(t, z, y, x) in voxels."""

IssueKind = Literal[
    # of annotated nuclei, links and regions
    "contradiction", "gap", "duplicate", "region", "label", "jump", "size", "end",
    # of the annotated cuboid
    "incomplete",
    # of painted labels
    "shape", "type", "background", "pieces", "cut", "class", "fragment", "empty",
    # of tracks, beside some of the above
    "link", "swap", "start", "division", "missed division", "cycle",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Issue:
    """Something to look at, for a list that can be clicked.

    Parameters
    ----------
    kind
        What sort of thing it is.
    text
        One sentence: what is wrong, and what to do.
    position
        (t, z, y, x) in voxels; None where no single place is meant.
    ids
        The nuclei concerned, the one that is looked at first.
    regions
        The regions concerned.
    labels
        The label values concerned.
    """

    kind: IssueKind
    text: str
    position: Position | None = None
    ids: tuple[int, ...] = ()
    regions: tuple[int, ...] = ()
    labels: tuple[int, ...] = ()


def position_of(values: npt.NDArray[np.float64]) -> Position | None:
    """A row of positions (4,), t z y x; None where one of them is no number."""
    if not np.isfinite(values).all():
        return None
    t, z, y, x = (float(v) for v in values)
    return (t, z, y, x)
