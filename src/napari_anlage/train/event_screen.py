"""The training screen of events: what to learn from, what of, from which model, in which mix, and how."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QFormLayout, QLineEdit, QVBoxLayout, QWidget

from anlage import TASKS, Readiness, Run, TrainingConfig, read_card
from anlage.project.event_sets import common_signals, sets_readiness, usable
from napari_anlage.session.session import Session
from napari_anlage.train.event_choices import BudgetChoice, HeldOutChoice, OptionalNumber, TakeFrom, WindowLength
from napari_anlage.train.event_mix import MixChoice
from napari_anlage.train.event_sets import EventSets
from napari_anlage.train.event_signals import SignalTable
from napari_anlage.widgets.basic import heading, note
from napari_anlage.widgets.form import Form, form_for
from napari_anlage.widgets.number_fields import CountField, NumberField
from napari_anlage.widgets.silent import silent
from napari_anlage.widgets.tuner import Tuner

__all__ = ["EVENTS", "EventRequest", "EventScreen", "begin"]

EVENTS = "events"
_SHOWN = (
    "kind", "event", "signals", "normalise", "limits", "clip_signals", "window", "members", "held_out", "mix", "even_recordings",
    "variation",
)  # fmt: skip
_GENERAL = ("steps", "epochs", "minutes", "learning_rate", "batch_size", "freeze_encoder", "fresh_weights", "device")
_OF_MODEL = ("resolution", "width", "depth", "kernel")
_OF_KIND = {"once": ("crop",), "repeated": ("resolution", "shift", "stretch")}
_ONE_WORD = re.compile(r"\w{0,50}")
_FILE_NAME = re.compile(r"\w[\w .-]{0,80}(?<![ .])")
_MOST_VARIATION = 3.0


@dataclass(frozen=True, slots=True)
class EventRequest:
    """A training of events that the user asked for; see `begin`."""

    folder: Path
    files: tuple[Path, ...]
    settings: tuple[str, ...]
    start_from: str | Path | None


def begin(order: EventRequest) -> Run:
    """Make the run; reads and hashes the files, so it is called in a thread."""
    return Run.create(order.folder, EVENTS, order.files, order.settings, start_from=order.start_from)


class EventScreen(QWidget):
    """All that is chosen for a training of events, except what every training has above and below it."""

    changed = Signal()
    failed = Signal(object)

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._of_model = False
        self.sets = EventSets(session)
        self.name, self.event = QLineEdit(), QComboBox()
        self.take, self.model_says = TakeFrom(), note("")
        self.signals, self.window = SignalTable(), WindowLength()
        self.mix = MixChoice()
        self.variation = Tuner(
            "Variation",
            "",
            2,
            "How much every example is varied while it is shown: 0 not at all, 1 as usual, 3 very much.",
        )
        self.held_out, self.budget = HeldOutChoice(), BudgetChoice()
        rate, batch = NumberField(), CountField()
        rate.setRange(1e-6, 1)
        rate.setValue(0.004)
        rate.setSingleStep(0.001)
        batch.setRange(1, 65536)
        batch.setValue(32)
        self.rate = OptionalNumber(
            "learning_rate", "usual", rate, "Highest step of the weights. Usual: 0.004, from a model's weights 0.0005."
        )
        self.batch = OptionalNumber("batch_size", "usual", batch, "Examples in each step, for each network. Usual: 32.")
        self.special: Form = form_for(TASKS[EVENTS].config(), skip=_SHOWN)
        self.special.set_step("kernel", 2)
        self.general: Form = form_for(TrainingConfig(), skip=_GENERAL)
        self._build()
        self._connect()
        self.refresh()

    def _build(self) -> None:
        self.name.setPlaceholderText("by the day")
        self.name.setToolTip(
            "Name of the model; it is made in the project's folder 'runs'. A name that is taken gets a number."
        )
        self.name.setAccessibleName("Name of the model")
        self.event.setEditable(True)
        self.event.lineEdit().setPlaceholderText("one word")
        self.event.setToolTip("What happens, in one word; where files hold several events, the one to learn.")
        self.event.setAccessibleName("Event")
        self.event.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.variation.show_value(1.0, 1.0, 0.0, _MOST_VARIATION)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(5)
        column.addWidget(heading("Scored signals"))
        column.addWidget(self.sets)
        column.addLayout(_rows(("Model", self.name), ("Event", self.event)))
        column.addWidget(heading("Mix"))
        column.addWidget(self.mix)
        column.addWidget(heading("Signals"))
        column.addWidget(self.model_says)
        column.addWidget(self.signals)
        column.addLayout(_rows(("Length", self.window)))
        column.addWidget(heading("Learning"))
        column.addWidget(self.variation)
        self._learning = _rows(
            ("Held out", self.held_out), ("Rate", self.rate), ("Batch", self.batch), ("Train for", self.budget)
        )
        column.addLayout(self._learning)

    def _connect(self) -> None:
        self.sets.changed.connect(self.refresh)
        self.sets.failed.connect(self.failed)
        self.event.lineEdit().editingFinished.connect(self._on_event)
        self.event.activated.connect(lambda _: self._on_event())
        self.name.textChanged.connect(lambda _: self.changed.emit())
        for part in (self.signals, self.window, self.mix, self.held_out, self.take, self.rate, self.batch, self.budget):
            part.changed.connect(self.changed)
        self.variation.tuned.connect(lambda _: self.changed.emit())
        for form in (self.special, self.general):
            form.changed.connect(self.changed)

    # ---- what is chosen ----

    @property
    def readiness(self) -> Readiness:
        """What there is to learn from, and what is missing."""
        if self.sets.busy:
            return Readiness("reading the files …", lack="The files are being read …")
        ready = sets_readiness(self.sets.sets, self.mix.mix)
        return Readiness(ready.has, lack=self._lack()) if ready.can_train and self._lack() else ready

    def settings(self) -> list[str]:
        """What the user set, each as ``name=value``."""
        event, variation = self.event.currentText().strip(), self.variation.value()
        parts: list[Callable[[], list[str]]] = [
            self.mix.assignments, self.window.assignments, self.take.assignments, self.rate.assignments,
            self.batch.assignments, self.budget.assignments, self.special.assignments, self.general.assignments,
        ]  # fmt: skip
        if not self._of_model:
            parts += [self.signals.assignments, self.held_out.assignments]
        found = [f"event={event}"] if event else []
        found += [] if variation == 1 else [f"variation={variation:g}"]
        return [*found, *(text for part in parts for text in part())]

    def request(self, settings: list[str], start_from: str | Path | None) -> EventRequest:
        """What to train, with settings of the whole tab."""
        files = tuple(one.path for one in self.sets.sets)
        return EventRequest(self._folder(), files, tuple(settings), start_from)

    def learn_from(self, path: Path, event: str) -> None:
        """Learn this event from signals that were just scored."""
        with silent(self.event):
            self.event.setEditText(event)
        self.sets.put_scored(path)
        self.sets.read(event)

    def start_from(self, model: Path | None) -> None:
        """Show what a model to start from decides; None: nothing does."""
        self._of_model = model is not None
        card = None if model is None else read_card(model)
        names = "" if card is None else ", ".join(card.channels)
        self.model_says.setText(
            f"As the model has them, with their scales: {names}. Its number of networks stays, each with its own part held out."
        )
        self.model_says.setVisible(self._of_model)
        self.take.setEnabled(self._of_model)
        self.signals.setVisible(not self._of_model)
        self._learning.setRowVisible(self.held_out, not self._of_model)
        self.refresh()

    def refresh(self) -> None:
        """Show what the ticked files hold."""
        sets = self.sets.sets
        right = usable(sets)
        kind = right[0].kind if right else "once"
        self._offer_events(sorted({name for one in right for name in one.events}))
        self.mix.offer(sets)
        self.signals.offer(common_signals(sets))
        self.window.offer(sets)
        hidden = {name for other, names in _OF_KIND.items() if other != kind for name in names}
        hidden |= set(_OF_MODEL) if self._of_model else set()
        self.special.show_only([name for name in self.special.names() if name not in hidden])
        self.changed.emit()

    def _offer_events(self, names: list[str]) -> None:
        line = self.event.currentText()
        if [self.event.itemText(i) for i in range(self.event.count())] != names:
            with silent(self.event):
                self.event.clear()
                self.event.addItems(names)
                self.event.setEditText(line or (names[0] if names else ""))

    def _on_event(self) -> None:
        event = self.event.currentText().strip()
        self.sets.read(event if _ONE_WORD.fullmatch(event) else "")

    def _lack(self) -> str:
        event = self.event.currentText().strip()
        if not _ONE_WORD.fullmatch(event):
            return f"An event is one word of letters, digits and underscores, which '{event[:60]}' is not."
        name = self.name.text().strip()
        if name and not _FILE_NAME.fullmatch(name):
            return f"The model's name becomes that of a folder: letters, digits, blanks, _, - and . inside, which '{name[:60]}' is not."
        names = [self.event.itemText(i) for i in range(self.event.count())]
        if names and not event:
            return f"The files hold several events ({', '.join(names)}); choose one of them behind Event."
        if not self._of_model and not self.signals.ticked:
            return "Tick at least one signal to learn from."
        return ""

    def _folder(self) -> Path:
        """Where the run goes; a name that is taken gets a number."""
        name, runs = str(self.name.text()).strip(), Path(self._session.folder) / "runs"
        if not name:
            return self._session.new_paths(EVENTS)[1]
        places = itertools.chain([runs / name], (runs / f"{name}-{i}" for i in itertools.count(2)))
        return next(place for place in places if not place.exists())


def _rows(*pairs: tuple[str, QWidget]) -> QFormLayout:
    layout = QFormLayout()
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setVerticalSpacing(4)
    layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    for text, widget in pairs:
        layout.addRow(text, widget)
    return layout
