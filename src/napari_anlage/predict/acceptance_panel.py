"""The panel to accept and reject proposals, and to train again."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QSizePolicy

from anlage import AddRegion, Box, Region
from anlage.wording import plural
from napari_anlage.predict.acceptance import Acceptance, Rows
from napari_anlage.session.session import Session
from napari_anlage.viewer import camera
from napari_anlage.viewer.view_box import seen_box
from napari_anlage.widgets.basic import ActionButton, Tab, heading, note
from napari_anlage.widgets.connect import connect
from napari_anlage.widgets.escaping import plain
from napari_anlage.widgets.plain_text import Label

__all__ = ["KEYS", "AcceptancePanel"]

KEYS = (
    ("c", "C", "Accepts the proposal under the mouse, else the selected ones."),
    ("x", "X", "Rejects the proposal under the mouse, else the selected ones."),
    ("k", "K", "Goes to the next proposal to judge, the least likely first."),
)
"""Key as napari writes it, as people write it, and what it does."""

_VIEW, _FRAME, _ALL, _SELECTED = "in view", "in this frame", "in all frames", "selected"


class AcceptancePanel(Tab):
    """What is proposed, and what becomes of it."""

    train_again = Signal()
    """The user wants to train with what was corrected."""

    def __init__(self, session: Session, acceptance: Acceptance) -> None:
        super().__init__()
        self._session, self._acceptance = session, acceptance
        self.counts = Label()
        self.scope = QComboBox()
        self.scope.setToolTip("Which of the proposals that are shown, that is, above the threshold.")
        self.accept = ActionButton("Accept", tooltip="They become nuclei of your annotation. Ctrl+Z takes it back.")
        self.reject = ActionButton(
            "Reject",
            tooltip="They are kept as wrong: background that the next training learns from. Ctrl+Z takes it back.",
        )
        self.keys = note("Under the mouse: C accepts, X rejects; K: the next.")
        self.keys.setToolTip(plain("\n".join(f"{shown}: {does}" for _, shown, does in KEYS)))
        self.region = ActionButton(
            "Region around what I judged",
            tooltip="Adds a region around the part of this frame that was predicted: training looks inside regions only.",
        )  # fmt: skip
        self.again = ActionButton(
            "Correct → train again", tooltip="Goes to the Train tab, to go on from this model with your corrections."
        )
        self._regions: list[int] = []
        self._build()
        self._connect()
        self.refresh()

    def _build(self) -> None:
        self.column.setContentsMargins(0, 0, 0, 0)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        self.add(heading("Proposals"), self.counts)
        row = QHBoxLayout()
        row.addWidget(self.scope, 2)
        row.addWidget(self.accept, 1)
        row.addWidget(self.reject, 1)
        self.column.addLayout(row)
        self.add(self.keys, self.status, self.region, self.again)

    def _connect(self) -> None:
        session = self._session
        self.accept.clicked.connect(lambda: self.judge(self._acceptance.accept))
        self.reject.clicked.connect(lambda: self.judge(self._acceptance.reject))
        self.region.clicked.connect(lambda: self.attempt(self.add_region))
        self.again.clicked.connect(self.train_again)
        self._acceptance.changed.connect(self.refresh)
        connect(session.cuboids_changed, self.refresh)
        actions: tuple[Callable[[Any], None], ...] = (
            lambda _: self.judge_one(self._acceptance.accept),
            lambda _: self.judge_one(self._acceptance.reject),
            lambda _: self.go_on(),
        )
        for (key, _, _), action in zip(KEYS, actions, strict=True):
            session.viewer.bind_key(key, action, overwrite=True)

    # ---- what is there ----

    def refresh(self) -> None:
        """Counts, places to choose from, and buttons."""
        acceptance = self._acceptance
        self.setVisible(acceptance.candidates is not None)
        if acceptance.candidates is None:
            return
        proposed, annotated, rejected = acceptance.counts()
        self.counts.setText(f"{proposed} proposed · {annotated} annotated · {rejected} rejected")
        self.counts.setToolTip(
            "Of the model's candidates: shown above the threshold and not judged; lying on a nucleus of the annotation; "
            "rejected."
        )
        self._refresh_scope()
        none = "There is no proposal left above the threshold."
        for button in (self.accept, self.reject):
            button.allow(None if proposed else none, show=False)
        outside = acceptance.outside_regions()
        self.status.say(
            f"{plural(outside, 'judged nucleus', 'judged nuclei')} outside every region: not learnt from."
            if outside
            else "",
            "warning",
        )
        self.region.setVisible(bool(outside))
        missing = None if self._session.regions else "There is no region yet, so nothing would be learnt."
        self.again.allow(missing, show=not outside)

    def _refresh_scope(self) -> None:
        regions = self._session.regions
        ids = [region.id for region in regions]
        texts = [_VIEW, _FRAME, _ALL, _SELECTED, *(f"in {region.name}" for region in regions)]
        if texts == [self.scope.itemText(i) for i in range(self.scope.count())]:
            return
        chosen = max(0, self.scope.currentIndex())
        self.scope.clear()
        self.scope.addItems(texts)
        self.scope.setCurrentIndex(chosen if chosen < len(texts) else 0)
        self._regions = ids

    # ---- judging ----

    def rows(self) -> Rows:
        """The proposals that the buttons act on."""
        session, acceptance, text = self._session, self._acceptance, self.scope.currentText()
        if text == _SELECTED:
            return acceptance.selected()
        if text == _ALL:
            return acceptance.inside()
        shape = session.image().shape_tzyx
        if text == _FRAME:
            t = camera.current_frame(session.viewer, session.grid(), shape[0])
            return acceptance.inside([Box.of((t, 0, 0, 0), (t + 1, *shape[1:]))])
        if text == _VIEW:
            return acceptance.inside([seen_box(session.viewer, session.grid(), shape)])
        number = self._regions[self.scope.currentIndex() - 4]
        return acceptance.inside([region.box for region in session.regions if region.id == number])

    def judge(self, verdict: Callable[[Rows], int]) -> None:
        """Accept or reject those that are chosen."""
        self.attempt(lambda: verdict(self.rows()))

    def judge_one(self, verdict: Callable[[Rows], int]) -> None:
        """Accept or reject the one under the mouse, else those that are selected."""
        self.attempt_quietly(lambda: verdict(self._acceptance.under_cursor()))

    def go_on(self) -> None:
        """Show the next proposal to judge."""
        self.attempt_quietly(self._go_on)

    def _go_on(self) -> None:
        session, acceptance = self._session, self._acceptance
        t = camera.current_frame(session.viewer, session.grid(), session.image().n_frames)
        camera.go_to(session.viewer, session.grid(), acceptance.next_open(t))

    def add_region(self) -> None:
        """Add a region around what was predicted in this frame."""
        session, acceptance = self._session, self._acceptance
        t = camera.current_frame(session.viewer, session.grid(), session.image().n_frames)
        box = acceptance.predicted_box(t)
        left = len(acceptance.inside([box]))
        document = session.need_document()
        number = document.new_region_id()
        region = Region.around(number, f"region {number}", box, complete=not left)
        document.apply(AddRegion(region))
        if left:
            self.status.say(
                f"'{region.name}' is sparse: {plural(left, 'proposal')} in it {'is' if left == 1 else 'are'} not judged.",
                "info",
            )
        else:
            self.status.say(
                f"'{region.name}' is complete: every nucleus in it counts as marked. If some are missing, mark them, or make "
                "it sparse on the Annotate tab.", "info",
            )  # fmt: skip

    def retire(self) -> None:
        """Give the keys back."""
        for key, _, _ in KEYS:
            self._session.viewer.bind_key(key, None)
