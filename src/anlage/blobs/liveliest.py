"""The part of a large image in which most is to be seen: a sample is enough to measure."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["liveliest"]

Floats = npt.NDArray[np.floating[Any]]

SAMPLE = 100_000
"""About how many voxels the contrast of a part is measured from."""


def liveliest(image_zyx: Floats, most: int, centres_zyx: Floats | None = None) -> tuple[slice, slice, slice]:
    """The half, quarter, … of an image (Z, Y, X) that holds most contrast, or most centres where these are given.

    Parameters
    ----------
    image_zyx
        One channel of one frame.
    most
        Voxels that the part may have.
    centres_zyx
        (N, 3) in voxels.

    Returns
    -------
    part
        Slices along z, y and x.
    """
    low, high = [0, 0, 0], list(image_zyx.shape)
    centres = centres_zyx
    while math.prod(shape := [b - a for a, b in zip(low, high, strict=True)]) > most:
        axis = int(np.argmax(shape))
        middle = low[axis] + shape[axis] // 2
        halves = [_slices(low, [*high[:axis], middle, *high[axis + 1 :]])]
        halves.append(_slices([*low[:axis], middle, *low[axis + 1 :]], high))
        if centres is None:
            second = _contrast(image_zyx[halves[1]]) > _contrast(image_zyx[halves[0]])
        else:
            beyond = centres[:, axis] >= middle
            second = bool(beyond.mean() > 0.5)
            centres = centres[beyond == second]
        (low if second else high)[axis] = middle
    return _slices(low, high)


def _slices(low: list[int], high: list[int]) -> tuple[slice, slice, slice]:
    z, y, x = (slice(a, b) for a, b in zip(low, high, strict=True))
    return z, y, x


def _contrast(image_zyx: Floats) -> float:
    step = math.ceil((image_zyx.size / SAMPLE) ** (1 / 3))
    sample = image_zyx[::step, ::step, ::step].astype(np.float32)
    sample = sample[np.isfinite(sample)]
    return float(sample.std()) if len(sample) else 0.0
