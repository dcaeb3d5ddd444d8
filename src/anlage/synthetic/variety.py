"""Many different synthetic embryos, to train the starter on."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from anlage.axes import Spacing
from anlage.synthetic import Optics, SyntheticMovie, embryo

__all__ = ["variety"]

_N_FRAMES = 3
_DIAMETERS_UM = (6.7, 14.9)
"""Within a factor of 1.5 of ten: nothing is rescaled in training, so that a network learns to do without the exact size."""
_FIELD_DIAMETERS = (7.0, 10.0)
_DEPTH_DIAMETERS = (4.0, 7.0)


def variety(n: int, seed: int = 0, *, flat: bool = False) -> Iterator[SyntheticMovie]:
    """Render embryos that differ in everything that a microscope and a tissue may vary.

    Nuclei are 7 to 15 µm across and 8 to 22 voxels wide; planes lie 0.08 to 0.45 diameters apart; nuclei fill between a
    tenth and almost half of the embryo; between a few and hundreds of photons come from a voxel; light dims with depth
    slowly or within few nuclei.

    Parameters
    ----------
    n
        How many movies, of three frames each.
    seed
        The same seed gives the same movies.
    flat
        Single planes instead of volumes.

    Yields
    ------
    SyntheticMovie
        One at a time; none is kept.
    """
    for number in range(n):
        yield _one(np.random.default_rng([seed, number]), flat=flat)


def _one(rng: np.random.Generator, *, flat: bool) -> SyntheticMovie:
    diameter_um = _between(rng, *_DIAMETERS_UM)
    pixel_um = diameter_um / _between(rng, 8, 22)
    plane_um = 1.0 if flat else max(diameter_um * _between(rng, 0.08, 0.45), pixel_um)
    depth, height, width = (
        max(1, round(rng.uniform(*diameters) * diameter_um / um))
        for diameters, um in ((_DEPTH_DIAMETERS, plane_um), (_FIELD_DIAMETERS, pixel_um), (_FIELD_DIAMETERS, pixel_um))
    )
    shape = (1 if flat else depth, height, width)
    spacing = Spacing(plane_um, pixel_um, pixel_um)
    photons = _between(rng, 6, 200)
    blur_um = diameter_um * rng.uniform(0.03, 0.09)
    optics = Optics(
        psf_um_zyx=(blur_um * rng.uniform(2, 5), blur_um, blur_um),
        photons=photons,
        background=photons * _between(rng, 0.02, 0.3),
        read_noise=_between(rng, 0.3, 3),
        dimming_um=diameter_um * _between(rng, 4, 30),
        n_fragments=int(rng.integers(0, 12)),
        brightness_spread=rng.uniform(0.1, 0.6),
        haze=0.35 * rng.random() ** 2,
    )
    return embryo(
        int(rng.integers(2**31)), _N_FRAMES, shape, spacing=spacing, n_nuclei=_room_for(shape, spacing, diameter_um, rng),
        diameter_um=diameter_um, elongation=rng.uniform(0.08, 0.3), optics=optics,
    )  # fmt: skip


def _room_for(shape: tuple[int, int, int], spacing: Spacing, diameter_um: float, rng: np.random.Generator) -> int:
    """Nuclei that fill a random part of the embryo; much more than half of it cannot be packed."""
    flat = shape[0] == 1
    room = np.array(shape) * spacing.um / 2 - 0.1 * diameter_um
    filled = rng.uniform(0.08, 0.4)
    return max(4, int(filled * float(np.prod((room / (diameter_um / 2))[1 if flat else 0 :]))))


def _between(rng: np.random.Generator, low: float, high: float) -> float:
    """A random number, as likely to lie in the lower as in the upper half of the ratio high / low."""
    return math.exp(rng.uniform(math.log(low), math.log(high)))
