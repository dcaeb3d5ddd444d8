"""Accept and reject proposals: their states, threshold, colours and layer. Knows no Qt.

The candidates come from a model, what became of them stands in the document; the overlay is a view of both.
"""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from napari.utils import Colormap
from psygnal import Signal

from anlage import HUMAN, AddNuclei, AnlageError, Annotations, Box, Several, State
from anlage.project.proposals import (
    SAME_DIAMETERS,
    Mask,
    ProposalState,
    ProposedNuclei,
    proposal_states,
    without_duplicates,
)
from anlage.wording import plural
from napari_anlage.session.member import SessionMember
from napari_anlage.session.session import Session
from napari_anlage.viewer import layer_roles, overlay
from napari_anlage.viewer.colouring import PROBABILITY
from napari_anlage.viewer.read import layer_kind

if TYPE_CHECKING:
    from anlage import Change

__all__ = ["Acceptance", "Rows"]

Rows = npt.NDArray[np.int64]
"""Row numbers of candidates."""

_ACCEPTANCES: weakref.WeakKeyDictionary[Session, Acceptance] = weakref.WeakKeyDictionary()
_SAME_UM = 0.05


class Acceptance(SessionMember):
    """Candidates, the two sliders, and what the document says about each of them.

    Use `Review.of`; there is one for each session, and it outlives the dock.
    """

    changed = Signal()
    """Other candidates, another slider's value, or another standing of one of them."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.candidates: ProposedNuclei | None = None
        self.threshold = 0.5
        self.home_um = 0.0
        """Nucleus diameter in µm that was measured or assumed, and is taken unless the user says otherwise."""
        self.chosen_um: float | None = None
        """Nucleus diameter in µm that the user chose."""
        self._is_unique: Mask = np.zeros(0, dtype=bool)
        self._proposal_states: npt.NDArray[np.int8] = np.zeros(0, dtype=np.int8)
        self._annotated = Annotations.of([])
        self._image_layer: Any = None
        self._layer: Any = None
        self._drawn: ProposedNuclei | None = None
        self._visited = -1
        self._removed: Rows = np.zeros(0, dtype=np.int64)
        session.document_changed.connect(self._on_document)
        session.project_changed.connect(self._on_other_document)
        session.nuclei_changed.connect(self._on_nuclei)
        session.image_changed.connect(self._on_image)
        session.viewer.layers.events.removed.connect(self._on_layer_removed)

    @classmethod
    def of(cls, session: Session) -> Acceptance:
        """The review of a session, made on first use."""
        if session not in _ACCEPTANCES:
            _ACCEPTANCES[session] = cls(session)
        return _ACCEPTANCES[session]

    # ---- candidates and sliders ----

    def take(self, candidates: ProposedNuclei) -> None:
        """Review these; what the same model said elsewhere stays, and so do the sliders."""
        before = self.candidates
        same = before is not None and before.id == candidates.id and self._image_layer is self.session.image_layer
        if self._image_layer is not self.session.image_layer:
            self._image_layer, self.chosen_um = self.session.image_layer, None
        if before is not None and same:
            self.candidates = before.updated(candidates)
        else:
            self.candidates, self.threshold = candidates, candidates.threshold
        if self.chosen_um is None or not self.home_um:
            self.home_um = candidates.diameter_um
        self._recompute()

    @property
    def size_um(self) -> float:
        """Nucleus diameter in µm: the rings, the radius of what is accepted, and twice how near two can be."""
        return self.home_um if self.chosen_um is None else self.chosen_um

    def clear(self) -> None:
        """Review nothing."""
        if self.candidates is not None:
            self.candidates = None
            layer_roles.remove(self.session.viewer, "preview")
            self._recompute()

    def set_threshold(self, probability: float) -> None:
        """Show what is at least so likely; this needs no network."""
        self.threshold = float(probability)
        self._draw()
        self.changed.emit()

    def set_size(self, diameter_um: float) -> None:
        """Take nuclei to be so large: the rings, the radius of what is accepted, and how near two can be."""
        self.chosen_um = None if abs(diameter_um - self.home_um) < _SAME_UM else float(diameter_um)
        self._recompute()

    def _recompute(self) -> None:
        candidates = self.candidates
        self._annotated = self._marked()
        if candidates is None:
            self._is_unique, self._proposal_states = np.zeros(0, dtype=bool), np.zeros(0, dtype=np.int8)
        else:
            self._is_unique = without_duplicates(candidates, SAME_DIAMETERS * self.size_um)
            self._proposal_states = proposal_states(candidates, self._annotated, SAME_DIAMETERS * self.size_um)
        self._draw()
        self.changed.emit()

    # ---- what is there ----

    @property
    def annotated(self) -> Annotations:
        """The annotation that candidates are held against, rejected nuclei included."""
        return self._annotated

    @property
    def shown(self) -> Mask:
        """(N,) which candidates are proposed: likely enough, the likeliest of their place, and not judged yet."""
        if self.candidates is None:
            return np.zeros(0, dtype=bool)
        likely: Mask = self.candidates.nuclei.probability >= self.threshold
        return likely & self.unjudged

    @property
    def unjudged(self) -> Mask:
        """(N,) which candidates, faint ones too, nobody has judged and no likelier one covers."""
        free: Mask = self._is_unique & (self._proposal_states == ProposalState.OPEN)
        return free

    def inside(self, boxes: Iterable[Box] | None = None) -> Rows:
        """Rows of the proposals in these boxes; of all of them by default."""
        if self.candidates is None:
            return np.zeros(0, dtype=np.int64)
        return np.flatnonzero(self.shown if boxes is None else self.shown & self.candidates.inside(boxes))

    def counts(self) -> tuple[int, int, int]:
        """How many candidates are proposed, have a nucleus in the annotation, and were rejected."""
        judged = [
            int(np.sum((self._proposal_states == one) & self._is_unique))
            for one in (ProposalState.ANNOTATED, ProposalState.REJECTED)
        ]
        return int(self.shown.sum()), judged[0], judged[1]

    def under_cursor(self) -> Rows:
        """Row of the proposal that the mouse is over; else of the selected ones; else none."""
        layer, viewer = self._layer, self.session.viewer
        if layer is None or self.candidates is None or not layer.visible:
            return np.zeros(0, dtype=np.int64)
        shown, hidden = list(viewer.dims.displayed), list(viewer.dims.not_displayed)
        position = np.array(viewer.cursor.position, dtype=float)
        position[hidden] = np.array(viewer.dims.point, dtype=float)[
            hidden
        ]  # the sliders may have moved since the mouse did
        direction = viewer.cursor.view_direction if len(shown) == 3 else None
        there = layer.get_value(tuple(position), view_direction=direction, dims_displayed=shown, world=True)
        return self._rows(sorted(layer.selected_data) if there is None else [int(there)])

    def selected(self) -> Rows:
        """Rows of the proposals that are selected in their layer."""
        return self._rows([] if self._layer is None else sorted(self._layer.selected_data))

    def _rows(self, points: list[int]) -> Rows:
        """Rows of points of the layer, which holds every candidate once for each channel."""
        n = 0 if self.candidates is None else len(self.candidates)
        rows = np.unique(np.array(points, dtype=np.int64) % max(n, 1))
        return rows[self.shown[rows]] if n else rows

    def predicted_box(self, frame: int) -> Box:
        """The part of a frame that was predicted.

        Raises
        ------
        AnlageError
            If none of it was.
        """
        if self.candidates is None:
            raise AnlageError("Nothing was predicted yet; preview something, or run all frames.")
        return self.candidates.predicted_box(frame)

    def next_open(self, frame: int) -> tuple[float, float, float, float]:
        """Where the next proposal to judge is: the least likely of this frame, else of the frames after it, and around.

        The same one is not given twice in a row.

        Raises
        ------
        AnlageError
            If none is left.
        """
        rows = self.inside()
        if self.candidates is None or not len(rows):
            raise AnlageError("No proposal is left to judge; lower the threshold, or preview another place.")
        nuclei = self.candidates.nuclei
        n_frames = int(nuclei.frames.max()) + 1
        order = rows[np.lexsort((nuclei.probability[rows], (nuclei.frames[rows] - frame) % n_frames))]
        place = np.flatnonzero(order == self._visited)
        self._visited = int(order[(place[0] + 1) % len(order)]) if len(place) else int(order[0])
        t, z, y, x = nuclei.positions[self._visited]
        return float(t), float(z), float(y), float(x)

    def outside_regions(self) -> int:
        """How many judged nuclei, whichever model proposed them, lie in no region: they are not learnt from."""
        judged: Mask = self._annotated.origin != HUMAN
        for region in self.session.regions:
            judged = judged & ~region.box.contains(self._annotated.positions)
        return int(judged.sum())

    # ---- judging ----

    def accept(self, rows: Rows) -> int:
        """Put these proposals into the document as nuclei; gives their number."""
        return self._judge(rows, State.ACCEPTED, "accept")

    def reject(self, rows: Rows) -> int:
        """Put them into the document as rejected: explicit background in the next training; gives their number."""
        return self._judge(rows, State.REJECTED, "reject")

    def _judge(self, rows: Rows, state: State, verb: str) -> int:
        if self.candidates is None or not len(rows):
            raise AnlageError(f"There is no proposal to {verb} there; lower the threshold, or preview another place.")
        was_open = self.session.document is not None
        document = self.session.need_document()
        if not was_open:  # it was there already, and may say something of these
            self._recompute()
        rows = rows[self.shown[rows]]
        nuclei = self.candidates.nuclei.select(rows)
        edit = AddNuclei(
            document.new_ids(len(rows)), nuclei.positions, radius_um=self.size_um / 2, probability=nuclei.probability,
            state=int(state), origin=nuclei.origin,
        )  # fmt: skip
        if len(rows):
            document.apply(Several((edit,), f"{verb} {plural(len(rows), 'proposal')}"))
        return len(rows)

    def _marked(self) -> Annotations:
        """The annotation: the document's, else that of a layer of the user's own which is quickly read."""
        session = self.session
        if session.document is not None:
            return session.document.nuclei
        if session.nuclei_layer is not None and layer_kind(session.nuclei_layer) in ("points", "tracks"):
            with contextlib.suppress(AnlageError):  # it does not lie on this image
                return session.annotations()
        return Annotations.of([])

    # ---- the overlay ----

    def _draw(self) -> None:
        session, candidates = self.session, self.candidates
        if candidates is None or session.image_layer is None:
            self._layer = self._drawn = None
            return
        n_channels = session.n_layer_channels
        mask = np.tile(self.shown, n_channels if "c" in session.grid().axes else 1)
        size = self.size_um * world_per_um(session)
        if self._layer is None or self._drawn is not candidates:
            self._show(candidates, size, n_channels)
        layer = self._layer
        if not np.array_equal(layer.shown, mask):
            layer.selected_data = set()
            layer.shown = mask
        if len(layer.data) and not np.allclose(layer.size, size):
            layer.size = size
            overlay.show_depth(session.viewer, layer)

    def _show(self, candidates: ProposedNuclei, size: float, n_channels: int) -> None:
        session = self.session
        viewer, active = session.viewer, session.viewer.layers.selection.active
        former, self._layer, self._drawn = self._layer, None, candidates
        visible = former is None or former.visible
        layer = overlay.show_centres(viewer, session.grid(), candidates.nuclei, size, n_channels, candidates.model)
        layer.border_colormap = Colormap([*PROBABILITY], name="proposals")
        layer.refresh_colors(update_color_mapping=False)
        layer.visible = visible
        layer.events.data.connect(self._on_points)
        self._layer = layer
        viewer.layers.selection.active = layer if active is None or active is former else active

    # ---- events ----

    def _on_document(self, change: Change) -> None:
        """Look again at the frames in which nuclei changed."""
        if self.candidates is None or "nuclei" not in change.kinds:
            return
        before, now = self._annotated, self._marked()
        touched = {int(t) for table in (before, now) for t in table.frames[np.isin(table.ids, change.ids)]}
        self._annotated = now
        rows = np.isin(self.candidates.nuclei.frames, list(touched))
        self._proposal_states = np.where(
            rows, proposal_states(self.candidates, now, SAME_DIAMETERS * self.size_um, touched), self._proposal_states
        ).astype(np.int8)
        self._draw()
        self.changed.emit()

    def _on_other_document(self) -> None:
        if self._session() is not None:
            self._recompute()

    def _on_nuclei(self) -> None:
        """Nuclei changed in a layer of the user's own; the document reports each of its changes."""
        session = self._session()
        if session is not None and self.candidates is not None and session.document is None:
            self._recompute()

    def _on_image(self) -> None:
        session = self._session()
        if session is None or self.candidates is None:
            return
        if session.image_layer is not self._image_layer:
            self.clear()
            return
        self._drawn = None  # its axes or voxel size may be others
        self._draw()

    def _on_layer_removed(self, event: Any) -> None:
        if self._layer is not None and event.value is self._layer:
            self._layer = self._drawn = None
            self.clear()

    def _on_points(self, event: Any) -> None:
        """Somebody changed the overlay itself: what they deleted is rejected, all else is undone."""
        action = str(getattr(event.action, "value", event.action))
        if action == "removing":
            self._removed = self._rows([int(i) % max(len(self._layer.data), 1) for i in event.data_indices])
        elif action in ("added", "removed", "changed"):
            rows, self._removed = self._removed, np.zeros(0, dtype=np.int64)
            self._drawn = None
            if action == "removed" and len(rows):
                self.reject(rows)
            else:
                self._draw()


def world_per_um(session: Session) -> float:
    """World units of the image's layer in a µm, along x."""
    spacing, grid = session.image().spacing, session.grid()
    if spacing is None:
        return 1.0
    return float(abs(grid.scale[grid.axes.index("x")]) / spacing.x)
