"""Change the voxel size or time step of an image layer, and of all layers over it. Knows no Qt."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_anlage.viewer.camera import world_unit
from napari_anlage.viewer.grid import LayerGrid

if TYPE_CHECKING:
    from anlage import ProjectSettings, Spacing, TimeLapse

__all__ = ["opened_grid", "rescale", "scale_difference"]

_KEY, _OPENED = "anlage", "as opened"
_CLOSE = 1e-4
"""Voxel sizes and time steps whose ratio is nearer to 1 are equal: readers round differently."""


@dataclass(frozen=True, slots=True)
class _Opened:
    """How a layer was placed before anybody typed a voxel size.

    Parameters
    ----------
    scale
        World units from voxel to voxel, one for each axis.
    units
        pint units of these.
    """

    scale: tuple[float, ...]
    units: tuple[Any, ...]


def opened_grid(layer: Any, axes: str) -> LayerGrid:
    """The layer's grid as it was opened, whatever was typed since."""
    grid, opened = LayerGrid.of(layer, axes), _opened(layer)
    return grid if opened is None else replace(grid, scale=opened.scale, units=opened.units)


def rescale(viewer: Any, images: Sequence[Any], axes: str, spacing: Spacing | None, interval_s: float | None) -> None:
    """Give the layers of one image a voxel size and a time step, and keep everything over them where it lies on them.

    Parameters
    ----------
    viewer
        Where they are. Layers whose units are no lengths are placed by bare numbers, as napari does; they go along, and so
        do those in the image's own kind of unit. Other images stay.
    images
        Layers of one shape and place, the chosen one first.
    axes
        Its axes.
    spacing, interval_s
        µm and s; None: as the layer was opened.
    """
    before, opened = LayerGrid.of(images[0], axes), opened_grid(images[0], axes)
    wanted = dict(zip("zyx", spacing.zyx, strict=True)) if spacing is not None else {}
    units = dict.fromkeys("zyx", "micrometer") | {"t": "second"}
    if interval_s is not None:
        wanted["t"] = interval_s
    scale, unit = list(opened.scale), [str(unit) for unit in opened.units]
    for i, axis in enumerate(axes):
        if axis in wanted:
            scale[i], unit[i] = math.copysign(wanted[axis], before.scale[i]), units[axis]
    if np.allclose(scale, before.scale, rtol=1e-12, atol=0) and unit == [str(one) for one in before.units]:
        return
    for layer in images:
        if _opened(layer) is None:
            _note(layer, _Opened(opened.scale, opened.units))
    factor = np.array(scale) / np.array(before.scale)
    voxel = _shown_voxel(viewer, before)
    for layer in [layer for layer in viewer.layers if not _is_other_image(layer, images)]:
        _move(layer, before, factor, unit)
    _show_voxel(viewer, LayerGrid.of(images[0], axes), voxel, factor)


def scale_difference(settings: ProjectSettings, image: TimeLapse, axes: str) -> str:
    """In what a project and its image contradict each other about voxel size and time step; empty: in nothing."""
    said = []
    if settings.spacing is not None and image.spacing is not None:
        pairs = zip("zyx", settings.spacing.zyx, image.spacing.zyx, strict=True)
        if any(abs(a / b - 1) > _CLOSE for axis, a, b in pairs if axis in axes):
            said.append(f"the voxel size is {settings.spacing} in the project and {image.spacing} in the image")
    one, other = settings.interval_s, image.interval_s
    if one is not None and other is not None and abs(one / other - 1) > _CLOSE:
        said.append(f"the time step is {one:g} s in the project and {other:g} s in the image")
    return "; ".join(said)


def _is_other_image(layer: Any, images: Sequence[Any]) -> bool:
    """An image of the user's own that is none of these."""
    is_image = "Image" in [base.__name__ for base in type(layer).__mro__] and not hasattr(layer, "selected_label")
    ours = isinstance(layer.metadata.get(_KEY), dict) and "role" in layer.metadata[_KEY]
    return is_image and not ours and not any(layer is image for image in images)


def _move(layer: Any, before: LayerGrid, factor: npt.NDArray[np.float64], units: Sequence[str]) -> None:
    """Stretch a layer with the world that it lies in; napari counts axes from the last."""
    n, m = int(layer.ndim), len(before.axes)
    stretch, new = np.ones(n), [str(unit) for unit in layer.units]
    for i in range(m):
        j = i - m + n
        if j < 0 or layer.units[j].dimensionality != before.units[i].dimensionality:
            continue  # it has no such axis, or true units of its own there
        stretch[j] = factor[i] * float((1.0 * layer.units[j]).to(str(before.units[i])).magnitude)
        new[j] = units[i]
    scale, translate = np.array(layer.scale) * stretch, np.array(layer.translate) * stretch
    affine = np.array(layer.affine.affine_matrix)
    if not np.allclose(affine, np.eye(len(affine))):
        around = np.diag([*stretch, 1.0])
        layer.affine = around @ affine @ np.linalg.inv(around)
    layer.scale, layer.translate, layer.units = scale, translate, new


def _shown_voxel(viewer: Any, grid: LayerGrid) -> list[float]:
    """The voxel that the sliders stand at, along each axis of the grid."""
    point = np.array(viewer.dims.point, dtype=float)[-len(grid.axes) :]
    return [
        (value * world_unit(viewer, grid, i) - grid.offset[i]) / grid.scale[i] for i, value in enumerate(point.tolist())
    ]


def _show_voxel(viewer: Any, grid: LayerGrid, voxel: Sequence[float], factor: npt.NDArray[np.float64]) -> None:
    """Let the viewer show what it showed, as large as before."""
    n, dims = len(grid.axes), viewer.dims
    for i, at in enumerate(voxel):
        dims.set_point(dims.ndim - n + i, (grid.offset[i] + grid.scale[i] * at) / world_unit(viewer, grid, i))
    every = np.ones(dims.ndim)
    every[-n:] = np.abs(factor)
    for side in ("margin_left", "margin_right"):
        setattr(dims, side, tuple(float(v) for v in np.array(getattr(dims, side)) * every))
    shown, camera = every[list(dims.displayed)], viewer.scene.camera
    camera.center = tuple(np.array(camera.center) * np.array([1.0] * (3 - len(shown)) + shown.tolist()))
    camera.zoom = float(camera.zoom / np.prod(shown[-2:]) ** 0.5)


def _opened(layer: Any) -> _Opened | None:
    notes = layer.metadata.get(_KEY)
    found = notes.get(_OPENED) if isinstance(notes, dict) else None
    return found if isinstance(found, _Opened) else None


def _note(layer: Any, opened: _Opened) -> None:
    notes = layer.metadata.get(_KEY)
    layer.metadata[_KEY] = {**(notes if isinstance(notes, dict) else {}), _OPENED: opened}
