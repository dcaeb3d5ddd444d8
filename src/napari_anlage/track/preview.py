"""The layers of tracks that are not accepted yet: trails and rings over the image. Knows no Qt."""

from __future__ import annotations

from typing import Any

import numpy as np

from anlage import AnlageError, Annotations
from napari_anlage.session.session import Session
from napari_anlage.viewer import layer_roles, overlay
from napari_anlage.viewer.colouring import nucleus_colours
from napari_anlage.viewer.links_layer import LinksView
from napari_anlage.viewer.placement import Place
from napari_anlage.viewer.tracks import TrackTable

__all__ = ["TracksPreview"]

_ROLE = "tracks"
_USUAL_WIDTH = 10.0
"""Voxels across a nucleus where its size is known from nowhere."""


class TracksPreview:
    """The layers of one tracking."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.tracks: Annotations | None = None
        self._derived: TrackTable | None = None
        self._name = ""
        self._place: Place | None = None
        self._links: LinksView | None = None
        self._points: Any = None
        viewer = session.viewer
        viewer.dims.events.point.connect(self._on_dims)
        viewer.dims.events.ndisplay.connect(self._on_dims)
        viewer.layers.events.removed.connect(self._on_removed)
        session.colouring_changed.connect(self._recolour)
        session.image_changed.connect(self._on_image)

    def show(self, tracks: Annotations, name: str) -> None:
        """Show these, and no others."""
        self.clear()
        session = self._session
        image = session.scaled_image()
        place = session.bench.place(image)
        radii = tracks.radius_um[np.isfinite(tracks.radius_um)]
        diameter_um = session.diameter_um or (2 * float(np.median(radii)) if len(radii) else None)
        voxel = abs(place.grid.scale[place.grid.axes.index("x")])
        width = _USUAL_WIDTH * voxel if diameter_um is None else diameter_um * place.um
        self.tracks, self._derived, self._name, self._place = tracks, TrackTable.of(tracks), name, place
        active = session.viewer.layers.selection.active
        self._links = LinksView(session.viewer, place, f"tracks: links ({name})", f"{_ROLE} links")
        self._points = overlay.show_centres(
            session.viewer, session.grid(), tracks, width, session.n_layer_channels, name, _ROLE
        )
        session.viewer.layers.selection.active = active
        self._recolour()

    def clear(self) -> None:
        """Take the layers away."""
        self.tracks = self._derived = self._links = self._points = None
        layer_roles.remove(self._session.viewer, _ROLE)

    def retire(self) -> None:
        """Let go of the viewer."""
        viewer = self._session.viewer
        viewer.dims.events.point.disconnect(self._on_dims)
        viewer.dims.events.ndisplay.disconnect(self._on_dims)
        viewer.layers.events.removed.disconnect(self._on_removed)
        self._session.colouring_changed.disconnect(self._recolour)
        self._session.image_changed.disconnect(self._on_image)

    def _on_image(self) -> None:
        """The image lies elsewhere: it was given another voxel size or other axes."""
        session = self._session
        if self.tracks is None or session.image_layer is None:
            return
        try:
            place = session.bench.place(session.scaled_image())
        except AnlageError:
            return
        if place != self._place:
            self.show(self.tracks, self._name)

    def _recolour(self) -> None:
        if self.tracks is None or self._derived is None or self._links is None:
            return
        self._links.colouring = self._session.colouring
        self._links.refresh(self.tracks, self._derived)
        colours = nucleus_colours(self.tracks, self._derived, self._session.colouring)
        if self._points is not None and len(self.tracks):
            self._points.border_color = np.tile(colours, (len(self._points.data) // len(colours), 1))

    def _on_dims(self, event: Any = None) -> None:
        if self.tracks is not None and self._derived is not None and self._links is not None:
            self._links.refresh(self.tracks, self._derived)

    def _on_removed(self, event: Any) -> None:
        if self._links is not None and event.value is self._links.layer:
            self._links = None
        if event.value is self._points:
            self._points = None
