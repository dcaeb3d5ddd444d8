"""The chosen image of a viewer: its layer, axes, scale and channels. Knows no Qt."""

from __future__ import annotations

import os
import re
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from psygnal import Signal

from anlage import AnlageError, Combine, Spacing, TimeLapse
from napari_anlage.viewer import layer_roles
from napari_anlage.viewer.grid import LayerGrid
from napari_anlage.viewer.read import axes_of, image_of, layer_kind, may_join
from napari_anlage.viewer.rescaling import opened_grid, rescale

__all__ = ["ImageChoice", "default_folder", "path_of"]


class ImageChoice:
    """The chosen image of a viewer, and how it is read."""

    image_changed = Signal()
    """Another image, axes, voxel size or choice of channels."""
    exchanged = Signal()
    """Another image was chosen, or none: what was found in, measured on or typed for the one before is of no account. Comes before
    `image_changed`."""
    diameter_changed = Signal()
    """Another nucleus diameter was measured, typed or forgotten."""

    def __init__(self, viewer: Any) -> None:
        self._viewer = weakref.ref(viewer)
        self._image_layer: Any = None
        self._joined: tuple[Any, ...] = ()
        self._channels: tuple[int, ...] | None = None
        self._axes: str | None = None
        self._spacing: Spacing | None = None
        self.combine: Combine = "separate"
        self.diameter_um: float | None = None

    def _on_image(self) -> None:
        """The image is another one, or lies elsewhere."""
        self.image_changed.emit()

    def remember(self, **settings: Any) -> None:
        """A setting that belongs to the project was changed."""

    @property
    def viewer(self) -> Any:
        viewer = self._viewer()
        if viewer is None:
            raise AnlageError("The viewer is closed.")
        return viewer

    def image_layers(self) -> list[Any]:
        """Layers that can be the image, in the viewer's order."""
        return [
            layer for layer in self.viewer.layers if layer_kind(layer) == "image" and layer_roles.role_of(layer) is None
        ]

    @property
    def image_layer(self) -> Any:
        return self._image_layer

    @property
    def axes(self) -> str | None:
        """Axes that the image is read with instead of those of its layer; None: the layer's."""
        return self._axes

    def choose_image(self, layer: Any) -> None:
        """Work on this image layer; what was overridden for another one is forgotten."""
        if layer is self._image_layer:
            return
        self._image_layer, self._joined, self._channels = layer, () if layer is None else (layer,), None
        self._axes = self._spacing = None
        self.combine = "separate"
        self.set_diameter(None)
        self.exchanged.emit()
        self._on_image()

    def set_axes(self, axes: str | None) -> None:
        """Read the image's axes so; None goes back to what the layer says."""
        if self._image_layer is not None and axes is not None:
            LayerGrid.of(self._image_layer, axes)
        self._axes, self._channels = axes, None
        self.remember(axes=axes)
        self._on_image()

    def set_scale(self, spacing: Spacing | None, interval_s: float | None = None) -> None:
        """Voxel size (µm) and time step (s) as the user says; None: as the layer was opened.

        The layers of the image get them, and all that lies over them goes along.
        """
        self.place_image(spacing, interval_s)
        self.remember(spacing=self.image().spacing, interval_s=self.image().interval_s)
        self._on_image()

    def place_image(self, spacing: Spacing | None, interval_s: float | None) -> None:
        """Give the image's layers a voxel size and a time step, without notifying anybody."""
        axes = self.grid().axes
        layers = list(self._joined) + [
            layer for layer in self.layers_of_file() if not any(layer is one for one in self._joined)
        ]
        layers.sort(key=lambda layer: layer is not self._image_layer)
        rescale(self.viewer, layers, axes, spacing, interval_s)
        self._spacing = spacing if "z" not in axes else None  # a plane has no axis that could hold its thickness

    @property
    def opened_grid(self) -> LayerGrid:
        """The grid of the image as it was opened, whatever voxel size was typed since."""
        return opened_grid(self._image_layer, self.grid().axes)

    def layers_of_file(self) -> list[Any]:
        """The layers of the image's file, the chosen one first: a file with channels may be opened as a layer for each."""
        first, path = self._image_layer, path_of(self._image_layer)
        return [layer for layer in self.joinable() if layer is first or (path is not None and path_of(layer) == path)]

    def set_diameter(self, diameter_um: float | None) -> None:
        """Diameter (µm) of a nucleus as the user measured it; None leaves it to be measured by the program."""
        self.diameter_um = diameter_um
        if diameter_um is not None:
            self.remember(diameter_um=diameter_um)
        self.diameter_changed.emit()

    def joinable(self) -> list[Any]:
        """Layers that can be channels beside the image layer, itself first; only itself if it has channels of its own."""
        first = self._image_layer
        if first is None:
            return []
        return [first] + [other for other in self.image_layers() if other is not first and may_join(first, other)]

    def choose_channels(self, picked: Sequence[int], combine: Combine) -> None:
        """Use these channels, by their place in `channel_names`, as separate inputs or as their sum."""
        self.combine = combine
        if self.has_channel_axis:
            self._channels = tuple(picked)
        else:
            options = self.joinable()
            self._joined = tuple(options[i] for i in picked)
        self.remember(**self.channel_settings(), combine=combine)
        self.image_changed.emit()

    def channel_settings(self) -> dict[str, Any]:
        """What a project keeps of the channels."""
        return {"channels": tuple(self.picked)}

    @property
    def has_channel_axis(self) -> bool:
        layer = self._image_layer
        return layer is not None and (bool(getattr(layer, "rgb", False)) or "c" in (self._axes or axes_of(layer)))

    def channel_names(self) -> list[str]:
        """What can be ticked."""
        if self._image_layer is None:
            return []
        if self.has_channel_axis:
            return list(image_of([self._image_layer], axes=self._axes).channels)
        return [str(layer.name) for layer in self.joinable()]

    @property
    def picked(self) -> tuple[int, ...]:
        """Ticked channels, by their place in `channel_names`."""
        if self.has_channel_axis:
            return tuple(range(len(self.channel_names()))) if self._channels is None else self._channels
        options = self.joinable()
        return tuple(i for i, layer in enumerate(options) if any(layer is joined for joined in self._joined))

    @property
    def channels(self) -> tuple[int, ...] | None:
        """Channels of `image` to use; None for all."""
        return self._channels if self.has_channel_axis else None

    def grid(self) -> LayerGrid:
        """Where the image's voxels lie. Raises AnlageError if there is no image or it cannot be followed."""
        if self._image_layer is None:
            raise AnlageError("No image is chosen; open one in napari and choose it on the Data tab.")
        return LayerGrid.of(self._image_layer, self._axes or axes_of(self._image_layer))

    def image(self) -> TimeLapse:
        """The chosen image, lazily. Raises AnlageError with what is in the way."""
        self.grid()
        if not self.picked:
            raise AnlageError("No channel is ticked; tick at least one on the Data tab.")
        layers = [self._image_layer] if self.has_channel_axis else list(self._joined)
        return image_of(layers, axes=self._axes, spacing=self._spacing)

    def scaled_image(self) -> TimeLapse:
        """The chosen image, with its voxel size known."""
        image = self.image()
        if image.spacing is None:
            raise AnlageError(f"The voxel size of '{image.source}' is unknown; type it in µm on the Data tab.")
        return image

    @property
    def file(self) -> Path | None:
        """The file behind the image, where it is a single layer that was opened from one."""
        if self._image_layer is None or (not self.has_channel_axis and len(self._joined) != 1):
            return None
        return path_of(self._image_layer)

    @property
    def n_layer_channels(self) -> int:
        """Length of the image layer's own channel axis, 1 without one."""
        return 1 if "c" not in self.grid().axes else image_of([self._image_layer], axes=self._axes).n_channels


def default_folder(layer: Any) -> Path:
    """A project folder beside the image's file where one can be made, else under ``~/anlage``."""
    path = path_of(layer)
    if path is not None and path.parent.is_dir() and os.access(path.parent, os.W_OK):
        return path.parent / f"{_stem(path.name)}.anlage"
    name = "untitled" if layer is None else _stem(str(layer.name))
    return Path.home() / "anlage" / f"{name}.anlage"


def path_of(layer: Any) -> Path | None:
    """The file or folder that a layer was opened from, where that is one and still there."""
    ours = None if layer is None else layer.metadata.get("anlage")
    source = ours.get("path") if isinstance(ours, dict) else None  # one of several images in a file, perhaps
    source = source or getattr(getattr(layer, "source", None), "path", None)
    return Path(source) if source and "://" not in str(source) and Path(source).exists() else None


_LONGEST = 100
"""Letters of a layer's name that go into the name of its project."""


def _stem(name: str) -> str:
    bare = re.sub(r"(\.ome)?\.(zarr|tiff?|h5|npy)$", "", name, flags=re.IGNORECASE)
    return re.sub(r"[^\w.-]+", "-", bare).strip("-.")[:_LONGEST] or "untitled"
