"""Pictures of how good a network is on held-out examples: confusion matrix, times, ROC, precision and recall, calibration."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from anlage.calibration import Answers, reliability
from anlage.evaluation.events import precision_recall, roc
from anlage.io.atomic import own, replacing
from anlage.io.signal_files.held_out import HeldOut
from anlage.wording import plural

__all__ = ["Subject", "draw_answers", "draw_events"]

_EVENT_CLASSES = ("event", "no event", "other")
_WINDOW_CLASSES = ("no event", "event")
_GREEN, _ORANGE, _BLUE, _GREY = "#2f9d6b", "#d98200", "#3477b5", "#8a8f98"
_BINS = 10
_FEWEST = 2
_LETTERS = 64
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Subject:
    """What the pictures speak of.

    Parameters
    ----------
    noun
        What the network finds, in the plural: 'nuclei'.
    threshold
        Probability from which one is reported.
    held_out
        What was held out, as a sentence.
    finds
        Whether it finds something, so that missing and wrong ones can be told apart; else it names what is there.
    """

    noun: str
    threshold: float
    held_out: str
    finds: bool = True


def draw_answers(folder: Path, answers: Answers, subject: Subject) -> list[Path]:
    """Draw what counts of answers show: found and missed, ROC, precision and recall, calibration.

    Parameters
    ----------
    folder
        Where the pictures go, by their names.
    answers
        Of held-out examples.
    subject
        What they are.
    """
    true, false = (np.array(counts, dtype=np.float64) for counts in (answers.true, answers.false))
    if not true.sum() + false.sum():
        return []
    edges = np.linspace(0, 1, len(true) + 1)
    middles = (edges[:-1] + edges[1:]) / 2
    drawn = [_calibration(folder, _of_counts(middles, true, false), subject)]
    if not subject.finds:
        return drawn
    from_there = edges[:-1] >= subject.threshold - 0.5 / len(true)
    tp, fp = true[from_there].sum(), false[from_there].sum()
    missed = true.sum() + answers.missed - tp
    rest = false.sum() - fp
    drawn.append(_confusion(folder, np.array([[tp, missed], [fp, rest]]), (subject.noun, "others"), subject))
    hits, alarms = np.cumsum(true[::-1]), np.cumsum(false[::-1])
    if true.sum() and false.sum():
        drawn.append(_roc(folder, np.append(0, alarms / false.sum()), np.append(0, hits / true.sum()), subject))
    if true.sum():
        known = hits + alarms > 0
        recall, precision = hits / (true.sum() + answers.missed), hits / np.maximum(hits + alarms, 1)
        drawn.append(_trade(folder, recall[known], precision[known], subject))
    return drawn


def draw_events(folder: Path, held: HeldOut, subject: Subject) -> list[Path]:
    """Draw what held-out tracks or windows show: the same, exactly, and the times of events.

    Parameters
    ----------
    folder
        Where the pictures go, by their names.
    held
        What the run has kept.
    subject
        What they are.
    """
    if not len(held):
        return []
    chance = held.chances[:, 0]
    truth = held.scores == (1 if held.is_windows else 0)
    told = (chance >= subject.threshold).astype(np.int64) if held.is_windows else held.predicted
    names = _WINDOW_CLASSES if held.is_windows else _EVENT_CLASSES
    counts = np.zeros((len(names), len(names)))
    np.add.at(counts, (held.scores, told), 1)
    drawn = [_confusion(folder, counts, names, subject)]
    if not held.is_windows and (truth & (told == 0)).sum() >= _FEWEST:
        drawn.append(_times(folder, held, truth & (told == 0), subject))
    if truth.any() and not truth.all():
        alarms, hits, _ = roc(chance, truth)
        precision, recall, _ = precision_recall(chance, truth)
        drawn += [_roc(folder, alarms, hits, subject), _trade(folder, recall, precision, subject)]
    bins = reliability(chance, truth, n_bins=_BINS)
    said, right, n = (
        np.array([getattr(one, name) for one in bins], dtype=np.float64)
        for name in ("mean_probability", "fraction_true", "n")
    )
    by = subject if held.is_windows else replace(subject, threshold=np.nan)  # of tracks the likeliest class is said
    drawn.append(_calibration(folder, (said, right, n), by))
    return drawn


def _of_counts(middles: Floats, true: Floats, false: Floats) -> tuple[Floats, Floats, Floats]:
    """Probability, share that is true and number in a few wide intervals, of counts in many narrow ones."""
    at = np.minimum((middles * _BINS).astype(int), _BINS - 1)
    n, said, right = (np.bincount(at, w, minlength=_BINS) for w in (true + false, (true + false) * middles, true))
    used = n > 0
    return said[used] / n[used], right[used] / n[used], n[used].astype(float)


def _confusion(folder: Path, counts: Floats, names: Sequence[str], subject: Subject) -> Path:
    figure, plot = _figure(subject)
    of_true, of_told = (counts / np.maximum(counts.sum(axis=axis, keepdims=True), 1) for axis in (1, 0))
    plot.imshow(of_true, cmap="Greens", vmin=0, vmax=1.4)
    for i, j in np.ndindex(*counts.shape):
        words = f"{counts[i, j]:.0f}\n{100 * of_true[i, j]:.0f} % of the row\n{100 * of_told[i, j]:.0f} % of the column"
        plot.text(j, i, words, ha="center", va="center", fontsize=8)
    plot.set_xticks(range(len(names)), names)
    plot.set_yticks(range(len(names)), names, rotation=90, va="center")
    plot.set(xlabel="said by the network", ylabel="true")
    return _save(figure, folder / "confusion.png")


def _times(folder: Path, held: HeldOut, rows: npt.NDArray[np.bool_], subject: Subject) -> Path:
    scale, unit = (1.0, "frames") if held.interval_s is None else (held.interval_s / 60, "min")
    true, told = held.times[rows] * scale, held.predicted_times[rows] * scale
    error = np.abs(told - true)
    figure, plot = _figure(subject)
    ends = [min(true.min(), told.min()), max(true.max(), told.max())]
    plot.plot(ends, ends, "--", color=_GREY, linewidth=1)
    plot.plot(true, told, "o", color=_BLUE, markersize=4, alpha=0.6, markeredgewidth=0)
    words = f"{plural(len(true), 'event')}: error median {np.median(error):.2g}, mean {error.mean():.2g} {unit}"
    if unit == "min":
        words += f" ({np.median(error) / scale:.2g} and {error.mean() / scale:.2g} frames)"
    plot.set_title(words, fontsize=9)
    plot.set(xlabel=f"time of the event, scored ({unit})", ylabel=f"said by the network ({unit})")
    return _save(figure, folder / "times.png")


def _roc(folder: Path, alarms: Floats, hits: Floats, subject: Subject) -> Path:
    figure, plot = _figure(subject)
    area = float(((hits[1:] + hits[:-1]) / 2 * np.diff(alarms)).sum())
    plot.plot([0, 1], [0, 1], "--", color=_GREY, linewidth=1)
    plot.plot(alarms, hits, color=_BLUE)
    plot.set_title(f"area under the curve {area:.3f}", fontsize=9)
    plot.set(
        xlabel=f"false alarms (share of what is none of the {subject.noun})", ylabel=f"{subject.noun} found (share)"
    )
    _unit_square(plot)
    return _save(figure, folder / "roc.png")


def _trade(folder: Path, recall: Floats, precision: Floats, subject: Subject) -> Path:
    figure, plot = _figure(subject)
    plot.plot(np.append(0, recall), np.append(precision[:1], precision), color=_BLUE)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    best = int(f1.argmax())
    plot.plot(recall[best], precision[best], "*", color=_ORANGE, markersize=12)
    plot.set_title(f"★ highest F1 {f1[best]:.3f}", fontsize=9)
    plot.set(xlabel=f"recall (share of the {subject.noun} found)", ylabel="precision (share right)")
    _unit_square(plot)
    return _save(figure, folder / "precision-recall.png")


def _calibration(folder: Path, bins: tuple[Floats, Floats, Floats], subject: Subject) -> Path:
    said, right, n = bins
    figure, plot = _figure(subject)
    plot.plot([0, 1], [0, 1], "--", color=_GREY, linewidth=1)
    plot.plot(said, right, color=_GREEN)
    plot.scatter(said, right, s=20 + 180 * np.sqrt(n / n.max()), color=_GREEN, alpha=0.7)
    if subject.finds and np.isfinite(subject.threshold):
        plot.axvline(subject.threshold, color=_ORANGE, linestyle=":", linewidth=1)
        plot.text(subject.threshold, 0.02, f" reported from {subject.threshold:.2f}", color=_ORANGE, fontsize=8)
    error = float((n * np.abs(said - right)).sum() / n.sum())
    plot.set_title(f"off by {100 * error:.1f} percentage points on average ({n.sum():.0f} examples)", fontsize=9)
    plot.set(xlabel="probability, as the network says it", ylabel="share that is true")
    _unit_square(plot)
    return _save(figure, folder / "calibration.png")


def _figure(subject: Subject) -> tuple[Any, Any]:
    from matplotlib.figure import Figure  # not before something is drawn: it takes half a second

    figure = Figure(figsize=(5, 4.6))
    figure.subplots_adjust(0.13, 0.12, 0.97, 0.86)  # a layout that is sought takes as long again as drawing
    figure.suptitle(textwrap.fill(f"held out: {subject.held_out}", _LETTERS), fontsize=8, color=_GREY)
    return figure, figure.subplots()


def _unit_square(plot: Any) -> None:
    plot.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    plot.grid(alpha=0.25)


def _save(figure: Any, path: Path) -> Path:
    with replacing(path, own) as temporary:
        figure.savefig(temporary, format="png", dpi=100)
    return path
