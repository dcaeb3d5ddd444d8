"""The list of movies that a training learns from: this one, and those of other projects, with what each brings and a tick."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QBrush, QColor
from qtpy.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QHeaderView,
    QSizePolicy,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from anlage import Project, Readiness, recent_projects
from anlage.project.training_data import OtherProject
from napari_anlage.jobs.thread import Thread
from napari_anlage.session.session import Session
from napari_anlage.train.data import OWN
from napari_anlage.widgets.basic import COLOURS, small_button
from napari_anlage.widgets.escaping import plain
from napari_anlage.widgets.silent import silent

__all__ = ["MovieList"]

_HEADS = ("movie", "nuclei", "masks", "regions")
_WIDTHS = (46, 44, 50)
_ROWS, _LEAST_HEIGHT = 6, 16
_THIS = "this movie"


class MovieList(QWidget):
    """Movies with a tick each; other projects may be open elsewhere, and are only read."""

    changed = Signal()
    """Other movies are ticked, or what they hold was read."""
    failed = Signal(object)

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._thread = Thread(self)
        self._others: dict[Path, OtherProject] = {}
        self._ticked: dict[Path, bool] = {OWN: True}
        self._counts: tuple[int, int, int] = (0, 0, 0)
        self.add_project = small_button(
            "Add project …",
            "Learn from the regions of another project as well: one network for all your movies. Movies are then held out as a whole "
            "to see how good it is.",
        )
        self.remove = small_button("Remove", "Takes the chosen projects off this list; nothing in them changes.")
        self.tree = QTreeWidget()
        self._build()
        self.add_project.clicked.connect(self._on_add)
        self.remove.clicked.connect(self._on_remove)
        self.tree.itemChanged.connect(self._on_tick)
        self.tree.itemSelectionChanged.connect(self._on_selected)
        self._thread.done.connect(self._on_read)
        self._thread.failed.connect(self.failed)
        self._fill()

    def _build(self) -> None:
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        column, row = QVBoxLayout(self), QHBoxLayout()
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        row.addWidget(self.add_project)
        row.addWidget(self.remove)
        row.addStretch()
        tree = self.tree
        tree.setAccessibleName("Movies to learn from")
        tree.setRootIsDecorated(False)
        tree.setUniformRowHeights(True)
        tree.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        tree.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        tree.setColumnCount(len(_HEADS))
        tree.setHeaderLabels(list(_HEADS))
        header = tree.header()
        header.setStretchLastSection(False)
        header.setMinimumSectionSize(30)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        for i, width in enumerate(_WIDTHS, 1):
            header.setSectionResizeMode(i, QHeaderView.ResizeMode.Fixed)
            header.resizeSection(i, width)
            tree.headerItem().setTextAlignment(i, Qt.AlignmentFlag.AlignRight)
        column.addWidget(tree)
        column.addLayout(row)

    # ---- what is chosen ----

    @property
    def own(self) -> bool:
        """Whether the chosen movie is ticked."""
        return self._ticked[OWN]

    @property
    def others(self) -> tuple[OtherProject, ...]:
        """The other projects that are ticked."""
        return tuple(one for folder, one in self._others.items() if self._ticked[folder])

    def add(self, folders: Sequence[Path]) -> None:
        """Read these projects, in a thread, and list them ticked; the chosen movie's own is listed already."""
        here = self._session.folder.resolve()
        wanted = [folder.resolve() for folder in folders if folder.resolve() != here]
        self._thread.run(_read, tuple(dict.fromkeys([*self._others, *wanted])))

    def read_again(self) -> None:
        """Count anew: somebody may have annotated meanwhile."""
        if self._others and not self._thread.busy:
            self.add([])

    def tick(self, folder: Path, *, on: bool) -> None:
        """Learn from this movie, or not."""
        for item in self._items():
            if _folder_of(item) == folder:
                item.setCheckState(0, Qt.CheckState.Checked if on else Qt.CheckState.Unchecked)

    def start_over(self) -> None:
        """Another image was chosen: the list was made for the one before."""
        self._others, self._ticked = {}, {OWN: True}
        self._fill()

    def show_counts(self, counts: tuple[int, int, int], ready: Mapping[Path, Readiness]) -> None:
        """What the chosen movie brings, and what each has for the chosen kind of network."""
        self._counts = counts
        with silent(self.tree):
            for item in self._items():
                folder = _folder_of(item)
                self._show(item, counts if folder == OWN else self._others[folder].counts)
                lack = ready[folder].lack if folder in ready else ""
                self._mark(item, lack)

    # ---- the list ----

    def _on_read(self, found: list[OtherProject]) -> None:
        self._others = {one.folder: one for one in found if one.folder != self._session.folder.resolve()}
        self._ticked = {OWN: self.own, **{folder: self._ticked.get(folder, True) for folder in self._others}}
        self._fill()
        self.changed.emit()

    def _items(self) -> list[QTreeWidgetItem]:
        return [self.tree.topLevelItem(i) for i in range(self.tree.topLevelItemCount())]

    def _fill(self) -> None:
        with silent(self.tree):
            self.tree.clear()
            for folder in (OWN, *self._others):
                item = QTreeWidgetItem([_THIS if folder == OWN else folder.stem])
                item.setData(0, Qt.ItemDataRole.UserRole, folder)
                item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
                item.setCheckState(0, Qt.CheckState.Checked if self._ticked[folder] else Qt.CheckState.Unchecked)
                self._show(item, self._counts if folder == OWN else self._others[folder].counts)
                self._mark(item, "" if folder == OWN else self._others[folder].problem)
                self.tree.addTopLevelItem(item)
        rows = min(1 + len(self._others), _ROWS)
        self.tree.setFixedHeight(
            rows * max(self.tree.sizeHintForRow(0), _LEAST_HEIGHT) + self.tree.header().sizeHint().height() + 6
        )
        self.tree.setVisible(bool(self._others))
        self.remove.setVisible(bool(self._others))
        self._on_selected()

    def _show(self, item: QTreeWidgetItem, counts: Sequence[int]) -> None:
        for column, n in enumerate(counts, 1):
            item.setText(column, str(n))
            item.setTextAlignment(column, Qt.AlignmentFlag.AlignRight)
            item.setForeground(column, self.palette().text() if n else self.palette().placeholderText())

    def _mark(self, item: QTreeWidgetItem, lack: str) -> None:
        """Say what keeps a movie from being learnt from."""
        folder = _folder_of(item)
        path = self._session.folder if folder == OWN else folder
        item.setToolTip(0, plain(f"{path}\n{lack}".strip()))
        item.setForeground(0, QBrush(QColor(COLOURS["warning"])) if lack else self.palette().text())

    def _on_tick(self, item: QTreeWidgetItem, column: int) -> None:
        if column == 0:
            self._ticked[_folder_of(item)] = item.checkState(0) == Qt.CheckState.Checked
            self.changed.emit()

    def _on_selected(self) -> None:
        self.remove.setEnabled(any(_folder_of(item) != OWN for item in self.tree.selectedItems()))

    # ---- buttons ----

    def _on_add(self) -> None:
        recent = [folder for folder in recent_projects() if folder.resolve() != self._session.folder.resolve()]
        start = recent[0].parent if recent else self._session.folder.parent
        name = QFileDialog.getExistingDirectory(self, "Add a project (NAME.anlage)", str(start))
        if name:
            self.add([Path(name)])

    def _on_remove(self) -> None:
        for item in self.tree.selectedItems():
            self._others.pop(_folder_of(item), None)
        self._fill()
        self.changed.emit()


def _folder_of(item: QTreeWidgetItem) -> Path:
    folder: Path = item.data(0, Qt.ItemDataRole.UserRole)
    return folder


def _read(folders: Sequence[Path]) -> list[OtherProject]:
    """In a thread. Of a folder that is no project, the projects in it."""
    found = []
    for folder in folders:
        inside = (
            []
            if Project.is_project(folder)
            else sorted(path for path in folder.glob("*.anlage") if Project.is_project(path))
        )
        found += [OtherProject.of(path) for path in inside or [folder]]
    return list({one.folder: one for one in found}.values())
