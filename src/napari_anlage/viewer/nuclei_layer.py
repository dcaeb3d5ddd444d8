"""The document's nuclei as a Points layer: clicks and drags are reported, the document is shown. Knows no Qt.

The layer is a view. Its rows are compared with what the document holds, and only what differs is written.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from anlage import Annotations, State
from napari_anlage.viewer import layer_roles, overlay
from napari_anlage.viewer.colouring import PROPOSED, REJECTED, Colouring, nucleus_colours
from napari_anlage.viewer.placement import Place
from napari_anlage.viewer.tracks import TrackTable

__all__ = ["LayerListener", "NucleiView"]

MOST = 6_000
"""With more nuclei than this, only frames near the one that is shown are in the layer: napari's cost grows with its rows."""
WINDOW = 3_000
"""About so many nuclei are in it then."""
_THIN, _BOLD = 0.09, 0.25
_COLUMNS = {
    "id": "ids", "track": "", "radius_um": "radius_um", "state": "state", "origin": "origin",
    "probability": "probability", "label": "label",
}  # fmt: skip
"""Features of the points, and the columns of the table that they come from."""

Ids = npt.NDArray[np.int64]


class LayerListener(Protocol):
    """Who turns what the user did in the layer into edits."""

    def added(self, positions: npt.NDArray[np.float64]) -> None:
        """Points came at these voxels (N, 4); they are the layer's last rows."""

    def removed(self, ids: Ids) -> None:
        """The points of these nuclei were deleted."""

    def moved(self, ids: Ids, positions: npt.NDArray[np.float64]) -> None:
        """The points of these nuclei were dragged to these voxels."""

    def resized(self, ids: Ids, radius_um: npt.NDArray[np.float64]) -> None:
        """The points of these nuclei got another size."""


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """What the layer shows already."""

    nuclei: Annotations
    tracks: TrackTable | None
    rows: npt.NDArray[np.int64]
    current: int | None

    def same(self, column: str, nuclei: Annotations, rows: npt.NDArray[np.int64]) -> bool:
        """Whether a column and the rows are the very same arrays: then nothing about it has changed."""
        return rows is self.rows and getattr(nuclei, column) is getattr(self.nuclei, column)


class NucleiView:
    """The Points layer of a document's nuclei.

    Attributes
    ----------
    layer
        The layer.
    ids
        Nucleus of each of its rows.
    """

    def __init__(self, viewer: Any, place: Place, listener: LayerListener, default_radius_um: float) -> None:
        self._viewer, self._place, self._listener = viewer, place, listener
        self.default_radius_um = default_radius_um
        self.colouring = Colouring.TRACK
        """What the colours say; `forget` makes another one seen at the next refresh."""
        self.ids: Ids = np.zeros(0, dtype=np.int64)
        self._quiet = False
        self._seen = _Seen(Annotations.of([]), None, np.zeros(0, dtype=np.int64), None)
        self._crossed = np.zeros(0, dtype=bool)
        self._span: tuple[int, int] | None = None
        self.layer = viewer.add_points(
            ndim=len(place.grid.axes), name="nuclei", size=2 * default_radius_um * place.um, face_color="transparent",
            border_color="white", border_width=_THIN, projection_mode="rescale_spherical", features=_no_features(),
            metadata={"anlage": {"role": layer_roles.NUCLEI}}, **place.as_points(),
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

    def forget(self) -> None:
        """Compare everything at the next refresh: somebody changed the layer, and it did not become an edit."""
        self._seen = _Seen(Annotations.of([]), None, np.zeros(0, dtype=np.int64), None)

    # ---- the document → the layer ----

    def refresh(self, nuclei: Annotations, tracks: TrackTable, current: int | None) -> None:
        """Show these nuclei, the track `current` with bold rings."""
        shown = self._rows_shown(nuclei)
        largest = float(self.layer.size.max(initial=0.0))
        with self._quietly():
            rows = self._make_rows(nuclei, shown)
            changed = self._show_columns(nuclei, tracks, rows)
            changed |= self._apply_style(nuclei, tracks, rows, current)
            if changed:
                self.layer.refresh(extent=False, thumbnail=False)  # nuclei stay within the image
        if self.layer.size.max(initial=0.0) > largest:
            overlay.show_depth(self._viewer, self.layer)

    @property
    def falls_short(self) -> bool:
        """Whether the layer holds some frames only, and the one in view or one beside it is not among them."""
        return self._span is not None and not self._span[0] < self._place.frame(self._viewer) < self._span[1]

    def _rows_shown(self, nuclei: Annotations) -> npt.NDArray[np.int64]:
        if len(nuclei) <= MOST:
            self._span = None
            return np.arange(len(nuclei))
        frames, here = nuclei.frames, self._place.frame(self._viewer)
        if self._span is None or not self._span[0] < here < self._span[1]:
            distance = np.abs(frames - here)
            reach = max(2, int(np.partition(distance, WINDOW)[WINDOW]) - 1)
            self._span = here - reach, here + reach
        return np.flatnonzero((frames >= self._span[0]) & (frames <= self._span[1]))

    def _make_rows(self, nuclei: Annotations, shown: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Give the layer a row for each nucleus that is shown; returns the nucleus of each row."""
        ids = nuclei.ids[shown]
        kept = np.isin(self.ids, ids)
        n_rows = len(self.layer.data)
        if len(self.ids) == n_rows and kept.all() and len(ids) == n_rows:
            rows = np.searchsorted(nuclei.ids, self.ids)
            return self._seen.rows if np.array_equal(rows, self._seen.rows) else rows
        selected = self.selected
        order = np.concatenate([self.ids[kept], ids[~np.isin(ids, self.ids)]])
        rows = np.searchsorted(nuclei.ids, order)
        if len(selected):
            self.layer.selected_data = set()
        self.ids = order
        self.layer.data = self._place.to_points(nuclei.positions[rows])
        if len(selected):
            self.select(selected)
        return rows

    def _show_columns(self, nuclei: Annotations, tracks: TrackTable, rows: npt.NDArray[np.int64]) -> bool:
        layer, before = self.layer, self._seen
        if before.same("positions", nuclei, rows):
            moved = False
        else:
            positions = self._place.to_points(nuclei.positions[rows])
            moved = not np.array_equal(layer.data, positions)
            if moved:
                layer.data[:] = positions
        table = layer.features
        reported = False
        for name, column in _COLUMNS.items():
            if name == "track":
                if tracks is before.tracks and rows is before.rows:
                    continue
                values = tracks.track[rows]
            elif before.same(column, nuclei, rows):
                continue
            else:
                values = _readable(column, getattr(nuclei, column)[rows])
            if not _same(table[name].to_numpy(), values):
                table[name] = values
                reported = True
        if reported:
            layer.events.features()
        return moved

    def _apply_style(
        self, nuclei: Annotations, tracks: TrackTable, rows: npt.NDArray[np.int64], current: int | None
    ) -> bool:
        before = self._seen
        style: dict[str, npt.NDArray[np.float64]] = {}
        if not before.same("radius_um", nuclei, rows):
            style["size"] = self._sizes(nuclei, rows)
        recoloured = not before.same("state", nuclei, rows)
        recoloured |= (
            self.colouring == Colouring.ERROR and nuclei is not before.nuclei
        )  # a link's probability is no column
        if tracks is not before.tracks or rows is not before.rows or recoloured:
            colour, state = nucleus_colours(nuclei, tracks, self.colouring)[rows], nuclei.state[rows]
            if self.colouring == Colouring.TRACK:
                colour[state == State.PROPOSED] = PROPOSED
            colour[state == State.REJECTED] = REJECTED
            style["border_color"] = colour
        if tracks is not before.tracks or rows is not before.rows or current != before.current:
            style["border_width"] = np.where(tracks.track[rows] == (-1 if current is None else current), _BOLD, _THIN)
        changed = False
        for name, wanted in style.items():
            have = getattr(self.layer, name)
            if have.shape != wanted.shape or not np.allclose(have, wanted, rtol=0, atol=1e-6):
                have[:] = wanted
                changed = True
        crossed = nuclei.state[rows] == State.REJECTED
        if not np.array_equal(crossed, self._crossed) and (crossed.any() or self._crossed.any()):
            self.layer.symbol = np.where(crossed, "x", "o") if len(crossed) else "o"
        self._crossed = crossed
        self._seen = _Seen(nuclei, tracks, rows, current)
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
            self._listener.added(self._place.from_points(self.layer.data[known:]))
        elif n < known:
            gone = self.ids if n == 0 else self.ids[sorted(int(i) for i in event.data_indices)]
            self.ids = self.ids[~np.isin(self.ids, gone)]
            self._listener.removed(gone)
        else:
            rows = sorted(int(i) for i in event.data_indices)
            self._listener.moved(self.ids[rows], self._place.from_points(self.layer.data[rows]))

    def _on_size(self, event: Any = None) -> None:
        rows = sorted(row for row in self.layer.selected_data if row < len(self.ids))
        if not self._quiet and rows:
            self._listener.resized(self.ids[rows], self.layer.size[rows] / (2 * self._place.um))


def _readable(column: str, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A column as people read it."""
    if column == "state":
        named: npt.NDArray[Any] = np.array([state.name.lower() for state in State], dtype=object)[values]
        return named
    return values.astype(object) if column == "origin" else values


def _no_features() -> dict[str, npt.NDArray[Any]]:
    types = {"id": int, "track": int, "state": object, "origin": object, "label": int}
    return {name: np.zeros(0, dtype=types.get(name, float)) for name in _COLUMNS}


def _same(have: npt.NDArray[Any], wanted: npt.NDArray[Any]) -> bool:
    if have.dtype.kind == "f" and wanted.dtype.kind == "f":
        return bool(np.array_equal(have, wanted, equal_nan=True))
    return bool(np.array_equal(have, wanted))
