"""Predict events on signals with a trained network: on tracks, on windows, and along traces."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from anlage.errors import AnlageError
from anlage.inference.loading import network_of
from anlage.io.kinds import FileKind
from anlage.model import Model
from anlage.signals.events import Events
from anlage.signals.signals import Signals
from anlage.signals.windows import SeenWindow, resampled, resampled_signals, seen_window
from anlage.tasks.events.scale import lag_of

if TYPE_CHECKING:
    from anlage.tasks.events.config import EventsPlan

__all__ = [
    "are_recordings",
    "are_traces",
    "probability_along",
    "score_windows",
    "signals_for",
    "track_events",
    "window_for",
]

_OTHER = 2
_LONG_WINDOW = 4
"""No window is so many times as long as the network's own."""
_TRACE = 1.5
"""Longer than so many windows, a row is a trace and not a window."""
_CHUNK = 2**17
"""Samples of a trace that the network sees at once, beside the context on both sides."""


def signals_for(model: Model, signals: Signals, *, invert: bool = False) -> Signals:
    """The signals that the model looks at, in its order.

    Parameters
    ----------
    model
        Of the task events.
    signals
        Measured or read.
    invert
        Turn them upside down: for events that go the other way than those it learnt from.

    Raises
    ------
    AnlageError
        If one is absent.
    """
    names = [scale["name"] for scale in model.card.plan["scales"]]
    # a single trace may have been called otherwise
    alone = len(names) == len(signals.names) == 1
    chosen = signals if alone else signals.chosen(names)
    return dataclasses.replace(chosen, values=-chosen.values) if invert else chosen


def window_for(model: Model, signals: Signals, asked: int | None = None) -> SeenWindow:
    """How long the model's window is in these signals; see `anlage.signals.windows.seen_window`."""
    plan = model.card.plan
    return seen_window(
        int(plan["window"]), plan.get("interval_s"), signals, asked, usual=int(plan.get("window_here", 0))
    )


def are_traces(model: Model, signals: Signals) -> bool:
    """Whether events repeat in these signals: they are longer than the model's window."""
    return are_recordings(signals, int(model.card.plan["window"]), kind=None)


def are_recordings(signals: Signals, window: int, kind: FileKind | None) -> bool:
    """Whether signals are recordings in which events are looked for all along, or windows of which each holds one or none.

    Parameters
    ----------
    signals
        As they were read.
    window
        Samples that the network looks at; 0 where it looks at whole tracks.
    kind
        What their file is: of windows, which `events` of an HDF5 file are, the length may differ; None: unknown.
    """
    if not window or kind is FileKind.TRACE:
        return bool(window)
    return signals.n_frames > (_LONG_WINDOW if kind is FileKind.WINDOWS else _TRACE) * window


def track_events(model: Model, signals: Signals, device: str = "cpu") -> Events:
    """Class, time and probability of each track.

    Parameters
    ----------
    model
        Of the kind *once*.
    signals
        As `signals_for` gives them; tracks of any length. Of those below four frames, which no network learns from, nothing is
        told: they are *other*, and every class is as probable.
    device
        Where to compute.
    """
    from anlage.tasks.events.preparation import SHORTEST, as_seen
    from anlage.tasks.events.validation import class_probabilities, read_tracks

    network, plan, device = _opened(model, device, "once")
    measured = signals.select(np.asarray(signals.present.any(axis=1)))
    tracks = as_seen(measured, plan)
    read = read_tracks(network, tracks, device)
    chances = class_probabilities(read.logits, model.card.evidence.calibration)
    # of so short a track the network has never seen one, and would guess by its mere shortness
    short = tracks.lengths < SHORTEST
    chances[short] = 1 / 3
    classes = np.where(short, _OTHER, chances.argmax(axis=1))
    frames = read.times + measured.first_frame + measured.spans[:, 0]
    frames = np.clip(frames, measured.first_frame, measured.first_frame + measured.n_frames - 1)
    events = Events(
        tracks=measured.ids,
        kind="once",
        classes=classes.astype(np.int64),
        frames=np.where(classes == 0, frames, np.nan),
        probability=chances.max(axis=1),
        interval_s=measured.interval_s,
        properties={
            "probability_event": chances[:, 0], "probability_no_event": chances[:, 1], "probability_other": chances[:, 2],
            **({"movie": measured.group} if (measured.group != "").any() else {}),
        },
    )  # fmt: skip
    return events.placed(measured)


def score_windows(
    model: Model, signals: Signals, device: str = "cpu", *, window: SeenWindow | None = None
) -> npt.NDArray[np.float64]:
    """Calibrated probability of an event (score 1) for each window, in their order; NaN where a window is empty.

    Parameters
    ----------
    model
        Of the kind *repeated*.
    signals
        Windows at least as long as the model's; of longer ones the end is left out.
    device
        Where to compute.
    window
        How long the model's window is in them, as `window_for` gives it; None: by their sampling intervals.

    Raises
    ------
    AnlageError
        If they are shorter.
    """
    from anlage.tasks.events.preparation import as_seen
    from anlage.tasks.events.validation import read_tracks

    network, plan, device = _opened(model, device, "repeated")
    window = window or window_for(model, signals)
    if signals.n_frames < window.samples:
        raise AnlageError(
            f"The model '{model.card.name}' looks at windows of {plan.window} samples, which are {window.samples} here, but these have "
            f"{signals.n_frames}; cut longer ones, or set the window to {signals.n_frames}."
        )
    cut = dataclasses.replace(signals, values=signals.values[..., : window.samples])
    signals = resampled_signals(cut, window.ratio)
    read = read_tracks(network, as_seen(signals, plan), device)
    probability = model.card.evidence.calibration.apply(read.logits[:, 0])
    probability[~signals.present.any(axis=1)] = np.nan
    return probability


@dataclass(frozen=True, slots=True)
class Along:
    """What a network says all along one trace.

    Parameters
    ----------
    probability
        (P,) calibrated probability that the window around each position holds an event.
    stride
        Samples between two positions, not always a whole number; position p lies at sample p · stride.
    window
        Samples of a window.
    onset
        Where in a window events begin, as a part of it.
    """

    probability: npt.NDArray[np.float64]
    stride: float
    window: int
    onset: float

    @property
    def lead(self) -> float:
        """Samples from the beginning of an event to the middle of its window."""
        return (0.5 - self.onset) * self.window


def probability_along(
    model: Model, trace: npt.NDArray[np.float64], device: str = "cpu", window: SeenWindow | None = None
) -> Along:
    """Look at a trace of any length: each sample is seen once by the network.

    Parameters
    ----------
    model
        Of the kind *repeated*.
    trace
        (C, T) the signals that it looks at; NaN where missing.
    device
        Where to compute.
    window
        How long the model's window is in the trace; None: as long as it is.
    """
    import torch

    network, plan, device = _opened(model, device, "repeated")
    ratio = 1.0 if window is None else window.ratio
    trace = resampled(-trace if plan.invert else trace, ratio)
    scaled = [s.apply_along(row, plan.window, lag_of(plan.window)) for s, row in zip(plan.scales, trace, strict=True)]
    values = np.stack(scaled).astype(np.float32)
    known = np.isfinite(values)
    x = torch.from_numpy(np.where(known, values, 0).astype(np.float32))[None]
    k = torch.from_numpy(known.astype(np.float32))[None]
    context = plan.stride * (plan.positions + _reach(plan, model.card.config))
    parts = []
    with torch.inference_mode():
        for start in range(0, x.shape[2], chunk := max(1, _CHUNK // plan.stride) * plan.stride):
            low, high = max(0, start - context), min(x.shape[2], start + chunk + context)
            logits = network.slide(x[..., low:high].to(device), k[..., low:high].to(device), plan.positions)[0, 0]
            first = (start - low) // plan.stride
            parts.append(
                logits[first : first + -(-min(chunk, x.shape[2] - start) // plan.stride)].float().cpu().numpy()
            )
    probability = model.card.evidence.calibration.apply(np.concatenate(parts))
    return Along(probability, plan.stride / ratio, plan.window if window is None else window.samples, plan.onset)


def _reach(plan: EventsPlan, config: dict[str, Any]) -> int:
    """Positions that the network's convolutions see to either side."""
    return 2 + int(config.get("kernel", 5)) // 2 * sum(plan.dilations)


def _opened(model: Model, device: str, kind: str) -> tuple[Any, EventsPlan, str]:
    from anlage.networks.device import choose_device

    chosen = choose_device(device)
    network, plan = network_of(model, chosen)
    if plan.kind != kind:
        words = {"once": "events that happen once per track", "repeated": "events that repeat in a trace"}
        raise AnlageError(
            f"The model '{model.card.name}' is for {words[plan.kind]}, not for {words[kind]}; choose another."
        )
    return network, plan, chosen
