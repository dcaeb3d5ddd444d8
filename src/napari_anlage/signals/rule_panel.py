"""The panel that proposes events by a rule: method, signal and threshold."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from qtpy.QtWidgets import QComboBox, QFormLayout, QHBoxLayout, QWidget
from superqt import QCollapsible

from anlage import AnlageError, Signals
from anlage.wording import plural
from napari_anlage.jobs.thread import Thread
from napari_anlage.signals.rules import Condition, Direction, Method, ProposedEvents, Rule, propose_answers
from napari_anlage.signals.scoring import NOT_YET, Scoring
from napari_anlage.widgets.basic import COLOURS, ActionButton, Tab, note
from napari_anlage.widgets.count_bar import CountBar
from napari_anlage.widgets.number_fields import CountField, NumberField
from napari_anlage.widgets.plain_text import Label

__all__ = ["ProposePanel"]


@dataclass(frozen=True, slots=True)
class _Scale:
    """What a method's strength is, and where its thresholds usually lie."""

    words: str
    unit: str
    event_from: float
    none_below: float
    step: float
    most: float


_SCALES = {
    Method.SLOPE: _Scale(
        "How steep the change is, in standard deviations of all slopes of its track.", " SD", 6.0, 4.0, 0.5, 99.0
    ),
    Method.STEP: _Scale(
        "R²: the share of the track's variance that the sigmoid explains; 1 is a perfect step.", " R²", 0.7, 0.4, 0.05, 1.0
    ),
    Method.TEMPLATE: _Scale(
        "The size of the fitted transient over its standard error.", "", 6.0, 4.0, 0.5, 99.0
    ),
}  # fmt: skip


class ProposePanel(Tab):
    """Collapsed at first; one button proposes for all tracks in a single edit that can be undone."""

    def __init__(self) -> None:
        super().__init__()
        self._scoring: Scoring | None = None
        self._proposed_for: Scoring | None = None
        self._thread = Thread(self)
        self.method, self.signal, self.direction = QComboBox(), QComboBox(), QComboBox()
        self.event_from, self.none_below = NumberField(), NumberField()
        self.window = CountField()
        self.condition, self.level = QComboBox(), NumberField()
        self.meaning = note("")
        self.propose = ActionButton(
            "Propose",
            tooltip="Answers every clear track that nobody has scored; unclear ones stay yours. Undo takes it back.",
        )
        self.bar = CountBar()
        self.counts = note("")
        self.fold = QCollapsible("Propose", expandedIcon="▾", collapsedIcon="▸")
        self._build()
        self._connect()
        self._on_method()

    def offer(self, scoring: Scoring | None) -> None:
        """Propose for these tracks."""
        if self._scoring is not None:
            self._scoring.changed.disconnect(self.refresh)
        self._scoring = scoring
        self.setVisible(scoring is not None)
        self.bar.hide()
        self.counts.hide()
        self.status.hide()
        if scoring is None:
            return
        scoring.changed.connect(self.refresh)
        chosen = self.signal.currentText()
        self.signal.clear()
        self.signal.addItems(list(scoring.signals.names))
        self.signal.setCurrentIndex(max(self.signal.findText(chosen), 0))
        self.refresh()

    def refresh(self) -> None:
        """Say what is missing."""
        scoring = self._scoring
        reason = "Looking …" if self._thread.busy else None
        if scoring is not None and not (scoring.classes == NOT_YET).any():
            reason = "Every track is scored already."
        self.propose.allow(reason)

    @property
    def rule(self) -> Rule:
        """What the widgets say."""
        return Rule(
            self.method.currentData(), self.signal.currentText(), self.direction.currentData(), self.event_from.value(),
            self.none_below.value(), self.window.value(), self.condition.currentData(), self.level.value(),
        )  # fmt: skip

    def _build(self) -> None:
        self.column.setContentsMargins(0, 0, 0, 0)
        for combo, kinds in ((self.method, Method), (self.direction, Direction), (self.condition, Condition)):
            for kind in kinds:
                combo.addItem(kind.value, kind)
        for combo in (self.method, self.signal, self.direction, self.condition):
            combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
            combo.setMinimumContentsLength(8)
        self.window.setRange(8, 9999)
        self.window.setValue(36)
        self.window.setSuffix(" frames")
        self.window.setToolTip("How long a transient takes together with the rest before and after it.")
        self.level.setRange(-1e12, 1e12)
        self.level.setToolTip("The value of the signal, in its own unit.")
        fitted = QWidget()
        row = QHBoxLayout(fitted)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.condition, 1)
        row.addWidget(self.level)
        self.form = QFormLayout()
        self.form.setContentsMargins(0, 0, 0, 0)
        for name, widget in (
            ("Look for a", self.method), ("in", self.signal), ("that", self.direction), ("Fit", fitted),
            ("Window", self.window), ("Event from", self.event_from), ("None below", self.none_below),
        ):  # fmt: skip
            self.form.addRow(Label(name), widget)
        inside = QWidget()
        inside.setLayout(self.form)
        self.fold.setDuration(0)
        for layout in (self.fold.layout(), self.fold.content().layout()):
            layout.setContentsMargins(0, 0, 0, 0)
        for widget in (inside, self.meaning, self.propose, self.bar, self.counts, self.status):
            self.fold.addWidget(widget)
        self._fitted = fitted
        self.add(self.fold)
        self.status.hide()

    def _connect(self) -> None:
        self.method.currentIndexChanged.connect(lambda _: self._on_method())
        self.condition.currentIndexChanged.connect(lambda _: self._show_rows())
        self.propose.clicked.connect(lambda: self.attempt(self._propose))
        self._thread.done.connect(lambda found: self.attempt(lambda: self._on_found(found)))
        self._thread.failed.connect(self._on_failed)

    def _on_method(self) -> None:
        scale = _SCALES[self.method.currentData()]
        self.meaning.setText(scale.words)
        for spin, value in ((self.event_from, scale.event_from), (self.none_below, scale.none_below)):
            spin.setRange(0.0, scale.most)
            spin.setSingleStep(scale.step)
            spin.setSuffix(scale.unit)
            spin.setValue(value)
        self.event_from.setToolTip("From this strength on a track has an event, where it is strongest.")
        self.none_below.setToolTip("Below this strength a track has none; what lies between is unclear, and yours.")
        self._show_rows()

    def _show_rows(self) -> None:
        """Only what the method needs."""
        method, on_itself = self.method.currentData(), self.condition.currentData() == Condition.NONE
        self.form.setRowVisible(self._fitted, method == Method.STEP)
        self.form.setRowVisible(self.window, method == Method.TEMPLATE)
        self.form.setRowVisible(self.direction, method != Method.STEP or on_itself)
        self.level.setVisible(not on_itself)

    def _propose(self) -> None:
        if self._scoring is None:
            raise AnlageError("Open signals first.")
        self._proposed_for = self._scoring
        self.status.say("Looking at every track …", "info")
        self._thread.run(_propose, self._scoring.signals, self.rule)
        self.refresh()

    def _on_found(self, answer: tuple[Rule, ProposedEvents]) -> None:
        self.refresh()
        scoring, (rule, found) = self._proposed_for, answer
        if scoring is None or scoring is not self._scoring:  # other signals were opened meanwhile
            self.status.hide()
            return
        free = scoring.classes == NOT_YET
        events, none, censored, unclear = ProposedEvents(
            found.classes[free], found.times[free], found.strength[free]
        ).counts
        self.bar.show_counts(
            [
                (events, COLOURS["good"]),
                (none, COLOURS["info"]),
                (censored, COLOURS["warning"]),
                (unclear, COLOURS["idle"] + "55"),
            ]
        )
        self.bar.show()
        self.counts.setText(
            f"clear: {events} with an event, {none} without"
            + (f", {censored} censored" if censored else "")
            + f" · unclear: {unclear}"
        )
        self.counts.show()
        clear = [int(row) for row in (free & (found.classes != NOT_YET)).nonzero()[0]]
        if not clear:
            self.status.say("No track is clear; bring the two thresholds closer, or look in another signal.", "warning")
            return
        text = f"{plural(len(clear), 'proposal')} by {rule.method.value} in {rule.signal}"
        scoring.propose(clear, found.classes[clear].tolist(), found.times[clear].tolist(), text)
        self.status.say(
            f"{plural(len(clear), 'track')} answered; {plural(unclear, 'unclear one')} left to you. Undo takes all of it back.",
            "good",
        )

    def _on_failed(self, problem: Any) -> None:
        self.report(problem)
        self.refresh()


def _propose(signals: Signals, rule: Rule) -> tuple[Rule, ProposedEvents]:
    return rule, propose_answers(signals, rule)
