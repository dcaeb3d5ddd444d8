"""Event scores by place: events paired in space and time, where result and truth have different tracks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from anlage.axes import Spacing
from anlage.errors import AnlageError
from anlage.evaluation.events import EventReport, found_report
from anlage.signals.events import Events

__all__ = ["evaluate_placed_events", "match_placed_events"]

Floats = npt.NDArray[np.float64]


def match_placed_events(
    predicted: tuple[Floats, Floats], truth: tuple[Floats, Floats], *, radius_um: float, frames: float
) -> npt.NDArray[np.int64]:
    """Pair events one-to-one: as many pairs as possible, and of these the nearest ones.

    Parameters
    ----------
    predicted, truth
        Frames (K,) and places in µm (K, 3).
    radius_um
        Greatest distance in µm of two that may be the same.
    frames
        Greatest distance in time, in frames; both limits are themselves allowed.

    Returns
    -------
    pairs
        (P, 2) rows of `predicted` and `truth`.
    """
    from scipy.optimize import linear_sum_assignment

    apart = np.linalg.norm(predicted[1][:, None] - truth[1][None], axis=2) / radius_um
    late = np.abs(predicted[0][:, None] - truth[0][None]) / frames
    allowed = (apart <= 1) & (late <= 1)
    # any pair that is allowed is worth more than all distances together
    most = 1.0 + 2 * min(allowed.shape, default=0)
    rows, columns = linear_sum_assignment(np.where(allowed, (apart + late) - most, 0.0))
    kept = allowed[rows, columns]
    return np.stack([rows[kept], columns[kept]], axis=1).astype(np.int64)


def evaluate_placed_events(
    predicted: Events, truth: Events, spacing: Spacing, *, radius_um: float = 5.0, frames: float = 1.0
) -> EventReport:
    """Count the events that were predicted at their place and time, on whichever tracks.

    Parameters
    ----------
    predicted, truth
        With the columns z, y, x, in voxels; only events that happened count.
    spacing
        Voxel size in µm.
    radius_um, frames
        Greatest distances in space (µm) and time (frames) of two that are the same.

    Raises
    ------
    AnlageError
        If one has no places.
    """
    here, there = (_placed(events, name, spacing) for events, name in ((predicted, "result"), (truth, "truth")))
    pairs = match_placed_events(here, there, radius_um=radius_um, frames=frames)
    error = np.abs(here[0][pairs[:, 0]] - there[0][pairs[:, 1]])
    interval_s = truth.interval_s or predicted.interval_s
    return found_report("placed", len(pairs), len(here[0]) - len(pairs), len(there[0]) - len(pairs), error, interval_s)


def _placed(events: Events, name: str, spacing: Spacing) -> tuple[Floats, Floats]:
    missing = [axis for axis in "zyx" if axis not in events.properties]
    if missing:
        raise AnlageError(
            f"The {name} has no column {missing[0]}, so its events have no place; measure the signals along tracks of an image."
        )
    zyx = np.stack([np.asarray(events.properties[axis], dtype=np.float64) for axis in "zyx"], axis=1)
    kept = events.happened & np.isfinite(zyx).all(axis=1)
    return events.frames[kept], zyx[kept] * np.array(spacing.zyx)
