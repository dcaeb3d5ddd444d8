"""Cards to choose the kind of network, the length, the device and the model to start from."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QButtonGroup,
    QComboBox,
    QFileDialog,
    QFrame,
    QHBoxLayout,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from anlage import USUAL, Readiness
from anlage.wording import short
from napari_anlage.widgets.basic import StatusLine
from napari_anlage.widgets.escaping import plain
from napari_anlage.widgets.plain_text import Label
from napari_anlage.widgets.silent import silent

__all__ = ["Lengths", "StartChoice", "TaskCard", "TaskCards"]

_LENGTHS = (("Quick look", 0.2), ("Standard", 1.0), ("Long", 3.0))
"""Names of the lengths, in units of the task's usual number of steps."""
_STANDARD = 1

_FRAME = "TaskCard{border:1px solid rgba(128,128,128,110);border-radius:5px}"
_CHOSEN = "TaskCard{border:2px solid #2f9d6b;border-radius:5px;background:rgba(47,157,107,26)}"


class TaskCard(QFrame):
    """One kind of network: what it has to learn from and still needs. Click to choose it."""

    clicked = Signal()

    def __init__(self, title: str) -> None:
        super().__init__()
        self.setObjectName("TaskCard")
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.title = Label(title)
        self.title.setStyleSheet("font-weight:600")
        self.line = StatusLine()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(9, 6, 9, 7)
        layout.setSpacing(2)
        layout.addWidget(self.title)
        layout.addWidget(self.line)
        self.choose(chosen=False)

    def choose(self, *, chosen: bool) -> None:
        """Show whether this is what will be trained."""
        self.setStyleSheet(_CHOSEN if chosen else _FRAME)
        self.setAccessibleName(f"{self.title.text()}{', chosen' if chosen else ''}")

    def show_readiness(self, ready: Readiness, *, chosen: bool) -> None:
        """Say what there is, and what is missing; for the chosen one the button says why it cannot be trained."""
        kind = "idle" if ready.lack else "warning" if ready.wish else "good"
        text = ready.lack if ready.lack and not chosen else f"{ready}."
        self.line.say(text[:1].upper() + text[1:], kind, ready.lack)

    def mousePressEvent(self, event: Any) -> None:
        """Choose it."""
        super().mousePressEvent(event)
        self.clicked.emit()

    def keyPressEvent(self, event: Any) -> None:
        """Choose it by the keyboard."""
        if event.key() in (Qt.Key.Key_Space, Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.clicked.emit()
        else:
            super().keyPressEvent(event)


class TaskCards(QWidget):
    """The cards of all that can be trained, one of them chosen: by what was annotated, until somebody chooses another one."""

    chosen = Signal(str)

    def __init__(self, kinds: Mapping[str, Any]) -> None:
        super().__init__()
        self.cards = {name: TaskCard(kind.title) for name, kind in kinds.items()}
        self._ready: dict[str, Readiness] = {}
        self._settled = False
        self.kind = next(iter(kinds))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(5)
        for name, card in self.cards.items():
            layout.addWidget(card)
            card.clicked.connect(lambda name=name: self.choose(name))
        self.cards[self.kind].choose(chosen=True)

    def choose(self, kind: str) -> None:
        """Train this kind, whatever is annotated."""
        self._settled = True
        self._choose(kind)

    def suggest(self, kind: str) -> None:
        """What was annotated is for this kind; nothing changes where somebody chose one."""
        if not self._settled:
            self._choose(kind)

    def start_over(self) -> None:
        """What was chosen was meant for another image."""
        self._settled = False

    def _choose(self, kind: str) -> None:
        if kind == self.kind:
            return
        self.kind = kind
        for name, card in self.cards.items():
            card.choose(chosen=name == kind)
        if self._ready:
            self.show_readiness(self._ready)
        self.chosen.emit(kind)

    def show_readiness(self, ready: Mapping[str, Readiness]) -> None:
        """What each kind has to learn from."""
        self._ready = dict(ready)
        for name, card in self.cards.items():
            card.show_readiness(ready[name], chosen=name == self.kind)

    def show_one(self, name: str, ready: Readiness) -> None:
        """What one kind has to learn from, once something is known of all."""
        if self._ready:
            self.show_readiness({**self._ready, name: ready})

    @property
    def known(self) -> bool:
        """Whether it was looked at what there is."""
        return bool(self._ready)

    @property
    def lack(self) -> str | None:
        """Why the chosen kind cannot be trained; None if it can, or nobody knows yet."""
        ready = self._ready.get(self.kind)
        return (ready.lack or None) if ready is not None else None


_LENGTHS_TIP = (
    "How many steps to train; how long these take on this computer is told while it trains.\n"
    "It may end earlier, when nothing improves. Steps or epochs that are set under Advanced come first."
)


class Lengths(QWidget):
    """How long to train, in steps: a quick look, the task's own length, or long."""

    def __init__(self) -> None:
        super().__init__()
        self.group = QButtonGroup(self)
        self._steps = [1 for _ in _LENGTHS]
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        for i, _ in enumerate(_LENGTHS):
            button = QPushButton()
            button.setCheckable(True)
            button.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
            button.setStyleSheet("QPushButton{padding:4px 2px}QPushButton:checked{background:#2f7d5b;color:white}")
            button.setToolTip(plain(_LENGTHS_TIP))
            self.group.addButton(button, i)
            row.addWidget(button, 1)
        self.group.button(_STANDARD).setChecked(True)

    def show_steps(self, usual: int, least: int) -> None:
        """Lengths of a training that has so many steps as a rule, and learns nothing of use in fewer than `least`."""
        self._steps = [max(least, round(factor * usual)) for _, factor in _LENGTHS]
        for i, (name, _) in enumerate(_LENGTHS):
            self.group.button(i).setText(f"{name}\n{self._steps[i]} steps")

    def choose(self, index: int) -> None:
        """Take the quick look (0), the standard (1) or the long one (2)."""
        self.group.button(index).setChecked(True)

    @property
    def steps(self) -> int | None:
        """The chosen number of steps; None for the task's own."""
        index = self.group.checkedId()
        return None if index == _STANDARD else self._steps[index]


class StartChoice(QComboBox):
    """What weights a training begins with: fresh ones, or those of a model."""

    opened = Signal(object)
    """The user opened a model file."""

    def __init__(self) -> None:
        super().__init__()
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(10)
        self.setToolTip(
            "Fresh weights know nothing. Starting from a model that already finds nuclei needs fewer annotations and less time.\n"
            "Automatic: from the starter that comes with anlage, where it fits the channels and the settings; else afresh."
        )
        self._more: list[Path] = []
        self._last, self._usual = 0, True
        self.offer([])
        self.activated.connect(self._on_activated)

    def offer(self, models: Sequence[tuple[str, Path]], *, usual: bool = True) -> None:
        """Offer these models (name, file) after the usual start, where there is one, and fresh weights; the choice stays where it can."""
        self._usual = usual
        chosen = self.model if self.count() else USUAL
        listed = [path for _, path in models]
        with silent(self):
            self.clear()
            if usual:
                self.addItem("automatic", USUAL)
            self.addItem("fresh weights", None)
            for name, path in [*models, *((short(path.stem), path) for path in self._more if path not in listed)]:
                self.addItem(name, path)
                self.setItemData(self.count() - 1, plain(str(path)), Qt.ItemDataRole.ToolTipRole)
            self.addItem("Open a model …", "open")
        self.choose(chosen)

    @property
    def model(self) -> str | Path | None:
        """The model to start from, or ``"usual"``; None for fresh weights."""
        data = self.currentData()
        return data if isinstance(data, Path) or data == USUAL else None

    def choose(self, model: str | Path | None) -> None:
        """Start from this model if it is offered, else as usual."""
        places = [i for i in range(self.count()) if self.itemData(i) == model]
        self._last = places[0] if places else 0
        self.setCurrentIndex(self._last)

    def add(self, path: Path) -> None:
        """Offer one more model, and choose it."""
        if path not in self._more:
            self._more.append(path)
        listed = [(self.itemText(i), self.itemData(i)) for i in range(1 + self._usual, self.count() - 1)]
        self.offer(listed, usual=self._usual)
        self.choose(path)

    def _on_activated(self, index: int) -> None:
        if self.itemData(index) != "open":
            self._last = index
            return
        self.setCurrentIndex(self._last)
        name, _ = QFileDialog.getOpenFileName(self, "Open a model", str(Path.home()), "Models (*.anlage)")
        if name:
            self.opened.emit(Path(name))
