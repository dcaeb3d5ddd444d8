"""What can be had without training, measured on what was held out from a network, by the network's own rule."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from anlage.axes import Spacing
from anlage.blobs import detect
from anlage.candidates import Candidates
from anlage.matching import match_in_order
from anlage.tasks.links.graph import Film
from anlage.tasks.nuclei.config import NucleiPlan
from anlage.tasks.nuclei.examples import WorkingFrames
from anlage.tasks.task import Baseline

__all__ = [
    "DetectionCounts", "Name", "at_cells", "blob_baseline", "chance_baseline", "known_cells", "link_misses", "right_cells", "share_baseline",
]  # fmt: skip


Name = Literal["the distance alone", "always the same class", "always the commonest class", "chance"]


@dataclass(frozen=True, slots=True)
class DetectionCounts:
    """How many of the nuclei were found, how many reports are wrong, how many nuclei were missed."""

    tp: int
    fp: int
    fn: int

    @property
    def f1(self) -> float:
        """2 tp / (2 tp + fp + fn); 0 where there was nothing to find and nothing was reported."""
        return 2 * self.tp / max(2 * self.tp + self.fp + self.fn, 1)

    def __add__(self, other: DetectionCounts) -> DetectionCounts:
        return DetectionCounts(self.tp + other.tp, self.fp + other.fp, self.fn + other.fn)


def blob_baseline(looks: Sequence[tuple[WorkingFrames, int]], plan: NucleiPlan, network: DetectionCounts) -> Baseline:
    """Let the blob detector find the nuclei of the frames that a network was measured on.

    Parameters
    ----------
    looks
        The frames, each a piece and its number there.
    plan
        Of the network: grid, nucleus diameter, and the distance in µm up to which a centre counts as found.
    network
        What the network found in them.
    """
    found = sum((_by_blobs(frames, t, plan) for frames, t in looks), DetectionCounts(0, 0, 0))
    return Baseline(
        name="the blob detector",
        measure=f"F1 of centres within {plan.match_radius_um:.2g} µm",
        score=found.f1,
        network=network.f1,
        n=network.tp + network.fn,
        counts={"tp": found.tp, "fp": found.fp, "fn": found.fn},
    )


def right_cells(
    cells: npt.NDArray[np.float64], frames: WorkingFrames, t: int, plan: NucleiPlan, known: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
    """Which centres in cells (N, 3), the most likely first, are right and count; and the true ones (M, 3) in cells.

    A centre counts that is right, or lies where annotation is complete: `known`, (Z, Y, X) cells.
    """
    truth = (frames.centres[t] + 0.5) / np.array(plan.grid.stem) - 0.5
    um = plan.grid.cell_diameters * frames.unit_um
    # the likelier first, as any threshold will have it: a faint candidate takes no nucleus from a bright one beside it
    right = match_in_order(cells * um, truth * um, plan.match_radius_um)
    return right, right | at_cells(known, cells), truth


def at_cells(mask: npt.NDArray[np.bool_], cells: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
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


def share_baseline(name: Name, measure: str, score: float, network: float, n: int) -> Baseline | None:
    """A baseline of two shares of the same `n` examples; None where either is not known."""
    if n <= 0 or not (math.isfinite(score) and math.isfinite(network)):
        return None
    return Baseline(name=name, measure=measure, score=_within(score), network=_within(network), n=n)


def chance_baseline(measure: str, network: float, n: int, n_others: int) -> Baseline | None:
    """What average precision chance has: the share of the wanted kind among all that were looked at."""
    if n_others <= 0:
        return None
    return share_baseline("chance", measure, n / (n + n_others), network, n)


def link_misses(film: Film, candidates: Candidates) -> npt.NDArray[np.float64]:
    """(E,) by how many nearest-neighbour distances each candidate misses where its nucleus is expected from its surroundings."""
    earlier, later = candidates.pairs.T
    expected = np.where(
        (candidates.steps == 1)[:, None], film.ahead.expected_um[earlier], film.over.expected_um[earlier]
    )
    missed = np.linalg.norm(film.points_um[later] - film.points_um[earlier] - expected, axis=1)
    # two frames on a nucleus is √2 times as far from where it is expected
    relative: npt.NDArray[np.float64] = missed / film.scale_um[earlier] / np.sqrt(candidates.steps)
    return relative


def _by_blobs(frames: WorkingFrames, t: int, plan: NucleiPlan) -> DetectionCounts:
    stem = np.array(plan.grid.stem)
    image = np.asarray(frames.image[t], dtype=np.float32).sum(axis=0)
    z, y, x = (np.array(frames.placement.step_zyx) * frames.store.spacing.um).tolist()
    # as the detector itself would measure them in the image, where that is known
    diameter_um = frames.unit_um * (plan.apparent_um or plan.diameter_um) / plan.diameter_um
    voxels, _ = detect(image, Spacing(z, y, x), diameter_um)
    cells = (voxels + 0.5) / stem - 0.5
    known = known_cells(frames.known[t], tuple(int(n) for n in -(-np.array(image.shape) // stem)), stem)
    right, counts, truth = right_cells(cells, frames, t, plan, known)
    n_truth = int(at_cells(known, truth).sum())
    tp = int(right.sum())
    return DetectionCounts(tp, int(counts.sum()) - tp, max(0, n_truth - tp))


def _within(share: float) -> float:
    return min(1.0, max(0.0, share))
