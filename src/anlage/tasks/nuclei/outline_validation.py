"""Validation of outlines: whole held-out frames on the working grid, decoded and matched as in prediction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from anlage.calibration import Answers, Calibration, fit_platt
from anlage.overlaps import Overlaps
from anlage.tasks.counts import Counts, largest_standard_error
from anlage.tasks.nuclei.blob_baseline import blob_baseline
from anlage.tasks.nuclei.centre_validation import FAINTEST, FEW, calibration_error
from anlage.tasks.nuclei.detections import LOWEST
from anlage.tasks.nuclei.examples import NucleiExamples
from anlage.tasks.nuclei.head import N_CENTRE
from anlage.tasks.nuclei.matching import FrameMatch, match_output, together
from anlage.tasks.nuclei.votes import assign_to_seeds
from anlage.tasks.nuclei.working_frames import MOST_VOXELS, WorkingFrames, evenly_spaced
from anlage.tasks.ranking import average_precision
from anlage.tasks.task import Evidence, Validation
from anlage.tasks.tiled import network_output, voxel_outputs

__all__ = ["finish", "validate"]

OVERLAPS = (0.5, 0.6, 0.7, 0.8, 0.9)
"""Intersections over union from which an object counts as found, for the score."""
INSIDE = (0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7)
"""Probabilities of being inside among which the threshold is chosen."""
SEEDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Probabilities of being an object among which the threshold is chosen."""
LUCK = 0.5
"""Part of the largest standard error by which two thresholds may differ by luck: both are judged on the same objects."""


@dataclass(frozen=True, slots=True)
class _PredictedFrame:
    """What the network says of one frame, and the truth, on the working grid."""

    match: FrameMatch
    inside: npt.NDArray[np.float16]
    """(Z, Y, X) logits."""
    votes: npt.NDArray[np.float16]
    truth: npt.NDArray[np.int32]
    """(Z, Y, X): objects from 1 on; one value more stands for what is unknown."""
    unknown: int
    stem: tuple[int, int, int]
    cell_diameters: npt.NDArray[np.float64]

    def objects(self, seed: float, inside: float) -> npt.NDArray[np.int32]:
        """Decode from these logits on: 1 + row of the detection, (Z, Y, X)."""
        found = self.match.found
        at = [(np.arange(n) + 0.5) / s - 0.5 for n, s in zip(self.inside.shape, self.stem, strict=True)]
        seeds = found.cells[found.logits >= seed]  # the most likely come first
        return assign_to_seeds(self.inside >= inside, self.votes, at, seeds, self.cell_diameters)

    def overlaps(self, seed: float, inside: float) -> Overlaps:
        """How the decoded objects lie on the true ones; what is unknown is neither right nor wrong."""
        every = Overlaps.of(self.truth, self.objects(seed, inside))
        return every.without(every.truth == self.unknown, cut=True)


def validate(network: torch.nn.Module, examples: NucleiExamples) -> Validation:
    """Mean F1 over overlaps of 0.5 to 0.9, with the seeds that are best for centres.

    Of scores that differ by no more than luck would have it, the later weights are kept.
    """
    held_out = _predict(network, examples, examples.validation, MOST_VOXELS, LOWEST)
    matched = together([frame.match.counted for frame in held_out])
    seed = _best_seed(held_out)
    found = [frame.overlaps(seed, 0.0) for frame in held_out]
    mean = _mean_f1(found)
    return Validation(
        loss=matched.loss,
        score=mean - 0.05 * min(matched.loss, 1.0),
        metrics={
            "mean_f1": mean,
            "f1": _f1(found, 0.5),
            "average_precision": average_precision(matched.ranked, matched.n_truth),
        },
        n=matched.n_truth,
        tie=largest_standard_error(matched.n_truth),
    )


def finish(network: torch.nn.Module, examples: NucleiExamples) -> Evidence:
    """Choose both thresholds on the held-out frames and calibrate there; the scores are of held-out frames alone.

    Best is the highest sum of mean F1 and SEG: F1 alone would leave out every doubtful object, but one that is wrong goes with
    a click, and one that is missing has to be painted. Where an outline lies is partly a habit of who painted it, so its threshold is chosen on as many training frames as well:
    a single movie held out would impose its habit on all.
    """
    held_out = _predict(network, examples, examples.validation, 4 * MOST_VOXELS, FAINTEST)
    seen = held_out
    if sum(frame.match.n_truth for frame in held_out) < FEW:
        seen = [*held_out, *_predict(network, examples, examples.train, 4 * MOST_VOXELS, FAINTEST)]
    seed = _best_seed(seen)
    painted = seen
    if seen is held_out:
        painted = [*held_out, *_predict(network, examples, examples.train, _voxels(held_out), FAINTEST)]
    inside = _nearest_good(INSIDE, lambda p: [frame.overlaps(seed, _logit(p)) for frame in painted])
    right = [_right(frame, seed, _logit(inside)) for frame in seen]
    logits = np.concatenate([frame.match.found.logits[frame.match.counts] for frame in seen])
    calibration = fit_platt(logits, np.concatenate(right)) if len(logits) else Calibration()
    threshold = _nearest_good(
        SEEDS, lambda p: [frame.overlaps(_uncalibrated(calibration, p), _logit(inside)) for frame in seen]
    )
    seed = _uncalibrated(calibration, threshold)
    found = [frame.overlaps(seed, _logit(inside)) for frame in held_out]
    tp = sum(len(one.matched(0.5)) for one in found)
    counts = Counts(tp, sum(len(one.predicted) for one in found) - tp, sum(len(one.truth) for one in found) - tp)
    held = [_right(frame, seed, _logit(inside)) for frame in held_out]
    matched = together([frame.match.counted for frame in held_out])
    probability = calibration.apply(matched.logits)
    plausible = probability >= LOWEST
    metrics = {
        **counts.metrics,
        "mean_f1": _mean_f1(found),
        "ap50": _ap(found, 0.5), "ap75": _ap(found, 0.75),
        "seg": _seg(found),
        "average_precision": average_precision(matched.ranked, matched.n_truth),
    }  # fmt: skip
    return Evidence(
        held_out=examples.held_out,
        n_positive=counts.tp + counts.fn,
        metrics=metrics,
        threshold=threshold,
        thresholds={"inside": inside},
        calibration=calibration,
        ece=calibration_error(probability[plausible], np.concatenate(held)[plausible]),
        answers=Answers.of(probability, np.concatenate(held), counts.tp + counts.fn),
        baseline=blob_baseline(
            evenly_spaced(examples.validation, 4 * MOST_VOXELS), examples.plan, _centres(held_out, seed)
        ),
    )


def _nearest_good(thresholds: Sequence[float], overlaps: Callable[[float], list[Overlaps]]) -> float:
    """The threshold nearest to 0.5 of those that are as good as the best one, but for what may be luck with so many objects."""
    order = sorted(thresholds, key=lambda p: abs(p - 0.5))
    found = [overlaps(p) for p in order]
    quality = [_quality(one) for one in found]
    n_objects = sum(len(one.truth) for one in found[0])
    least = max(quality) - LUCK * largest_standard_error(n_objects)
    return next(p for p, value in zip(order, quality, strict=True) if value >= least)


def _centres(frames: Sequence[_PredictedFrame], seed: float) -> Counts:
    """How many nuclei have a seed near their centre: what a detector of points can be measured by, too."""
    matched = together([frame.match.counted for frame in frames])
    reported = matched.logits >= seed
    tp = int((reported & matched.right).sum())
    return Counts(tp, int(reported.sum()) - tp, matched.n_truth - tp)


def _predict(
    network: torch.nn.Module, examples: NucleiExamples, parts: tuple[WorkingFrames, ...], most: int, lowest: float
) -> list[_PredictedFrame]:
    return [_predict_frame(network, frames, t, examples, lowest) for frames, t in evenly_spaced(parts, most)]


def _voxels(frames: Sequence[_PredictedFrame]) -> int:
    return sum(frame.truth.size for frame in frames)


def _predict_frame(
    network: torch.nn.Module, frames: WorkingFrames, t: int, examples: NucleiExamples, lowest: float
) -> _PredictedFrame:
    plan = examples.plan
    image = torch.from_numpy(frames.stack(t, plan.frames).astype(np.float32))
    output = network_output(network, image, plan.grid, examples.setting.device)
    fine = voxel_outputs(output, plan.grid.stem, frames.shape_zyx, skip=N_CENTRE).astype(np.float16)
    truth, unknown = _truth(frames, t)
    match = match_output(output, frames, t, plan, lowest)
    return _PredictedFrame(match, fine[0], fine[1:4], truth, unknown, plan.grid.stem, plan.grid.cell_diameters)


def _truth(frames: WorkingFrames, t: int) -> tuple[npt.NDArray[np.int32], int]:
    """Objects, and the value that stands for what is unknown."""
    assert frames.paint is not None  # noqa: S101  (the preparation of this head makes it)
    values = np.asarray(frames.paint.values[t])
    unknown = int(values.max(initial=0)) + 1
    known = (frames.known[t] > 0) & (frames.paint.known[t] > 0)
    return np.where(known & (values >= 0), values, unknown), unknown


def _right(frame: _PredictedFrame, seed: float, inside: float) -> npt.NDArray[np.bool_]:
    """Which detections that count are right: near a true centre and, where they are reported, on that object."""
    match = frame.match
    found = Overlaps.of(frame.truth, frame.objects(seed, inside))
    on = np.zeros(len(match.found.logits), dtype=bool)
    rows = found.pairs[found.matched(0.5), 1]
    on[found.predicted[rows] - 1] = True
    reported = match.found.logits >= seed
    return (match.right & (on | ~reported))[match.counts]


def _best_seed(frames: Sequence[_PredictedFrame]) -> float:
    """Logit from which on detections are the best centres."""
    matched = together([frame.match.counted for frame in frames])
    if not matched.right.any():
        return 0.0
    order = np.argsort(-matched.logits, kind="stable")
    hits = np.cumsum(matched.right[order])
    f1 = 2 * hits / (np.arange(1, len(hits) + 1) + max(matched.n_truth, 1))
    return float(matched.logits[order][int(np.argmax(f1))])


def _f1(found: Sequence[Overlaps], least: float) -> float:
    tp = sum(len(one.matched(least)) for one in found)
    return 2 * tp / max(1, sum(len(one.truth) + len(one.predicted) for one in found))


def _quality(found: Sequence[Overlaps]) -> float:
    return _mean_f1(found) + _seg(found)


def _mean_f1(found: Sequence[Overlaps]) -> float:
    return float(np.mean([_f1(found, least) for least in OVERLAPS]))


def _ap(found: Sequence[Overlaps], least: float) -> float:
    """Found, of all that are there or reported: TP / (TP + FP + FN)."""
    tp = sum(len(one.matched(least)) for one in found)
    return tp / max(1, sum(len(one.truth) + len(one.predicted) for one in found) - tp)


def _seg(found: Sequence[Overlaps]) -> float:
    """Mean over true objects of the overlap with the one that covers more than half of it (SEG of the Cell Tracking Challenge)."""
    scores = []
    for one in found:
        best = np.zeros(len(one.truth))
        covers = 2 * one.shared > one.truth_sizes[one.pairs[:, 0]]
        best[one.pairs[covers, 0]] = one.iou[covers]
        scores.append(best)
    every = np.concatenate(scores)
    return float(every.mean()) if len(every) else 0.0


def _logit(p: float) -> float:
    return float(np.log(p / (1 - p)))


def _uncalibrated(calibration: Calibration, p: float) -> float:
    """Logit of the network at which the calibrated probability is `p`."""
    return (_logit(p) - calibration.intercept) / calibration.slope
