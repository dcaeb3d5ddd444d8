"""Centre and size of every painted label in a frame, updated with each stroke.

The moments of a label are four whole numbers: its voxel count and the sums of its voxels' z, y and x. Being whole they
can be added to and taken from without ever drifting.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from anlage.document.edit import Paint
from anlage.labels import measure_labels

__all__ = ["Moments", "Stained", "add", "stained"]

Moments = npt.NDArray[np.int64]
NOTHING: Moments = np.zeros(4, dtype=np.int64)
NOTHING.flags.writeable = False


@dataclass(frozen=True, slots=True)
class Stained:
    """One value in one frame, with its moments before and after painting; all 0 where there is none."""

    t: int
    value: int
    before: Moments
    after: Moments


def add(
    moments: dict[int, Moments], labels_ZYX: npt.NDArray[np.uint32], start_zyx: Sequence[int], sign: int = 1
) -> None:
    """Add (or with sign -1 take away) the voxels of a piece of a frame, whose first voxel is given."""
    values, counts, centres = measure_labels(labels_ZYX)
    # the sums are whole numbers, which rounding brings back from their means
    sums = np.rint((centres + np.array(start_zyx)) * counts[:, None])
    for value, row in zip(values.tolist(), np.column_stack([counts, sums.astype(np.int64)]), strict=True):
        total = moments.get(value, NOTHING) + sign * row
        if total[0]:
            moments[value] = total
        else:
            moments.pop(value, None)


def replace(moments: dict[int, Moments], paint: Paint) -> None:
    """Bring the moments of a frame up to date with a stroke."""
    before, after = paint.before.voxels(), paint.after.voxels()
    changed = before != after
    add(moments, np.where(changed, before, 0), paint.start_zyx, -1)
    add(moments, np.where(changed, after, 0), paint.start_zyx)


def stained(paints: Sequence[Paint], moments_at: Callable[[int], Mapping[int, Moments]]) -> list[Stained]:
    """Values whose voxels change when these strokes are painted one after another.

    Parameters
    ----------
    paints
        The strokes.
    moments_at
        Gives the moments of all labels of a frame as they are now.
    """
    found: list[Stained] = []
    for t in sorted({paint.t for paint in paints}):
        before = moments_at(t)
        after = dict(before)
        for paint in paints:
            if paint.t == t:
                replace(after, paint)
        both = [Stained(t, v, before.get(v, NOTHING), after.get(v, NOTHING)) for v in sorted({*before, *after})]
        found += [one for one in both if not np.array_equal(one.before, one.after)]
    return found
