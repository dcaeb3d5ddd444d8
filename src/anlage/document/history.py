"""Undo and redo: the steps that can be taken back and repeated."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

from anlage.document.edit import Edit
from anlage.document.edits import decode, encode
from anlage.document.journal import Entry

__all__ = ["History", "UndoStep", "Way"]

MOST_STEPS = 1000
"""So many steps can be undone."""
MOST_KEPT = 200
"""So many of them still after saving and opening again ..."""
MOST_KEPT_BYTES = 16 * 2**20
"""... if they need no more than this in the journal."""

Way = Literal["do", "undo", "redo"]


@dataclass(frozen=True, slots=True)
class UndoStep:
    """What leads back (or forth again), and what it is called."""

    edit: Edit
    text: str


class History:
    """Two stacks of steps: those that can be undone, and those that were."""

    def __init__(self) -> None:
        self.undo: list[UndoStep] = []
        self.redo: list[UndoStep] = []

    def take(self, way: Way, inverse: Edit, text: str) -> None:
        """Note that a step was done, undone or redone; `inverse` leads back from there."""
        if way == "do":
            self.redo.clear()
        elif stack := self.undo if way == "undo" else self.redo:
            stack.pop()
        (self.redo if way == "undo" else self.undo).append(UndoStep(inverse, text))
        del self.undo[:-MOST_STEPS]

    def records(self) -> list[dict[str, Any]]:
        """The newest steps as records for a new journal."""
        records: list[dict[str, Any]] = []
        size = 0
        for name, steps in (("future", self.redo), ("past", self.undo)):
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
        for record, steps in ((entry.past, self.undo), (entry.future, self.redo)):
            if record is not None:
                edit = decode(record)
                steps.append(UndoStep(edit, entry.text))
                return edit
        return None
