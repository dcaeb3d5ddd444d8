"""Validation of events: how well they are recognised in held-out movies or recordings, and the calibration."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import minimize_scalar

from anlage.calibration import Answers, Calibration, expected_calibration_error, fit_platt
from anlage.io.signal_files.held_out import HeldOut
from anlage.networks.temporal import SignalLogits, TemporalEnsemble
from anlage.tasks.baselines import share_baseline
from anlage.tasks.events.examples import EventsExamples, SignalTracks
from anlage.tasks.events.loss import event_times
from anlage.tasks.events.mix import KINDS, event_share
from anlage.tasks.task import Evidence, Validation

__all__ = [
    "Read",
    "area_under_roc",
    "best_threshold",
    "class_probabilities",
    "finish",
    "held_out",
    "read_tracks",
    "validate",
]

_AT_ONCE = 256
_EVENT = 0
_ENOUGH = 20
"""Examples from which a calibration error is given."""
_THRESHOLD = 0.5
"""Of a calibrated probability: what is likelier than not."""
_LEAST_THRESHOLD = 0.05
_TIE = 0.02
"""Scores of a few dozen tracks or windows differ by so much by luck."""


@dataclass(frozen=True, slots=True)
class Read:
    """What a network says of tracks.

    Parameters
    ----------
    logits
        (N, K) of the classes.
    times
        (N,) time of the event in frames from each track's first; only for tracks.
    """

    logits: npt.NDArray[np.float64]
    times: npt.NDArray[np.float64]


def read_tracks(network: torch.nn.Module, tracks: SignalTracks, device: str) -> Read:
    """Run the network on tracks or windows, some at a time."""
    logits, times = [], []
    for at in range(0, max(1, len(tracks)), _AT_ONCE):
        rows = slice(at, at + _AT_ONCE)
        values, known, lengths = (
            torch.from_numpy(array[rows]).to(device) for array in (tracks.values, tracks.known, tracks.lengths)
        )
        with torch.inference_mode():
            reading: SignalLogits = network(values, known)
            logits.append(reading.track.float().cpu().numpy())
            if tracks.values.shape[2] == reading.positions.shape[1]:
                times.append(event_times(reading.positions.float(), lengths).cpu().numpy())
    n = len(tracks)
    found = np.concatenate(times).astype(np.float64) if times else np.full(n, np.nan)
    return Read(np.concatenate(logits).astype(np.float64), found)


@dataclass(frozen=True, slots=True)
class Unseen:
    """Examples, each with what a network says of it that never saw it; by row of the examples."""

    rows: npt.NDArray[np.int64]
    tracks: SignalTracks
    read: Read


def read_unseen(network: TemporalEnsemble, examples: EventsExamples) -> Unseen:
    """Let each of the networks judge what was held out from it."""
    folds, tracks = examples.folds, examples.tracks
    logits, times = np.zeros((len(folds), examples.plan.n_classes)), np.full(len(folds), np.nan)
    for fold in np.unique(folds[folds >= 0]):
        own = folds == fold
        read = read_tracks(network.members[fold], tracks.select(own), examples.setting.device)
        logits[own], times[own] = read.logits, read.times
    rows = np.flatnonzero(folds >= 0)
    return Unseen(rows, tracks.select(rows), Read(logits[rows], times[rows]))


def class_probabilities(logits: npt.NDArray[np.float64], calibration: Calibration) -> npt.NDArray[np.float64]:
    """(N, 3) calibrated probabilities of the classes of tracks."""
    scaled = calibration.slope * logits
    scaled -= scaled.max(axis=1, keepdims=True)
    weight = np.exp(scaled)
    found: npt.NDArray[np.float64] = weight / weight.sum(axis=1, keepdims=True)
    return found


def validate(network: TemporalEnsemble, examples: EventsExamples) -> Validation:
    """Score held-out examples; ties are decided by the loss."""
    unseen = read_unseen(network, examples)
    tracks, read = unseen.tracks, unseen.read
    if examples.plan.kind == "repeated":
        truth = tracks.scores == 1
        loss = float(np.mean(np.logaddexp(0, np.where(truth, -1, 1) * read.logits[:, 0])))
        area = area_under_roc(read.logits[:, 0], truth)
        metrics = {"auc": area, "best_f1": _best_f1(read.logits[:, 0], truth)}
        return Validation(loss, area - 0.01 * min(loss, 1.0), metrics, n=int(truth.sum()), tie=_TIE)
    probability = class_probabilities(read.logits, Calibration())
    chosen = probability[np.arange(len(tracks)), tracks.scores]
    loss = float(-np.log(chosen.clip(1e-12)).mean())
    metrics = _track_metrics(probability, read.times, tracks)
    error = metrics.get("median_error_frames", 0.0)
    score = metrics["accuracy"] - 0.05 * min(loss, 1.0) - 0.01 * min(error, 5.0)
    return Validation(loss, score, metrics, n=int((tracks.scores == _EVENT).sum()), tie=_TIE)


def finish(network: TemporalEnsemble, examples: EventsExamples) -> Evidence:
    """Calibrate on held-out examples; what is likelier than not is reported.

    Each was judged by one network; all of them together judge a little better, and are a little too modest then.
    """
    unseen = read_unseen(network, examples)
    tracks, read, threshold = unseen.tracks, unseen.read, _THRESHOLD
    if examples.plan.kind == "repeated":
        truth = tracks.scores == 1
        calibration = fit_platt(read.logits[:, 0], truth)
        probability = calibration.apply(read.logits[:, 0])
        threshold = _threshold(probability, truth, examples)
        metrics = {**_counts(probability >= threshold, truth), "auc": area_under_roc(probability, truth)}
        wanted, answers = (probability, truth), Answers.of(probability, truth)
        baseline = share_baseline("chance", "AUC", 0.5, metrics["auc"], _rarer(truth))
    else:
        calibration = _temperature(read.logits, tracks.scores)
        chances = class_probabilities(read.logits, calibration)
        truth = tracks.scores == _EVENT
        metrics = {**_counts(chances.argmax(axis=1) == _EVENT, truth), **_track_metrics(chances, read.times, tracks)}
        wanted = chances.max(axis=1), chances.argmax(axis=1) == tracks.scores
        answers = Answers.of(chances[:, _EVENT], truth)
        commonest = float(np.bincount(tracks.scores).max(initial=0) / max(1, len(tracks)))
        baseline = share_baseline("always the commonest class", "accuracy", commonest, metrics["accuracy"], len(tracks))
    return Evidence(
        held_out=examples.held_out,
        n_positive=int(truth.sum()),
        metrics={name: value for name, value in metrics.items() if np.isfinite(value)},
        threshold=threshold,
        calibration=calibration,
        ece=expected_calibration_error(*wanted) if len(tracks) >= _ENOUGH else None,
        answers=answers,
        n_of={"accuracy": len(tracks), "auc": _rarer(truth)},
        baseline=baseline,
    )


def _threshold(probability: npt.NDArray[np.float64], truth: npt.NDArray[np.bool_], examples: EventsExamples) -> float:
    """The best of the held-out ROC; with a mix, from which an event is likelier than not where events are as common as the mix says."""
    counts = np.bincount(examples.kinds, minlength=len(KINDS["repeated"])).tolist()
    share, common = float(truth.mean()) if len(truth) else 0.5, event_share(counts, examples.config.mix, "repeated")
    if examples.config.mix is None or not (0 < share < 1 and 0 < common < 1):
        return best_threshold(probability, truth)
    odds = share / (1 - share) * (1 - common) / common
    return float(np.clip(odds / (1 + odds), _LEAST_THRESHOLD, 1 - _LEAST_THRESHOLD))


def best_threshold(probability: npt.NDArray[np.float64], truth: npt.NDArray[np.bool_]) -> float:
    """Where hits and false alarms of the held-out ROC are furthest apart (Youden's J); 0.5 where examples are few.

    Of those that are as good but for one example, the one nearest to 0.5: a calibrated probability means what it says, and only
    more than luck moves it.
    """
    n, m = int(truth.sum()), int((~truth).sum())
    if min(n, m) < _ENOUGH:
        return _THRESHOLD
    places = np.unique(np.concatenate([probability, [_THRESHOLD]]))
    at = np.concatenate([(places[1:] + places[:-1]) / 2, [_THRESHOLD]])
    hits = 1 - np.searchsorted(np.sort(probability[truth]), at) / n
    alarms = 1 - np.searchsorted(np.sort(probability[~truth]), at) / m
    good = at[hits - alarms >= (hits - alarms).max() - 1 / min(n, m) - 1e-9]
    nearest = float(good[np.abs(good - _THRESHOLD).argmin()])
    return float(np.clip(nearest, _LEAST_THRESHOLD, 1 - _LEAST_THRESHOLD))


def _rarer(truth: npt.NDArray[np.bool_]) -> int:
    """Examples of the rarer kind: as certain as these is what is said of both."""
    return int(min(truth.sum(), (~truth).sum()))


def held_out(network: TemporalEnsemble, examples: EventsExamples, evidence: Evidence) -> HeldOut:
    """The held-out examples, each with what is said of it by the network that never saw it."""
    unseen = read_unseen(network, examples)
    tracks, read, provenance = unseen.tracks, unseen.read, examples.provenance.select(unseen.rows)
    windows = examples.plan.kind == "repeated"
    starts = np.full(len(tracks), np.nan) if windows else provenance.starts.astype(np.float64)
    chances = (
        evidence.calibration.apply(read.logits[:, :1])
        if windows
        else class_probabilities(read.logits, evidence.calibration)
    )
    return HeldOut(
        files=provenance.files,
        groups=provenance.groups,
        numbers=provenance.numbers,
        scores=tracks.scores,
        times=tracks.times + starts,
        chances=chances,
        predicted_times=read.times + starts,
        interval_s=examples.plan.interval_s,
        threshold=evidence.threshold,
    )


def area_under_roc(score: npt.NDArray[np.float64], truth: npt.NDArray[np.bool_]) -> float:
    """Chance that a random event scores above a random other one; 0.5 where one of the kinds is absent."""
    n, m = int(truth.sum()), int((~truth).sum())
    if not n or not m:
        return 0.5
    _, at, counts = np.unique(score, return_inverse=True, return_counts=True)
    rank = np.cumsum(counts) - (counts - 1) / 2  # equal scores share their ranks
    return float((rank[at][truth].sum() - n * (n + 1) / 2) / (n * m))


def _best_f1(score: npt.NDArray[np.float64], truth: npt.NDArray[np.bool_]) -> float:
    order = np.argsort(-score, kind="stable")
    hits = np.cumsum(truth[order])
    found: float = (2 * hits / (np.arange(1, len(hits) + 1) + max(1, int(truth.sum())))).max(initial=0.0)
    return float(found)


def _counts(said: npt.NDArray[np.bool_], truth: npt.NDArray[np.bool_]) -> dict[str, float]:
    tp, fp, fn = int((said & truth).sum()), int((said & ~truth).sum()), int((~said & truth).sum())
    return {
        "f1": 2 * tp / max(2 * tp + fp + fn, 1), "precision": tp / max(tp + fp, 1), "recall": tp / max(tp + fn, 1),
        "tp": float(tp), "fp": float(fp), "fn": float(fn), "accuracy": float((said == truth).mean()) if len(truth) else 0.0,
    }  # fmt: skip


def _track_metrics(
    probability: npt.NDArray[np.float64], times: npt.NDArray[np.float64], tracks: SignalTracks
) -> dict[str, float]:
    """Accuracy of the classes, and errors of the times of events that were found."""
    said = probability.argmax(axis=1)
    found = {"accuracy": float((said == tracks.scores).mean())}
    both = (said == _EVENT) & (tracks.scores == _EVENT)
    if both.any():
        error = np.abs(times[both] - tracks.times[both])
        found |= {"median_error_frames": float(np.median(error)), "mean_error_frames": float(error.mean())}
    return found


def _temperature(logits: npt.NDArray[np.float64], classes: npt.NDArray[np.int64]) -> Calibration:
    """One slope for all logits (Guo et al. 2017, arXiv:1706.04599), held near 1 where examples are few."""
    if len(classes) < _ENOUGH or len(np.unique(classes)) < 2:
        return Calibration()

    def surprise(log_slope: float) -> float:
        chances = class_probabilities(logits, Calibration(slope=float(np.exp(log_slope))))
        entropy = -np.log(chances[np.arange(len(classes)), classes].clip(1e-12)).sum()
        return float(entropy + 0.5 * log_slope**2)

    return Calibration(slope=float(np.exp(minimize_scalar(surprise, bounds=(-3, 3), method="bounded").x)))
