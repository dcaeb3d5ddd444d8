"""Many different synthetic embryos, to train the starter on."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from anlage.synthetic import Optics, SyntheticMovie, embryo
from anlage.synthetic.field import Field, log_uniform

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
    field = Field.drawn(
        rng, diameter_um=_DIAMETERS_UM, diameter_voxels=(8, 22), plane_diameters=(0.08, 0.45),
        depth_diameters=_DEPTH_DIAMETERS, width_diameters=_FIELD_DIAMETERS, flat=flat,
    )  # fmt: skip
    diameter_um = field.diameter_um
    photons = log_uniform(rng, 6, 200)
    blur_um = diameter_um * rng.uniform(0.03, 0.09)
    optics = Optics(
        psf_um_zyx=(blur_um * rng.uniform(2, 5), blur_um, blur_um),
        photons=photons,
        background=photons * log_uniform(rng, 0.02, 0.3),
        read_noise=log_uniform(rng, 0.3, 3),
        dimming_um=diameter_um * log_uniform(rng, 4, 30),
        n_fragments=int(rng.integers(0, 12)),
        brightness_spread=rng.uniform(0.1, 0.6),
        haze=0.35 * rng.random() ** 2,
    )
    return embryo(
        int(rng.integers(2**31)), _N_FRAMES, field.shape_zyx, spacing=field.spacing,
        n_nuclei=field.room_for(rng.uniform(0.08, 0.4)), diameter_um=diameter_um, elongation=rng.uniform(0.08, 0.3), optics=optics,
    )  # fmt: skip
