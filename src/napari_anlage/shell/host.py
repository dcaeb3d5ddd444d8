"""The frame around every widget of the plugin: narrow, scrolling, with the footer."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from functools import partial
from typing import Any

from qtpy.compat import isalive
from qtpy.QtCore import QSize, Qt, QTimer
from qtpy.QtOpenGLWidgets import QOpenGLWidget
from qtpy.QtWidgets import QDockWidget, QFrame, QMainWindow, QScrollArea, QSizePolicy, QVBoxLayout, QWidget

from napari_anlage.preferences import limit_memory, prefer_reader
from napari_anlage.session.session import Session
from napari_anlage.shell.autosave import Autosave
from napari_anlage.shell.footer import Footer
from napari_anlage.shell.question_bar import QuestionBar
from napari_anlage.viewer import layer_roles
from napari_anlage.widgets.connect import connect
from napari_anlage.widgets.naming import name_controls

__all__ = ["MAX_WIDTH", "MIN_WIDTH", "Host", "scrolling"]

MIN_WIDTH, WIDTH, MAX_WIDTH = 320, 350, 380
"""Pixels: as narrow as its parts allow, so that the image keeps a small screen."""
_HEIGHT = 560
_LEAST_HEIGHT = 200
"""Docks below each other do not crush one another further than this; ours become tabs instead."""


class Host(QWidget):
    """A dock widget of the plugin; all of one viewer share its session."""

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__()
        self._viewer = napari_viewer  # the name by which napari hands it over; its proxy lives as long as the widget
        self.session = Session.of(napari_viewer)
        self.session.later = partial(QTimer.singleShot, 0)
        connect(self.session.layers_changed, self._choose_layers)
        self._choose_layers()
        # after napari's own listeners, which take the layer off the canvas
        self.session.viewer.layers.events.removed.connect(self._draw_now, position="last")
        self.question = QuestionBar(self.session)
        self.footer = Footer(self.session)
        self.autosave = Autosave(self.session, self)
        self._awake = False
        self.column = QVBoxLayout(self)
        self.column.setContentsMargins(4, 4, 4, 2)
        self.column.setSpacing(2)
        self.setMinimumWidth(MIN_WIDTH)
        self.setMinimumHeight(_LEAST_HEIGHT)
        self.setMaximumWidth(MAX_WIDTH)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Ignored)

    def hold(self, content: QWidget) -> None:
        """Show this above the footer, and what is asked above it."""
        self.column.addWidget(self.question)
        self.column.addWidget(content, 1)
        self.column.addWidget(self.footer)

    def sizeHint(self) -> QSize:
        """Narrow, and no taller than a small screen."""
        return QSize(WIDTH, _HEIGHT)

    def paintEvent(self, event: Any) -> None:
        """Once something is to be seen, do what could wait."""
        super().paintEvent(event)
        if not self._awake:
            self._awake = True
            QTimer.singleShot(0, self.wake)

    def wake(self) -> None:
        """Do what can wait until the widget was painted: it opens at once."""
        limit_memory()
        prefer_reader()
        self.autosave.start()
        self.footer.wake()
        self._join_the_others()
        name_controls(self)

    def _join_the_others(self) -> None:
        """Become a tab beside the other widgets of the plugin, instead of taking half of their height."""
        window, own = self.window(), self.parentWidget()
        if not (isinstance(window, QMainWindow) and isinstance(own, QDockWidget)) or own.isFloating():
            return
        others = [dock for dock in window.findChildren(QDockWidget) if dock is not own and dock.isVisible()]
        for dock in others:
            beside = window.dockWidgetArea(dock) == window.dockWidgetArea(own)
            if isinstance(dock.widget(), Host) and beside and dock not in window.tabifiedDockWidgets(own):
                window.tabifyDockWidget(dock, own)
                own.show()
                own.raise_()
                return

    def closeEvent(self, event: Any) -> None:
        """End what belongs to the window; a training goes on."""
        self.footer.close_down()
        self.autosave.stop()
        super().closeEvent(event)

    def _draw_now(self, event: Any) -> None:
        """Draw the canvas each time that we take a layer away.

        Where points and vectors go at once, and others come before anything was drawn, the next drawing ends the whole
        program with some graphics drivers; that is so without this plugin, too. To draw while a viewer is being closed ends
        it as well.
        """
        if layer_roles.is_leaving(event.value) and isalive(self) and self.isVisible():
            for canvas in self.window().findChildren(QOpenGLWidget):
                canvas.repaint()

    def _choose_layers(self) -> None:
        """The first image, and the first layer with nuclei, are chosen by themselves."""
        session = self.session
        images = session.image_layers()
        if session.image_layer is None and images:
            session.choose_image(images[0])
        session.choose_any_nuclei()


def scrolling(content: QWidget | None = None) -> QScrollArea:
    """Room for something that may be taller than the screen, but never wider than the room."""
    area = QScrollArea()
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    if content is not None:
        area.setWidget(content)
    return area
