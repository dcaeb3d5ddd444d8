"""The bar above the tabs that shows a question of the session, with a button for each answer."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from functools import partial
from typing import Any

from qtpy.QtWidgets import QFrame, QSizePolicy, QVBoxLayout, QWidget
from superqt import QFlowLayout

from napari_anlage.session.session import Session
from napari_anlage.widgets.basic import small_button
from napari_anlage.widgets.connect import connect
from napari_anlage.widgets.plain_text import Label

__all__ = ["QuestionBar"]


class QuestionBar(QFrame):
    """Shown while something is asked; nothing is answered by itself."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self.buttons: list[Any] = []
        self.setObjectName("question")
        self.setStyleSheet("#question{border:1px solid #ffb000;border-radius:4px}")
        self.text = Label()
        self.text.setWordWrap(True)
        self.text.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        self._answers = QWidget()
        self._flow = QFlowLayout(self._answers)
        self._flow.setContentsMargins(0, 0, 0, 0)
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 6, 8, 6)
        column.addWidget(self.text)
        column.addWidget(self._answers)
        connect(session.question_changed, self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show what is asked."""
        question = self._session.question
        for button in self.buttons:
            self._flow.removeWidget(button)
            button.hide()
            button.deleteLater()
        self.buttons = []
        self.setVisible(question is not None)
        if question is None:
            return
        self.text.setText(question.text)
        for answer in question.answers:
            button = small_button(answer.text, answer.about)
            button.clicked.connect(partial(self._on_clicked, answer))
            self._flow.addWidget(button)
            self.buttons.append(button)

    def _on_clicked(self, answer: Any, _: bool = False) -> None:  # noqa: FBT001 - Qt's signature
        self._session.arrival.answer(answer)
