"""The combo box of models of one kind, with *none* where that is a choice, and models from other folders."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QComboBox, QFileDialog, QHBoxLayout, QVBoxLayout, QWidget

from anlage.project.models import Choice, models_of
from napari_anlage.session.session import Session
from napari_anlage.widgets.basic import StatusLine, small_button
from napari_anlage.widgets.connect import connect
from napari_anlage.widgets.escaping import plain
from napari_anlage.widgets.silent import silent

__all__ = ["ModelCombo"]


class ModelCombo(QWidget):
    """Chooses a model of one kind, or none.

    Parameters
    ----------
    session
        What is shared about the viewer.
    task
        The kind.
    none
        What doing without one is called; empty: the newest is chosen unless another one is.
    tooltip
        What the model is for.
    """

    changed = Signal()

    def __init__(self, session: Session, task: str, none: str, tooltip: str) -> None:
        super().__init__()
        self._session, self._task, self._none = session, task, none
        self._opened: list[Path] = []
        self.combo = QComboBox()
        self.combo.setToolTip(plain(tooltip))
        self.combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.combo.setMinimumContentsLength(8)
        self.open = small_button("…", "Choose a model file (.anlage) from anywhere.")
        self.open.setFixedWidth(30)
        self.doubt = StatusLine()
        column, row = QVBoxLayout(self), QHBoxLayout()
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        row.addWidget(self.combo, 1)
        row.addWidget(self.open)
        column.addLayout(row)
        column.addWidget(self.doubt)
        self.combo.currentIndexChanged.connect(lambda _: self._on_chosen())
        self.open.clicked.connect(self._on_open)
        connect(session.exchanged, self._on_exchanged)
        self.refresh()

    @property
    def choice(self) -> Choice | None:
        """The chosen model; None: none."""
        chosen: Choice | None = self.combo.currentData()
        return chosen

    def _on_exchanged(self) -> None:
        """The model that was chosen was that of the image before."""
        with silent(self.combo):
            self.combo.setCurrentIndex(0 if self._none and self.combo.count() else -1)
        self.refresh()

    def refresh(self) -> None:
        """Offer what there is; what was chosen stays."""
        chosen = self.choice
        found = models_of(self._task, self._session.folder, self._opened)
        with silent(self.combo):
            self.combo.clear()
            if self._none:
                self.combo.addItem(self._none, None)
            for one in found:
                self.combo.addItem(one.name, one)
                self.combo.setItemData(
                    self.combo.count() - 1, plain("\n".join([one.argument, *one.about])), Qt.ItemDataRole.ToolTipRole
                )
            arguments = [one.argument for one in found]
            first = self.combo.count() - len(found)
            at = first + arguments.index(chosen.argument) if chosen is not None and chosen.argument in arguments else 0
            self.combo.setCurrentIndex(at if self.combo.count() else -1)
        self._say_doubt()

    def add(self, path: Path) -> None:
        """Offer a file and choose it, if it is of this kind."""
        self._opened.append(path.resolve())
        self.refresh()
        self.choose(path)
        self.changed.emit()

    def choose(self, path: Path) -> None:
        """Choose a model that is offered; nothing where it is not."""
        for i in range(self.combo.count()):
            one: Choice | None = self.combo.itemData(i)
            if one is not None and one.path == path.resolve():
                self.combo.setCurrentIndex(i)

    def _on_chosen(self) -> None:
        self._say_doubt()
        self.changed.emit()

    def _say_doubt(self) -> None:
        """What speaks against the chosen network."""
        choice = self.choice
        self.doubt.say(*(("", "idle") if choice is None else choice.doubt))

    def _on_open(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self, "Open a model", str(self._session.folder), "Models (*.anlage)")
        if name:
            self.add(Path(name))
