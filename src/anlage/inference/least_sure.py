"""Where to annotate next: the places where the network is least sure (active learning)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from anlage.annotations import Annotations, State
from anlage.axes import Box, Spacing
from anlage.calibration import logit

__all__ = ["Proposal", "least_sure"]

_UNSURE = 1.25
"""Distance from the threshold, in logits, within which a candidate is unsure: 0.22 to 0.78 around 0.5."""
_SIZE_DIAMETERS = (4.0, 6.0, 6.0)
"""Edges (z, y, x) of a cuboid: some dozens of nuclei where they are crowded, a few minutes' work."""
_NEIGHBOURS = 2
"""Frames before and after a proposal in which the same place is not proposed again: the same nuclei are there."""
_CERTAIN = 1e-6


@dataclass(frozen=True, slots=True)
class Proposal:
    """A part of one frame that is worth annotating.

    Parameters
    ----------
    box
        The cuboid, one frame long, in voxels of the image.
    n_unsure
        Candidates in it that the network is unsure of.
    n_candidates
        Candidates in it in all.
    sentence
        Where it is and why it is proposed.
    """

    box: Box
    n_unsure: int
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
    unsure = doubt > 0
    if not unsure.any():
        return ()
    edges = _edges(candidates, shape_tzyx, spacing, size_um)
    places = _Places.of(candidates.positions[unsure], doubt[unsure], edges)
    found: list[Proposal] = []
    while len(found) < n and (box := places.best(shape_tzyx)) is not None:
        near = Box((box.t[0] - _NEIGHBOURS, box.t[1] + _NEIGHBOURS), box.z, box.y, box.x)
        if not any(near.intersection(other.box) for other in found):
            inside = box.contains(candidates.positions)
            found.append(_proposal(box, candidates.probability[inside], unsure[inside], spacing, threshold))
        places.forget(near)
    return tuple(found)


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
    for box in exclude:
        rows &= ~box.contains(candidates.positions)
    return candidates.select(rows)


def _edges(
    candidates: Annotations, shape_tzyx: Sequence[int], spacing: Spacing, size_um: Sequence[float] | None
) -> npt.NDArray[np.int64]:
    """Edges (z, y, x) of a cuboid in voxels, not larger than the image."""
    shape = np.array(shape_tzyx[1:])
    if size_um is None:
        known = candidates.radius_um[np.isfinite(candidates.radius_um)]
        # without a radius, an eighth of the image is a guess as good as any
        diameter = 2 * float(np.median(known)) if len(known) else float((shape * spacing.um)[1:].min()) / 12
        size_um = [d * diameter for d in _SIZE_DIAMETERS]
    wanted = np.maximum(1, np.rint(np.asarray(size_um, dtype=float) / spacing.um)).astype(np.int64)
    edges: npt.NDArray[np.int64] = np.minimum(wanted, shape)
    return edges


def _proposal(
    box: Box, probability: npt.NDArray[np.float64], unsure: npt.NDArray[np.bool_], spacing: Spacing, threshold: float
) -> Proposal:
    n, total = int(unsure.sum()), len(unsure)
    z, y, x = ((low + high - 1) / 2 for low, high in box.ranges[1:])
    size = " × ".join(f"{edge * um:.0f}" for edge, um in zip(box.shape[1:], spacing.zyx, strict=True))
    what = f"{n} of {total} candidates are" if total > 1 else "the only candidate is"
    doubtful = probability[unsure]
    span = f"{doubtful.min():.2f} to {doubtful.max():.2f}" if n > 1 else f"{doubtful.max():.2f}"
    sentence = (
        f"Frame {box.t[0]}, around z {z:.0f}, y {y:.0f}, x {x:.0f} ({size} µm): {what} unsure (probability {span}; "
        f"the threshold is {threshold:.2f})."
    )
    return Proposal(box, n, total, sentence)
