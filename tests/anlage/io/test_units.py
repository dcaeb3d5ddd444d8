"""Units as files write them."""

from __future__ import annotations

import pytest

from anlage.io.units import seconds, um


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (1, "micrometer", 1), (1, "µm", 1), (1, "μm", 1), (1, "um", 1), (1, "\\u00B5m", 1), (1, "Âµm", 1), (2, "microns", 2),
        (250, "nm", 0.25), (250, "nanometer", 0.25), (0.002, "mm", 2), (0.002, "millimeter", 2), (1e-6, "m", 1),
        (1e-4, "cm", 1), (1e-5, "inch", 0.254), (5000, "Å", 0.5), (5000, "angstrom", 0.5), ("0.5", " Micron ", 0.5), (-2, "um", 2),
    ],
)  # fmt: skip
def test_lengths(value: float | str, unit: str, expected: float) -> None:
    assert um(value, unit) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (1, "s", 1), (1, "sec", 1), (2, "seconds", 2), (500, "ms", 0.5), (500, "millisecond", 0.5), (1.5, "min", 90),
        (2, "minute", 120), (0.5, "h", 1800), (1, "hours", 3600), (1, "day", 86400), (7, "µs", 7e-6),
    ],
)  # fmt: skip
def test_times(value: float, unit: str, expected: float) -> None:
    assert seconds(value, unit) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("value", "unit"),
    [(1, "pixel"), (1, "reference frame"), (1, None), (None, "µm"), (0, "µm"), (float("nan"), "µm"), ("x", "µm")],
)
def test_what_is_no_length(value: float | str | None, unit: str | None) -> None:
    assert um(value, unit) is None


def test_a_frame_is_no_time() -> None:
    assert seconds(1, "frame") is None
    assert seconds(1, "µm") is None


@pytest.mark.parametrize("value", ["1e308", 1e-300, "nan", float("inf"), 0, "0", [1], 10**400])
def test_what_no_image_can_have_is_unknown(value: object) -> None:
    assert um(value, "m") is None
    assert seconds(value, "h") is None
