"""Layers of events: points at each event, and nuclei coloured before and after. Knows no Qt."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from anlage import Annotations, Events, Signals
from napari_anlage.session.session import Session
from napari_anlage.viewer import layer_roles, overlay

__all__ = ["AFTER", "BEFORE", "NEVER", "EventLayers"]

BEFORE, AFTER, NEVER = "#5aa9e6", "#ffb000", "#8a8f98"
"""Nuclei before the event, after it, and on tracks without one."""
_HAND = "#3fc58a"
_ROLE, _PHASES, _TRACK = "events", "event phases", "scored track"
_TRACK_COLOUR = "#ffd93d"


class EventLayers:
    """The layers that the Signals tab draws; each stands in for the one before it."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def show_events(self, events: Events, name: str) -> None:
        """Events as points, coloured by their probability; a human's have none, and are green."""
        self._clear(_ROLE)
        if self._session.image_layer is None or "t" not in events.properties:
            return
        at = np.stack([events.properties[axis] for axis in "tzyx"], axis=1)
        known = np.isfinite(at).all(axis=1) & events.happened
        if not known.any():
            return
        shown = events.select(known)
        layer = self._draw(at[known], f"events: {name}", _HAND, _ROLE, factor=1.35)
        features = {"track": shown.tracks, "frame": shown.frames, "probability": shown.probability}
        if shown.interval_s is not None:
            features["time_min"] = shown.seconds / 60
        layer.features = features
        if np.isfinite(shown.probability).any():
            layer.border_color, layer.border_colormap, layer.border_contrast_limits = (
                "probability",
                "cool",
                (0.0, 1.0),
            )

    def show_phases(self, events: Events | None, signals: Signals) -> None:
        """Every nucleus of every track: before its event, after it, or on a track without; None takes them away."""
        self._clear(_PHASES)
        if events is None or signals.places is None or self._session.image_layer is None:
            return
        row, column = np.nonzero(np.isfinite(signals.places).all(axis=1))
        at = np.column_stack([column + signals.first_frame, signals.places[row, :, column]])
        when = np.full(len(signals), np.nan)
        of_track = dict(zip(events.tracks.tolist(), np.where(events.happened, events.frames, np.nan), strict=True))
        when[:] = [of_track.get(track, np.nan) for track in signals.ids.tolist()]
        time = when[row]
        layer = self._draw(at, "before and after the event", NEVER, _PHASES)
        phase = np.where(np.isnan(time), "no event", np.where(at[:, 0] < time, "before", "after"))
        layer.features = {"track": signals.ids[row], "phase": phase}
        plot_colours = {"no event": NEVER, "before": BEFORE, "after": AFTER}
        layer.border_color = [plot_colours[p] for p in phase]

    def show_track(self, signals: Signals, row: int) -> None:
        """A ring around the nucleus of one track, in every frame."""
        if signals.places is None:
            self._clear(_TRACK)
            return
        zyx = signals.places[row].T
        at = np.column_stack([np.arange(len(zyx)) + signals.first_frame, zyx])
        at = at[np.isfinite(zyx).all(axis=1)]
        viewer, grid = self._session.viewer, self._session.grid()
        layer = next((layer for layer in viewer.layers if layer_roles.role_of(layer) == _TRACK), None)
        if layer is not None and layer.ndim == len(grid.axes) and len(at):
            # a layer that stays is an order of magnitude faster than a new one for every track
            size = float(np.max(layer.size))
            layer.data = overlay.spots(grid, at)
            layer.size = size
            return
        self._clear(_TRACK)
        self._draw(at, "track being scored", _TRACK_COLOUR, _TRACK, factor=1.15)

    def clear_track(self) -> None:
        """Take the ring away: other signals are scored now."""
        self._clear(_TRACK)

    def _clear(self, role: str) -> None:
        """Take away the layers with exactly this role."""
        layers = self._session.viewer.layers
        for layer in [layer for layer in layers if layer_roles.role_of(layer) == role]:
            layers.remove(layer)

    def _draw(self, at: npt.NDArray[np.float64], name: str, colour: str, role: str, factor: float = 1.0) -> Any:
        diameter = self._session.diameter_um
        radius = (5.0 if diameter is None else diameter / 2) * factor
        session = self._session
        layer = overlay.show_annotations(
            session.viewer, session.grid(), Annotations.of(at, radius_um=radius), name, colour
        )
        layer.metadata["anlage"] = {"role": role}
        layer.locked = True
        session.viewer.layers.selection.active = session.image_layer
        return layer
