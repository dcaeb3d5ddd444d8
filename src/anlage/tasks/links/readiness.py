"""How many links there are to learn from, and how many are wanted."""

from __future__ import annotations

from collections.abc import Sequence

from anlage.annotations import Annotations, State
from anlage.axes import Box, inside_any
from anlage.tasks.readiness import Readiness
from anlage.wording import plural

__all__ = ["readiness"]

ENOUGH = 200
"""With about so many links the network is better than distances alone, by experience."""


def readiness(nuclei: Annotations, boxes: Sequence[Box]) -> Readiness:
    """For networks that learn from links: how many links the regions hold.

    Parameters
    ----------
    nuclei
        All that is annotated, in voxels of the image.
    boxes
        The regions, in voxels of the image.
    """
    true = nuclei.select(nuclei.state != State.REJECTED).sure()
    n = len(true.links)
    if not n:
        return Readiness(
            "no link yet",
            lack="Nothing is linked yet; link some nuclei to those of the next frame on the Annotate tab.",
        )
    made = plural(n, "link")
    if not boxes:
        return Readiness(
            f"{made}, no region yet",
            lack=f"{made} made, but not where annotation is complete; put a box around them on the Annotate tab.",
        )
    kept = len(true.select(inside_any(boxes, true.positions)).links)
    has = f"{plural(kept, 'link')} in {plural(len(boxes), 'region')}"
    if not kept:
        return Readiness(has, lack="The regions hold no link; move their walls, or link nuclei inside them.")
    return Readiness(has, "" if kept >= ENOUGH else f"{ENOUGH} are better", n=kept, noun=("link", "links"))
