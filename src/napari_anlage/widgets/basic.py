"""Basic widgets of every tab: headings, notes, buttons, status lines, and `Tab` itself."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from napari.utils.notifications import show_error, show_info, show_warning
from qtpy.QtCore import QEvent, QPointF, QRectF, Qt, Signal
from qtpy.QtGui import QColor, QFontMetricsF, QPainter, QPen, QPolygonF
from qtpy.QtWidgets import QComboBox, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from anlage import AnlageError
from napari_anlage.jobs.thread import ErrorReport
from napari_anlage.widgets.escaping import plain
from napari_anlage.widgets.plain_text import Label
from napari_anlage.widgets.silent import silent

__all__ = [
    "COLOURS",
    "ActionButton",
    "LayerChoice",
    "StatusLine",
    "Tab",
    "draw_mark",
    "heading",
    "note",
    "notify",
    "small_button",
]

COLOURS = {"idle": "#8a8f98", "info": "#5aa9e6", "good": "#3fc58a", "warning": "#ffb000", "error": "#ff5a5f"}
_DOT, _DOT_ROOM = 8.0, 13
_PRIMARY = (
    "QPushButton{background:#2f7d5b;color:white;font-weight:600;padding:7px;border-radius:4px}"
    "QPushButton:hover{background:#379469}QPushButton:pressed{background:#276a4d}"
    "QPushButton:disabled{background:rgba(128,128,128,60);color:rgb(138,143,152)}"
)

T = TypeVar("T")


def draw_mark(painter: QPainter, place: QRectF, kind: str) -> None:
    """Draw what stands before a sentence of this kind: its shape says what its colour says."""
    colour = QColor(COLOURS[kind])
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(colour)
    if kind == "warning":
        painter.drawPolygon(
            QPolygonF([QPointF(place.center().x(), place.top()), place.bottomRight(), place.bottomLeft()])
        )
    elif kind == "error":
        painter.drawRect(place)
    elif kind == "good":
        painter.drawEllipse(place)
    else:  # a ring: nothing to be done
        painter.setPen(QPen(colour, 1.6))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawEllipse(place.adjusted(0.8, 0.8, -0.8, -0.8))


class StatusLine(Label):
    """One sentence with a coloured dot; the details are in its tooltip."""

    changed = Signal(str)
    """Another kind of sentence: idle, info, good, warning or error."""

    def __init__(self, text: str = "") -> None:
        super().__init__()
        self.setWordWrap(True)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        self.setContentsMargins(_DOT_ROOM, 0, 0, 0)
        self.plain = ""
        self.kind = "idle"
        self.say(text, "idle")

    def say(self, text: str, kind: str = "info", details: str = "") -> None:
        """Show a sentence: idle, info, good, warning or error."""
        self.plain = text
        self.kind = kind
        self.setText(text)
        self.setToolTip(plain(details))
        self.setVisible(bool(text))
        self.update()
        self.changed.emit(kind)

    def paintEvent(self, event: Any) -> None:
        """The words, and the dot before their first line."""
        super().paintEvent(event)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        # Not the label's own heightForWidth: it lays the words out anew, which asks to paint again, without end.
        room = QRectF(self.contentsRect())
        metrics = QFontMetricsF(self.font())
        words = metrics.boundingRect(QRectF(0, 0, room.width(), 0), Qt.TextFlag.TextWordWrap.value, self.text())
        above, line = max(room.height() - words.height(), 0) / 2, metrics.height()  # the words lie in the middle
        draw_mark(painter, QRectF(1.0, above + (line - _DOT) / 2, _DOT, _DOT), self.kind)
        painter.end()


class ActionButton(QWidget):
    """A button that says why it is grey."""

    clicked = Signal()

    def __init__(self, text: str, *, primary: bool = False, tooltip: str = "") -> None:
        super().__init__()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        self.button = QPushButton(text)
        self._tooltip = tooltip
        self.button.setToolTip(plain(tooltip))
        if primary:
            self.button.setStyleSheet(_PRIMARY)
        self.reason = note("")
        layout.addWidget(self.button)
        layout.addWidget(self.reason)
        self.reason.hide()
        self.button.clicked.connect(lambda: self.clicked.emit())

    def allow(self, reason: str | None, *, show: bool = True) -> None:
        """Enable the button (None), or grey it with the reason, in words below it and in its tooltip."""
        self.button.setEnabled(reason is None)
        self.button.setToolTip(plain(reason or self._tooltip))
        self.reason.setText(reason or "")
        self.reason.setVisible(bool(reason) and show)


class LayerChoice(QComboBox):
    """A combo of layers that follows the viewer."""

    chosen = Signal(object)

    def __init__(self, empty: str) -> None:
        super().__init__()
        self._empty = empty
        self._layers: list[Any] = []
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(10)
        self.currentIndexChanged.connect(self._on_index)

    def offer(self, layers: list[Any], current: Any) -> None:
        """Show these layers, this one chosen; emits nothing."""
        with silent(self):
            self.clear()
            self._layers = list(layers)
            self.addItems([str(layer.name) for layer in layers] or [self._empty])
            self.setEnabled(bool(layers))
            self.setCurrentIndex(next((i for i, layer in enumerate(layers) if layer is current), -1 if layers else 0))

    def _on_index(self, index: int) -> None:
        if 0 <= index < len(self._layers):
            self.chosen.emit(self._layers[index])


class Tab(QWidget):
    """A step: its parts from top to bottom, a status line below them."""

    def __init__(self) -> None:
        super().__init__()
        self.column = QVBoxLayout(self)
        self.column.setContentsMargins(8, 8, 8, 8)
        self.column.setSpacing(6)
        self.column.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.status = StatusLine()

    def add(self, *widgets: QWidget) -> None:
        """Put widgets below the others."""
        for widget in widgets:
            self.column.addWidget(widget)

    def retire(self) -> None:
        """The widget is being closed: end what belongs to the window."""

    def report(self, problem: ErrorReport) -> None:
        """Say what went wrong, here and as napari's notification."""
        self.status.say(problem.sentence, "error", problem.details)
        notify(problem.sentence, "error")

    def attempt(self, action: Callable[[], T]) -> T | None:
        """Do something now; a problem becomes a report and None."""
        try:
            return action()
        except Exception as error:  # noqa: BLE001 - whatever a click sets off must end in a sentence
            self.report(ErrorReport.of(error))
            return None

    def attempt_quietly(self, action: Callable[[], Any]) -> None:
        """Do what a key asks for; that there is nothing to do it to is no error."""
        try:
            action()
        except AnlageError as error:
            notify(str(error), "info")


def small_button(text: str, tooltip: str = "") -> QPushButton:
    """A button beside something else, with air around its words."""
    button = QPushButton(text)
    button.setStyleSheet("QPushButton{padding:4px 9px}")
    button.setToolTip(plain(tooltip))
    return button


def heading(text: str) -> Label:
    """Title of a section."""
    label = Label(text)
    label.setStyleSheet("font-weight:600;margin-top:6px")
    return label


def note(text: str) -> Label:
    """Small pale explanation."""
    return _Note(text)


class _Note(Label):
    """Text a shade paler than that around it, in every theme."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.setWordWrap(True)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        self._style = ""

    def changeEvent(self, event: Any) -> None:
        """Follow the theme."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.StyleChange, QEvent.Type.ParentChange):
            self._fade()

    def showEvent(self, event: Any) -> None:
        """Take the colour of where it is shown."""
        super().showEvent(event)
        self._fade()

    def _fade(self) -> None:
        around = self.parentWidget()
        if around is None:
            return
        text = around.palette().color(around.foregroundRole())
        style = f"color:rgba({text.red()},{text.green()},{text.blue()},165);font-size:11px"
        if style != self._style:
            self._style = style
            self.setStyleSheet(style)


def notify(text: str, kind: str = "info") -> None:
    """Say it as a notification of napari."""
    {"error": show_error, "warning": show_warning}.get(kind, show_info)(plain(text))
