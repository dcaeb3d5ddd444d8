"""Edits of links."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from pydantic.dataclasses import dataclass

from anlage.document.fields import STRICT, Ids, Pairs, as_ids, count
from anlage.document.outcome import Content, Edit, Outcome
from anlage.document.several import Several
from anlage.errors import AnlageError

__all__ = ["AddLinks", "RemoveLinks", "SetDivision"]


@dataclass(frozen=True, config=STRICT)
class AddLinks:
    """Link nuclei: (M, 2) mother (in the earlier frame), daughter."""

    pairs: Pairs

    @property
    def text(self) -> str:
        return f"add {count(len(self.pairs), 'link')}"

    def done(self, content: Content) -> Outcome:
        table = content.nuclei.linked(self.pairs)
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
        return Outcome(replace(content, nuclei=table), AddLinks(pairs), frozenset({"links"}), np.unique(pairs))


@dataclass(frozen=True, config=STRICT)
class SetDivision:
    """Make two nuclei the daughters of a mother; other links from her, and to them, go."""

    mother: int
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
