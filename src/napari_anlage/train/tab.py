"""Step 3, Train: choose what to train, how long and where, then watch the run."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from pathlib import Path
from typing import Any

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QFormLayout, QPushButton, QVBoxLayout, QWidget
from superqt import QCollapsible

from anlage import (
    KINDS,
    TASKS,
    USUAL,
    AnlageError,
    Run,
    TrainingConfig,
    kind_of_model,
    load_model,
    read_card,
    usual_steps,
)
from anlage.project.models import project_models, starters
from anlage.project.training_data import OtherProject
from anlage.wording import short
from napari_anlage import preferences
from napari_anlage.jobs.thread import ErrorReport, Thread
from napari_anlage.session.session import Session
from napari_anlage.train.data import OWN, ReadyMovies, TrainingRequest, carry_out, chosen_movie, look
from napari_anlage.train.device_choice import DeviceChoice
from napari_anlage.train.event_screen import EVENTS, EventScreen, begin
from napari_anlage.train.movies import MovieList
from napari_anlage.train.run_view import RunView
from napari_anlage.train.task_cards import Lengths, StartChoice, TaskCards
from napari_anlage.widgets.basic import ActionButton, Tab, heading
from napari_anlage.widgets.connect import connect
from napari_anlage.widgets.form import Form, form_for

__all__ = ["TrainTab"]

_WAIT_MS = 200
"""Edits that come this fast are counted together."""
_OF_A_MODEL = frozenset({"freeze_encoder", "fresh_weights"})
"""What means nothing to a training that starts from no model."""


class TrainTab(Tab):
    """Choose, start, watch, stop and resume trainings."""

    title = "Train"

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._thread = Thread(self)
        self._counting = Thread(self)
        self._stale = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_WAIT_MS)
        self.cards = TaskCards(KINDS)
        self.movies = MovieList(session)
        self.material: ReadyMovies | None = None
        """What was counted last."""
        self.length = Lengths()
        self.device = DeviceChoice()
        self.begin_with = StartChoice()
        self.events = EventScreen(session)
        self.general: Form = form_for(TrainingConfig(), skip=("minutes", "device", "processes"))
        self.forms: dict[str, Form] = {
            name: self.events.special if name == EVENTS else form_for(TASKS[kind.task].config(), skip=kind.unused)
            for name, kind in KINDS.items()
        }
        self.start = ActionButton("Train", primary=True, tooltip="Writes the training data and starts the training.")
        self.setup, self.unfold = QWidget(), QPushButton("Settings of the next training")
        self.view = RunView(session, self.status)
        self.watcher, self.plot, self.progress = self.view.watcher, self.view.plot, self.view.progress
        self.stop, self.resume, self.notes = self.view.stop, self.view.resume, self.view.notes
        self._build()
        self._connect()
        self._on_preferences()
        self._on_kind(self.cards.kind)
        if session.run is not None:  # the dock was closed and opened again
            self.watch(session.run)
        self.refresh_runs()
        self.count()

    def _build(self) -> None:
        column = QVBoxLayout(self.setup)
        column.setContentsMargins(0, 0, 0, 0)
        choices = self._choices = QFormLayout()
        choices.setContentsMargins(0, 0, 0, 0)
        choices.addRow("Start from", self.begin_with)
        choices.addRow("Take over", self.events.take)
        choices.addRow("Device", self.device)
        self.advanced = QCollapsible("Advanced", expandedIcon="▾", collapsedIcon="▸")
        self.advanced.setDuration(0)
        self.advanced.layout().setContentsMargins(0, 0, 0, 0)
        self.advanced.content().layout().setContentsMargins(0, 0, 0, 0)
        network = QWidget()
        layout = QVBoxLayout(network)
        layout.setContentsMargins(0, 0, 0, 0)
        for form in self.forms.values():
            layout.addWidget(form)
        for part in (heading("Network"), network, heading("Training"), self.general, self.events.general):
            self.advanced.addWidget(part)
        column.addWidget(self.cards)
        column.addWidget(self.movies)
        column.addWidget(self.events)
        column.addWidget(self.length)
        column.addLayout(choices)
        column.addWidget(self.advanced)
        column.addWidget(self.start)
        self.unfold.setCheckable(True)
        self.unfold.setToolTip(
            "What the next training learns, how long and where. It can begin when this one has ended."
        )
        self.add(self.unfold, self.setup, self.view)

    def _connect(self) -> None:
        session = self._session
        self.cards.chosen.connect(self._on_kind)
        self.begin_with.opened.connect(self._on_opened)
        self.begin_with.currentIndexChanged.connect(self._on_start)
        self.movies.changed.connect(self.count)
        self.movies.failed.connect(self.report)
        self.events.changed.connect(self._on_events)
        self.events.failed.connect(self.report)
        for form in self.forms.values():
            form.changed.connect(self._show_lengths)
        self.start.clicked.connect(self.train)
        self.unfold.toggled.connect(lambda _: self.refresh())
        self.view.failed.connect(self.report)
        self.view.moved.connect(self.refresh)
        self._thread.done.connect(self._on_made)
        self._thread.failed.connect(self._on_failed)
        self._thread.progressed.connect(lambda fraction, _: self.progress.setValue(round(100 * fraction)))
        self._counting.done.connect(self._on_counted)
        self._counting.failed.connect(self.report)
        self._timer.timeout.connect(self.count)
        for signal in (session.image_changed, session.nuclei_changed, session.cuboids_changed):
            connect(signal, self._on_material)
        for signal in (session.image_changed, session.project_changed):
            connect(signal, self.refresh_runs)
        connect(session.run_changed, self._offer_models)
        connect(session.exchanged, self._on_exchanged)
        preferences.follow(self._on_preferences)

    # ---- what is there ----

    @property
    def special(self) -> Form:
        """The form of the chosen kind of network."""
        return self.forms[self.cards.kind]

    def showEvent(self, event: Any) -> None:
        """Look again at what changes while nobody looks: free memory, and what was annotated."""
        super().showEvent(event)
        self.device.refresh()
        self.movies.read_again()
        if self._stale:
            self.count()

    def count(self) -> None:
        """Say what there is to learn from; in a thread where a layer has to be read for it."""
        if self._session.uses_document or self._session.nuclei_layer is None:
            self._stale = False
            self._on_counted(self.attempt(lambda: look(self._session, self.movies.others, own=self.movies.own)))
            return
        self._stale = self._counting.busy
        if not self._stale:
            self._counting.run(_look, self._session, self.movies.others, self.movies.own)

    def _on_material(self) -> None:
        self._stale = True
        if self.isVisible():
            self._timer.start()
        self.refresh()

    def _on_exchanged(self) -> None:
        """What was counted, and the model to start from, were those of the image before."""
        self._counting.forget()
        self.cards.start_over()
        self.movies.start_over()
        self.begin_with.choose(USUAL)

    def _on_counted(self, material: ReadyMovies | None) -> None:
        if material is not None:
            self.material = material
            self.cards.show_readiness({**material.ready, EVENTS: self.events.readiness})
            self.cards.suggest(material.suggested)
            self._show_movies()
        self.refresh()
        if self._stale:
            self._timer.start()

    def refresh(self) -> None:
        """The buttons, and what there is to say before anything was trained."""
        missing = self._missing()
        self.start.allow(missing)
        training = bool(self.view.running())  # then its curves come first
        self.unfold.setVisible(training)
        self.setup.setVisible(self.unfold.isChecked() or not training)
        if self.watcher.run is None and not self._thread.busy and self.status.kind != "error":
            self.status.say(
                "Ready to train." if missing is None else "Nothing was trained yet.",
                "good" if missing is None else "idle",
            )

    def _missing(self) -> str | None:
        if self._thread.busy:
            return (
                "The training data are being read …" if self.learns_events else "The training data are being written …"
            )
        running = self.view.running()
        if running:
            return f"{short(running[0].name)} is being trained; stop it to start another."
        return self.cards.lack if self.cards.known else "Looking at what there is to learn from …"

    def refresh_runs(self) -> None:
        """Offer the project's runs and models."""
        self.view.refresh_runs()
        self._offer_models()
        self.refresh()

    def _offer_models(self) -> None:
        paths = project_models(self._session.folder)
        task, flat = KINDS[self.cards.kind].task, self._is_flat()
        models = [(short(path.stem), path) for path in paths if _is_of(path, task)]
        ours = starters(flat=flat) if TASKS[task].material.has_starter else []
        more = [(f"{one.name} (comes with anlage)", one.path) for one in ours if one.path is not None]
        self.begin_with.offer([*models, *more], usual=not self.learns_events)
        self._on_start()

    @property
    def learns_events(self) -> bool:
        """Whether events are what is to be learnt."""
        return bool(self.cards.kind == EVENTS)

    def learn_from(self, signals: Path, event: str) -> None:
        """Get ready to learn this event from a file of scored signals."""
        self.cards.choose(EVENTS)
        self.events.learn_from(signals, event)
        self.unfold.setChecked(True)

    def start_from(self, model: Path) -> None:
        """Get ready to train what this model is, from its weights."""
        card = self.attempt(lambda: read_card(model))
        if card is not None:
            self.cards.choose(kind_of_model(card.task, card.head).name)
            self.begin_with.add(model)

    def _on_events(self) -> None:
        self.cards.show_one(EVENTS, self.events.readiness)
        self.length.setEnabled(not (self.learns_events and self.events.budget.is_set))
        if self.learns_events:
            self._show_lengths()
        self.refresh()

    def _on_start(self, *_: Any) -> None:
        if self.learns_events:
            model = self.begin_with.model
            self.attempt(lambda: self.events.start_from(model if isinstance(model, Path) else None))
        has_start = isinstance(self.begin_with.model, Path) or (
            self.begin_with.model == USUAL and TASKS[KINDS[self.cards.kind].task].material.has_starter
        )
        self.general.show_only([name for name in self.general.names() if has_start or name not in _OF_A_MODEL])
        self._show_lengths()

    def _is_flat(self) -> bool:
        try:
            return bool(self._session.image().is_flat)
        except AnlageError:
            return False

    def _show_lengths(self, *_: Any) -> None:
        """The lengths are those of the chosen kind, with its settings and what it starts from."""
        session = self._session
        n_inputs = 1 if session.combine == "sum" else max(1, len(session.picked))
        try:
            usual, least = usual_steps(
                KINDS[self.cards.kind].task,
                self.events.settings() if self.learns_events else self._special(),
                self.begin_with.model,
                n_inputs=n_inputs,
                flat=self._is_flat(),
            )
        except AnlageError:
            return  # something half typed; whoever starts it hears what is wrong
        self.length.show_steps(usual, least)

    def _on_preferences(self, event: Any = None) -> None:
        self.device.choose(preferences.read().device)

    def _show_movies(self) -> None:
        """What each movie brings to the chosen kind."""
        if self.material is not None:
            ready = {folder: of[self.cards.kind] for folder, of in self.material.movies.items()}
            self.movies.show_counts(self.material.counts, ready)

    def _special(self) -> list[str]:
        """What the user set of the chosen kind, with what makes it that kind."""
        return [*KINDS[self.cards.kind].settings, *self.special.assignments()]

    def _on_kind(self, name: str) -> None:
        for kind, form in self.forms.items():
            form.setVisible(kind == name)
        self.movies.setVisible(name != EVENTS)
        self._show_movies()
        for part in (self.events, self.events.general):
            part.setVisible(name == EVENTS)
        self.general.setVisible(name != EVENTS)
        self._choices.setRowVisible(self.events.take, name == EVENTS)
        self.view.preview.setVisible(name != EVENTS)  # of signals nothing is seen in the image
        self._offer_models()
        self._on_events()

    def _on_opened(self, path: Path) -> None:
        if self.attempt(lambda: load_model(path, task=KINDS[self.cards.kind].task)) is not None:
            self.begin_with.add(path)

    # ---- starting ----

    def settings(self) -> list[str]:
        """What the user set, each as ``name=value``."""
        steps = self.length.steps
        general = self.events.settings() if self.learns_events else self.general.assignments()
        is_set = any(one.partition("=")[0] in ("steps", "epochs", "minutes") for one in general)
        length = [] if steps is None or is_set else [f"steps={steps}"]
        return [*length, *self.device.settings, *general, *([] if self.learns_events else self._special())]

    def train(self) -> None:
        """Write the store in a thread, then start the child."""
        self.attempt(self._order)
        self.refresh()

    def _order(self) -> None:
        lack = self.cards.lack
        if lack is not None:
            raise AnlageError(lack)
        if self.learns_events:
            self.status.say("Reading the signals …", "info")
            self._thread.run(begin, self.events.request(self.settings(), self.begin_with.model))
            return
        context = max(abs(offset) for offset in getattr(self.special.read(), "frames", (0,)))
        session = self._session
        kind, taken = self.cards.kind, () if self.material is None else self.material.taken(self.cards.kind)
        order = TrainingRequest(
            kind, tuple(self.settings()), chosen_movie(session, kind) if OWN in taken else None,
            tuple(folder for folder in taken if folder != OWN), self.begin_with.model, context,
        )  # fmt: skip
        self.status.say("Writing the training data …", "info")
        self.view.details.show_text("")
        self.progress.show()
        self.progress.setRange(0, 100)
        self.progress.setFormat("writing the training data")
        self._thread.run(carry_out, order, session.new_paths(kind), self._thread.report)

    def _on_made(self, run: Run) -> None:
        def start() -> None:
            run.start()
            self.watch(run)

        self.attempt(start)
        self.refresh_runs()

    def _on_failed(self, problem: ErrorReport) -> None:
        self.progress.reset()
        self.report(problem)
        self.refresh()

    def report(self, problem: ErrorReport) -> None:
        """Say what went wrong, with the story behind it for whoever wants it."""
        super().report(problem)
        self.view.details.show_text(problem.details)

    # ---- the run ----

    def watch(self, run: Run | None) -> None:
        """Follow this run, and show it on the other tabs."""
        self.view.watch(run)

    def retire(self) -> None:
        """Watch no more; a training goes on."""
        self.view.leave()


def _look(session: Session, others: tuple[OtherProject, ...], own: bool) -> ReadyMovies:  # noqa: FBT001 - a thread passes no names
    return look(session, others, own=own)


def _is_of(path: Path, task: str) -> bool:
    try:
        return bool(read_card(path).task == task)
    except AnlageError:
        return False
