"""Edits of links: add, remove, accept."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import Field
from pydantic.dataclasses import dataclass

from anlage.document.compound import Several
from anlage.document.edit import Content, Edit, Outcome
from anlage.document.fields import STRICT, Column, Ids, Pairs, as_ids, check_once, count
from anlage.document.table import MOST_ID, spread
from anlage.errors import AnlageError

__all__ = ["AddLinks", "ChangeLinks", "RemoveLinks", "SetDivision"]


@dataclass(frozen=True, config=STRICT)
class AddLinks:
    """Link nuclei.

    Parameters
    ----------
    pairs
        (M, 2) mother (in the earlier frame), daughter.
    probability
        That the links are right, one value or (M,); NaN: a human says so, they are certain.
    """

    pairs: Pairs
    probability: Column = np.nan

    @property
    def text(self) -> str:
        return f"add {count(len(self.pairs), 'link')}"

    def done(self, content: Content) -> Outcome:
        table = content.nuclei.linked(self.pairs, _spread(self.probability, len(self.pairs)))
        touched = np.unique(self.pairs)
        return Outcome(replace(content, nuclei=table), RemoveLinks(self.pairs), frozenset({"links"}), touched)


@dataclass(frozen=True, config=STRICT)
class RemoveLinks:
    """Remove links: (M, 2) mother, daughter."""

    pairs: Pairs

    @property
    def text(self) -> str:
        return f"remove {count(len(self.pairs), 'link')}"

    def done(self, content: Content) -> Outcome:
        pairs = np.unique(self.pairs, axis=0)
        table = content.nuclei.unlinked(pairs)
        back = AddLinks(pairs, content.nuclei.link_probability(pairs[:, 1]))
        return Outcome(replace(content, nuclei=table), back, frozenset({"links"}), np.unique(pairs))


@dataclass(frozen=True, config=STRICT)
class ChangeLinks:
    """Give links another probability; NaN accepts them: a human says that they are right.

    Parameters
    ----------
    pairs
        (M, 2) mother, daughter.
    probability
        One value or (M,).
    """

    pairs: Pairs
    probability: Column = np.nan

    @property
    def text(self) -> str:
        accepts = np.isnan(np.asarray(self.probability, dtype=np.float64)).all()
        return f"{'accept' if accepts else 'change'} {count(len(self.pairs), 'link')}"

    def done(self, content: Content) -> Outcome:
        pairs, table = self.pairs, content.nuclei
        check_once(pairs[:, 1])
        table.unlinked(pairs)  # they must exist
        before = table.link_probability(pairs[:, 1])
        table = table.weighed(pairs[:, 1], _spread(self.probability, len(pairs)))
        back = ChangeLinks(pairs, before)
        return Outcome(replace(content, nuclei=table), back, frozenset({"links"}), np.unique(pairs))


@dataclass(frozen=True, config=STRICT)
class SetDivision:
    """Make two nuclei the daughters of a mother; other links from her, and to them, go."""

    mother: Annotated[int, Field(ge=1, le=MOST_ID)]
    daughters: Ids

    @property
    def text(self) -> str:
        return "set a division"

    def done(self, content: Content) -> Outcome:
        daughters = np.unique(self.daughters)
        if len(daughters) != 2:
            raise AnlageError(f"A division has two daughters, not {len(daughters)}; choose the mother and two nuclei.")
        table = content.nuclei
        others = np.union1d(daughters, table.daughters(as_ids([self.mother])))
        mothers = table.mother[table.rows(others)]
        old = np.column_stack([mothers, others])[mothers > 0]
        new = np.column_stack([np.full(2, self.mother), daughters])
        table.rows([self.mother])  # she must exist
        steps: tuple[Edit, ...] = (RemoveLinks(old), AddLinks(new)) if len(old) else (AddLinks(new),)
        return Several(steps, self.text).done(content)


def _spread(probability: Any, n: int) -> npt.NDArray[np.float64]:
    values: npt.NDArray[np.float64] = spread(probability, n, np.float64, "probability")
    wrong = values[(values < 0) | (values > 1)]
    if len(wrong):
        raise AnlageError(f"A link's probability is {wrong[0]:g}; it must lie between 0 and 1.")
    return values
