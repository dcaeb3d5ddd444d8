"""The document's links as a Vectors layer: where each nucleus came from, and where it goes. Knows no Qt.

A Tracks layer shows the tracks of every plane at once, and napari dies when one that holds divisions is removed. Here each
trail lies in the plane of its nucleus, so it is seen exactly where the nucleus is, and a division is two lines from the mother.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from anlage import Annotations
from napari_anlage.viewer import layer_roles
from napari_anlage.viewer.colouring import Colouring, nucleus_colours
from napari_anlage.viewer.placement import Place
from napari_anlage.viewer.tracks import TrackTable

__all__ = ["LinksView"]

LONGEST = 6
"""So many frames back."""
MOST = 6000
"""Lines that are drawn at once; with more nuclei in a frame the trails are shorter."""
_STEP = 512

Rows = npt.NDArray[np.int64]


class LinksView:
    """The Vectors layer of a document's links.

    Attributes
    ----------
    layer
        The layer; it holds the lines of the frame that is shown.
    """

    def __init__(self, viewer: Any, place: Place, name: str = "links", role: str = layer_roles.LINKS) -> None:
        self._viewer, self._place = viewer, place
        self._colouring = Colouring.TRACK
        self._inks: tuple[Any, ...] = (None, None, None, None)
        self._drawn: tuple[Any, ...] = ()
        self._drawn_nuclei: Annotations | None = None
        self.layer = viewer.add_vectors(
            ndim=len(place.grid.axes), name=name, vector_style="line", edge_color="white", edge_width=self._width(),
            projection_mode="all", opacity=0.9, metadata={"anlage": {"role": role}}, **place.as_points(),
        )  # fmt: skip
        self.layer.locked = True

    @property
    def colouring(self) -> Colouring:
        """What the colours say."""
        return self._colouring

    @colouring.setter
    def colouring(self, colouring: Colouring) -> None:
        if colouring != self._colouring:
            self._colouring, self._drawn = colouring, ()

    def refresh(self, nuclei: Annotations, tracks: TrackTable) -> None:
        """Show the trails of the shown frame; nothing happens where they are shown already."""
        frame = self._place.frame(self._viewer)
        drawn = (frame, tuple(self._viewer.dims.not_displayed))
        if nuclei is self._drawn_nuclei and drawn == self._drawn:
            return
        self._drawn_nuclei, self._drawn = nuclei, drawn
        lines, colour = self._lines(nuclei, tracks, frame)
        if not len(lines) and not len(self.layer.data):
            return
        self._write(lines, colour)

    def _write(self, lines: npt.NDArray[np.float64], colour: npt.NDArray[np.float64]) -> None:
        """Draw; the layer is filled up with lines without length, for their number is expensive to change."""
        layer = self.layer
        room = len(layer.data)
        if len(lines) > room or len(lines) < room // 4:
            room = -(-max(len(lines), 1) // _STEP) * _STEP
        filler = np.zeros((room - len(lines), 2, len(self._place.grid.axes)))
        if len(lines):
            filler[:, 0] = lines[0, 0]
        else:
            filler[:, 0] = self._place.to_points(np.zeros(4))
        every = np.concatenate([lines, filler])
        paint = np.concatenate([colour, np.zeros((len(filler), 4))])
        if len(layer.data) == room:
            if np.array_equal(layer.data, every) and np.array_equal(layer.edge_color, paint):
                return
            layer.data[:], layer.edge_color[:] = every, paint
            layer.refresh(extent=False, thumbnail=False)  # the lines stay within the image
        else:
            layer.edge_color = "white"  # one colour fits any number of lines while their count changes
            layer.data = every
            layer.edge_color = paint

    def _lines(
        self, nuclei: Annotations, tracks: TrackTable, frame: int
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Start and direction (N, 2, axes) of each line, and its colour."""
        here = np.flatnonzero(nuclei.frames == frame)
        n_steps = int(np.clip(MOST // max(len(here), 1) - 1, 1, LONGEST))
        # where a line is seen, its start, its end, and the nucleus whose colour it has: the later one
        pieces: list[tuple[Rows, Rows, Rows, Rows, float]] = []
        goes_on = np.flatnonzero((tracks.mother >= 0) & (nuclei.frames[tracks.mother] == frame))
        pieces.append((tracks.mother[goes_on], tracks.mother[goes_on], goes_on, self._later(tracks, goes_on), 0.35))
        anchor, later = here, here
        for step in range(n_steps):
            known = tracks.mother[later] >= 0
            anchor, later = anchor[known], later[known]
            earlier = tracks.mother[later]
            pieces.append((anchor, later, earlier, later, 1.0 - 0.7 * step / LONGEST))
            later = earlier
        anchors, starts, ends, whose = (np.concatenate([piece[i] for piece in pieces]) for i in range(4))
        alpha = np.concatenate([np.full(len(piece[0]), piece[4]) for piece in pieces])
        at, start, end = (self._place.to_points(nuclei.positions[rows]) for rows in (anchors, starts, ends))
        hidden = list(self._hidden())
        start[:, hidden] = end[:, hidden] = at[:, hidden]
        colour = self._all_inks(nuclei, tracks)[whose]
        colour[:, 3] = alpha
        return np.stack([start, end - start], axis=1), colour

    def _later(self, tracks: TrackTable, goes_on: Rows) -> Rows:
        """Whose colour the faint line to the next frame has: where colours are tracks, that of the nucleus that is seen."""
        return tracks.mother[goes_on] if self._colouring == Colouring.TRACK else goes_on

    def _all_inks(self, nuclei: Annotations, tracks: TrackTable) -> npt.NDArray[np.float64]:
        known = self._inks
        if known[0] is not nuclei or known[1] is not tracks or known[2] != self._colouring:
            self._inks = known = (nuclei, tracks, self._colouring, nucleus_colours(nuclei, tracks, self._colouring))
        found: npt.NDArray[np.float64] = known[3]
        return found

    def _hidden(self) -> tuple[int, ...]:
        """Axes of the layer that are not on screen."""
        n, dims = len(self._place.grid.axes), self._viewer.dims
        return tuple(i for i in range(n) if dims.ndim - n + i in dims.not_displayed)

    def _width(self) -> float:
        """Lines as wide as is seen well when a plane fills the canvas."""
        grid = self._place.grid
        sides = [abs(grid.scale[grid.axes.index(a)]) * self._place.shape_tzyx["tzyx".index(a)] for a in "yx"]
        return 0.007 * min(sides)
