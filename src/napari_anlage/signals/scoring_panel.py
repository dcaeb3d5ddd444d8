"""The panel to score tracks by hand: plot, one button and key for each answer, progress and class balance."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from qtpy.QtCore import Qt, QTimer, Signal
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import (
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QPushButton,
    QShortcut,
    QVBoxLayout,
    QWidget,
)

from napari_anlage.signals.plot import SignalPlot
from napari_anlage.signals.scoring import CENSORED, EVENT, NO_EVENT, NOT_YET, REMOVED, Balance, Scoring, SortOrder
from napari_anlage.widgets.basic import COLOURS, note, small_button
from napari_anlage.widgets.count_bar import CountBar
from napari_anlage.widgets.escaping import plain
from napari_anlage.widgets.number_fields import CountField
from napari_anlage.widgets.plain_text import Rich
from napari_anlage.widgets.silent import silent

__all__ = ["ANSWERS", "BalanceBar", "ScoringPanel"]

_PLAY_MS = 150


@dataclass(frozen=True, slots=True)
class TrackAnswer:
    """What can be said of a track."""

    kind: int
    text: str
    key: str
    colour: str
    tooltip: str


ANSWERS = (
    TrackAnswer(EVENT, "Event here", "E", COLOURS["good"], "The event happens in the frame that is shown."),
    TrackAnswer(NO_EVENT, "No event", "O", COLOURS["info"], "Nothing happens on this track."),
    TrackAnswer(
        CENSORED, "Censored", "C", COLOURS["warning"],
        "It happened before the track begins, or something else is the matter: it teaches no time.",
    ),
    TrackAnswer(REMOVED, "Remove", "X", COLOURS["error"], "A bad track: it is not learnt from."),
)  # fmt: skip
"""The answers, in the order of their buttons."""


class BalanceBar(CountBar):
    """How many tracks have which answer."""

    def show_balance(self, balance: Balance) -> None:
        """Draw these counts."""
        counts = (balance.event, balance.no_event, balance.censored, balance.removed)
        parts = [(n, answer.colour) for n, answer in zip(counts, ANSWERS, strict=True)]
        self.show_counts([*parts, (balance.not_yet, COLOURS["idle"] + "55")])
        words = [f"{n} {answer.text.lower()}" for n, answer in zip(counts, ANSWERS, strict=True) if n]
        self.setToolTip(plain(", ".join([*words, f"{balance.not_yet} not scored"])))


class ScoringPanel(QWidget):
    """The current track, and its score."""

    frame_wanted = Signal(int)
    """The viewer should show this frame of the track."""
    went = Signal(bool)
    """Another track is shown; True: the user went there, so the viewer should follow."""

    def __init__(self, attempt: Callable[[Callable[[], Any]], Any]) -> None:
        super().__init__()
        self._attempt = attempt
        self.scoring: Scoring | None = None
        self.frame = 0
        self.plot = SignalPlot()
        self.title = Rich()
        self.bar = BalanceBar()
        self.balance = note("")
        self.order, self.shown = QComboBox(), QComboBox()
        self.answers = {answer.kind: QPushButton(f"{answer.text}  {answer.key}") for answer in ANSWERS}
        self.undo = small_button("Undo", "Takes the last answer back (Ctrl+Z while this tab has the keyboard).")
        self.redo = small_button("Redo", "Does again what was taken back (Ctrl+Shift+Z).")
        self.play = small_button("Play", "Runs through the frames of this track (P).")
        self.shift = CountField()
        self.shift_all = small_button("Move all", "Moves every event that is scored by so many frames; can be undone.")
        self._timer = QTimer(self)
        self._timer.setInterval(_PLAY_MS)
        self._build()
        self._connect()
        self.refresh()

    def show_scoring(self, scoring: Scoring | None) -> None:
        """Score these."""
        if self.scoring is not None:
            self.scoring.changed.disconnect(self.refresh)
            self.scoring.moved.disconnect(self._on_moved)
        self.scoring = scoring
        if scoring is not None:
            chosen = self.shown.currentText()
            with silent(self.shown):
                self.shown.clear()
                self.shown.addItems(list(scoring.signals.names))
                self.shown.setCurrentIndex(max(self.shown.findText(chosen), 0))
            self.shown.setVisible(len(scoring.signals.names) > self.plot.most_rows)
            scoring.changed.connect(self.refresh)
            scoring.moved.connect(self._on_moved)
            scoring.sort(SortOrder(self.order.currentData()))
        self.refresh()

    def set_frame(self, frame: int) -> None:
        """The viewer shows this frame now."""
        self.frame = frame
        self.plot.set_frame(frame)

    def answer(self, kind: int) -> None:
        """Say it of this track, and go to the next unless it was an event, whose place one wants to see."""
        scoring = self.scoring
        if scoring is None:
            return

        def do() -> None:
            scoring.answer(kind, float(self.frame))
            if kind != EVENT:
                scoring.go(1)

        self._attempt(do)

    def halt(self) -> None:
        """Play no more."""
        self._timer.stop()
        self.play.setText("Play")

    # ---- what is shown ----

    def refresh(self) -> None:
        """Show the track, its answer and the counts."""
        scoring = self.scoring
        self.setVisible(scoring is not None)
        if scoring is None:
            return
        signals, row = scoring.signals, scoring.row
        self.plot.show_track(signals, row, self.shown.currentIndex())
        kind, time = int(scoring.classes[row]), float(scoring.times[row])
        self.plot.set_event(time if kind == EVENT else None)
        self.plot.set_predicted(self._predicted_time(scoring, row))
        self.plot.set_frame(self.frame)
        self.title.setText(_title(scoring, row, kind, time))
        for one, button in self.answers.items():
            button.setChecked(one == min(kind, REMOVED))
        self.bar.show_balance(scoring.balance)
        self.balance.setText(scoring.balance.sentence)

    @staticmethod
    def _predicted_time(scoring: Scoring, row: int) -> float | None:
        events = scoring.predicted
        if events is None:
            return None
        at = np.flatnonzero((events.tracks == scoring.signals.ids[row]) & events.happened)
        return float(events.frames[at[0]]) if len(at) else None

    # ---- making it ----

    def _build(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        for order in SortOrder:
            self.order.addItem(order.value, order)
        self.order.setToolTip("In which order the tracks are gone through.")
        ways = QHBoxLayout()
        for text, tip, go in self._ways():
            button = small_button(text, tip)
            button.clicked.connect(go)
            ways.addWidget(button)
        ways.addWidget(self.play)
        ways.addWidget(self.order, 1)
        buttons = QGridLayout()
        buttons.setSpacing(4)
        for i, answer in enumerate(ANSWERS):
            button = self.answers[answer.kind]
            button.setCheckable(True)
            button.setToolTip(plain(f"{answer.tooltip} Key: {answer.key}."))
            button.setStyleSheet(
                f"QPushButton{{padding:5px}}QPushButton:checked{{background:{answer.colour};color:#1b1d22;font-weight:600}}"
            )
            buttons.addWidget(button, i // 2, i % 2)
        edits = QHBoxLayout()
        self.shift.setRange(-999, 999)
        self.shift.setSuffix(" fr.")
        self.shift.setToolTip("How many frames later; earlier below 0.")
        self.shift.setMinimumWidth(72)
        self.order.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.order.setMinimumContentsLength(5)
        for widget in (self.undo, self.redo, self.shift, self.shift_all):
            edits.addWidget(widget)
        self.shown.setToolTip("The signal at the top of the plot; those after it follow.")
        column.addWidget(self.title)
        column.addWidget(self.shown)
        column.addWidget(self.plot)
        column.addLayout(ways)
        column.addLayout(buttons)
        column.addLayout(edits)
        column.addWidget(self.bar)
        column.addWidget(self.balance)

    def _ways(self) -> tuple[tuple[str, str, Callable[[], None]], ...]:
        return (
            ("|◀", "First track (Home)", lambda: self._go(lambda s: s.first())),
            ("◀", "Track before (Page up)", lambda: self._go(lambda s: s.go(-1))),
            ("▶", "Next track (Page down)", lambda: self._go(lambda s: s.go(1))),
            ("▶|", "Last track (End)", lambda: self._go(lambda s: s.last())),
        )

    def _connect(self) -> None:
        for answer in ANSWERS:
            say = partial(self.answer, answer.kind)
            self.answers[answer.kind].clicked.connect(lambda _, say=say: say())
            self._key(answer.key, say)
        for key, (_, _, go) in zip(("Home", "PgUp", "PgDown", "End"), self._ways(), strict=True):
            self._key(key, go)
        self._key("P", self._on_play)
        self._key("Space", lambda: self._do(lambda s: s.cycle(float(self.frame))))
        self._key("Ctrl+Z", lambda: self._do(lambda s: s.undo()))
        self._key("Ctrl+Shift+Z", lambda: self._do(lambda s: s.redo()))
        self._key("Delete", lambda: self.answer(NOT_YET))
        self.undo.clicked.connect(lambda: self._do(lambda s: s.undo()))
        self.redo.clicked.connect(lambda: self._do(lambda s: s.redo()))
        self.play.clicked.connect(self._on_play)
        self.order.currentIndexChanged.connect(
            lambda _: self._do(lambda s: s.sort(SortOrder(self.order.currentData())))
        )
        self.shift_all.clicked.connect(
            lambda: self._do(lambda s: s.shift(np.flatnonzero(s.classes == EVENT).tolist(), self.shift.value()))
        )
        self.shown.currentIndexChanged.connect(lambda _: self.refresh())
        self.plot.frame_chosen.connect(self.frame_wanted)
        self.plot.event_dragged.connect(lambda frame: self._do(lambda s: s.answer(EVENT, frame)))
        self._timer.timeout.connect(self._on_tick)

    def _key(self, key: str, does: Callable[[], Any]) -> None:
        """A key that works while the keyboard is in this panel, and leaves the viewer's own keys alone."""
        shortcut = QShortcut(QKeySequence(key), self)
        shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        shortcut.activated.connect(does)

    def _do(self, what: Callable[[Scoring], Any]) -> None:
        scoring = self.scoring
        if scoring is not None:
            self._attempt(lambda: what(scoring))
            self.refresh()

    def _go(self, how: Callable[[Scoring], None]) -> None:
        if self.scoring is not None:
            how(self.scoring)

    def _on_moved(self) -> None:
        self.halt()
        self.refresh()
        self.went.emit(True)

    def _on_play(self) -> None:
        if self._timer.isActive():
            self.halt()
            return
        self.play.setText("Stop")
        self._timer.start()

    def _on_tick(self) -> None:
        if self.scoring is None:
            self.halt()
            return
        low, high = self.scoring.signals.spans[self.scoring.row] + self.scoring.signals.first_frame
        self.frame_wanted.emit(self.frame + 1 if low <= self.frame < high - 1 else int(low))


def _title(scoring: Scoring, row: int, kind: int, time: float) -> str:
    signals = scoring.signals
    said = {NO_EVENT: "no event", CENSORED: "censored", NOT_YET: "not scored yet"}.get(kind, "removed")
    if kind == EVENT:
        seconds = signals.interval_s
        said = f"event at frame {time:.4g}" + ("" if seconds is None else f" ({time * seconds / 60:.4g} min)")
    where = f"track {signals.ids[row]}"
    return f"<b>{where}</b> &nbsp;{said} &nbsp;<span style='color:gray'>{scoring.place + 1} of {len(signals)}</span>"
