"""Parameters of a training of events, and its plan: what the data decided."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from annotated_types import Ge, Gt, Le, MaxLen, MinLen
from pydantic import AfterValidator, model_validator

from anlage.frozen import Finite, IntervalS, Probability
from anlage.tasks.events.scale import Normalise, SignalScale

__all__ = ["MOST_DOUBLINGS", "EventsConfig", "EventsPlan", "RecurrentShape"]

MOST_DOUBLINGS = 14
"""Of the reach of one convolution over another: 16,384 positions."""


_MOST_SIGNALS = 256


_MOST_SAMPLES = 10_000_000


_MOST_PARTS = 4
_MOST_POSITIONS = 4096
"""Of the network's grid across a window."""


Part = Annotated[float, Ge(0), Le(1000)]
"""How often a kind of example is shown, beside the others."""


def _odd(kernel: int) -> int:
    if kernel % 2 == 0:
        raise ValueError(f"a kernel of {kernel} positions has no middle; take {kernel - 1} or {kernel + 1}")
    return kernel


class EventsConfig(Finite):
    """Parameters of the events task."""

    kind: Literal["auto", "once", "repeated"] = "auto"
    """What can happen: 'once' per track, with a time; 'repeated' in a trace, learnt from windows. auto: as the files were scored."""
    event: str = ""
    """Name of the event, where the files hold the classes and times of several."""
    signals: Annotated[tuple[str, ...], MaxLen(_MOST_SIGNALS)] = ()
    """Names of the signals to use; none: all that the files have in common."""
    normalise: Annotated[tuple[Normalise, ...], MinLen(1)] = ("auto",)
    """How each signal is brought to one scale: percentile, absolute, window (smallest to largest of each), noise or none; one for all, or one for each. auto: percentile for tracks, noise for windows."""
    limits: tuple[tuple[float, float], ...] = ()
    """Percentiles, or absolute values, that become 0 and 1: [[0.1, 99.9]] for all, or a pair for each signal."""
    clip_signals: bool = False
    """Cut off what lies outside the limits."""
    window: Annotated[int, Ge(8), Le(_MOST_SAMPLES)] | None = None
    """Samples of a window here; of longer ones the end is left out, and said. Of a training that starts from a model: the samples that hold what its window held, and they are resampled by the ratio of both. None: as in the file, or as the sampling intervals of both say."""
    window_ms: Annotated[float, Gt(0), Le(3_600_000)] | None = None
    """The same in milliseconds, where the time between samples is known."""
    invert: bool = False
    """Turn the signals upside down: for events that go the other way than those the model to start from learnt. The model turns them at use as well."""
    resolution: Annotated[int, Ge(16), Le(1000)] = 75
    """Positions across a window at which the network is evaluated: more are finer and slower."""
    width: Annotated[int, Ge(4), Le(256)] = 32
    """Channels of the network."""
    depth: Annotated[int, Ge(1), Le(10)] = 6
    """Convolutions of the network, one after the other; each sees twice as far as the one before, and then anew."""
    members: Annotated[int, Ge(1), Le(9)] = 5
    """Networks that learn beside each other and answer together, each from all but its own held-out part: more are surer and slower."""
    held_out: Annotated[float, Ge(0.05), Le(0.45)] = 0.2
    """Share of the examples that is held out, in whole movies or recordings where there are several, if `members` is 1; of several networks each has its own part held out."""
    kernel: Annotated[int, Ge(3), Le(15), AfterValidator(_odd)] = 5
    """Positions that each of them sees, an odd number."""
    mix: Annotated[tuple[Part, ...], MinLen(3), MaxLen(_MOST_PARTS)] | None = None
    """How often each kind is shown, as parts beside each other, 0 for never. Of windows four: clear events, less clear ones, false positives, noise, and from the share of events follows how readily one is reported: 2,2,1,1 is liberal, 1,1,2,2 restrictive. Of tracks three: event, no event, other. None: each as often as there are some, the rarer scores a little more often."""
    even_recordings: bool = False
    """Show every movie or recording as often as the others, however many examples it has."""
    variation: Annotated[float, Ge(0), Le(3)] = 1.0
    """Amount of variation: crop, shift, stretch, gain and noise are multiplied by it; 0 shows every example as it is (with augment)."""
    crop: Annotated[float, Ge(0), Le(1)] = 0.5
    """Share of the tracks that are shown cut to a random piece: one that ends before the event then shows none, one that begins after it shows that it has been (kind once, with augment)."""
    shift: Annotated[float, Ge(0), Le(0.45)] = 0.1
    """Largest shift of a window, in parts of it (kind repeated, with augment)."""
    stretch: Annotated[float, Ge(0), Le(0.5)] = 0.1
    """Largest change of the speed, as a part of it (kind repeated, with augment)."""
    gain: Annotated[float, Ge(0), Le(2)] = 0.2
    """Typical change of the size of a signal, as a part of it (with augment)."""
    noise: Annotated[float, Ge(0), Le(2)] = 0.1
    """Most noise that is added, in parts of a signal's spread (with augment)."""
    flip_sign: bool = False
    """Show every second example upside down: for events of either direction (with augment)."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.window is not None and self.window_ms is not None:
            raise ValueError("the window is given in samples and in milliseconds; give one of window and window_ms")
        return self


class RecurrentShape(Finite):
    """The shape of a network of miniML that is trained further."""

    convolutions: Annotated[
        tuple[tuple[Annotated[int, Ge(1), Le(4096)], Annotated[int, Ge(1), Le(1001)], Annotated[int, Ge(1), Le(1000)]], ...],
        MinLen(1), MaxLen(20),
    ]  # fmt: skip
    """Channels, kernel and pooling of each."""
    units: Annotated[int, Ge(1), Le(4096)]
    """Of the LSTM."""
    hidden: Annotated[int, Ge(1), Le(4096)]
    """Of the dense layer."""
    slope: Annotated[float, Ge(-10), Le(10)]
    """Of the leaky activations."""


class EventsPlan(Finite):
    """What the training data decided."""

    kind: Literal["once", "repeated"]
    """Once per track, or repeated in a trace."""
    event: str
    """Name of the event; empty if it has none."""
    scales: Annotated[tuple[SignalScale, ...], MinLen(1), MaxLen(_MOST_SIGNALS)]
    """How each signal becomes an input, in the order in which the network sees them."""
    window: Annotated[int, Ge(0), Le(_MOST_SAMPLES)]
    """Samples of a window; 0 for tracks, which may be of any length."""
    stride: Annotated[int, Ge(1), Le(_MOST_SAMPLES)]
    """Samples between two positions of the network's grid."""
    dilations: Annotated[tuple[Annotated[int, Ge(1), Le(2**MOST_DOUBLINGS)], ...], MinLen(1), MaxLen(10)]
    """Reach of the network's convolutions, in positions."""
    longest: Annotated[int, Ge(1), Le(_MOST_SAMPLES)]
    """Frames of the longest track, or window, that was learnt from."""
    interval_s: IntervalS | None
    """Time between two samples in seconds; None where unknown."""
    onset: Probability
    """Where in a window events begin, as a part of it: the median over those that were scored."""
    direction: Literal[-1, 0, 1]
    """1 where events rise, -1 where they fall, 0 where it is not known; after they were turned."""
    invert: bool = False
    """Whether the signals are turned upside down before they are looked at."""
    window_here: Annotated[int, Ge(0), Le(_MOST_SAMPLES)] = 0
    """Samples in the files that it learnt from which became a window; 0: as many."""
    recurrent: RecurrentShape | None = None
    """The shape of a network of miniML that was the start; None: the usual network."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.kind == "once" and (self.window or self.stride > 1):
            raise ValueError("a network of whole tracks has neither a window nor steps between positions")
        if self.kind == "repeated" and not (self.stride <= self.window and self.positions <= _MOST_POSITIONS):
            raise ValueError(f"{self.stride} samples between positions of a window of {self.window}")
        return self

    @property
    def signals(self) -> tuple[str, ...]:
        """Names of the signals that the network sees."""
        return tuple(scale.name for scale in self.scales)

    @property
    def n_classes(self) -> int:
        """Logits of the whole track or window."""
        return 3 if self.kind == "once" else 1

    @property
    def positions(self) -> int:
        """Positions of the network's grid across a window."""
        return -(-self.window // self.stride)
