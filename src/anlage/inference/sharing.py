"""What every process of a prediction does, alone or among many: take what is free, predict it, keep it.

A prediction is cut into units: frames, or tiles of frames. A unit's result depends on nothing but the job and is written whole,
so it does not matter who makes it, nor whether it is made twice.
"""

from __future__ import annotations

import itertools
import time
from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self, TypeVar

from anlage.errors import AnlageError
from anlage.inference.frame_store import PredictionParts
from anlage.inference.prediction_job import AgreedScale
from anlage.prediction import Prediction
from anlage.sharing.claims import Worker

if TYPE_CHECKING:
    from anlage.inference.label_image import Labeller
    from anlage.inference.stitching import Pieces

__all__ = ["COLLECT", "Finder", "FrameUnits", "Share", "TileUnits", "UnitDone", "Units", "agreed", "work_through"]

COLLECT = "collect"
"""Claimed by the process that makes the output of the finished units."""
_SHORTEST_S, _LONGEST_S = 0.2, 5.0
"""How often a process that waits looks whether something has become free."""


@dataclass(frozen=True, slots=True)
class Share:
    """A fixed part of a prediction: stretch k of n equally long ones, k from 1 to n."""

    k: int
    n: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """``2/8``.

        Raises
        ------
        AnlageError
            If it is nothing of that kind.
        """
        k, slash, n = text.partition("/")
        if slash and k.isdecimal() and n.isdecimal() and 1 <= int(k) <= int(n):
            return cls(int(k), int(n))
        raise AnlageError(f"The part '{text}' is not of the form K/N with K from 1 to N, for example 2/8.")

    def of(self, n_units: int) -> range:
        """The units: one stretch, because neighbouring frames are read together."""
        return range((self.k - 1) * n_units // self.n, self.k * n_units // self.n)

    def __str__(self) -> str:
        return f"{self.k}/{self.n}"


@dataclass(frozen=True, slots=True)
class UnitDone:
    """A unit that this process has finished."""

    index: int
    frame: int
    nuclei: int


class Units(ABC):
    """The units of a prediction, numbered from 0, and their finished files in one folder."""

    kind: str
    """``frames`` or ``tiles``."""

    def __init__(self, folder: Path, n: int) -> None:
        self.folder, self.n = folder, n

    @abstractmethod
    def name(self, index: int) -> str:
        """Name of a unit's file, without its ending."""

    @abstractmethod
    def predict(self, taken: Iterator[int]) -> Iterator[UnitDone]:
        """Predict units and keep them, in the order in which they come."""

    def has(self, index: int) -> bool:
        """Whether a unit is finished."""
        return (self.folder / f"{self.name(index)}.npz").exists()

    def done(self) -> set[str]:
        """Names of all that are finished: one look into the folder."""
        return {path.stem for path in self.folder.glob("frame-*.npz")}

    def missing(self, among: Iterable[int] | None = None) -> list[int]:
        """Those that are not finished."""
        done = self.done()
        return [i for i in (range(self.n) if among is None else among) if self.name(i) not in done]


class Finder(Protocol):
    """Finds nuclei in frames."""

    @property
    def diameter_um(self) -> float:
        """Nucleus diameter in µm by which the image is scaled."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What was assumed, as sentences."""

    def predictions(self, frames: Iterable[int]) -> Iterator[Prediction]:
        """Predict frames, in the order in which they come."""


class FrameUnits(Units):
    """Frames of nuclei.

    Parameters
    ----------
    parts
        Where finished frames are kept.
    frames
        All frames of the prediction.
    """

    kind = "frames"

    def __init__(self, parts: PredictionParts, frames: Sequence[int]) -> None:
        super().__init__(parts.folder, len(frames))
        self._parts, self._frames = parts, frames
        self.finder: Finder | None = None
        """Who predicts; needed for `predict` alone."""
        self.notes: tuple[str, ...] = ()
        """What was assumed, as sentences: the same in all frames."""

    def name(self, index: int) -> str:
        return self._parts.path(self._frames[index]).stem

    def predict(self, taken: Iterator[int]) -> Iterator[UnitDone]:
        if self.finder is None:
            raise RuntimeError("nobody is there to predict")
        number = {t: i for i, t in enumerate(self._frames)}
        for prediction in self.finder.predictions(self._frames[i] for i in taken):
            self._parts.keep(replace(prediction, notes=self.notes))
            yield UnitDone(number[prediction.frame], prediction.frame, len(prediction.nuclei))


class TileUnits(Units):
    """Tiles of labelled frames.

    Parameters
    ----------
    pieces
        Where finished tiles are kept.
    labeller
        Who labels.
    frames
        All frames of the prediction.
    """

    kind = "tiles"

    def __init__(self, pieces: Pieces, labeller: Labeller, frames: Sequence[int]) -> None:
        super().__init__(pieces.folder, len(frames) * len(labeller.tiles))
        self._pieces, self._labeller, self._frames = pieces, labeller, frames

    def name(self, index: int) -> str:
        return self._pieces.path(*self._place(index)).stem

    def predict(self, taken: Iterator[int]) -> Iterator[UnitDone]:
        for index in taken:
            t, i = self._place(index)
            piece = self._labeller.piece(t, self._labeller.tiles[i])
            self._pieces.keep(t, i, piece)
            yield UnitDone(index, t, int(piece.owned.sum()))

    def _place(self, index: int) -> tuple[int, int]:
        """Frame and tile of a unit."""
        k, i = divmod(index, len(self._labeller.tiles))
        return self._frames[k], i


T = TypeVar("T")


def agreed(
    parts: PredictionParts,
    given_um: float | None,
    prepare: Callable[[float | None], T],
    describe: Callable[[T], AgreedScale],
) -> tuple[T, AgreedScale]:
    """Prepare a predictor that scales the image, and cuts it, as those of all other processes do.

    Parameters
    ----------
    parts
        Where the first process tells what it measured.
    given_um
        Nucleus diameter in µm that the user gave; None: measured.
    prepare
        Prepares for a diameter, or measures it.
    describe
        What a predictor assumed.

    Raises
    ------
    AnlageError
        If frames are cut into other tiles here.
    """
    scale = parts.scale
    if scale is None:
        one = prepare(given_um)
        own = describe(one)
        scale = parts.agree(own)
        if scale.diameter_um == own.diameter_um:
            return _cut_alike(one, own, scale)
    one = prepare(scale.diameter_um)
    return _cut_alike(one, describe(one), scale)


def _cut_alike(one: T, own: AgreedScale, scale: AgreedScale) -> tuple[T, AgreedScale]:
    if own.n_units != scale.n_units:
        raise AnlageError(
            f"The other processes cut the prediction into {scale.n_units} pieces, and this one would into {own.n_units}: use the same "
            "version of anlage and of its packages everywhere."
        )
    return one, scale


def work_through(
    units: Units,
    worker: Worker,
    *,
    share: Share | None = None,
    on_done: Callable[[UnitDone], None],
    on_others: Callable[[int], None],
    is_over: Callable[[], bool],
) -> bool:
    """Predict what is free, until all is finished; with a share, until nothing in it is free.

    While others are at work on the last units this process waits, and takes them over should their process die.

    Parameters
    ----------
    units
        What is to be predicted.
    worker
        This process.
    share
        The part that it may take; None: all.
    on_done
        Called with every unit that it has finished.
    on_others
        Called now and then with how many units are finished in all.
    is_over
        Whether the folder is gone because another process has made the output.

    Returns
    -------
    bool
        Whether all units are finished, and their output is still to be made.
    """
    wanted = range(units.n) if share is None else share.of(units.n)
    pause = _SHORTEST_S
    while not is_over():
        missing = units.missing()
        on_others(units.n - len(missing))
        if not missing:
            return True
        before = len(missing)
        try:
            for done in units.predict(_taken(units, worker, wanted)):
                worker.release(units.name(done.index))
                on_done(done)
                pause, before = _SHORTEST_S, 0
        except FileNotFoundError:
            if not is_over():
                raise
        if share is not None:
            return not units.missing()
        if before:  # nothing was free
            time.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_S)
    return False


def _taken(units: Units, worker: Worker, wanted: range) -> Iterator[int]:
    """Claim unit after unit, until nothing is free; where others are at work, far from them, and on to the neighbour."""
    while True:
        claims = worker.claims()
        missing = units.missing(wanted)
        free = [i for i in missing if units.name(i) not in claims]
        if not free:
            return
        busy = [i for i in missing if units.name(i) in claims]
        for i in free[_start(free, busy) :]:
            if not worker.claim(units.name(i)):
                break  # others are here: look where there is room
            if units.has(i):  # finished since we looked
                worker.release(units.name(i))
                break
            yield i


def _start(free: Sequence[int], busy: Sequence[int]) -> int:
    """Where in the list of free units to begin: in the middle of the longest stretch that another one walks into."""
    if not busy:
        return 0
    ends = [0, *(bisect_left(free, i) for i in busy), len(free)]
    if ends[1] > 0:  # nobody walks into what lies before the first of them
        return 0
    gaps = [after - before for before, after in itertools.pairwise(ends)]
    longest = gaps.index(max(gaps))
    return ends[longest] + gaps[longest] // 2
