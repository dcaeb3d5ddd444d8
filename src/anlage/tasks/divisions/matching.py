"""From probabilities of single nuclei to divisions, and whether these are right to within a frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import KDTree

from anlage.matching import match_in_order

__all__ = ["DivisionEvents", "find_divisions", "match_events"]

_FRAME = 0.6
"""What a frame of difference costs, in radii: one frame apart still counts, two do not."""


@dataclass(frozen=True, slots=True)
class DivisionEvents:
    """Divisions, the most likely first.

    Parameters
    ----------
    rows
        (K,) rows of the nuclei that were scored.
    probability
        (K,) of each.
    """

    rows: npt.NDArray[np.int64]
    probability: npt.NDArray[np.float64]


def find_divisions(
    frames: npt.NDArray[np.int64],
    points_um: npt.NDArray[np.float64],
    probability: npt.NDArray[np.float64],
    radius_um: float,
    lowest: float = 0.0,
) -> DivisionEvents:
    """One event for each division: the likeliest nucleus within a radius and a frame of others speaks for all.

    A network sees the plate one frame before the end, too, and the daughters one frame after; without tracks their
    its nearness shows that it is the same division.

    Parameters
    ----------
    frames, points_um
        (N,) and (N, 3): frame and position in µm (z, y, x) of each nucleus.
    probability
        (N,) that this is a mother's last frame; NaN where it was not scored.
    radius_um
        Nuclei nearer than this in µm, less in neighbouring frames, are one event.
    lowest
        Lowest probability of an event.
    """
    rows = np.flatnonzero(np.isfinite(probability) & (probability >= lowest))
    rows = rows[np.argsort(-probability[rows], kind="stable")]
    where = _in_space_and_time(frames[rows], points_um[rows], radius_um)
    gone = np.zeros(len(rows), dtype=bool)
    if len(rows):
        near = KDTree(where).query_pairs(radius_um, output_type="ndarray")
        near = near[np.lexsort((near[:, 1], near[:, 0]))]
        for likelier, other in near:
            gone[other] |= not gone[likelier]
    return DivisionEvents(rows[~gone], probability[rows[~gone]])


def match_events(
    found: tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]],
    truth: tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]],
    radius_um: float,
) -> npt.NDArray[np.bool_]:
    """Which events are a true division, at most a frame early or late; the likelier first.

    Parameters
    ----------
    found, truth
        Frames (K,) and positions in µm (K, 3) of the events, the likeliest first, and of mothers in their last frames.
    radius_um
        Greatest distance in µm in the same frame; 0.8 of it a frame apart.
    """
    predicted = _in_space_and_time(*found, radius_um)
    return match_in_order(predicted, _in_space_and_time(*truth, radius_um), radius_um)


def _in_space_and_time(
    frames: npt.NDArray[np.int64], points_um: npt.NDArray[np.float64], radius_um: float
) -> npt.NDArray[np.float64]:
    """(N, 4): time as a further coordinate, on the scale of µm."""
    return np.column_stack([frames * (_FRAME * radius_um), np.reshape(points_um, (-1, 3))])
