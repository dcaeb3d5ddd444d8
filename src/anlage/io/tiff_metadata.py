"""Voxel size, time step and channel names from OME-XML and ImageJ descriptions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from anlage.axes import Spacing
from anlage.io.units import seconds, um

__all__ = ["Scale", "imagej_scale", "ome_scale"]


@dataclass(frozen=True, slots=True)
class Scale:
    """What a file says of its voxels, frames and channels; nothing where it says nothing."""

    spacing: Spacing | None = None
    interval_s: float | None = None
    channels: tuple[str, ...] = ()
    spacing_from: str = ""
    interval_from: str = ""


def ome_scale(xml: str, n_planes: int) -> Scale:
    """Read PhysicalSize, TimeIncrement (or the planes' DeltaT) and the channels' names of the first image."""
    import tifffile

    ome = tifffile.xml2dict(xml).get("OME", {})
    image = _list(ome.get("Image"))
    pixels: Mapping[str, Any] = image[0].get("Pixels", {}) if image else {}
    z, y, x = (um(pixels.get(f"PhysicalSize{a}"), str(pixels.get(f"PhysicalSize{a}Unit", "µm"))) for a in "ZYX")
    spacing, spacing_from = _spacing(z, y, x, n_planes, "the OME metadata")
    interval_s = seconds(pixels.get("TimeIncrement"), str(pixels.get("TimeIncrementUnit", "s")))
    interval_from = "the OME metadata" if interval_s else ""
    if interval_s is None:
        interval_s = _mean_interval(_list(pixels.get("Plane")))
        interval_from = "the times of its planes" if interval_s else ""
    names = tuple(str(channel.get("Name", f"channel {i}")) for i, channel in enumerate(_list(pixels.get("Channel"))))
    return Scale(spacing, interval_s, names, spacing_from, interval_from)


def imagej_scale(metadata: Mapping[str, Any], resolution: Sequence[Any], n_planes: int) -> Scale:
    """Read unit, spacing, finterval of the description and the resolution tags (pixels per unit, as fractions)."""
    unit = metadata.get("unit")
    unit_x = str(unit) if unit is not None else None
    unit_y, unit_z = (str(metadata.get(name, unit_x)) if unit_x else None for name in ("yunit", "zunit"))
    x, y = (_length_of_pixel(fraction) for fraction in resolution)
    depth = metadata.get("spacing")
    source = "the ImageJ metadata"
    if depth is None and n_planes > 1:
        depth, source = 1.0, f"the ImageJ metadata (no distance of planes there, so 1 {unit_x} as in ImageJ)"
    spacing, spacing_from = _spacing(um(depth, unit_z), um(y, unit_y), um(x, unit_x), n_planes, source)
    interval_s = seconds(metadata.get("finterval"), str(metadata.get("tunit", "s")))
    fps = metadata.get("fps")
    if interval_s is None and isinstance(fps, int | float) and fps > 0:
        interval_s = seconds(1 / fps, "s")
    return Scale(spacing, interval_s, (), spacing_from, "the ImageJ metadata" if interval_s else "")


def _spacing(
    z: float | None, y: float | None, x: float | None, n_planes: int, source: str
) -> tuple[Spacing | None, str]:
    x, y = x or y, y or x
    if x is None or y is None:
        return None, ""
    if z is None and n_planes > 1:
        return None, ""
    # a single plane has no distance to the next: as thick as a pixel is wide
    return Spacing(z or y, y, x), source


def _length_of_pixel(fraction: Any) -> float | None:
    if fraction is None or not fraction[0] or not fraction[1]:
        return None
    return float(fraction[1]) / float(fraction[0])


def _mean_interval(planes: Sequence[Mapping[str, Any]]) -> float | None:
    times: dict[int, float] = {}
    for plane in planes:
        t, delta = int(plane.get("TheT", 0)), seconds(plane.get("DeltaT"), str(plane.get("DeltaTUnit", "s")))
        if plane.get("TheC", 0) == 0 and plane.get("TheZ", 0) == 0:
            times[t] = delta or 0.0
    if len(times) < 2:
        return None
    first, last = min(times), max(times)
    mean = (times[last] - times[first]) / (last - first)
    return seconds(mean, "s") if mean > 0 else None


def _list(value: Any) -> list[Any]:
    """A single element of XML stands alone, several as a list."""
    if value is None:
        return []
    return [part or {} for part in value] if isinstance(value, list) else [value]
