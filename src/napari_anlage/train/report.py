"""The report of a run: its pictures, one at a time, and where they lie."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from pathlib import Path
from typing import Any

from qtpy.QtCore import QSize, Qt, QUrl
from qtpy.QtGui import QDesktopServices, QPixmap
from qtpy.QtWidgets import QComboBox, QDialog, QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from anlage import Run
from napari_anlage.widgets.escaping import plain
from napari_anlage.widgets.plain_text import Label

__all__ = ["ReportDialog", "report_pictures"]

_TITLES = {
    "confusion": "Confusion matrix", "times": "Times of events", "roc": "ROC", "precision-recall": "Precision and recall",
    "calibration": "Calibration", "curves": "Curves",
}  # fmt: skip
_LEAST = 240


def report_pictures(run: Run) -> list[tuple[str, Path]]:
    """Title and file of every picture that a run's report has."""
    found = {path.stem: path for path in run.report_path.glob("*.png")}
    return [(title, found[stem]) for stem, title in _TITLES.items() if stem in found]


class ReportDialog(QDialog):
    """Pictures of one run, as large as the window."""

    def __init__(self, name: str, run: Run, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(plain(f"Report of {name}"))
        self.resize(620, 660)
        self._folder = run.report_path
        self.kind, self.picture = QComboBox(), _Shown()
        self.kind.setAccessibleName("Picture")
        for title, path in report_pictures(run):
            self.kind.addItem(title, path)
        folder = QPushButton("Open the folder")
        folder.setToolTip(plain(str(self._folder)))
        folder.clicked.connect(lambda: QDesktopServices.openUrl(QUrl.fromLocalFile(str(self._folder))))
        row, column = QHBoxLayout(), QVBoxLayout(self)
        row.addWidget(self.kind, 1)
        row.addWidget(folder)
        where = Label(str(self._folder))
        where.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        where.setWordWrap(True)
        column.addLayout(row)
        column.addWidget(self.picture, 1)
        column.addWidget(where)
        self.kind.currentIndexChanged.connect(self._show)
        self._show()

    def _show(self, *_: Any) -> None:
        path = self.kind.currentData()
        self.picture.show_file(path)
        self.picture.setAccessibleName(self.kind.currentText())


class _Shown(QLabel):
    """A picture in its own shape, as large as there is room."""

    def __init__(self) -> None:
        super().__init__()
        self._whole = QPixmap()
        self.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Ignored)
        self.setMinimumSize(QSize(_LEAST, _LEAST))

    def show_file(self, path: Path | None) -> None:
        """Show this picture."""
        self._whole = QPixmap() if path is None else QPixmap(str(path))
        self._fit()

    def resizeEvent(self, event: Any) -> None:
        """Fit it anew."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        if self._whole.isNull():
            self.setText("This picture cannot be read.")
            return
        way = Qt.AspectRatioMode.KeepAspectRatio
        self.setPixmap(self._whole.scaled(self.size(), way, Qt.TransformationMode.SmoothTransformation))
