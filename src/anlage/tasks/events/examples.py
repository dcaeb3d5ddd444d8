"""Batches of tracks or windows, in random variations whose labels stay honest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from anlage.tasks.events.config import EventsConfig, EventsPlan
from anlage.tasks.events.mix import draw_weights
from anlage.tasks.task import Setting

__all__ = ["EventsExamples", "Provenance", "SignalTracks"]

_EVENT, _NO_EVENT, _OTHER = 0, 1, 2
_MARGIN = 2.0
"""Frames between an event and the end of a piece that is cut out: nearer, nobody could say on which side it is."""
_SHORTEST_PIECE = 8
_MOST_SHIFT, _MOST_STRETCH = 0.45, 0.5
"""Of a window; beyond that it is no longer the same example."""
_DROPPED = 0.03
"""Share of the frames that are hidden, so that a gap is nothing new."""


@dataclass(frozen=True, slots=True)
class SignalTracks:
    """Tracks as the network sees them, each from its first frame on.

    Parameters
    ----------
    values, known
        (N, C, T) float32: normalised values, 0 where unknown; 1 where known.
    lengths
        (N,) frames of each.
    scores
        (N,) class or score.
    times
        (N,) frame of the event, from the track's first; NaN where there is none.
    """

    values: npt.NDArray[np.float32]
    known: npt.NDArray[np.float32]
    lengths: npt.NDArray[np.int64]
    scores: npt.NDArray[np.int64]
    times: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.scores)

    def select(self, rows: npt.NDArray[np.bool_ | np.int64]) -> SignalTracks:
        """Some of them."""
        return SignalTracks(
            self.values[rows], self.known[rows], self.lengths[rows], self.scores[rows], self.times[rows]
        )


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where examples come from.

    Parameters
    ----------
    files, groups
        (N,) name of the file, and of the movie or recording in it.
    numbers
        (N,) number of the track; of windows their place in the file, from 0.
    starts
        (N,) frame in which the track begins.
    """

    files: npt.NDArray[np.str_]
    groups: npt.NDArray[np.str_]
    numbers: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]

    def select(self, rows: npt.NDArray[np.bool_ | np.int64]) -> Provenance:
        """Some of them."""
        return Provenance(self.files[rows], self.groups[rows], self.numbers[rows], self.starts[rows])


@dataclass(frozen=True)
class EventsExamples:
    """The prepared data of one run; see `anlage.tasks.task.Examples`."""

    plan: EventsPlan
    batch_size: int
    notes: Sequence[str]
    tracks: SignalTracks
    folds: npt.NDArray[np.int64]
    """(N,) which of the networks has never seen each of them, and is judged by it; −1 where all learn from it."""
    kinds: npt.NDArray[np.int64]
    """(N,) kind of each, by its place in the mix."""
    groups: npt.NDArray[np.str_]
    """(N,) movie or recording of each, another one in every file that does not say otherwise."""
    held_out: str
    provenance: Provenance
    """Where the tracks come from."""
    config: EventsConfig
    setting: Setting

    def batch(self, step: int, batch_size: int) -> dict[str, torch.Tensor]:
        """Examples of one step, so many for each network, one after the other; rare kinds more often than they are.

        A pure function of seed and step.
        """
        rng = np.random.default_rng([self.setting.seed, step])
        rows = np.concatenate([self._drawn(rng, batch_size, member) for member in range(self.config.members)])
        made = self._windows(rng, rows) if self.plan.window else self._tracks(rng, rows)
        return {name: torch.from_numpy(array).to(self.setting.device) for name, array in made.items()}

    def _drawn(self, rng: np.random.Generator, n: int, member: int) -> npt.NDArray[np.int64]:
        """What one of the networks learns from in a step."""
        own, weight = self._odds[member]
        drawn: npt.NDArray[np.int64] = rng.choice(own, n, p=weight)
        return drawn

    @cached_property
    def _odds(self) -> list[tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]]:
        """What each network learns from, and how often each is drawn."""
        found = []
        for member in range(self.config.members):
            own = np.flatnonzero(self.folds != member)
            weight = draw_weights(
                self.kinds[own],
                self.tracks.scores[own],
                self.groups[own],
                self.config.mix,
                even=self.config.even_recordings,
            )
            found.append((own, weight))
        return found

    @property
    def n_examples(self) -> int:
        """Examples that a network learns from, on average, by which epochs are counted."""
        return round(float(np.mean([len(own) for own, _ in self._odds])))

    # --- windows ----------------------------------------------------------------------------------------------------

    def _windows(self, rng: np.random.Generator, rows: npt.NDArray[np.int64]) -> dict[str, npt.NDArray[np.float32]]:
        values, known = self.tracks.values[rows], self.tracks.known[rows]
        if self.setting.augment:
            values, known = self._moved(rng, values, known)
            values = self._louder(rng, values, known)
        return {
            "signals": values, "known": known, "score": (self.tracks.scores[rows] == 1).astype(np.float32),
        }  # fmt: skip

    def _moved(
        self, rng: np.random.Generator, values: npt.NDArray[np.float32], known: npt.NDArray[np.float32]
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Shifted and stretched; what comes in from outside is the window's own end, mirrored."""
        n, c, length = values.shape
        config, amount = self.config, self.config.variation
        speed = 1 + min(amount * config.stretch, _MOST_STRETCH) * rng.uniform(-1, 1, (n, 1))
        shift = min(amount * config.shift, _MOST_SHIFT) * length * rng.uniform(-1, 1, (n, 1))
        at = (np.arange(length) - length / 2) * speed + length / 2 + shift
        at = np.abs(at)
        at = np.where(at > length - 1, 2 * (length - 1) - at, at).clip(0, length - 1)
        low = np.floor(at).astype(np.int64).clip(0, max(0, length - 2))
        part = (at - low).astype(np.float32)[:, None]
        low = np.broadcast_to(low[:, None], (n, c, length))
        high = np.minimum(low + 1, length - 1)
        first, second = np.take_along_axis(values, low, 2), np.take_along_axis(values, high, 2)
        both = np.take_along_axis(known, low, 2) * np.take_along_axis(known, high, 2)
        return (first * (1 - part) + second * part).astype(np.float32), both

    def _louder(
        self, rng: np.random.Generator, values: npt.NDArray[np.float32], known: npt.NDArray[np.float32]
    ) -> npt.NDArray[np.float32]:
        """Larger or smaller, noisier, and turned upside down where events go both ways."""
        n, c, _ = values.shape
        config, amount = self.config, self.config.variation
        gain = np.exp(amount * config.gain * rng.normal(size=(n, c, 1)))
        spread = values.std(axis=2, keepdims=True)
        noise = (
            amount * config.noise * rng.random((n, c, 1)) * spread * rng.standard_normal(values.shape, dtype=np.float32)
        )
        sign = np.where(config.flip_sign & (rng.random((n, 1, 1)) < 0.5), -1.0, 1.0)
        louder: npt.NDArray[np.float32] = ((sign * gain * values + noise) * known).astype(np.float32)
        return louder

    # --- tracks -----------------------------------------------------------------------------------------------------

    def _tracks(self, rng: np.random.Generator, rows: npt.NDArray[np.int64]) -> dict[str, npt.NDArray[Any]]:
        longest = self.tracks.values.shape[2]
        n, c = len(rows), self.tracks.values.shape[1]
        values, known = np.zeros((n, c, longest), np.float32), np.zeros((n, c, longest), np.float32)
        score, state, weight = (
            np.zeros(n, np.int64),
            np.zeros((n, longest), np.float32),
            np.zeros((n, longest), np.float32),
        )
        for i, row in enumerate(rows):
            low, high, score[i] = self._piece(rng, int(row)) if self.setting.augment else self._whole(int(row))
            length = high - low
            values[i, :, :length] = self.tracks.values[row, :, low:high]
            known[i, :, :length] = self.tracks.known[row, :, low:high]
            state[i, :length] = self._state(int(row), low, high, int(score[i]))
            # of an 'other' nobody knows when: it says nothing about states, unless it was made by cutting
            weight[i, :length] = score[i] != _OTHER or self.tracks.scores[row] == _EVENT
        if self.setting.augment:
            known *= rng.random(known.shape) >= _DROPPED * self.config.variation
            values = self._louder(rng, values, known)
        return {"signals": values, "known": known, "class": score, "state": state, "weight": weight}

    def _whole(self, row: int) -> tuple[int, int, int]:
        return 0, int(self.tracks.lengths[row]), int(self.tracks.scores[row])

    def _piece(self, rng: np.random.Generator, row: int) -> tuple[int, int, int]:
        """A random piece of a track, and what it honestly shows: an event outside it is none, or has been before."""
        low, high, score = self._whole(row)
        if rng.random() >= self.config.crop * self.config.variation or high - low <= _SHORTEST_PIECE:
            return low, high, score
        length = int(rng.integers(_SHORTEST_PIECE, high + 1))
        start = int(rng.integers(0, high - length + 1))
        end = start + length
        if score == _EVENT:
            time = self.tracks.times[row]
            if min(abs(time - start), abs(time - end)) < _MARGIN:
                return low, high, score
            score = _OTHER if time < start else _NO_EVENT if time > end else _EVENT
        return start, end, score

    def _state(self, row: int, low: int, high: int, score: int) -> npt.NDArray[np.float32]:
        """Whether the event has happened, frame by frame; a fraction in the frame of the event."""
        frames = np.arange(low, high)
        if self.tracks.scores[row] == _EVENT:
            found: npt.NDArray[np.float32] = (frames - self.tracks.times[row] + 0.5).clip(0, 1).astype(np.float32)
            return found
        return np.full(high - low, float(score == _OTHER), np.float32)
