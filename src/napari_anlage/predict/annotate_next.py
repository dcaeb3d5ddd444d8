"""The panel "Annotate here next": places where the network is probably wrong."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QListWidget, QListWidgetItem, QSizePolicy

from anlage import AddRegion, AnlageError, Box, Region
from anlage.project.next_places import FRAMES, NextPlaces, PlaceRequest, find_places, spread
from anlage.project.proposals import ProposedNuclei
from anlage.wording import plural
from napari_anlage.jobs.registry import Slot
from napari_anlage.jobs.thread import ErrorReport, Thread
from napari_anlage.predict.acceptance import Acceptance
from napari_anlage.session.channels import nuclei_image
from napari_anlage.session.session import Session
from napari_anlage.viewer import camera
from napari_anlage.widgets.basic import ActionButton, Tab, heading
from napari_anlage.widgets.connect import connect
from napari_anlage.widgets.escaping import plain

__all__ = ["NextPlacesPanel", "frames_to_see"]

_PROPOSALS = 4
_LIST_HEIGHT = 104


class NextPlacesPanel(Tab):
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
        self._thread, self._job = Thread(self), Slot(session.jobs)
        self._given_up = threading.Event()
        self.find = ActionButton(
            "Find places worth annotating",
            tooltip="Among what was predicted: cuboids in which the network and the blob detector contradict each other most, for one "
            "of them is wrong there.",
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
        self.find.clicked.connect(lambda: self.attempt(self.find_places))
        self._thread.done.connect(self._on_found)
        self._thread.failed.connect(self._on_failed)
        self._thread.progressed.connect(self._job.update)
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
        if self._thread.busy:
            missing = "Looking for places …"
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
        self.stop()
        self._of = self._acceptance.candidates
        self.list.clear()
        self.status.say("")
        for widget in (self.list, self.here, self.more):
            widget.hide()

    # ---- finding ----

    def find_places(self) -> None:
        """Look for places in what was predicted; they are listed when they are there."""
        session, acceptance, found = self._session, self._acceptance, self._acceptance.candidates
        if found is None:
            raise AnlageError("Nothing was predicted yet; preview something, or run all frames.")
        request = PlaceRequest(
            nuclei_image(session), found, acceptance.size_um, acceptance.annotated,
            tuple(region.box for region in session.regions), _PROPOSALS,
        )  # fmt: skip
        self.forget()
        self._given_up = given_up = threading.Event()

        def progress(done: int, of: int) -> bool:
            self._thread.report(done / of, f"frame {done + 1} of {of}")
            return not given_up.is_set()

        self._job.begin("Looking for places to annotate", self.stop)
        self.status.say("Holding the proposals against the blob detector …", "info")
        self._thread.run(find_places, request, progress)
        self.refresh()

    def stop(self) -> None:
        """Give up looking."""
        if self._thread.busy:
            self._given_up.set()
            self._thread.forget()
            self._job.end()
            self.status.say("Cancelled.", "idle")

    def _on_failed(self, problem: ErrorReport) -> None:
        self._job.end()
        self.report(problem)
        self.refresh()

    def _on_found(self, found: NextPlaces) -> None:
        self._job.end()
        self.list.clear()
        for one in found.places:
            item = QListWidgetItem(one.sentence)
            item.setToolTip(plain(one.sentence))
            item.setData(Qt.ItemDataRole.UserRole, one.box)
            self.list.addItem(item)
        n_frames, n = self._session.image().n_frames, len(found.frames)
        examined = f"frame {found.frames[0]} only" if n == 1 < n_frames else f"{n} of {plural(n_frames, 'frame')}"
        outcome = "nothing outside your regions is in doubt"
        if found.places:
            outcome = f"{plural(len(found.places), 'place')}, {found.rule}"
        self.status.say(f"Looked at {examined}: {outcome}.", "good")
        for widget in (self.list, self.here):
            widget.setVisible(bool(found.places))
        missing = self.frames_to_see()
        self.more.setVisible(bool(missing))
        self.more.button.setText(f"Look at {plural(len(missing), 'more frame')}")
        if found.places:
            self.list.setCurrentRow(0)
            self._go(self.list.item(0))
        self.refresh()

    def arrived(self) -> None:
        """The frames that were asked for are there, or as many of them as there will be."""
        waited, self._waiting = self._waiting, False
        if waited and self._acceptance.candidates is not None:
            self.attempt(self.find_places)

    def _want_more(self) -> None:
        self._waiting = True
        self.wanted.emit(self.frames_to_see())

    def frames_to_see(self) -> list[int]:
        """Frames all over the movie that were not predicted yet."""
        found = self._acceptance.candidates
        seen = () if found is None else found.frames
        return frames_to_see(int(self._session.image().n_frames), seen)

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


def frames_to_see(n_frames: int, seen: Sequence[int]) -> list[int]:
    """A few frames all over a movie, without those that were seen and their neighbours."""
    near = 0 if n_frames <= 2 * FRAMES else 1
    return [t for t in spread(range(n_frames), FRAMES) if not any(abs(t - other) <= near for other in seen)]
