"""Layers that anlage draws: cuboids, heat-maps, predictions. Knows no Qt.

The layers are views. Each carries its role in its metadata, so that it is found again under any name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from anlage import Annotations, Box, DenseMap, LabelledPart, TimeLapse
from napari_anlage.viewer.camera import _along, _transposed
from napari_anlage.viewer.grid import LayerGrid, axes_named, default_axes
from napari_anlage.viewer.layer_roles import _KEY, REGIONS, remove, role_of

__all__ = [
    "box_edges",
    "keep_sharp",
    "show_annotations",
    "show_boxes",
    "show_centres",
    "show_depth",
    "show_heatmap",
    "show_labels",
    "show_painted",
    "spots",
]

_FLAT = 0.2
_BRIGHT, _DIM = np.array([1.0, 0.85, 0.2, 1.0]), np.array([0.55, 0.75, 1.0, 0.9])


def box_edges(box: Box, *, solid: bool) -> npt.NDArray[np.float64]:
    """Edges of a box in every frame that it covers, (N, 2, 4): start and direction (t, z, y, x) in voxels.

    `solid`: the twelve edges, for the 3D view. Otherwise a rectangle in each plane, so that every slice in z shows it.
    The lines run along the outer faces of the voxels (voxel i covers i − ½ … i + ½).
    """
    (_, z0, y0, x0), (_, z1, y1, x1) = np.array(box.start) - 0.5, np.array(box.stop) - 0.5
    planes = np.array([z0, z1]) if solid else np.arange(*box.z, dtype=float)
    sides = [((y0, x0), (y1 - y0, 0)), ((y0, x1), (y1 - y0, 0)), ((y0, x0), (0, x1 - x0)), ((y1, x0), (0, x1 - x0))]
    edges = [((0, z, *corner), (0, 0, *along)) for z in planes for corner, along in sides]
    if solid:
        edges += [((0, z0, y, x), (0, z1 - z0, 0, 0)) for y in (y0, y1) for x in (x0, x1)]
    one = np.array(edges, dtype=float)
    frames = np.arange(*box.t)
    every = np.tile(one, (len(frames), 1, 1))
    every[:, 0, 0] = np.repeat(frames, len(one))
    return every


def show_boxes(viewer: Any, grid: LayerGrid, boxes: Sequence[Box], selected: int, n_channels: int) -> None:
    """Draw boxes as wireframes, the selected one bright; none take the layer away."""
    if not boxes:
        remove(viewer, REGIONS)
        return
    solid = viewer.dims.ndisplay == 3
    parts = [box_edges(box, solid=solid) for box in boxes]
    data = _along(grid, np.concatenate(parts), n_channels)
    colour = np.concatenate([np.tile(_BRIGHT if i == selected else _DIM, (len(p), 1)) for i, p in enumerate(parts)])
    colour = np.tile(colour, (len(data) // len(colour), 1))
    extent = max(max(box.shape[2:]) for box in boxes)
    width = max(0.4, 0.008 * extent)
    layer = next((layer for layer in viewer.layers if role_of(layer) == REGIONS), None)
    if layer is not None and layer.ndim == len(grid.axes):
        layer.edge_color = _BRIGHT  # one colour fits any number of edges while their count changes
        layer.data, layer.edge_width, layer.edge_color = data, width, colour
        return
    remove(viewer, REGIONS)
    active = viewer.layers.selection.active
    layer = viewer.add_vectors(
        data, name="regions", vector_style="line", edge_width=width, edge_color=colour, opacity=0.9,
        projection_mode="none",
        metadata={_KEY: {"role": REGIONS}}, **grid.placed(grid.axes),
    )  # fmt: skip
    layer.locked = True
    viewer.layers.selection.active = active


def show_centres(
    viewer: Any,
    grid: LayerGrid,
    nuclei: Annotations,
    diameter: float,
    n_channels: int,
    model: str,
    role: str = "preview",
) -> Any:
    """Show predicted centres as rings of the nucleus's size, coloured by probability.

    `diameter` is in world units of the image's layer. The layer's own z, y and x are world units too, so that the
    ring is the circle that a ball cuts in the slice shown, whatever the voxels' shape.
    """
    remove(viewer, f"{role} centres")
    positions = _along(grid, nuclei.positions, n_channels)
    for i, axis in enumerate(grid.axes):
        if axis in "zyx":
            positions[:, i] = grid.offset[i] + grid.scale[i] * positions[:, i]
    at = _isotropic(grid)
    repeats = len(positions) // max(len(nuclei), 1)
    features = {name: np.tile(getattr(nuclei, column), repeats) for name, column in _SHOWN.items()}
    layer = viewer.add_points(
        positions, ndim=len(grid.axes), features=features, name=f"{role}: centres ({model})", size=diameter,
        face_color="transparent", border_color="probability" if len(positions) else "white",
        border_colormap="viridis", border_contrast_limits=(0.0, 1.0), border_width=0.12, opacity=1.0,
        projection_mode="rescale_spherical", metadata={_KEY: {"role": f"{role} centres", "model": model}}, **at,
    )  # fmt: skip
    show_depth(viewer, layer)
    return layer


_SHOWN = {"id": "ids", "probability": "probability", "origin": "origin", "state": "state"}


def show_annotations(viewer: Any, grid: LayerGrid, nuclei: Annotations, name: str, colour: str) -> Any:
    """Show nuclei as a Points layer of the user's own, as rings of their size; `grid` is in µm and has no channels."""
    diameter = 2 * np.where(np.isfinite(nuclei.radius_um), nuclei.radius_um, 4.0)
    layer = viewer.add_points(
        spots(grid, nuclei.positions), ndim=len(grid.axes), name=name, size=diameter, features={"radius_um": nuclei.radius_um},
        face_color="transparent", border_color=colour, border_width=0.12, projection_mode="rescale_spherical",
        **_isotropic(grid),
    )  # fmt: skip
    show_depth(viewer, layer)
    return layer


def spots(grid: LayerGrid, positions_tzyx: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Places (N, 4) in voxels as the points of `show_annotations` have them: world units along z, y and x."""
    positions = _along(grid, positions_tzyx, 1)
    for i, axis in enumerate(grid.axes):
        if axis in "zyx":
            positions[:, i] = grid.offset[i] + grid.scale[i] * positions[:, i]
    return positions


def show_heatmap(
    viewer: Any, grid: LayerGrid, frame: int, heatmap: DenseMap, n_channels: int, model: str, role: str = "preview"
) -> Any:
    """Show the map behind the centres, on its own grid at its own time, added to the image's light."""
    remove(viewer, f"{role} heat-map")
    origin = {"t": float(frame), "c": (n_channels - 1) / 2, **dict(zip("zyx", heatmap.origin_zyx, strict=True))}
    step = {"c": float(n_channels), **dict(zip("zyx", heatmap.step_zyx, strict=True))}
    z, y, x = heatmap.data.shape
    lengths = {"t": 1, "c": 1, "z": z, "y": y, "x": x}
    if "z" not in grid.axes and z > 1:
        raise ValueError(f"a heat-map with {z} planes does not fit the 2D layer '{grid.name}'")
    data = _transposed(heatmap.data, grid.axes).reshape([lengths[axis] for axis in grid.axes])
    # black where there is nothing, whatever level a young network gives to nothing; a flat map is not blown up
    nothing = float(np.median(heatmap.data))
    limits = (nothing, max(float(heatmap.data.max()), nothing + _FLAT))
    return viewer.add_image(
        data, name=f"{role}: heat-map ({model})", blending="additive", colormap="magma", opacity=0.6, projection_mode="none",
        contrast_limits=limits, metadata={_KEY: {"role": f"{role} heat-map", "model": model}},
        **grid.placed(grid.axes, origin, step),
    )  # fmt: skip


def show_painted(
    viewer: Any, grid: LayerGrid, part: LabelledPart, n_channels: int, name: str, role: str = "label preview"
) -> Any:
    """Show labels of a part of a frame over the image; a layer that shows others of the same part keeps its looks."""
    origin = {"c": (n_channels - 1) / 2, **dict(zip("tzyx", map(float, part.box.start), strict=True))}
    data = _as_layer(part.steady()[None], grid)
    at = grid.placed(grid.axes, origin, {"c": float(n_channels)})
    there = next((layer for layer in viewer.layers if role_of(layer) == role), None)
    if there is not None and there.data.shape == data.shape and np.allclose(there.translate, at["translate"]):
        there.data, there.name = data, name
        return there
    return _add_labels(viewer, data, name, role, at)


def show_labels(viewer: Any, grid: LayerGrid, labels: TimeLapse, n_channels: int, name: str, role: str) -> Any:
    """Show labels of a whole movie over the image, read from the disk plane by plane."""
    import dask.array as da

    planes = tuple(k if axis in "yx" else 1 for axis, k in zip(labels.axes, labels.data.shape, strict=True))
    data = da.from_array(labels.data, chunks=planes, name=False, meta=np.empty(0, labels.dtype))
    lengths = dict(zip("tzyx", labels.shape_tzyx, strict=True))
    order = [axis for axis in grid.axes if axis in labels.axes and axis != "c"]
    kept = [axis for axis in labels.axes if axis in order]
    # an axis that one of the two lacks has length 1
    data = data[tuple(slice(None) if axis in kept else 0 for axis in labels.axes)].transpose(
        [kept.index(a) for a in order]
    )
    data = data.reshape([lengths.get(axis, 1) for axis in grid.axes])
    at = grid.placed(grid.axes, {"c": (n_channels - 1) / 2}, {"c": float(n_channels)})
    return _add_labels(viewer, data, name, role, at)


def _add_labels(viewer: Any, data: Any, name: str, role: str, at: dict[str, Any]) -> Any:
    before = next((layer for layer in viewer.layers if role_of(layer) == role), None)
    style = {} if before is None else {"opacity": before.opacity, "visible": before.visible}
    contour = 0 if before is None else before.contour
    active = viewer.layers.selection.active
    remove(viewer, role)
    layer = viewer.add_labels(
        data, name=name, projection_mode="none", metadata={_KEY: {"role": role}}, **({"opacity": 0.5} | style), **at
    )
    layer.contour = contour
    viewer.layers.selection.active = active if active is None or active in viewer.layers else layer
    return layer


def _as_layer(tzyx: npt.NDArray[Any], grid: LayerGrid) -> npt.NDArray[Any]:
    """Voxels (t, z, y, x) with the axes of a layer; a channel axis has length 1."""
    have = [axis for axis in grid.axes if axis != "c"]
    if any(n > 1 for axis, n in zip("tzyx", tzyx.shape, strict=True) if axis not in have):
        raise ValueError(f"labels of shape {tzyx.shape} (t, z, y, x) do not fit the layer '{grid.name}' ({grid.axes})")
    lengths = dict(zip("tzyx", tzyx.shape, strict=True)) | {"c": 1}
    order = [*("tzyx".index(axis) for axis in have), *("tzyx".index(a) for a in "tzyx" if a not in have)]
    return tzyx.transpose(order).reshape([lengths[axis] for axis in grid.axes])


def _isotropic(grid: LayerGrid) -> dict[str, Any]:
    """Placement of a layer whose z, y and x are world coordinates, so that a size is a size along each of them."""
    at = grid.placed(grid.axes)
    for i, axis in enumerate(grid.axes):
        if axis in "zyx":
            at["scale"][i], at["translate"][i] = 1.0, 0.0
    return at


def show_depth(viewer: Any, points: Any) -> None:
    """Let balls be seen in every plane that cuts them; napari shows points in a single plane otherwise.

    Nothing changes for layers that do not draw their points as balls, or have no z.
    """
    axes = axes_named(points) or default_axes(int(points.ndim))
    if str(points.projection_mode) not in ("rescale_spherical", "rescale_linear") or "z" not in axes:
        return
    z = axes.index("z") - len(axes)
    largest = float(np.max(points.size)) if len(points.data) else float(points.current_size)
    margin = list(viewer.dims.margin_left)
    if not any(margin):
        for layer in viewer.layers:
            if layer is not points:
                keep_sharp(layer)
    reach = largest / 2 * abs(float(points.scale[z]))
    unit, units = points.units[z], viewer.layers.units
    if units is not None and units[z].dimensionality == unit.dimensionality:
        reach = float((reach * unit).to(str(units[z])).magnitude)
    if margin[z] >= reach:
        return
    # a ball that does not reach the plane is left out anyway; with room to spare not every larger one draws all anew
    margin[z] = 1.25 * reach if any(margin) else reach
    viewer.dims.margin_left = viewer.dims.margin_right = tuple(margin)


def keep_sharp(layer: Any) -> None:
    """Let a layer show the single plane that it showed without a margin; napari averages images over it otherwise."""
    if hasattr(layer, "projection_mode") and not str(layer.projection_mode).startswith("rescale"):
        layer.projection_mode = "none"
