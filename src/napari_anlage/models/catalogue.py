"""All models that there are, to be looked through: those of the program, the user's own, and those of other folders and lists."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

import re
from pathlib import Path

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QDialog,
    QFileDialog,
    QHBoxLayout,
    QHeaderView,
    QPushButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from anlage import AnlageError, kind_of_model
from anlage.project.catalogue import listed_models, model_folder, models_in
from anlage.project.models import Choice, starters
from anlage.wording import plural
from napari_anlage.widgets.basic import StatusLine
from napari_anlage.widgets.escaping import plain
from napari_anlage.widgets.plain_text import CardBrowser

__all__ = ["ModelCatalogue"]

_SIZE = (760, 560)
_CARD_PARTS = (3, 4)
"""Heights of the list and of the card beside each other."""


class ModelCatalogue(QDialog):
    """A list of models by the place where they lie, what each is for and how good it is.

    Parameters
    ----------
    places
        Folders and lists that were added before; what is added here is appended to it.
    """

    used = Signal(object)
    """A model is to be used; carries its `Choice`."""
    train_from = Signal(object)
    """A training is to start from a model; carries its file."""

    def __init__(self, places: list[Path], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Models")
        self.resize(*_SIZE)
        self._places = places
        self.tree = QTreeWidget()
        self.tree.setHeaderLabels(["model", "kind", "score on held-out data"])
        self.tree.header().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        self.tree.header().setStretchLastSection(True)
        self.text, self.status = CardBrowser(), StatusLine()
        self.use = self._button("Use", "Choose it where its kind is used.")
        self.start = self._button("Train from", "Go to the Train tab, to begin with its weights.")
        self.show_card = self._button(
            "Show card", "What it learnt from, how good it is, and what it must not be used for."
        )
        self.show_card.setCheckable(True)
        self.folder = self._button(
            "Add folder …", "Look through the models of a folder, such as the one that your lab shares."
        )
        self.list = self._button("Add list …", "A text file with a model or a folder of models in each line.")
        self._build()
        self.refresh()

    def _button(self, text: str, tooltip: str) -> QPushButton:
        button = QPushButton(text)
        button.setToolTip(plain(tooltip))
        button.setAutoDefault(False)
        return button

    def _build(self) -> None:
        column, row = QVBoxLayout(self), QHBoxLayout()
        column.addWidget(self.tree, _CARD_PARTS[0])
        column.addWidget(self.text, _CARD_PARTS[1])
        column.addWidget(self.status)
        for button in (self.use, self.start, self.show_card):
            row.addWidget(button)
        row.addStretch()
        for button in (self.folder, self.list):
            row.addWidget(button)
        column.addLayout(row)
        self.text.hide()
        self.tree.currentItemChanged.connect(lambda *_: self._on_chosen())
        self.tree.itemDoubleClicked.connect(lambda *_: self._on_use())
        self.use.clicked.connect(self._on_use)
        self.start.clicked.connect(self._on_start)
        self.show_card.toggled.connect(lambda _: self._on_chosen())
        self.folder.clicked.connect(self._on_folder)
        self.list.clicked.connect(self._on_list)

    @property
    def choice(self) -> Choice | None:
        """The model in the chosen line; None where that is a place, or nothing is chosen."""
        item = self.tree.currentItem()
        found: Choice | None = None if item is None else item.data(0, Qt.ItemDataRole.UserRole)
        return found

    def refresh(self) -> None:
        """Read all places anew."""
        self.tree.clear()
        ours = [*starters(flat=False), *starters(flat=True)]
        self._add_place("With the program", "", [Choice.of(one.path) for one in ours if one.path is not None])
        shelf = model_folder()
        self._add_place("Your model folder", str(shelf), [Choice.of(path) for path in models_in(shelf)])
        for place in self._places:
            try:
                found = [Choice.of(path) for path in listed_models([place])]
            except AnlageError as error:
                found = []
                self.status.say(str(error), "error")
            self._add_place(place.name, str(place), found)
        self.tree.expandAll()
        self._on_chosen()

    def add(self, place: Path) -> None:
        """Look through another folder or list; what is wrong with it is said, and it is left out."""
        try:
            found = listed_models([place])
        except AnlageError as error:
            self.status.say(str(error), "error")
            return
        if not found:
            self.status.say(f"There is no model (.anlage) in '{place}'.", "warning")
            return
        if place not in self._places:
            self._places.append(place)
        self.refresh()
        self.status.say(f"{plural(len(found), 'model')} in '{place.name}'.", "good")

    def _add_place(self, title: str, where: str, models: list[Choice]) -> None:
        top = QTreeWidgetItem([title, "", "" if models else "none"])
        top.setToolTip(0, plain(where))
        for one in models:
            kind = "" if one.card is None else kind_of_model(one.card.task, one.card.head).title
            score = one.problem if one.card is None else one.card.verdict.score or one.card.verdict.headline
            item = QTreeWidgetItem([one.name, kind, score])
            item.setToolTip(0, plain(one.argument))
            item.setToolTip(2, plain(score))
            item.setData(0, Qt.ItemDataRole.UserRole, one)
            top.addChild(item)
        self.tree.addTopLevelItem(top)

    def _on_chosen(self) -> None:
        choice = self.choice
        known = choice is not None and choice.card is not None
        for button in (self.use, self.start, self.show_card):
            button.setEnabled(known)
        self.text.setVisible(known and self.show_card.isChecked())
        if choice is not None and choice.card is not None:
            self.text.show_markdown(re.sub(r"^(#+) ", r"##\1 ", choice.card.to_markdown(), flags=re.MULTILINE))

    def _on_use(self) -> None:
        if self.choice is not None and self.choice.card is not None:
            self.used.emit(self.choice)
            self.accept()

    def _on_start(self) -> None:
        if self.choice is not None and self.choice.card is not None:
            self.train_from.emit(self.choice.path)
            self.accept()

    def _on_folder(self) -> None:
        name = QFileDialog.getExistingDirectory(self, "A folder of models", str(model_folder().parent))
        if name:
            self.add(Path(name))

    def _on_list(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self, "A list of models", str(Path.home()), "Lists (*.txt)")
        if name:
            self.add(Path(name))
