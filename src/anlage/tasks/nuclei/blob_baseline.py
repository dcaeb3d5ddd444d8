"""What the blob detector, which needs no training, finds in the frames that were held out from a network."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from anlage.axes import Spacing
from anlage.blobs import detect
from anlage.tasks.counts import Counts
from anlage.tasks.nuclei.config import NucleiPlan
from anlage.tasks.nuclei.matching import known_cells, right_cells, values_at
from anlage.tasks.nuclei.working_frames import WorkingFrames
from anlage.tasks.task import Baseline

__all__ = ["blob_baseline"]


def blob_baseline(measured: Sequence[tuple[WorkingFrames, int]], plan: NucleiPlan, network: Counts) -> Baseline:
    """Let the blob detector find the nuclei of the frames that a network was measured on.

    Parameters
    ----------
    measured
        The frames, each a piece and its number there.
    plan
        Of the network: grid, nucleus diameter, and the distance in µm up to which a centre counts as found.
    network
        What the network found in them.
    """
    found = sum((_by_blobs(frames, t, plan) for frames, t in measured), Counts(0, 0, 0))
    return Baseline(
        name="the blob detector",
        measure=f"F1 of centres within {plan.match_radius_um:.2g} µm",
        score=found.f1,
        network=network.f1,
        n=network.tp + network.fn,
        counts={"tp": found.tp, "fp": found.fp, "fn": found.fn},
    )


def _by_blobs(frames: WorkingFrames, t: int, plan: NucleiPlan) -> Counts:
    stem = np.array(plan.grid.stem)
    image = np.asarray(frames.image[t][plan.leading_channel], dtype=np.float32)
    z, y, x = (np.array(frames.placement.step_zyx) * frames.store.spacing.um).tolist()
    # as the detector itself would measure them in the image, where that is known
    diameter_um = frames.unit_um * (plan.apparent_um or plan.diameter_um) / plan.diameter_um
    voxels, _ = detect(image, Spacing(z, y, x), diameter_um)
    cells = (voxels + 0.5) / stem - 0.5
    known = known_cells(frames.known[t], tuple(int(n) for n in -(-np.array(image.shape) // stem)), stem)
    right, counts, truth = right_cells(cells, frames, t, plan, known)
    n_truth = int(values_at(known, truth).sum())
    tp = int(right.sum())
    return Counts(tp, int(counts.sum()) - tp, max(0, n_truth - tp))
