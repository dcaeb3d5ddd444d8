"""What annotations say about divisions: which nuclei divide next, which go on, and of which nobody knows."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
import numpy.typing as npt

from anlage.annotations import Annotations, State

__all__ = ["Fate", "around_divisions", "beside_divisions", "fates"]

_REACH = 2
"""So many frames before and after a division are hard to distinguish from it."""


class Fate(IntEnum):
    """What becomes of a nucleus after its frame."""

    UNKNOWN = -1
    """Its future is not annotated: the film, the cuboid or the annotator's patience ends here."""
    GOES_ON = 0
    """It is there in a later frame."""
    DIVIDES = 1
    """This is the mother's last frame: two daughters follow."""


def fates(nuclei: Annotations) -> npt.NDArray[np.int8]:
    """What becomes of each nucleus, (N,) of `Fate`.

    A nucleus without a link to a later frame is unknown, not a negative: annotation may end there. So is one from which a
    network proposed a link that nobody accepted, unless two others are known; one that was rejected; and one whose daughters are both missing in the next frame, since nobody knows which of the frames between
    was the mother's last.
    """
    result = np.full(len(nuclei), Fate.UNKNOWN, dtype=np.int8)
    earlier, later = _rows(nuclei.sure())
    frames = nuclei.frames
    asked = np.isin(nuclei.ids, nuclei.links[~nuclei.sure_links, 0])
    after = np.bincount(earlier, minlength=len(nuclei))
    next_frame = np.bincount(earlier[frames[later] - frames[earlier] == 1], minlength=len(nuclei))
    result[(after == 1) & ~asked] = Fate.GOES_ON
    result[(after >= 2) & (next_frame >= 1)] = Fate.DIVIDES
    result[nuclei.state == State.REJECTED] = Fate.UNKNOWN
    return result


def around_divisions(nuclei: Annotations, reach: int = _REACH) -> npt.NDArray[np.bool_]:
    """Which nuclei (N,) are the mother in her frames before the last, or a daughter in her first, up to `reach` frames."""
    earlier, later = _rows(nuclei.sure())
    mothers = fates(nuclei) == Fate.DIVIDES
    found = np.zeros(len(nuclei), dtype=bool)
    before, after = mothers.copy(), mothers.copy()
    for _ in range(reach):
        before, after = _moved(before, later, earlier), _moved(after, earlier, later)
        found |= before | after
    result: npt.NDArray[np.bool_] = found & ~mothers
    return result


def beside_divisions(nuclei: Annotations, um: npt.NDArray[np.float64], within_um: float) -> npt.NDArray[np.bool_]:
    """Which nuclei (N,) lie beside a mother in her last frame: that division is not theirs.

    Parameters
    ----------
    nuclei
        The nuclei.
    um
        (3,) voxel size (z, y, x) in µm.
    within_um
        Distance of the centres in µm.
    """
    from scipy.spatial import KDTree  # slow to load, and start-up loads this module

    mothers = fates(nuclei) == Fate.DIVIDES
    # a frame apart is further than anything within a frame
    points = np.column_stack([nuclei.frames * 3.0 * within_um, nuclei.positions[:, 1:] * um])
    found = np.zeros(len(nuclei), dtype=bool)
    if mothers.any():
        distance, _ = KDTree(points[mothers]).query(points, distance_upper_bound=within_um)
        found = np.isfinite(distance)
    result: npt.NDArray[np.bool_] = found & ~mothers
    return result


def _rows(nuclei: Annotations) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The links as rows of the table: earlier and later ends."""
    order = np.argsort(nuclei.ids, kind="stable")
    at = np.searchsorted(nuclei.ids, nuclei.links, sorter=order)
    rows = order[np.minimum(at, max(len(order) - 1, 0))].reshape(-1, 2) if len(order) else np.zeros((0, 2), np.int64)
    return rows[:, 0], rows[:, 1]


def _moved(
    marked: npt.NDArray[np.bool_], start: npt.NDArray[np.int64], end: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    """What the links lead to from what is marked."""
    result = np.zeros_like(marked)
    result[end[marked[start]]] = True
    return result
