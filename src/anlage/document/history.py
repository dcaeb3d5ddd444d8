"""Undo and redo: the steps that can be taken back and repeated."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from anlage.document.edit import Edit
from anlage.document.edits import decode, encode
from anlage.document.journal import Entry

__all__ = ["DocumentHistory", "History", "HistoryMove", "UndoStep"]

MOST_STEPS = 1000
"""So many steps can be undone."""
MOST_KEPT = 200
"""So many of them still after saving and opening again ..."""
MOST_KEPT_BYTES = 16 * 2**20
"""... if they need no more than this in the journal."""

HistoryMove = Literal["do", "undo", "redo"]
Change = TypeVar("Change")


@dataclass(frozen=True, slots=True)
class UndoStep(Generic[Change]):
    """What leads back (or forth again), and what it is called."""

    edit: Change
    text: str


class History(Generic[Change]):
    """Two stacks of steps: those that can be undone, and those that were.

    Parameters
    ----------
    most
        So many steps can be undone; older ones are forgotten.
    """

    def __init__(self, most: int = MOST_STEPS) -> None:
        self.past: list[UndoStep[Change]] = []
        self.future: list[UndoStep[Change]] = []
        self._most = most

    @property
    def undo_text(self) -> str | None:
        """What would be undone: ``add 3 nuclei``; None if there is nothing."""
        return self.past[-1].text if self.past else None

    @property
    def redo_text(self) -> str | None:
        """What would be done again; None if there is nothing."""
        return self.future[-1].text if self.future else None

    def newest(self, way: HistoryMove) -> UndoStep[Change] | None:
        """The step that would be undone or redone next; None if there is none."""
        steps = self.past if way == "undo" else self.future
        return steps[-1] if steps else None

    def take(self, way: HistoryMove, inverse: Change, text: str) -> None:
        """Note that a step was done, undone or redone; `inverse` leads back from there."""
        if way == "do":
            self.future.clear()
        elif stack := self.past if way == "undo" else self.future:
            stack.pop()
        (self.future if way == "undo" else self.past).append(UndoStep(inverse, text))
        del self.past[: -self._most]


class DocumentHistory(History[Edit]):
    """The steps of a document, whose newest ones are kept in its journal."""

    def records(self) -> list[dict[str, Any]]:
        """The newest steps as records for a new journal."""
        records: list[dict[str, Any]] = []
        size = 0
        for name, steps in (("future", self.future), ("past", self.past)):
            newest_first: list[dict[str, Any]] = []
            for step in reversed(steps[-MOST_KEPT:]):
                record = {name: encode(step.edit), "text": step.text}
                size += len(json.dumps(record))
                if size > MOST_KEPT_BYTES:
                    break
                newest_first.append(record)
            records += reversed(newest_first)
        return records

    def recall(self, entry: Entry) -> Edit | None:
        """Take in a record that `records` made; None if it is of another kind. Raises ValueError if it is damaged."""
        for record, steps in ((entry.past, self.past), (entry.future, self.future)):
            if record is not None:
                edit = decode(record)
                steps.append(UndoStep(edit, entry.text))
                return edit
        return None
