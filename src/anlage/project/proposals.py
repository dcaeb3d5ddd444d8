"""Proposed nuclei of a model, and which of them were accepted or rejected.

A model's candidates are kept down to faint ones, so that the sliders choose among them at once. Whether one of them was
accepted or rejected is not written down here: the annotation says so, by having a nucleus there. So undo brings a proposal
back, and a nucleus that was marked by hand is not proposed again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from anlage.annotations import Annotations, State
from anlage.axes import Box, Spacing, inside_any
from anlage.errors import AnlageError
from anlage.neighbours import rows_by_frame

__all__ = ["SAME_DIAMETERS", "ProposalState", "ProposedNuclei", "joined", "proposal_states", "without_duplicates"]

Mask = npt.NDArray[np.bool_]

SAME_DIAMETERS = 0.5
"""Two centres nearer than this part of a nucleus diameter are proposals of the same nucleus."""


class ProposalState(IntEnum):
    """What the annotation says about a candidate."""

    OPEN = 0
    """Nothing yet."""
    ANNOTATED = 1
    """There is a nucleus: it was accepted, or somebody had marked it."""
    REJECTED = 2
    """A human judged that there is none."""


@dataclass(frozen=True, slots=True, eq=False)
class ProposedNuclei:
    """All that one model found in one movie so far, faint ones too.

    Parameters
    ----------
    model
        The model's name, for people.
    id
        What distinguishes it from every other model, and from itself at another step of its training.
    nuclei
        The candidates, in voxels of the image; their ids are 1 … N.
    boxes
        The boxes that the model predicted.
    spacing
        Voxel size of the image in µm.
    threshold
        The model's own threshold.
    diameter_um
        Nucleus diameter in µm that it assumed.
    """

    model: str
    id: str
    nuclei: Annotations
    boxes: tuple[Box, ...]
    spacing: Spacing
    threshold: float
    diameter_um: float

    def __len__(self) -> int:
        return len(self.nuclei)

    @property
    def frames(self) -> tuple[int, ...]:
        """Frames that the model predicted, in order."""
        return tuple(sorted({t for box in self.boxes for t in range(*box.t)}))

    def inside(self, boxes: Iterable[Box]) -> Mask:
        """(N,) which candidates lie in one of the boxes."""
        return inside_any(boxes, self.nuclei.positions)

    def predicted_box(self, frame: int) -> Box:
        """The part of a frame that was predicted.

        Raises
        ------
        AnlageError
            If none of it was.
        """
        found = [box for box in self.boxes if box.t[0] <= frame < box.t[1]]
        if not found:
            raise AnlageError(f"Frame {frame} was not predicted; preview it first.")
        whole = found[0]
        for box in found[1:]:
            whole = whole.union(box)
        return Box((frame, frame + 1), *whole.ranges[1:])

    def updated(self, newer: ProposedNuclei) -> ProposedNuclei:
        """These and newer ones of the same model: where it predicted again, only the newer ones."""
        kept = self.nuclei.select(~self.inside(newer.boxes))
        boxes = [box for box in self.boxes if not any(box.intersection(new) == box for new in newer.boxes)]
        return replace(newer, nuclei=joined([kept, newer.nuclei]), boxes=(*boxes, *newer.boxes))


def without_duplicates(candidates: ProposedNuclei, apart_um: float) -> Mask:
    """(N,) which candidates have no likelier one of their frame nearer than so many µm that is itself kept."""
    from scipy.spatial import cKDTree

    kept = np.ones(len(candidates), dtype=bool)
    if apart_um <= 0 or len(candidates) < 2:
        return kept
    order = np.argsort(-candidates.nuclei.probability, kind="stable")
    positions = candidates.nuclei.positions[order] * (1.0, *candidates.spacing.zyx)
    positions[:, 0] *= 10 * apart_um  # frames far apart: neighbours are of one frame
    pairs = cKDTree(positions).query_pairs(apart_um, output_type="ndarray")
    for better, worse in pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]:
        if kept[order[better]]:
            kept[order[worse]] = False
    return kept


def proposal_states(
    candidates: ProposedNuclei, annotated: Annotations, reach_um: float, frames: Iterable[int] | None = None
) -> npt.NDArray[np.int8]:
    """(N,) `ProposalState` of each candidate: that of the nearest annotated nucleus of its frame, within so many µm.

    Parameters
    ----------
    candidates
        What was proposed.
    annotated
        The annotation, rejected nuclei included.
    reach_um
        Up to this distance both are the same nucleus.
    frames
        Look at these frames only; candidates of the others are returned as open.
    """
    from scipy.spatial import cKDTree

    result = np.full(len(candidates), ProposalState.OPEN, dtype=np.int8)
    um = candidates.spacing.um
    theirs, ours = rows_by_frame(annotated.frames), rows_by_frame(candidates.nuclei.frames)
    for t in sorted((theirs.keys() & ours.keys()) if frames is None else (theirs.keys() & ours.keys() & set(frames))):
        rows, marked = ours[t], theirs[t]
        tree = cKDTree(annotated.positions[marked, 1:] * um)
        distance, nearest = tree.query(candidates.nuclei.positions[rows, 1:] * um, distance_upper_bound=reach_um)
        near = np.isfinite(distance)
        state = annotated.state[marked[np.asarray(nearest)[near]]]
        result[rows[near]] = np.where(state == State.REJECTED, ProposalState.REJECTED, ProposalState.ANNOTATED)
    return result


def joined(tables: Sequence[Annotations]) -> Annotations:
    """Several tables as one, numbered anew; links are not kept."""
    names = ("positions", "radius_um", "label", "probability", "state", "origin")
    given = tables or [Annotations.of([])]
    columns: dict[str, Any] = {name: np.concatenate([getattr(table, name) for table in given]) for name in names}
    return Annotations.of(columns.pop("positions"), **columns)
