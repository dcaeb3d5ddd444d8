"""Harder versions of a stack with bright, smooth nuclei: the same seed gives the same image.

Noise of few photons (`ph6`, `ph2`), few planes (`z3`, `z5`: every third, every fifth), haze as of a widefield microscope, debris,
coarse chromatin, and nuclei that are dark holes (`membrane`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Pixels = npt.NDArray[np.floating]
Vector = npt.NDArray[np.float64]

BACKGROUND = 0.15
"""Photons between the nuclei, as a part of those of a bright nucleus."""
READ_NOISE = 0.5
N_DEBRIS = 25
TEXTURE = 1.3
"""Standard deviation of the chromatin's brightness, as a logarithm."""


@dataclass(frozen=True, slots=True)
class Degraded:
    """An image, and which planes of the original it shows: every `step`-th, from `first`."""

    image: Pixels
    spacing_um: Vector
    first: int = 0
    step: int = 1


def degrade(image: Pixels, spacing_um: npt.ArrayLike, kind: str, seed: int) -> Degraded:
    """A harder version of a stack (z, y, x) with voxels (z, y, x) in µm."""
    rng = np.random.default_rng([seed, sum(map(ord, kind))])
    spacing = np.array(spacing_um, dtype=float)
    if kind.startswith("z"):
        step = int(kind[1:])
        return Degraded(image[step // 2 :: step], spacing * [step, 1, 1], step // 2, step)
    if kind.startswith("ph"):
        return Degraded(photons(image, float(kind[2:]), rng), spacing)
    return Degraded(_HARDER[kind](bright(image), spacing, rng), spacing)


def bright(image: Pixels) -> Pixels:
    """The image with its background at 0 and its bright nuclei at 1."""
    low, high = np.percentile(image, [1, 99.8])
    return np.clip((image - low) / (high - low), 0, None)


def photons(light: Pixels, most: float, rng: np.random.Generator) -> Pixels:
    """What a camera makes of it, where a bright nucleus sends `most` photons to a voxel."""
    counted = rng.poisson((bright(light) + BACKGROUND) * most).astype(np.float32)
    return counted + rng.normal(0, READ_NOISE, light.shape).astype(np.float32)


def haze(light: Pixels, spacing: Vector, rng: np.random.Generator) -> Pixels:
    """Much light from out of focus, and dimming with depth."""
    blurred = ndimage.gaussian_filter(light, np.array([10, 9, 9]) / spacing)
    dimming = np.exp(-1.6 * np.linspace(0, 1, len(light)))[:, None, None]
    return photons((light + 6 * blurred) * dimming, 30, rng)


def debris(light: Pixels, spacing: Vector, rng: np.random.Generator) -> Pixels:
    """Bright specks of 3 to 8 µm inside the embryo that are no nuclei."""
    where = ndimage.gaussian_filter(light, np.array([14, 14, 14]) / spacing)
    inside = np.argwhere(where > np.percentile(where, 70))
    seen = light + 0.0
    grid = np.meshgrid(*[np.arange(n) for n in light.shape], indexing="ij", sparse=True)
    for _ in range(N_DEBRIS):
        centre = inside[rng.integers(len(inside))]
        radii = rng.uniform(1.2, 3.2) * np.array([1.6, 1, 1])
        distance = sum(((g - c) * s / r) ** 2 for g, c, s, r in zip(grid, centre, spacing, radii, strict=True))
        seen = np.maximum(seen, rng.uniform(0.5, 1.6) * np.exp(-0.5 * distance).astype(np.float32))
    return photons(seen, 40, rng)


def texture(light: Pixels, spacing: Vector, rng: np.random.Generator) -> Pixels:
    """Chromocentres and holes: nuclei of coarse speckles of high contrast."""
    speckles = ndimage.gaussian_filter(rng.normal(size=light.shape), np.array([1.8, 1.3, 1.3]) / spacing)
    speckles /= speckles.std()
    return photons(light * np.exp(TEXTURE * speckles) / np.exp(0.5 * TEXTURE**2), 40, rng)


def membrane(light: Pixels, spacing: Vector, rng: np.random.Generator) -> Pixels:
    """No nuclear marker at all: nuclei are dark holes in a signal of the cytoplasm."""
    clipped = np.clip(light, 0, 1)
    around = ndimage.gaussian_filter(clipped, np.array([11, 11, 11]) / spacing)
    around = around / np.percentile(around, 99)
    nuclei = ndimage.gaussian_filter(clipped, np.array([1.2, 1, 1]) / spacing)
    return photons(np.clip(around * 1.2 - 0.9 * nuclei, 0, None), 40, rng)


_HARDER: dict[str, Callable[[Pixels, Vector, np.random.Generator], Pixels]] = {
    "haze": haze,
    "debris": debris,
    "texture": texture,
    "membrane": membrane,
}
HARDER = ("debris", "texture", "haze", "ph6", "ph2", "membrane", "z3", "z5")
