"""Estimate the noise of an image, on the scale of normalised intensities."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["noise_level"]

_MOST = 2_000_000
"""Number of voxels of a channel that are examined."""


def noise_level(frame_CZYX: npt.NDArray[np.float32]) -> float:
    """Noise from voxel to voxel of a normalised frame, as a part of the brightness range (0 dark … 1 bright).

    It is the robust standard deviation of the difference between neighbours along x, of the noisiest channel.
    """
    values = [0.0]
    for channel in frame_CZYX:
        rows = channel.reshape(-1, channel.shape[-1])
        rows = rows[:: max(1, rows.size // _MOST)]
        if rows.shape[1] > 1:
            # 0.6745: the median absolute value of a normal distribution; √2: a difference has two voxels' noise
            values.append(float(np.median(np.abs(np.diff(rows, axis=1)))) / 0.6745 / 2**0.5)
    return max(values)
