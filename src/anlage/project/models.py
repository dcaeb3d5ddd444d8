"""The models that can predict in a project: its own, that of a running training, the starter, and the blob detector."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from anlage.errors import AnlageError
from anlage.inference.starter import OUTLINER, STARTER, starter_path
from anlage.model import read_card
from anlage.project.catalogue import model_folder, models_in
from anlage.tasks.nuclei.heads import paints_labels
from anlage.wording import duration, for_the_dock, plural, short

if TYPE_CHECKING:
    from anlage.card import Card

__all__ = ["CLASSICAL", "KINDS", "Choice", "classical", "models_of", "project_models", "starter", "starters"]

CLASSICAL = "classical"
KINDS = {"good": "good", "unproven": "warning", "poor": "error"}
"""How a line looks that says a verdict of this level."""
_EVEN = 0.5


@dataclass(frozen=True, slots=True)
class Choice:
    """One that can predict.

    Parameters
    ----------
    argument
        What the command line calls it: a path, ``starter`` or ``classical``.
    name
        What people call it.
    card
        Its card; None for the blob detector, and where the card cannot be read.
    problem
        Why it cannot be used, as a sentence; empty if it can.
    training
        Whether it is still being trained.
    path
        Its file; None for the blob detector.
    """

    argument: str
    name: str
    card: Card | None = None
    problem: str = ""
    training: bool = False
    path: Path | None = None

    @classmethod
    def of(cls, path: Path, *, name: str = "", training: bool = False) -> Choice:
        """A model file."""
        name = name or short(path.stem)
        try:
            card = read_card(path)
        except AnlageError as error:
            return cls(str(path), name, problem=str(error), training=training, path=path)
        problem = ""
        if card.task != "nuclei":
            problem = f"The model '{name}' is for {card.task}; choose one that finds or outlines nuclei."
        return cls(str(path), name, card, problem, training, path)

    @property
    def paints(self) -> str:
        """What it paints, ``instances`` or ``classes``; empty: it finds centres."""
        return "" if self.card is None or not paints_labels(self.card.head) else self.card.head

    @property
    def id(self) -> str:
        """The origin of what it proposes."""
        return self.argument if self.card is None else self.card.id

    @property
    def threshold(self) -> float:
        """The probability from which it reports a nucleus."""
        return _EVEN if self.card is None else self.card.evidence.threshold

    @property
    def diameter_um(self) -> float | None:
        """Nucleus diameter that it was trained on, in µm."""
        return None if self.card is None else self.card.diameter_um

    @property
    def doubt(self) -> tuple[str, str]:
        """What speaks against it and what to do, and the kind of that sentence; empty where nothing does, or it still learns."""
        if self.problem or self.training or self.card is None or self.card.verdict.is_good:
            return "", "idle"
        return for_the_dock(self.card.verdict.text), KINDS[self.card.verdict.level]

    @property
    def about(self) -> tuple[str, ...]:
        """Its score, and what speaks against it: for a tooltip."""
        score = "" if self.card is None else self.card.verdict.score
        return tuple(filter(None, (score, self.doubt[0])))

    def lines(self) -> list[str]:
        """What it is and how good it is, in a few short sentences."""
        if self.problem:
            return [self.problem]
        card = self.card
        if card is None:
            return [
                "Finds bright blobs of one size: a first proposal at once, nothing is learnt. Its probabilities only rank."
            ]
        said = [_learnt(card, self.training), _how_good(card, self.training), _probabilities(card)]
        if self.paints:
            said[:0] = [f"Paints {'objects' if self.paints == 'instances' else 'classes'}, voxel by voxel."]
            said = (
                said if self.paints == "instances" else said[:-1]
            )  # classes have no probabilities that were calibrated
        return ["Comes with the program, for first proposals.", *said] if self.argument in (STARTER, OUTLINER) else said


def models_of(task: str, folder: Path, more: Iterable[Path] = ()) -> list[Choice]:
    """The models of a project, and `more`, that are of one kind of network, newest first."""
    found = []
    for path in project_models(folder, more):
        try:
            card = read_card(path)
        except AnlageError:
            continue  # of no use here, whatever it is
        if card.task == task:
            found.append(Choice(str(path), short(path.stem), card, path=path))
    return found


def classical() -> Choice:
    """The blob detector."""
    return Choice(CLASSICAL, "classical detector")


def starter(*, flat: bool) -> list[Choice]:
    """The network that comes with the program and finds centres, for single planes (`flat`) or volumes; empty where it is not there."""
    return [one for one in starters(flat=flat) if one.argument == STARTER]


def starters(*, flat: bool) -> list[Choice]:
    """The networks that come with the program, for single planes (`flat`) or volumes: one finds centres, one outlines."""
    found = []
    for name, outlines in ((STARTER, False), (OUTLINER, True)):
        path = starter_path(flat=flat, outlines=outlines)
        if path.is_file():
            found.append(replace(Choice.of(path, name=name), argument=name))
    return found


def project_models(folder: Path, more: Iterable[Path] = ()) -> list[Path]:
    """Model files of a project folder, newest first, `more` that lie elsewhere, and those of the user's own model folder; each once."""
    found = [*folder.glob("runs/*/*.anlage"), *folder.glob("models/*.anlage")]
    found.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    return list(dict.fromkeys(path.resolve() for path in (*found, *more, *models_in(model_folder()))))


def _learnt(card: Card, training: bool) -> str:  # noqa: FBT001 - a fact, not an option
    n = sum(store.n_nuclei for store in card.trained_on)
    frames = sum(store.n_frames for store in card.trained_on)
    sources = dict.fromkeys(Path(store.source).name or store.name for store in card.trained_on)
    where = f" of {', '.join(sources)}" if len(sources) <= 2 else f" of {len(sources)} images"
    for_how_long = f"; so far {card.steps} steps" if training else f"; {card.steps} steps, {duration(card.seconds)}"
    return f"Learnt from {plural(n, 'nucleus', 'nuclei')} in {plural(frames, 'frame', 'frames')}{where}{for_how_long}."


def _how_good(card: Card, training: bool) -> str:  # noqa: FBT001 - a fact, not an option
    metrics, score = card.evidence.metrics, card.verdict.score
    if not score:
        return "How good it is was not measured yet." if training else "How good it is could not be measured."
    counts = [metrics.get(name) for name in ("tp", "fp", "fn")]
    said = ""
    if None not in counts:
        found, wrong, missed = (round(n) for n in counts if n is not None)
        said = f": {found} found, {missed} missed, {wrong} wrong"
    return f"{score}, on {card.evidence.held_out}{said}."


def _probabilities(card: Card) -> str:
    ece = card.evidence.ece
    if ece is None:
        return "Its probabilities are not calibrated: take them as a ranking."
    return f"Its probabilities are off by {100 * ece:.0f} percentage points on average."
