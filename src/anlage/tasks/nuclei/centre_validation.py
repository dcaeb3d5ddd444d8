"""Validation of centres: whole held-out frames, found and matched as in prediction."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from anlage.calibration import Answers, Calibration, choose_threshold, expected_calibration_error, fit_platt
from anlage.tasks.counts import Counts, largest_standard_error
from anlage.tasks.nuclei.blob_baseline import blob_baseline
from anlage.tasks.nuclei.detections import LOWEST
from anlage.tasks.nuclei.examples import NucleiExamples
from anlage.tasks.nuclei.matching import Matched, match_output, together
from anlage.tasks.nuclei.working_frames import MOST_VOXELS, WorkingFrames, evenly_spaced
from anlage.tasks.ranking import average_precision, best_f1
from anlage.tasks.task import Evidence, Validation
from anlage.tasks.tiled import network_output

__all__ = ["FAINTEST", "FEW", "calibration_error", "finish", "validate"]

FAINTEST = 0.005
"""The calibration is fitted to detections as faint as this, too: they are the background that it distinguishes nuclei from."""

FEW = 30
"""Held-out nuclei below which the calibration is fitted to the nuclei trained on, too."""
MANY = 20
"""Detections from which a calibration error is given."""


def validate(network: torch.nn.Module, examples: NucleiExamples) -> Validation:
    """Average precision of the detections; of scores that differ by no more than luck would have it, the later weights are kept."""
    matched = _match_frames(network, examples, examples.validation, every=MOST_VOXELS)
    precision = average_precision(matched.ranked, matched.n_truth)
    error = float(np.median(matched.error_um[matched.right])) if matched.right.any() else float("nan")
    f1 = best_f1(matched.ranked, matched.n_truth)
    return Validation(
        loss=matched.loss,
        score=precision - 0.05 * min(matched.loss, 1.0),
        metrics={"average_precision": precision, "best_f1": f1, "centre_error_um": error},
        n=matched.n_truth,
        tie=largest_standard_error(matched.n_truth),
    )


def finish(network: torch.nn.Module, examples: NucleiExamples) -> Evidence:
    """Calibrate on the held-out frames and choose the threshold there; the scores are of held-out frames alone.

    A soft heat-map says about 0.4 of a certain nucleus, so an uncalibrated threshold would lose most of them. Where too
    few nuclei were held out to calibrate, those trained on are taken as well.
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
    counts = Counts(tp, int(reported.sum()) - tp, matched.n_truth - tp)
    errors = matched.error_um[reported & matched.right]
    metrics = {
        **counts.metrics,
        "average_precision": average_precision(matched.ranked, matched.n_truth),
        "match_radius_um": examples.plan.match_radius_um,
    }
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
        answers=Answers.of(probability, matched.right, matched.n_truth),
        baseline=blob_baseline(evenly_spaced(examples.validation, 4 * MOST_VOXELS), examples.plan, counts),
    )


def calibration_error(probability: npt.NDArray[np.float64], right: npt.NDArray[np.bool_]) -> float | None:
    """Expected calibration error; None of too few detections."""
    return expected_calibration_error(probability, right) if len(probability) >= MANY else None


def _match_frames(
    network: torch.nn.Module,
    examples: NucleiExamples,
    parts: tuple[WorkingFrames, ...],
    *,
    every: int,
    lowest: float = LOWEST,
) -> Matched:
    return together([_match_frame(network, frames, t, examples, lowest) for frames, t in evenly_spaced(parts, every)])


def _match_frame(
    network: torch.nn.Module, frames: WorkingFrames, t: int, examples: NucleiExamples, lowest: float
) -> Matched:
    plan = examples.plan
    image = torch.from_numpy(frames.stack(t, plan.frames).astype(np.float32))
    output = network_output(network, image, plan.grid, examples.setting.device)
    return match_output(output, frames, t, plan, lowest).counted
