"""Show text from files as plain text, because Qt would read HTML in it.

Every label, tooltip, title and notification that may hold a name (of a layer, channel, file, model, run, track …) comes
through here.
"""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from typing import Any

from qtpy.QtCore import QByteArray, Qt
from qtpy.QtGui import QTextCharFormat, QTextCursor
from qtpy.QtWidgets import QLabel, QTextBrowser, QWidget
from superqt import QElidingLabel

from anlage import printable

__all__ = ["CardBrowser", "ElidingLabel", "Label", "Rich"]


class Label(QLabel):
    """Words that are shown as they are."""

    def __init__(self, text: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setText(text)

    def setText(self, text: str) -> None:
        """Show these words; control characters are written out."""
        super().setText(printable(text))


class ElidingLabel(QElidingLabel):
    """Words that are shown as they are, as many as there is room for."""

    def __init__(self, mode: Qt.TextElideMode = Qt.TextElideMode.ElideRight) -> None:
        super().__init__()
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setElideMode(mode)

    def setText(self, text: str) -> None:
        """Show these words; control characters are written out."""
        super().setText(printable(text))


class Rich(QLabel):
    """A label with colours or bold words of our own. Whatever comes from a file goes through `as_html` first."""

    def __init__(self, text: str = "") -> None:
        super().__init__()
        self.setTextFormat(Qt.TextFormat.RichText)
        self.setText(text)


class CardBrowser(QTextBrowser):
    """Markdown with headings, lists and tables; nothing is loaded, no HTML is read, and no link leads anywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.setOpenLinks(False)
        self.setOpenExternalLinks(False)

    def loadResource(self, _kind: int, _name: Any) -> QByteArray:
        """Load no picture, style or page, from wherever it is: of a null the document would look in the files itself."""
        return QByteArray(b"")

    def show_markdown(self, text: str) -> None:
        """Show a text; links become words."""
        document = self.document()
        self.setMarkdown(printable(text))
        words = QTextCharFormat()
        words.setAnchor(False)
        words.setFontUnderline(False)
        words.setForeground(self.palette().text())
        for at, length in _links(document):
            cursor = QTextCursor(document)
            cursor.setPosition(at)
            cursor.setPosition(at + length, QTextCursor.MoveMode.KeepAnchor)
            cursor.mergeCharFormat(words)


def _links(document: Any) -> list[tuple[int, int]]:
    """Place and length of every stretch that is a link."""
    found, block = [], document.begin()
    while block.isValid():
        parts = block.begin()
        while not parts.atEnd():
            part = parts.fragment()
            if part.charFormat().isAnchor():
                found.append((part.position(), part.length()))
            parts += 1
        block = block.next()
    return found
