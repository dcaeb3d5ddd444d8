"""The spot-check panel: accept the links that are surely right, and check a random sample of them."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

import secrets
from typing import Any

import numpy as np
from qtpy.QtWidgets import QHBoxLayout, QSizePolicy

from anlage import (
    AnlageError,
    Annotations,
    ChangeLinks,
    RemoveLinks,
    Several,
    error_interval,
    rescaled_links,
    safe_links,
)
from anlage.tracking import track_fixes
from anlage.wording import plural
from napari_anlage.review.inspection import Inspection
from napari_anlage.session.session import Session
from napari_anlage.widgets.basic import ActionButton, StatusLine, Tab, heading, note, small_button
from napari_anlage.widgets.connect import connect, disconnect
from napari_anlage.widgets.escaping import plain
from napari_anlage.widgets.number_fields import CountField, NumberField
from napari_anlage.widgets.plain_text import Label

__all__ = ["SamplePanel"]

_USUAL_PERCENT, _USUAL_SAMPLE = 1.0, 50
Pair = tuple[int, int]


class SamplePanel(Tab):
    """Bulk acceptance with the errors that it will leave, and the sample that says whether that is true."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session, self._inspection = session, Inspection.of(session)
        self.most = NumberField()
        self.count = note("")
        self.accept = ActionButton("Accept them", tooltip="One step; Ctrl+Z takes it back.")
        self.size = CountField()
        self.size.setToolTip(plain("How many links are drawn by chance, to be looked at."))
        self.draw = ActionButton(
            "Draw a sample",
            tooltip="Goes through so many links, drawn at random from those above. Y: it is right, B: it is wrong and is broken.",
        )
        self.right = small_button("Right  Y", "The link is right: it is accepted. Key: Y")
        self.wrong = small_button("Wrong  B", "The link is wrong: it is broken. Key: B")
        self.end = small_button("End", "Ends the sample; what was checked counts.")
        self.result = StatusLine()
        self.scale = ActionButton(
            "Scale the probabilities by it",
            tooltip="Gives every proposed link a probability that agrees with what you found. One step; Ctrl+Z takes it back.",
        )
        self._checked: list[tuple[float, bool]] = []
        self._queue: list[Pair] = []
        self._expected = 0.0
        self.n_checked = self.n_wrong = 0
        self._document = session.document
        self._build()
        self._connect()
        self.refresh()

    def _build(self) -> None:
        self.column.setContentsMargins(0, 0, 0, 0)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        self.most.setRange(0.01, 50.0)
        self.most.setSingleStep(0.5)
        self.most.setSuffix(" %")
        self.most.setValue(_USUAL_PERCENT)
        self.most.setToolTip("Links whose own error probability is at most so much.")
        self.size.setRange(5, 1000)
        self.size.setValue(_USUAL_SAMPLE)
        self.size.setSuffix(" links")
        self.add(heading("Accept what is sure"))
        row = QHBoxLayout()
        row.addWidget(Label("Error probability up to"))
        row.addWidget(self.most, 1)
        self.column.addLayout(row)
        self.add(self.count, self.accept, heading("Check a random sample"))
        below = QHBoxLayout()
        below.addWidget(self.size, 1)
        below.addWidget(self.draw, 1)
        self.column.addLayout(below)
        verdicts = QHBoxLayout()
        for button in (self.right, self.wrong, self.end):
            verdicts.addWidget(button, 1)
        self.column.addLayout(verdicts)
        self.add(self.result, self.scale, self.status)

    def _connect(self) -> None:
        self.most.valueChanged.connect(lambda _: self.refresh())
        self.accept.clicked.connect(lambda: self.attempt(self.accept_all))
        self.draw.clicked.connect(lambda: self.attempt(self.begin))
        self.right.clicked.connect(lambda: self.attempt(lambda: self.judge("accept")))
        self.wrong.clicked.connect(lambda: self.attempt(lambda: self.judge("break")))
        self.end.clicked.connect(self.stop)
        self.scale.clicked.connect(lambda: self.attempt(self.rescale))
        connect(self._session.document_changed, self.refresh)
        connect(self._session.project_changed, self._on_project)

    def retire(self) -> None:
        """Listen no more."""
        disconnect(self._session.document_changed, self.refresh)
        disconnect(self._session.project_changed, self._on_project)

    def _on_project(self) -> None:
        """A sample is one of the links of one document."""
        document = self._session.document
        if document is not self._document:
            self._document = document
            self._queue.clear()
            self._checked = []
            self.n_checked = self.n_wrong = 0
            self.result.say("")
            self.status.say("")
        self.refresh()

    @property
    def active(self) -> bool:
        """Whether a sample is gone through."""
        return bool(self._queue)

    def refresh(self, *_: Any) -> None:
        """How many links are so sure, and how many of them are wrong all the same."""
        document = self._session.document
        none = "There are no proposed links; track on the Track tab."
        if document is None:
            self.count.setText("")
            self.accept.allow(none, show=False)
            self.draw.allow(none, show=False)
        else:
            safe = safe_links(document.nuclei, self.most.value() / 100)
            wrong = safe.expected_errors
            self.count.setText(
                f"{len(safe)} of {plural(safe.n_proposed, 'proposed link')}; {wrong:.1f} of them are expected to be wrong "
                f"({100 * wrong / len(safe):.2f} %)." if len(safe) else
                f"None of {plural(safe.n_proposed, 'proposed link')}; raise the error probability." if safe.n_proposed else none
            )  # fmt: skip
            self.accept.allow(None if len(safe) else "No link is so sure.", show=False)
            self.draw.allow(
                "A sample is being checked." if self.active else None if len(safe) else "No link is so sure.",
                show=False,
            )
        for button in (self.right, self.wrong, self.end):
            button.setVisible(self.active)
        self.scale.setVisible(bool(self._checked) and not self.active)
        self.scale.allow(self._why_not_scale(), show=False)

    def accept_all(self) -> None:
        """Accept the sure links as one step."""
        document = self._inspection.document
        safe = safe_links(document.nuclei, self.most.value() / 100)
        if not len(safe):
            raise AnlageError("No link is so sure; raise the error probability.")
        document.apply(track_fixes.accepted(document, safe.pairs))
        self.status.say(
            f"{plural(len(safe), 'link')} accepted, {safe.expected_errors:.1f} expected to be wrong.", "good"
        )

    # ---- the sample ----

    def begin(self, seed: int | None = None) -> None:
        """Draw a sample and go to its first link."""
        safe = safe_links(self._inspection.document.nuclei, self.most.value() / 100)
        drawn = safe.sample(self.size.value(), secrets.randbits(32) if seed is None else seed)
        self._queue = [(int(a), int(b)) for a, b in drawn]
        self._expected = safe.expected_errors / max(len(safe), 1)
        self.n_checked = self.n_wrong = 0
        self._checked = []
        self._show()

    def judge(self, verdict: str) -> bool:
        """Say of the link that is shown whether it is right (``accept``) or wrong (``break``); False: none is shown."""
        if not self._queue or verdict not in ("accept", "break"):
            return False
        document, pair = self._inspection.document, self._queue.pop(0)
        if track_fixes.mother_of(document.nuclei, pair[1]) == pair[0]:  # else it was changed meanwhile
            row = np.flatnonzero((document.nuclei.links == pair).all(axis=1))[0]
            said = float(document.nuclei.link_properties["probability"][row])
            if np.isfinite(said):  # else it was accepted meanwhile
                self._checked.append((said, verdict == "accept"))
            self.n_checked += 1
            self.n_wrong += verdict == "break"
            document.apply(
                RemoveLinks([pair]) if verdict == "break" else track_fixes.accepted(document, np.array([pair]))
            )
        self._show()
        return True

    def rescale(self) -> None:
        """Scale the probabilities of the proposed links by the sample, as one step."""
        document = self._inspection.document
        pairs, probability = self._scaled(document.nuclei)
        document.apply(
            Several([ChangeLinks(pairs, probability)], f"scale the probabilities of {plural(len(pairs), 'link')}")
        )
        self._checked = []
        self.refresh()
        self.status.say(f"Done: {document.undo_text}.", "good")

    def _scaled(self, nuclei: Annotations) -> tuple[np.ndarray, np.ndarray]:
        said, right = (np.array([one[i] for one in self._checked]) for i in (0, 1))
        pairs, probability = rescaled_links(nuclei, said, right)
        if not len(pairs):
            raise AnlageError("No proposed link is left to scale.")
        return pairs, probability

    def _why_not_scale(self) -> str | None:
        document = self._session.document
        if document is None:
            return "There are no proposed links; track on the Track tab."
        try:
            self._scaled(document.nuclei)
        except AnlageError as error:
            return str(error)
        return None

    def stop(self) -> None:
        """Check no more."""
        self._queue.clear()
        self._show()

    def _show(self) -> None:
        if self._queue:
            mother, daughter = self._queue[0]
            nuclei = self._inspection.document.nuclei
            row = int(np.searchsorted(nuclei.ids, daughter))
            t, z, y, x = (float(v) for v in nuclei.positions[row])
            self._inspection.current = None
            self._inspection.show((t, z, y, x), (mother, daughter))
        self.result.say(self._said(), "info" if self._queue else "good")
        self.refresh()

    def _said(self) -> str:
        left = (
            f"Is the link from nucleus {self._queue[0][0]} to {self._queue[0][1]} right? {len(self._queue)} to go. "
            if self._queue
            else ""
        )
        if not self.n_checked:
            return left
        low, high = error_interval(self.n_wrong, self.n_checked)
        return (
            f"{left}{self.n_wrong} of {self.n_checked} wrong: {100 * self.n_wrong / self.n_checked:.1f} % (95 % interval "
            f"{100 * low:.1f} to {100 * high:.1f} %), {100 * self._expected:.2f} % were expected."
        )
