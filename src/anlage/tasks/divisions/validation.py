"""Validation of the divisions task: held-out nuclei whose future is known, asked one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from anlage.calibration import Answers, Calibration, choose_threshold, expected_calibration_error, fit_platt
from anlage.tasks.baselines import chance_baseline
from anlage.tasks.counts import Counts, largest_standard_error
from anlage.tasks.divisions.examples import CropFrames, DivisionExamples
from anlage.tasks.divisions.matching import find_divisions, match_events
from anlage.tasks.ranking import average_precision, best_f1
from anlage.tasks.task import Evidence, Validation

__all__ = ["finish", "logits_of", "validate"]

FEW = 10
"""Held-out divisions below which the calibration is fitted to those trained on, too."""
MANY = 20
"""Nuclei of some likelihood from which a calibration error is given."""
PLAUSIBLE = 0.02
"""Nuclei less likely to divide than this do not count in the calibration error: there are thousands of them."""
MOST = 3000
"""Nuclei of one validation; of more, evenly spaced ones of those far from any division are taken."""
_AT_ONCE = 128


@dataclass(frozen=True, slots=True)
class _Scored:
    """Nuclei with their logits, and the divisions made of them."""

    logits: npt.NDArray[np.float64]
    divides: npt.NDArray[np.bool_]
    event: npt.NDArray[np.bool_]
    """Whether the nucleus speaks for a division: it is the likeliest around."""
    right: npt.NDArray[np.bool_]
    """Whether that division is true, at most a frame early or late."""
    in_frame: npt.NDArray[np.bool_]
    """Whether it is true in the very frame."""

    @property
    def n_truth(self) -> int:
        return int(self.divides.sum())

    @property
    def ranked(self) -> npt.NDArray[np.bool_]:
        """(N,) whether each division that is spoken for is true, the most likely first."""
        rows = np.flatnonzero(self.event)
        return self.right[rows[np.argsort(-self.logits[rows], kind="stable")]]


def validate(network: torch.nn.Module, examples: DivisionExamples) -> Validation:
    """Average precision of divisions to within a frame; ties are decided by the loss."""
    scored = _score(network, examples, examples.validation, most=MOST)
    precision = average_precision(scored.ranked, scored.n_truth)
    loss = _balanced_loss(scored)
    return Validation(
        loss=loss,
        score=precision - 0.05 * min(loss, 1.0),
        metrics={"average_precision": precision, "best_f1": best_f1(scored.ranked, scored.n_truth)},
        n=scored.n_truth,
        tie=largest_standard_error(scored.n_truth),
    )


def finish(network: torch.nn.Module, examples: DivisionExamples) -> Evidence:
    """Calibrate on all held-out nuclei, rare as divisions are among them, and choose the threshold there.

    Training shows as many divisions as other nuclei, so an uncalibrated probability is far too high. Where too few
    divisions were held out to mend that, those trained on are taken as well; the scores are of held-out ones alone.
    """
    held = _score(network, examples, examples.validation)
    seen = held
    if held.n_truth < FEW and examples.validation is not examples.train:
        seen = _together([held, _score(network, examples, examples.train)])
    calibration = fit_platt(seen.logits, seen.divides) if len(seen.logits) else Calibration()
    threshold = choose_threshold(calibration.apply(seen.logits[seen.event]), seen.right[seen.event], seen.n_truth)
    probability = calibration.apply(held.logits)
    plausible = probability >= PLAUSIBLE
    enough = held.n_truth >= FEW and plausible.sum() >= MANY
    return Evidence(
        held_out=examples.held_out,
        n_positive=held.n_truth,
        metrics=_metrics(held, probability >= threshold, examples.plan.match_radius_um),
        threshold=threshold,
        calibration=calibration,
        ece=expected_calibration_error(probability[plausible], held.divides[plausible]) if enough else None,
        answers=Answers.of(probability, held.divides),
        baseline=chance_baseline(
            "average precision of divisions",
            average_precision(held.ranked, held.n_truth),
            held.n_truth,
            len(held.divides) - held.n_truth,
        ),
    )


def logits_of(network: torch.nn.Module, crops: npt.NDArray[np.float32], device: str) -> npt.NDArray[np.float64]:
    """The network's answers for crops (N, F·C, Z, Y, X): (N,) logits."""
    found = [np.zeros(0)]
    with torch.inference_mode():
        for start in range(0, len(crops), _AT_ONCE):
            piece = torch.from_numpy(crops[start : start + _AT_ONCE]).to(device)
            piece = piece.contiguous(memory_format=torch.channels_last_3d)
            found.append(network(piece).float().cpu().numpy().astype(np.float64))
    return np.concatenate(found)


def _metrics(held: _Scored, likely: npt.NDArray[np.bool_], radius_um: float) -> dict[str, float]:
    reported = held.event & likely
    tp = int((reported & held.right).sum())
    counts = Counts(tp, int(reported.sum()) - tp, held.n_truth - tp)
    return {
        **counts.metrics,
        "in_frame": int((reported & held.in_frame).sum()) / max(tp, 1),
        "average_precision": average_precision(held.ranked, held.n_truth),
        "n_others": float(len(held.divides) - held.n_truth),
        "match_radius_um": radius_um,
    }


def _score(
    network: torch.nn.Module, examples: DivisionExamples, parts: Sequence[CropFrames], *, most: int | None = None
) -> _Scored:
    n = sum(len(frames.known) for frames in parts)
    every = 1 if most is None else -(-n // most)
    return _together([_score_part(network, examples, frames, every) for frames in parts])


def _score_part(network: torch.nn.Module, examples: DivisionExamples, frames: CropFrames, every: int) -> _Scored:
    plan, known = examples.plan, frames.known
    rare = known.divides | known.hard
    chosen = np.flatnonzero(rare | (np.cumsum(~rare) % every == 0))
    pieces = [
        logits_of(network, frames.crops(rows, plan, plan.crop_zyx), examples.setting.device)
        for rows in np.split(chosen, np.arange(_AT_ONCE, len(chosen), _AT_ONCE))
        if len(rows)
    ]
    logits = np.concatenate([np.zeros(0), *pieces])
    at, points, divides = known.frames[chosen], known.points_um[chosen], known.divides[chosen]
    # monotone in the logit, as any calibration is
    events = find_divisions(at, points, 1 / (1 + np.exp(-logits)), plan.match_radius_um)
    truth = (at[divides], points[divides])
    is_event, right = np.zeros(len(chosen), dtype=bool), np.zeros(len(chosen), dtype=bool)
    is_event[events.rows] = True
    right[events.rows] = match_events((at[events.rows], points[events.rows]), truth, plan.match_radius_um)
    return _Scored(logits, divides, is_event, right, right & divides)


def _together(parts: Sequence[_Scored]) -> _Scored:
    if not parts:
        empty = np.zeros(0, dtype=bool)
        return _Scored(np.zeros(0), empty, empty, empty, empty)
    names = ("logits", "divides", "event", "right", "in_frame")
    return _Scored(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def _balanced_loss(scored: _Scored) -> float:
    """Cross-entropy, divisions and others counting alike however many there are."""
    sides = [np.logaddexp(0, -scored.logits[scored.divides]), np.logaddexp(0, scored.logits[~scored.divides])]
    return float(np.mean([side.mean() for side in sides if len(side)])) if any(map(len, sides)) else 0.0
