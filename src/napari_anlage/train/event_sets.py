"""The list of files of scored signals that a training of events learns from, with what each recording holds."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QBrush, QColor
from qtpy.QtWidgets import (
    QAbstractItemView,
    QFileDialog,
    QHBoxLayout,
    QHeaderView,
    QSizePolicy,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from anlage.project.event_sets import KINDS, SIGNAL_FILES, EventSet, read_event_sets
from napari_anlage.jobs.thread import ErrorReport, Thread
from napari_anlage.session.session import Session
from napari_anlage.widgets.basic import COLOURS, small_button
from napari_anlage.widgets.escaping import plain
from napari_anlage.widgets.silent import silent

__all__ = ["EventSets"]

_HEADS = {"repeated": ("clear", "less", "false", "noise"), "once": ("event", "none", "other")}
_MOST = 4
_ROWS, _ROW_HEIGHT = 7, 21
_COLUMN = 37


class EventSets(QWidget):
    """Files with a tick each, their recordings below them, and how many examples of each kind they hold."""

    changed = Signal()
    """Other files are ticked, or what they hold was counted."""
    failed = Signal(object)

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._thread = Thread(self)
        self._event, self._stale = "", False
        self._sets: dict[Path, EventSet] = {}
        self._wanted: list[Path] = []
        self._from_signals: Path | None = None
        self.files = small_button("Add files …", "Scored signals: CSV, Celldetective's npy, or HDF5 with windows.")
        self.folder = small_button(
            "Add folder …", "Every file of scored signals in a folder: each is a set of its own."
        )
        self.remove = small_button("Remove", "Takes the chosen files off this list; the files stay where they are.")
        self.tree = QTreeWidget()
        self._build()
        self._connect()
        self._fill()

    def _build(self) -> None:
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        column, row = QVBoxLayout(self), QHBoxLayout()
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        row.setSpacing(4)
        for button in (self.files, self.folder, self.remove):
            row.addWidget(button)
        row.addStretch()
        tree = self.tree
        tree.setAccessibleName("Files of scored signals")
        tree.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        tree.setIndentation(12)
        tree.setUniformRowHeights(True)
        tree.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        tree.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        column.addLayout(row)
        column.addWidget(tree)

    def _connect(self) -> None:
        self.files.clicked.connect(self._on_files)
        self.folder.clicked.connect(self._on_folder)
        self.remove.clicked.connect(self._on_remove)
        self.tree.itemChanged.connect(lambda *_: self.changed.emit())
        self.tree.itemSelectionChanged.connect(lambda: self.remove.setEnabled(bool(self.tree.selectedItems())))
        for opened in (self.tree.itemExpanded, self.tree.itemCollapsed):
            opened.connect(self._fit)
        self._thread.done.connect(self._on_read)
        self._thread.failed.connect(self._on_failed)

    # ---- what is chosen ----

    @property
    def busy(self) -> bool:
        """Whether files are being read."""
        return self._thread.busy

    @property
    def sets(self) -> list[EventSet]:
        """What is ticked."""
        return [self._sets[_path_of(item)] for item in self._files() if item.checkState(0) == Qt.CheckState.Checked]

    def add(self, paths: Sequence[Path]) -> None:
        """Read these files, or the files of these folders, and list them ticked."""
        self._wanted += [path for path in paths if path not in self._wanted]
        self.read(self._event)

    def put_scored(self, path: Path) -> None:
        """List what was just scored on the Signals tab, in place of what was scored there before."""
        if self._from_signals is not None:
            self._forget([self._from_signals])
        self._from_signals = path
        self.add([path])

    def read(self, event: str) -> None:
        """Count anew, for this event."""
        self._event = event
        if self._thread.busy:
            self._stale = True
            return
        self._stale = False
        self._thread.run(read_event_sets, tuple(self._wanted), event)
        self.changed.emit()

    def tick(self, path: Path, *, on: bool) -> None:
        """Learn from this file, or not."""
        for item in self._files():
            if _path_of(item) == path:
                item.setCheckState(0, Qt.CheckState.Checked if on else Qt.CheckState.Unchecked)

    def _on_read(self, sets: list[EventSet]) -> None:
        if self._stale:
            self.read(self._event)
            return
        self._wanted = [one.path for one in sets]  # a folder stands for its files, so that one of them can be removed
        self._sets = {one.path: one for one in sets}
        self._fill()
        self.changed.emit()

    def _on_failed(self, problem: ErrorReport) -> None:
        self.failed.emit(problem)
        self.changed.emit()

    def _forget(self, paths: Sequence[Path]) -> None:
        self._wanted = [path for path in self._wanted if path not in paths]
        self._sets = {path: one for path, one in self._sets.items() if path not in paths}

    # ---- the list ----

    def _files(self) -> list[QTreeWidgetItem]:
        """The rows of files; those of recordings lie below them."""
        return [self.tree.topLevelItem(i) for i in range(self.tree.topLevelItemCount())]

    def _fill(self) -> None:
        tree, before = self.tree, self._unticked()
        kinds = {one.kind for one in self._sets.values() if not one.problem}
        kind = next(iter(kinds), "once")
        heads = _HEADS[kind]
        with silent(tree):
            tree.clear()
            tree.setColumnCount(1 + len(heads))
            tree.setHeaderLabels(["file and recording", *heads])
            for i, name in enumerate(KINDS[kind], 1):
                tree.headerItem().setToolTip(i, plain(f"Scored examples: {name}."))
                tree.headerItem().setTextAlignment(i, Qt.AlignmentFlag.AlignRight)
            tree.headerItem().setToolTip(0, "Tick what is learnt from. Open a file to see its recordings or movies.")
            for one in self._sets.values():
                tree.addTopLevelItem(self._row(one, ticked=one.path not in before))
        header = tree.header()
        header.setStretchLastSection(False)
        header.setMinimumSectionSize(30)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        for i in range(1, 1 + len(heads)):
            header.setSectionResizeMode(i, QHeaderView.ResizeMode.Fixed)
            header.resizeSection(i, _COLUMN)
        self._fit()
        tree.setVisible(bool(self._sets))
        self.remove.setEnabled(False)

    def _fit(self, *_: object) -> None:
        """As tall as what is open, up to a few rows."""
        rows = sum(1 + item.childCount() * item.isExpanded() for item in self._files())
        self.tree.setFixedHeight((min(max(rows, 1), _ROWS) + 1) * _ROW_HEIGHT + 8)

    def _unticked(self) -> set[Path]:
        return {_path_of(item) for item in self._files() if item.checkState(0) != Qt.CheckState.Checked}

    def _row(self, one: EventSet, *, ticked: bool) -> QTreeWidgetItem:
        item = QTreeWidgetItem([one.path.name, *map(str, one.n)])
        item.setData(0, Qt.ItemDataRole.UserRole, one.path)
        item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
        item.setCheckState(0, Qt.CheckState.Checked if ticked else Qt.CheckState.Unchecked)
        item.setToolTip(0, plain(f"{one.path}\n{one.problem}".strip()))
        if one.problem:
            item.setIcon(0, self.style().standardIcon(self.style().StandardPixmap.SP_MessageBoxWarning))
        for name, counts in one.counts:
            part = QTreeWidgetItem([name or "(unnamed)", *map(str, counts)])
            part.setToolTip(0, plain(name))
            item.addChild(part)
        for row in (item, *(item.child(i) for i in range(item.childCount()))):
            for column in range(1, _MOST + 1):
                row.setTextAlignment(column, Qt.AlignmentFlag.AlignRight)
                if row.text(column) == "0":
                    row.setForeground(column, self.palette().placeholderText())
        if one.problem:
            item.setForeground(0, QBrush(QColor(COLOURS["warning"])))
        return item

    # ---- buttons ----

    def _on_files(self) -> None:
        names, _ = QFileDialog.getOpenFileNames(self, "Add scored signals", str(self._session.folder), SIGNAL_FILES)
        if names:
            self.add([Path(name) for name in names])

    def _on_folder(self) -> None:
        name = QFileDialog.getExistingDirectory(self, "Add a folder of scored signals", str(self._session.folder))
        if name:
            self.add([Path(name)])

    def _on_remove(self) -> None:
        chosen = [item for item in self.tree.selectedItems() if item.parent() is None]
        self._forget([_path_of(item) for item in chosen])
        self._fill()
        self.changed.emit()


def _path_of(item: QTreeWidgetItem) -> Path:
    path: Path = item.data(0, Qt.ItemDataRole.UserRole)
    return path
