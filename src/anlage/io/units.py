"""Convert the units of lengths and times in image files to µm and seconds."""

from __future__ import annotations

import codecs
import re
import unicodedata

from anlage.foreign import INTERVALS_S, VOXEL_EDGES_UM, Range

__all__ = ["seconds", "um"]

# Names as OME-Zarr (UDUNITS), OME-XML, ImageJ and microscope vendors write them, after `_plain`.
_LENGTHS_UM = {
    "pm": 1e-6, "picometer": 1e-6,
    "angstrom": 1e-4, "å": 1e-4,
    "nm": 1e-3, "nanometer": 1e-3, "nanometre": 1e-3,
    "um": 1.0, "micron": 1.0, "micrometer": 1.0, "micrometre": 1.0, "u": 1.0,
    "mm": 1e3, "millimeter": 1e3, "millimetre": 1e3,
    "cm": 1e4, "centimeter": 1e4, "centimetre": 1e4,
    "dm": 1e5, "decimeter": 1e5, "decimetre": 1e5,
    "m": 1e6, "meter": 1e6, "metre": 1e6,
    "in": 25_400.0, "inch": 25_400.0, "inche": 25_400.0,
    "ft": 304_800.0, "foot": 304_800.0, "yd": 914_400.0, "yard": 914_400.0,
    "thou": 25.4, "pt": 25_400.0 / 72,
}  # fmt: skip
_TIMES_S = {
    "ps": 1e-12, "picosecond": 1e-12,
    "ns": 1e-9, "nanosecond": 1e-9,
    "us": 1e-6, "microsecond": 1e-6,
    "ms": 1e-3, "msec": 1e-3, "millisecond": 1e-3,
    "cs": 1e-2, "centisecond": 1e-2, "ds": 1e-1, "decisecond": 1e-1,
    "s": 1.0, "sec": 1.0, "second": 1.0,
    "ks": 1e3, "kilosecond": 1e3,
    "min": 60.0, "minute": 60.0,
    "h": 3600.0, "hr": 3600.0, "hour": 3600.0,
    "d": 86_400.0, "day": 86_400.0,
}  # fmt: skip


def um(value: float | str | None, unit: str | None) -> float | None:
    """A length in µm; None where the value is no plausible number or the unit is none of length ("pixel")."""
    return _converted(value, unit, _LENGTHS_UM, VOXEL_EDGES_UM)


def seconds(value: float | str | None, unit: str | None) -> float | None:
    """A time in seconds; None where the value is no plausible number or the unit is none of time ("frame")."""
    return _converted(value, unit, _TIMES_S, INTERVALS_S)


def _converted(value: float | str | None, unit: str | None, factors: dict[str, float], known: Range) -> float | None:
    if value is None or unit is None:
        return None
    name = _plain(unit)
    # case matters for single letters only in units nobody measures nuclei in (Mm, Ps), so one fold serves all names
    factor = factors.get(name) or factors.get(name.removesuffix("s"))
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    if factor is None:
        return None
    size = abs(number) * factor
    return size if known.holds(size) else None


def _plain(unit: str) -> str:
    text = unit.strip()
    if re.search(r"\\u[0-9a-fA-F]{4}", text):  # ImageJ escapes what is not ASCII: \u00B5m
        text = codecs.decode(text.encode("ascii", "backslashreplace"), "unicode_escape")
    text = text.replace("Â", "")  # UTF-8 µ read as Latin-1
    text = unicodedata.normalize(
        "NFKC", text
    )  # the micro sign becomes the Greek letter, the ångström sign the letter Å
    return text.replace("μ", "u").casefold()
