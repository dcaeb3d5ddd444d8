"""The project of the image: open, create, and recent ones."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QMenu, QSizePolicy, QVBoxLayout, QWidget

from anlage import AnlageError, recent_projects
from napari_anlage.jobs.thread import ErrorReport
from napari_anlage.session.session import Session
from napari_anlage.widgets.basic import small_button
from napari_anlage.widgets.connect import connect
from napari_anlage.widgets.escaping import plain
from napari_anlage.widgets.plain_text import ElidingLabel

__all__ = ["ProjectRow"]

_SUFFIX = ".anlage"
_MOST_RECENT = 12


class ProjectRow(QWidget):
    """The image and its project in one line; below it what can be done with projects."""

    failed = Signal(object)
    """A folder cannot be used: an `ErrorReport`."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self.name = ElidingLabel(Qt.TextElideMode.ElideMiddle)
        self.name.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.new = small_button("New")
        self.open = small_button("Open …")
        self.recent = small_button("Recent")
        self.close_button = small_button("Close")
        self.elsewhere = small_button("Elsewhere …")
        self.open.setToolTip(
            "Opens a project folder, with its image and annotation. Dropping it on napari does the same."
        )
        self.recent.setToolTip("The projects that were open last.")
        self.menu = QMenu(self.recent)
        self.menu.setToolTipsVisible(True)
        self.recent.setMenu(self.menu)
        column, first, second = QVBoxLayout(self), QHBoxLayout(), QHBoxLayout()
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        first.addWidget(self.name, 1)
        first.addWidget(self.elsewhere)
        for button in (self.new, self.open, self.recent, self.close_button):
            button.setMinimumWidth(20)
            second.addWidget(button, 1)
        column.addLayout(first)
        column.addLayout(second)
        self._connect()
        self.refresh()

    def _connect(self) -> None:
        session = self._session
        self.new.clicked.connect(lambda: self._attempt(session.new_project))
        self.open.clicked.connect(self._on_open)
        self.close_button.clicked.connect(lambda: self._attempt(session.close_project))
        self.elsewhere.clicked.connect(self._on_elsewhere)
        self.menu.aboutToShow.connect(self._fill)
        connect(session.project_changed, self.refresh)
        connect(session.image_changed, self.refresh)

    def refresh(self) -> None:
        """Show the session's image and project."""
        session = self._session
        folder, is_open = session.folder, session.project is not None
        has_image = session.image_layer is not None
        self.name.setText(
            f"{session.arrival.title} → {folder.name}" if has_image else folder.name if is_open else "none yet"
        )
        made = "is open" if is_open else session.lack or "is made with the first annotation or training"
        self.name.setToolTip(plain(f"The project {folder} {made}." if made[-1] != "." else f"{folder}: {made}"))
        self.close_button.setEnabled(is_open)
        self.close_button.setToolTip(
            plain("Saves and closes the project; the image stays." if is_open else "No project is open.")
        )
        no_image = "Choose an image first."
        for button, does in (
            (self.new, "Begins another project for this image, without annotation; the one it has stays as it is."),
            (self.elsewhere, "Keeps annotation, training data and runs of this image in another folder."),
        ):
            button.setEnabled(has_image)
            button.setToolTip(plain(does if has_image else no_image))

    def open_project(self, folder: Path) -> None:
        """Open the project in a folder."""
        self._attempt(lambda: self._session.open_project(folder))

    def keep_in(self, folder: Path) -> None:
        """Keep the project in this folder: in itself if its name says that it is one, else in a new one in it."""
        place = folder if folder.suffix == _SUFFIX else folder / self._session.folder.name
        self._attempt(lambda: self._session.set_folder(place))

    def _attempt(self, action: Callable[[], Any]) -> None:
        try:
            action()
        except AnlageError as error:
            self.failed.emit(ErrorReport.of(error))

    def _fill(self) -> None:
        """The projects that were open last and are still there."""
        self.menu.clear()
        now = None if self._session.project is None else self._session.project.folder
        places = [place for place in recent_projects() if place != now][:_MOST_RECENT]
        for place in places:
            text = f"{place.name}  –  {place.parent}".replace("&", "&&")
            action = self.menu.addAction(text)
            action.setToolTip(plain(str(place)))
            action.triggered.connect(partial(self._on_recent, place))
        if not places:
            self.menu.addAction("No other project was open yet").setEnabled(False)

    def _on_recent(self, place: Path, _: bool = False) -> None:  # noqa: FBT001 - Qt's signature
        self.open_project(place)

    def _on_open(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, "Open a project (a folder NAME.anlage)", self._start())
        if chosen:
            self.open_project(Path(chosen))

    def _on_elsewhere(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, "Keep the project in this folder", self._start())
        if chosen:
            self.keep_in(Path(chosen))

    def _start(self) -> str:
        parent = self._session.folder.parent
        return str(parent if parent.is_dir() else Path.home())
