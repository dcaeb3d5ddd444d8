"""Scores of the examples that a training held out, and the worst of them."""

from __future__ import annotations

import numpy as np

from anlage.evaluation.events import EventReport, evaluate_events, evaluate_windows
from anlage.io.signal_files.held_out import HeldOut
from anlage.signals.events import Events

__all__ = ["held_out_report", "worst_held_out", "worst_sentences"]

_NAMES = {0: "event", 1: "no event", 2: "other"}
_LATE = 1.0
"""Frames of error in time above which an event that was found is worth looking at."""


def held_out_report(held: HeldOut) -> EventReport:
    """How well they were predicted."""
    if held.is_windows:
        return evaluate_windows(held.chances[:, 0], held.scores, held.threshold)
    none = np.full(len(held), np.nan)
    human = Events(np.arange(len(held)), "once", held.scores, held.times, none, held.interval_s)
    return evaluate_events(held.events(), human)


def worst_held_out(held: HeldOut) -> list[int]:
    """Rows that were predicted wrongly, the most certain first; then events at the wrong time, the furthest first."""
    predicted, sure = held.predicted, held.chances.max(axis=1)
    if held.is_windows:
        sure = np.maximum(sure, 1 - sure)
    wrong = np.flatnonzero(predicted != held.scores)
    off = np.zeros(len(held)) if held.is_windows else np.abs(held.predicted_times - held.times)
    late = np.flatnonzero((predicted == held.scores) & (held.scores == 0) & (off > _LATE))
    return [*wrong[np.argsort(-sure[wrong])].tolist(), *late[np.argsort(-off[late])].tolist()]


def worst_sentences(held: HeldOut, most: int = 10) -> list[str]:
    """The worst ones, each as a sentence."""
    return [_sentence(held, row) for row in worst_held_out(held)[:most]]


def _sentence(held: HeldOut, row: int) -> str:
    score, predicted = int(held.scores[row]), int(held.predicted[row])
    where = f"{held.files[row]}" + (f", {held.groups[row]}" if held.groups[row] else "")
    if held.is_windows:
        chance = 100 * float(held.chances[row, 0])
        return f"window {held.numbers[row]} of {where}: scored {score}, an event with {chance:.0f} %"
    if score != predicted:
        sure = 100 * float(held.chances[row].max())
        said = f"scored {_NAMES[score]}, predicted {_NAMES[predicted]}, {sure:.0f} % sure"
    else:
        said = f"scored at frame {held.times[row]:.1f}, predicted at {held.predicted_times[row]:.1f}"
    return f"track {held.numbers[row]} of {where}: {said}"
