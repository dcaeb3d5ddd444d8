"""Which part of a frame is measured, and that the memory which is stated counts it."""

from __future__ import annotations

import numpy as np
import pytest

from anlage.axes import Spacing
from anlage.dataset.intensity import measure_intensity
from anlage.inference import region
from anlage.timelapse import TimeLapse


@pytest.mark.parametrize(("whole", "shape"), [(20 * 30 * 41, (20, 30, 41)), (20 * 30 * 41 - 1, (20, 16, 17))])
def test_a_large_frame_is_measured_in_its_middle_and_the_voxels_are_told(monkeypatch, whole, shape):
    monkeypatch.setattr(region, "_WHOLE_FRAME", whole)
    monkeypatch.setattr(region, "_MIDDLE", (64, 16, 17))
    seen = []
    monkeypatch.setattr(region, "estimate_diameter", lambda pixels, spacing: seen.append(pixels))
    data = np.arange(20 * 30 * 41, dtype=np.float32).reshape(1, 20, 30, 41)
    image = TimeLapse.of(data, "tzyx", spacing=Spacing(1, 1, 1), source="some")
    assert region.apparent_diameter(image, measure_intensity(image), image.spacing, [0]) is None
    assert [pixels.shape for pixels in seen] == [shape]
    assert region.measured_voxels(image) == seen[0].size
    middle = data[0, 20 // 2, 30 // 2, 41 // 2]
    assert np.isclose(
        seen[0][tuple(n // 2 for n in shape)],
        measure_intensity(image).apply(np.array([[[[middle]]]])).item(),
        atol=0.01,
    )
