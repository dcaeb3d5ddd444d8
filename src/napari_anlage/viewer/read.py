"""Read napari layers as images and annotations, lazily, in voxels of the image. Knows no Qt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from anlage import AnlageError, Annotations, Box, Spacing, TimeLapse
from napari_anlage.viewer.channel_names import given_names
from napari_anlage.viewer.grid import LayerGrid, axes_named, default_axes
from napari_anlage.viewer.layer_features import columns_of

__all__ = ["annotations_of", "axes_of", "image_of", "layer_kind", "may_join", "painted_on"]

_KINDS = ("image", "labels", "points", "tracks", "vectors", "shapes", "surface")


def layer_kind(layer: Any) -> str:
    """What sort of layer it is: image, labels, points, tracks, …; a plugin's own kind counts as what it derives from."""
    names = [base.__name__.lower() for base in layer.__class__.__mro__]
    return str(next((name for name in names if name in _KINDS), names[0]))


def axes_of(layer: Any) -> str:
    """Axes of an image layer: by its axis labels, else by their count. Colours of an RGB picture are not among them."""
    return axes_named(layer) or default_axes(int(layer.ndim))


def may_be_time(layer: Any) -> bool:
    """Whether a stack is read as planes only because its three axes have no names: they may as well be frames."""
    return int(layer.ndim) == 3 and axes_named(layer) is None and not getattr(layer, "rgb", False)


def image_of(
    layers: Sequence[Any],
    *,
    axes: str | None = None,
    spacing: Spacing | None = None,
    interval_s: float | None = None,
) -> TimeLapse:
    """One image layer, or several of one shape and place as its channels, as a lazy image (t, c, z, y, x).

    Multiscale layers are read at full resolution; the colours of an RGB layer are its channels. `spacing` (µm) and
    `interval_s` (s) override what the layer says.

    Raises
    ------
    AnlageError
        If a layer is rotated or sheared, axes do not fit, or the layers cannot be channels of one image.
    """
    first = layers[0]
    axes = axes or axes_of(first)
    grid = LayerGrid.of(first, axes)
    spacing, interval_s = spacing or grid.spacing, interval_s or grid.interval_s
    if len(layers) == 1:
        data, names = _pixels(first), _channel_names(first, axes)
        axes += "c" * bool(getattr(first, "rgb", False))
        return TimeLapse(data, axes, spacing, interval_s, channels=names, source=first.name)
    for layer in layers[1:]:
        if not may_join(first, layer):
            raise AnlageError(
                f"The layer '{layer.name}' cannot be a channel beside '{first.name}': both need the same shape, scale and "
                "translation, and neither may have channels of its own."
            )
    stack = _Stack(tuple(_pixels(layer) for layer in layers))
    names = tuple(str(layer.name) for layer in layers)
    return TimeLapse(stack, "c" + axes, spacing, interval_s, channels=names, source=" + ".join(names))


def may_join(first: Any, other: Any) -> bool:
    """Whether two image layers can be channels of one image."""
    if (
        "c" in axes_of(first)
        or getattr(first, "rgb", False)
        or getattr(other, "rgb", False)
        or other.ndim != first.ndim
    ):
        return False
    try:
        grids = LayerGrid.of(first, axes_of(first)), LayerGrid.of(other, axes_of(first))
    except AnlageError:
        return False
    return tuple(_pixels(first).shape) == tuple(_pixels(other).shape) and grids[0].same_as(grids[1])


def annotations_of(layer: Any, grid: LayerGrid, image: TimeLapse) -> Annotations:
    """Nuclei of a Points, Labels or Tracks layer, in voxels of the image, at the same world points.

    Parameters
    ----------
    layer
        Its scale, translation and units may differ from the image's.
    grid
        Where the image's voxels lie.
    image
        The image, for its shape and voxel size.

    Raises
    ------
    AnlageError
        If the layer is of another sort, rotated or sheared, or lacks an axis that the image needs.
    """
    readers = {"points": _from_points, "labels": _from_labels, "tracks": _from_tracks}
    kind = layer_kind(layer)
    if kind not in readers:
        raise AnlageError(
            f"The layer '{layer.name}' is of the kind {kind}; nuclei are read from Points, Labels or Tracks."
        )
    own = LayerGrid.of(layer, _annotation_axes(layer, grid, image))
    return readers[kind](layer, own, grid, image)


def _annotation_axes(layer: Any, grid: LayerGrid, image: TimeLapse) -> str:
    axes = axes_named(layer)
    if axes is None:
        without_c = grid.axes.replace("c", "")
        if layer.ndim == len(grid.axes):
            axes = grid.axes
        elif layer.ndim <= len(without_c):
            axes = without_c[len(without_c) - layer.ndim :]
        else:
            axes = default_axes(int(layer.ndim))
    for axis, length, name in zip("tz", (image.n_frames, image.shape[2]), ("time", "z"), strict=True):
        if axis not in axes and length > 1:
            raise AnlageError(
                f"The {layer_kind(layer)} layer '{layer.name}' has only the axes {' '.join(axes)}, but the image "
                f"'{image.source}' has {name} ({length} long); make the layer again with {name}, over the image."
            )
    return axes


def _from_points(layer: Any, own: LayerGrid, grid: LayerGrid, image: TimeLapse) -> Annotations:
    table = layer.features
    known = {name: table[name].to_numpy() for name in table.columns}
    columns, properties = columns_of(known) if len(table) else ({}, {})
    positions = own.to(grid, _tzyx(np.asarray(layer.data, dtype=float), own))
    return Annotations.of(_whole_frames(positions), properties=properties, **columns)


def painted_on(layer: Any, grid: LayerGrid, image: TimeLapse) -> TimeLapse:
    """What is painted in a Labels layer, lazily, as an image (t, 1, z, y, x) on the image's voxels; arguments as of `annotations_of`."""
    own = LayerGrid.of(layer, _annotation_axes(layer, grid, image))
    return _over(_painted(layer, own, grid, image), own, grid, image)


def _from_labels(layer: Any, own: LayerGrid, grid: LayerGrid, image: TimeLapse) -> Annotations:
    painted = _painted(layer, own, grid, image)
    found = Annotations.from_labels(painted, painted.spacing)
    positions = _whole_frames(own.to(grid, found.positions))
    return replace(found, positions=positions, labels=_over(painted, own, grid, image))


def _painted(layer: Any, own: LayerGrid, grid: LayerGrid, image: TimeLapse) -> TimeLapse:
    """On the layer's own voxels."""
    spacing = image.spacing and _own_spacing(own, grid, image.spacing)
    painted = TimeLapse(_pixels(layer), own.axes, spacing=spacing, interval_s=image.interval_s, source=str(layer.name))
    if painted.n_channels != 1:  # made over an image with channels: painted on whichever was shown
        painted = replace(painted, data=_AnyChannel(painted), axes="tczyx", channels=())
    return painted


def _over(painted: TimeLapse, own: LayerGrid, grid: LayerGrid, image: TimeLapse) -> TimeLapse:
    if own.same_as(grid) and painted.shape_tzyx == image.shape_tzyx:
        return painted
    return TimeLapse(
        _Resampled(painted, _nearest(own, grid, painted.shape_tzyx, image.shape_tzyx)), "tczyx",
        spacing=image.spacing, interval_s=image.interval_s, source=painted.source,
    )  # fmt: skip


def _from_tracks(layer: Any, own: LayerGrid, grid: LayerGrid, image: TimeLapse) -> Annotations:
    rows = np.asarray(layer.data, dtype=float)
    order = np.lexsort((rows[:, 1], rows[:, 0]))
    rows, track = rows[order], rows[order, 0].astype(int)
    ids = np.arange(1, len(rows) + 1)
    same = track[1:] == track[:-1]
    links = [np.stack([ids[:-1][same], ids[1:][same]], axis=1)]
    first = {int(k): int(ids[track == k][0]) for k in np.unique(track)}
    last = {int(k): int(ids[track == k][-1]) for k in np.unique(track)}
    for child, parents in layer.graph.items():
        parents = parents if isinstance(parents, list | tuple) else [parents]
        links.append(np.array([[last[int(p)], first[int(child)]] for p in parents]).reshape(-1, 2))
    positions = own.to(grid, _tzyx(rows[:, 1:], own))
    return Annotations.of(
        _whole_frames(positions), ids=ids, links=np.concatenate(links), properties={"track_id": track}
    )


def _tzyx(data: npt.NDArray[np.float64], own: LayerGrid) -> npt.NDArray[np.float64]:
    """Columns of a layer's coordinates in the order t z y x; an absent axis is 0."""
    columns = [data[:, own.axes.index(axis)] if axis in own.axes else np.zeros(len(data)) for axis in "tzyx"]
    return np.stack(columns, axis=1).reshape(-1, 4)


def _whole_frames(positions: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    positions[:, 0] = np.rint(positions[:, 0])
    return positions


def _own_spacing(own: LayerGrid, grid: LayerGrid, spacing: Spacing) -> Spacing:
    z, y, x = (abs(own.voxels_in(grid, axis)[0]) * size for axis, size in zip("zyx", spacing.zyx, strict=True))
    return Spacing(z, y, x)


def _pixels(layer: Any) -> Any:
    return layer.data[0] if getattr(layer, "multiscale", False) else layer.data


def _channel_names(layer: Any, axes: str) -> tuple[str, ...]:
    if getattr(layer, "rgb", False):
        return given_names(layer, ("red", "green", "blue", "alpha")[: _pixels(layer).shape[-1]])
    if "c" not in axes:
        return (str(layer.name),)
    return given_names(layer, [f"channel {i}" for i in range(_pixels(layer).shape[axes.index("c")])])


@dataclass(frozen=True, slots=True)
class _Stack:
    """Several arrays of one shape as one, channels first, read lazily."""

    parts: tuple[Any, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.parts), *self.parts[0].shape)

    @property
    def dtype(self) -> Any:
        return np.result_type(*(part.dtype for part in self.parts))

    def __getitem__(self, index: Any, /) -> npt.NDArray[Any]:
        chosen, rest = index[0], index[1:]
        return np.stack([np.asarray(part[rest]) for part in self.parts[chosen]]).astype(self.dtype, copy=False)


@dataclass(frozen=True, slots=True)
class _AnyChannel:
    """Labels that were painted on several channels as one image: the largest value wins."""

    labels: TimeLapse

    @property
    def shape(self) -> tuple[int, ...]:
        t, z, y, x = self.labels.shape_tzyx
        return (t, 1, z, y, x)

    @property
    def dtype(self) -> Any:
        return self.labels.dtype

    def __getitem__(self, index: Any, /) -> npt.NDArray[Any]:
        lengths = self.labels.shape_tzyx
        ranges = [piece.indices(n)[:2] for piece, n in zip((index[0], *index[2:]), lengths, strict=True)]
        box = Box.of([low for low, _ in ranges], [high for _, high in ranges])
        return np.asarray(self.labels.read(box).max(axis=1, keepdims=True))


@dataclass(frozen=True, slots=True)
class _Resampled:
    """Painted labels on the image's voxels: each takes the label that lies at its centre, 0 where none does."""

    labels: TimeLapse
    nearest: tuple[npt.NDArray[np.int64], ...]
    """For each of t z y x, the label voxel at each image voxel; −1 outside."""

    @property
    def shape(self) -> tuple[int, ...]:
        t, z, y, x = (len(index) for index in self.nearest)
        return (t, 1, z, y, x)

    @property
    def dtype(self) -> Any:
        return self.labels.dtype

    def __getitem__(self, index: Any, /) -> npt.NDArray[Any]:
        wanted = [near[i] for near, i in zip(self.nearest, (index[0], *index[2:]), strict=True)]
        result = np.zeros([len(w) for w in wanted], dtype=self.dtype)
        inside = [w >= 0 for w in wanted]
        if all(mask.any() for mask in inside):
            kept = [w[mask] for w, mask in zip(wanted, inside, strict=True)]
            start = [int(k.min()) for k in kept]
            read = self.labels.read(Box.of(start, [int(k.max()) + 1 for k in kept]))[:, 0]
            result[np.ix_(*inside)] = read[np.ix_(*(k - s for k, s in zip(kept, start, strict=True)))]
        return result[:, None]


def _nearest(
    own: LayerGrid, grid: LayerGrid, shape_tzyx: Sequence[int], image_tzyx: Sequence[int]
) -> tuple[npt.NDArray[np.int64], ...]:
    found = []
    for axis, length, wanted in zip("tzyx", shape_tzyx, image_tzyx, strict=True):
        factor, shift = grid.voxels_in(own, axis)
        voxel = np.rint(np.arange(wanted) * factor + shift).astype(np.int64)
        found.append(np.where((voxel >= 0) & (voxel < length), voxel, -1))
    return tuple(found)
