"""The dock: the steps as tabs, and what is going on below them."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from typing import Any

from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import QFrame, QScrollArea, QSizePolicy, QTabWidget, QVBoxLayout, QWidget
from superqt import QElidingLabel

from anlage import Run
from napari_anlage.session import Session
from napari_anlage.widgets.annotate import AnnotateTab
from napari_anlage.widgets.data import DataTab
from napari_anlage.widgets.predict import PredictTab
from napari_anlage.widgets.train import TrainTab

__all__ = ["Dock"]

_WIDTH = 350


class Dock(QWidget):
    """Data · Annotate · Train · Predict, in one dock widget."""

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__()
        self._viewer = napari_viewer  # the name by which napari hands it over; its proxy lives as long as the dock
        self.session = Session.of(napari_viewer)
        self.data = DataTab(self.session)
        self.annotate = AnnotateTab(self.session)
        self.train = TrainTab(self.session)
        self.predict = PredictTab(self.session)
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        for tab in (self.data, self.annotate, self.train, self.predict):
            self.tabs.addTab(_scrolling(tab), tab.title)
        self.footer = QElidingLabel()
        self.footer.setElideMode(Qt.TextElideMode.ElideMiddle)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addWidget(self.tabs)
        layout.addWidget(self.footer)
        self.setMinimumWidth(330)
        self.setMaximumWidth(380)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Ignored)
        for signal in (self.session.project_changed, self.session.run_changed, self.session.image_changed):
            signal.connect(self._refresh_footer)
        self._refresh_footer()

    def sizeHint(self) -> QSize:
        """Narrow, and no taller than a small screen."""
        return QSize(_WIDTH, 560)

    def show_run(self, run: Run) -> None:
        """Watch a run, wherever it lies."""
        self.train.watch(run)
        self.train.refresh_runs()

    def closeEvent(self, event: Any) -> None:
        """End what belongs to the window; a training goes on."""
        self.predict.stop()
        self.train.watcher.stop()
        super().closeEvent(event)

    def _refresh_footer(self) -> None:
        run = self.session.run
        doing = "" if run is None else f" · {run.name}: {self.train.watcher.state or run.state}"
        self.footer.setText(f"{self.session.folder.name}{doing}")
        self.footer.setToolTip(f"Project: {self.session.folder}")


def _scrolling(tab: QWidget) -> QScrollArea:
    area = QScrollArea()
    area.setWidget(tab)
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    return area
