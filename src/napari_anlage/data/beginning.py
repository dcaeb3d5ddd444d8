"""What an empty dock offers: an image of one's own, a sample, the tutorial."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from functools import partial
from pathlib import Path

from npe2 import PluginManager
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QGridLayout, QMenu, QPushButton, QWidget

from anlage import open_image
from napari_anlage.jobs.thread import ErrorReport
from napari_anlage.session.session import Session
from napari_anlage.viewer.open_movie import add_image
from napari_anlage.widgets.escaping import plain
from napari_anlage.widgets.help import open_page, page_url

__all__ = ["Beginning"]


class Beginning(QWidget):
    """Buttons for the first step; they are gone once there is an image."""

    failed = Signal(object)

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self.image = QPushButton("Open an image …")
        self.folder = QPushButton("Open a folder …")
        self.sample = QPushButton("Open a sample")
        self.tutorial = QPushButton("Tutorial")
        for button, tip in (
            (self.image, "A file: TIFF, or any other that anlage or napari reads."),
            (self.folder, "An OME-Zarr, or a folder with one TIFF for each frame."),
            (self.sample, "A real or a synthetic embryo that comes with the program, to try everything on."),
            (self.tutorial, "From a sample to a trained network in ten minutes."),
        ):
            button.setToolTip(plain(tip))
        menu = QMenu(self.sample)
        for sample in PluginManager.instance().get_manifest("anlage").contributions.sample_data or ():
            menu.addAction(sample.display_name).triggered.connect(partial(self._open_sample, sample.key))
        self.sample.setMenu(menu)
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(4)
        for place, button in enumerate((self.image, self.folder, self.sample, self.tutorial)):
            grid.addWidget(button, place // 2, place % 2)
        self.tutorial.setVisible(bool(page_url("tutorial")))
        self.image.clicked.connect(self._on_image)
        self.folder.clicked.connect(self._on_folder)
        self.tutorial.clicked.connect(lambda: open_page("tutorial"))

    def open_path(self, path: Path) -> None:
        """Bring an image into the viewer; it is read as it is needed."""
        try:
            add_image(self._session.viewer, open_image(path), path)
        except Exception as error:  # noqa: BLE001 - whatever a click sets off must end in a sentence
            self.failed.emit(ErrorReport.of(error))

    def _on_image(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self, "Open an image")
        if name:
            self.open_path(Path(name))

    def _on_folder(self) -> None:
        name = QFileDialog.getExistingDirectory(self, "Open an OME-Zarr or a folder of TIFFs")
        if name:
            self.open_path(Path(name))

    def _open_sample(self, key: str) -> None:
        try:
            self._session.viewer.open_sample("anlage", key)
        except Exception as error:  # noqa: BLE001 - as above
            self.failed.emit(ErrorReport.of(error))
