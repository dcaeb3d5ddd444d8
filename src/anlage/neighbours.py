"""The nuclei of a frame, and how far they lie from each other: what one can measure at most, and how far a match may reach."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["gaps_by_frame", "rows_by_frame", "typical_gap_um"]


def rows_by_frame(frames: npt.NDArray[Any]) -> dict[int, npt.NDArray[np.intp]]:
    """The rows of each frame, frames in order."""
    order = np.argsort(frames, kind="stable")
    values, first = np.unique(frames[order], return_index=True)
    return dict(zip(values.tolist(), np.split(order, first[1:]), strict=True)) if len(frames) else {}


def gaps_by_frame(
    frames: npt.ArrayLike, points_um: npt.ArrayLike, *, neighbour: int = 1
) -> dict[int, npt.NDArray[np.float64]]:
    """Distances (n,) in µm from each nucleus of a frame to its n-th neighbour there, of each frame that holds at least two.

    Parameters
    ----------
    frames
        (N,) frame of each nucleus.
    points_um
        (N, 3) positions (z, y, x) in µm.
    neighbour
        1 for the nearest; the last one where a frame holds fewer.
    """
    from scipy.spatial import KDTree

    points, gaps = np.asarray(points_um, dtype=np.float64).reshape(-1, 3), {}
    for frame, rows in rows_by_frame(np.asarray(frames)).items():
        if len(rows) > 1:
            k = min(neighbour, len(rows) - 1)
            gaps[frame] = np.asarray(KDTree(points[rows]).query(points[rows], k=[k + 1])[0])[:, 0]
    return gaps


def typical_gap_um(frames: npt.ArrayLike, points_um: npt.ArrayLike, *, neighbour: int = 1) -> float | None:
    """Median over all nuclei of `gaps_by_frame`; None where no frame holds two nuclei, or they lie in one place."""
    gaps = gaps_by_frame(frames, points_um, neighbour=neighbour)
    typical = float(np.median(np.concatenate(list(gaps.values())))) if gaps else 0.0
    return typical if typical > 0 else None
