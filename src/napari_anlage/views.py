"""The document's nuclei as a Points layer: what napari changes in it is reported, what the document says is shown.

The layer is a view. Its rows are compared with what the document holds, and only what differs is written.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from anlage import Annotations, State
from napari_anlage import overlay
from napari_anlage.place import Place
from napari_anlage.tracks import Tracks, colours

__all__ = ["Hands", "NucleiView"]

MOST = 50_000
"""With more nuclei than this, only frames near the one that is shown are in the layer."""
WINDOW = 15_000
"""About so many nuclei are in it then."""
_PROPOSED, _REJECTED = np.array([1.0, 0.72, 0.25, 1.0]), np.array([1.0, 0.35, 0.35, 0.9])
_THIN, _BOLD = 0.09, 0.25
_COLUMNS = ("id", "track", "radius_um", "state", "origin", "probability", "label")

Ids = npt.NDArray[np.int64]


class Hands(Protocol):
    """Who turns what the user did in the layer into edits."""

    def added(self, positions: npt.NDArray[np.float64]) -> None:
        """Points came at these voxels (N, 4); they are the layer's last rows."""

    def removed(self, ids: Ids) -> None:
        """The points of these nuclei were deleted."""

    def moved(self, ids: Ids, positions: npt.NDArray[np.float64]) -> None:
        """The points of these nuclei were dragged to these voxels."""

    def resized(self, ids: Ids, radius_um: npt.NDArray[np.float64]) -> None:
        """The points of these nuclei got another size."""


class NucleiView:
    """The Points layer of a document's nuclei.

    Attributes
    ----------
    layer
        The layer.
    ids
        Nucleus of each of its rows.
    """

    def __init__(self, viewer: Any, place: Place, hands: Hands, default_radius_um: float) -> None:
        self._viewer, self._place, self._hands = viewer, place, hands
        self.default_radius_um = default_radius_um
        self.ids: Ids = np.zeros(0, dtype=np.int64)
        self._quiet = False
        self.layer = viewer.add_points(
            ndim=len(place.grid.axes), name="nuclei", size=2 * default_radius_um * place.um, face_color="transparent",
            border_color="white", border_width=_THIN, projection_mode="rescale_spherical", features=_no_features(),
            metadata={"anlage": {"role": overlay.NUCLEI}}, **place.as_points(),
        )  # fmt: skip
        self.layer.locked = True
        self.layer.events.data.connect(self._on_data)
        self.layer.events.size.connect(self._on_size)
        overlay.show_depth(viewer, self.layer)

    @property
    def selected(self) -> Ids:
        """Ids of the selected nuclei."""
        rows = [row for row in sorted(self.layer.selected_data) if row < len(self.ids)]
        return self.ids[rows]

    def select(self, ids: npt.ArrayLike) -> None:
        """Select these nuclei, as far as they are in the layer."""
        self.layer.selected_data = set(np.flatnonzero(np.isin(self.ids, ids)).tolist())

    def adopt(self, ids: Ids) -> None:
        """The layer's last rows are these nuclei: so a point that the user put there need not be drawn again."""
        self.ids = np.concatenate([self.ids, ids])

    # ---- the document → the layer ----

    def refresh(self, nuclei: Annotations, tracks: Tracks, current: int | None) -> None:
        """Show these nuclei, the track `current` with bold rings."""
        shown = self._rows_shown(nuclei)
        with self._quietly():
            rows = self._make_rows(nuclei, shown)
            changed = self._show_columns(nuclei, tracks, rows)
            changed |= self._show_looks(nuclei, tracks, rows, current)
            if changed:
                self.layer.refresh()
        overlay.show_depth(self._viewer, self.layer)

    def _rows_shown(self, nuclei: Annotations) -> npt.NDArray[np.int64]:
        if len(nuclei) <= MOST:
            return np.arange(len(nuclei))
        distance = np.abs(nuclei.frames - self._place.frame(self._viewer))
        reach = np.sort(distance)[min(WINDOW, len(nuclei) - 1)] - 1
        return np.flatnonzero(distance <= max(1, reach))

    def _make_rows(self, nuclei: Annotations, shown: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Give the layer a row for each nucleus that is shown; returns the nucleus of each row."""
        ids = nuclei.ids[shown]
        kept = np.isin(self.ids, ids)
        n_rows = len(self.layer.data)
        if len(self.ids) == n_rows and kept.all() and len(ids) == n_rows:
            return np.searchsorted(nuclei.ids, self.ids)
        selected = self.selected
        order = np.concatenate([self.ids[kept], ids[~np.isin(ids, self.ids)]])
        rows = np.searchsorted(nuclei.ids, order)
        if n_rows:
            self.layer.selected_data = set()
        self.ids = order
        self.layer.data = self._place.to_points(nuclei.positions[rows])
        if len(selected):
            self.select(selected)
        return rows

    def _show_columns(self, nuclei: Annotations, tracks: Tracks, rows: npt.NDArray[np.int64]) -> bool:
        layer = self.layer
        positions = self._place.to_points(nuclei.positions[rows])
        moved = not np.array_equal(layer.data, positions)
        if moved:
            layer.data[:] = positions
        values = _features(nuclei, tracks, rows)
        table = layer.features
        told = False
        for name in _COLUMNS:
            if not _same(table[name].to_numpy(), values[name]):
                table[name] = values[name]
                told = True
        if told:
            layer.events.features()
        return moved

    def _show_looks(
        self, nuclei: Annotations, tracks: Tracks, rows: npt.NDArray[np.int64], current: int | None
    ) -> bool:
        layer, state = self.layer, nuclei.state[rows]
        colour = colours(tracks)[rows]
        colour[state == State.PROPOSED], colour[state == State.REJECTED] = _PROPOSED, _REJECTED
        width = np.where(tracks.track[rows] == (-1 if current is None else current), _BOLD, _THIN)
        looks = {"size": self._sizes(nuclei, rows), "border_color": colour, "border_width": width}
        changed = False
        for name, wanted in looks.items():
            have = getattr(layer, name)
            if have.shape != wanted.shape or not np.allclose(have, wanted, rtol=0, atol=1e-6):
                have[:] = wanted
                changed = True
        crossed = state == State.REJECTED
        if (np.asarray(layer.symbol, dtype=str) == "x").sum() != crossed.sum():
            layer.symbol = np.where(crossed, "x", "o") if len(crossed) else "o"
        return changed

    def _sizes(self, nuclei: Annotations, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        radius = nuclei.radius_um[rows]
        sizes: npt.NDArray[np.float64] = (
            2 * self._place.um * np.where(np.isfinite(radius), radius, self.default_radius_um)
        )
        return sizes

    # ---- the layer → the document ----

    @contextmanager
    def _quietly(self) -> Iterator[None]:
        before, self._quiet = self._quiet, True
        try:
            yield
        finally:
            self._quiet = before

    def _on_data(self, event: Any) -> None:
        action = str(getattr(event.action, "value", event.action))
        if self._quiet or action not in ("added", "removed", "changed"):
            return
        n, known = len(self.layer.data), len(self.ids)
        if n > known:
            self._hands.added(self._place.from_points(self.layer.data[known:]))
        elif n < known:
            gone = self.ids if n == 0 else self.ids[sorted(int(i) for i in event.data_indices)]
            self.ids = self.ids[~np.isin(self.ids, gone)]
            self._hands.removed(gone)
        else:
            rows = sorted(int(i) for i in event.data_indices)
            self._hands.moved(self.ids[rows], self._place.from_points(self.layer.data[rows]))

    def _on_size(self, event: Any = None) -> None:
        rows = sorted(row for row in self.layer.selected_data if row < len(self.ids))
        if not self._quiet and rows:
            self._hands.resized(self.ids[rows], self.layer.size[rows] / (2 * self._place.um))


def _features(nuclei: Annotations, tracks: Tracks, rows: npt.NDArray[np.int64]) -> dict[str, npt.NDArray[Any]]:
    names = np.array([state.name.lower() for state in State], dtype=object)
    return {
        "id": nuclei.ids[rows], "track": tracks.track[rows], "radius_um": nuclei.radius_um[rows],
        "state": names[nuclei.state[rows]], "origin": nuclei.origin[rows].astype(object),
        "probability": nuclei.probability[rows], "label": nuclei.label[rows],
    }  # fmt: skip


def _no_features() -> dict[str, npt.NDArray[Any]]:
    types = {"id": int, "track": int, "state": object, "origin": object, "label": int}
    return {name: np.zeros(0, dtype=types.get(name, float)) for name in _COLUMNS}


def _same(have: npt.NDArray[Any], wanted: npt.NDArray[Any]) -> bool:
    if have.dtype.kind == "f" and wanted.dtype.kind == "f":
        return bool(np.array_equal(have, wanted, equal_nan=True))
    return bool(np.array_equal(have, wanted))
