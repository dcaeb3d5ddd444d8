"""Bleached images: black and white move with the noise, as in images that really are."""

from __future__ import annotations

import numpy as np
import pytest

from anlage.dataset.intensity import PERCENTILES
from anlage.dataset.photons import FEWEST, MOST, Exposure, bleached


def tissue(rng):
    """Voxels (z, y, x) of dark background with bright nuclei in a twentieth of it, normalised by percentiles."""
    light = rng.normal(0.02, 0.01, (16, 64, 64)).astype(np.float32)
    light[:, :16, :13] = rng.uniform(0.6, 1.0, (16, 16, 13))
    low, high = np.percentile(light, PERCENTILES)
    return ((light - low) / (high - low)).astype(np.float32)


def averaged(image):
    """Blocks of 2 × 2 × 2 voxels: a coarser grid."""
    z, y, x = (n // 2 for n in image.shape)
    return image.reshape(z, 2, y, 2, x, 2).mean(axis=(1, 3, 5))


def test_a_bleached_grid_looks_like_the_grid_of_a_bleached_image():
    rng = np.random.default_rng(0)
    light, exposure = tissue(rng), Exposure(photons=2.0, ground=0.15, read_noise=0.5)
    image = exposure.seen(light, 1.0, rng)
    low, high = np.percentile(image, PERCENTILES)
    truly = averaged((image - low) / (high - low))
    made = bleached(averaged(light), light.ravel()[::7], exposure, 8.0, rng)
    nuclei = averaged(light) > 0.5
    for part in (nuclei, ~nuclei):
        assert made[part].mean() == pytest.approx(truly[part].mean(), abs=0.02)
        assert made[part].std() == pytest.approx(truly[part].std(), rel=0.1)
    assert truly[~nuclei].mean() > 0.2  # the background is not dark
    assert truly[nuclei].mean() - truly[~nuclei].mean() < 0.6 * averaged(light)[nuclei].mean()


def test_with_many_photons_an_image_is_what_it_was():
    rng = np.random.default_rng(1)
    light = tissue(rng)
    seen = bleached(light, light.ravel(), Exposure(photons=1e5, ground=0.1, read_noise=0.0), 1.0, rng)
    assert np.abs(seen - light).max() < 0.05


def test_exposures_are_drawn_from_few_photons_to_many():
    drawn = [Exposure.drawn(np.random.default_rng(seed)).photons for seed in range(200)]
    assert FEWEST <= min(drawn) < 3
    assert 70 < max(drawn) <= MOST
    assert 10 < np.median(drawn) < 20
