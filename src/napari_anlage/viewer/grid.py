"""The grid of a layer: napari's scale, translate and units as voxels and µm. Knows no Qt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from anlage import AnlageError, Spacing

__all__ = ["LayerGrid", "axes_named", "default_axes"]

_NAMES = {
    "t": "t", "time": "t", "frame": "t", "frames": "t",
    "c": "c", "ch": "c", "channel": "c", "channels": "c",
    "z": "z", "depth": "z", "plane": "z",
    "y": "y", "row": "y", "rows": "y",
    "x": "x", "column": "x", "columns": "x",
}  # fmt: skip
_BY_COUNT = {2: "yx", 3: "zyx", 4: "tzyx", 5: "tczyx"}


@dataclass(frozen=True, slots=True)
class LayerGrid:
    """The voxels of a layer in the world: one scale and one offset for each of its axes.

    Parameters
    ----------
    name
        The layer's name, for messages.
    axes
        One letter of ``tczyx`` for each axis of the layer.
    scale, offset
        World coordinate of voxel i along an axis is ``offset + scale · i``, in the layer's units.
    units
        pint units of the world, one for each axis.
    """

    name: str
    axes: str
    scale: tuple[float, ...]
    offset: tuple[float, ...]
    units: tuple[Any, ...]

    @classmethod
    def of(cls, layer: Any, axes: str) -> Self:
        """Read a layer's transform.

        Raises
        ------
        AnlageError
            If the layer is rotated or sheared, or the axes do not fit it.
        """
        n = int(layer.ndim)
        if len(axes) != n or len(set(axes)) != n or set(axes) - set("tczyx") or not {"y", "x"} <= set(axes):
            raise AnlageError(
                f"The axes '{axes}' do not fit the layer '{layer.name}', which has {n}: name each once with a letter of "
                f"tczyx, y and x among them, for example {_BY_COUNT.get(n, 'tzyx')}."
            )
        offset = np.array(layer.data_to_world([0.0] * n), dtype=float)
        linear = np.stack([np.array(layer.data_to_world(e), dtype=float) - offset for e in np.eye(n)], axis=1)
        scale = np.diag(linear)
        if np.abs(linear - np.diag(scale)).max() > 1e-6 * np.abs(scale).max():
            raise AnlageError(
                f"The layer '{layer.name}' is rotated or sheared, which anlage does not follow; "
                "set its rotation and shear to zero, or resample it."
            )
        return cls(str(layer.name), axes, tuple(map(float, scale)), tuple(map(float, offset)), tuple(layer.units))

    @property
    def spacing(self) -> Spacing | None:
        """Voxel size in µm; None where a unit is not a length (napari's default is pixels)."""
        sizes = {axis: _in(self.units[i], "micrometer", abs(self.scale[i])) for i, axis in enumerate(self.axes)}
        y, x = sizes["y"], sizes["x"]
        z = sizes.get("z", y)  # 2D: one plane, as thick as a pixel is wide
        return None if z is None or y is None or x is None else Spacing(z, y, x)

    @property
    def interval_s(self) -> float | None:
        """Time step in seconds; None without a time axis or where its unit is not a time."""
        if "t" not in self.axes:
            return None
        i = self.axes.index("t")
        return _in(self.units[i], "second", abs(self.scale[i]))

    def index(self, axis: str) -> int | None:
        """Which axis of the layer carries this letter."""
        i = self.axes.find(axis)
        return None if i < 0 else i

    def voxels_in(self, other: LayerGrid, axis: str) -> tuple[float, float]:
        """Factor and shift that take a voxel index here, along one axis, to one of the other grid at the same place.

        Where both layers' units are convertible they are converted, as napari does; otherwise the bare world
        coordinates are compared, as napari does too.
        """
        i, j = self.index(axis), other.index(axis)
        if i is None or j is None:
            return 1.0, 0.0
        unit = _factor(self.units[i], other.units[j])
        return self.scale[i] * unit / other.scale[j], (self.offset[i] * unit - other.offset[j]) / other.scale[j]

    def to(self, other: LayerGrid, positions_tzyx: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Voxel positions (N, 4: t, z, y, x) here → voxel positions of the other grid, at the same world points."""
        maps = np.array([self.voxels_in(other, axis) for axis in "tzyx"])
        moved: npt.NDArray[np.float64] = positions_tzyx * maps[:, 0] + maps[:, 1]
        return moved

    def same_as(self, other: LayerGrid) -> bool:
        """Whether both have their voxels at the same places."""
        maps = np.array([self.voxels_in(other, axis) for axis in "tzyx"])
        return bool(np.allclose(maps, [1.0, 0.0], atol=1e-6)) and (set(self.axes) ^ set(other.axes)) <= {"c"}

    def placed(
        self,
        axes: str,
        origin: dict[str, float] | None = None,
        step: dict[str, float] | None = None,
    ) -> dict[str, Any]:
        """Arguments that put a new layer with these axes on this grid: scale, translate, units, axis_labels.

        `origin` is where its first voxel lies and `step` how far its voxels are apart, both in voxels of this grid.
        """
        origin, step = origin or {}, step or {}
        index = [self.axes.index(axis) for axis in axes]
        return {
            "scale": [self.scale[i] * step.get(a, 1.0) for i, a in zip(index, axes, strict=True)],
            "translate": [
                self.offset[i] + self.scale[i] * origin.get(a, 0.0) for i, a in zip(index, axes, strict=True)
            ],
            "units": [self.units[i] for i in index],
            "axis_labels": tuple(axes),
        }

    def world(self, position_tzyx: tuple[float, float, float, float], c: float = 0.0) -> list[float]:
        """World coordinates of a voxel position, one number for each axis of the layer."""
        voxel = {"c": c, **dict(zip("tzyx", position_tzyx, strict=True))}
        return [o + s * voxel[a] for a, s, o in zip(self.axes, self.scale, self.offset, strict=True)]


def axes_named(layer: Any) -> str | None:
    """Axes of a layer by its axis labels; None unless every label is a known name, each once, y and x among them."""
    letters = [_NAMES.get(str(label).strip().lower(), "?") for label in layer.axis_labels]
    axes = "".join(letters)
    return axes if "?" not in axes and len(set(axes)) == len(axes) and {"y", "x"} <= set(axes) else None


def default_axes(n_dimensions: int) -> str:
    """Axes of a layer that names none: yx, zyx, tzyx, tczyx by their count."""
    if n_dimensions not in _BY_COUNT:
        raise AnlageError(f"A layer with {n_dimensions} axes cannot be used; it needs 2 to 5 of t, c, z, y, x.")
    return _BY_COUNT[n_dimensions]


def _in(unit: Any, wanted: str, value: float) -> float | None:
    return float((value * unit).to(wanted).magnitude) if unit.is_compatible_with(wanted) else None


def _factor(unit: Any, wanted: Any) -> float:
    if str(unit) == str(wanted) or unit.dimensionality != wanted.dimensionality:
        return 1.0
    return float((1.0 * unit).to(str(wanted)).magnitude)
