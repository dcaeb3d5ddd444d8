"""How many nuclei there are to learn from, and how many are wanted."""

from __future__ import annotations

from collections.abc import Sequence

from anlage.annotations import Annotations, State
from anlage.axes import Box, inside_any
from anlage.tasks.readiness import Readiness
from anlage.wording import plural

__all__ = ["readiness"]

ENOUGH = 50
"""With about so many nuclei in one cuboid, held-out embryos were found as well as in the benchmarks' single cuboids."""


def readiness(nuclei: Annotations, boxes: Sequence[Box]) -> Readiness:
    """For networks that learn from nuclei in regions: how many nuclei the regions hold.

    Parameters
    ----------
    nuclei
        All that is annotated, in voxels of the image.
    boxes
        The regions, in voxels of the image; where they overlap a nucleus counts once.
    """
    inside = inside_any(boxes, nuclei.positions)
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
    return Readiness(has, wish="" if n >= ENOUGH else f"{ENOUGH} are better")
