"""The mix: which kinds of example there are, how often each is shown, and what that does."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from anlage.errors import AnlageError
from anlage.signals.signals import Signals
from anlage.tasks.events.scale import SignalScale, lag_of

__all__ = ["KINDS", "check_mix", "draw_weights", "event_share", "kinds_of", "mix_sentence", "recording_of"]

KINDS = {
    "repeated": ("clear events", "less clear events", "false positives", "noise"),
    "once": ("event", "no event", "other"),
}
"""Kinds of example that a mix speaks of, in its order."""
_N_OF_EVENTS = {"repeated": 2, "once": 1}
"""So many of them, the first ones, are events."""
_CLEAR, _FAINT, _FALSE, _NOISE = range(4)
_SMALL = 0.5
"""An event of less than this part of the median event of its recording is a less clear one."""
_AS_LARGE = 10
"""Per cent of the events of a recording that are smaller than what counts there as a false positive."""
_FEWEST = 4
"""Events of a recording from which it is its own measure."""
_ALIKE = 1.05
"""Ratio of events to others up to which they count as equally many."""
_NAMES = (
    (_FAINT, r"not[_ -]?so[_ -]?nice|okey|okay|less[_ -]?clear|faint"),
    (_CLEAR, r"(?<![a-z])(nice|clear)"),
    (_FALSE, r"false[_ -]?pos(itives?)?"),
    (_NOISE, r"noise"),
)
"""How files and folders of scored windows are called; a longer name before one that is part of it."""
_WORDS = "|".join(pattern for _, pattern in _NAMES)
_REST = re.compile(rf"[_ -]*({_WORDS}|example|training|data|unscored|scored|complete|events?|windows?)$")
Ints = npt.NDArray[np.int64]


def kinds_of(signals: Signals, path: Path) -> Ints:
    """(N,) place of each scored example in `KINDS`; -1 where nobody has scored it, or it is left out.

    Of windows the name of their file or folder may say it (``not_so_nice_events/3.h5``); else an event is less clear where it is
    smaller than half the median of its recording, and what is none counts as a false positive where it is as large as events are
    there, all but the smallest tenth.

    Parameters
    ----------
    signals
        Tracks or windows.
    path
        The file that they lie in.
    """
    if signals.kind == "once":
        return np.where(signals.is_scored, signals.scores, -1).astype(np.int64)
    kinds, told = _measured(signals), _told(path)
    fits = (signals.scores == 1) if told in (_CLEAR, _FAINT) else (signals.scores == 0)
    return np.where(fits & (told >= 0), told, kinds)


def recording_of(path: Path) -> str:
    """The recording of a file whose name ends in its kind of windows: ``3_cell_not_so_nice.h5`` → ``3_cell``; else empty."""
    if _told(path) < 0:
        return ""
    name = path.stem.lower()
    while (shorter := _REST.sub("", name)) != name:
        name = shorter
    return name


def draw_weights(
    kinds: Ints, scores: Ints, groups: npt.NDArray[np.str_], mix: Sequence[float] | None, *, even: bool
) -> npt.NDArray[np.float64]:
    """(N,) how often each example is drawn, of 1 in all.

    Parameters
    ----------
    kinds, scores, groups
        (N,) place in `KINDS`, class or score, and movie or recording of each.
    mix
        Part of each kind; None: as often as it is there, the rarer scores a little more often.
    even
        Whether every movie or recording is drawn as often as the others.
    """
    weight = (
        1 / np.sqrt(_size_of(scores)) if mix is None else np.asarray(mix, dtype=np.float64)[kinds] / _size_of(kinds)
    )
    if even:
        _, at = np.unique(groups, return_inverse=True)
        total = np.bincount(at, weight)
        weight = np.divide(weight, total[at], out=np.zeros_like(weight), where=total[at] > 0)
        if mix is not None:  # each recording has what it has; of the whole the parts stay as they were asked for
            sums = np.bincount(kinds, weight, minlength=len(mix))[kinds]
            weight = np.divide(weight * np.asarray(mix)[kinds], sums, out=np.zeros_like(weight), where=sums > 0)
    found: npt.NDArray[np.float64] = weight / weight.sum()
    return found


def check_mix(kinds: Ints, mix: Sequence[float] | None, kind: str) -> None:
    """Refuse, with AnlageError, a mix that is not of this kind of signals or leaves nothing to tell apart."""
    if mix is None:
        return
    names, n_events = KINDS[kind], _N_OF_EVENTS[kind]
    if len(mix) != len(names):
        noun = "windows" if kind == "repeated" else "tracks"
        raise AnlageError(
            f"The mix has {len(mix)} parts, but that of {noun} has {len(names)}: {', '.join(names)}; give as many, as in "
            f"mix={','.join('1' * len(names))}."
        )
    shown = [part > 0 and bool((kinds == k).any()) for k, part in enumerate(mix)]
    if not (any(shown[:n_events]) and any(shown[n_events:])):
        counts = ", ".join(f"{int((kinds == k).sum())} {name}" for k, name in enumerate(names))
        raise AnlageError(
            f"With the mix {','.join(f'{part:g}' for part in mix)} of {counts} the network would not see both events and others; "
            "give a part to some of each."
        )


def event_share(counts: Mapping[str, int] | Sequence[int], mix: Sequence[float] | None, kind: str) -> float:
    """Share of events among the examples that are shown; without a mix among those that there are.

    Parameters
    ----------
    counts
        Examples of each kind, in the order of `KINDS`.
    mix
        Part of each.
    kind
        ``once`` or ``repeated``.
    """
    n = list(counts.values() if isinstance(counts, Mapping) else counts)
    parts = [float(part) if count else 0.0 for part, count in zip(mix or n, n, strict=True)]
    return sum(parts[: _N_OF_EVENTS[kind]]) / max(sum(parts), 1e-12)


def mix_sentence(counts: Sequence[int], mix: Sequence[float] | None, kind: str) -> str:
    """What the mix does: whether the network will report events readily or not."""
    share = event_share(counts, mix, kind)
    noun = "window" if kind == "repeated" else "track"
    if not 0 < share < 1:
        return f"A network learns from {noun}s with an event and {noun}s without; here are only those {'with' if share else 'without'} one."
    ratio = share / (1 - share)
    if mix is None:
        return f"As they are: {ratio:.2g} {noun}s with an event for each without, the rarer ones shown a little more often."
    if 1 / _ALIKE <= ratio <= _ALIKE:
        return f"As many {noun}s with an event as without: neither restrictive nor liberal."
    if ratio > 1:
        return f"{ratio:.2g} {noun}s with an event for each without: liberal, so it finds more and reports more that is none."
    return f"{1 / ratio:.2g} {noun}s without an event for each with one: restrictive, so it reports less that is none and misses more."


def _told(path: Path) -> int:
    """The kind of windows that a file's own name says, else that of its folder; -1 where neither does."""
    for name in (path.stem.lower(), path.parent.name.lower()):
        for kind, pattern in _NAMES:
            if re.search(rf"({pattern})([_ -]*(events?|windows?|complete))*$", name):
                return kind
    return -1


def _measured(signals: Signals) -> Ints:
    size = _size(signals)
    kinds = np.full(len(signals), -1)
    is_event, is_other = signals.scores == 1, signals.scores == 0
    for group in np.unique(signals.group):
        mine = signals.group == group
        known = size[mine & is_event] if (mine & is_event).sum() >= _FEWEST else size[is_event]
        if not len(known):
            kinds[mine & is_other] = _NOISE
            continue
        kinds[mine & is_event] = np.where(size[mine & is_event] < _SMALL * np.median(known), _FAINT, _CLEAR)
        kinds[mine & is_other] = np.where(size[mine & is_other] < np.percentile(known, _AS_LARGE), _NOISE, _FALSE)
    return kinds


def _size(signals: Signals) -> npt.NDArray[np.float64]:
    """(N,) how far each window's first signal goes from its baseline, in units of its noise; short peaks of noise smoothed away."""
    from scipy.ndimage import uniform_filter1d

    window = signals.n_frames
    scaled = np.nan_to_num(SignalScale(name="", how="noise").apply(signals.values[:, 0], lag_of(window)))
    smooth = uniform_filter1d(scaled, max(1, window // 50), axis=1)
    found: npt.NDArray[np.float64] = np.abs(smooth).max(axis=1, initial=0.0)
    return found


def _size_of(labels: Ints) -> Ints:
    """(N,) how many there are of each one's kind."""
    _, at, counts = np.unique(labels, return_inverse=True, return_counts=True)
    found: Ints = counts[at]
    return found
