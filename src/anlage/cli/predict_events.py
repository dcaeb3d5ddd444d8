"""``anlage predict`` with an events model: from a file of signals to a table of events."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from anlage.cli.arguments import Parser, check_free, positive, window_length, writer
from anlage.cli.describe import open_for_use
from anlage.cli.train import model_of
from anlage.errors import AnlageError
from anlage.signals.traces import looks_upside_down
from anlage.signals.windows import samples_of, seen_window
from anlage.wording import plural

if TYPE_CHECKING:
    from anlage.inference.keras_model import KerasModel
    from anlage.inference.trace_events import TraceSettings
    from anlage.io.kinds import FileKind
    from anlage.model import Model
    from anlage.signals.events import Events
    from anlage.signals.signals import Signals
    from anlage.signals.windows import SeenWindow

__all__ = ["add_events", "is_event_model", "predict_events"]

_FEWEST_OF_AVERAGE = 3
"""Fewest events from which their average is printed without being asked for."""


def add_events(parser: Parser) -> None:
    """The options that only events have."""
    group = parser.add_argument_group("events (a model of signals, with a file of signals in place of IMAGE)")
    group.add_argument(
        "--invert",
        action="store_true",
        help="turn the signals upside down: events here go the other way than those learnt from",
    )
    group.add_argument(
        "--window",
        type=window_length,
        metavar="N|Nms",
        help="samples, or milliseconds (60ms), that hold an event with its surroundings here, as the network's window did where it "
        "learnt: the signals are resampled by the ratio of both (default: as the sampling intervals of both say)",
    )
    group.add_argument(
        "--filter-ms",
        type=positive,
        metavar="MS",
        help="smooth traces by a Hann window of so many milliseconds before events are located and measured; the network sees them "
        "as they are (default: not at all)",
    )
    parser.add_output(
        "--average", group=group, kind="average", type=Path, metavar="OUT.csv|OUT.png",
        help="also write the average of the events of traces with its fitted decay, as a table or a picture",
    )  # fmt: skip


def is_event_model(name: str) -> bool:
    """Whether what is to be predicted are events: the model is one of signals, or a file of miniML's weights."""
    from anlage.inference import CLASSICAL, STARTERS
    from anlage.inference.keras_model import is_keras
    from anlage.model import SUFFIX, read_card

    if name in (CLASSICAL, *STARTERS):
        return False
    path = model_of(name)
    if is_keras(path):
        return True
    return path.suffix == SUFFIX and path.is_file() and read_card(path).task == "events"


def predict_events(options: argparse.Namespace) -> int:
    """Events of tracks, of windows, or all along traces, whichever the model and the file are for."""
    from anlage.inference.keras_model import is_keras, open_keras
    from anlage.inference.signal_events import are_recordings, signals_for, window_for
    from anlage.io.atomic import check_apart
    from anlage.io.kinds import kind_of
    from anlage.io.signal_files.signals import open_signals

    output: Path = options.output
    if output.suffix.lower() != ".csv":
        raise AnlageError(f"'{output}' cannot hold events; choose a name that ends in .csv.")
    check_apart(output, options.image)
    check_free(output, options, "events")
    if options.average is not None and options.average.suffix.lower() not in (".csv", ".png"):
        raise AnlageError(f"'{options.average}' cannot hold an average; choose a name that ends in .csv or .png.")
    path = model_of(options.model)
    signals = open_signals(options.image, interval_s=options.interval)
    for note in signals.notes:
        print(note)
    _describe(signals)
    kind = kind_of(options.image)
    if is_keras(path):
        return _keras(open_keras(path), signals, kind, options)
    model = open_for_use(path, "events")
    print(f"Model {model.card.name}: finds {model.card.finds}.")
    signals = signals_for(model, signals, invert=options.invert)
    if model.card.plan["kind"] == "once":
        if options.window is not None:
            raise AnlageError(
                f"The model '{model.card.name}' looks at whole tracks and has no window; leave --window out."
            )
        return _tracks(model, signals, output, options)
    window = window_for(model, signals, _asked(options, signals))
    if are_recordings(signals, window.samples, kind):
        _say(window.said)
        return _traces(model, signals, window, options)
    from anlage.inference.signal_events import score_windows

    _say(_cut(window, signals))
    probability = score_windows(model, signals, options.device, window=window)
    return _windows(probability, signals, options, model.card.evidence.threshold)


def _asked(options: argparse.Namespace, signals: Signals) -> int | None:
    """Samples of these signals in the window that was asked for."""
    asked: tuple[float, str] | None = options.window
    if asked is None:
        return None
    length, unit = asked
    return samples_of(length, signals.interval_s) if unit == "ms" else int(length)


def _say(sentence: str) -> None:
    if sentence:
        print(sentence)


def _cut(window: SeenWindow, signals: Signals) -> str:
    """What is done to windows that are not of the network's length."""
    if signals.n_frames == window.samples:
        return window.said if window.ratio != 1 else ""
    left = signals.n_frames - window.samples
    return f"{window.said} The last {left} of the {signals.n_frames} samples of each window are not looked at.".strip()


def _describe(signals: Signals) -> None:
    n, frames = len(signals), signals.n_frames
    step = (
        "time between samples unknown: times are told in frames"
        if signals.interval_s is None
        else f"{signals.interval_s:g} s between samples"
    )
    print(
        f"{plural(n, 'signal')} of up to {frames} samples ({', '.join(signals.names[:6])}{' …' * (len(signals.names) > 6)}); {step}."
    )


def _tracks(model: Model, signals: Signals, output: Path, options: argparse.Namespace) -> int:
    from anlage.inference.signal_events import track_events
    from anlage.io.signal_files.event_tables import traced, write_events

    events = traced(track_events(model, signals, options.device), model.id, options.image)
    write_events(output, events, writer(options))
    counts = np.bincount(events.classes, minlength=3)
    print(f"{counts[0]} tracks with an event, {counts[1]} without, {counts[2]} other; written to {output}.")
    return 0


def _traces(model: Model, signals: Signals, window: SeenWindow, options: argparse.Namespace) -> int:
    from anlage.inference.trace_events import trace_events

    way = int(model.card.plan["direction"]) * (-1 if model.card.plan.get("invert") else 1)
    if any(looks_upside_down(row, way, window.samples) for row in signals.values[:, 0]):
        undo = "without --invert" if options.invert else "with --invert"
        print(
            f"What stands out here goes the other way than the events that {model.card.name} learnt; look again {undo}."
        )
    settings = _settings(options, model.card.evidence.threshold)
    events = trace_events(model, signals, settings, device=options.device, window=window)
    if options.invert:
        signals, events = dataclasses.replace(signals, values=-signals.values), _turned_back(events)
    return _write_occurrences(events, signals, window.samples, options, model.id)


def _keras(network: KerasModel, signals: Signals, kind: FileKind | None, options: argparse.Namespace) -> int:
    """A network of miniML: windows one by one, a recording all along."""
    from anlage.inference.signal_events import are_recordings
    from anlage.inference.trace_events import keras_events

    asked = _asked(options, signals)
    if not are_recordings(signals, asked or network.window, kind):
        # without a word on the window, all of each one is what the network looks at
        window = seen_window(network.window, None, signals, asked or signals.n_frames)
        if signals.n_frames < window.samples:
            raise AnlageError(
                f"These windows have {signals.n_frames} samples, not {window.samples}; set a shorter --window."
            )
        _say(_cut(window, signals))
        signals = dataclasses.replace(signals, values=signals.values[..., : window.samples])
        return _windows(network.score(signals, invert=options.invert), signals, options)
    window = seen_window(network.window, None, signals, asked)
    _say(window.said)
    settings = _settings(options, None)
    print(
        f"A recording: windows of {window.samples} samples are looked at all along it; what the network says is not calibrated."
    )
    events = keras_events(network, signals, settings, invert=options.invert, window=window)
    if options.invert:
        events = _turned_back(events)
    elif not len(events):
        print("No event was found; if events go downwards here, say --invert.")
    return _write_occurrences(events, signals, window.samples, options, network.path.stem)


def _settings(options: argparse.Namespace, own: float | None) -> TraceSettings:
    """How events are reported: from the threshold that was asked for, else the network's own, else the usual one."""
    from anlage.inference.trace_events import TraceSettings

    given = own if options.threshold is None else options.threshold
    chosen = {} if given is None else {"threshold": given}
    return TraceSettings(filter_ms=options.filter_ms, **chosen)


def _turned_back(events: Events) -> Events:
    """Events of signals that were turned upside down, with the sizes that they have in the signals as they were read."""
    sizes = {name: -values if name in ("amplitude", "area") else values for name, values in events.properties.items()}
    return dataclasses.replace(events, properties=sizes)


def _write_occurrences(events: Events, signals: Signals, window: int, options: argparse.Namespace, origin: str) -> int:
    """The table of events of traces, and their average."""
    from anlage.io.signal_files.event_tables import traced, write_events

    write_events(options.output, traced(events, origin, options.image), writer(options))
    print(f"{len(events)} events in {plural(len(signals), 'trace')}; written to {options.output}.")
    if len(events) >= _FEWEST_OF_AVERAGE or options.average is not None:
        _average(signals, events, window, options)
    return 0


def _average(signals: Signals, events: Events, window: int, options: argparse.Namespace) -> None:
    from anlage.evaluation.average_event import average_event, write_average

    output: Path | None = options.average
    try:
        average = average_event(signals, events, before=window // 6, after=window - window // 6)
    except AnlageError as error:
        if output is not None:
            raise
        print(error)  # nobody asked for it
        return
    print(average.sentence)
    if output is not None:
        write_average(output, average, writer(options))
        print(f"Written to {output}.")


def _windows(
    probability: npt.NDArray[np.float64], signals: Signals, options: argparse.Namespace, own: float | None = None
) -> int:
    """The table of windows, with an event from the threshold on."""
    from anlage.io.csv_files import write_csv

    predicted = probability >= _settings(options, own).threshold
    table: dict[str, Any] = {"window": np.arange(len(signals))}
    if (signals.group != "").any():
        table["recording"] = signals.group
    table |= {"probability": probability.round(6), "score": predicted.astype(np.int64)}
    write_csv(options.output, table, writer(options).of("events"))
    print(f"{int(predicted.sum())} of {len(signals)} windows hold an event; written to {options.output}.")
    return 0
