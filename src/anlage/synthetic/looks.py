"""Synthetic tissues of many looks, to train the starter on: crowds, coarse chromatin, debris, haze, mitoses, few photons."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from anlage.axes import Spacing
from anlage.synthetic import Look, Optics, SyntheticMovie, embryo
from anlage.synthetic.field import Field, log_uniform

__all__ = ["looks"]

_N_FRAMES = 2
_DIAMETERS_UM = (7.0, 13.5)
"""Within a factor of 1.5 of their median, as in `anlage.synthetic.variety`: a network learns to do without the exact size."""
_FIELD_DIAMETERS = (5.5, 8.5)
_DEPTH_DIAMETERS = (2.5, 6.0)
_LEAST_SEEN = 0.15
"""Part of a nucleus that must lie inside the image for it to count."""


def looks(n: int, seed: int = 0, *, flat: bool = False) -> Iterator[SyntheticMovie]:
    """Render tissues that differ in how nuclei look and lie, and in what a microscope makes of them.

    Beside what `anlage.synthetic.variety.variety` varies: planes up to 0.6 diameters apart; tissues that reach beyond the image,
    with nuclei that fill up to half of it; nuclei of several sizes, dented, with coarse chromatin or a bright rim; plates and young
    daughters; specks of any size; strong haze; from two photons on; uneven light; noise that a camera has smoothed.

    Parameters
    ----------
    n
        How many movies, of two frames each.
    seed
        The same seed gives the same movies.
    flat
        Single planes instead of volumes.

    Yields
    ------
    SyntheticMovie
        One at a time; none is kept. Of a nucleus that the image's rim cuts, the truth is the middle of what is seen of it.
    """
    for number in range(n):
        yield _one(np.random.default_rng([1, seed, number]), flat=flat)


def _one(rng: np.random.Generator, *, flat: bool) -> SyntheticMovie:
    field = Field.drawn(
        rng, diameter_um=_DIAMETERS_UM, diameter_voxels=(8, 20), plane_diameters=(0.08, 0.6),
        depth_diameters=_DEPTH_DIAMETERS, width_diameters=_FIELD_DIAMETERS, flat=flat,
    )  # fmt: skip
    look, optics = _look(rng), _optics(rng, field)
    movie = embryo(
        int(rng.integers(2**31)), _N_FRAMES, field.shape_zyx, spacing=field.spacing,
        n_nuclei=field.room_for(rng.uniform(0.1, 0.5), look.beyond), diameter_um=field.diameter_um,
        elongation=rng.uniform(0.05, 0.3), optics=optics, vivid=bool(rng.random() < 0.7), look=look,
    )  # fmt: skip
    return _seen(movie)


def _look(rng: np.random.Generator) -> Look:
    return Look(
        clumps=_sometimes(rng, 0.35, 0.3, 1.3),
        fineness=rng.uniform(0.8, 2.2),
        hollow=_sometimes(rng, 0.15, 0.3, 0.9),
        dents=_sometimes(rng, 0.5, 0.04, 0.15),
        size_spread=rng.uniform(0.04, 0.16),
        dividing=_sometimes(rng, 0.5, 0.05, 0.3),
        beyond=_sometimes(rng, 0.5, 0.3, 0.7),
    )


def _optics(rng: np.random.Generator, field: Field) -> Optics:
    diameter_um = field.diameter_um
    photons = log_uniform(rng, 2, 150)
    blur_um = diameter_um * rng.uniform(0.03, 0.1)
    return Optics(
        psf_um_zyx=(blur_um * rng.uniform(2, 5), blur_um, blur_um),
        photons=photons,
        background=photons * log_uniform(rng, 0.02, 0.35),
        read_noise=log_uniform(rng, 0.3, 1.5),
        dimming_um=diameter_um * log_uniform(rng, 4, 30),
        n_fragments=int(_sometimes(rng, 0.4, 1, 12)),
        brightness_spread=rng.uniform(0.1, 0.6),
        haze=0.7 * rng.random() ** 2,
        n_specks=int(_sometimes(rng, 0.5, 4, 50)),
        unevenness=_sometimes(rng, 0.4, 0.1, 0.5),
        smoothing=_sometimes(rng, 0.3, 0.4, 1.2),
    )


def _sometimes(rng: np.random.Generator, share: float, low: float, high: float) -> float:
    """Zero, or in a share of all movies a number between two."""
    value = rng.uniform(low, high)
    return value if rng.random() < share else 0.0


def _seen(movie: SyntheticMovie) -> SyntheticMovie:
    """The movie without nuclei that lie outside the image; those that its rim cuts are where their visible part is."""
    from scipy.ndimage import center_of_mass

    truth, spacing = movie.truth, movie.spacing
    shape = np.array(movie.image.shape_tzyx[1:])
    radius = truth.radius_um[:, None] / spacing.um
    low, high = truth.positions[:, 1:] - radius, truth.positions[:, 1:] + radius
    flat = int(shape[0] == 1)
    inner = np.all(((low >= -0.5) & (high <= shape - 0.5))[:, flat:], axis=1).astype(bool)
    positions, kept = truth.positions.copy(), inner.copy()
    for t in np.unique(truth.frames):
        labels = movie.labels.frame(int(t))[0]
        voxels = np.bincount(labels.ravel(), minlength=int(movie.tracks.max()) + 1)
        rows = np.flatnonzero(~inner & (truth.frames == t))
        whole = _voxels(truth.radius_um[rows], spacing, flat=bool(flat))
        rows = rows[voxels[movie.tracks[rows]] >= _LEAST_SEEN * whole]
        kept[rows] = True
        if len(rows):
            positions[rows, 1:] = center_of_mass(labels > 0, labels, movie.tracks[rows])
    return replace(movie, truth=replace(truth, positions=positions).select(kept), tracks=movie.tracks[kept])


def _voxels(radius_um: npt.NDArray[np.float64], spacing: Spacing, *, flat: bool) -> npt.NDArray[np.float64]:
    """Size of balls (discs) in voxels."""
    if flat:
        return np.asarray(math.pi * radius_um**2 / (spacing.y * spacing.x))
    return np.asarray(4 / 3 * math.pi * radius_um**3 / float(np.prod(spacing.um)))
