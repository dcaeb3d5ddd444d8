"""Painted classes (semantic labels): which classes there are, and where they were painted."""

from __future__ import annotations

import numpy as np

from anlage.annotations import Annotations
from anlage.axes import Box
from anlage.errors import AnlageError
from anlage.labels import are_classes
from anlage.timelapse import TimeLapse
from anlage.wording import plural

__all__ = ["VOXELS", "class_sites", "class_values", "show_classes"]

VOXELS = 9
"""Voxels in the plane that stand for a nucleus diameter: as many as a nucleus has on the working grid."""
_SITES = 60
"""Sites of each class in a frame."""
_MOST = 32
"""More values are objects."""


def show_classes(labels: TimeLapse) -> bool:
    """Whether the first painted frame looks like classes rather than objects."""
    for t in range(labels.n_frames):
        frame = labels.frame(t)[0]
        if frame.any():
            values = np.unique(frame)
            # nothing left unpainted, and few values: no image has so few, and no objects fill everything
            return are_classes(frame) or (values[0] > 0 and len(values) <= _MOST)
    return False


def class_values(labels: TimeLapse) -> tuple[int, ...]:
    """Label values that were painted, without 0.

    Raises
    ------
    AnlageError
        If there are several channels, values are no whole numbers ≥ 0, nothing is painted, or there are so many values that
        they must be objects.
    """
    if labels.n_channels != 1 or labels.dtype.kind not in "bui":
        raise AnlageError(
            f"The labels '{labels.source}' have {plural(labels.n_channels, 'channel')} of type "
            f"{labels.dtype}; classes are painted as whole numbers in a single channel."
        )
    found: set[int] = set()
    for t in range(labels.n_frames):
        found.update(np.unique(labels.frame(t)[0]).tolist())
    if min(found) < 0:
        raise AnlageError(f"The labels '{labels.source}' contain the value {min(found)}; classes are 0 or larger.")
    painted = tuple(sorted(int(value) for value in found if value > 0))
    if not painted:
        raise AnlageError(f"Nothing is painted in the labels '{labels.source}': paint some of each class first.")
    if len(painted) > _MOST:
        raise AnlageError(
            f"The labels '{labels.source}' have {len(painted)} values, which are objects rather than classes: leave out "
            f"--classes, or paint at most {_MOST} values."
        )
    return painted


def class_sites(labels: TimeLapse, values: tuple[int, ...]) -> Annotations:
    """Voxels of each class, evenly over each frame: what training is spread over, and what is held out counts by.

    Parameters
    ----------
    labels
        (t, 1, z, y, x) of classes.
    values
        Label values that were painted.
    """
    rows, of_class = [], []
    _, z, y, x = labels.shape_tzyx
    for t in range(labels.n_frames):
        frame = labels.read(Box((t, t + 1), (0, z), (0, y), (0, x)))[0, 0]
        for value in values:
            at = np.flatnonzero(frame == value)
            if not len(at):
                continue
            # not at even steps, which would all lie in one column of a regular pattern
            rng = np.random.default_rng([t, value])
            chosen = np.sort(rng.choice(at, min(_SITES, len(at)), replace=False))
            where = np.stack(np.unravel_index(chosen, frame.shape), axis=1)
            rows.append(np.column_stack([np.full(len(where), t), where]))
            of_class.append(np.full(len(where), value))
    return Annotations.of(np.concatenate(rows), label=np.concatenate(of_class), labels=labels)
