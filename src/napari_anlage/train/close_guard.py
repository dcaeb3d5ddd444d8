"""The question before napari closes during a training: continue or stop it."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtWidgets import QMainWindow, QMessageBox, QPushButton, QWidget

from anlage import AnlageError, Run
from anlage.wording import short
from napari_anlage.session.session import Session

__all__ = ["CloseGuard", "ClosingQuestion"]

_NAME = "anlage close guard"


class ClosingQuestion(QMessageBox):
    """Keep training, stop, or do not close."""

    def __init__(self, names: Sequence[str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        one = len(names) == 1
        self.setIcon(QMessageBox.Icon.Question)
        self.setWindowTitle("A training is running" if one else "Trainings are running")
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setText(f"{' and '.join(names)} {'is' if one else 'are'} being trained.")
        self.setInformativeText(
            "Training can go on without napari: open the project again to see it. "
            "If you stop it, its best weights are kept, and it can be resumed."
        )
        self.keep: QPushButton = self.addButton("Keep training", QMessageBox.ButtonRole.AcceptRole)
        self.stop: QPushButton = self.addButton("Stop training", QMessageBox.ButtonRole.DestructiveRole)
        self.stay: QPushButton = self.addButton("Do not close", QMessageBox.ButtonRole.RejectRole)
        self.setDefaultButton(self.keep)
        self.setEscapeButton(self.stay)


class CloseGuard(QObject):
    """Asks when a window is about to close while runs are trained; once for each window, whoever opens more docks."""

    def __init__(self, window: QMainWindow, session: Session, running: Callable[[], Sequence[Run]]) -> None:
        super().__init__(window)
        self.setObjectName(_NAME)
        self._window, self._session, self._running = window, session, running
        window.installEventFilter(self)

    @classmethod
    def around(cls, widget: QWidget, session: Session, running: Callable[[], Sequence[Run]]) -> None:
        """Guard the main window that a widget lies in, if it lies in one and that is not guarded yet."""
        window: Any = widget
        while window is not None and not isinstance(window, QMainWindow):
            window = window.parentWidget()
        if window is not None and window.findChild(QObject, _NAME) is None:
            cls(window, session, running)

    def eventFilter(self, watched: Any, event: Any) -> bool:
        """Ask before the window closes; True keeps the event from it."""
        # the type first: a window that is torn down still sends events when this object's own fields are gone
        if event.type() == QEvent.Type.Close and watched is self._window and self._is_users(event):
            runs = self._running()
            if runs and not self._may_close(runs):
                event.ignore()
                return True
        return False

    def _is_users(self, event: Any) -> bool:
        """Whether a person closes it: a program that closes a viewer empties it first, and nobody is there to answer."""
        if event.spontaneous():
            return True
        try:
            return bool(self._window.isVisible() and len(self._session.viewer.layers))
        except AnlageError:  # the viewer is gone
            return False

    def _may_close(self, runs: Sequence[Run]) -> bool:
        question = ClosingQuestion([short(run.name) for run in runs], self._window)
        question.exec()
        answer = question.clickedButton()
        if answer is question.stop:
            for run in runs:
                run.request_stop()
        stays = answer is question.stay
        question.deleteLater()
        return not stays
