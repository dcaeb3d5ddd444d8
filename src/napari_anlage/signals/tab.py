"""Step 7, Signals: measure signals along tracks, score events, and train a network to find them."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import Signal

from anlage import HELD_OUT, AnlageError, Events, Run, Signals, is_event_table, open_signals, read_card, read_held_out
from anlage.wording import plural
from napari_anlage.jobs.thread import Thread
from napari_anlage.session.session import Session
from napari_anlage.signals.assessment_panel import JudgingPanel
from napari_anlage.signals.layers import EventLayers
from napari_anlage.signals.network_panel import EventFinder
from napari_anlage.signals.results_panel import EventResults
from napari_anlage.signals.rule_panel import ProposePanel
from napari_anlage.signals.scoring import NOT_YET, Scoring
from napari_anlage.signals.scoring_panel import ScoringPanel
from napari_anlage.signals.selection import PickWatcher
from napari_anlage.signals.source import FOLDER, SignalSource
from napari_anlage.signals.trace_panel import TracePanel
from napari_anlage.signals.window_panel import WindowPanel
from napari_anlage.viewer import camera
from napari_anlage.widgets.basic import Tab
from napari_anlage.widgets.connect import connect

__all__ = ["SignalsTab"]

_ANY = "event"
"""Name of an event that nobody has named."""
_MOST_TRACES, _LONG = 64, 4000
"""Traces are at most so many, and at least so many samples long: windows are shorter, and more."""


class SignalsTab(Tab):
    """Measure or open signals, score tracks by hand, train, find."""

    title = "Signals"
    train_wanted = Signal(object, str)
    """The training of events is to open with this file of scored signals, and this event."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._thread = Thread(self)
        self._path: Path | None = None
        self.source = SignalSource(session)
        self.panel = ScoringPanel(self.attempt)
        self.finder = EventFinder(session)
        self.propose = ProposePanel()
        self.propose.offer(None)
        self.judging, self.results = JudgingPanel(), EventResults()
        self.traces, self.windows = TracePanel(session), WindowPanel(session)
        self._layers = EventLayers(session)
        self._picks = PickWatcher(session, self)
        self.add(
            self.source,
            self.panel,
            self.propose,
            self.finder,
            self.judging,
            self.results,
            self.traces,
            self.windows,
            self.status,
        )
        self._connect()
        self.status.say("No signals are open; measure them along tracks, or open a file.", "idle")
        self._home: Path | None = None
        self._follow_project()

    @property
    def scoring(self) -> Scoring | None:
        """What is being scored."""
        return self.panel.scoring

    def open(self, path: Path) -> None:
        """Read a file of signals, in a thread, and score its tracks."""
        event = self.source.event_name
        self._path, self._home = path, self._session.folder
        self.status.say(f"Reading {path.name} …", "info")
        self._thread.run(_read, path, event)

    def retire(self) -> None:
        """End what belongs to the window."""
        self.panel.halt()
        self.source.retire()
        self.finder.retire()
        self.traces.retire()

    def _connect(self) -> None:
        session = self._session
        self.source.opened.connect(self.open)
        self.source.event.editingFinished.connect(self._on_event)
        self._thread.done.connect(lambda signals: self.attempt(lambda: self._on_read(signals)))
        self._thread.failed.connect(self.report)
        self.panel.frame_wanted.connect(self._show_frame)
        self.panel.went.connect(lambda _: self.attempt(self._show_track))
        self.results.answers = self._all_answers
        self.finder.wanted.connect(self.train_wanted)
        self.windows.wanted.connect(lambda path: self.train_wanted.emit(path, ""))
        self.traces.cut.connect(self._offer_windows)
        self.finder.found.connect(lambda events: self.attempt(lambda: self._on_found(events)))
        for part in (self.judging, self.results):
            part.wanted.connect(lambda track, frame: self.attempt(lambda: self._go(track, frame)))
        self._picks.picked.connect(lambda nucleus: self.attempt(lambda: self.follow(nucleus)))
        self.results.coloured.connect(lambda events: self.attempt(lambda: self._on_coloured(events)))
        connect(session.viewer.dims.events.point, self._on_point)
        connect(session.document_changed, self._on_document)
        for signal in (session.exchanged, session.project_changed):
            connect(signal, self._follow_project)

    def _follow_project(self) -> None:
        """Signals, answers and events belong to one project: those of another one are closed, and this one's are opened."""
        session = self._session
        if self._path is not None and self._home != session.folder:
            self._close()
        last = session.folder / FOLDER / "measured.csv" if session.project is not None else None
        if self._path is None and last is not None and last.is_file():
            self.open(last)

    def _close(self) -> None:
        self._thread.forget()
        self.finder.forget()
        self.traces.forget()
        self._path = self._home = None
        self._offer(None)
        self.traces.offer(None, None)
        self.windows.offer(None, None)
        self.source.where.setText("")
        self.status.say("No signals are open; measure them along tracks, or open a file.", "idle")

    def _on_read(self, signals: Any) -> None:
        if self._path is None:
            return
        repeated = signals.kind == "repeated"
        are_traces = repeated and _are_traces(signals)
        self.traces.offer(signals if are_traces else None, self._path)
        self._offer_windows(signals if repeated and not are_traces else None)
        if repeated:
            self._offer(None)
            noun = ("trace", "sample") if are_traces else ("window", "sample")
            self.source.where.setText(
                f"{self._path.name}: {plural(len(signals), noun[0])}, {plural(signals.n_frames, noun[1])}"
            )
            self.status.say("; ".join(signals.notes) or "Every change is kept at once.", "good")
            return
        kept = self._session.folder / FOLDER / f"{self._path.stem}-{self.source.event_name}.csv"
        self._offer(Scoring(signals, kept))
        self.source.where.setText(
            f"{self._path.name}: {plural(len(signals), 'track')}, {plural(signals.n_frames, 'frame')}"
            + ("" if signals.interval_s is None else f", one every {signals.interval_s:g} s")
        )
        self.status.say("; ".join(signals.notes) or "Every answer is kept at once.", "good")
        self._on_point()
        self._show_track()

    def _offer(self, scoring: Scoring | None) -> None:
        """Score these tracks; None: something else is open."""
        self.panel.show_scoring(scoring)
        self.propose.offer(scoring)
        self.results.offer(scoring)
        self.judging.hide()
        self._layers.clear_track()
        self.finder.offer(scoring, self._path, self.source.event_name)

    def _offer_windows(self, signals: Signals | None) -> None:
        """Score windows that a file holds, or that were cut out of a trace."""
        name = "windows" if self._path is None else self._path.stem
        self.windows.offer(signals, self._session.folder / FOLDER / f"{name}-scored.h5")

    def _all_answers(self) -> dict[str, Signals]:
        """What was scored of each event on the tracks that are open, by its name; the one being scored first."""
        scoring, path = self.scoring, self._path
        if scoring is None or path is None:
            return {}
        found = {self.source.event_name: scoring.scored}
        for file in sorted((self._session.folder / FOLDER).glob(f"{path.stem}-*.csv")):
            name = file.stem.removeprefix(f"{path.stem}-")
            if file != scoring.path and is_event_table(file):
                found[name] = Scoring(scoring.signals.scored(*_none(scoring.signals)), file).scored
        return found

    def _on_event(self) -> None:
        scoring = self.scoring
        if scoring is not None and self._path is not None and not self._thread.busy:
            self.open(self._path)

    # ---- the viewer ----

    def _show_track(self) -> None:
        """A ring around the track's nucleus in every frame, and the viewer over it."""
        scoring = self.scoring
        if scoring is None or scoring.signals.places is None or self._session.image_layer is None:
            return
        signals = scoring.signals
        self._layers.show_track(signals, scoring.row)
        low, high = signals.spans[scoring.row] + signals.first_frame
        self._show_frame(int(np.clip(self.panel.frame, low, high - 1)))

    def _show_frame(self, frame: int) -> None:
        """Show a frame, with the track's nucleus in the middle; without an image, only in the plot."""
        scoring = self.scoring
        if scoring is None:
            return
        place = self._place(scoring, frame)
        if place is not None:
            camera.go_to(self._session.viewer, self._session.grid(), place)
        self.panel.set_frame(frame)

    def _place(self, scoring: Scoring, frame: int) -> tuple[float, float, float, float] | None:
        """Where the track is in a frame, or in the nearest in which it is known; None without an image."""
        places = scoring.signals.places
        if places is None or self._session.image_layer is None:
            return None
        known = np.flatnonzero(np.isfinite(places[scoring.row]).all(axis=0))
        if not len(known):
            return None
        at = known[np.abs(known + scoring.signals.first_frame - frame).argmin()]
        z, y, x = places[scoring.row, :, at]
        return float(frame), float(z), float(y), float(x)

    def _on_point(self, event: Any = None) -> None:
        # the layer of the only ticked channel may have been removed while those of others are still there
        if self.scoring is None or self._session.image_layer is None or not self._session.picked:
            return
        grid = self._session.grid()
        frame = camera.current_frame(self._session.viewer, grid, self._session.image().n_frames)
        self.panel.set_frame(frame)

    def _on_document(self, change: Any) -> None:
        if self.scoring is not None and "links" in change.kinds:
            self.status.say("The tracks have changed since these signals were measured; measure again.", "warning")

    def follow(self, nucleus: int | None) -> None:
        """Look at the track that holds this nucleus."""
        scoring = self.scoring
        row = None if scoring is None or nucleus is None else scoring.row_of_nucleus(nucleus)
        if scoring is not None and row is not None:
            scoring.go_to(row)

    # ---- networks ----

    def _on_found(self, events: Events) -> None:
        scoring = self.scoring
        if scoring is None:
            return
        scoring.predicted = events
        self.panel.refresh()
        self._layers.show_events(events.placed(scoring.signals), self.source.event_name)
        model = self.finder.applied
        card = None if model is None else self.attempt(lambda: read_card(model))
        learnt = None if model is None else _learnt(model, scoring.signals)
        held_out = None if model is None else self.attempt(lambda: _held_out(model, learnt))
        self.judging.show_events(events, scoring, card, learnt, held_out)
        self.results.show_found()

    def _on_coloured(self, events: Events | None) -> None:
        if self.scoring is not None:
            self._layers.show_phases(events, self.scoring.signals)

    def _go(self, track: int, frame: float) -> None:
        """Show a track at a frame, from a list or a table."""
        scoring = self.scoring
        row = np.zeros(0) if scoring is None else np.flatnonzero(scoring.signals.ids == track)
        if scoring is not None and len(row):
            scoring.go_to(int(row[0]))
            self._show_frame(round(frame))


def _are_traces(signals: Signals) -> bool:
    """Whether these are a few long traces, not many windows that were cut out."""
    return len(signals) <= _MOST_TRACES and signals.n_frames >= _LONG and not (signals.scores >= 0).any()


def _learnt(model: Path, signals: Signals) -> npt.NDArray[np.int64] | None:
    """Tracks of these signals that a run of this project was given to learn from; None where that is unknown."""
    try:
        run = Run.open(model.parent)
        event = str(run.config.settings.get("event", _ANY))
        taught = [open_signals(store.place(run.path), event=event) for store in run.config.stores]
    except AnlageError:  # the model lies by itself, or its training data are gone
        return None
    ids = np.concatenate([one.ids[one.scores != NOT_YET] for one in taught])
    return np.intersect1d(ids, signals.ids)


def _held_out(model: Path, learnt: npt.NDArray[np.int64] | None) -> Events | None:
    """What the network said of the tracks that were held out of its training, where its run kept that."""
    path = model.parent / HELD_OUT
    if learnt is None or not path.is_file():
        return None
    held = read_held_out(path)
    files = np.unique(held.files)
    return held.events(str(files[0])) if len(files) == 1 and not held.is_windows else None


def _read(path: Path, event: str) -> Signals:
    """Signals with the answers that the file has for this event; without, where it has none for it."""
    if event == _ANY:
        return open_signals(path)
    try:
        return open_signals(path, event=event)
    except AnlageError:  # no answers for this event; anything else that is wrong is said again below
        plain = open_signals(path)
        return plain.scored(*_none(plain))


def _none(signals: Signals) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Classes and times of tracks that nobody has scored."""
    return np.full(len(signals), NOT_YET), np.full(len(signals), np.nan)
