"""Where the project is, and opening another one."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QSizePolicy, QWidget

from anlage import AnlageError
from napari_anlage.hearing import hear
from napari_anlage.job import Problem
from napari_anlage.parts import small_button
from napari_anlage.plain_text import ElidingLabel, plain
from napari_anlage.session import Session

__all__ = ["ProjectRow"]

_SUFFIX = ".anlage"


class ProjectRow(QWidget):
    """Name of the project folder, with buttons to open another and to keep this one elsewhere."""

    failed = Signal(object)
    """A folder cannot be used: a `Problem`."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self.name = ElidingLabel(Qt.TextElideMode.ElideMiddle)
        self.name.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.open = small_button("Open …")
        self.open.setToolTip(
            "Opens a project folder, with its image and annotation. Dropping it on napari does the same."
        )
        self.elsewhere = small_button("Elsewhere …")
        self.elsewhere.setToolTip("Keeps annotation, training data and runs of this image in another folder.")
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.name, 1)
        row.addWidget(self.open)
        row.addWidget(self.elsewhere)
        self.open.clicked.connect(self._on_open)
        self.elsewhere.clicked.connect(self._on_elsewhere)
        hear(session.project_changed, self.refresh)
        hear(session.image_changed, self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show the session's project."""
        session = self._session
        folder, is_open = session.folder, session.project is not None
        has_image = session.image_layer is not None
        self.name.setText(folder.name if is_open or has_image else "none yet")
        made = "is open" if is_open else "is made with the first annotation or training"
        self.name.setToolTip(plain(f"The project {folder} {made}."))
        self.elsewhere.setEnabled(has_image)
        self.elsewhere.setToolTip(
            plain(
                "Keeps annotation, training data and runs of this image in another folder."
                if has_image
                else "Choose an image first."
            )
        )

    def open_project(self, folder: Path) -> None:
        """Open the project in a folder."""
        try:
            self._session.open_project(folder)
        except AnlageError as error:
            self.failed.emit(Problem.of(error))

    def keep_in(self, folder: Path) -> None:
        """Keep the project in this folder: in itself if its name says that it is one, else in a new one in it."""
        place = folder if folder.suffix == _SUFFIX else folder / self._session.folder.name
        try:
            self._session.set_folder(place)
        except AnlageError as error:
            self.failed.emit(Problem.of(error))

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
