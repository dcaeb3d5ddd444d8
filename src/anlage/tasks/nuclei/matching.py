"""Detections of a network in held-out frames, matched with the true centres."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from anlage.matching import match, match_in_order
from anlage.tasks.nuclei.centre_loss import centre_loss, centre_target
from anlage.tasks.nuclei.config import NucleiPlan
from anlage.tasks.nuclei.detections import Detections, decode_centres
from anlage.tasks.nuclei.head import N_CENTRE
from anlage.tasks.nuclei.working_frames import WorkingFrames

__all__ = [
    "FrameMatch", "Matched", "known_cells", "match_output", "right_cells", "together",
    "values_at",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Matched:
    """Detections of held-out frames, and which of them are right."""

    logits: npt.NDArray[np.float64]
    right: npt.NDArray[np.bool_]
    error_um: npt.NDArray[np.float64]
    """Distance to the true centre in µm; NaN for wrong ones."""
    n_truth: int
    loss: float

    @property
    def ranked(self) -> npt.NDArray[np.bool_]:
        """(N,) whether each is right, the most likely first."""
        return self.right[np.argsort(-self.logits, kind="stable")]


@dataclass(frozen=True, slots=True)
class FrameMatch:
    """All detections of one frame, and which of them are right and count."""

    found: Detections
    right: npt.NDArray[np.bool_]
    counts: npt.NDArray[np.bool_]
    error_um: npt.NDArray[np.float64]
    n_truth: int
    loss: float

    @property
    def counted(self) -> Matched:
        """Those that count."""
        kept = self.counts
        return Matched(self.found.logits[kept], self.right[kept], self.error_um[kept], self.n_truth, self.loss)


def match_output(
    output: npt.NDArray[np.float32], frames: WorkingFrames, t: int, plan: NucleiPlan, lowest: float
) -> FrameMatch:
    """Detections in a network's output (K, Z, Y, X) for one frame, matched with the truth."""
    stem = np.array(plan.grid.stem)
    known = known_cells(frames.known[t], output.shape[1:], stem)
    found = decode_centres(output[0], output[1:4], plan.grid.cell_diameters, lowest=lowest)
    um = plan.grid.cell_diameters * frames.unit_um
    right, counts, truth = right_cells(found.cells, frames, t, plan, known)
    pairs, distance = match(found.cells[right] * um, truth * um, plan.match_radius_um)
    error = np.full(len(found.cells), np.nan)
    error[right] = distance
    missed = np.setdiff1d(np.arange(len(truth)), pairs[:, 1])
    n_truth = int(right.sum() + values_at(known, truth[missed]).sum())
    return FrameMatch(found, right, counts, error, n_truth, _loss(output[:N_CENTRE], truth, known, plan))


def together(parts: Sequence[Matched]) -> Matched:
    """The detections of several frames."""
    return Matched(
        np.concatenate([p.logits for p in parts]),
        np.concatenate([p.right for p in parts]),
        np.concatenate([p.error_um for p in parts]),
        sum(p.n_truth for p in parts),
        float(np.mean([p.loss for p in parts])),
    )


def right_cells(
    cells: npt.NDArray[np.float64], frames: WorkingFrames, t: int, plan: NucleiPlan, known: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
    """Which centres in cells (N, 3), the most likely first, are right and count; and the true ones (M, 3) in cells.

    A centre counts that is right, or lies where annotation is complete: `known`, (Z, Y, X) cells.
    """
    truth = (frames.centres[t] + 0.5) / np.array(plan.grid.stem) - 0.5
    um = plan.grid.cell_diameters * frames.unit_um
    # the likelier first, as any threshold will have it: a faint detection takes no nucleus from a bright one beside it
    right = match_in_order(cells * um, truth * um, plan.match_radius_um)
    return right, right | values_at(known, cells), truth


def values_at(mask: npt.NDArray[np.bool_], cells: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Value of a mask (Z, Y, X) at the cells (N, 3) nearest to these places."""
    index = np.clip(np.rint(cells).astype(int), 0, np.array(mask.shape) - 1)
    result: npt.NDArray[np.bool_] = mask[tuple(index.T)]
    return result


def known_cells(
    known: npt.NDArray[np.uint8], shape: tuple[int, ...], stem: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    """Cells (Z, Y, X) more than half of whose working voxels are known."""
    pads = [(0, int(n * s - k)) for n, s, k in zip(shape, stem, known.shape, strict=True)]
    blocks = np.pad(known, pads, mode="edge").reshape([v for n, s in zip(shape, stem, strict=True) for v in (n, s)])
    result: npt.NDArray[np.bool_] = blocks.mean(axis=(1, 3, 5)) > 0.5
    return result


def _loss(
    output: npt.NDArray[np.float32], truth: npt.NDArray[np.float64], known: npt.NDArray[np.bool_], plan: NucleiPlan
) -> float:
    centres = [torch.from_numpy(truth.astype(np.float32))]
    heat, offset = centre_target(centres, output.shape[1:], plan.grid.cell_diameters.tolist(), plan.sigma)
    weight = torch.from_numpy(known[None, None].astype(np.float32))
    parts = centre_loss(torch.from_numpy(output[None]), heat, offset, weight)
    return float(parts["heat"] + parts["offset"])
