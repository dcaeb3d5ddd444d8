"""Compare a network's events with the user's scores: numbers, and the worst examples. Knows no Qt and no napari."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from anlage import AnlageError, EventReport, Events, Signals, evaluate_events
from napari_anlage.signals.scoring import EVENT

__all__ = ["CLASSES", "Judgement", "Worst", "assess"]

CLASSES = ("event", "no event", "censored")
_MOST = 30
_LATE = 1.0
"""Frames of error in time above which an event that was found is worth looking at."""


@dataclass(frozen=True, slots=True)
class Worst:
    """A track that was predicted wrongly, or an event predicted at the wrong time.

    Parameters
    ----------
    track
        Its number.
    frame
        Where to look: the event, the human's first.
    sentence
        What is wrong.
    """

    track: int
    frame: float
    sentence: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """Tracks that both have judged.

    Parameters
    ----------
    report
        The numbers.
    chance, is_event
        (N,) probability of an event, and whether there is one; empty without probabilities.
    predicted_frames, true_frames
        (M,) times of the events that both have.
    interval_s
        Time between two frames; None where unknown.
    worst
        The worst first.
    """

    report: EventReport
    chance: npt.NDArray[np.float64]
    is_event: npt.NDArray[np.bool_]
    predicted_frames: npt.NDArray[np.float64]
    true_frames: npt.NDArray[np.float64]
    interval_s: float | None
    worst: tuple[Worst, ...]


def assess(predicted: Events, scored: Signals, tracks: npt.NDArray[np.int64] | None = None) -> Judgement:
    """Compare; of `tracks` alone where they are given.

    Raises
    ------
    AnlageError
        If no track was both scored and predicted.
    """
    truth = Events.of_signals(scored.select(scored.is_scored))
    if tracks is not None:
        truth = truth.select(np.isin(truth.tracks, tracks))
    _, here, there = np.intersect1d(predicted.tracks, truth.tracks, return_indices=True)
    if not len(here):
        raise AnlageError("None of these tracks is scored, so nothing can be compared; score some first.")
    predicted, truth = predicted.select(here), truth.select(there)
    both = predicted.happened & truth.happened
    chance = np.asarray(predicted.properties.get("probability_event", np.zeros(0)), dtype=np.float64)
    return Judgement(
        report=evaluate_events(predicted, truth),
        chance=chance,
        is_event=truth.classes == EVENT if len(chance) else np.zeros(0, dtype=bool),
        predicted_frames=predicted.frames[both],
        true_frames=truth.frames[both],
        interval_s=scored.interval_s,
        worst=_worst(predicted, truth, scored),
    )


def _worst(predicted: Events, truth: Events, scored: Signals) -> tuple[Worst, ...]:
    """Wrong classes, the surest first; then wrong times, the furthest first."""
    found: list[tuple[float, Worst]] = []
    starts = dict(zip(scored.ids.tolist(), (scored.spans[:, 0] + scored.first_frame).tolist(), strict=True))
    for i, track in enumerate(truth.tracks.tolist()):
        true, said = int(truth.classes[i]), min(int(predicted.classes[i]), 2)
        frames = [float(f) for f in (truth.frames[i], predicted.frames[i]) if np.isfinite(f)]
        frame = frames[0] if frames else float(starts.get(track, 0))
        if true != said:
            sure = float(np.nan_to_num(predicted.probability[i]))
            at = f" at frame {predicted.frames[i]:.1f}" if np.isfinite(predicted.frames[i]) else ""
            words = f"you: {CLASSES[true]} · network: {CLASSES[said]}{at}, {100 * sure:.0f} % sure"
            found.append((1e6 + sure, Worst(track, frame, words)))
        elif true == EVENT and abs(predicted.frames[i] - truth.frames[i]) > _LATE:
            off = float(predicted.frames[i] - truth.frames[i])
            words = (
                f"found {abs(off):.1f} frames too {'late' if off > 0 else 'early'}{_minutes(off, scored.interval_s)}"
            )
            found.append((abs(off), Worst(track, frame, words)))
    found.sort(key=lambda pair: -pair[0])
    return tuple(worst for _, worst in found[:_MOST])


def _minutes(frames: float, interval_s: float | None) -> str:
    return "" if interval_s is None else f" ({abs(frames) * interval_s / 60:.3g} min)"
