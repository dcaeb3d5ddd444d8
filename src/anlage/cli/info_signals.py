"""``anlage info`` for files of signals, tables of events, and the held-out examples of a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from anlage.shell import command
from anlage.wording import plural

if TYPE_CHECKING:
    from anlage.signals.signals import Signals

__all__ = [
    "print_events",
    "print_held_out",
    "print_held_out_file",
    "print_signal_sets",
    "print_signals",
    "signal_set_lines",
]

_MOST_NAMES = 40


def print_signals(path: Path, interval_s: float | None) -> None:
    """Rows, tracks, frames, interval, what is missing, classes, events."""
    from anlage.io.signal_files.signals import event_names, open_signals

    named = event_names(path)
    signals = open_signals(path, interval_s=interval_s, event=named[0] if named else "")
    windows = signals.kind == "repeated"
    single = windows and len(signals) == 1
    noun = "trace" if single else "window" if windows else "track"
    frames = "samples" if windows else "frames"
    spans = np.diff(signals.spans, axis=1)[:, 0]
    measured = np.isfinite(signals.values)
    inside = measured.any(axis=1)
    print(
        f"Signals ({signals.kind}): {plural(len(signals), noun)} on {signals.n_frames} {frames} "
        f"({signals.first_frame} to {signals.first_frame + signals.n_frames - 1}), {int(inside.sum())} rows with a measurement."
    )
    if len(spans):
        print(f"Length of a {noun}: {int(spans.min())} to {int(spans.max())} {frames}, median {np.median(spans):g}.")
    step = signals.interval_s
    print(f"Time between two {frames}: " + ("unknown, so times are told in them." if step is None else f"{step:g} s."))
    names = [f"{n} ({u})" if u else n for n, u in zip(signals.names, signals.units, strict=True)]
    print(f"{plural(len(names), 'signal')}: {', '.join(names[:_MOST_NAMES])}{' …' * (len(names) > _MOST_NAMES)}.")
    _print_missing(signals, frames)
    _print_groups(signals)
    _print_scores(signals, named[0] if named else "")
    for event in named[1:]:
        _print_scores(open_signals(path, interval_s=interval_s, event=event), event)
    for note in signals.notes:
        print(note)


def print_signal_sets(folder: Path) -> None:
    """How many files a folder of signals has, and a line for each."""
    lines = signal_set_lines(folder)
    n = sum(not line.startswith("    ") for line in lines)
    learning = command("train", "events", folder)
    print(f"A folder of {plural(n, 'file')} of signals; `{learning}` learns from all of them:")
    for line in lines:
        print(line)


def signal_set_lines(folder: Path, event: str = "") -> list[str]:
    """A line for each file of a folder of signals: what is in it, and how much of it is scored."""
    from anlage.io.signal_files.signals import signal_files
    from anlage.tasks.events.config import EventsConfig
    from anlage.tasks.events.files import SignalFiles

    lines, settings = [], EventsConfig(event=event)
    for file in signal_files(folder):
        source = SignalFiles().open(file, settings)
        signals = source.signals
        windows = signals.kind == "repeated"
        noun = "window" if windows else "track"
        events = int((signals.scores == (1 if windows else 0)).sum())
        lines.append(
            f"  {file.name}: {plural(len(signals), noun)} of up to {signals.n_frames} samples, "
            f"{int(signals.is_scored.sum())} scored, of which {events} with an event"
        )
        lines += [
            f"    {group or 'all'}: {_kinds(counts)}" for group, counts in source.counts.items() if any(counts.values())
        ]
    return lines


def _kinds(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{n} {name}" for name, n in counts.items() if n)


def print_events(path: Path) -> None:
    """How many there are, of which class, when, and how sure."""
    from anlage.io.signal_files.event_tables import read_events

    events = read_events(path)
    happened = events.frames[events.happened]
    tracks = len(np.unique(events.tracks))
    if events.kind == "once":
        print(f"Events that happen once: {len(events)} tracks, {_counts(events.classes)}.")
    else:
        print(f"Events that repeat: {len(events)} in {plural(tracks, 'trace')}.")
    if len(happened):
        print(f"They happen in frames {happened.min():.4g} to {happened.max():.4g}, median {np.median(happened):.4g}.")
    print("Time between two frames: " + ("unknown." if events.interval_s is None else f"{events.interval_s:.6g} s."))
    known = np.isfinite(events.probability)
    print(
        f"Probability: {f'median {np.median(events.probability[known]):.2f}' if known.any() else 'none, so a human said it'}."
    )
    if events.properties:
        print(f"Further columns: {', '.join(events.properties)}.")
    for note in events.notes:
        print(note)


def print_held_out(run: Path) -> None:
    """How well held-out examples were predicted, and the worst of them, where the run kept them."""
    from anlage.io.signal_files.held_out import HELD_OUT

    if (run / HELD_OUT).is_file():
        print_held_out_file(run / HELD_OUT)


def print_held_out_file(path: Path) -> None:
    """The same of the file that a run keeps."""
    from anlage.evaluation.held_out import held_out_report, worst_sentences
    from anlage.io.signal_files.held_out import read_held_out

    held = read_held_out(path)
    print(f"Held-out examples ({path.name}):")
    for line in held_out_report(held).to_text().splitlines():
        print(f"  {line}")
    worst = worst_sentences(held)
    if worst:
        print("  The worst:")
    for sentence in worst:
        print(f"    {sentence}")


def _print_missing(signals: Signals, frames: str) -> None:
    gaps = sum(int((~row[low:high]).sum()) for row, (low, high) in zip(signals.present, signals.spans, strict=True))
    inside = int(np.diff(signals.spans, axis=1).sum())
    share = f" ({100 * gaps / inside:.1f} %)" if inside else ""
    print(f"Missing: {gaps} of {inside} {frames} between first and last{share}.")
    # of frames that were measured at all, single signals may lack
    lacking = (~np.isfinite(signals.values) & signals.present[:, None]).sum(axis=(0, 2))
    for name, n in zip(signals.names, lacking.tolist(), strict=True):
        if n:
            print(f"  {name}: missing in {n} measured {frames}.")


def _print_groups(signals: Signals) -> None:
    groups = [group for group in np.unique(signals.group).tolist() if group]
    if groups:
        noun = "recording" if signals.kind == "repeated" else "movie"
        print(f"From {plural(len(groups), noun)}: {', '.join(groups[:8])}{' …' * (len(groups) > 8)}.")


def _print_scores(signals: Signals, event: str) -> None:
    of = f" of {event}" if event else ""
    if not (signals.scores >= 0).any():
        print(f"Nothing{of} is scored yet.")
        return
    if signals.kind == "repeated":
        counts = [int((signals.scores == score).sum()) for score in (0, 1, 2, -1)]
        print("Scores: {} no event (0), {} event (1), {} unclear (2), {} not scored.".format(*counts))
        return
    print(f"Classes{of}: {_counts(signals.scores)}.")
    times = signals.times[(signals.scores == 0) & np.isfinite(signals.times)]
    if len(times):
        print(f"Events{of} in frames {times.min():.4g} to {times.max():.4g}, median {np.median(times):.4g}.")


def _counts(classes: np.ndarray[tuple[int], np.dtype[np.int64]]) -> str:
    n = [int((classes == k).sum()) for k in (0, 1, 2)] + [int((classes > 2).sum()), int((classes < 0).sum())]
    words = ("event (0)", "no event (1)", "other (2)", "removed (above 2)", "not scored")
    pairs = list(zip(n, words, strict=True))
    return ", ".join(f"{count} {word}" for i, (count, word) in enumerate(pairs) if count or i < 2)
