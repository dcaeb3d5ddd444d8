"""The panel to score windows of traces one after the other, and to train a network on them."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyqtgraph as pg
from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QPushButton, QShortcut, QWidget

from anlage import AnlageError, Signals, write_signals
from napari_anlage.jobs.thread import Thread
from napari_anlage.session.session import Session
from napari_anlage.signals.plot import title_of_signal
from napari_anlage.signals.scoring import SortOrder
from napari_anlage.signals.window_scores import EVENT, NOTHING, UNCLEAR, WindowScores
from napari_anlage.widgets.basic import COLOURS, ActionButton, Tab, heading, note, small_button
from napari_anlage.widgets.count_bar import CountBar
from napari_anlage.widgets.escaping import plain
from napari_anlage.widgets.picture import Picture
from napari_anlage.widgets.plain_text import Rich
from napari_anlage.widgets.theme import PlotColours

__all__ = ["WindowPanel"]

_FEWEST = 4
"""Windows of each kind that a training needs."""


@dataclass(frozen=True, slots=True)
class WindowAnswer:
    """What can be said of a window."""

    score: int
    text: str
    key: str
    colour: str


_ANSWERS = (
    WindowAnswer(EVENT, "Event", "1", COLOURS["good"]),
    WindowAnswer(NOTHING, "No event", "0", COLOURS["info"]),
    WindowAnswer(UNCLEAR, "Unclear", "2", COLOURS["warning"]),
)


class WindowPanel(Tab):
    """Shown while the signals that are open are windows."""

    wanted = Signal(object)
    """A training from this file of scored windows."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._thread = Thread(self)
        self.scores: WindowScores | None = None
        self.title, self.picture, self.bar, self.balance = Rich(), Picture(), CountBar(), note("")
        self.answers = {one.score: QPushButton(f"{one.text}  {one.key}") for one in _ANSWERS}
        self.order = QComboBox()
        self.undo = small_button("Undo", "Takes the last answer back (Ctrl+Z while this tab has the keyboard).")
        self.train = ActionButton(
            "Train on the scored windows …", primary=True,
            tooltip="Opens the training of events with your scores: alone, or with other files, and from a model.",
        )  # fmt: skip
        self._build()
        self._connect()
        self.hide()

    def offer(self, signals: Signals | None, path: Path | None) -> None:
        """Score these windows, and keep the answers there; None: nothing is open here."""
        if self.scores is not None:
            self.scores.changed.disconnect(self.refresh)
        self.scores = None
        if signals is not None:
            self.scores = WindowScores(signals, path)
            self.scores.changed.connect(self.refresh)
            self.scores.sort(self.order.currentData())
        self.setVisible(self.scores is not None)
        self.refresh()

    def answer(self, score: int) -> None:
        """Say it of this window, and go to the next."""

        def do(scores: WindowScores) -> None:
            scores.answer(score)
            scores.go(1)

        self._do(do)

    def refresh(self) -> None:
        """Show the window, its score and the counts."""
        scores = self.scores
        if scores is None:
            return
        row, score = scores.row, int(scores.scores[scores.row])
        said = next((one.text.lower() for one in _ANSWERS if one.score == score), "not scored yet")
        chance = "" if scores.chance is None else f" · network: {100 * scores.chance[row]:.0f} %"
        self.title.setText(
            f"<b>window {row}</b> &nbsp;{said}{chance} &nbsp;<span style='color:gray'>{scores.place + 1} of {len(scores.signals)}</span>"
        )
        for one, button in self.answers.items():
            button.setChecked(one == score)
        event, nothing, unclear, not_yet = scores.counts
        counts = zip((event, nothing, unclear), (one.colour for one in _ANSWERS), strict=True)
        self.bar.show_counts([*counts, (not_yet, COLOURS["idle"] + "55")])
        self.balance.setText(_balance(event, nothing, unclear, not_yet))
        self.train.allow(self._lack(event, nothing))
        self._draw(scores.signals, row)

    def _build(self) -> None:
        self.column.setContentsMargins(0, 0, 0, 0)
        ways, buttons = QWidget(), QWidget()
        row, line = QHBoxLayout(ways), QHBoxLayout(buttons)
        for layout in (row, line):
            layout.setContentsMargins(0, 0, 0, 0)
        for text, tip, steps in (
            ("|◀", "First window (Home)", -(10**9)), ("◀", "Window before (Page up)", -1),
            ("▶", "Next window (Page down)", 1), ("▶|", "Last window (End)", 10**9),
        ):  # fmt: skip
            button = small_button(text, tip)
            button.clicked.connect(partial(self._go, steps))
            row.addWidget(button)
        for order in SortOrder:
            self.order.addItem(order.value, order)
        self.order.setToolTip("In which order the windows are gone through.")
        self.order.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.order.setMinimumContentsLength(5)
        row.addWidget(self.undo)
        row.addWidget(self.order, 1)
        for one in _ANSWERS:
            button = self.answers[one.score]
            button.setCheckable(True)
            button.setToolTip(plain(f"Key: {one.key}. M goes through all three."))
            button.setStyleSheet(
                f"QPushButton{{padding:5px}}QPushButton:checked{{background:{one.colour};color:#1b1d22;font-weight:600}}"
            )
            line.addWidget(button)
        self.add(
            heading("Windows"), self.title, self.picture, ways, buttons, self.bar, self.balance, self.train, self.status
        )
        self.status.hide()

    def _connect(self) -> None:
        for one in _ANSWERS:
            say = partial(self.answer, one.score)
            self.answers[one.score].clicked.connect(lambda _, say=say: say())
            self._key(one.key, say)
        self._key("M", lambda: self._do(lambda s: s.cycle()))
        self._key("Ctrl+Z", lambda: self._do(lambda s: s.undo()))
        self._key("Ctrl+Shift+Z", lambda: self._do(lambda s: s.redo()))
        for key, steps in (("PgUp", -1), ("PgDown", 1), ("Left", -1), ("Right", 1), ("Home", -(10**9)), ("End", 10**9)):
            self._key(key, partial(self._go, steps))
        self.undo.clicked.connect(lambda: self._do(lambda s: s.undo()))
        self.order.currentIndexChanged.connect(lambda _: self._do(lambda s: s.sort(self.order.currentData())))
        self.train.clicked.connect(lambda: self.attempt(self._train))
        self._thread.done.connect(self._on_made)
        self._thread.failed.connect(self.report)

    def _key(self, key: str, does: Callable[[], Any]) -> None:
        """A key that works while the keyboard is in this panel, and leaves the viewer's own keys alone."""
        shortcut = QShortcut(QKeySequence(key), self)
        shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        shortcut.activated.connect(does)

    def _do(self, what: Callable[[WindowScores], Any]) -> None:
        scores = self.scores
        if scores is not None:
            self.attempt(lambda: what(scores))

    def _go(self, steps: int, *_: Any) -> None:
        self._do(lambda scores: scores.go(steps))

    def _draw(self, signals: Signals, row: int) -> None:
        values, step = signals.values[row, 0], signals.interval_s
        scale, unit = (1.0, "samples") if step is None else (1000 * step, "ms")
        name = title_of_signal(signals.names[0], signals.units[0])

        def draw(plot: Any, plot_colours: PlotColours, colour: Any) -> None:
            plot.setLabel("bottom", f"time in the window ({unit})")
            plot.setLabel("left", name)
            plot.getAxis("left").setWidth(62)
            plot.plot(np.arange(len(values)) * scale, values, pen=pg.mkPen(plot_colours.train, width=1))

        self.picture.show_drawing(draw)

    def _lack(self, event: int, nothing: int) -> str | None:
        if self._thread.busy:
            return "Writing the training data …"
        for n, words in ((event, "with an event"), (nothing, "without one")):
            if n < _FEWEST:
                return f"Score at least {_FEWEST} windows {words}; there {'is' if n == 1 else 'are'} {n or 'none'}."
        return None

    def _train(self) -> None:
        scores = self.scores
        if scores is None:
            raise AnlageError("Open windows first.")
        store, _ = self._session.new_paths("events")
        signals, path = scores.scored, store.with_suffix(".h5")

        def make() -> Path:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_signals(path, signals)
            return path

        self._thread.run(make)
        self.refresh()

    def _on_made(self, path: Path) -> None:
        self.wanted.emit(path)
        self.refresh()


def _balance(event: int, nothing: int, unclear: int, not_yet: int) -> str:
    """What the counts mean for a training."""
    said = f"{event} with an event, {nothing} without, {unclear} unclear, {not_yet} not scored."
    few, many = sorted((event, nothing))
    if many > 4 * max(few, 1):
        return (
            f"{said} Score more {'with' if event < nothing else 'without'} an event: a network needs both kinds alike."
        )
    return said
