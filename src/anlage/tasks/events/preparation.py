"""From files of signals to examples: what kind of event, on which scale, and who is held out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from anlage.errors import AnlageError
from anlage.signals.signals import Signals
from anlage.signals.windows import SeenWindow, resampled_signals, samples_of, seen_window
from anlage.tasks.events.config import MOST_DOUBLINGS, EventsConfig, EventsPlan
from anlage.tasks.events.examples import EventsExamples, Provenance, SignalTracks
from anlage.tasks.events.files import SignalFile, joined, sampling_notes
from anlage.tasks.events.mix import check_mix
from anlage.tasks.events.scale import Normalise, SignalScale, lag_of, plan_scales
from anlage.tasks.task import Setting

__all__ = ["SHORTEST", "as_seen", "prepare"]

_LEAST_LEFT = 0.5
"""Share of them that a network learns from at least."""
_BATCH = 32
"""Examples in a step, for each network."""
_FEWEST = 4
"""Examples of each of two kinds below which there is nothing to learn."""
SHORTEST = 4
"""Frames of a track below which nothing is learnt from it."""


Rows = npt.NDArray[np.int64]


def prepare(sources: Sequence[SignalFile], config: EventsConfig, setting: Setting) -> EventsExamples:
    """Plan and split; see `anlage.tasks.task.Task.prepare`."""
    table = joined(sources)
    _check_kind(table, config)
    base = setting.base if isinstance(setting.base, EventsPlan) else None
    if base is not None and len(base.scales) == len(table.names) == 1:
        names: Sequence[str] = table.names  # a single trace may have been called otherwise
    else:
        names = base.signals if base is not None else config.signals or table.names
    signals = table.chosen(names)
    usable = signals.is_scored & (np.diff(signals.spans, axis=1)[:, 0] >= SHORTEST)
    provenance = _provenance(sources, signals).select(usable)
    kinds = np.concatenate([source.kinds for source in sources])[usable]
    signals = signals.select(usable)
    _check_enough(signals)
    check_mix(kinds, config.mix, signals.kind)
    notes = [note for source in sources for note in source.signals.notes] + sampling_notes(sources)
    earlier = setting.plan if isinstance(setting.plan, EventsPlan) else None
    here = 0
    if signals.kind == "repeated":
        signals, here, about = _at_window(signals, config, base or earlier)
        notes += about
    folds, said = _folds(signals, config, setting.seed)
    notes += said
    plan = earlier or _plan(signals, config, base, here)
    return EventsExamples(
        plan=plan,
        batch_size=setting.batch_size or _BATCH,
        notes=tuple(notes),
        tracks=as_seen(signals, plan),
        folds=folds,
        kinds=kinds,
        groups=signals.group,
        held_out=_in_words(signals, folds),
        provenance=provenance,
        config=config,
        setting=setting,
    )


def as_seen(signals: Signals, plan: EventsPlan) -> SignalTracks:
    """Signals on the scale and grid of the network: every track from its first measured frame on."""
    values, spans = -signals.values if plan.invert else signals.values, signals.spans
    if plan.window:
        values = values[:, :, : plan.window]
        spans = np.stack([np.zeros(len(signals), dtype=np.int64), np.full(len(signals), values.shape[2])], axis=1)
    longest = max(int((spans[:, 1] - spans[:, 0]).max(initial=1)), 1)
    scaled = [scale.apply(values[:, c], lag_of(values.shape[2])) for c, scale in enumerate(plan.scales)]
    moved = np.full((len(signals), len(scaled), longest), np.nan, dtype=np.float32)
    for i, (low, high) in enumerate(spans):
        for c, channel in enumerate(scaled):
            moved[i, c, : high - low] = channel[i, low:high]
    known = np.isfinite(moved)
    return SignalTracks(
        values=np.where(known, moved, 0.0).astype(np.float32),
        known=known.astype(np.float32),
        lengths=(spans[:, 1] - spans[:, 0]).astype(np.int64),
        scores=signals.scores,
        times=signals.times - signals.first_frame - spans[:, 0],
    )


def _provenance(sources: Sequence[SignalFile], joined: Signals) -> Provenance:
    """Where each of the joined signals comes from."""
    parts = [source.signals for source in sources]
    windows = joined.kind == "repeated"
    return Provenance(
        files=np.array([source.path.name for source in sources for _ in range(len(source.signals))], dtype=np.str_),
        groups=np.concatenate([source.recordings for source in sources]),
        numbers=np.concatenate([np.arange(len(part)) if windows else part.ids for part in parts]),
        starts=joined.spans[:, 0] + joined.first_frame,
    )


def _check_kind(signals: Signals, config: EventsConfig) -> None:
    if config.kind not in ("auto", signals.kind):
        words = {"once": "classes of tracks (0 event, 1 no event, 2 other)", "repeated": "scores of windows (1 event)"}
        raise AnlageError(
            f"The setting kind={config.kind} does not go with files that hold {words[signals.kind]}; leave it out."
        )


def _check_enough(signals: Signals) -> None:
    counts = np.bincount(signals.scores, minlength=3)
    noun = "windows" if signals.kind == "repeated" else "tracks"
    kinds = [int(n) for n in counts[: 2 if signals.kind == "repeated" else 3]]
    if sum(n >= _FEWEST for n in kinds) < 2:
        words = ("0", "1") if signals.kind == "repeated" else ("0 (event)", "1 (no event)", "2 (other)")
        found = ", ".join(f"{n} of {word}" for n, word in zip(kinds, words, strict=True))
        raise AnlageError(
            f"There are too few scored {noun} to learn from ({found}); score at least {_FEWEST} of two kinds."
        )
    lacking = (signals.scores == 0) & ~np.isfinite(signals.times)
    if signals.kind == "once" and lacking.any():
        raise AnlageError(
            f"{int(lacking.sum())} tracks with the class 0 (event) have no time of the event, the first is track "
            f"{signals.ids[lacking][0]}; give it in the column t_event, in frames."
        )


def _folds(signals: Signals, config: EventsConfig, seed: int) -> tuple[Rows, list[str]]:
    """Which network is judged by each example, −1: none; whole movies or recordings, never some windows of one that it learns from."""
    rng = np.random.default_rng([seed, 0x5EED])
    members, share = config.members, config.held_out
    folds = _whole_groups(signals, members, share, rng)
    if (folds >= 0).any() and len(np.unique(signals.scores[folds >= 0])) > 1:
        return folds, []
    where = "recording" if signals.kind == "repeated" else "movie"
    folds = _shares(signals, members, share, rng)
    part = (
        f"{100 * share:.0f} % of them are" if members == 1 else f"{members} parts of them are, one from each network,"
    )
    return folds, [
        f"All examples come from one {where}, so {part} held out to validate: expect a little less on another {where}."
        if len(np.unique(signals.group)) == 1
        else f"No {where} could be held out whole, so {part} held out: expect a little less on another {where}."
    ]


def _whole_groups(signals: Signals, members: int, share: float, rng: np.random.Generator) -> Rows:
    """Movies or recordings for each network, the largest first where fewest are; none whose lack would leave too little to learn from."""
    folds = np.full(len(signals), -1)
    groups, counts = np.unique(signals.group, return_counts=True)
    order = rng.permutation(len(groups))
    if members > 1:
        order = order[np.argsort(-counts[order], kind="stable")]
    for group in groups[order]:
        if members == 1 and (folds == 0).mean() >= share - 0.05:
            break
        mine = signals.group == group
        fold = int(np.bincount(folds[folds >= 0], minlength=members).argmin())
        left = ~mine & (folds != fold)
        if left.mean() > _LEAST_LEFT and len(np.unique(signals.scores[left])) == len(np.unique(signals.scores)):
            folds[mine] = fold
    return folds


def _shares(signals: Signals, members: int, share: float, rng: np.random.Generator) -> Rows:
    """Of one recording stretches of time, that share at its end for a single network; of tracks, which overlap in time, some of each kind."""
    folds = np.full(len(signals), -1)
    for score in np.unique(signals.scores):
        rows = np.flatnonzero(signals.scores == score)
        if signals.kind != "repeated":
            rows = rng.permutation(rows)
        if members == 1:
            folds[rows[-max(1, round(share * len(rows))) :]] = 0
        else:
            folds[rows] = np.arange(len(rows)) * members // len(rows)
    return folds


def _in_words(signals: Signals, folds: Rows) -> str:
    noun, where = ("windows", "recordings") if signals.kind == "repeated" else ("tracks", "movies")
    held = folds >= 0
    n, of = len(np.unique(signals.group[held])), len(np.unique(signals.group))
    by = ", each judged by the network that never saw it" if folds.max() > 0 else ""
    return f"{int(held.sum())} {noun} of {n} of {of} {where}{by}"


def _plan(signals: Signals, config: EventsConfig, base: EventsPlan | None, here: int) -> EventsPlan:
    repeated = signals.kind == "repeated"
    signals = replace(signals, values=-signals.values) if config.invert else signals
    window = signals.n_frames if repeated else 0
    if base is not None:
        return base.model_copy(
            update={
                "longest": signals.n_frames,
                "interval_s": signals.interval_s,
                "event": config.event,
                "invert": config.invert,
                "window_here": here,
                **(_shown_by(signals, base) if not base.direction and repeated else {}),
            }
        )
    how: list[Normalise] = [("noise" if repeated else "percentile") if h == "auto" else h for h in config.normalise]
    scales = plan_scales(signals.values, signals.names, how, config.limits, clip=config.clip_signals)
    stride = max(1, round(window / config.resolution)) if repeated else 1
    positions = -(-window // stride) if repeated else int(np.diff(signals.spans, axis=1).max())
    onset, direction = _shape_of(signals, scales, window) if repeated else (0.0, 0)
    return EventsPlan(
        kind=signals.kind,
        event=config.event,
        scales=scales,
        window=window,
        stride=stride,
        dilations=_dilations(positions, config),
        longest=window or int(np.diff(signals.spans, axis=1).max()),
        interval_s=signals.interval_s,
        onset=onset,
        direction=direction,
        invert=config.invert,
        window_here=here,
    )


def _shown_by(signals: Signals, base: EventsPlan) -> dict[str, float]:
    """Where events begin in a window and which way they go, where the network to start from does not say."""
    onset, direction = _shape_of(signals, base.scales, base.window)
    return {"onset": onset, "direction": direction}


def _at_window(signals: Signals, config: EventsConfig, given: EventsPlan | None) -> tuple[Signals, int, list[str]]:
    """Windows as long as the network's, `given` or to be planned from them; how many samples of the files they are, and what was done."""
    shortest, longest = int(signals.spans[:, 1].min()), signals.n_frames
    asked = config.window if config.window_ms is None else samples_of(config.window_ms, signals.interval_s)
    usual = asked or shortest
    if given is None:
        here = SeenWindow(usual, usual)
    else:
        # all of a window is what miniML's networks look at, however many samples it has
        whole = shortest if given.recurrent is not None and not given.window_here else given.window_here
        here = seen_window(given.window, given.interval_s, signals, asked, usual=whole)
    if here.samples > shortest:
        raise AnlageError(
            f"Windows of {here.samples} samples are wanted, but the shortest has {shortest}; cut longer ones, or set the window to "
            f"{shortest} or fewer."
        )
    notes = [here.said] if here.said and (here.ratio != 1 or longest != here.samples) else []
    if longest > here.samples:
        notes.append(
            f"The windows have up to {longest} samples, of which the first {here.samples} are looked at; the rest is left out."
        )
    cut = replace(signals, values=signals.values[..., : here.samples])
    return resampled_signals(cut, here.ratio), here.samples, notes


def _dilations(positions: int, config: EventsConfig) -> tuple[int, ...]:
    """Doubling up to a quarter of what there is to see, then anew."""
    most = min(MOST_DOUBLINGS, max(1, int(math.log2(max(2, positions / 4)))))
    return tuple(2 ** (i % (most + 1)) for i in range(config.depth))


def _shape_of(signals: Signals, scales: Sequence[SignalScale], window: int) -> tuple[float, int]:
    """Where in a window events begin, as a part of it, and whether they rise or fall: seen in their mean."""
    values = scales[0].apply(signals.values[signals.scores == 1, 0, :window], lag_of(window))
    mean = np.nan_to_num(np.nanmean(values, axis=0)) if len(values) else np.zeros(window)
    mean = mean - np.median(mean[: max(1, window // 10)])
    direction = 1 if mean.max() >= -mean.min() else -1
    width = max(1, window // 50)
    smooth = np.convolve(direction * mean, np.ones(width) / width, mode="same")[width:-width]
    steepest = int(np.gradient(smooth).argmax()) + width if len(smooth) > 2 else window // 2
    return min(1.0, steepest / window), direction
