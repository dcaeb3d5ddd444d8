"""Event scores: confusion matrix, errors in time, precision and recall, calibration."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import Field

from anlage.calibration import expected_calibration_error
from anlage.errors import AnlageError
from anlage.evaluation.intervals import Interval
from anlage.frozen import Frozen
from anlage.scores import Score
from anlage.signals.events import Events

__all__ = ["EventReport", "evaluate_events", "evaluate_windows", "found_report", "precision_recall", "roc"]

_NAMES = ("event", "no event", "other")
_ENOUGH = 20


class EventReport(Frozen):
    """Predicted events compared with the true ones."""

    kind: str
    """once: a class and a time for each track; repeated: occurrences in traces; windows: a score for each window; placed: events of any tracks, by their place and time."""
    n: int
    """Tracks, true occurrences or windows that were compared."""
    accuracy: float | None = None
    """Share whose class is right."""
    confusion: tuple[tuple[int, ...], ...] = ()
    """Confusion matrix of counts: a row for each true class, a column for each predicted class."""
    classes: tuple[str, ...] = ()
    """Names of these rows and columns."""
    precision: float
    """Precision: the share of predicted events that are right."""
    recall: float
    """Recall: the share of true events that were predicted."""
    f1: float
    """Both together."""
    tp: int
    """True positives: true events that were predicted."""
    fp: int
    """False positives: predicted events that are none."""
    fn: int
    """False negatives: true events that were not predicted."""
    auc: float | None = None
    """Area under the ROC curve of the probability of an event; None without probabilities."""
    average_precision: float | None = None
    """Area under the precision–recall curve."""
    best_threshold: float | None = None
    """Probability at which hits minus false alarms are most, as shares."""
    ece: float | None = None
    """Expected calibration error; None of too few."""
    median_error_frames: float | None = None
    """Median distance in time of the events that result and truth share, in frames."""
    mean_error_frames: float | None = None
    """Mean distance in time."""
    median_error_min: float | None = None
    """Median distance in time, in minutes; None where the interval is unknown."""
    mean_error_min: float | None = None
    """Mean distance in time, in minutes."""
    intervals: dict[str, Interval] = Field(default_factory=dict)
    """What the scores rest on, by name."""
    notes: tuple[str, ...] = Field(default=())
    """What should be known about these numbers."""

    def to_text(self) -> str:
        """For people to read."""
        lines = [f"Events ({self.kind}), {self.n} compared."]
        said = defaultdict[str, str](str)
        said |= {name: f" ({one.low:.2f} to {one.high:.2f} of {one.n})" for name, one in self.intervals.items()}
        lines.append(
            f"F1 {self.f1:.3f}{said['f1']}: precision {self.precision:.3f}{said['precision']}, recall {self.recall:.3f}"
            f"{said['recall']} ({self.tp} found, {self.fp} wrong, {self.fn} missed)."
        )
        if self.accuracy is not None:
            lines.append(f"Accuracy of the classes {self.accuracy:.3f}{said['accuracy']}.")
        if self.confusion:
            lines += ["True class (rows) and predicted (columns: counts; of the true; of the predicted):"]
            counts = np.array(self.confusion)
            for i, name in enumerate(self.classes):
                row = ", ".join(
                    f"{predicted} {counts[i, j]} ({_share(counts[i, j], counts[i].sum())}; {_share(counts[i, j], counts[:, j].sum())})"
                    for j, predicted in enumerate(self.classes)
                )
                lines.append(f"  {name}: {row}")
        if self.median_error_frames is not None:
            minutes = "" if self.median_error_min is None else f" = {self.median_error_min:.3g} min"
            mean = "" if self.mean_error_min is None else f" = {self.mean_error_min:.3g} min"
            lines.append(
                f"Time error: median {self.median_error_frames:.3g} frames{minutes}, mean {self.mean_error_frames:.3g} frames{mean}."
            )
        if self.auc is not None:
            best = "" if self.best_threshold is None else f"; best threshold {self.best_threshold:.2f}"
            lines.append(
                f"ROC AUC {self.auc:.4f}{said['auc']}, average precision {self.average_precision:.4f}{said['average_precision']}{best}."
            )
        if self.ece is not None:
            lines.append(f"A stated probability is off by {100 * self.ece:.1f} percentage points on average.")
        return "\n".join([*lines, *self.notes])


def evaluate_events(predicted: Events, truth: Events, *, tolerance_frames: float | None = None) -> EventReport:
    """Compare events of the same signals.

    Parameters
    ----------
    predicted
        By a network.
    truth
        By a human. Tracks that were removed (class above 2) count for nothing.
    tolerance_frames
        Largest distance in time of two occurrences that are the same, of the kind *repeated*. None: a quarter of the
        median time between true ones, at most.

    Raises
    ------
    AnlageError
        If they are of different kinds, or have no track in common.
    """
    if predicted.kind != truth.kind:
        raise AnlageError(
            f"The result holds events of the kind '{predicted.kind}', the truth of the kind '{truth.kind}'; give tables of one kind."
        )
    return _once(predicted, truth) if truth.kind == "once" else _repeated(predicted, truth, tolerance_frames)


def evaluate_windows(
    probability: npt.NDArray[np.float64],
    scores: npt.NDArray[np.int64],
    threshold: float = 0.5,
    *,
    holds: npt.NDArray[np.bool_] | None = None,
) -> EventReport:
    """Compare probabilities of windows, in their order, with their scores; unclear and unscored windows count for nothing.

    A window is said to hold an event where `holds` says so; without it, from `threshold` on.

    Raises
    ------
    AnlageError
        If their numbers differ, or nothing is scored.
    """
    if len(probability) != len(scores):
        raise AnlageError(
            f"There are {len(probability)} results but {len(scores)} windows; give the windows that were predicted."
        )
    clear = np.isin(scores, (0, 1)) & np.isfinite(probability)
    if not clear.any():
        raise AnlageError("None of the windows is scored 0 or 1, so there is nothing to compare with.")
    p, truth = probability[clear], scores[clear] == 1
    predicted = p >= threshold if holds is None else holds[clear]
    confusion = [
        [int((~predicted & ~truth).sum()), int((predicted & ~truth).sum())],
        [int((~predicted & truth).sum()), int((predicted & truth).sum())],
    ]
    return _report(
        kind="windows",
        n=int(clear.sum()),
        accuracy=float((predicted == truth).mean()),
        confusion=tuple(tuple(row) for row in confusion),
        classes=("no event", "event"),
        **_found(confusion[1][1], confusion[0][1], confusion[1][0]),
        **_ranked(p, truth),
        ece=expected_calibration_error(p, truth) if len(p) >= _ENOUGH else None,
    )


def roc(
    probability: npt.NDArray[np.float64], truth: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """False-alarm and hit rates as the threshold falls, and the thresholds; from (0, 0) to (1, 1)."""
    threshold, hits, alarms = _cumulative(probability, truth)
    n, m = max(1, int(truth.sum())), max(1, int((~truth).sum()))
    return np.append(0, alarms / m), np.append(0, hits / n), np.append(np.inf, threshold)


def precision_recall(
    probability: npt.NDArray[np.float64], truth: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Precision and recall as the threshold falls, and the thresholds."""
    threshold, hits, alarms = _cumulative(probability, truth)
    return hits / np.maximum(hits + alarms, 1), hits / max(1, int(truth.sum())), threshold


def found_report(
    kind: str, tp: int, fp: int, fn: int, error_frames: npt.NDArray[np.float64], interval_s: float | None
) -> EventReport:
    """The report of events that were only counted.

    Parameters
    ----------
    kind
        As in `EventReport`.
    tp, fp, fn
        True positives, false positives and false negatives.
    error_frames
        (tp,) distance in time of each that was found.
    interval_s
        Time between two frames in seconds; None where unknown.
    """
    return _report(kind=kind, n=tp + fn, **_found(tp, fp, fn), **_errors(error_frames, interval_s))


def _once(predicted: Events, truth: Events) -> EventReport:
    counted = truth.select(truth.classes <= 2)
    common, here, there = np.intersect1d(predicted.tracks, counted.tracks, return_indices=True)
    if not len(common):
        raise AnlageError("Result and truth have no track in common; are they of the same signals?")
    predicted, counted = predicted.select(here), counted.select(there)
    confusion = np.zeros((3, 3), dtype=np.int64)
    np.add.at(confusion, (counted.classes, np.minimum(predicted.classes, 2)), 1)
    both = predicted.happened & counted.happened
    tp, fp, fn = int(confusion[0, 0]), int(confusion[1:, 0].sum()), int(confusion[0, 1:].sum())
    chance = predicted.properties.get("probability_event")
    is_event = counted.classes == 0
    return _report(
        kind="once",
        n=len(common),
        accuracy=float(np.trace(confusion) / len(common)),
        confusion=tuple(tuple(int(v) for v in row) for row in confusion),
        classes=_NAMES,
        **_found(tp, fp, fn),
        **_ranked(None if chance is None else np.asarray(chance, dtype=np.float64), is_event),
        ece=_ece(predicted.probability, predicted.classes == counted.classes),
        **_errors(predicted.frames[both] - counted.frames[both], counted.interval_s or predicted.interval_s),
        notes=(*predicted.notes, *truth.notes, *_left_out(len(truth), len(common))),
    )


def _repeated(predicted: Events, truth: Events, tolerance: float | None) -> EventReport:
    """Occurrences are paired one to one in time, the nearest first."""
    gaps = [np.diff(np.sort(truth.frames[truth.tracks == track])) for track in np.unique(truth.tracks)]
    between = np.concatenate(gaps) if gaps else np.zeros(0)
    reach = tolerance if tolerance is not None else float(np.median(between)) / 4 if len(between) else 10.0
    pairs: list[tuple[int, int]] = []
    for track in np.unique(truth.tracks):
        a, b = np.flatnonzero(predicted.tracks == track), np.flatnonzero(truth.tracks == track)
        pairs += [(int(a[i]), int(b[j])) for i, j in _paired(predicted.frames[a], truth.frames[b], reach)]
    rows = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    within = np.isin(predicted.tracks, truth.tracks)
    right = np.zeros(len(predicted), dtype=bool)
    right[rows[:, 0]] = True
    tp = len(rows)
    return _report(
        kind="repeated",
        n=len(truth),
        **_found(tp, int(within.sum()) - tp, len(truth) - tp),
        ece=_ece(predicted.probability[within], right[within]),
        **_errors(predicted.frames[rows[:, 0]] - truth.frames[rows[:, 1]], truth.interval_s or predicted.interval_s),
        notes=(*predicted.notes, *truth.notes, f"Occurrences up to {reach:.4g} frames apart are the same."),
    )


def _paired(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64], reach: float) -> list[tuple[int, int]]:
    from scipy.spatial import KDTree

    if not len(a) or not len(b):
        return []
    near = KDTree(a[:, None]).sparse_distance_matrix(KDTree(b[:, None]), reach, output_type="coo_matrix")
    order = np.argsort(near.data, kind="stable")
    used_a, used_b, found = set[int](), set[int](), []
    for i, j in zip(near.row[order].tolist(), near.col[order].tolist(), strict=True):
        if i not in used_a and j not in used_b:
            used_a.add(i)
            used_b.add(j)
            found.append((i, j))
    return found


def _report(**values: Any) -> EventReport:
    """A report with what its scores rest on."""
    tp, fp, fn, n = (values[name] for name in ("tp", "fp", "fn", "n"))
    confusion = np.array(values.get("confusion") or [[0]])
    # events are distinguished from all others, so the rarer of both counts
    n_events = tp + fn
    rarer_n = min(n_events, int(confusion.sum()) - n_events)
    scores: dict[str, Score | None] = {
        "precision": Score.of_share("precision", tp, tp + fp),
        "recall": Score.of_share("recall", tp, tp + fn),
        "f1": Score.of_counts("F1", tp, fp, fn),
    }
    for name, m in (("accuracy", n), ("auc", rarer_n), ("average_precision", n_events)):
        value = values.get(name)
        if value is not None and m > 0:
            scores[name] = Score.of_share(name, value * m, m)
    intervals = {name: Interval(n=one.n, low=one.low, high=one.high) for name, one in scores.items() if one and one.n}
    return EventReport(**values, intervals=intervals)


def _found(tp: int, fp: int, fn: int) -> dict[str, Any]:
    return {
        "precision": tp / max(tp + fp, 1), "recall": tp / max(tp + fn, 1), "f1": 2 * tp / max(2 * tp + fp + fn, 1),
        "tp": tp, "fp": fp, "fn": fn,
    }  # fmt: skip


def _ranked(probability: npt.NDArray[np.float64] | None, truth: npt.NDArray[np.bool_]) -> dict[str, Any]:
    if probability is None or not np.isfinite(probability).all() or truth.all() or not truth.any():
        return {}
    alarms, hits, threshold = roc(probability, truth)
    precision, recall, _ = precision_recall(probability, truth)
    return {
        "auc": float(np.trapezoid(hits, alarms)),
        "average_precision": float((np.diff(recall, prepend=0.0) * precision).sum()),
        "best_threshold": float(threshold[(hits - alarms).argmax()]),
    }


def _errors(difference: npt.NDArray[np.float64], interval_s: float | None) -> dict[str, Any]:
    if not len(difference):
        return {}
    found = {"median": float(np.median(np.abs(difference))), "mean": float(np.abs(difference).mean())}
    named: dict[str, Any] = {f"{name}_error_frames": value for name, value in found.items()}
    if interval_s is not None:
        named |= {f"{name}_error_min": value * interval_s / 60 for name, value in found.items()}
    return named


def _ece(probability: npt.NDArray[np.float64], right: npt.NDArray[np.bool_]) -> float | None:
    known = np.isfinite(probability)
    if int(known.sum()) < _ENOUGH:
        return None
    return expected_calibration_error(probability[known], right[known])


def _left_out(n: int, common: int) -> tuple[str, ...]:
    return (
        () if n == common else (f"{n - common} tracks of the truth were removed or have no result; they are left out.",)
    )


def _cumulative(
    probability: npt.NDArray[np.float64], truth: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Thresholds from high to low, and how many events and others reach each."""
    order = np.argsort(-probability, kind="stable")
    p, right = probability[order], truth[order]
    last = np.flatnonzero(np.append(p[:-1] > p[1:], True))
    hits, alarms = (np.cumsum(of.astype(np.int64))[last] for of in (right, ~right))
    return p[last], hits, alarms


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %" if whole else "–"
