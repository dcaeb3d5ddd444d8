"""Several edits as one undo step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import PlainValidator
from pydantic.dataclasses import dataclass

from anlage.document.edit import Content, Edit, Kind, Outcome
from anlage.document.fields import STRICT

if TYPE_CHECKING:
    from anlage.document.edit import Paint

__all__ = ["Several", "together"]


def _edits(edits: Any) -> tuple[Edit, ...]:
    if not isinstance(edits, list | tuple):
        raise ValueError("several edits are a list")
    if not all(hasattr(edit, "done") for edit in edits):
        raise ValueError("something in the list is no edit")
    return tuple(edits)


@dataclass(frozen=True, config=STRICT)
class Several:
    """Several edits as one step, done in order."""

    edits: Annotated[Any, PlainValidator(_edits)]
    text: str

    def done(self, content: Content) -> Outcome:
        outcomes: list[Outcome] = []
        for edit in self.edits:
            outcomes.append(edit.done(outcomes[-1].content if outcomes else content))
        return together(outcomes, content, self.text)


def together(outcomes: Sequence[Outcome], content: Content, text: str) -> Outcome:
    """What several edits, each done on the result of the one before, lead to as one step."""
    kinds: frozenset[Kind] = frozenset()
    ids: list[npt.NDArray[np.int64]] = [np.zeros(0, dtype=np.int64)]
    paints: list[Paint] = []
    for outcome in outcomes:
        content, kinds = outcome.content, kinds | outcome.kinds
        ids.append(outcome.ids)
        paints += outcome.paints
    back = Several(tuple(outcome.inverse for outcome in reversed(outcomes)), text)
    return Outcome(content, back, kinds, np.unique(np.concatenate(ids)), tuple(paints))
