"""The part of a large image in which most is to be seen: a sample is enough to measure."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from anlage.axes import Box

__all__ = ["liveliest"]

Floats = npt.NDArray[np.floating[Any]]

SAMPLE = 100_000
"""About how many voxels the contrast of a part is measured from."""


FEWEST = 12
"""Centres that a part keeps if it is made smaller than it must be."""


def liveliest(image_zyx: Floats, most: int, centres_zyx: Floats | None = None, *, enough: int | None = None) -> Box:
    """The half, quarter, … of an image (Z, Y, X) that holds most contrast, or most centres where these are given.

    Parameters
    ----------
    image_zyx
        One channel of one frame.
    most
        Voxels that the part may have.
    centres_zyx
        (N, 3) in voxels.
    enough
        Around given centres the part is made as small as this, as long as a dozen of them stay in it; None: as `most`.

    Returns
    -------
    part
        As of a movie of this one frame.
    """
    part, centres = Box.whole((1, *image_zyx.shape)), centres_zyx
    while math.prod(part.shape) > (most if centres is None or enough is None else min(most, enough)):
        axis = int(np.argmax(part.shape[1:]))
        middle = part.start[1 + axis] + part.shape[1 + axis] // 2
        halves = _halves(part, 1 + axis, middle)
        if centres is None:
            first, second = (_contrast(image_zyx[half.slices[1:]]) for half in halves)
            part = halves[second > first]
        else:
            beyond = centres[:, axis] >= middle
            is_second = bool(beyond.mean() > 0.5)
            if math.prod(part.shape) <= most and int((beyond == is_second).sum()) < FEWEST:
                break
            part, centres = halves[is_second], centres[beyond == is_second]
    return part


def _halves(box: Box, axis: int, middle: int) -> tuple[Box, Box]:
    """The parts of a box before and from a voxel of an axis on."""
    stop, start = list(box.stop), list(box.start)
    stop[axis] = start[axis] = middle
    return Box.of(box.start, stop), Box.of(start, box.stop)


def _contrast(image_zyx: Floats) -> float:
    step = math.ceil((image_zyx.size / SAMPLE) ** (1 / 3))
    sample = image_zyx[::step, ::step, ::step].astype(np.float32)
    sample = sample[np.isfinite(sample)]
    return float(sample.std()) if len(sample) else 0.0
