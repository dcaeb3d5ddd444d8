"""Follow which nucleus is selected in the viewer."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from typing import Any

from qtpy.QtCore import QObject, QTimer, Signal

from napari_anlage.session.session import Session
from napari_anlage.widgets.connect import connect, disconnect

__all__ = ["PickWatcher"]


class PickWatcher(QObject):
    """Follows the selection in the layer of nuclei, also when that layer is made anew."""

    picked = Signal(int)
    """Id of the nucleus that was selected; nothing is said of several at once."""

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._selection: Any = None
        self._last = 0
        self._timer = QTimer(self)  # the layer may be put in its place only after it was announced
        self._timer.setSingleShot(True)
        self._timer.setInterval(0)
        self._timer.timeout.connect(self._watch)
        for signal in (session.document_changed, session.project_changed, session.viewer.layers.events.inserted):
            connect(signal, self._wait)
        self._watch()

    def _wait(self, change: Any = None) -> None:
        self._timer.start()

    def _watch(self) -> None:
        editor = self._session.editor
        layer = None if editor is None or editor.nuclei is None else editor.nuclei.layer
        selection = None if layer is None else layer.selected_data
        if selection is self._selection:
            return
        if self._selection is not None:
            disconnect(self._selection.events.items_changed, self._on_selected)
        self._selection = selection
        if selection is not None:
            connect(selection.events.items_changed, self._on_selected)

    def _on_selected(self, added: Any = None, removed: Any = None) -> None:
        editor = self._session.editor
        chosen = [] if editor is None else editor.selected().tolist()
        if len(chosen) == 1 and chosen[0] != self._last:
            self._last = chosen[0]
            self.picked.emit(int(chosen[0]))
