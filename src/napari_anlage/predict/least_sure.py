"""The panel "where to annotate next": the places where the network is least sure."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QListWidget, QListWidgetItem, QSizePolicy

from anlage import AddRegion, AnlageError, Box, Region, least_sure
from anlage.project.proposals import ProposedNuclei
from anlage.wording import plural
from napari_anlage.predict.acceptance import Acceptance
from napari_anlage.session.session import Session
from napari_anlage.viewer import camera
from napari_anlage.widgets.basic import ActionButton, Tab, heading
from napari_anlage.widgets.connect import connect
from napari_anlage.widgets.escaping import plain

__all__ = ["LeastSurePanel", "spread_frames"]

_FRAMES = 5
"""So many frames, all over the movie, are looked at when more than what was predicted is asked for."""
_PROPOSALS = 4
_LIST_HEIGHT = 104


class LeastSurePanel(Tab):
    """Cuboids worth annotating, with a jump and a region drawn.

    Parameters
    ----------
    session, acceptance
        What is shared, and the candidates.
    busy
        Why no prediction can begin now; None if one can.
    """

    wanted = Signal(object)
    """Frames (a list of numbers) that have to be predicted first."""
    region_added = Signal()
    """A region was drawn; the user will annotate in it."""

    def __init__(self, session: Session, acceptance: Acceptance, busy: Callable[[], str | None]) -> None:
        super().__init__()
        self._session, self._acceptance, self._busy = session, acceptance, busy
        self._of: ProposedNuclei | None = None
        self._waiting = False
        self.find = ActionButton(
            "Find the least sure places",
            tooltip="Among what was predicted: cuboids with most candidates near the threshold.",
        )  # fmt: skip
        self.more = ActionButton("Look at more frames")
        self.list = QListWidget()
        self.list.setToolTip("Click to go there.")
        self.here = ActionButton(
            "Annotate here",
            tooltip="Adds the cuboid as a region of your annotation, sparse until you mark it complete.",
        )  # fmt: skip
        self._build()
        self._connect()
        self.refresh()

    def _build(self) -> None:
        self.column.setContentsMargins(0, 0, 0, 0)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        self.list.setWordWrap(True)
        self.list.setFixedHeight(_LIST_HEIGHT)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.add(heading("Annotate here next"), self.find, self.status, self.list, self.here, self.more)
        for widget in (self.list, self.here, self.more):
            widget.hide()

    def _connect(self) -> None:
        self.find.clicked.connect(lambda: self.attempt(self.list_places))
        self.more.clicked.connect(lambda: self.attempt(self._want_more))
        self.list.itemClicked.connect(lambda item: self.attempt(lambda: self._go(item)))
        self.list.currentRowChanged.connect(lambda _: self.refresh())
        self.here.clicked.connect(lambda: self.attempt(self.add_region))
        self._acceptance.changed.connect(self.refresh)
        connect(self._session.exchanged, self._on_exchanged)

    def refresh(self) -> None:
        """Buttons, and why they are grey."""
        found = self._acceptance.candidates
        busy = self._busy()
        missing = None if found is not None else "Preview something, or run all frames, first."
        self.find.allow(missing, show=False)
        self.here.allow(None if self.list.currentItem() else "Choose one of the places.", show=False)
        self.more.allow(busy, show=False)
        if found is not self._of and not self._waiting:
            self.forget()

    def _on_exchanged(self) -> None:
        """The places were in the image before."""
        self._waiting = False
        self.forget()

    def forget(self) -> None:
        """The places are of no account any more."""
        self._of = self._acceptance.candidates
        self.list.clear()
        self.status.say("")
        for widget in (self.list, self.here, self.more):
            widget.hide()

    # ---- finding ----

    def list_places(self) -> None:
        """List the places where the candidates that are there are least sure."""
        session, acceptance, found = self._session, self._acceptance, self._acceptance.candidates
        if found is None:
            raise AnlageError("Nothing was predicted yet; preview something, or run all frames.")
        self._of = found
        shape = session.image().shape_tzyx
        places = least_sure(
            found.nuclei.select(np.flatnonzero(acceptance.unjudged)), shape, found.spacing, found.threshold, n=_PROPOSALS,
            size_um=tuple(acceptance.size_um * part for part in (4.0, 6.0, 6.0)), exclude=[r.box for r in session.regions],
        )  # fmt: skip
        self.list.clear()
        for one in places:
            item = QListWidgetItem(one.sentence)
            item.setToolTip(plain(one.sentence))
            item.setData(Qt.ItemDataRole.UserRole, one.box)
            self.list.addItem(item)
        n = len(found.frames)
        examined = f"frame {found.frames[0]} only" if n == 1 < shape[0] else f"{n} of {plural(shape[0], 'frame')}"
        outcome = "the network is sure of everything outside your regions"
        if places:
            outcome = f"{plural(len(places), 'place')}, least sure first"
        self.status.say(f"Looked at {examined}: {outcome}.", "good")
        for widget in (self.list, self.here):
            widget.setVisible(bool(places))
        missing = self.frames_to_see()
        self.more.setVisible(bool(missing))
        self.more.button.setText(f"Look at {plural(len(missing), 'more frame')}")
        if places:
            self.list.setCurrentRow(0)
            self._go(self.list.item(0))
        self.refresh()

    def arrived(self) -> None:
        """The frames that were asked for are there, or as many of them as there will be."""
        waited, self._waiting = self._waiting, False
        if waited and self._acceptance.candidates is not None:
            self.attempt(self.list_places)

    def _want_more(self) -> None:
        self._waiting = True
        self.wanted.emit(self.frames_to_see())

    def frames_to_see(self) -> list[int]:
        """Frames all over the movie that were not predicted yet."""
        found = self._acceptance.candidates
        seen = () if found is None else found.frames
        return spread_frames(int(self._session.image().n_frames), seen)

    def _go(self, item: QListWidgetItem) -> None:
        box = item.data(Qt.ItemDataRole.UserRole)
        t, z, y, x = ((low + high - 1) / 2 for low, high in box.ranges)
        camera.go_to(self._session.viewer, self._session.grid(), (t, z, y, x))

    def add_region(self) -> None:
        """Draw the chosen cuboid as a region."""
        item = self.list.currentItem()
        if item is None:
            raise AnlageError("Choose one of the places first.")
        box: Box = item.data(Qt.ItemDataRole.UserRole)
        document = self._session.need_document()
        number = document.new_region_id()
        region = Region.around(number, f"region {number}", box, complete=False)
        document.apply(AddRegion(region))
        self._go(item)
        self.list.takeItem(self.list.row(item))
        for widget in (self.list, self.here):
            widget.setVisible(self.list.count() > 0)
        self.status.say(
            f"'{region.name}' is drawn. Judge and add its nuclei; mark it complete on the Annotate tab when all are there.",
            "good",
        )
        self.region_added.emit()


def spread_frames(n_frames: int, seen: Sequence[int]) -> list[int]:
    """A few frames all over a movie, without those that were seen and their neighbours."""
    few = np.unique(np.rint(np.linspace(0, n_frames - 1, min(_FRAMES, n_frames))).astype(int))
    near = 0 if n_frames <= 2 * _FRAMES else 1
    return [int(t) for t in few if not any(abs(t - other) <= near for other in seen)]
