"""The model panel: choose the model that predicts, and read its card."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QComboBox, QFileDialog, QHBoxLayout, QPushButton, QVBoxLayout, QWidget
from superqt import QCollapsible

from anlage import AnlageError
from anlage.project.catalogue import keep_model, model_folder
from anlage.project.models import Choice, classical, project_models, starters
from anlage.wording import short
from napari_anlage.models.catalogue import ModelCatalogue
from napari_anlage.session.session import Session
from napari_anlage.widgets.basic import StatusLine, note, small_button
from napari_anlage.widgets.connect import connect
from napari_anlage.widgets.escaping import plain
from napari_anlage.widgets.plain_text import CardBrowser
from napari_anlage.widgets.silent import silent

__all__ = ["ModelPanel"]

_CARD_HEIGHT = 240
_INDENT = 12


class ModelPanel(QWidget):
    """A list of models, a few sentences on the chosen one, and its card to fold out."""

    changed = Signal()
    """Another model, or another state of the chosen one."""
    train_from = Signal(object)
    """The user wants to train from the chosen model; carries its file."""
    elsewhere = Signal(object)
    """A model of another kind is to be used on the tab where it belongs; carries its `Choice`."""
    failed = Signal(object)
    """A file cannot be used; carries the AnlageError."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._opened: list[Path] = []
        self._read: dict[str, tuple[float, Choice]] = {}
        self._seen: set[str] = set()
        self._anew = False
        self._places: list[Path] = []
        self.catalogue: ModelCatalogue | None = None
        self.combo = QComboBox()
        self.combo.setToolTip("The network, or the blob detector, that finds the nuclei.")
        self.combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.combo.setMinimumContentsLength(12)
        self.open = QPushButton("Open …")
        self.open.setToolTip(
            "Choose a model file (.anlage) from anywhere. It holds no code, so a stranger's is safe to open."
        )
        self.browse = small_button(
            "Browse …",
            "Look through all models: those of the program, your own, and those of other folders and lists, with their cards.",
        )
        self.start = small_button("Train from it", "Go to the Train tab, to begin with this model's weights.")
        self.keep = small_button("Keep", "")
        self.about = note("")
        self.doubt = StatusLine()
        self.card = QCollapsible("Card", expandedIcon="▾", collapsedIcon="▸")
        self.card.setDuration(0)
        self.text = CardBrowser()
        self.text.setFixedHeight(_CARD_HEIGHT)
        self.text.setStyleSheet("font-size:11px")
        self.text.document().setIndentWidth(_INDENT)
        self._build()
        self.combo.currentIndexChanged.connect(self._on_chosen)
        self.open.clicked.connect(self._on_open)
        self.browse.clicked.connect(self._on_browse)
        self.start.clicked.connect(lambda: self.train_from.emit(self.choice.path))
        self.keep.clicked.connect(self._on_keep)
        for signal in (session.run_changed, session.project_changed, session.image_changed):
            connect(signal, self.refresh)
        connect(session.exchanged, self._on_exchanged)
        self.refresh()

    def _build(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        row = QHBoxLayout()
        row.addWidget(self.combo, 1)
        row.addWidget(self.open)
        column.addLayout(row)
        column.addWidget(self.about)
        column.addWidget(self.doubt)
        actions = QHBoxLayout()
        actions.addWidget(self.start)
        actions.addWidget(self.keep)
        actions.addWidget(self.browse)
        actions.addStretch()
        column.addLayout(actions)
        self.card.layout().setContentsMargins(0, 0, 0, 0)
        self.card.content().layout().setContentsMargins(0, 0, 0, 0)
        self.card.addWidget(self.text)
        column.addWidget(self.card)

    @property
    def choice(self) -> Choice:
        """The chosen model; a file that was changed meanwhile is read anew."""
        found = self.combo.currentData()
        return classical() if found is None else self._current(found)

    def _on_exchanged(self) -> None:
        """The model that was chosen was that of the image before; those that the user opened are still offered."""
        self._anew = True
        self._seen.clear()

    def refresh(self) -> None:
        """Offer what there is: the run that is watched first, the project's models, newest first, and those that need none."""
        choices = self._choices()
        wanted = self.combo.currentData()
        fresh = [one for one in choices if one.argument not in self._seen and one.card is not None and not one.training]
        if self._seen and fresh:
            wanted = fresh[0]  # a training that has just ended is what one wants to see
        self._seen |= {one.argument for one in choices}
        with silent(self.combo):
            self.combo.clear()
            for one in choices:
                self.combo.addItem(one.name, one)
                self.combo.setItemData(
                    self.combo.count() - 1, plain("\n".join([one.argument, *one.about])), Qt.ItemDataRole.ToolTipRole
                )
            arguments = [one.argument for one in choices]
            if self._anew:
                self._anew, wanted = False, next((one for one in choices if one.path not in self._opened), None)
            self.combo.setCurrentIndex(
                arguments.index(wanted.argument) if wanted and wanted.argument in arguments else 0
            )
        self._on_chosen()

    def choose(self, path: Path) -> None:
        """Choose a model that is offered; nothing where it is not."""
        self.refresh()
        for i in range(self.combo.count()):
            one: Choice = self.combo.itemData(i)
            if one.path is not None and one.path.resolve() == path.resolve():
                self.combo.setCurrentIndex(i)
                return

    def add(self, path: Path) -> None:
        """Offer a model file and choose it."""
        self._opened.append(path.resolve())
        self.refresh()
        arguments = [self.combo.itemData(i).argument for i in range(self.combo.count())]
        self.combo.setCurrentIndex(arguments.index(str(path.resolve())))

    def _choices(self) -> list[Choice]:
        session = self._session
        run = session.run
        found: list[Choice] = []
        if run is not None and run.state == "running" and (newest := run.newest_model_path) is not None:
            found.append(self._read_once(newest, f"{short(run.name)} (still training)", training=True))
        watched = [] if run is None or run.model_path is None else [run.model_path]
        paths = project_models(session.folder, [*watched, *self._opened])
        if watched:
            paths.sort(key=lambda path: path != watched[0].resolve())
        found += [self._read_once(path) for path in paths]
        flat = False
        with contextlib.suppress(AnlageError):  # no image yet: the starter for volumes is offered
            flat = session.image().is_flat
        return [*found, *starters(flat=flat), classical()]

    def _read_once(self, path: Path, name: str = "", *, training: bool = False) -> Choice:
        changed = path.stat().st_mtime if path.exists() else 0.0
        known = self._read.get(str(path))
        if known is None or known[0] != changed or known[1].training != training:
            known = (changed, Choice.of(path, name=name, training=training))
            self._read[str(path)] = known
        return known[1]

    def _current(self, choice: Choice) -> Choice:
        path = Path(choice.argument)
        return self._read_once(path, choice.name, training=choice.training) if path.is_absolute() else choice

    def _on_chosen(self, _: Any = None) -> None:
        choice = self.choice
        self.about.setText("\n".join(choice.lines()))
        self.doubt.say(*choice.doubt)
        self.card.setVisible(choice.card is not None)
        shelf = model_folder().resolve()
        mine = choice.path is not None and choice.path.resolve().parent == shelf
        self.start.setVisible(choice.card is not None and not choice.training)
        self.keep.setVisible(choice.card is not None and not choice.training and choice.argument == str(choice.path))
        self.keep.setEnabled(not mine)
        self.keep.setText("Kept" if mine else "Keep")
        self.keep.setToolTip(
            plain(f"Copies it to your model folder, {shelf}, whose models are offered in every project.")
        )
        if choice.card is not None:
            # headings as large as suits so narrow a page
            self.text.show_markdown(re.sub(r"^(#+) ", r"##\1 ", choice.card.to_markdown(), flags=re.MULTILINE))
        self.changed.emit()

    def use(self, choice: Choice) -> None:
        """Choose a model that finds or outlines nuclei; one of another kind goes where it belongs."""
        if choice.card is not None and choice.card.task != "nuclei":
            self.elsewhere.emit(choice)
            return
        for i in range(self.combo.count()):
            offered = self.combo.itemData(i).path
            if offered is not None and choice.path is not None and offered.resolve() == choice.path.resolve():
                self.combo.setCurrentIndex(i)
                return
        if choice.path is not None:
            self.add(choice.path)

    def _on_browse(self) -> None:
        self.catalogue = ModelCatalogue(self._places, self)
        self.catalogue.used.connect(self.use)
        self.catalogue.train_from.connect(self.train_from)
        self.catalogue.finished.connect(self.catalogue.deleteLater)
        self.catalogue.open()

    def _on_keep(self) -> None:
        path = self.choice.path
        try:
            if path is not None:
                self._seen.add(str(keep_model(path).resolve()))  # no news, which would be chosen
        except AnlageError as error:
            self.failed.emit(error)
            return
        self.refresh()

    def _on_open(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self, "Open a model", str(self._session.folder), "Models (*.anlage)")
        if name:
            self.add(Path(name))
