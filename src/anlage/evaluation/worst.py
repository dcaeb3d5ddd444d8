"""The worst objects of a segmentation, with their positions."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from anlage.annotations import Annotations
from anlage.frozen import Frozen
from anlage.io.lazy import present_frames
from anlage.objects.label_objects import find_objects
from anlage.overlaps import Overlaps
from anlage.timelapse import TimeLapse

__all__ = ["WorstObject", "worst_lines", "worst_objects", "worst_of"]

_GOOD = 0.5
"""Objects that fit at least so well are no place to look first."""
_MOST_LINES = 5


class WorstObject(Frozen):
    """An object of the truth that the result outlines badly or misses."""

    frame: int
    """The time point."""
    label: int
    """Its value in the truth."""
    iou: float
    """Greatest intersection over union with any object of the result; 0 where none lies on it."""
    z: int
    """Plane of the middle of its bounding box."""
    y: int
    """Row of it."""
    x: int
    """Column of it."""


def worst_objects(
    predicted: TimeLapse, truth: TimeLapse, n: int = 12, *, frames: Iterable[int] | None = None, smallest: int = 1
) -> tuple[WorstObject, ...]:
    """The `n` objects of the truth whose best partner fits worst, the worst first; fewer than `smallest` voxels do not count."""
    found = []
    for t in range(truth.n_frames) if frames is None else frames:
        overlaps = Overlaps.of_frame(truth, predicted, t)
        objects = find_objects(truth, t)
        best = overlaps.best_iou()
        for row in np.flatnonzero(objects.sizes >= smallest).tolist():
            z, y, x = ((objects.start[row] + objects.stop[row]) // 2).tolist()
            found.append(WorstObject(frame=t, label=int(objects.values[row]), iou=float(best[row]), z=z, y=y, x=x))
    return tuple(sorted(found, key=lambda one: (one.iou, one.frame, one.label))[:n])


def worst_of(predicted: Annotations, truth: Annotations, smallest: int | None) -> tuple[WorstObject, ...]:
    """The worst of two tables that both have labels, in the frames that lie on disk; none where one has no labels."""
    if predicted.labels is None or truth.labels is None:
        return ()
    return worst_objects(predicted.labels, truth.labels, frames=present_frames(truth.labels), smallest=smallest or 1)


def worst_lines(worst: Iterable[WorstObject]) -> list[str]:
    """The few worst for people to read; nothing where all fit."""
    poor = [one for one in worst if one.iou < _GOOD][:_MOST_LINES]
    places = [
        f"  label {one.label} in frame {one.frame} at z {one.z}, y {one.y}, x {one.x}: "
        + ("missed" if one.iou == 0 else f"IoU {one.iou:.2f}")
        for one in poor
    ]
    return ["worst objects:", *places] if places else []
