"""How far nuclei lie from each other: what a nucleus can measure at most, and how far a match may reach."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["neighbour_distance_um"]


def neighbour_distance_um(frames: npt.ArrayLike, points_um: npt.ArrayLike, *, neighbour: int = 1) -> float | None:
    """Median distance to the n-th neighbour in the same frame, in µm.

    Parameters
    ----------
    frames
        (N,) frame of each nucleus.
    points_um
        (N, 3) positions (z, y, x) in µm.
    neighbour
        1 for the nearest; the last one where a frame holds fewer.

    Returns
    -------
    distance
        None where no frame holds two nuclei, or they lie in one place.
    """
    from scipy.spatial import cKDTree

    t, points = np.asarray(frames), np.asarray(points_um, dtype=np.float64).reshape(-1, 3)
    distances = []
    for frame in np.unique(t):
        here = points[t == frame]
        if len(here) > 1:
            k = min(neighbour, len(here) - 1)
            distances.append(np.asarray(cKDTree(here).query(here, k=[k + 1])[0])[:, 0])
    if not distances:
        return None
    typical = float(np.median(np.concatenate(distances)))
    return typical if typical > 0 else None
