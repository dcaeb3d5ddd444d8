"""OME-Zarr metadata as models: axes, resolution levels, scale, channels, labels.

What pixels cannot be read without (levels, axes) is refused where it is damaged. What only describes them (scale, names)
counts as unknown then, with a note.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from anlage.axes import Spacing
from anlage.errors import AnlageError
from anlage.foreign import printable
from anlage.io.tiff_metadata import Scale
from anlage.io.units import seconds, um
from anlage.timelapse import AXES

__all__ = ["Multiscale", "channel_names", "label_names", "letters_of", "multiscales_of", "ome_part", "scale_of"]

_NEWEST = (0, 5)
_SOURCE = "the OME-Zarr metadata"
_NO_SCALE = "its scale in the OME-Zarr metadata is {}, not {} positive numbers"


class _Foreign(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Axis(_Foreign):
    """One axis; until 0.3 only its name was written."""

    name: str
    type: str | None = None
    unit: str | None = None


class Dataset(_Foreign):
    """One level of an image pyramid."""

    path: str
    coordinateTransformations: Any = None  # noqa: N815  as the format writes it


class Multiscale(_Foreign):
    """An image at several levels, the finest first."""

    datasets: list[Dataset] = Field(min_length=1)
    axes: list[Axis] | None = None
    coordinateTransformations: Any = None  # noqa: N815

    @field_validator("axes", mode="before")
    @classmethod
    def _names_alone(cls, value: Any) -> Any:
        return [{"name": one} if isinstance(one, str) else one for one in value] if isinstance(value, list) else value


def ome_part(attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    """The OME part of the attributes: below "ome" since 0.5, at the top before."""
    ome = attributes.get("ome")
    return ome if isinstance(ome, Mapping) else attributes


def multiscales_of(attributes: Mapping[str, Any], path: object) -> tuple[Multiscale, ...]:
    """The images that a group describes; none where it describes none.

    Raises
    ------
    AnlageError
        If the description is damaged, or of a version that is not known.
    """
    about = ome_part(attributes)
    found = about.get("multiscales")
    if not found:
        return ()
    _check_version(about, path)
    if not isinstance(found, list):
        raise AnlageError(f"The OME-Zarr metadata of '{path}' are damaged (multiscales is no list); copy it again.")
    for one in found:
        if isinstance(one, Mapping):
            _check_version(one, path)
    try:
        return tuple(Multiscale.model_validate(one) for one in found)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][:5])
        raise AnlageError(
            f"The OME-Zarr metadata of '{path}' are damaged at '{printable(where)}' ({first['msg']}); copy it again."
        ) from None


def letters_of(multiscale: Multiscale, n_dimensions: int, path: object) -> str | None:
    """Axes of an image as letters; None for versions that name none (0.1 and 0.2 are always tczyx).

    Raises
    ------
    AnlageError
        If an axis is none of t, c, z, y, x, or there are not as many as the array has.
    """
    if not multiscale.axes:
        return "tczyx" if n_dimensions == 5 else None
    letters = "".join(_letter(axis) for axis in multiscale.axes)
    if set(letters) - set(AXES) or len(letters) != n_dimensions or len(set(letters)) != len(letters):
        names = printable(", ".join(axis.name[:20] for axis in multiscale.axes[:8]))
        raise AnlageError(
            f"The axes {names} of '{path}', which has {n_dimensions}, cannot be read as some of t, c, z, y, x, each once; name "
            "them, for example --axes tczyx."
        )
    return letters


def scale_of(multiscale: Multiscale, dataset: Dataset, shape: Sequence[int], letters: str | None) -> Scale:
    """Voxel size and time step; unknown, with the reason, where the scale is no positive number for each axis."""
    if letters is None:
        return Scale()
    factors = [1.0] * len(letters)
    for holder in (dataset.coordinateTransformations, multiscale.coordinateTransformations):
        for steps in _scales(holder):
            if not _is_positive(steps, len(letters)):
                shown = printable(str(steps)[:60])
                return Scale(spacing_from=_NO_SCALE.format(shown, len(letters)))
            factors = [a * float(b) for a, b in zip(factors, steps, strict=True)]
    steps_of = dict(zip(letters, factors, strict=True))
    units = {a: axis.unit for a, axis in zip(letters, multiscale.axes or [], strict=False)}
    spacing, spacing_from = _spacing(steps_of, units, dict(zip(letters, shape, strict=True)).get("z", 1))
    interval_s = seconds(steps_of.get("t"), units.get("t"))
    return Scale(spacing, interval_s, (), spacing_from, _SOURCE if interval_s else "")


def channel_names(attributes: Mapping[str, Any], n_channels: int) -> tuple[str, ...]:
    """Names of the channels, as viewers show them; none where not each has one."""
    omero = ome_part(attributes).get("omero")
    channels = omero.get("channels") if isinstance(omero, Mapping) else None
    if not isinstance(channels, list) or len(channels) != n_channels:
        return ()
    labels = [one.get("label") if isinstance(one, Mapping) else None for one in channels]
    return tuple(
        str(label) if isinstance(label, str | int) and label != "" else f"channel {i}" for i, label in enumerate(labels)
    )


def label_names(attributes: Mapping[str, Any], path: object) -> tuple[str, ...]:
    """Names of the label images that a group lists.

    Raises
    ------
    AnlageError
        If the list is damaged.
    """
    names = ome_part(attributes).get("labels", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise AnlageError(f"The list of labels of '{path}' is damaged; copy it again.")
    return tuple(names)


def _check_version(found: Mapping[str, Any], path: object) -> None:
    version = found.get("version")
    numbers = re.match(r"(\d{1,6})\.(\d{1,6})", str(version)) if isinstance(version, str | float) else None
    known = numbers is None or (int(numbers[1]), int(numbers[2])) <= _NEWEST
    if not known or "coordinateSystems" in found:
        named = printable(str(version)[:20]) if not known else "0.6 or later"
        raise AnlageError(
            f"'{path}' is an OME-Zarr {named}, newer than the {_NEWEST[0]}.{_NEWEST[1]} that is read; save it as OME-Zarr 0.5 "
            "or 0.4, or update anlage."
        )


def _letter(axis: Axis) -> str:
    return {"time": "t", "channel": "c"}.get(str(axis.type), axis.name.lower()[:1] or "?")


def _scales(transforms: Any) -> list[Any]:
    """What the transformations say of the scale, whatever it is."""
    if transforms is None:
        return []
    if not isinstance(transforms, list) or not all(isinstance(one, Mapping) for one in transforms):
        return [transforms]
    return [one.get("scale") for one in transforms if one.get("type") == "scale" and "path" not in one]


def _is_positive(steps: Any, n: int) -> bool:
    return (
        isinstance(steps, list)
        and len(steps) == n
        and all(isinstance(one, int | float) and not isinstance(one, bool) for one in steps)
        and all(0 < one < math.inf for one in steps)
    )


def _spacing(steps: Mapping[str, float], units: Mapping[str, str | None], n_planes: int) -> tuple[Spacing | None, str]:
    space = [axis for axis in "zyx" if axis in steps]
    source = _SOURCE
    if not any(units.get(axis) for axis in space):
        if all(steps[axis] == 1 for axis in space):
            return None, ""  # writers put 1 where nothing is known
        units, source = dict.fromkeys(space, "micrometer"), f"{_SOURCE} (no unit there, so taken as µm)"
    lengths = {axis: um(steps[axis], units.get(axis)) for axis in space}
    y, x = lengths.get("y"), lengths.get("x")
    z = lengths.get("z") or (y if n_planes == 1 else None)
    if z is None or y is None or x is None:
        named = ", ".join(f"{axis} {steps[axis]:g} {units.get(axis) or 'without unit'}" for axis in space)
        return None, printable(f"its scale in the OME-Zarr metadata is no size in µm: {named}"[:200])
    return Spacing(z, y, x), source
