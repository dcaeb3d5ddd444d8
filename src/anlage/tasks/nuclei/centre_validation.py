"""Validation of the nuclei task: whole held-out frames, found and matched as in prediction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from anlage.calibration import Calibration, choose_threshold, expected_calibration_error, fit_platt
from anlage.matching import match
from anlage.tasks.baselines import DetectionCounts, at_cells, blob_baseline, known_cells, right_cells
from anlage.tasks.nuclei.centres import LOWEST, Detections, centre_loss, centre_target, decode_centres
from anlage.tasks.nuclei.config import N_CENTRE, NucleiPlan
from anlage.tasks.nuclei.examples import NucleiExamples, WorkingFrames
from anlage.tasks.task import Evidence, Validation
from anlage.tasks.tiled import network_output

__all__ = [
    "FAINTEST",
    "FEW",
    "MOST_VOXELS",
    "FrameMatch",
    "Matched",
    "average_precision",
    "best_f1",
    "calibration_error",
    "chosen",
    "finish",
    "match_output",
    "together",
    "validate",
]

FAINTEST = 0.005
"""Calibration also looks at candidates as faint as this: they are the background that it tells nuclei from."""

FEW = 30
"""Held-out nuclei below which the calibration also looks at the nuclei trained on."""
MANY = 20
"""Candidates from which a calibration error is worth telling."""
MOST_VOXELS = 4_000_000
"""Working voxels looked at in one validation; of more, evenly spaced frames are taken."""


@dataclass(frozen=True, slots=True)
class Matched:
    """Candidates of held-out frames, and which of them are right."""

    logits: npt.NDArray[np.float64]
    right: npt.NDArray[np.bool_]
    error_um: npt.NDArray[np.float64]
    """Distance to the true centre in µm; NaN for wrong candidates."""
    n_truth: int
    loss: float


def validate(network: torch.nn.Module, examples: NucleiExamples) -> Validation:
    """Average precision of the candidates; ties are decided by the loss."""
    matched = _match_frames(network, examples, examples.validation, every=MOST_VOXELS)
    precision = average_precision(matched)
    error = float(np.median(matched.error_um[matched.right])) if matched.right.any() else float("nan")
    f1 = best_f1(matched)
    return Validation(
        loss=matched.loss,
        score=precision - 0.05 * min(matched.loss, 1.0),
        metrics={"average_precision": precision, "best_f1": f1, "centre_error_um": error},
        n=matched.n_truth,
    )


def finish(network: torch.nn.Module, examples: NucleiExamples) -> Evidence:
    """Calibrate on the held-out frames and choose the threshold there; the scores are of held-out frames alone.

    A soft heat-map says about 0.4 of a certain nucleus, so an uncalibrated threshold would lose most of them. Where too
    few nuclei were held out to calibrate, those trained on are looked at as well.
    """
    matched = _match_frames(network, examples, examples.validation, every=4 * MOST_VOXELS, lowest=FAINTEST)
    seen = matched
    if matched.n_truth < FEW:
        trained_on = _match_frames(network, examples, examples.train, every=4 * MOST_VOXELS, lowest=FAINTEST)
        seen = together([matched, trained_on])
    calibration = fit_platt(seen.logits, seen.right) if len(seen.logits) else Calibration()
    threshold = choose_threshold(calibration.apply(seen.logits), seen.right, seen.n_truth)
    probability = calibration.apply(matched.logits)
    reported = probability >= threshold
    tp = int((reported & matched.right).sum())
    fp, fn = int(reported.sum()) - tp, matched.n_truth - tp
    errors = matched.error_um[reported & matched.right]
    metrics = {
        "f1": 2 * tp / max(2 * tp + fp + fn, 1),
        "precision": tp / max(tp + fp, 1),
        "recall": tp / max(tp + fn, 1),
        "tp": float(tp), "fp": float(fp), "fn": float(fn),
        "average_precision": average_precision(matched),
        "match_radius_um": examples.plan.match_radius_um,
    }  # fmt: skip
    if len(errors):
        metrics["median_error_um"] = float(np.median(errors))
    plausible = probability >= LOWEST  # nobody needs to know how sure it is of the background
    return Evidence(
        held_out=examples.held_out,
        n_positive=matched.n_truth,
        metrics=metrics,
        threshold=threshold,
        calibration=calibration,
        ece=calibration_error(probability[plausible], matched.right[plausible]),
        baseline=blob_baseline(
            chosen(examples.validation, 4 * MOST_VOXELS), examples.plan, DetectionCounts(tp, fp, fn)
        ),
    )


def calibration_error(probability: npt.NDArray[np.float64], right: npt.NDArray[np.bool_]) -> float | None:
    """Expected calibration error; None of too few candidates."""
    return expected_calibration_error(probability, right) if len(probability) >= MANY else None


def _match_frames(
    network: torch.nn.Module,
    examples: NucleiExamples,
    parts: tuple[WorkingFrames, ...],
    *,
    every: int,
    lowest: float = LOWEST,
) -> Matched:
    return together([_match_frame(network, frames, t, examples, lowest) for frames, t in chosen(parts, every)])


def together(parts: Sequence[Matched]) -> Matched:
    """The candidates of several frames."""
    return Matched(
        np.concatenate([p.logits for p in parts]),
        np.concatenate([p.right for p in parts]),
        np.concatenate([p.error_um for p in parts]),
        sum(p.n_truth for p in parts),
        float(np.mean([p.loss for p in parts])),
    )


def chosen(parts: tuple[WorkingFrames, ...], most: int) -> list[tuple[WorkingFrames, int]]:
    """Frames to look at, evenly spaced if there are more than fit."""
    every = [(frames, t) for frames in parts for t in frames.frames]
    voxels = sum(float(np.prod(frames.shape_zyx)) for frames, _ in every)
    n = max(1, min(len(every), int(len(every) * most / max(voxels, 1))))
    return [every[int(i)] for i in np.linspace(0, len(every) - 1, n).round()]


def _match_frame(
    network: torch.nn.Module, frames: WorkingFrames, t: int, examples: NucleiExamples, lowest: float
) -> Matched:
    plan: NucleiPlan = examples.plan
    image = torch.from_numpy(frames.stack(t, plan.frames).astype(np.float32))
    output = network_output(network, image, plan.grid, examples.setting.device)
    return match_output(output, frames, t, plan, lowest).counted


@dataclass(frozen=True, slots=True)
class FrameMatch:
    """All candidates of one frame, and which of them are right and count."""

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
    """Candidates in a network's output (K, Z, Y, X) for one frame, matched with the truth."""
    stem = np.array(plan.grid.stem)
    known = known_cells(frames.known[t], output.shape[1:], stem)
    found = decode_centres(output[0], output[1:4], plan.grid.cell_diameters, lowest=lowest)
    um = plan.grid.cell_diameters * frames.unit_um
    right, counts, truth = right_cells(found.cells, frames, t, plan, known)
    pairs, distance = match(found.cells[right] * um, truth * um, plan.match_radius_um)
    error = np.full(len(found.cells), np.nan)
    error[right] = distance
    missed = np.setdiff1d(np.arange(len(truth)), pairs[:, 1])
    n_truth = int(right.sum() + at_cells(known, truth[missed]).sum())
    return FrameMatch(found, right, counts, error, n_truth, _loss(output[:N_CENTRE], truth, known, plan))


def _loss(
    output: npt.NDArray[np.float32], truth: npt.NDArray[np.float64], known: npt.NDArray[np.bool_], plan: NucleiPlan
) -> float:
    centres = [torch.from_numpy(truth.astype(np.float32))]
    heat, offset = centre_target(centres, output.shape[1:], plan.grid.cell_diameters.tolist(), plan.sigma)
    weight = torch.from_numpy(known[None, None].astype(np.float32))
    parts = centre_loss(torch.from_numpy(output[None]), heat, offset, weight)
    return float(parts["heat"] + parts["offset"])


def _curve(matched: Matched) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Precision and recall as more and more candidates are reported, the most likely first."""
    order = np.argsort(-matched.logits, kind="stable")
    hits = np.cumsum(matched.right[order])
    return hits / np.arange(1, len(hits) + 1), hits / max(matched.n_truth, 1)


def average_precision(matched: Matched) -> float:
    """Average precision over all thresholds."""
    precision, recall = _curve(matched)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float((np.diff(recall, prepend=0.0) * envelope).sum())


def best_f1(matched: Matched) -> float:
    """Best F1 over all thresholds."""
    precision, recall = _curve(matched)
    if len(precision) == 0 or not matched.right.any():
        return 0.0
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    return float(f1.max())
