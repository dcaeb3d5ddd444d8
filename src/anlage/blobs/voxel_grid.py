"""The grid for blob detection: voxels averaged to cells, brightness compressed, noise estimated."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from anlage.axes import Spacing
from anlage.errors import AnlageError

__all__ = ["NOISE", "averaged", "compressed", "finite", "noise", "noise_where_bright", "steps", "to_image"]

Floats = npt.NDArray[np.floating[Any]]

CELLS = 8.0
"""Finer than so many cells a diameter gains nothing: larger nuclei are averaged down first."""
BRIGHT = 0.97
"""Quantile of the brightness from which cells count as bright."""
NOISE = 5.0
"""A blob stands above what pixel noise leaves in the map by so many standard deviations."""


def finite(image_zyx: Floats) -> npt.NDArray[np.float32]:
    """The image as float32, with holes (NaN, infinite) as dark as its darker parts."""
    image = np.asarray(image_zyx, dtype=np.float32)
    finite = np.isfinite(image)
    if finite.all():
        return image
    return np.where(finite, image, np.float32(np.quantile(image[finite], 0.25)) if finite.any() else np.float32(0))


def compressed(image: npt.NDArray[np.float32], share: float, *, knee: float) -> npt.NDArray[np.float32]:
    """Logarithm of the brightness above the background: a mitosis must not outshine the dim nuclei.

    Parameters
    ----------
    image
        (Z, Y, X), finite.
    share
        Part of the voxels that nuclei fill at least; the brightest of them set the scale.
    knee
        Up to this part of their brightness the answer is nearly linear.
    """
    sample = image.ravel()[:: max(1, image.size // 1_000_000)]
    background, bright = np.quantile(sample, [0.05, 1 - share])
    bend = knee * max(float(bright - background), float(np.ptp(image)) * 1e-3)
    if bend <= 0:
        return np.zeros(image.shape, dtype=np.float32)
    result: npt.NDArray[np.float32] = np.log1p(np.maximum(image - np.float32(background), 0) / np.float32(bend))
    return result


def steps(shape_zyx: tuple[int, ...], spacing: Spacing, diameter_um: float) -> tuple[int, int, int]:
    """How many voxels to average along z, y, x."""
    if not (math.isfinite(diameter_um) and diameter_um > 0):
        raise AnlageError(f"The nucleus diameter {diameter_um} µm must be a positive number.")
    if len(shape_zyx) != 3:
        raise AnlageError(f"Blobs are looked for in one frame (z, y, x), not in an array of shape {shape_zyx}.")
    wanted = np.floor(diameter_um / spacing.um / CELLS).astype(int)
    z, y, x = np.clip(wanted, 1, np.maximum(1, np.array(shape_zyx) // 4))
    return int(z), int(y), int(x)


def averaged(image_zyx: npt.NDArray[np.float32], step: tuple[int, int, int]) -> npt.NDArray[np.float32]:
    """Mean of each cell of so many voxels along z, y, x."""
    if step == (1, 1, 1):
        return image_zyx
    # a ragged last cell repeats the border, so that nothing at the wall is lost
    padding = [(0, -n % s) for n, s in zip(image_zyx.shape, step, strict=True)]
    padded = np.pad(image_zyx, padding, mode="edge")
    (z, y, x), (a, b, c) = padded.shape, step
    cells: npt.NDArray[np.float32] = padded.reshape(z // a, a, y // b, b, x // c, c).mean(axis=(1, 3, 5))
    return cells


def to_image(cells_zyx: Floats, step: tuple[int, int, int]) -> npt.NDArray[np.float64]:
    """Positions in cells (N, 3) → voxels of the image; a cell's centre is the middle of the voxels it averages."""
    result: npt.NDArray[np.float64] = cells_zyx * np.array(step) + (np.array(step) - 1) / 2
    return result


def noise(cells: npt.NDArray[np.float32], narrow: Floats, wide: Floats) -> float:
    """Standard deviation that white pixel noise leaves in the difference of two blurs (σ in cells along z, y, x)."""
    if cells.shape[2] < 2:
        return 0.0
    pixel = float(np.median(np.abs(np.diff(cells, axis=2)))) / (0.6745 * math.sqrt(2))

    def overlap(a: Floats, b: Floats) -> float:
        # the integral of two Gaussians' product, axis by axis; below a cell's width it cannot exceed 1
        return float(np.prod(1 / np.maximum(np.sqrt(2 * np.pi * (a**2 + b**2)), 1)))

    power = overlap(narrow, narrow) + overlap(wide, wide) - 2 * overlap(narrow, wide)
    return pixel * math.sqrt(max(power, 0.0))


def noise_where_bright(cells: npt.NDArray[np.float32]) -> float:
    """How many times as noisy the brightest cells are as the others; at least 1. Edges of small nuclei count as noise, too."""
    from scipy import ndimage

    if cells.shape[2] < 2:
        return 1.0
    smooth = ndimage.uniform_filter(cells, [min(3, n) for n in cells.shape])
    bright = smooth > np.quantile(smooth.ravel()[:: max(1, smooth.size // 1_000_000)], BRIGHT)
    steps_x = np.abs(np.diff(cells, axis=2))
    everywhere, there = float(np.median(steps_x)), steps_x[bright[:, :, 1:] & bright[:, :, :-1]]
    return max(1.0, float(np.median(there)) / everywhere) if everywhere > 0 and there.size else 1.0
