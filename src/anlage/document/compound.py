"""Several edits as one step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import PlainSerializer, PlainValidator
from pydantic.dataclasses import dataclass

from anlage.document.edit import Content, Edit, Kind, Outcome
from anlage.document.fields import STRICT

if TYPE_CHECKING:
    from anlage.document.paint import Paint

__all__ = ["Several", "together"]


def _read(edits: Any) -> tuple[Edit, ...]:
    from anlage.document.edits import decode, is_edit  # which know all kinds, this one too

    if not isinstance(edits, list | tuple):
        raise ValueError("several edits are a list")
    found = tuple(decode(edit) if isinstance(edit, dict) else edit for edit in edits)
    if not all(map(is_edit, found)):
        raise ValueError("something in the list is no edit")
    return found


def _written(edits: tuple[Edit, ...]) -> list[dict[str, Any]]:
    from anlage.document.edits import encode

    return [encode(edit) for edit in edits]


@dataclass(frozen=True, config=STRICT)
class Several:
    """Several edits as one step, done in order."""

    edits: Annotated[Any, PlainValidator(_read), PlainSerializer(_written)]
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
