"""Files of signals as training data."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from anlage.errors import AnlageError
from anlage.frozen import Frozen
from anlage.io.kinds import SIGNALS, FileKind, check_kind
from anlage.io.signal_files.signals import SUFFIXES, is_signals, open_signals, signal_files
from anlage.signals.signals import Signals
from anlage.signals.windows import ALIKE, resampled_signals
from anlage.tasks.events.mix import KINDS, kinds_of, recording_of

__all__ = ["SignalFile", "SignalFiles", "joined", "sampling_notes"]

_GIVE = (
    f"give files that end in {', '.join(SUFFIXES)}, or a folder of them; `anlage signals` measures them along tracks"
)
_NEEDED = f"events are learnt from signals: {_GIVE}"
_ENDINGS = ("event", "no event", "other")


@dataclass(frozen=True, slots=True)
class SignalFile:
    """A file of signals, read and hashed."""

    path: Path
    hash: str
    signals: Signals

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def kinds(self) -> npt.NDArray[np.int64]:
        """(N,) kind of each example, by its place in the mix; -1 where it is not scored."""
        return kinds_of(self.signals, self.path)

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """Examples of each kind, by the name of the movie or recording."""
        kinds, names, groups = self.kinds, KINDS[self.signals.kind], self.recordings
        return {
            str(group): {name: int(((kinds == k) & (groups == group)).sum()) for k, name in enumerate(names)}
            for group in np.unique(groups)
        }

    @property
    def recordings(self) -> npt.NDArray[np.str_]:
        """(N,) movie or recording of each: that of one whose windows lie in several files, by their kinds, is the same in all."""
        named, group = recording_of(self.path), self.signals.group
        alone = len(set(group.tolist())) == 1
        return np.full(len(group), named) if named and alone else group

    @property
    def holds(self) -> str:
        """What there is to learn from, in words."""
        signals = self.signals
        scores = signals.scores[signals.is_scored]
        noun = "windows" if signals.kind == "repeated" else "tracks"
        of = "recordings" if signals.kind == "repeated" else "movies"
        n_groups = len(np.unique(signals.group[signals.is_scored]))
        if signals.kind == "repeated":
            counts = f"{int((scores == 1).sum())} events"
        else:
            counts = ", ".join(f"{int((scores == i).sum())} {name}" for i, name in enumerate(_ENDINGS))
        return f"{len(scores)} scored {noun} ({counts}) of {n_groups} {of}"


class SignalFiles:
    """Files of signals stand in place of stores."""

    noun: ClassVar[str] = "file"
    has_starter: ClassVar[bool] = False
    widens: ClassVar[bool] = False

    def files(self, path: Path) -> list[Path]:
        """Each file of a folder is a set of its own."""
        if not path.is_dir():
            return [path]
        check_kind(path, [FileKind.SIGNAL_SETS], _NEEDED)
        found = signal_files(path)
        if not found:
            raise AnlageError(f"'{path}' holds no signals, from which events are learnt: {_GIVE}.")
        return found

    def open(self, path: Path, config: Any) -> SignalFile:
        check_kind(path, SIGNALS, _NEEDED)
        if path.is_dir() or not is_signals(path):
            raise AnlageError(f"'{path}' holds no signals, from which events are learnt: {_GIVE}.")
        signals = open_signals(path, event=config.event)
        return SignalFile(path, hashlib.sha256(path.read_bytes()).hexdigest(), signals)

    def check(self, sources: Sequence[SignalFile], card: Any | None) -> None:
        table = joined(sources)
        if not table.is_scored.any():
            names = ", ".join(f"'{source.path.name}'" for source in sources)
            what = "scores 0 and 1" if table.kind == "repeated" else "a class (0 event, 1 no event, 2 other)"
            raise AnlageError(f"Nothing in {names} is scored; give some of its {_noun(table)} {what} first.")
        if card is not None:
            kind, wanted = card.plan.get("kind"), [scale["name"] for scale in card.plan.get("scales", ())]
            if kind != table.kind:
                raise AnlageError(
                    f"The model to start from is of the kind '{kind}', but the signals are scored as '{table.kind}'; "
                    "train without --from."
                )
            if len(wanted) > 1 or len(table.names) > 1:
                table.chosen(wanted)

    def card_fields(self, sources: Sequence[SignalFile], plan: Frozen) -> dict[str, Any]:
        return {
            "channels": getattr(plan, "signals", ()),
            "interval_s": getattr(plan, "interval_s", None),
            "trained_on": [
                {
                    "name": source.name, "source": source.path.name, "store_hash": source.hash, "holds": source.holds,
                    "n_examples": int(source.signals.is_scored.sum()),
                }
                for source in sources
            ],
        }  # fmt: skip

    def limits(self, sources: Sequence[SignalFile]) -> str:
        table = joined(sources)
        if len(np.unique(table.group[table.is_scored])) == 1:
            what = "recording" if table.kind == "repeated" else "movie"
            return f"Another {what} without a look at the result: it has seen a single one."
        return ""


def joined(sources: Sequence[SignalFile]) -> Signals:
    """The signals of all files as one table; what is of one recording has one group, in whichever file it lies."""
    table = Signals.joined(_sampled_alike(sources))
    shared: list[str] = []
    for i, source in enumerate(sources):
        own = recording_of(source.path)
        for before, after in zip(source.signals.group.tolist(), source.recordings.tolist(), strict=True):
            shared.append(after if own and after != before else f"{i}:{before}" if len(sources) > 1 else str(before))
    return replace(table, group=np.array(shared, dtype=np.str_))


def sampling_notes(sources: Sequence[SignalFile]) -> list[str]:
    """What is done to windows so that those of all files are sampled alike."""
    first = _pace(sources)
    if first is None:
        return []
    step, notes = first.signals.interval_s, []
    for source in sources:
        own = source.signals.interval_s
        if own is None:
            notes.append(
                f"{source.path.name} does not say how often it was sampled: taken as every {step:g} s, as {first.path.name}."
            )
        elif _ratio(source, first) != 1:
            notes.append(
                f"{source.path.name} was sampled every {own:g} s: resampled to every {step:g} s, as {first.path.name}."
            )
    return notes


def _sampled_alike(sources: Sequence[SignalFile]) -> list[Signals]:
    """Windows of all files as often sampled as those that set the pace."""
    first = _pace(sources)
    if first is None:
        return [source.signals for source in sources]
    return [
        replace(resampled_signals(source.signals, _ratio(source, first)), interval_s=first.signals.interval_s)
        for source in sources
    ]


def _pace(sources: Sequence[SignalFile]) -> SignalFile | None:
    """Of windows the first file that says how often it was sampled; None where none does, and of tracks."""
    if sources[0].signals.kind != "repeated":
        return None
    return next((source for source in sources if source.signals.interval_s is not None), None)


def _ratio(source: SignalFile, first: SignalFile) -> float:
    """Samples for each of a file's own, at the pace of another; 1 where they are alike, or the file does not say."""
    own, step = source.signals.interval_s, first.signals.interval_s
    if own is None or step is None or abs(own / step - 1) < ALIKE:
        return 1.0
    return own / step


def _noun(signals: Signals) -> str:
    return "windows" if signals.kind == "repeated" else "tracks"
