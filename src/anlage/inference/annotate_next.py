"""Where to annotate next: where network and blob detector contradict each other, or the network is least sure (active learning)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from anlage.annotations import Annotations, State
from anlage.axes import Box, Spacing, inside_any
from anlage.calibration import logit
from anlage.matching import MATCH_DIAMETERS, match
from anlage.neighbours import rows_by_frame

__all__ = ["SIZE_DIAMETERS", "Contradictions", "Proposal", "contradicted", "contradictions", "least_sure"]

_UNSURE = 1.25
"""Distance from the threshold, in logits, within which a candidate is unsure: 0.22 to 0.78 around 0.5."""
SIZE_DIAMETERS = (4.0, 6.0, 6.0)
"""Edges (z, y, x) of a cuboid: some dozens of nuclei where they are crowded, a few minutes' work."""
_NEIGHBOURS = 2
"""Frames before and after a proposal in which the same place is not proposed again: the same nuclei are there."""
_CERTAIN = 1e-6
_WORTH_A_LOOK = 0.5
"""Agreement of network and blob detector from which on their contradictions say where one of them is wrong."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A part of one frame that is worth annotating.

    Parameters
    ----------
    box
        The cuboid, one frame long, in voxels of the image.
    n_doubtful
        Nuclei in it that are in doubt: the network is unsure of them, or only one of network and blob detector reports them.
    n_candidates
        Nuclei in it that were looked at in all.
    sentence
        Where it is and why it is proposed.
    """

    box: Box
    n_doubtful: int
    n_candidates: int
    sentence: str

    @property
    def frame(self) -> int:
        return self.box.t[0]


def least_sure(
    candidates: Annotations,
    shape_tzyx: Sequence[int],
    spacing: Spacing,
    threshold: float,
    *,
    n: int = 3,
    size_um: Sequence[float] | None = None,
    exclude: Sequence[Box] = (),
) -> tuple[Proposal, ...]:
    """Propose the cuboids that hold most candidates near the threshold, the best first.

    A candidate counts as unsure if its probability is within 1.25 logits of the threshold; of those, the nearer weighs
    more. Proposals do not overlap, neither in their own frame nor in the two before and after.

    Parameters
    ----------
    candidates
        Nuclei with probabilities, down to well below the threshold, in voxels of the image. Those without a probability,
        and those already accepted or rejected, are not looked at.
    shape_tzyx
        Shape of the image.
    spacing
        Voxel size in µm.
    threshold
        Probability from which a nucleus is reported.
    n
        At most so many.
    size_um
        Edges (z, y, x) of the cuboids in µm; by default 4 × 6 × 6 nucleus diameters.
    exclude
        What is annotated already (voxels); candidates there are not looked at.
    """
    candidates = _open(candidates, exclude)
    distance = logit(candidates.probability, _CERTAIN) - logit(threshold, _CERTAIN)
    doubt = 1 - (distance / _UNSURE) ** 2
    edges = _edges(candidates, shape_tzyx, spacing, size_um)

    def proposal(box: Box) -> Proposal:
        inside = box.contains(candidates.positions)
        return _unsure(box, candidates.probability[inside], doubt[inside] > 0, spacing, threshold)

    unsure = doubt > 0
    return tuple(map(proposal, _best_boxes(candidates.positions[unsure], doubt[unsure], edges, shape_tzyx, n)))


@dataclass(frozen=True, slots=True)
class Contradictions:
    """What network and blob detector make of the same frames.

    Parameters
    ----------
    both
        (N, 4) t, z, y, x in voxels of the nuclei that both report, where the network sees them.
    network, blobs
        The same of those that only one of them reports.
    """

    both: npt.NDArray[np.float64]
    network: npt.NDArray[np.float64]
    blobs: npt.NDArray[np.float64]

    @property
    def agreement(self) -> float:
        """F1 of one of them as if the other were the truth, 0 to 1; 0 where neither reports anything."""
        alone = len(self.network) + len(self.blobs)
        return 2 * len(self.both) / max(2 * len(self.both) + alone, 1)

    @property
    def are_worth_a_look(self) -> bool:
        """Whether the blob detector sees much the same, so that what only one of them reports is likely a mistake of one.

        Where it mostly sees something else (dark nuclei, coarse texture) it contradicts everywhere, and that tells nothing.
        """
        return self.agreement >= _WORTH_A_LOOK


def contradictions(
    reported: Annotations, blobs: Annotations, spacing: Spacing, diameter_um: float, known: Annotations | None = None
) -> Contradictions:
    """Match what a network reports with what the blob detector finds in the same frames.

    Parameters
    ----------
    reported, blobs
        Nuclei of both, in voxels of the image.
    spacing
        Voxel size in µm.
    diameter_um
        Nucleus diameter in µm; two centres nearer than 0.35 of it are the same nucleus.
    known
        Nuclei that somebody has judged, rejected ones too: what only one reports, but lies on one of these, is in doubt no more.
    """
    ours, theirs = rows_by_frame(reported.frames), rows_by_frame(blobs.frames)
    judged = {} if known is None else rows_by_frame(known.frames)
    um, reach_um, none = spacing.um, MATCH_DIAMETERS * diameter_um, np.zeros(0, dtype=np.intp)
    parts: list[list[npt.NDArray[np.float64]]] = [[np.zeros((0, 4))] for _ in range(3)]
    for t in sorted(ours.keys() | theirs.keys()):
        a, b = reported.positions[ours.get(t, none)], blobs.positions[theirs.get(t, none)]
        pairs, _ = match(a[:, 1:] * um, b[:, 1:] * um, reach_um)
        parts[0].append(a[pairs[:, 0]])
        for part, alone in zip(
            parts[1:], (np.delete(a, pairs[:, 0], axis=0), np.delete(b, pairs[:, 1], axis=0)), strict=True
        ):
            if known is not None and t in judged:
                settled, _ = match(alone[:, 1:] * um, known.positions[judged[t], 1:] * um, reach_um)
                alone = np.delete(alone, settled[:, 0], axis=0)
            part.append(alone)
    return Contradictions(*(np.concatenate(part) for part in parts))


def contradicted(
    found: Contradictions,
    shape_tzyx: Sequence[int],
    spacing: Spacing,
    *,
    size_um: Sequence[float],
    n: int = 3,
    exclude: Sequence[Box] = (),
) -> tuple[Proposal, ...]:
    """Propose the cuboids in which network and blob detector contradict each other most, the best first.

    Proposals do not overlap, neither in their own frame nor in the two before and after.

    Parameters
    ----------
    found
        What `contradictions` gives.
    shape_tzyx
        Shape of the image.
    spacing
        Voxel size in µm.
    size_um
        Edges (z, y, x) of the cuboids in µm.
    n
        At most so many.
    exclude
        What is annotated already (voxels); nuclei there are not looked at.
    """
    both, network, blobs = (_outside(part, exclude) for part in (found.both, found.network, found.blobs))
    alone = np.concatenate([network, blobs])

    def proposal(box: Box) -> Proposal:
        counts = [int(box.contains(part).sum()) for part in (both, network, blobs)]
        what = f"the model alone reports {counts[1]}, the blob detector alone {counts[2]}, both {counts[0]}"
        return Proposal(box, counts[1] + counts[2], sum(counts), f"{_place(box, spacing)}: of the nuclei, {what}.")

    edges = _size(size_um, shape_tzyx, spacing)
    return tuple(map(proposal, _best_boxes(alone, np.ones(len(alone)), edges, shape_tzyx, n)))


def _best_boxes(
    positions: npt.NDArray[np.float64], doubt: npt.NDArray[np.float64], edges: npt.NDArray[np.int64],
    shape_tzyx: Sequence[int], n: int,
) -> list[Box]:  # fmt: skip
    """The cuboids that hold most doubt, apart from each other in space or by more than two frames."""
    found: list[Box] = []
    if not len(positions):
        return found
    places = _Places.of(positions, doubt, edges)
    while len(found) < n and (box := places.best(shape_tzyx)) is not None:
        near = Box((box.t[0] - _NEIGHBOURS, box.t[1] + _NEIGHBOURS), box.z, box.y, box.x)
        if not any(near.intersection(other) for other in found):
            found.append(box)
        places.forget(near)
    return found


@dataclass
class _Places:
    """The unsure candidates, each as the middle of a cuboid with others in it."""

    positions: npt.NDArray[np.float64]
    doubt: npt.NDArray[np.float64]
    """How near each is to the threshold, 0 to 1; 0 once it is forgotten."""
    edges: npt.NDArray[np.int64]
    members: Any
    """Sparse (N, N): whose cuboid holds whom."""

    @classmethod
    def of(
        cls, positions: npt.NDArray[np.float64], doubt: npt.NDArray[np.float64], edges: npt.NDArray[np.int64]
    ) -> _Places:
        from scipy.sparse import coo_array
        from scipy.spatial import cKDTree

        # frames are so far apart that no cuboid reaches into another
        scaled = positions / np.concatenate([[0.1], edges / 2])
        pairs = cKDTree(scaled).query_pairs(1.0, p=np.inf, output_type="ndarray")
        own = np.arange(len(positions))
        rows = np.concatenate([own, pairs[:, 0], pairs[:, 1]])
        columns = np.concatenate([own, pairs[:, 1], pairs[:, 0]])
        shape = (len(positions), len(positions))
        return cls(positions, doubt, edges, coo_array((np.ones(len(rows), np.float32), (rows, columns)), shape).tocsr())

    def best(self, shape_tzyx: Sequence[int]) -> Box | None:
        """The cuboid that holds most doubt; None when all is forgotten."""
        best = int(np.argmax(np.where(self.doubt > 0, self.members @ self.doubt, 0.0)))
        if self.doubt[best] <= 0:
            return None
        inside = self.members[[best]].indices
        middle = np.average(self.positions[inside, 1:], axis=0, weights=self.doubt[inside])
        low = np.rint(middle - (self.edges - 1) / 2).astype(np.int64)
        start = np.clip(low, 0, np.array(shape_tzyx[1:]) - self.edges)
        t = round(float(self.positions[best, 0]))
        # rounding must not lose the one that it is about
        start = np.clip(start, *self._around(self.positions[best, 1:]))
        return Box.of([t, *start], [t + 1, *(start + self.edges)])

    def forget(self, box: Box) -> None:
        """Do not propose what lies in this box."""
        self.doubt = np.where(box.contains(self.positions), 0.0, self.doubt)

    def _around(self, position_zyx: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """First voxels of the first and last cuboid that hold a position."""
        voxel = np.floor(position_zyx + 0.5).astype(np.int64)
        return voxel - self.edges + 1, voxel


def _open(candidates: Annotations, exclude: Sequence[Box]) -> Annotations:
    """Candidates that nobody has decided about."""
    rows = np.isfinite(candidates.probability) & (candidates.state == State.PROPOSED)
    return candidates.select(rows & ~inside_any(exclude, candidates.positions))


def _outside(positions: npt.NDArray[np.float64], exclude: Sequence[Box]) -> npt.NDArray[np.float64]:
    """Positions (N, 4) that lie in none of the boxes."""
    outside: npt.NDArray[np.float64] = positions[~inside_any(exclude, positions)]
    return outside


def _edges(
    candidates: Annotations, shape_tzyx: Sequence[int], spacing: Spacing, size_um: Sequence[float] | None
) -> npt.NDArray[np.int64]:
    """Edges (z, y, x) of a cuboid in voxels, not larger than the image."""
    shape = np.array(shape_tzyx[1:])
    if size_um is None:
        known = candidates.radius_um[np.isfinite(candidates.radius_um)]
        # without a radius, an eighth of the image is a guess as good as any
        diameter = 2 * float(np.median(known)) if len(known) else float((shape * spacing.um)[1:].min()) / 12
        size_um = [d * diameter for d in SIZE_DIAMETERS]
    return _size(size_um, shape_tzyx, spacing)


def _size(size_um: Sequence[float], shape_tzyx: Sequence[int], spacing: Spacing) -> npt.NDArray[np.int64]:
    """Edges (z, y, x) in voxels of a cuboid of so many µm, not larger than the image."""
    shape = np.array(shape_tzyx[1:])
    wanted = np.maximum(1, np.rint(np.asarray(size_um, dtype=float) / spacing.um)).astype(np.int64)
    edges: npt.NDArray[np.int64] = np.minimum(wanted, shape)
    return edges


def _unsure(
    box: Box, probability: npt.NDArray[np.float64], unsure: npt.NDArray[np.bool_], spacing: Spacing, threshold: float
) -> Proposal:
    n, total = int(unsure.sum()), len(unsure)
    what = f"{n} of {total} candidates are" if total > 1 else "the only candidate is"
    doubtful = probability[unsure]
    span = f"{doubtful.min():.2f} to {doubtful.max():.2f}" if n > 1 else f"{doubtful.max():.2f}"
    sentence = f"{_place(box, spacing)}: {what} unsure (probability {span}; the threshold is {threshold:.2f})."
    return Proposal(box, n, total, sentence)


def _place(box: Box, spacing: Spacing) -> str:
    """Where a cuboid is, and how large, in words."""
    z, y, x = ((low + high - 1) / 2 for low, high in box.ranges[1:])
    size = " × ".join(f"{edge * um:.0f}" for edge, um in zip(box.shape[1:], spacing.zyx, strict=True))
    return f"Frame {box.t[0]}, around z {z:.0f}, y {y:.0f}, x {x:.0f} ({size} µm)"
