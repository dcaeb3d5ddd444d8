"""The details of an error: a program's full output, to read and copy."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from qtpy.QtGui import QFontDatabase, QGuiApplication
from qtpy.QtWidgets import QHBoxLayout, QPlainTextEdit, QPushButton, QVBoxLayout, QWidget

__all__ = ["Details"]

_HEIGHT = 130


class Details(QWidget):
    """A button that opens a text; nothing at all while there is no text."""

    def __init__(self) -> None:
        super().__init__()
        self.toggle = QPushButton("Details")
        self.toggle.setCheckable(True)
        self.copy = QPushButton("Copy")
        self.text = QPlainTextEdit()
        self.text.setReadOnly(True)
        self.text.setLineWrapMode(QPlainTextEdit.LineWrapMode.WidgetWidth)
        self.text.setFixedHeight(_HEIGHT)
        self.text.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(3)
        row = QHBoxLayout()
        row.addWidget(self.toggle)
        row.addWidget(self.copy)
        row.addStretch()
        layout.addLayout(row)
        layout.addWidget(self.text)
        self.toggle.toggled.connect(self._on_toggled)
        self.copy.clicked.connect(self._on_copy)
        self.show_text("")

    def show_text(self, text: str) -> None:
        """Offer this text; the empty one hides everything."""
        self.text.setPlainText(text)
        self.toggle.setChecked(False)
        self._on_toggled(False)
        self.setVisible(bool(text))

    def _on_toggled(self, on: bool) -> None:  # noqa: FBT001 - Qt's signal
        self.text.setVisible(on)
        self.copy.setVisible(on)

    def _on_copy(self) -> None:
        clipboard = QGuiApplication.clipboard()
        if clipboard is not None:
            clipboard.setText(self.text.toPlainText())
