"""Images as they would be with few photons: bleached, or exposed for a short time.

Noise is not all that makes them different. Black and white are percentiles of an image's voxels: where these are noisy, both lie far
out, so that on a network's grid, where voxels are averaged, nuclei are less than half as bright, on a background that is not dark.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from anlage.dataset.intensity import CLIP, PERCENTILES

__all__ = ["Exposure", "bleached"]

FEWEST, MOST = 2.0, 100.0
"""Photons from a voxel of a bright nucleus that are drawn; with more, an image is what it was."""
_GROUND = (0.05, 0.3)
"""Light from the background, as a part of that from bright nuclei."""
_READ_NOISE = (0.0, 1.0)
"""Noise of the camera in photons."""


@dataclass(frozen=True, slots=True)
class Exposure:
    """How a camera sees an image."""

    photons: float
    """From a voxel of a bright nucleus (1 on the normalised scale)."""
    ground: float
    """Light from the background (0 on that scale), as a part of that from a bright nucleus."""
    read_noise: float
    """Standard deviation of the camera's noise, in photons."""

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Exposure:
        """Any: photons and background evenly on a logarithmic scale."""
        photons, ground = (float(np.exp(rng.uniform(*np.log(ends)))) for ends in ((FEWEST, MOST), _GROUND))
        return cls(photons, ground, float(rng.uniform(*_READ_NOISE)))

    def seen(
        self, light: npt.NDArray[np.float32], averaged: float, rng: np.random.Generator
    ) -> npt.NDArray[np.float32]:
        """Normalised light, any shape, as the mean of so many voxels of this exposure; still on the scale of the light."""
        most = self.photons * averaged
        counted: npt.NDArray[np.float32] = rng.poisson((np.maximum(light, 0) + self.ground) * most).astype(np.float32)
        read = rng.standard_normal(light.shape, dtype=np.float32)
        counted += np.float32(self.read_noise * averaged**0.5) * read
        return counted / np.float32(most)


def bleached(
    light: npt.NDArray[np.float32],
    sample: npt.NDArray[np.float32],
    exposure: Exposure,
    averaged: float,
    rng: np.random.Generator,
) -> npt.NDArray[np.float32]:
    """A normalised image as it would be with few photons, normalised anew.

    Parameters
    ----------
    light
        One channel of any shape, on a network's grid: 0 dark, 1 bright.
    sample
        (N,) values of the same channel from all over its frame, whose noisy percentiles become black and white.
    exposure
        What a voxel of the image gets.
    averaged
        Voxels of the image of which one of the grid is the mean, at least 1.
    rng
        Source of chance.
    """
    low, high = np.percentile(exposure.seen(sample, 1.0, rng), PERCENTILES)
    seen = exposure.seen(light, max(averaged, 1.0), rng)
    shown: npt.NDArray[np.float32] = np.clip((seen - np.float32(low)) / np.float32(max(high - low, 1e-6)), *CLIP)
    return shown
