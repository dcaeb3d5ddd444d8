"""The region panel: detect, choose, move and name regions; complete or sparse, for training or validation."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QWidget,
)

from anlage import AnlageError, Annotations, Box, TimeLapse, examine_cuboid
from anlage.wording import plural
from napari_anlage.annotate.box_handles import BoxHandles, core_for
from napari_anlage.jobs.thread import ErrorReport, Thread
from napari_anlage.session.channels import nuclei_image
from napari_anlage.session.session import Session
from napari_anlage.viewer import camera
from napari_anlage.viewer.read import layer_kind
from napari_anlage.viewer.view_box import seen_box
from napari_anlage.widgets.basic import ActionButton, Tab, heading, note
from napari_anlage.widgets.box_sliders import BoxSliders
from napari_anlage.widgets.connect import connect
from napari_anlage.widgets.escaping import plain
from napari_anlage.widgets.issue_list import IssueList
from napari_anlage.widgets.plain_text import Label
from napari_anlage.widgets.silent import silent

if TYPE_CHECKING:
    from anlage import Cuboid, Issue

__all__ = ["RegionPanel", "evidence", "frames_in_words"]

_WALLS = {
    "z0": "first plane", "z1": "last plane", "y0": "first row", "y1": "last row", "x0": "first column", "x1": "last column"
}  # fmt: skip
_COMPLETE = (
    ("all nuclei (complete)", "Every nucleus in it is marked."),
    ("some nuclei (sparse)", "Only some of its nuclei are marked."),
)
_USES = (
    ("auto", "automatic", "The training decides which part of it is held out."),
    ("train", "training", "Always learnt from, never held out."),
    ("validation", "validation", "Always held out: never learnt from, the network is judged by it."),
)


class RegionPanel(Tab):
    """Regions of the session's project."""

    title = "Regions"

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._thread = Thread(self)
        self._stale = False
        self._listed: tuple[Issue, ...] = ()
        self.find = ActionButton(
            "Box around my annotations", primary=True,
            tooltip="Finds the parts of the movie in which your annotation is complete, over time too.",
        )  # fmt: skip
        self.here = QPushButton("New box around the view")
        self.list = QListWidget()
        self.name = QLineEdit()
        self.complete = QComboBox()
        self.use = QComboBox()
        self.sliders = BoxSliders()
        self.mouse = QPushButton("Move walls with the mouse")
        self.delete = QPushButton("Delete")
        self.evidence = Label()
        self.examine = QPushButton("Look for doubts")
        self.doubts = IssueList(84)
        self.handles = BoxHandles(session)
        self._details = QWidget()
        self._build()
        self._connect()
        session.choose_any_nuclei()
        self.refresh()

    def _build(self) -> None:
        self.column.setContentsMargins(0, 0, 0, 0)
        self.add(heading("Regions"))
        self.add(note("Where your annotation is complete. Outside nothing is learnt, neither nucleus nor background."))
        self.here.setToolTip("A region by hand: what is in view, in the frame that is shown and over the whole depth.")
        self.add(self.find, self.here, self.status)
        self.list.setFixedHeight(76)
        for widget in (self.list, self.doubts, self.name, self.sliders, self.mouse, self.delete, self.here):
            widget.setMinimumWidth(40)
        self.list.setToolTip("The regions of the project; click one to see and change it.")
        self.add(self.list)
        self._build_details()

    def _build_details(self) -> None:
        """What can be changed about the chosen region."""
        for combo in (self.complete, self.use):
            combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
            combo.setMinimumContentsLength(5)
        for value, text in _COMPLETE:
            self.complete.addItem(value)
            self.complete.setItemData(self.complete.count() - 1, plain(text), Qt.ItemDataRole.ToolTipRole)
        for value, text, why in _USES:
            self.use.addItem(text, value)
            self.use.setItemData(self.use.count() - 1, plain(why), Qt.ItemDataRole.ToolTipRole)
        details = Tab()
        details.column.setContentsMargins(0, 0, 0, 0)
        details.status.hide()
        form = QFormLayout()
        form.setContentsMargins(0, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Name", self.name)
        form.addRow("Marked", self.complete)
        form.addRow("Used for", self.use)
        details.column.addLayout(form)
        details.add(self.sliders)
        self.mouse.setCheckable(True)
        self.mouse.setToolTip("Drag the bright rectangle's edges, corners or inside in the image, in any 2D view.")
        self.delete.setToolTip("Removes the region; the nuclei in it stay. It can be undone.")
        row = QHBoxLayout()
        row.addWidget(self.mouse, 1)
        row.addWidget(self.delete)
        details.column.addLayout(row)
        self.evidence.setWordWrap(True)
        self.examine.setToolTip("Looks in the image for nuclei that were not marked, in the region as it is now.")
        details.add(self.evidence, self.examine, self.doubts)
        self._details = details
        self.add(details)
        self.column.addStretch(1)  # words that wrap ask for more height than they need

    def _connect(self) -> None:
        session = self._session
        self.find.clicked.connect(self.find_regions)
        self.here.clicked.connect(lambda: self.attempt(self._box_here))
        self._thread.done.connect(self._on_found)
        self._thread.failed.connect(self._on_failed)
        self.list.currentRowChanged.connect(self._on_row)
        self.name.editingFinished.connect(lambda: self._change(name=self.name.text().strip() or self._region().name))
        self.complete.activated.connect(lambda i: self._change(complete=i == 0))
        self.use.activated.connect(lambda i: self._change(use=self.use.itemData(i)))
        self.sliders.moved.connect(self._on_moved)
        self.sliders.change_finished.connect(self._on_change_finished)
        self.handles.moved.connect(self._on_moved)
        self.handles.change_finished.connect(self._on_change_finished)
        self.handles.ended.connect(lambda: self.mouse.setChecked(False))
        self.mouse.toggled.connect(self.handles.switch)
        self.delete.clicked.connect(lambda: self.attempt(lambda: session.bench.remove_region(self._region().id)))
        self.examine.clicked.connect(self._on_examine)
        self.doubts.picked.connect(self._on_doubt)
        session.layers_changed.connect(session.choose_any_nuclei)
        connect(session.exchanged, self._on_exchanged)
        connect(session.image_changed, self.refresh)
        connect(session.nuclei_changed, self._on_nuclei)
        connect(session.cuboids_changed, self.refresh_regions)

    def retire(self) -> None:
        """Let the mouse go."""
        self.handles.switch(False)

    # ---- finding ----

    def refresh(self) -> None:
        """Say what is there and what is missing."""
        self.find.allow(self._missing() or ("Looking for regions …" if self._thread.busy else None))
        self.here.setEnabled(self._session.image_layer is not None)
        self.refresh_regions()

    def _missing(self) -> str | None:
        session = self._session
        try:
            session.scaled_image()
            layer = session.nuclei_layer
            quick = layer is None or layer_kind(layer) != "labels" or session.uses_document
            if quick and len(session.annotations()) == 0:
                return "No nucleus is annotated yet; mark some first."
        except AnlageError as error:
            return str(error)
        return None

    def find_regions(self) -> None:
        """Detect in a thread where annotation is complete."""
        self.status.say("Looking for regions …", "info")
        if (
            self.attempt(lambda: self._thread.run(_detect, nuclei_image(self._session), self._session.reading()))
            is None
        ):
            self.find.allow("Looking for regions …" if self._thread.busy else None, show=False)

    def _box_here(self) -> None:
        session = self._session
        box = seen_box(session.viewer, session.grid(), session.scaled_image().shape_tzyx)
        session.select_region(session.bench.add_region(box))

    def _on_found(self, result: tuple[Annotations, tuple[Cuboid, ...], int | None]) -> None:
        nuclei, cuboids, number = result
        session = self._session
        session.count_in(nuclei)
        self._stale = False
        if number is not None:
            session.bench.take_examined(number, cuboids[0])
            session.select_region(number)
        else:
            ids = self.attempt(lambda: session.bench.take_found(cuboids))
            if ids is None:
                return
            session.select_region(ids[0])
        doubts = sum(len(cuboid.doubts) for cuboid in cuboids)
        n = sum(cuboid.n_nuclei for cuboid in cuboids)
        what = "Looked at it" if number is not None else f"Found {plural(len(cuboids), 'region')}"
        self.status.say(
            f"{what}: {plural(n, 'nucleus', 'nuclei')}, {plural(doubts, 'doubt') if doubts else 'no doubts'}.",
            "warning" if doubts else "good",
        )
        self.find.allow(self._missing())
        self.examine.setEnabled(True)

    def _on_failed(self, problem: ErrorReport) -> None:
        self.report(problem)
        self.find.allow(self._missing())
        self.examine.setEnabled(True)

    def _on_examine(self) -> None:
        self.examine.setEnabled(False)
        region = self._region()
        self.status.say("Looking for doubts …", "info")
        self.attempt(lambda: self._examine(region.id, region.box, region.core))

    def _examine(self, number: int, box: Box, core: Box) -> None:
        self._thread.run(_examine, nuclei_image(self._session), self._session.reading(), number, box, core)

    # ---- the regions ----

    def refresh_regions(self) -> None:
        """Show the regions, and the selected one in detail."""
        session = self._session
        regions = () if session.image_layer is None else session.regions
        selected = session.selected
        self.list.setVisible(bool(regions))
        self._details.setVisible(bool(regions))
        if not regions:
            self.mouse.setChecked(False)
            return
        cuboids = self.attempt(lambda: session.cuboids)
        if cuboids is None:
            return
        with silent(self.list):
            self.list.clear()
            for region, cuboid in zip(regions, cuboids, strict=True):
                use = {"auto": "", "train": " · training", "validation": " · validation"}[str(region.use)]
                kind = (" · perhaps incomplete" if cuboid.doubts else "") if region.complete else " · sparse"
                text = f"{region.name} – {plural(cuboid.n_nuclei, 'nucleus', 'nuclei')}{kind}{use}"
                self.list.addItem(QListWidgetItem(text))
            place = next((i for i, region in enumerate(regions) if region.id == selected), 0)
            self.list.setCurrentRow(place)
        region, cuboid = regions[place], cuboids[place]
        if not self.name.hasFocus() or self.name.text() == "":
            self.name.setText(region.name)
        self.complete.setCurrentIndex(0 if region.complete else 1)
        self.use.setCurrentIndex([value for value, _, _ in _USES].index(str(region.use)))
        # the layer of the only ticked channel may have been removed while those of others are still there
        if not self.sliders.busy and session.picked:
            self.sliders.show_box(region.box, session.image().shape_tzyx)
        self._show_evidence(cuboid)
        found = session.bench.found(region)
        self.examine.setVisible(found is None or self._stale)
        self._listed = cuboid.doubts
        self.doubts.show_lines([_sentence(doubt.text) for doubt in cuboid.doubts])

    def _show_evidence(self, cuboid: Cuboid) -> None:
        self.evidence.setText(evidence(cuboid))

    def _region(self) -> Any:
        number = self._session.selected
        if number is None:
            raise AnlageError("No region is chosen; click one in the list.")
        return self._session.bench.region(number)

    def _on_row(self, row: int) -> None:
        regions = self._session.regions
        if 0 <= row < len(regions):
            self.name.clearFocus()
            self._session.select_region(regions[row].id)

    def _change(self, **fields: Any) -> None:
        if self._session.regions:
            self.attempt(lambda: self._session.bench.change_region(self._region().id, **fields))

    def _on_moved(self, box: Box) -> None:
        """A wall is being moved: show it, and what the region would hold."""
        session = self._session
        region = self._region()
        session.draft_region(region.id, box)
        self._show_evidence(session.bench.holding(region.model_copy(update={"box": box}), session.counted()))

    def _on_change_finished(self, box: Box) -> None:
        self._session.draft_region(None, None)
        region = self._region()
        self._change(box=box, core=core_for(region.box, region.core, box))

    def _on_exchanged(self) -> None:
        """What was looked for was in the image before."""
        self._thread.forget()
        self.mouse.setChecked(False)
        self.examine.setEnabled(True)
        self.name.clearFocus()
        self._stale = False
        self.status.say("", "idle")

    def _on_nuclei(self) -> None:
        self._stale = True
        self.refresh()

    def _on_doubt(self, row: int) -> None:
        position = self._listed[row].position
        if position is not None:
            self.attempt(lambda: camera.go_to(self._session.viewer, self._session.grid(), position))


def _detect(image: TimeLapse, reading: Callable[[], Annotations]) -> tuple[Annotations, tuple[Cuboid, ...], int | None]:
    from anlage import detect_cuboid  # loads scipy: not before it is wanted

    nuclei = reading()
    return nuclei, detect_cuboid(nuclei, image, spacing=image.spacing), None


def _examine(
    image: TimeLapse, reading: Callable[[], Annotations], number: int, box: Box, core: Box
) -> tuple[Annotations, tuple[Cuboid, ...], int | None]:
    nuclei = reading()
    return nuclei, (examine_cuboid(box, core, nuclei, image),), number


def evidence(cuboid: Cuboid) -> str:
    """What a cuboid holds, as a sentence."""
    walls = " and ".join(_WALLS.get(wall, wall) for wall in cuboid.cut_walls)
    cut = f" Nuclei are cut by the image's {walls}." if walls else ""
    return f"Holds {plural(cuboid.n_nuclei, 'nucleus', 'nuclei')} in {frames_in_words(cuboid.frames)}.{cut}"


def frames_in_words(frames: tuple[int, ...]) -> str:
    """Which frames: ``frames 0–2``, ``4 frames between 0 and 9``."""
    if not frames:
        return "no frame"
    if len(frames) == 1:
        return f"frame {frames[0]}"
    first, last = frames[0], frames[-1]
    gapless = last - first + 1 == len(frames)
    return f"frames {first}–{last}" if gapless else f"{len(frames)} frames between {first} and {last}"


def _sentence(text: str) -> str:
    """Doubts come as parts of a sentence."""
    return f"{text[0].upper()}{text[1:]}{'' if text.endswith('.') else '.'}"
