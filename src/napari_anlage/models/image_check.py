"""Check in a thread whether an image fits a model's card, and remember the answer."""

# mypy: disallow-subclassing-any=False
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from qtpy.QtCore import QObject, QTimer, Signal

from anlage import AnlageError, TimeLapse, check_image
from anlage.project.models import Choice
from napari_anlage.jobs.thread import Thread

__all__ = ["CheckRequest", "ImageCheck"]

_PAUSE_MS = 300
_KEPT = 8


@dataclass(frozen=True, slots=True)
class CheckRequest:
    """Whether an image is like what a model saw.

    Parameters
    ----------
    image
        The image.
    model
        The model.
    channels, diameter_um
        As in `Request`.
    """

    image: TimeLapse
    model: Choice
    channels: tuple[int, ...] | None
    diameter_um: float | None

    @property
    def key(self) -> tuple[Any, ...]:
        """Equal for questions with the same answer."""
        image = self.image
        return (
            id(image.data), image.shape, image.spacing, image.interval_s, image.channels, self.model.id, self.channels,
            self.diameter_um,
        )  # fmt: skip


class ImageCheck(QObject):
    """Answers the newest question, once nothing newer came for a moment."""

    answered = Signal(object)
    """Sentences, each about something that is unlike what the model saw; none where nothing is."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._thread = Thread(self)
        self._question: CheckRequest | None = None
        self._running: CheckRequest | None = None
        self._known: dict[tuple[Any, ...], tuple[Any, tuple[str, ...]]] = {}
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_PAUSE_MS)
        self._timer.timeout.connect(self._begin)
        self._thread.done.connect(self._on_answer)
        # what keeps the check from working keeps the prediction from it too, and is said there
        self._thread.failed.connect(lambda _: self._on_answer(()))

    def ask(self, question: CheckRequest | None) -> None:
        """Say what is unlike; None, and a model without a card, have nothing to say."""
        self._question = question
        if question is None or question.model.card is None:
            self.answered.emit(())
        elif question.key in self._known:
            self.answered.emit(self._known[question.key][1])
        else:
            self._timer.start()

    def _begin(self) -> None:
        question = self._question
        if question is None or question.key in self._known or self._thread.busy:
            return
        self._running = question
        self._thread.run(_check, question)

    def _on_answer(self, said: tuple[str, ...]) -> None:
        if self._running is not None:
            # with the pixels, so that no other image can take their place in memory and with it their answer
            self._known = {
                self._running.key: (self._running.image.data, said),
                **dict(list(self._known.items())[:_KEPT]),
            }
        answered, self._running = self._running, None
        if self._question is not None and answered is not None and self._question.key == answered.key:
            self.answered.emit(said)
        elif self._question is not None:
            self.ask(self._question)


def _check(question: CheckRequest) -> tuple[str, ...]:
    if question.model.card is None:
        raise AnlageError(f"The model '{question.model.name}' has no card.")
    return tuple(
        check_image(question.model.card, question.image, channels=question.channels, diameter_um=question.diameter_um)
    )
