"""Training data of the nuclei task on the working grid: pixels, centres, and what is painted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from anlage.axes import Box
from anlage.dataset.photons import Exposure, bleached
from anlage.dataset.store import Store
from anlage.tasks.grid import Placement, Zyx
from anlage.tasks.nuclei.config import NucleiPlan

if TYPE_CHECKING:
    import torch

__all__ = ["MOST_VOXELS", "UNSURE", "PaintedTargets", "Patches", "WorkingFrames", "evenly_spaced"]

UNSURE = -1
"""Stands for an object whose centre is unknown."""
SAMPLED = 8000
"""Values of a frame in which black and white of a bleached frame are measured."""
MOST_VOXELS = 4_000_000
"""Working voxels of one validation; of more, evenly spaced frames are taken."""


@dataclass(frozen=True)
class PaintedTargets:
    """The paint of some frames on the working grid.

    Parameters
    ----------
    values
        (T, Z, Y, X) int32. Objects: 1 + the row of the object's centre in that frame, `UNSURE` where the centre is
        unknown, 0 for background. Classes: the number of the class.
    inside
        (T, Z, Y, X) float16: the part of each working voxel that is painted.
    known
        (T, Z, Y, X) uint8: 1 where the paint, or its absence, counts.
    """

    values: npt.NDArray[np.int32]
    inside: npt.NDArray[np.float16]
    known: npt.NDArray[np.uint8]


@dataclass(frozen=True)
class WorkingFrames:
    """One cuboid of a store, or the part of it that counts, on the working grid.

    Parameters
    ----------
    box
        The piece, in voxels of the store, with the context around it.
    image
        (T, C, Z, Y, X) float16, normalised; on disk, read piece by piece.
    known
        (T, Z, Y, X) uint8: 1 where annotation counts for this part.
    centres
        For each frame (N, 3): true centres (z, y, x) in working voxels.
    frames
        Frames with something known, counted from the start of the box.
    placement
        How the grid lies in the box.
    unit_um
        Micrometres per nucleus diameter in this store.
    """

    store: Store
    box: Box
    image: npt.NDArray[np.float16]
    known: npt.NDArray[np.uint8]
    centres: tuple[npt.NDArray[np.float64], ...]
    frames: tuple[int, ...]
    placement: Placement
    unit_um: float
    paint: PaintedTargets | None = None
    """What is painted; None where the network does not learn it."""
    rejected: tuple[npt.NDArray[np.float64], ...] = ()
    """For each frame (N, 3): proposals (z, y, x) in working voxels that somebody rejected; empty where there are none at all."""
    exposure: Exposure | None = None
    """Show the frames as if a camera saw no more light than this; None as they are."""

    @property
    def shape_zyx(self) -> Zyx:
        z, y, x = self.image.shape[2:]
        return (z, y, x)

    @property
    def n_nuclei(self) -> int:
        return sum(len(self.centres[t]) for t in self.frames)

    @property
    def n_known(self) -> int:
        """Nuclei whose centres lie where something is known."""
        last = np.array(self.shape_zyx) - 1
        at = [(t, np.clip(np.rint(self.centres[t]), 0, last).astype(int)) for t in self.frames]
        return int(sum(self.known[t][tuple(voxels.T)].sum() for t, voxels in at))

    def stack(self, t: int, offsets: Sequence[int]) -> npt.NDArray[np.float16]:
        """The frame with its temporal context as channels: (len(offsets)·C, Z, Y, X); a missing frame is the last one there."""
        stacked = np.concatenate([self.image[i] for i in self._with_context(t, offsets)])
        if self.exposure is None:
            return stacked
        rng = np.random.default_rng(t)  # always the same noise for a frame
        return self.bleached(stacked.astype(np.float32), t, offsets, self.exposure, rng).astype(np.float16)

    def bleached(
        self,
        image: npt.NDArray[np.float32],
        t: int,
        offsets: Sequence[int],
        exposure: Exposure,
        rng: np.random.Generator,
    ) -> npt.NDArray[np.float32]:
        """A stack of frame `t`, or a piece of it however turned, (len(offsets)·C, Z, Y, X), as if so exposed."""
        # a working voxel is the mean of several voxels of the image, whose noise averages out
        averaged = float(np.prod(np.maximum(self.placement.step_zyx, 1)))
        at = rng.integers(np.prod(self.shape_zyx), size=SAMPLED)
        frames = [self.image[i].reshape(self.image.shape[1], -1) for i in self._with_context(t, offsets)]
        samples = np.concatenate([values[:, at] for values in frames]).astype(np.float32)
        return np.stack(
            [bleached(one, sample, exposure, averaged, rng) for one, sample in zip(image, samples, strict=True)]
        )

    def _with_context(self, t: int, offsets: Sequence[int]) -> list[int]:
        return [min(max(t + offset, 0), len(self.image) - 1) for offset in offsets]


@dataclass(frozen=True, slots=True)
class Patches:
    """Labels of the patches of one batch, turned and varied like their images; on the run's device unless said otherwise.

    Parameters
    ----------
    plan
        Of the network.
    points
        For each patch (N, 3): centres (z, y, x) in working voxels, on the CPU.
    known
        (B, 1, Z, Y, X): 1 where annotation counts, between 0 and 1 at its rim.
    values, inside, painted
        (B, 1, Z, Y, X): `PaintedTargets` of the patches, `painted` where its `known` is 1; None where nothing painted is learnt.
    """

    plan: NucleiPlan
    points: Sequence[torch.Tensor]
    known: torch.Tensor
    values: torch.Tensor | None = None
    inside: torch.Tensor | None = None
    painted: torch.Tensor | None = None


def evenly_spaced(parts: tuple[WorkingFrames, ...], most: int) -> list[tuple[WorkingFrames, int]]:
    """Annotated frames of these parts; evenly spaced ones if all have more than so many working voxels."""
    every = [(frames, t) for frames in parts for t in frames.frames]
    voxels = sum(float(np.prod(frames.shape_zyx)) for frames, _ in every)
    n = max(1, min(len(every), int(len(every) * most / max(voxels, 1))))
    return [every[int(i)] for i in np.linspace(0, len(every) - 1, n).round()]
