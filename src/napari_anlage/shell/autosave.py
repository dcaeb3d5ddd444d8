"""Autosave of the project, as often as the Preferences say; the journal has every edit at once anyway."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from typing import Any

from qtpy.QtCore import QObject, Qt, QTimer
from qtpy.QtGui import QGuiApplication

from anlage import AnlageError
from napari_anlage import preferences
from napari_anlage.session.session import Session
from napari_anlage.widgets.basic import notify

__all__ = ["Autosave"]

_MINUTE_MS = 60_000
_RETRY_MS = 1_000


class Autosave(QObject):
    """Folds the journal of the session's project into its files, between two strokes of the mouse."""

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._said = ""
        self.timer = QTimer(self)
        self.timer.timeout.connect(self.save)

    def start(self) -> None:
        """Save from now on."""
        preferences.follow(self._on_preferences)
        self._on_preferences()

    def stop(self) -> None:
        """Save no more."""
        self.timer.stop()

    def save(self) -> None:
        """Save now, or as soon as no mouse button is held; what goes wrong is said once."""
        project = self._session.project
        if project is None:
            return
        if QGuiApplication.mouseButtons() != Qt.MouseButton.NoButton:
            QTimer.singleShot(_RETRY_MS, self.save)
            return
        try:
            project.save(wait=False)
            self._said = ""
        except AnlageError as error:
            if str(error) != self._said:
                self._said = str(error)
                notify(self._said, "warning")

    def _on_preferences(self, event: Any = None) -> None:
        self.timer.start(preferences.read().autosave_minutes * _MINUTE_MS)
