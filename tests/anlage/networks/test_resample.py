"""Resampling keeps places and does not alias."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from anlage.networks.resample import resample


def test_the_identity_returns_the_image():
    image = torch.randn(2, 3, 4, 5)
    assert resample(image, (1, 1, 1), (3, 4, 5)) is image


@pytest.mark.parametrize("step", [0.4, 0.7, 1.3, 2.0, 3.7])
def test_a_ramp_stays_a_ramp_at_the_same_place(step):
    n = 60
    image = torch.arange(n, dtype=torch.float32)[None, None].expand(1, 4, n)
    n_out = int(n / step)
    result = resample(image, (1, 1, step), (1, 4, n_out))
    expected = (np.arange(n_out) + 0.5) * step - 0.5
    inside = (expected > 2 * step) & (expected < n - 1 - 2 * step)
    assert np.allclose(result[0, 0].numpy()[inside], expected[inside], atol=0.06 * step)


def test_fine_noise_is_averaged_away_not_aliased():
    rng = np.random.default_rng(0)
    image = torch.from_numpy(rng.normal(size=(1, 64, 64)).astype(np.float32))
    result = resample(image, (1, 4, 4), (1, 16, 16))
    assert result.std() < 0.3 * image.std()


def test_brightness_is_kept_up_to_the_rim():
    result = resample(torch.ones(3, 20, 20), (0.5, 2.6, 1.7), (6, 8, 12))
    assert torch.allclose(result, torch.ones_like(result), atol=1e-6)
