"""The panel for repeated events in a long trace: find, add, delete, measure, average."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QShortcut,
    QWidget,
)

from anlage import (
    AnlageError,
    Signals,
    average_event,
    event_rate,
    filter_samples,
    hann_filtered,
    looks_upside_down,
    propose_by_template,
    read_card,
    read_events,
    seen_window,
    windows_around,
    write_events,
)
from anlage.wording import plural
from napari_anlage.models.combo import ModelCombo
from napari_anlage.session.session import Session
from napari_anlage.signals import drawings
from napari_anlage.signals.child_panel import ChildPanel
from napari_anlage.signals.plot import title_of_signal
from napari_anlage.signals.table import EventView
from napari_anlage.signals.trace_marks import TraceMarks
from napari_anlage.signals.trace_plot import TracePlot
from napari_anlage.widgets.basic import ActionButton, heading, note, small_button
from napari_anlage.widgets.number_fields import CountField, NumberField
from napari_anlage.widgets.picture import Picture
from napari_anlage.widgets.save_dialog import ask_where
from napari_anlage.widgets.silent import silent

__all__ = ["TracePanel"]

_FALLS, _RISES = "fall", "rise"
_THRESHOLDS = (4.5, 3.0, 1.6)
"""High, middle and low, of the fitted size over its standard error."""


class TracePanel(ChildPanel):
    """Shown while the signals that are open are long traces."""

    cut = Signal(object)
    """Windows to be scored: `Signals`."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._source: Path | None = None
        self._plan: dict[str, Any] = {}
        """Of the network that is chosen; empty where it has none."""
        self.marks: TraceMarks | None = None
        self.trace, self.plot = QComboBox(), TracePlot()
        self.add_event = small_button("Add", "Adds an event at the steepest rise near the dashed line (A).")
        self.delete = small_button("Delete", "Takes away the event nearest to the dashed line (Delete).")
        self.undo = small_button("Undo", "Takes the last change back (Ctrl+Z while this tab has the keyboard).")
        self.redo = small_button("Redo", "Does again what was taken back (Ctrl+Shift+Z).")
        self.window, self.way, self.threshold = CountField(), QComboBox(), NumberField()
        self.filter, self.invert = NumberField(), QCheckBox("Upside down")
        self.warning = note("")
        self.model = ModelCombo(
            session, "events", "", "Networks for events that repeat: those of this project, and files."
        )
        self.thresholds = tuple(NumberField() for _ in _THRESHOLDS)
        self.cutting = small_button(
            "Cut windows to score",
            "A template is fitted everywhere: what is clearer than the first threshold is proposed as an event, than the second as "
            "unclear, and as many stretches that stay below the third as none.",
        )
        self.network_note, self.summary = note(""), note("")
        self.find = ActionButton("Find events", primary=True, tooltip="Looks at all of every trace with the network.")
        self.table, self.average = EventView(), Picture()
        self.average_words = note("")
        self.export = ActionButton("Export …", tooltip="Writes the events with their size and shape as a CSV table.")
        self._build()
        self._connect()
        self.hide()

    def offer(self, signals: Signals | None, path: Path | None) -> None:
        """Mark events in these traces; None: nothing is open here."""
        if self.marks is not None:
            self.marks.changed.disconnect(self.refresh)
        self.marks = None
        self.setVisible(signals is not None)
        if signals is None or path is None:
            return
        self._source = path
        self.marks = TraceMarks(signals, self._session.folder / "signals" / f"{path.stem}-events.csv")
        self.marks.changed.connect(self.refresh)
        with silent(self.trace):
            self.trace.clear()
            self.trace.addItems([f"trace {number}" for number in signals.ids])
        self.trace.setVisible(len(signals) > 1)
        self.window.setMaximum(signals.n_frames)
        self.model.refresh()
        self._on_model()
        self._show_trace()

    def forget(self) -> None:
        """The trace belongs to another image: what was begun with it is of no account."""
        self._child.stop()
        self._job.end()
        self._source = self._target = None
        self.status.say("")
        self.status.hide()

    def retire(self) -> None:
        """End what belongs to the window."""
        self._child.stop()
        self._job.end()

    def refresh(self) -> None:
        """Show the events of now."""
        marks = self.marks
        if marks is None:
            return
        here, values = marks.here, marks.signals.values[marks.row, 0]
        at = np.clip(np.rint(here.frames - marks.signals.first_frame).astype(int), 0, len(values) - 1)
        self.plot.show_events(here.frames, np.nan_to_num(values[at]))
        self.table.show_events(marks.events)
        self.export.allow(None if len(marks.events) else "There are no events yet.")
        self.find.allow("Finding …" if self._child.busy else self._lack())
        self.summary.setText(_summary(marks))
        self._draw_average(marks)

    # ---- making it ----

    def _build(self) -> None:
        self.column.setContentsMargins(0, 0, 0, 0)
        self._set_fields()
        ways, edits = QWidget(), QWidget()
        row = QHBoxLayout(edits)
        row.setContentsMargins(0, 0, 0, 0)
        before = small_button("◀", "Event before (Page up)")
        after = small_button("▶", "Next event (Page down)")
        before.clicked.connect(lambda: self._step(-1))
        after.clicked.connect(lambda: self._step(1))
        for button in (before, after, self.add_event, self.delete, self.undo, self.redo):
            row.addWidget(button)
        form = QFormLayout(ways)
        form.setContentsMargins(0, 0, 0, 0)
        form.addRow("Network", self.model)
        form.addRow("Events", self.way)
        form.addRow("", self.invert)
        form.addRow("Window", self.window)
        form.addRow("Filter", self.filter)
        form.addRow("Threshold", self.threshold)
        proposing = QWidget()
        line = QFormLayout(proposing)
        line.setContentsMargins(0, 0, 0, 0)
        names = ("Event from", "Unclear from", "None below")
        for box, value, name in zip(self.thresholds, _THRESHOLDS, names, strict=True):
            box.setRange(0.1, 99.0)
            box.setSingleStep(0.5)
            box.setValue(value)
            box.setSuffix(" SE")
            box.setToolTip("Size of the fitted template over its standard error (SE).")
            line.addRow(name, box)
        self.add(
            heading("Events in a trace"), self.trace, self.plot, edits, ways, self.network_note, self.warning, self.find, self.status, self.summary,
            heading("Windows to score"), proposing, self.cutting, heading("Found"), self.table, heading("Average event"), self.average, self.average_words, self.export,
        )  # fmt: skip
        self.status.hide()

    def _set_fields(self) -> None:
        """Ranges, units and what they are for."""
        self.trace.setToolTip("Which of the traces is shown.")
        self.window.setRange(16, 10**9)
        self.window.setToolTip(
            "Samples of an event with the quiet before it and its decay. A network sees so many at once, resampled to as many as it "
            "learnt from; cutting, averaging and measuring use it too."
        )
        self.way.addItems([_FALLS, _RISES])
        self.way.setToolTip("Which way events go.")
        self.threshold.setRange(0.01, 0.99)
        self.threshold.setSingleStep(0.05)
        self.threshold.setValue(0.5)
        self.threshold.setToolTip(
            "Probability from which on a place is an event; the network's own unless you move it."
        )
        self.filter.setRange(0.0, 1000.0)
        self.filter.setSingleStep(0.5)
        self.filter.setValue(0.0)
        self.filter.setSuffix(" ms")
        self.filter.setToolTip(
            "Width of a Hann window that smooths the trace before events are located and measured; 0 smooths nothing. The plot shows "
            "the trace before, faintly, and after. The network sees it as it is."
        )
        self.invert.setToolTip(
            "Shows the network the trace upside down: events go the other way here than those it learnt from."
        )

    def _connect(self) -> None:
        self.trace.currentIndexChanged.connect(lambda _: self._show_trace())
        self.add_event.clicked.connect(self._on_add)
        self.delete.clicked.connect(self._on_delete)
        self.undo.clicked.connect(lambda: self._do(lambda m: m.undo()))
        self.redo.clicked.connect(lambda: self._do(lambda m: m.redo()))
        for key, does in (
            ("A", self._on_add), ("Delete", self._on_delete), ("Ctrl+Z", lambda: self._do(lambda m: m.undo())),
            ("Ctrl+Shift+Z", lambda: self._do(lambda m: m.redo())), ("PgUp", lambda: self._step(-1)),
            ("PgDown", lambda: self._step(1)),
        ):  # fmt: skip
            shortcut = QShortcut(QKeySequence(key), self)
            shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            shortcut.activated.connect(does)
        self.model.changed.connect(self._on_model)
        self.window.valueChanged.connect(lambda _: self._on_shape())
        self.way.currentIndexChanged.connect(lambda _: self._on_shape())
        self.filter.valueChanged.connect(lambda _: self._show_filter())
        self.invert.toggled.connect(lambda _: self._on_invert())
        self.cutting.clicked.connect(lambda: self.attempt(self._cut))
        self.find.clicked.connect(lambda: self.attempt(self._find))
        self.table.picked.connect(self._go)
        self.export.clicked.connect(self._on_export)
        self._child.finished.connect(lambda: self.attempt(self._on_found))
        self._child.failed.connect(self._on_failed)

    # ---- what is shown ----

    def _show_trace(self) -> None:
        marks = self.marks
        if marks is None:
            return
        marks.row = max(0, self.trace.currentIndex())
        signals = marks.signals
        self.plot.show_trace(
            signals.values[marks.row, 0], signals.interval_s, title_of_signal(signals.names[0], signals.units[0])
        )
        known = signals.interval_s is not None
        self.filter.setEnabled(known)
        with silent(self.filter):
            self.filter.setValue(self.filter.value() if known else 0.0)
        self._show_filter()
        self._warn()
        self.refresh()

    def _show_filter(self) -> None:
        """The trace before and after the filter."""
        marks = self.marks
        if marks is None:
            return
        values, step = marks.signals.values[marks.row, 0], marks.signals.interval_s
        width = filter_samples(self.filter.value(), step) if self.filter.value() and step is not None else 1
        self.plot.show_filtered(values, hann_filtered(np.nan_to_num(values), width) if width > 1 else None)

    def _on_invert(self) -> None:
        self.way.setCurrentText(_FALLS if self.way.currentText() == _RISES else _RISES)
        self._warn()

    def _warn(self) -> None:
        """Say so where the trace looks upside down for its network."""
        marks, plan = self.marks, self._plan
        direction = (
            int(plan.get("direction", 0)) * (-1 if plan.get("invert") else 1) * (-1 if self.invert.isChecked() else 1)
        )
        wrong = marks is not None and looks_upside_down(marks.signals.values[marks.row, 0], direction, marks.window)
        self.warning.setVisible(wrong)
        if wrong:
            way, tick = _RISES if direction < 0 else _FALLS, "untick" if self.invert.isChecked() else "tick"
            self.warning.setText(
                f"What stands out of this trace seems to {way}, unlike the events that the network is to look for; {tick} <i>Upside down</i> if so."
            )

    def _on_model(self) -> None:
        """The window and the direction are those that the network learnt from."""
        marks, choice = self.marks, self.model.choice
        if marks is None:
            return
        path = None if choice is None else choice.path
        card = None if path is None else self.attempt(lambda: read_card(path))
        plan = {} if card is None else card.plan
        if plan.get("kind") == "repeated":
            # as long here as what it learnt from, where both are known to be sampled how often
            marks.window = seen_window(int(plan["window"]), plan.get("interval_s"), marks.signals).samples
            turned = -1 if plan.get("invert") else 1
            marks.direction = turned * (int(plan["direction"]) or -1) * (-1 if self.invert.isChecked() else 1)
            self.threshold.setValue(card.evidence.threshold if card is not None else self.threshold.value())
        self._plan = plan
        with silent(self.window, self.way):
            self.window.setValue(marks.window)
            self.way.setCurrentText(_RISES if marks.direction > 0 else _FALLS)
        self._describe_network()
        self._warn()
        self.refresh()

    def _on_shape(self) -> None:
        marks = self.marks
        if marks is not None:
            marks.window, marks.direction = self.window.value(), 1 if self.way.currentText() == _RISES else -1
            self._describe_network()
            self.refresh()

    def _describe_network(self) -> None:
        """How long the window is, and how the network sees the trace."""
        marks, plan = self.marks, self._plan
        if marks is None:
            return
        step = marks.signals.interval_s
        self.window.setSuffix(" samples" if step is None else f" samples = {1000 * marks.window * step:.4g} ms")
        if plan.get("kind") != "repeated":
            self.network_note.setText("")
            return
        window, stride, learnt = int(plan["window"]), int(plan["stride"]), plan.get("interval_s")
        long = "" if learnt is None else f" ({1000 * window * learnt:.4g} ms)"
        seen = self.attempt(lambda: seen_window(window, learnt, marks.signals, marks.window))
        said = "" if seen is None or seen.ratio == 1 else f" {seen.said}"
        if not said and (step is None or learnt is None):
            said = " The sampling interval of both is not known, so a window is taken to be as long here: set it if it is not."
        self.network_note.setText(
            f"The network looks at windows of {window} samples{long}, once every {stride} samples: {-(-window // stride)} "
            f"places across a window. It learnt events that {_RISES if plan['direction'] > 0 else _FALLS}.{said}"
        )

    def _draw_average(self, marks: TraceMarks) -> None:
        try:
            before = marks.window // 6
            mean = average_event(marks.signals, marks.events, before=before, after=marks.window - before)
        except AnlageError as error:
            self.average_words.setText(str(error))
            self.average.hide()
            return
        name = title_of_signal(marks.signals.names[0], marks.signals.units[0])
        self.average.show_drawing(drawings.average(mean, name))
        self.average_words.setText(mean.sentence)
        self.average.show()

    # ---- what the user does ----

    def _do(self, what: Callable[[TraceMarks], Any]) -> None:
        marks = self.marks
        if marks is not None:
            self.attempt(lambda: what(marks))

    def _on_add(self) -> None:
        self._do(lambda marks: marks.add(self.plot.cursor))

    def _on_delete(self) -> None:
        self._do(lambda marks: marks.delete(self.plot.cursor))

    def _step(self, steps: int) -> None:
        marks = self.marks
        frames = np.zeros(0) if marks is None else marks.here.frames
        if not len(frames):
            return
        now = self.plot.cursor
        later, earlier = frames[frames > now + 0.5], frames[frames < now - 0.5]
        ways = later if steps > 0 else earlier[::-1]
        if len(ways) and marks is not None:
            self.plot.go_to(float(ways[0]), marks.window)

    def _go(self, track: int, frame: float) -> None:
        marks = self.marks
        if marks is not None:
            self.trace.setCurrentIndex(int(np.flatnonzero(marks.signals.ids == track)[0]))
            self.plot.go_to(frame, marks.window)

    def _cut(self) -> None:
        """Windows from every trace, with what the template says of them as the first scores."""
        marks = self.marks
        if marks is None:
            return
        high, middle, low = (box.value() for box in self.thresholds)
        parts = []
        for row in range(len(marks.signals)):
            found = propose_by_template(
                marks.signals.values[row, 0], marks.window, direction=marks.direction, thresholds=(high, middle, low)
            )
            parts.append(windows_around(marks.signals, row, found.samples, marks.window, found.scores)[0])
        joined = parts[0] if len(parts) == 1 else Signals.joined(parts)
        if not len(joined):
            raise AnlageError(
                f"Nothing in the trace is clearer than {middle:g}; lower the thresholds, or change the window."
            )
        self.cut.emit(joined)

    # ---- a network ----

    def _lack(self) -> str | None:
        choice = self.model.choice
        if choice is None or (path := choice.path) is None:
            return "No network for events was trained in this project yet; open one with …"
        card = self.attempt(lambda: read_card(path))
        if card is not None and card.plan.get("kind") != "repeated":
            return f"{choice.name} finds events that happen once on a track; choose one that learnt from windows."
        return None

    def _find(self) -> None:
        choice = self.model.choice
        if choice is None or self._source is None:
            raise AnlageError("Open a trace and choose a network first.")
        folder = self._session.folder / "signals"
        folder.mkdir(parents=True, exist_ok=True)
        self._target = folder / f"found-{self._source.stem}.csv"
        self._job.begin("Finding events", self._stop)
        arguments = ["predict", choice.argument, str(self._source), "-o", str(self._target)]
        if self.marks is not None:
            arguments += ["--window", str(self.marks.window)]
        if self.invert.isChecked():
            arguments.append("--invert")
        if self.filter.value():
            arguments += ["--filter-ms", f"{self.filter.value():g}"]
        self._child.start([*arguments, "--threshold", f"{self.threshold.value():g}"], self._target.with_suffix(".log"))
        self.status.say("Finding events …", "info")
        self.refresh()

    def _on_found(self) -> None:
        self._job.end()
        if self._target is not None and self.marks is not None:
            events = read_events(self._target)
            self.marks.replace(events, "events found by a network")
            self.status.say(f"{plural(len(events), 'event')} found. Undo brings back what was there before.", "good")
        self.refresh()

    def _on_export(self) -> None:
        marks, chosen = self.marks, ask_where(self, "Export events", "events.csv", "Table (*.csv)")
        if chosen is not None and marks is not None:
            path, by = chosen
            self.attempt(lambda: write_events(path, marks.events, by))


def _summary(marks: TraceMarks) -> str:
    events, n = marks.events, len(marks.events)
    if not n:
        return "No events yet: find them with a network, or click in the trace and press Add."
    by_hand = int((~np.isfinite(events.probability)).sum())
    rate, (low, high) = event_rate(events, marks.signals)
    step = marks.signals.interval_s
    unit, scale = ("1000 samples", 1000.0) if step is None else ("s", 1 / 3600)
    said = f"{plural(n, 'event')}, {by_hand} of them by hand · {rate * scale:.3g} per {unit} (95 %: {low * scale:.3g} to {high * scale:.3g})"
    size = np.asarray(events.properties.get("amplitude", np.zeros(0)), dtype=np.float64)
    return said + (f" · median amplitude {np.nanmedian(size):.4g}." if np.isfinite(size).any() else ".")
