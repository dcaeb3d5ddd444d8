"""How many divisions there are to learn from, and how many are wanted."""

from __future__ import annotations

from collections.abc import Sequence

from anlage.annotations import Annotations
from anlage.axes import Box, inside_any
from anlage.tasks.divisions.truth import Fate, fates
from anlage.tasks.readiness import Readiness
from anlage.wording import plural

__all__ = ["readiness"]

ENOUGH = 20
"""With fewer there are hardly any to hold out, and what the network is worth stays unknown."""


def readiness(nuclei: Annotations, boxes: Sequence[Box]) -> Readiness:
    """For networks that learn from divisions: how many mothers, linked to both daughters, the regions hold.

    Parameters
    ----------
    nuclei
        All that is annotated, in voxels of the image.
    boxes
        The regions, in voxels of the image.
    """
    inside = inside_any(boxes, nuclei.positions)
    fate = fates(nuclei.select(inside) if len(nuclei) else nuclei)
    n, n_other = int((fate == Fate.DIVIDES).sum()), int((fate == Fate.GOES_ON).sum())
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
    wish = "" if n >= ENOUGH else f"{ENOUGH} divisions are better"
    return Readiness(has, wish, n=n, noun=("division", "divisions"))
