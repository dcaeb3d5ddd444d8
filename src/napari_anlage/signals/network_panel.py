"""Train a network on the scored events, and apply it to every track."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Signal

from anlage import AnlageError, Events, Run, read_events, write_signals
from anlage.wording import plural, short
from napari_anlage.jobs.thread import Thread
from napari_anlage.models.combo import ModelCombo
from napari_anlage.session.session import Session
from napari_anlage.signals.child_panel import ChildPanel
from napari_anlage.signals.scoring import Scoring
from napari_anlage.signals.source import FOLDER
from napari_anlage.widgets.basic import ActionButton, heading
from napari_anlage.widgets.connect import connect

__all__ = ["EventFinder"]

_TASK = "events"
_FEWEST = 3
"""Tracks of each kind that a training needs to hold some out."""


class EventFinder(ChildPanel):
    """Train on the scored tracks, then find the event on all of them."""

    wanted = Signal(object, str)
    """A training from this file of scored signals, of this event."""
    found = Signal(object)
    """`Events` of a network."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._scoring: Scoring | None = None
        self._source: Path | None = None
        self._event = "event"
        self._thread = Thread(self)
        self._run: Run | None = None
        self._given: Path | None = None
        """What was handed over to be learnt from last."""
        self.applied: Path | None = None
        """The network whose events were found last."""
        self.train = ActionButton(
            "Train on the scored tracks …", primary=True,
            tooltip="Opens the training of events with your answers: alone, or with other files, and from a model.",
        )  # fmt: skip
        self.model = ModelCombo(
            session, _TASK, "", "Networks for events: those that were trained in this project, and files."
        )
        self.find = ActionButton("Find on every track", tooltip="Applies the network to every track.")
        self._build()
        self._connect()
        self.refresh()

    def offer(self, scoring: Scoring | None, source: Path | None, event: str) -> None:
        """Learn from these answers, and find on the signals of this file."""
        if self._scoring is not None:
            self._scoring.changed.disconnect(self.refresh)
        self._scoring, self._source, self._event = scoring, source, event
        if scoring is not None:
            scoring.changed.connect(self.refresh)
        self.refresh_models()

    def refresh(self) -> None:
        """Say what is missing."""
        self.setVisible(self._scoring is not None)
        self.train.allow(self._lack())
        nothing = None if self.model.choice is not None else "No network for events was trained in this project yet."
        self.find.allow("Finding …" if self._child.busy else nothing)
        self.model.combo.setEnabled(self.model.choice is not None)

    def refresh_models(self) -> None:
        """Offer the project's networks for events."""
        self.model.refresh()
        self.refresh()

    def forget(self) -> None:
        """The signals that are open belong to another image: what was begun with them is of no account."""
        self._thread.forget()
        self._child.stop()
        self._job.end()
        self._run = self._target = self._given = self.applied = None
        self.status.say("")
        self.status.hide()

    def retire(self) -> None:
        """End what belongs to the window."""
        self._child.stop()
        self._job.end()

    def _build(self) -> None:
        self.column.setContentsMargins(0, 0, 0, 0)
        self.add(heading("Network"), self.train, self.model, self.find, self.status)
        self.status.hide()

    def _connect(self) -> None:
        self.train.clicked.connect(lambda: self.attempt(self._train))
        self.model.changed.connect(self.refresh)
        self.find.clicked.connect(lambda: self.attempt(self._find))
        self._thread.done.connect(self._on_made)
        self._thread.failed.connect(self._on_failed)
        self._child.finished.connect(lambda: self.attempt(self._on_found))
        self._child.failed.connect(self._on_failed)
        connect(self._session.project_changed, self.refresh_models)
        connect(self._session.run_changed, self._on_run)

    def _lack(self) -> str | None:
        if self._thread.busy:
            return "Writing the training data …"
        scoring = self._scoring
        if scoring is None:
            return "Open signals first."
        balance = scoring.balance
        for n, words in ((balance.event, "with an event"), (balance.no_event, "without one")):
            if n < _FEWEST:
                return f"Score at least {_FEWEST} tracks {words}; there {'is' if n == 1 else 'are'} {n or 'none'}."
        return None

    def _train(self) -> None:
        scoring = self._scoring
        if scoring is None:
            raise AnlageError("Open signals first.")
        store, _ = self._session.new_paths(_TASK)
        signals, path, event = scoring.scored, store.with_suffix(".csv"), self._event

        def make() -> Path:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_signals(path, signals, event=event)
            return path

        self._thread.run(make)
        self.refresh()

    def _on_made(self, path: Path) -> None:
        self._given = path
        self.wanted.emit(path, self._event)
        self.status.hide()
        self.refresh()

    def _on_run(self) -> None:
        """A training from these answers has ended: its network is tried on every track at once."""
        self.refresh_models()
        watched = self._session.run
        if watched is not None and watched.state in ("new", "running") and self._learns(watched):
            self._run = watched
        run = self._run
        model = None if run is None or run.state in ("new", "running") else run.model_path
        if run is not None and run.state not in ("new", "running"):
            self._run = None
        if model is not None:
            self.model.choose(model)
            self.status.say(f"{short(model.stem)} is trained.", "good")
            if self.find.button.isEnabled():
                self.attempt(self._find)

    def _learns(self, run: Run) -> bool:
        """Whether a training learns from what was handed over here."""
        return self._given is not None and any(
            store.place(run.path).resolve() == self._given.resolve() for store in run.config.stores
        )

    def _find(self) -> None:
        if self._source is None:
            raise AnlageError("Open signals first.")
        choice = self.model.choice
        if choice is None:
            raise AnlageError("No network for events was trained in this project yet.")
        folder = self._session.folder / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        self._target = folder / f"found-{self._event}.csv"
        self.applied = choice.path
        self._job.begin("Finding events", self._stop)
        self._child.start(
            ["predict", choice.argument, str(self._source), "-o", str(self._target)], self._target.with_suffix(".log")
        )
        self.status.say("Finding events …", "info")
        self.refresh()

    def _on_found(self) -> None:
        self._job.end()
        self.refresh()
        if self._target is None:
            return
        events: Events = read_events(self._target)
        n = int(events.happened.sum())
        self.status.say(f"{plural(n, 'event')} found on {plural(len(events), 'track')}.", "good")
        self.found.emit(events)
