"""Validation of classes: every known voxel of held-out frames."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from anlage.calibration import Answers, Calibration, expected_calibration_error, fit_platt
from anlage.tasks.baselines import share_baseline
from anlage.tasks.nuclei.examples import NucleiExamples
from anlage.tasks.nuclei.working_frames import MOST_VOXELS, WorkingFrames, evenly_spaced
from anlage.tasks.task import Evidence, Validation
from anlage.tasks.tiled import network_output, voxel_outputs

__all__ = ["finish", "validate"]

_SAMPLED = 20_000
"""Voxels of each frame that the calibration is fitted to."""


def validate(network: torch.nn.Module, examples: NucleiExamples) -> Validation:
    """Mean Dice over the classes that are there."""
    counts = _Confusion(len(examples.plan.classes))
    for frames, t in evenly_spaced(examples.validation, MOST_VOXELS):
        counts.add(*_frame(network, frames, t, examples))
    dice = counts.dice
    mean = float(np.nanmean(dice)) if np.isfinite(dice).any() else 0.0
    return Validation(
        loss=counts.loss,
        score=mean - 0.05 * min(counts.loss, 1.0),
        metrics={"dice": mean, **_by_class(examples, dice)},
        n=counts.n_pieces(examples),
    )


def finish(network: torch.nn.Module, examples: NucleiExamples) -> Evidence:
    """Scores on held-out frames, and how far the probability of the likeliest class can be believed."""
    counts = _Confusion(len(examples.plan.classes))
    rng = np.random.default_rng(examples.setting.seed)
    margins, right = [], []
    for frames, t in evenly_spaced(examples.validation, 4 * MOST_VOXELS):
        logits, truth, known = _frame(network, frames, t, examples)
        counts.add(logits, truth, known)
        at = np.flatnonzero(known)
        at = rng.choice(at, _SAMPLED, replace=False) if len(at) > _SAMPLED else at
        flat = logits.reshape(len(logits), -1)[:, at]
        # logit of the likeliest class against all others
        top = flat.max(axis=0)
        others = np.where(flat == top, -np.inf, flat)
        margins.append(top - np.logaddexp.reduce(others, axis=0))
        right.append(flat.argmax(axis=0) == truth.reshape(-1)[at])
    margin, hit = np.concatenate(margins), np.concatenate(right)
    finite = np.isfinite(margin)
    calibration = fit_platt(margin[finite], hit[finite]) if finite.any() else Calibration()
    dice = counts.dice
    mean = float(np.nanmean(dice)) if np.isfinite(dice).any() else 0.0
    n = counts.n_pieces(examples)
    metrics = {
        "dice": mean,
        **_by_class(examples, dice),
        "accuracy": float(hit.mean()) if len(hit) else 0.0,
    }
    return Evidence(
        held_out=examples.held_out,
        n_positive=int(counts.truth.sum()),
        metrics=metrics,
        threshold=0.5,
        calibration=calibration,
        ece=expected_calibration_error(calibration.apply(margin[finite]), hit[finite]) if finite.sum() > 1 else None,
        answers=Answers.of(calibration.apply(margin[finite]), hit[finite]),
        n_of=dict.fromkeys(metrics, n),
        baseline=share_baseline("always the same class", "mean Dice of the classes", counts.constant_dice, mean, n),
    )


class _Confusion:
    """Voxels by class, over frames."""

    def __init__(self, n_classes: int) -> None:
        self.both, self.truth, self.said = (np.zeros(n_classes) for _ in range(3))
        self._loss, self._n = 0.0, 0

    def add(self, logits: npt.NDArray[np.float32], truth: npt.NDArray[np.int32], known: npt.NDArray[np.bool_]) -> None:
        """Count one frame, (K, Z, Y, X) and (Z, Y, X)."""
        if not known.any():
            return
        n = len(self.both)
        said, true = logits.argmax(axis=0)[known], truth[known]
        self.both += np.bincount(true[said == true], minlength=n)
        self.truth += np.bincount(true, minlength=n)
        self.said += np.bincount(said, minlength=n)
        error = functional.cross_entropy(torch.from_numpy(logits[:, known].T), torch.from_numpy(true).long())
        self._loss += float(error)
        self._n += 1

    def n_pieces(self, examples: NucleiExamples) -> int:
        """How many pieces as large as a nucleus the voxels fill: single voxels beside each other are no evidence of their own."""
        diameters = np.array(examples.plan.grid.voxel_diameters_zyx)
        share_of_one = np.prod(diameters[1:] if examples.plan.grid.flat else diameters)
        return math.ceil(float(self.truth.sum() * min(1.0, share_of_one)))

    @property
    def constant_dice(self) -> float:
        """Mean Dice of always answering with the class for which it is highest."""
        total, n = self.truth.sum(), int((self.truth > 0).sum())
        return float((2 * self.truth / (self.truth + total)).max() / n) if n else 0.0

    @property
    def loss(self) -> float:
        return self._loss / max(1, self._n)

    @property
    def dice(self) -> npt.NDArray[np.float64]:
        """Dice of each class; NaN where it is neither there nor said."""
        either = self.truth + self.said
        return np.where(either > 0, 2 * self.both / np.maximum(either, 1), np.nan)


def _frame(
    network: torch.nn.Module, frames: WorkingFrames, t: int, examples: NucleiExamples
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int32], npt.NDArray[np.bool_]]:
    """Logits (K, Z, Y, X), numbers of the painted classes (Z, Y, X), and where these are known."""
    plan = examples.plan
    image = torch.from_numpy(frames.stack(t, plan.frames).astype(np.float32))
    output = network_output(network, image, plan.grid, examples.setting.device)
    logits = voxel_outputs(output, plan.grid.stem, frames.shape_zyx, skip=0)
    assert frames.paint is not None  # noqa: S101  (the preparation of this head makes it)
    known = (frames.known[t] > 0) & (frames.paint.known[t] > 0)
    return np.ascontiguousarray(logits), np.asarray(frames.paint.values[t]), known


def _by_class(examples: NucleiExamples, dice: npt.NDArray[np.float64]) -> dict[str, float]:
    return {f"dice_{value}": float(d) for value, d in zip(examples.plan.classes, dice, strict=True) if np.isfinite(d)}
