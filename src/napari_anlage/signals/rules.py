"""Propose events of unscored tracks by rules, without a network. Knows no Qt and no napari."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from anlage import AnlageError, Signals, propose_by_slope, propose_by_step, propose_by_template
from napari_anlage.signals.scoring import CENSORED, EVENT, NO_EVENT, NOT_YET

__all__ = ["Condition", "Direction", "Method", "ProposedEvents", "Rule", "propose_answers"]

Floats = npt.NDArray[np.float64]
_FEWEST = 5
"""Frames below which nothing is proposed."""
_ANY = 1e-6
"""Every peak is wanted: the strongest is chosen here."""


class Method(StrEnum):
    """How an event is searched for."""

    SLOPE = "steepest change"
    STEP = "step, by a sigmoid fit"
    TEMPLATE = "transient, by a template"


class Direction(StrEnum):
    """Which way the signal goes at an event."""

    UP = "rises"
    DOWN = "falls"
    EITHER = "rises or falls"


class Condition(StrEnum):
    """What is fitted by the sigmoid."""

    NONE = "the signal itself"
    ABOVE = "whether it is above"
    BELOW = "whether it is below"


@dataclass(frozen=True, slots=True)
class Rule:
    """What to look for.

    Parameters
    ----------
    method
        How.
    signal
        In which signal.
    direction
        Which way it goes.
    event_from
        Strength from which a track has an event: standard deviations of the slope, R² of the sigmoid, or the template's
        criterion.
    none_below
        Strength below which a track has none; what lies between is unclear, and left to the user.
    window
        Frames of an event with its surroundings, of the template.
    condition, level
        What the sigmoid is fitted to.
    """

    method: Method
    signal: str
    direction: Direction
    event_from: float
    none_below: float
    window: int = 36
    condition: Condition = Condition.NONE
    level: float = 0.0


@dataclass(frozen=True, slots=True)
class ProposedEvents:
    """What is proposed for each track.

    Parameters
    ----------
    classes
        (N,) the proposed answer; `NOT_YET` where it is unclear.
    times
        (N,) frame of the strongest candidate, also of the unclear; NaN where there is none.
    strength
        (N,) how strong it is; NaN where the track is too short.
    """

    classes: npt.NDArray[np.int64]
    times: Floats
    strength: Floats

    @property
    def counts(self) -> tuple[int, int, int, int]:
        """Events, tracks without one, censored, unclear."""
        c = self.classes
        return tuple(int((c == kind).sum()) for kind in (EVENT, NO_EVENT, CENSORED, NOT_YET))  # type: ignore[return-value]


def propose_answers(signals: Signals, rule: Rule) -> ProposedEvents:
    """Look for an event on every track.

    Raises
    ------
    AnlageError
        If the thresholds are not in order, or the signal is absent.
    """
    if rule.none_below > rule.event_from:
        raise AnlageError(
            f"No track can be without an event below {rule.none_below:g} and have one from {rule.event_from:g} on; "
            "put the second above the first."
        )
    signals.chosen([rule.signal])
    if rule.method == Method.STEP:
        times, strength, sure = _steps(signals, rule)
    else:
        times, strength = _peaks(signals, rule)
        sure = np.full(len(signals), NOT_YET)
    classes = np.full(len(signals), NOT_YET)
    classes[strength >= rule.event_from] = EVENT
    classes[strength < rule.none_below] = NO_EVENT
    classes = np.where(sure != NOT_YET, sure, classes)
    return ProposedEvents(classes, np.where(np.isin(classes, (NO_EVENT, CENSORED)), np.nan, times), strength)


def _peaks(signals: Signals, rule: Rule) -> tuple[Floats, Floats]:
    """Time and strength of the strongest peak of each track."""
    values = signals.chosen([rule.signal]).values[:, 0]
    times, strength = np.full(len(values), np.nan), np.full(len(values), np.nan)
    for i, row in enumerate(values):
        known = np.flatnonzero(np.isfinite(row))
        if len(known) < _FEWEST:
            continue
        # gaps are bridged: a gap that fell to zero would be the steepest change of all
        trace = np.interp(np.arange(known[0], known[-1] + 1), known, row[known])
        at, much = _strongest(trace, rule)
        times[i], strength[i] = at + known[0] + signals.first_frame, much
    return times, strength


def _strongest(trace: Floats, rule: Rule) -> tuple[float, float]:
    find: Callable[..., Any]
    if rule.method == Method.SLOPE:
        find = partial(propose_by_slope, trace, rule.window, least=_ANY)
    elif len(trace) <= rule.window // 3 + rule.window // 8:
        return np.nan, np.nan
    else:
        find = partial(propose_by_template, trace, rule.window, thresholds=(1e9, _ANY, _ANY))
    best = (np.nan, 0.0)
    for sign in _signs(rule.direction):
        found = find(direction=sign)
        samples, strength = found.samples, found.strength
        if len(samples) and strength.max() > best[1]:
            best = float(samples[strength.argmax()]), float(strength.max())
    return best


def _steps(signals: Signals, rule: Rule) -> tuple[Floats, Floats, npt.NDArray[np.int64]]:
    """Time and R² of the sigmoid that fits each track best, and what its condition decides for sure."""
    times, quality = np.full(len(signals), np.nan), np.full(len(signals), -np.inf)
    sure = np.full(len(signals), NOT_YET)
    alone = signals.chosen([rule.signal])
    if rule.condition != Condition.NONE:
        test = (lambda v: v > rule.level) if rule.condition == Condition.ABOVE else (lambda v: v < rule.level)
        found = propose_by_step(alone, rule.signal, test, least_r2=-np.inf)
        enough = np.isfinite(alone.values[:, 0]).sum(axis=1) >= _FEWEST
        same = enough & ~np.isfinite(found.properties["r2"])
        return found.frames, found.properties["r2"], np.where(same, found.classes, NOT_YET)
    for sign in _signs(rule.direction):
        turned = Signals.of(
            sign * alone.values, (rule.signal,), ids=alone.ids, first_frame=alone.first_frame, units=alone.units
        )
        found = propose_by_step(turned, rule.signal, least_r2=-np.inf)
        r2 = found.properties["r2"]
        better = r2 > quality
        times, quality = np.where(better, found.frames, times), np.where(better, r2, quality)
    return times, np.where(np.isfinite(quality), quality, np.nan), sure


def _signs(direction: Direction) -> tuple[int, ...]:
    return {Direction.UP: (1,), Direction.DOWN: (-1,), Direction.EITHER: (1, -1)}[direction]
