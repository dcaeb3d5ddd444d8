"""Detection scores: precision, recall and F1 of centres, paired one-to-one within a radius in µm."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import Field

from anlage.annotations import Annotations, State
from anlage.axes import Spacing
from anlage.calibration import f1_interval
from anlage.errors import AnlageError
from anlage.frozen import Frozen
from anlage.matching import match

__all__ = ["DetectionScore", "FrameScore", "score_detection"]

Count = Annotated[int, Field(ge=0)]


class FrameScore(Frozen):
    """Counts of one frame."""

    frame: int
    """The time point."""
    n_predicted: Count
    """Nuclei predicted there, without the ignored ones."""
    n_truth: Count
    """Nuclei in the truth there, without the ignored ones."""
    tp: Count
    """Predictions paired with a nucleus of the truth."""
    fp: Count
    """Predictions without a partner."""
    fn: Count
    """Nuclei of the truth without a partner."""
    f1: float | None
    """2 tp / (2 tp + fp + fn)."""
    median_error_um: float | None
    """Median distance of the pairs in µm; None without pairs."""


class DetectionScore(Frozen):
    """How well nuclei were found, over all scored frames together."""

    radius_um: float
    """Greatest distance of a pair in µm."""
    n_predicted: Count
    """Predictions that counted."""
    n_truth: Count
    """Nuclei of the truth that counted."""
    n_ignored: Count
    """Nuclei of the truth that were neither wanted nor wrong."""
    n_predicted_elsewhere: Count
    """Predictions in frames where nobody looked: without any truth, and not of a label image. They are not scored."""
    tp: Count
    """Predictions paired with a nucleus of the truth (true positives)."""
    fp: Count
    """Predictions without a partner (false positives)."""
    fn: Count
    """Nuclei of the truth without a partner (false negatives)."""
    precision: float | None
    """tp / (tp + fp): how much of what was predicted is right; None without predictions."""
    recall: float | None
    """tp / (tp + fn): how much of the truth was found; None without truth."""
    f1: float | None
    """2 tp / (2 tp + fp + fn); None where there was nothing to find and nothing was predicted."""
    f1_low: float | None
    """Lower end of the 95 % interval of F1 from the counts."""
    f1_high: float | None
    """Upper end of it."""
    median_error_um: float | None
    """Median distance between the centres of pairs in µm; None without pairs."""
    mean_error_um: float | None
    """Mean of it."""
    frames: tuple[FrameScore, ...]
    """Every scored frame."""


@dataclass(frozen=True, slots=True)
class _FramePairs:
    """One frame's pairs and what remained."""

    frame: int
    distances_um: npt.NDArray[np.float64]
    n_predicted: int
    n_truth: int


def score_detection(
    predicted: Annotations,
    truth: Annotations,
    spacing: Spacing,
    radius_um: float = 5.0,
    *,
    ignore: npt.NDArray[np.bool_] | None = None,
    frames: Iterable[int] = (),
) -> DetectionScore:
    """Score predicted nuclei against the truth, frame by frame.

    Only frames that hold truth (ignored nuclei included) are scored, since elsewhere nobody looked, unless `frames` says
    that somebody did. Rejected nuclei count on neither side.

    Parameters
    ----------
    predicted, truth
        Nuclei in voxels of the same image.
    spacing
        Voxel size of that image in µm.
    radius_um
        Greatest distance in µm between a prediction and the nucleus that it stands for.
    ignore
        (M,) nuclei of the truth that are neither wanted nor wrong. All others are paired first; predictions left over
        are then paired with these, and both vanish.
    frames
        Frames that were looked at, whether they hold truth or not: what is predicted in an empty one is wrong.

    Raises
    ------
    AnlageError
        If the radius is not a positive number or `ignore` does not fit the truth.
    """
    if not (math.isfinite(radius_um) and radius_um > 0):
        raise AnlageError(f"The radius for pairing is {radius_um} µm; it must be a positive number, for example 5.")
    aside = np.zeros(len(truth), dtype=bool) if ignore is None else np.asarray(ignore, dtype=bool)
    if aside.shape != (len(truth),):
        raise AnlageError(f"There are {len(truth)} nuclei in the truth but {aside.size} marks of which to ignore.")
    real = truth.state != State.REJECTED
    truth, aside = truth.select(real), aside[real]
    predicted = predicted.select(predicted.state != State.REJECTED)
    examined = np.union1d(truth.frames, np.array(list(frames), dtype=np.int64))
    scored = np.isin(predicted.frames, examined)
    pairs = [_score_frame(int(t), predicted, truth, aside, spacing, radius_um) for t in examined]
    return _total(pairs, radius_um, n_ignored=int(aside.sum()), n_elsewhere=int((~scored).sum()))


def _score_frame(
    frame: int,
    predicted: Annotations,
    truth: Annotations,
    aside: npt.NDArray[np.bool_],
    spacing: Spacing,
    radius_um: float,
) -> _FramePairs:
    p = predicted.positions[predicted.frames == frame, 1:] * spacing.um
    here = truth.frames == frame
    wanted = truth.positions[here & ~aside, 1:] * spacing.um
    ignored = truth.positions[here & aside, 1:] * spacing.um
    pairs, distances = match(p, wanted, radius_um)
    left = np.delete(p, pairs[:, 0], axis=0)
    excused, _ = match(left, ignored, radius_um)
    return _FramePairs(frame, distances, n_predicted=len(p) - len(excused), n_truth=len(wanted))


def _total(frames: list[_FramePairs], radius_um: float, *, n_ignored: int, n_elsewhere: int) -> DetectionScore:
    distances = np.concatenate([f.distances_um for f in frames]) if frames else np.zeros(0)
    counts = _counts(distances, sum(f.n_predicted for f in frames), sum(f.n_truth for f in frames))
    tp, fp, fn = counts["tp"], counts["fp"], counts["fn"]
    low, high = f1_interval(tp, fp, fn) if tp + fp + fn else (None, None)
    return DetectionScore(
        radius_um=radius_um,
        n_ignored=n_ignored,
        n_predicted_elsewhere=n_elsewhere,
        precision=_share(tp, tp + fp),
        recall=_share(tp, tp + fn),
        f1_low=low,
        f1_high=high,
        mean_error_um=float(distances.mean()) if len(distances) else None,
        frames=tuple(FrameScore(frame=f.frame, **_counts(f.distances_um, f.n_predicted, f.n_truth)) for f in frames),
        **counts,
    )


def _counts(distances_um: npt.NDArray[np.float64], n_predicted: int, n_truth: int) -> dict[str, Any]:
    tp = len(distances_um)
    return {
        "n_predicted": n_predicted,
        "n_truth": n_truth,
        "tp": tp,
        "fp": n_predicted - tp,
        "fn": n_truth - tp,
        "f1": _share(2 * tp, n_predicted + n_truth),
        "median_error_um": float(np.median(distances_um)) if tp else None,
    }


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
