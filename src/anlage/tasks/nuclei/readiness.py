"""How much there is to learn from, marked or painted, and how much is wanted."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from anlage.annotations import Annotations, State
from anlage.axes import Box, inside_any
from anlage.tasks.readiness import Readiness
from anlage.wording import plural

__all__ = ["READINESS", "classes_readiness", "outlines_readiness", "readiness"]

ENOUGH = 50
"""With about so many nuclei in one cuboid, held-out embryos were found as well as in the benchmarks' single cuboids."""
MOST_CLASSES = 32
"""More values are objects."""


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
    return Readiness(has, "" if n >= ENOUGH else f"{ENOUGH} are better", n=n, noun=("nucleus", "nuclei"))


def outlines_readiness(nuclei: Annotations, boxes: Sequence[Box]) -> Readiness:
    """For networks that learn outlines: how many nuclei of the regions are painted."""
    true = nuclei.select(nuclei.state != State.REJECTED) if len(nuclei) else nuclei
    painted = true.label > 0
    n_all, n = int(painted.sum()), int((painted & inside_any(boxes, true.positions)).sum())
    if nuclei.labels is None or not n_all:
        return Readiness(
            "no mask yet",
            lack="No nucleus is painted; paint some on the Annotate tab, or choose a layer of masks there.",
        )
    if not boxes:
        masks = plural(n_all, "mask")
        return Readiness(
            f"{masks}, no region yet",
            lack=f"{masks} painted, but not where annotation is complete; put a box around them on the Annotate tab.",
        )
    has = f"{plural(n, 'mask')} in {plural(len(boxes), 'region')}"
    if not n:
        return Readiness(has, lack="The regions hold no mask; move their walls on the Annotate tab.")
    return Readiness(has, "" if n >= ENOUGH else f"{ENOUGH} are better", n=n, noun=("mask", "masks"))


def classes_readiness(nuclei: Annotations, boxes: Sequence[Box]) -> Readiness:
    """For networks that give every voxel a class: how many values were painted."""
    values = np.unique(nuclei.label[nuclei.label > 0])
    if nuclei.labels is None or not len(values):
        return Readiness(
            "no class yet",
            lack="No class is painted; paint some voxels of each with a number of its own in a Labels layer, and choose that on the "
            "Annotate tab.",
        )
    if len(values) > MOST_CLASSES:
        return Readiness(
            f"{len(values)} numbers are painted",
            lack=f"{len(values)} numbers are painted, which are objects rather than classes; give every class one number, and at most "
            f"{MOST_CLASSES} in all.",
        )
    has = plural(len(values), "painted class", "painted classes")
    if not boxes:
        return Readiness(
            f"{has}, no region yet",
            lack=f"{has}, but not where painting is complete; put a box around it on the Annotate tab.",
        )
    return Readiness(f"{has}; {plural(len(boxes), 'region')}")


READINESS: dict[str, Callable[[Annotations, Sequence[Box]], Readiness]] = {
    "centres": readiness, "outlines": outlines_readiness, "classes": classes_readiness,
}  # fmt: skip
"""By the kind of head; see `anlage.tasks.nuclei.head.Head.kind`."""
