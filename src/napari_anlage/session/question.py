"""A question that the user must answer before the dock continues, as text and answers. Knows no Qt and no napari."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Answer", "Question"]


@dataclass(frozen=True, slots=True)
class Answer:
    """One of the answers.

    Parameters
    ----------
    text
        A few words, for a button.
    about
        What it does, as a sentence.
    action
        Called when it is chosen; the question is gone then.
    """

    text: str
    about: str
    action: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked.

    Parameters
    ----------
    text
        The question, with what was found.
    answers
        The answers, the safest first. None of them is taken by itself.
    """

    text: str
    answers: tuple[Answer, ...]
