"""What `info` says of signals, of events, and of the held-out examples of a run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from anlage.signals import Signals

__all__ = ["holds_events", "holds_signals", "tell_events", "tell_held_out", "tell_signals"]

_MOST_NAMES = 40
_OF_EVENTS = re.compile(
    r"track_id|class|frame|time_s|t|z|y|x|movie|r2|peak|amplitude|area|overlaps|probability.*|rise_.*|half_.*"
)
"""Columns of a table of events; signals have others."""


def holds_signals(path: Path) -> bool:
    """Whether a file holds signals: by its suffix, or a table by its columns."""
    if path.suffix.lower() in (".npy", ".h5", ".hdf5", ".tsv"):
        return path.is_file()
    if path.suffix.lower() != ".csv" or holds_events(path):
        return False
    names = _columns(path)
    return _is_long(names) or _is_wide(names)


def holds_events(path: Path) -> bool:
    """Whether a file is a table of events."""
    from anlage.io.event_tables import is_event_table

    return is_event_table(path) and all(_OF_EVENTS.fullmatch(name) for name in _columns(path))


def tell_signals(path: Path, interval_s: float | None) -> None:
    """Rows, tracks, frames, interval, what is missing, classes, events."""
    from anlage.io.signals import open_signals

    named = (
        [n.removeprefix("class_") for n in _columns(path) if n.startswith("class_")]
        if path.suffix.lower() in (".csv", ".tsv")
        else []
    )
    signals = open_signals(path, interval_s=interval_s, event=named[0] if named else "")
    windows = signals.kind == "repeated"
    single = windows and len(signals) == 1
    noun = "trace" if single else "window" if windows else "track"
    frames = "samples" if windows else "frames"
    spans = np.diff(signals.spans, axis=1)[:, 0]
    measured = np.isfinite(signals.values)
    inside = measured.any(axis=1)
    print(
        f"Signals ({signals.kind}): {len(signals)} {noun}{'s' * (len(signals) != 1)} on {signals.n_frames} {frames} "
        f"({signals.first_frame} to {signals.first_frame + signals.n_frames - 1}), {int(inside.sum())} rows with a measurement."
    )
    if len(spans):
        print(f"Length of a {noun}: {int(spans.min())} to {int(spans.max())} {frames}, median {np.median(spans):g}.")
    step = signals.interval_s
    print(f"Time between two {frames}: " + ("unknown, so times are told in them." if step is None else f"{step:g} s."))
    names = [f"{n} ({u})" if u else n for n, u in zip(signals.names, signals.units, strict=True)]
    print(
        f"{len(names)} signal{'s' * (len(names) != 1)}: {', '.join(names[:_MOST_NAMES])}{' …' * (len(names) > _MOST_NAMES)}."
    )
    _tell_missing(signals, frames)
    _tell_groups(signals)
    _tell_scores(signals, named[0] if named else "")
    for event in named[1:]:
        _tell_scores(open_signals(path, interval_s=interval_s, event=event), event)
    for note in signals.notes:
        print(note)


def tell_events(path: Path) -> None:
    """How many there are, of which class, when, and how sure."""
    from anlage.io.event_tables import read_events

    events = read_events(path)
    happened = events.frames[events.happened]
    tracks = len(np.unique(events.tracks))
    if events.kind == "once":
        print(f"Events that happen once: {len(events)} tracks, {_counts(events.classes)}.")
    else:
        print(f"Events that repeat: {len(events)} in {tracks} trace{'s' * (tracks != 1)}.")
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


def tell_held_out(run: Path) -> None:
    """How well held-out examples were told, and the worst of them, where the run kept them."""
    from anlage.evaluation.held_out import held_out_report, worst_sentences
    from anlage.io.held_out import HELD_OUT, read_held_out

    path = run / HELD_OUT
    if not path.is_file():
        return
    held = read_held_out(path)
    print(f"Held-out examples ({path.name}):")
    for line in held_out_report(held).to_text().splitlines():
        print(f"  {line}")
    worst = worst_sentences(held)
    if worst:
        print("  The worst:")
    for sentence in worst:
        print(f"    {sentence}")


def _tell_missing(signals: Signals, frames: str) -> None:
    gaps = sum(int((~row[low:high]).sum()) for row, (low, high) in zip(signals.present, signals.spans, strict=True))
    inside = int(np.diff(signals.spans, axis=1).sum())
    share = f" ({100 * gaps / inside:.1f} %)" if inside else ""
    print(f"Missing: {gaps} of {inside} {frames} between first and last{share}.")
    # of frames that were measured at all, single signals may lack
    lacking = (~np.isfinite(signals.values) & signals.present[:, None]).sum(axis=(0, 2))
    for name, n in zip(signals.names, lacking.tolist(), strict=True):
        if n:
            print(f"  {name}: missing in {n} measured {frames}.")


def _tell_groups(signals: Signals) -> None:
    groups = [group for group in np.unique(signals.group).tolist() if group]
    if groups:
        noun = "recording" if signals.kind == "repeated" else "movie"
        print(
            f"From {len(groups)} {noun}{'s' * (len(groups) != 1)}: {', '.join(groups[:8])}{' …' * (len(groups) > 8)}."
        )


def _tell_scores(signals: Signals, event: str) -> None:
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


def _columns(path: Path) -> list[str]:
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        header = file.readline()
    separator = max(",;\t", key=header.count)
    return [name.strip().strip('"').lower() for name in header.strip().split(separator)]


def _is_long(names: list[str]) -> bool:
    """A row for each track and frame; a table of nuclei has an id for each row instead."""
    track = any(name in names for name in ("track_id", "track", "particle"))
    return track and any(name in names for name in ("t", "frame", "time_s")) and not {"id", "parent_id"} & set(names)


def _is_wide(names: list[str]) -> bool:
    """A row for each track and a column for each frame, or a single trace over time."""
    numbered = sum(name.isdigit() or "@" in name for name in names)
    trace = "t" not in names and any(name in names for name in ("time_s", "time_ms", "time")) and "z" not in names
    return numbered > len(names) // 2 or trace
