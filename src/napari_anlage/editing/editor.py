"""The editor: turns clicks and strokes in the layers into edits of the document. Knows no Qt.

One editor serves one document in one viewer. Its layers are views: they come back if somebody deletes them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from psygnal import Signal

from anlage import (
    AddNuclei,
    AnlageError,
    Annotations,
    Change,
    ChangeNuclei,
    Document,
    MoveNuclei,
    RemoveNuclei,
    Several,
)
from napari_anlage.viewer import camera, layer_roles
from napari_anlage.viewer.colouring import Colouring
from napari_anlage.viewer.labels_layer import LabelsView
from napari_anlage.viewer.links_layer import LinksView
from napari_anlage.viewer.nuclei_layer import NucleiView
from napari_anlage.viewer.placement import Place
from napari_anlage.viewer.tracks import TrackTable

__all__ = ["Editor"]

Ids = npt.NDArray[np.int64]

T = TypeVar("T")


class Editor:
    """The document of a viewer, its layers, and the track that is followed."""

    said = Signal(str, str)
    """A sentence for the user, and its kind: info, good or warning."""
    track_changed = Signal()
    """Another track is followed, or none."""
    history_changed = Signal()
    """Something was done, undone or done again."""
    layer_made = Signal(object)
    """A layer that shows the document came."""
    next_problem = Signal()
    """The user wants to be shown the next problem."""

    def __init__(self, viewer: Any, document: Document, place: Place, radius_um: float | None = None) -> None:
        self.viewer, self.document, self.place = viewer, document, place
        self.radius_um = radius_um
        """Radius of the next nucleus in µm; None: unknown."""
        self.nuclei: NucleiView | None = None
        self.links: LinksView | None = None
        self.labels: LabelsView | None = None
        self._tracks: tuple[Annotations, TrackTable] | None = None
        self.colouring = Colouring.TRACK
        self._followed: list[int] = []
        self.touched: Ids = np.zeros(0, dtype=np.int64)
        """The nuclei that the last change was about."""
        self._frame = place.frame(viewer)
        self._stop = document.listen(self._on_change)
        viewer.dims.events.point.connect(self._on_point)
        for name in ("ndisplay", "order"):
            getattr(viewer.dims.events, name).connect(self._on_dims)
        viewer.layers.events.removed.connect(self._on_layer_removed)
        if len(document.nuclei):
            self.show_nuclei()
        if document.painted is not None:
            self.show_labels()

    @property
    def layers(self) -> list[Any]:
        """The layers that show the document."""
        return [view.layer for view in (self.nuclei, self.links, self.labels) if view is not None]

    def close(self) -> None:
        """Let go of the viewer; the layers are taken away."""
        self._stop()
        dims = self.viewer.dims.events
        dims.point.disconnect(self._on_point)
        dims.ndisplay.disconnect(self._on_dims)
        dims.order.disconnect(self._on_dims)
        self.viewer.layers.events.removed.disconnect(self._on_layer_removed)
        layer_roles.take_away(self.viewer, self.layers)
        self.nuclei = self.links = self.labels = None

    # ---- layers ----

    def show_nuclei(self) -> Any:
        """The layer of nuclei, made on first use; the links come with it."""
        if self.nuclei is None:
            self.links = LinksView(self.viewer, self.place)
            self.nuclei = NucleiView(self.viewer, self.place, self, self.default_radius_um())
            self.links.colouring = self.nuclei.colouring = self.colouring
            self.refresh()
            self.layer_made.emit(self.links.layer)
            self.layer_made.emit(self.nuclei.layer)
        return self.nuclei.layer

    def show_labels(self) -> Any:
        """The layer of painted labels, made on first use."""
        if self.labels is None:
            self.labels = LabelsView(self.viewer, self.place, self.document.start_painting(), self.painted_over)
            self.labels.layer.selected_label = self.document.new_label()
            self.layer_made.emit(self.labels.layer)
        return self.labels.layer

    def colour_by(self, colouring: Colouring) -> None:
        """Let the colours of nuclei and links say something else."""
        self.colouring = colouring
        if self.nuclei is not None:
            self.nuclei.colouring = colouring
            self.nuclei.forget()
        if self.links is not None:
            self.links.colouring = colouring
        self.refresh()

    def refresh(self) -> None:
        """Bring the layers of nuclei and links up to date."""
        nuclei, tracks = self.document.nuclei, self.tracks
        if self.nuclei is not None:
            self.nuclei.refresh(nuclei, tracks, self.track)
        if self.links is not None:
            self.links.refresh(nuclei, tracks)

    @property
    def tracks(self) -> TrackTable:
        """The tracks as they are now."""
        nuclei, known = self.document.nuclei, self._tracks
        if known is None or known[0] is not nuclei:
            same = known is not None and known[1].fits(nuclei)
            known = self._tracks = nuclei, known[1] if known is not None and same else TrackTable.of(nuclei)
        return known[1]

    def take_radius(self, radius_um: float) -> None:
        """The typical radius was measured: new nuclei have it, and those of unknown radius are drawn so."""
        self.radius_um = radius_um
        if self.nuclei is not None:
            self.nuclei.default_radius_um = self.default_radius_um()
            self.nuclei.forget()
            self.refresh()

    def default_radius_um(self) -> float:
        """A radius to draw nuclei with whose own is unknown."""
        known = self.document.nuclei.radius_um
        known = known[np.isfinite(known)]
        if len(known):
            return float(np.median(known))
        if self.radius_um is not None:
            return self.radius_um
        grid = self.place.grid
        sides = [abs(grid.scale[grid.axes.index(a)]) * self.place.shape_tzyx["tzyx".index(a)] for a in "yx"]
        return 0.025 * min(sides) / self.place.um

    # ---- the followed track ----

    @property
    def current(self) -> int | None:
        """The nucleus that the next one continues; None: the next one begins a track."""
        return next((nucleus for nucleus in reversed(self._followed) if self.tracks.row(nucleus) is not None), None)

    @property
    def track(self) -> int | None:
        """The followed track."""
        row = None if self.current is None else self.tracks.row(self.current)
        return None if row is None else int(self.tracks.track[row])

    def follow(self, nucleus: int | None) -> None:
        """Continue the track of this nucleus; None: each new nucleus begins a track."""
        before = self.track
        if nucleus is None:
            self._followed.clear()
        elif not self._followed or self._followed[-1] != nucleus:
            self._followed.append(nucleus)
            del self._followed[:-1000]
        if self.track != before:
            self.refresh()
        self.track_changed.emit()

    def continuation(self, frame: int) -> list[tuple[int, int]]:
        """The link that would make a new nucleus (called 0) of this frame part of the followed track.

        Raises
        ------
        AnlageError
            If the track has a nucleus there already, or divided before.
        """
        track = self.track
        if track is None:
            return []
        tracks, frames = self.tracks, self.document.nuclei.frames
        rows = np.flatnonzero(tracks.track == track)
        if (frames[rows] == frame).any():
            raise AnlageError(f"Track {track} has a nucleus in frame {frame} already; press N to begin another track.")
        earlier = rows[frames[rows] < frame]
        if not len(earlier):
            return [(0, int(tracks.ids[rows[np.argmin(frames[rows])]]))]
        last = earlier[np.argmax(frames[earlier])]
        if tracks.n_daughters[last]:
            raise AnlageError(
                f"Track {track} goes on after frame {frames[last]} without a nucleus in frame {frame}; unlink it there first "
                "(U), or press N to begin another track."
            )
        return [(int(tracks.ids[last]), 0)]

    def go_to(self, position_tzyx: tuple[float, float, float, float]) -> None:
        """Show a place."""
        camera.go_to(self.viewer, self.place.grid, position_tzyx)

    # ---- nuclei ----

    def add(self, position: npt.NDArray[np.float64], *, links: list[tuple[int, int]] | None = None) -> int:
        """Add a nucleus at a voxel (t, z, y, x); in the given links, and in those returned by `continuation`, it is called 0."""
        (new,) = self.document.new_ids(1)
        return self._add(int(new), position, self.continuation(int(position[0])) if links is None else links)

    def _add(self, new: int, position: npt.NDArray[np.float64], links: list[tuple[int, int]]) -> int:
        named = [(a or new, b or new) for a, b in links]
        radius = np.nan if self.radius_um is None else self.radius_um
        edit: Any = AddNuclei([new], [position], radius_um=radius, links=named)
        if named and self.track is not None:
            edit = Several((edit,), f"add a nucleus to track {self.track}")
        if named:
            self._followed.append(new)  # before it is drawn, so that it is drawn once
        try:
            self.document.apply(edit)
        except AnlageError:
            self._followed = [nucleus for nucleus in self._followed if nucleus != new]
            raise
        if named:
            self.track_changed.emit()
        return new

    def under_cursor(self) -> int | None:
        """The nucleus of the shown frame that the mouse is over."""
        if self.nuclei is None or not self.nuclei.layer.visible:
            return None
        shown = list(self.viewer.dims.displayed)
        position = np.array(self.viewer.cursor.position, dtype=float)
        hidden = list(self.viewer.dims.not_displayed)
        position[hidden] = np.array(self.viewer.dims.point, dtype=float)[hidden]
        direction = self.viewer.cursor.view_direction if len(shown) == 3 else None
        row = self.nuclei.layer.get_value(tuple(position), view_direction=direction, dims_displayed=shown, world=True)
        return None if row is None else int(self.nuclei.ids[int(row)])

    def selected(self) -> Ids:
        """The selected nuclei, in any frame."""
        return np.zeros(0, dtype=np.int64) if self.nuclei is None else np.sort(self.nuclei.selected)

    # ---- the layers' events ----

    def added(self, positions: npt.NDArray[np.float64]) -> None:
        def do() -> None:
            if self.viewer.dims.ndisplay == 3 and len(positions) == 1:
                raise AnlageError("In the 3D view a click has no depth; switch to the 2D view (Ctrl+Y) to mark nuclei.")
            links = self.continuation(int(positions[0, 0])) if len(positions) == 1 else []
            ids = self.document.new_ids(len(positions))
            assert self.nuclei is not None  # noqa: S101  the layer that reports is there
            self.nuclei.adopt(ids)
            if len(positions) == 1:
                self._add(int(ids[0]), positions[0], links)
            else:
                self.document.apply(AddNuclei(ids, positions))

        self.attempt(do)

    def removed(self, ids: Ids) -> None:
        self.attempt(lambda: self.document.apply(RemoveNuclei(ids)))

    def moved(self, ids: Ids, positions: npt.NDArray[np.float64]) -> None:
        self.attempt(lambda: self.document.apply(MoveNuclei(ids, positions)))

    def resized(self, ids: Ids, radius_um: npt.NDArray[np.float64]) -> None:
        self.radius_um = float(radius_um[-1])
        self.attempt(lambda: self.document.apply(ChangeNuclei(ids, radius_um=radius_um)))

    def painted_over(self) -> bool:
        """A stroke of paint is over; returns whether it changed anything."""
        return bool(self.attempt(self.document.commit_stroke))

    def attempt(self, action: Callable[[], T]) -> T | None:
        """Do something; what contradicts the document is said, and the layers show the document again."""
        try:
            return action()
        except AnlageError as error:
            if self.nuclei is not None:
                self.nuclei.forget()
            self.refresh()
            if self.labels is not None:
                self.labels.layer.refresh()
            self.said.emit(str(error), "warning")
            return None

    # ---- events ----

    def _on_change(self, change: Change) -> None:
        self.touched = change.ids
        if {"nuclei", "links"} & change.kinds:
            if self.nuclei is None:
                self.show_nuclei()
            else:
                self.refresh()
        if "labels" in change.kinds:
            if self.labels is None:
                self.show_labels()
            else:
                self.labels.refresh(change)
        self.history_changed.emit()

    def _on_point(self, event: Any = None) -> None:
        frame = self.place.frame(self.viewer)
        if frame == self._frame:
            return
        self._frame = frame
        if self.nuclei is not None and self.nuclei.falls_short:
            self.refresh()
        elif self.links is not None:
            self.links.refresh(self.document.nuclei, self.tracks)

    def _on_dims(self, event: Any = None) -> None:
        if self.links is not None:
            self.links.refresh(self.document.nuclei, self.tracks)

    def _on_layer_removed(self, event: Any) -> None:
        for name in ("nuclei", "links", "labels"):
            view = getattr(self, name)
            if view is not None and view.layer is event.value:
                setattr(self, name, None)
