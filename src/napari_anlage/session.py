"""What the parts of the dock share about one viewer. Knows no Qt: widgets change it and listen to it."""

from __future__ import annotations

import datetime
import os
import re
import secrets
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from anlage import AnlageError, Annotations, Box, Spacing, TimeLapse
from napari_anlage import overlay
from napari_anlage.grid import Grid
from napari_anlage.jobs import Jobs
from napari_anlage.layers import annotations_of, axes_of, image_of, kind_of, may_join

if TYPE_CHECKING:
    from anlage import Cuboid, Run

__all__ = ["Session"]

_SESSIONS: weakref.WeakKeyDictionary[Any, Session] = weakref.WeakKeyDictionary()


class Session:
    """Image, annotation, cuboids and run that one viewer works on.

    Use `Session.of`; there is one for each viewer, and it ends with it.
    """

    layers_changed = Signal()
    """Layers came, went or were renamed."""
    image_changed = Signal()
    """Another image, axes, voxel size or choice of channels."""
    nuclei_changed = Signal()
    """Another annotation layer, or other nuclei in it."""
    cuboids_changed = Signal()
    """Cuboids were found, changed or selected."""
    project_changed = Signal()
    """Another project folder."""
    run_changed = Signal()
    """Another run, or its state changed."""
    diameter_changed = Signal()
    """Another nucleus diameter was measured, typed or forgotten."""

    def __init__(self, viewer: Any) -> None:
        self._viewer = weakref.ref(viewer)
        self._image_layer: Any = None
        self._nuclei_layer: Any = None
        self._joined: tuple[Any, ...] = ()
        self._channels: tuple[int, ...] | None = None
        self._axes: str | None = None
        self._spacing: Spacing | None = None
        self._interval_s: float | None = None
        self._folder: Path | None = None
        self.combine = "separate"
        self.cuboids: tuple[Cuboid, ...] = ()
        self.selected = 0
        self.run: Run | None = None
        self.jobs = Jobs()
        self.diameter_um: float | None = None
        for name in ("inserted", "removed", "reordered", "renamed"):
            getattr(viewer.layers.events, name).connect(self._on_layers)
        viewer.dims.events.ndisplay.connect(self._on_ndisplay)

    @classmethod
    def of(cls, viewer: Any) -> Session:
        """The session of a viewer, made on first use."""
        bare = getattr(viewer, "__wrapped__", viewer)  # napari hands plugins a proxy
        if bare not in _SESSIONS:
            _SESSIONS[bare] = cls(bare)
        return _SESSIONS[bare]

    @property
    def viewer(self) -> Any:
        viewer = self._viewer()
        if viewer is None:
            raise AnlageError("The viewer is closed.")
        return viewer

    # ---- image ----

    def image_layers(self) -> list[Any]:
        """Layers that can be the image, in the viewer's order."""
        return [layer for layer in self.viewer.layers if kind_of(layer) == "image" and overlay.role_of(layer) is None]

    @property
    def image_layer(self) -> Any:
        return self._image_layer

    def choose_image(self, layer: Any) -> None:
        """Work on this image layer; what was overridden for another one is forgotten."""
        if layer is self._image_layer:
            return
        self._image_layer, self._joined, self._channels = layer, () if layer is None else (layer,), None
        self._axes = self._spacing = self._interval_s = None
        self.set_diameter(None)
        self._forget_cuboids()
        self.image_changed.emit()
        self.nuclei_changed.emit()

    def set_axes(self, axes: str | None) -> None:
        """Read the image's axes so; None goes back to what the layer says."""
        if self._image_layer is not None and axes is not None:
            Grid.of(self._image_layer, axes)
        self._axes, self._channels = axes, None
        self._forget_cuboids()
        self.image_changed.emit()
        self.nuclei_changed.emit()

    def set_scale(self, spacing: Spacing | None, interval_s: float | None = None) -> None:
        """Voxel size (µm) and time step (s) where the layer does not say them."""
        self._spacing, self._interval_s = spacing, interval_s
        self.image_changed.emit()

    def set_diameter(self, diameter_um: float | None) -> None:
        """Diameter (µm) of a nucleus as the user measured it; None leaves it to be measured by the program."""
        self.diameter_um = diameter_um
        self.diameter_changed.emit()

    def joinable(self) -> list[Any]:
        """Layers that can be channels beside the image layer, itself first; only itself if it has channels of its own."""
        first = self._image_layer
        if first is None:
            return []
        return [first] + [other for other in self.image_layers() if other is not first and may_join(first, other)]

    def choose_channels(self, picked: Sequence[int], combine: str) -> None:
        """Use these channels, by their place in `channel_names`, as separate inputs or as their sum."""
        self.combine = combine
        if self.has_channel_axis:
            self._channels = tuple(picked)
        else:
            options = self.joinable()
            self._joined = tuple(options[i] for i in picked)
        self.image_changed.emit()

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

    def grid(self) -> Grid:
        """Where the image's voxels lie. Raises AnlageError if there is no image or it cannot be followed."""
        if self._image_layer is None:
            raise AnlageError("No image is chosen; open one in napari and choose it on the Data tab.")
        return Grid.of(self._image_layer, self._axes or axes_of(self._image_layer))

    def image(self) -> TimeLapse:
        """The chosen image, lazily. Raises AnlageError with what is in the way."""
        self.grid()
        if not self.picked:
            raise AnlageError("No channel is ticked; tick at least one on the Data tab.")
        layers = [self._image_layer] if self.has_channel_axis else list(self._joined)
        return image_of(layers, axes=self._axes, spacing=self._spacing, interval_s=self._interval_s)

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
        return _path_of(self._image_layer)

    # ---- annotation ----

    def nuclei_layers(self) -> list[Any]:
        """Layers that nuclei can be read from, in the viewer's order."""
        kinds = {"points", "labels", "tracks"}
        return [layer for layer in self.viewer.layers if kind_of(layer) in kinds and overlay.role_of(layer) is None]

    @property
    def nuclei_layer(self) -> Any:
        return self._nuclei_layer

    def choose_nuclei(self, layer: Any) -> None:
        """Take the annotated nuclei from this layer."""
        if layer is self._nuclei_layer:
            return
        if self._nuclei_layer is not None:
            self._nuclei_layer.events.data.disconnect(self._on_nuclei)
        self._nuclei_layer = layer
        if layer is not None:
            layer.events.data.connect(self._on_nuclei)
            if kind_of(layer) == "points":
                overlay.show_depth(self.viewer, layer)
        self._forget_cuboids()
        self.nuclei_changed.emit()

    def annotations(self) -> Annotations:
        """The annotated nuclei in voxels of the image. Raises AnlageError with what is in the way."""
        if self._nuclei_layer is None:
            raise AnlageError("No annotation is chosen; choose or make a Points or Labels layer on the Annotate tab.")
        return annotations_of(self._nuclei_layer, self.grid(), self.image())

    # ---- cuboids ----

    def set_cuboids(self, cuboids: Sequence[Cuboid], selected: int = 0) -> None:
        """Keep these cuboids and draw them."""
        self.cuboids, self.selected = tuple(cuboids), selected
        self.draw_cuboids()
        self.cuboids_changed.emit()

    def draw_cuboids(self) -> None:
        """Bring the wireframes in the viewer up to date."""
        if self._image_layer is not None:
            overlay.show_boxes(self.viewer, self.grid(), self._boxes(), self.selected, self.n_layer_channels)

    @property
    def n_layer_channels(self) -> int:
        """Length of the image layer's own channel axis, 1 without one."""
        return 1 if "c" not in self.grid().axes else image_of([self._image_layer], axes=self._axes).n_channels

    def _boxes(self) -> list[Box]:
        return [cuboid.box for cuboid in self.cuboids]

    def _forget_cuboids(self) -> None:
        if self.cuboids:
            self.cuboids, self.selected = (), 0
            overlay.remove(self.viewer, "cuboid")
            self.cuboids_changed.emit()

    # ---- project and run ----

    @property
    def folder(self) -> Path:
        """The project folder: chosen, else beside the image, else in the home directory."""
        return self._folder or default_folder(self._image_layer)

    def set_folder(self, folder: Path | None) -> None:
        """Keep stores and runs here."""
        self._folder = folder
        self.project_changed.emit()

    def new_paths(self, kind: str = "centres") -> tuple[Path, Path]:
        """Where the next store and the next run go."""
        stamp = f"{datetime.date.today():%Y-%m-%d}-{kind}-{secrets.token_hex(2)}"
        return self.folder / "stores" / f"{stamp}.zarr", self.folder / "runs" / stamp

    def set_run(self, run: Run | None) -> None:
        """Watch this run."""
        self.run = run
        self.run_changed.emit()

    # ---- events of the viewer ----

    def _on_layers(self, event: Any = None) -> None:
        viewer = self._viewer()
        if viewer is None:
            return
        present = list(viewer.layers)
        if self._image_layer is not None and not any(self._image_layer is layer for layer in present):
            self.choose_image(None)
        if self._nuclei_layer is not None and not any(self._nuclei_layer is layer for layer in present):
            self.choose_nuclei(None)
        kept = tuple(layer for layer in self._joined if any(layer is other for other in present))
        if kept != self._joined:
            self._joined = kept
            self.image_changed.emit()
        self._keep_sharp(getattr(event, "value", None))
        self.layers_changed.emit()

    def _keep_sharp(self, layer: Any) -> None:
        """A layer that came while points are shown as balls is not blurred by the depth that they need."""
        viewer = self.viewer
        if layer is not None and kind_of(layer) != "points" and any(viewer.dims.margin_left):
            modes = [str(other.projection_mode) for other in viewer.layers if kind_of(other) == "points"]
            if any(mode.startswith("rescale") for mode in modes):
                overlay.keep_sharp(layer)

    def _on_nuclei(self, event: Any = None) -> None:
        if str(getattr(event, "action", "")) not in ("adding", "removing", "changing"):
            self.nuclei_changed.emit()

    def _on_ndisplay(self, event: Any = None) -> None:
        if self._viewer() is not None and self.cuboids:
            self.draw_cuboids()


def default_folder(layer: Any) -> Path:
    """A project folder beside the image's file where one can be made, else under ``~/anlage``."""
    path = _path_of(layer)
    if path is not None and path.parent.is_dir() and os.access(path.parent, os.W_OK):
        return path.parent / f"{_stem(path.name)}.anlage"
    name = "untitled" if layer is None else _stem(str(layer.name))
    return Path.home() / "anlage" / f"{name}.anlage"


def _path_of(layer: Any) -> Path | None:
    source = getattr(getattr(layer, "source", None), "path", None)
    return Path(source) if source and "://" not in str(source) and Path(source).exists() else None


def _stem(name: str) -> str:
    bare = re.sub(r"(\.ome)?\.(zarr|tiff?|h5|npy)$", "", name, flags=re.IGNORECASE)
    return re.sub(r"[^\w.-]+", "-", bare).strip("-.") or "untitled"
