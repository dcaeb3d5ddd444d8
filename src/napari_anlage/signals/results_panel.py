"""Results of events: the table, the average signal around events, and survival curves."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QComboBox, QHBoxLayout, QSizePolicy, QWidget

from anlage import AnlageError, Events, Signals, Writer, aligned_mean, event_rate, survival, write_events, write_signals
from anlage.wording import plural
from napari_anlage.signals import drawings
from napari_anlage.signals.layers import AFTER, BEFORE, NEVER
from napari_anlage.signals.plot import title_of_signal
from napari_anlage.signals.scoring import Scoring
from napari_anlage.signals.table import EventView
from napari_anlage.widgets.basic import ActionButton, Tab, heading, note, small_button
from napari_anlage.widgets.number_fields import CountField
from napari_anlage.widgets.picture import Picture
from napari_anlage.widgets.plain_text import Rich
from napari_anlage.widgets.save_dialog import ask_where
from napari_anlage.widgets.writers import WINDOW

__all__ = ["EventResults"]

_HAND, _NETWORK = "scored", "found"
_TABLE, _ALIGNED, _SURVIVAL = "Table", "Mean signal", "Survival"
_FEWEST = 3


class EventResults(Tab):
    """The events that were scored or found, as a table and as pictures."""

    wanted = Signal(int, float)
    """The user wants to see this track at this frame."""
    coloured = Signal(object)
    """Colour tracks before and after these `Events`; None: do not."""

    def __init__(self) -> None:
        super().__init__()
        self._scoring: Scoring | None = None
        self.source, self.view, self.signal = QComboBox(), QComboBox(), QComboBox()
        self.table, self.picture = EventView(), Picture()
        self.summary = note("")
        self.colour = QCheckBox("Colour nuclei before and after")
        self.later = CountField()
        self.move_chosen = small_button(
            "Move selected",
            "Moves the events of the selected rows by so many frames (Shift or Ctrl selects many); can be undone.",
        )
        self.export = ActionButton("Export …", tooltip="Writes these events as a CSV table, one row for each track.")
        self.export_all = small_button(
            "Export all answers …",
            "Writes the signals with what you scored of every event of this project, as CSV or as Celldetective's npy.",
        )
        self.answers: Callable[[], Mapping[str, Signals]] = dict
        """What was scored of each event: the same tracks, by the event's name."""
        self._build()
        self._connect()
        self.hide()

    def offer(self, scoring: Scoring | None) -> None:
        """Show the events of these tracks."""
        if self._scoring is not None:
            self._scoring.changed.disconnect(self.refresh)
        self._scoring = scoring
        if scoring is not None:
            scoring.changed.connect(self.refresh)
            self.signal.clear()
            self.signal.addItems(list(scoring.signals.names))
        self.colour.setChecked(False)
        self._offer_sources()
        self.refresh()

    def show_found(self) -> None:
        """A network has predicted events on every track."""
        self._offer_sources()
        self.source.setCurrentIndex(self.source.findText(_NETWORK))
        self.refresh()

    @property
    def events(self) -> Events | None:
        """What is shown."""
        scoring = self._scoring
        if scoring is None:
            return None
        if self.source.currentText() == _NETWORK and scoring.predicted is not None:
            return scoring.predicted
        return Events.of_signals(scoring.scored)

    def refresh(self) -> None:
        """Show the events of now."""
        events = self.events
        n = 0 if events is None else int(events.happened.sum())
        self.setVisible(self._scoring is not None and (n > 0 or self.source.count() > 1))
        if events is None or self._scoring is None:
            return
        self.export.allow(None if len(events) else "There are no events yet.")
        view = self.view.currentText()
        self.table.setVisible(view == _TABLE)
        # what a network found is not changed: it is scored, or found anew
        self.moving.setVisible(view == _TABLE and self.source.currentText() == _HAND)
        self.picture.setVisible(view != _TABLE)
        self.signal.setVisible(view == _ALIGNED)
        self.table.show_events(events)
        self.summary.setText(_summary(events, self._scoring))
        if view != _TABLE:
            self._draw(events, view)
        if self.colour.isChecked():
            self.coloured.emit(events)

    def write(self, path: Path, by: Writer = WINDOW) -> None:
        """Write the events that are shown, with the place where they happen."""
        events, scoring = self.events, self._scoring
        if events is None or scoring is None:
            raise AnlageError("There are no events yet; score some, or find them with a network.")
        write_events(path, events.placed(scoring.signals), by)
        self.status.say(f"{plural(len(events), 'row')} written to {path.name}.", "good")

    def write_all(self, path: Path, by: Writer = WINDOW) -> None:
        """Write the signals with what was scored of every event."""
        answers = dict(self.answers())
        if not answers:
            raise AnlageError("Nothing is scored yet.")
        first = next(iter(answers))
        write_signals(path, answers.pop(first), event=first, others=answers, by=by)
        names = ", ".join([first, *answers])
        self.status.say(f"Signals with the answers for {names} written to {path.name}.", "good")

    def _build(self) -> None:
        self.column.setContentsMargins(0, 0, 0, 0)
        self.source.setToolTip("The events that you scored, or those that a network found.")
        self.view.setToolTip(
            "The events as a table, the mean of a signal around them, or how long tracks stay without."
        )
        self.view.addItems([_TABLE, _ALIGNED, _SURVIVAL])
        row = QWidget()
        row.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        layout = QHBoxLayout(row)
        layout.setContentsMargins(0, 0, 0, 0)
        for combo in (self.source, self.view, self.signal):
            combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
            combo.setMinimumContentsLength(8)
        layout.addWidget(self.source, 1)
        layout.addWidget(self.view, 1)
        self.colour.setToolTip("Draws every nucleus of every track in the colour of where it stands.")
        legend = Rich(
            f"<span style='color:{BEFORE}'>●</span> before &nbsp;<span style='color:{AFTER}'>●</span> after &nbsp;"
            f"<span style='color:{NEVER}'>●</span> no event"
        )
        self.legend = legend
        legend.hide()
        self.moving = QWidget()
        ways = QHBoxLayout(self.moving)
        ways.setContentsMargins(0, 0, 0, 0)
        self.later.setRange(-999, 999)
        self.later.setSuffix(" frames")
        self.later.setToolTip("How many frames later; earlier below 0.")
        ways.addWidget(self.later)
        ways.addWidget(self.move_chosen, 1)
        self.add(
            heading("Events"), row, self.signal, self.table, self.moving, self.picture, self.summary, self.colour, legend, self.export,
            self.export_all, self.status,
        )  # fmt: skip
        self.column.addStretch(1)  # what is left over goes below, not between the parts
        self.status.hide()

    def _connect(self) -> None:
        self.view.currentIndexChanged.connect(lambda _: self.refresh())
        self.source.activated.connect(lambda _: self.refresh())
        self.signal.activated.connect(lambda _: self.refresh())
        self.table.picked.connect(self.wanted)
        self.colour.toggled.connect(self._on_colour)
        self.export.clicked.connect(self._on_export)
        self.export_all.clicked.connect(self._on_export_all)
        self.move_chosen.clicked.connect(lambda: self.attempt(self._move))

    def _offer_sources(self) -> None:
        chosen = self.source.currentText()
        self.source.clear()
        self.source.addItem(_HAND)
        if self._scoring is not None and self._scoring.predicted is not None:
            self.source.addItem(_NETWORK)
        self.source.setCurrentIndex(max(self.source.findText(chosen), 0))

    def _draw(self, events: Events, view: str) -> None:
        scoring = self._scoring
        if scoring is None:
            return
        try:
            draw: Any = None
            if view == _SURVIVAL:
                draw = drawings.survival_curve(survival(events, scoring.signals))
            elif int(events.happened.sum()) < _FEWEST:
                raise AnlageError(f"A mean needs at least {_FEWEST} events; there are {int(events.happened.sum())}.")
            else:
                name = self.signal.currentText()
                unit = scoring.signals.units[scoring.signals.names.index(name)]
                mean = aligned_mean(scoring.signals, name, events)
                draw = drawings.aligned(mean, title_of_signal(name, unit), scoring.signals.interval_s)
            self.status.say("")
        except AnlageError as error:
            self.status.say(str(error), "warning")
        self.picture.show_drawing(draw)

    def _move(self) -> None:
        tracks, scoring = self.table.chosen_tracks, self._scoring
        if scoring is None or not tracks:
            raise AnlageError("No event is selected; click rows of the table, with Shift or Ctrl for many.")
        scoring.shift(np.flatnonzero(np.isin(scoring.signals.ids, tracks)).tolist(), self.later.value())
        self.status.say(
            f"{plural(len(tracks), 'event')} moved by {self.later.value()} frames; Ctrl+Z takes it back.", "good"
        )

    def _on_colour(self, on: bool) -> None:  # noqa: FBT001 - Qt's signal
        self.legend.setVisible(on)
        self.coloured.emit(self.events if on else None)

    def _on_export(self) -> None:
        chosen = ask_where(self, "Export events", "events.csv", "Table (*.csv)")
        if chosen is not None:
            self.attempt(lambda: self.write(*chosen))

    def _on_export_all(self) -> None:
        chosen = ask_where(self, "Export all answers", "scored.csv", "Signals (*.csv *.npy)")
        if chosen is not None:
            self.attempt(lambda: self.write_all(*chosen))


def _summary(events: Events, scoring: Scoring) -> str:
    signals, n = scoring.signals, int(events.happened.sum())
    said = f"{plural(n, 'event')} on {plural(len(events), 'track')}"
    if not n:
        return said + "."
    rate, (low, high) = event_rate(events, signals)
    unit = "frame" if signals.interval_s is None else "h"
    said += f" · {rate:.3g} per track and {unit} (95 %: {low:.3g} to {high:.3g})"
    median = survival(events, signals).median if (events.happened).any() else float("nan")
    if median == median:
        when = f"{median:.3g} frames" if signals.interval_s is None else f"{median * signals.interval_s / 60:.3g} min"
        said += f" · half of the tracks have it within {when}"
    return said + "."
