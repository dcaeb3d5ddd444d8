"""Sets of scored signals to train a network of events on: what each holds, and whether they suffice together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from anlage.errors import AnlageError
from anlage.io.signal_files.signals import SUFFIXES, event_names
from anlage.tasks.events.config import EventsConfig
from anlage.tasks.events.files import SignalFiles
from anlage.tasks.events.mix import KINDS, event_share, mix_sentence
from anlage.tasks.readiness import Readiness
from anlage.wording import plural

__all__ = [
    "KINDS",
    "SIGNAL_FILES",
    "EventSet",
    "common_signals",
    "counts_of",
    "mix_in_words",
    "read_event_sets",
    "sets_readiness",
    "usable",
]

SIGNAL_FILES = f"Signals ({' '.join(f'*{suffix}' for suffix in SUFFIXES)})"
"""What a file dialogue offers."""

Kind = Literal["once", "repeated"]
_FEWEST = 4
"""Examples of each of two scores that a training needs."""
_FEW = 50
"""Scored examples below which more are better."""
_UNLIKE = 3.0
"""Ratio of events to others from which more of the rarer are better."""


@dataclass(frozen=True, slots=True)
class EventSet:
    """A file of signals, as the user chooses it.

    Parameters
    ----------
    path
        The file.
    kind
        ``once`` for tracks, ``repeated`` for windows.
    signals
        Names of its signals.
    units
        Unit of each; empty where unknown.
    lengths
        Samples, or frames, of the shortest and of the longest example.
    interval_s
        Time between two of them in seconds; None where unknown.
    counts
        Scored examples of each kind (in the order of `KINDS`), by movie or recording.
    scores
        Scored examples of each class or score.
    events
        Names of the events that it holds classes for.
    problem
        Why nothing can be learnt from it, a sentence; empty if something can.
    """

    path: Path
    kind: Kind = "once"
    signals: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    lengths: tuple[int, int] = (0, 0)
    interval_s: float | None = None
    counts: tuple[tuple[str, tuple[int, ...]], ...] = ()
    scores: tuple[int, ...] = ()
    events: tuple[str, ...] = ()
    problem: str = ""

    @property
    def n(self) -> tuple[int, ...]:
        """Examples of each kind, of all recordings."""
        return tuple(map(sum, zip(*(counts for _, counts in self.counts), strict=True)))


def read_event_sets(paths: Sequence[Path], event: str = "") -> list[EventSet]:
    """Read files of signals, or the files of folders; one that cannot be used says why.

    Parameters
    ----------
    paths
        Files and folders.
    event
        Name of the event to learn; empty: the first one that a file names, or the only one.
    """
    found = []
    for path in paths:
        try:
            files = SignalFiles().files(path)
        except AnlageError as error:
            found.append(EventSet(path, problem=str(error)))
            continue
        found += [_read(file, event) for file in files]
    return found


def usable(sets: Sequence[EventSet]) -> list[EventSet]:
    """Those that something can be learnt from."""
    return [one for one in sets if not one.problem]


def common_signals(sets: Sequence[EventSet]) -> tuple[str, ...]:
    """Names of the signals that all of them have, in the order of the first."""
    right = usable(sets)
    return tuple(name for name in (right[0].signals if right else ()) if all(name in one.signals for one in right))


def counts_of(sets: Sequence[EventSet]) -> tuple[int, ...]:
    """Examples of each kind in all of them; of tracks and windows together, those of what comes first."""
    right = usable(sets)
    counted = [one.n for one in right if one.kind == right[0].kind and one.counts]
    return tuple(map(sum, zip(*counted, strict=True)))


def mix_in_words(sets: Sequence[EventSet], mix: Sequence[float] | None) -> str:
    """What a mix of these examples does; see `anlage.tasks.events.mix.mix_sentence`."""
    right = usable(sets)
    return mix_sentence(counts_of(sets), mix, right[0].kind) if right else ""


def sets_readiness(sets: Sequence[EventSet], mix: Sequence[float] | None = None) -> Readiness:
    """What there is to learn from in these files, and what is missing."""
    if not sets:
        return Readiness(
            "no scored signals chosen",
            lack="Events are learnt from scored signals: add files or a folder of them, or score some on the Signals tab.",
        )
    wrong = next((one for one in sets if one.problem), None)
    if wrong is not None:
        return Readiness(f"{plural(len(sets), 'file')}", lack=f"{wrong.problem} Untick or remove {wrong.path.name}.")
    if len({one.kind for one in sets}) > 1:
        return Readiness(
            f"{plural(len(sets), 'file')}",
            lack="Some of these files hold windows and some tracks; a network learns from one kind, so untick the others.",
        )
    return _enough(sets, mix)


def _enough(sets: Sequence[EventSet], mix: Sequence[float] | None) -> Readiness:
    kind = sets[0].kind
    noun, where = ("window", "recording") if kind == "repeated" else ("track", "movie")
    n_groups, counts = len({name for one in sets for name, _ in one.counts}), counts_of(sets)
    said = ", ".join(f"{n} {name}" for n, name in zip(counts, KINDS[kind], strict=True))
    has = (
        f"{plural(sum(counts), f'scored {noun}')} ({said}) of {plural(n_groups, where)} in {plural(len(sets), 'file')}"
    )
    scores = tuple(map(sum, zip(*(one.scores for one in sets), strict=True)))
    if sum(n >= _FEWEST for n in scores) < 2:
        return Readiness(
            has, lack=f"{has}: too few to learn from; score at least {_FEWEST} {noun}s of each of two kinds."
        )
    if not common_signals(sets):
        return Readiness(has, lack="These files have no signal in common; untick those that measure something else.")
    if not 0 < event_share(counts, mix, kind) < 1:
        return Readiness(has, lack=mix_sentence(counts, mix, kind))
    return Readiness(has, wish=_wish(counts, n_groups, kind))


def _wish(counts: Sequence[int], n_groups: int, kind: Kind) -> str:
    where = "recording" if kind == "repeated" else "movie"
    share = event_share(counts, None, kind)
    if sum(counts) < _FEW:
        return f"{_FEW} or more are better"
    if n_groups == 1:
        return f"a second {where} would show how well it works on others"
    if max(share, 1 - share) > _UNLIKE * min(share, 1 - share):
        return f"more {'with' if share < 0.5 else 'without'} an event are better: a network needs both alike"
    return ""


def _read(path: Path, event: str) -> EventSet:
    try:
        events = tuple(event_names(path))
        file = SignalFiles().open(path, EventsConfig(event=event or (events[0] if events else "")))
    except (AnlageError, OSError) as error:
        return EventSet(path, problem=str(error))
    signals = file.signals
    lengths = signals.spans[:, 1] - signals.spans[:, 0]
    top = 2 if signals.kind == "repeated" else 3
    return EventSet(
        path=path,
        kind=signals.kind,
        signals=signals.names,
        units=signals.units,
        lengths=(int(lengths.min(initial=2**31)) if len(lengths) else 0, int(lengths.max(initial=0))),
        interval_s=signals.interval_s,
        counts=tuple((group, tuple(n.values())) for group, n in file.counts.items()),
        scores=tuple(int((signals.scores == score).sum()) for score in range(top)),
        events=events,
    )
