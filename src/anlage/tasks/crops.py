"""Crops around points of a frame and its neighbours in time, cut for many points at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["crops_around", "neighbours"]


def neighbours(t: int, offsets: Sequence[int], first: int, stop: int) -> tuple[int, ...] | None:
    """The frames that a crop at `t` shows; None where what comes after `t` is not there.

    What comes before the first frame is replaced by that frame: a division is recognised by what follows. What comes after
    the last has no substitute.
    """
    wanted = [t + offset for offset in offsets]
    if max(wanted) >= stop:
        return None
    return tuple(max(at, first) for at in wanted)


def crops_around(
    frames: Sequence[npt.NDArray[Any]], centres_zyx: npt.NDArray[np.float64], shape_zyx: tuple[int, int, int]
) -> npt.NDArray[np.float32]:
    """Cut the same places out of several frames: (N, F·C, Z, Y, X), the frames one after the other.

    Parameters
    ----------
    frames
        F arrays (C, Z, Y, X) of one shape.
    centres_zyx
        (N, 3) middles of the crops, in voxels of the frames.
    shape_zyx
        Voxels of a crop. What reaches beyond the image repeats its rim.
    """
    size = np.array(frames[0].shape[1:])
    start = np.rint(np.reshape(centres_zyx, (-1, 3)) - (np.array(shape_zyx) - 1) / 2).astype(np.int64)
    z, y, x = (np.clip(start[:, axis, None] + np.arange(n), 0, size[axis] - 1) for axis, n in enumerate(shape_zyx))
    index = (z[:, :, None, None], y[:, None, :, None], x[:, None, None, :])
    cut = [channel[index].astype(np.float32) for frame in frames for channel in frame]
    return np.stack(cut, axis=1)
