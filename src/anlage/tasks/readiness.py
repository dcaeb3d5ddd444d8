"""What a kind of network has to learn from, and what it still needs, in words that come before any store is built."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from anlage.annotations import Annotations, State
from anlage.axes import Box
from anlage.tasks.divisions.truth import Fate, outcomes
from anlage.wording import plural

__all__ = ["Readiness", "divisions_readiness", "nuclei_readiness"]

ENOUGH_NUCLEI = 50
"""With about so many nuclei in one cuboid, held-out embryos were found as well as in the benchmarks' single cuboids."""
ENOUGH_DIVISIONS = 20
"""With fewer there are hardly any to hold out, and what the network is worth stays unknown."""


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether a training can begin.

    Parameters
    ----------
    has
        What there is to learn from: "318 nuclei in 2 regions".
    wish
        What would be better: "50 are better"; empty if there is enough.
    lack
        Why it cannot train and what to do, a sentence; empty if it can.
    """

    has: str
    wish: str = ""
    lack: str = ""

    @property
    def can_train(self) -> bool:
        return not self.lack

    def __str__(self) -> str:
        return "; ".join(text for text in (self.has, self.wish) if text)


def nuclei_readiness(nuclei: Annotations, boxes: Sequence[Box]) -> Readiness:
    """For networks that learn from nuclei in regions: how many nuclei the regions hold.

    Parameters
    ----------
    nuclei
        All that is annotated, in voxels of the image.
    boxes
        The regions, in voxels of the image; where they overlap a nucleus counts once.
    """
    inside = np.zeros(len(nuclei), dtype=bool)
    for box in boxes:
        inside |= box.contains(nuclei.positions)
    rejected = nuclei.state == State.REJECTED
    n, n_rejected = int((inside & ~rejected).sum()), int((inside & rejected).sum())
    n_unchecked = int((inside & (nuclei.state == State.PROPOSED)).sum())
    has = f"{plural(n, 'nucleus', 'nuclei')} in {plural(len(boxes), 'region')}"
    if n_rejected:
        has += f", {n_rejected} rejected"
    if n_unchecked:
        has += f" ({n_unchecked} proposed, not checked)"
    if not (~rejected).any():
        return Readiness("no nucleus yet", lack="Nothing is annotated yet; mark some nuclei on the Annotate tab.")
    if not boxes:
        marked = plural(int((~rejected).sum()), "nucleus", "nuclei")
        return Readiness(
            f"{marked}, no region yet",
            lack=f"{marked} marked, but not where annotation is complete; put a box around them on the Annotate tab.",
        )
    if n == 0:
        return Readiness(has, lack="The regions hold no nucleus; move their walls on the Annotate tab.")
    return Readiness(has, wish="" if n >= ENOUGH_NUCLEI else f"{ENOUGH_NUCLEI} are better")


def divisions_readiness(nuclei: Annotations, boxes: Sequence[Box]) -> Readiness:
    """For networks that learn from divisions: how many mothers, linked to both daughters, the regions hold.

    Parameters
    ----------
    nuclei
        All that is annotated, in voxels of the image.
    boxes
        The regions, in voxels of the image.
    """
    inside = np.zeros(len(nuclei), dtype=bool)
    for box in boxes:
        inside |= box.contains(nuclei.positions)
    outcome = outcomes(nuclei.select(inside) if len(nuclei) else nuclei)
    n, n_other = int((outcome == Fate.DIVIDES).sum()), int((outcome == Fate.GOES_ON).sum())
    has = f"{plural(n, 'division')} and {plural(n_other, 'nucleus that goes on', 'nuclei that go on')}"
    has += f" in {plural(len(boxes), 'region')}"
    if n == 0:
        n_all = len(nuclei.divisions)
        if n_all:
            lack = (
                f"{plural(n_all, 'division')} marked, but none in a region; put a box around some on the Annotate tab."
            )
        else:
            lack = "No division is annotated; link a mother to her two daughters on the Annotate tab."
        return Readiness("no division yet" if n_all == 0 else has, lack=lack)
    if n_other == 0:
        return Readiness(
            has, lack="No nucleus is annotated that goes on without dividing; link some to themselves a frame later."
        )
    return Readiness(has, wish="" if n >= ENOUGH_DIVISIONS else f"{ENOUGH_DIVISIONS} divisions are better")
